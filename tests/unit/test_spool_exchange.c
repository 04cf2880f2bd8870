/* A directory and its tree in hold change places, or do not. */
#include "spool_mounts.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#define HELD_IN "hold/incidents/" INCIDENT "/q/0"

static const char *fallback_error(const Fixture *f)
{
        const json_t *paths = json_object_get(json_object_get(f->report.data, "fallback"), "paths");

        return json_string_value(json_object_get(json_array_get(paths, 0), "error"));
}

static void test_sides_and_items_change(void **state)
{
        Fixture *f = *state;
        SpoolList l = {};
        SpoolTrees t;
        SpoolCollect how = { .store = STORE_Q, .roster = &f->roster };
        ino_t dir = inode_of(f, "spool/In");
        struct stat st;

        put(f, "spool/In/a", "1");
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_Q, INCIDENT, &f->report), 0);
        assert_int_equal(spool_list_collect(&l, &t, &how), 0);
        assert_int_equal(spool_trees_make(&t, INCIDENT, &f->report), 0);
        assert_int_equal(spool_exchange(&t, &l, 0, &f->report), 0);
        assert_int_equal(l.items[0].side, SIDE_HOLD);
        assert_int_equal(fstat(t.trees[0].root[SIDE_HOLD], &st), 0);
        assert_int_equal(st.st_ino, dir);
        assert_int_equal(inode_of(f, HELD_IN), dir);
        assert_int_equal(spool_exchange(&t, &l, 0, &f->report), 0);
        assert_int_equal(l.items[0].side, SIDE_STORE);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(reported(f, "exchanged"), 2);
        spool_list_deinit(&l);
        spool_trees_close(&t);
}

static void test_a_changed_mode_stays_with_the_store(void **state)
{
        Fixture *f = *state;
        struct stat st;
        ino_t dir = inode_of(f, "spool/In");

        for (unsigned i = 0; i < 5; i++) {
                char name[32];

                snprintf(name, sizeof(name), "spool/In/%u", i);
                put(f, name, "1");
        }
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        /* An administrator mends the permissions while the clone is in its place. */
        assert_int_equal(chmod(at(f, "spool/In"), 0771), 0);
        put_dir(f, "spool/input/new");
        place_none(f);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(stat(at(f, "spool/In"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0771);
}

static void test_a_mount_point_falls_back(void **state)
{
        Fixture *f = *state;

        mount_or_skip(f, "spool/In", "spool/In");
        put(f, "spool/In/a", "1");
        /* A hold on the mount itself, outside of what is scanned. */
        f->stores[STORE_Q].hold = fixture_path(f, 4, "spool/In/.unjam");
        f->stores[STORE_Q].dirs[1] = NULL;
        fixture_open(f);
        put_dir(f, "spool/In/.unjam");
        inventory(f, true, false);
        assert_int_equal(f->inventory.in_store, 1);
        set_aside(f, STORE_Q);
        assert_int_equal(reported(f, "fallback"), 1);
        assert_int_equal(reported(f, "files_out"), 1);
        assert_true(is_there(f, "spool/In/.unjam/incidents/" INCIDENT "/q/0/a"));
        place_none(f);
        assert_true(is_there(f, "spool/In/a"));
        unmount(f, "spool/In");
}

static void test_a_busy_mount_point_is_refused_by_the_kernel(void **state)
{
        Fixture *f = *state;
        SpoolList l = {};
        SpoolTrees t;
        SpoolCollect how = { .store = STORE_Q, .roster = &f->roster };

        mount_or_skip(f, "spool/In", "spool/In");
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_Q, INCIDENT, &f->report), 0);
        assert_int_equal(spool_list_collect(&l, &t, &how), 0);
        assert_int_equal(spool_trees_make(&t, INCIDENT, &f->report), 0);
        assert_int_equal(spool_exchange(&t, &l, 0, &f->report), EXCHANGE_E_REFUSED);
        assert_string_equal(fallback_error(f), "Device or resource busy");
        spool_list_deinit(&l);
        spool_trees_close(&t);
        unmount(f, "spool/In");
}

static void test_an_immutable_directory_moves_nothing(void **state)
{
        Fixture *f = *state;
        int fd, flags = 0;

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        fd = open(at(f, "spool/In"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        flags = FS_IMMUTABLE_FL;
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
                close(fd);
                skip(); /* not root, or no such flag here */
        }
        report_reset(f);
        assert_int_equal(spool_set_aside(f->spool, INCIDENT, &f->roster, STORE_Q, &f->report), -EPERM);
        assert_string_equal(fallback_error(f), "Operation not permitted");
        assert_int_equal(reported(f, "refused"), 2);
        assert_non_null(f->report.detail);
        flags = 0;
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
        close(fd);
        assert_int_equal(count_in(f, "spool/In"), 2);
}

/* A container's root: the directories came with the image, in the lower layer. */
static void test_an_overlay_falls_back(void **state)
{
        Fixture *f = *state;
        char options[512];

        put_dir(f, "ov");
        mount_or_skip(f, NULL, "ov");
        put_dir(f, "ov/lower");
        put_dir(f, "ov/upper");
        put_dir(f, "ov/work");
        put_dir(f, "ov/merged");
        put_dir(f, "ov/lower/In");
        put(f, "ov/lower/In/a", "1");
        snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", at(f, "ov/lower"),
                 at(f, "ov/upper"), at(f, "ov/work"));
        if (mount("overlay", at(f, "ov/merged"), "overlay", 0, options) < 0)
                skip(); /* no overlayfs here */
        f->q_dirs[0] = fixture_path(f, 4, "ov/merged/In");
        f->q_dirs[1] = NULL;
        f->stores[STORE_Q].hold = fixture_path(f, 5, "ov/merged/hold");
        fixture_open(f);
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        assert_int_equal(reported(f, "fallback"), 1);
        assert_string_equal(fallback_error(f), "Invalid cross-device link");
        assert_true(is_there(f, "ov/merged/hold/incidents/" INCIDENT "/q/0/a"));
        assert_int_equal(count_in(f, "ov/merged/In"), 0);
        place_none(f);
        assert_true(is_there(f, "ov/merged/In/a"));
        unmount(f, "ov/merged");
        unmount(f, "ov");
}

static void test_a_mount_inside_is_named_and_not_exchanged(void **state)
{
        Fixture *f = *state;

        put_dir(f, "spool/input/m");
        mount_or_skip(f, NULL, "spool/input/m");
        put(f, "spool/input/m/2-H", "not ours to move");
        put(f, "spool/input/1-H", "1");
        inventory(f, true, false);
        assert_int_equal(reported(f, "mounts"), 1);
        set_aside(f, STORE_X);
        assert_int_equal(reported(f, "fallback"), 1);
        assert_true(reported(f, "mounts") > 0);
        assert_true(is_there(f, "spool/input/m/2-H"));
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/1-H"));
        unmount(f, "spool/input/m");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_sides_and_items_change),
                T(test_a_changed_mode_stays_with_the_store),
                T(test_a_mount_point_falls_back),
                T(test_a_busy_mount_point_is_refused_by_the_kernel),
                T(test_an_immutable_directory_moves_nothing),
                T(test_an_overlay_falls_back),
                T(test_a_mount_inside_is_named_and_not_exchanged),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
