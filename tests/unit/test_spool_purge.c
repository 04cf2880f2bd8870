/* spool_purge: rebuildable files into the incident's folder, whatever protects them. */
#include "spool_mounts.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static int purge_setup(void **state)
{
        Fixture *f;

        fixture_setup(state);
        f = *state;
        f->rebuildable[0] = fixture_path(f, 4, "spool/queue.dat");
        f->stores[STORE_Q].rebuildable = f->rebuildable;
        fixture_open(f);
        return 0;
}

static void purge(Fixture *f)
{
        report_reset(f);
        assert_int_equal(spool_purge(f->spool, INCIDENT, STORE_ALL, NULL, &f->report), 0);
        assert_null(f->report.detail);
}

/* Where the first purged file went, by the report, relative to the fixture. */
static const char *purged_to(const Fixture *f)
{
        const json_t *list = json_object_get(f->report.data, "purged");
        const char *to = json_string_value(json_object_get(json_array_get(list, 0), "to"));

        assert_non_null(to);
        return to + strlen(f->root) + 1;
}

static void test_read_only_is_no_obstacle(void **state)
{
        Fixture *f = *state;
        ino_t inode;

        put(f, "spool/queue.dat", "1");
        assert_int_equal(chmod(at(f, "spool/queue.dat"), 0400), 0);
        inode = inode_of(f, "spool/queue.dat");
        purge(f);
        assert_false(is_there(f, "spool/queue.dat"));
        assert_int_equal(inode_of(f, purged_to(f)), inode);
        assert_non_null(strstr(purged_to(f), "hold/incidents/" INCIDENT "/rebuildable/"));
}

static void test_again_gets_a_number(void **state)
{
        Fixture *f = *state;

        put(f, "spool/queue.dat", "1");
        purge(f);
        purge(f); /* missing: fine */
        assert_int_equal(reported(f, "files_purged"), 0);
        put(f, "spool/queue.dat", "2");
        purge(f);
        assert_non_null(strstr(purged_to(f), "queue.dat.1"));
        put(f, "spool/queue.dat", "3");
        purge(f);
        assert_non_null(strstr(purged_to(f), "queue.dat.2"));
}

static void test_a_directory_goes_as_a_whole(void **state)
{
        Fixture *f = *state;

        put_dir(f, "spool/queue.dat");
        put(f, "spool/queue.dat/inner", "1");
        purge(f);
        assert_int_equal(count_in(f, purged_to(f)), 1);
}

static void test_a_link_is_moved_not_followed(void **state)
{
        Fixture *f = *state;

        put(f, "precious", "1");
        assert_int_equal(symlink("../precious", at(f, "spool/queue.dat")), 0);
        purge(f);
        assert_false(is_there(f, "spool/queue.dat"));
        assert_true(is_there(f, "precious"));
        assert_true(is_there(f, purged_to(f)));
}

static void test_immutable_is_cleared(void **state)
{
        Fixture *f = *state;
        int fd, flags = FS_IMMUTABLE_FL;

        put(f, "spool/queue.dat", "1");
        fd = open(at(f, "spool/queue.dat"), O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
                close(fd);
                skip(); /* no root, or a file system without the flag */
        }
        close(fd);
        purge(f);
        assert_false(is_there(f, "spool/queue.dat"));
        assert_true(json_is_true(
                json_object_get(json_array_get(json_object_get(f->report.data, "purged"), 0), "cleared")));
}

static void test_one_that_is_rebuilt_by_a_command(void **state)
{
        Fixture *f = *state;
        RebuildSettings rebuild = { .path = fixture_path(f, 5, "spool/aliases.db") };

        f->stores[STORE_Q].rebuild = &rebuild;
        f->stores[STORE_Q].n_rebuild = 1;
        put(f, "spool/aliases.db", "1");
        purge(f);
        assert_false(is_there(f, "spool/aliases.db"));
}

/* Evidence named one of them: the others stay. */
static void test_only_one(void **state)
{
        Fixture *f = *state;
        RebuildSettings rebuild = { .path = fixture_path(f, 5, "spool/aliases.db") };
        char *only[] = { rebuild.path, NULL };

        f->stores[STORE_Q].rebuild = &rebuild;
        f->stores[STORE_Q].n_rebuild = 1;
        put(f, "spool/aliases.db", "1");
        put(f, "spool/queue.dat", "1");
        report_reset(f);
        assert_int_equal(spool_purge(f->spool, INCIDENT, STORE_ALL, only, &f->report), 0);
        assert_false(is_there(f, "spool/aliases.db"));
        assert_true(is_there(f, "spool/queue.dat"));
}

static void test_what_must_be_there_is_made(void **state)
{
        Fixture *f = *state;
        RecreateSettings recreate[] = {
                { .path = fixture_path(f, 5, "spool/trigger"),
                  .kind = FILE_FIFO,
                  .mode = 0622,
                  .uid = getuid(),
                  .gid = getgid() },
                { .path = fixture_path(f, 6, "spool/tmp"),
                  .kind = FILE_DIRECTORY,
                  .mode = 0750,
                  .uid = getuid(),
                  .gid = getgid() },
        };
        struct stat st;

        f->stores[STORE_Q].recreate = recreate;
        f->stores[STORE_Q].n_recreate = 2;
        put(f, "spool/trigger", "a file where a FIFO should be");
        purge(f);
        assert_int_equal(lstat(at(f, "spool/trigger"), &st), 0);
        assert_int_equal(st.st_mode, S_IFIFO | 0622);
        assert_int_equal(lstat(at(f, "spool/tmp"), &st), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0750);
        /* What was in its place is kept. */
        assert_non_null(strstr(purged_to(f), "/rebuildable/"));
        assert_true(is_there(f, purged_to(f)));
        assert_non_null(json_object_get(f->report.data, "recreated"));
        purge(f);
        assert_null(json_object_get(f->report.data, "recreated"));
}

/* A lock goes only with proof, and is kept. */
static void test_locks(void **state)
{
        Fixture *f = *state;
        LockSettings lock = { .path = fixture_path(f, 5, "spool/*.lck") };

        f->stores[STORE_Q].locks = &lock;
        f->stores[STORE_Q].n_locks = 1;
        put(f, "spool/dead.lck", "2147483000\n");
        put(f, "spool/alive.lck", "1\n");
        put(f, "spool/dumb.lck", "");
        purge(f);
        assert_false(is_there(f, "spool/dead.lck"));
        assert_true(is_there(f, "spool/alive.lck"));
        assert_true(is_there(f, "spool/dumb.lck"));
        assert_true(is_there(f, purged_to(f)));
}

static void test_nothing_to_purge_makes_nothing(void **state)
{
        Fixture *f = *state;

        report_reset(f);
        assert_int_equal(spool_purge(f->spool, INCIDENT, STORE_X, NULL, &f->report), 0);
        assert_false(is_there(f, "hold"));
        assert_int_equal(spool_purge(f->spool, "..", STORE_X, NULL, &f->report), -EINVAL);
}

static void test_on_another_mount_it_goes_aside_where_it_is(void **state)
{
        Fixture *f = *state;

        put_dir(f, "var");
        mount_or_skip(f, NULL, "var");
        f->rebuildable[0] = fixture_path(f, 4, "var/queue.dat");
        put(f, "var/queue.dat", "1");
        purge(f);
        assert_false(is_there(f, "var/queue.dat"));
        assert_string_equal(purged_to(f), "var/queue.dat.unjam-" INCIDENT);
        assert_true(is_there(f, "var/queue.dat.unjam-" INCIDENT));
        put(f, "var/queue.dat", "2");
        purge(f);
        assert_true(is_there(f, "var/queue.dat.unjam-" INCIDENT ".1"));
        unmount(f, "var");
}

static void test_a_disk_that_fails(void **state)
{
        Fixture *f = *state;
        NameDisk disk;

        put(f, "spool/queue.dat", "1");
        fixture_fail(f, &disk, "queue.dat", -EIO);
        report_reset(f);
        assert_int_equal(spool_purge(f->spool, INCIDENT, STORE_ALL, NULL, &f->report), -EIO);
        assert_non_null(strstr(f->report.detail, "cannot purge"));
        fixture_fail(f, &disk, "queue.dat", -ENOENT);
        purge(f); /* gone in the last moment: fine */
        assert_int_equal(reported(f, "files_purged"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, purge_setup, fixture_teardown)
                T(test_read_only_is_no_obstacle),
                T(test_again_gets_a_number),
                T(test_a_directory_goes_as_a_whole),
                T(test_a_link_is_moved_not_followed),
                T(test_immutable_is_cleared),
                T(test_one_that_is_rebuilt_by_a_command),
                T(test_only_one),
                T(test_what_must_be_there_is_made),
                T(test_locks),
                T(test_nothing_to_purge_makes_nothing),
                T(test_on_another_mount_it_goes_aside_where_it_is),
                T(test_a_disk_that_fails),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
