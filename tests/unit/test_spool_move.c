/* Files that cannot move, and slices. */
#include "spool_mounts.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#define HELD_IN "hold/incidents/" INCIDENT "/q/0"
#define HELD_X  "hold/incidents/" INCIDENT "/x/0"

static void hold_all(Fixture *f, MessageSet *set)
{
        for (uint32_t i = 0; i < f->roster.n; i++)
                assert_int_equal(message_set_add(set, i), 0);
}

static void test_a_taken_name_keeps_the_message_held(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};
        ino_t held, other;

        put(f, "spool/input/1-H", "h");
        put(f, "spool/input/1-D", "d");
        put(f, "spool/input/2-H", "h");
        inventory(f, true, false);
        hold_all(f, &all);
        place_held(f, &all);
        held = inode_of(f, HELD_X "/1-D");
        put(f, "spool/input/1-D", "another message of that name");
        other = inode_of(f, "spool/input/1-D");
        place_none(f);
        assert_int_equal(reported(f, "taken"), 1);
        assert_int_equal(inode_of(f, HELD_X "/1-D"), held);
        assert_true(is_there(f, HELD_X "/1-H")); /* the whole message stays */
        assert_int_equal(inode_of(f, "spool/input/1-D"), other);
        assert_true(is_there(f, "spool/input/2-H"));
        assert_int_equal(entry_of(f, STORE_X, "1")->place, PLACE_STORE | PLACE_HOLD);
        message_set_deinit(&all);
}

static void test_a_file_that_is_written_stays(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};
        int fd;

        put(f, "spool/input/1-H", "h");
        put(f, "spool/input/1-D", "d");
        put(f, "spool/input/lock", ""); /* no exchange */
        inventory(f, true, false);
        hold_all(f, &all);
        fd = open(at(f, "spool/input/1-D"), O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        place_held(f, &all);
        assert_int_equal(reported(f, "busy"), 1);
        assert_true(is_there(f, "spool/input/1-H"));
        assert_true(is_there(f, "spool/input/1-D"));
        close(fd);
        fd = open(at(f, "spool/input/1-D"), O_RDONLY | O_CLOEXEC); /* readers are no obstacle */
        place_held(f, &all);
        assert_int_equal(reported(f, "busy"), 0);
        assert_int_equal(count_in(f, HELD_X), 2);
        close(fd);
        message_set_deinit(&all);
}

static void test_busy_means_open_for_writing(void **state)
{
        Fixture *f = *state;
        int root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

        put(f, "file", "1");
        assert_int_equal(mkfifo(at(f, "fifo"), 0600), 0);
        assert_false(spool_file_is_busy(root, "file"));
        assert_false(spool_file_is_busy(root, "fifo"));
        assert_false(spool_file_is_busy(root, "missing"));
        fd = open(at(f, "file"), O_RDWR | O_CLOEXEC);
        assert_true(spool_file_is_busy(root, "file"));
        close(fd);
        assert_false(spool_file_is_busy(root, "file"));
        close(root);
}

static void test_an_immutable_file_stays_and_is_named(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};
        int fd, flags = FS_IMMUTABLE_FL;

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        hold_all(f, &all);
        fd = open(at(f, "spool/In/b"), O_RDONLY | O_CLOEXEC);
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
                close(fd);
                message_set_deinit(&all);
                skip(); /* not root, or no such flag here */
        }
        place_held(f, &all);
        flags = 0;
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
        close(fd);
        assert_int_equal(reported(f, "refused"), 1);
        assert_true(is_there(f, HELD_IN "/a"));
        assert_true(is_there(f, "spool/In/b"));
        message_set_deinit(&all);
}

static void test_odd_kinds_move_like_files(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};

        assert_int_equal(mkfifo(at(f, "spool/In/fifo"), 0600), 0);
        assert_int_equal(symlink("/dev/zero", at(f, "spool/In/link")), 0);
        put_dir(f, "spool/In/directory");
        put(f, "spool/In/directory/x", "1");
        put(f, "spool/In/weird \xff\n", "1");
        inventory(f, true, false);
        hold_all(f, &all);
        place_held(f, &all);
        assert_int_equal(count_in(f, HELD_IN), 4);
        assert_true(is_there(f, HELD_IN "/directory/x"));
        place_none(f);
        assert_int_equal(count_in(f, "spool/In"), 4);
        message_set_deinit(&all);
}

static void many(Fixture *f, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char name[64];

                snprintf(name, sizeof(name), "spool/input/%u-%c", i / 2, i % 2 ? 'H' : 'D');
                put_again(f, name);
        }
        put(f, "spool/input/lock", "");
}

static void test_slices_and_progress(void **state)
{
        Fixture *f = *state;
        Job job = {};
        unsigned n = SPOOL_SLICE + 100;

        many(f, n);
        inventory(f, true, false);
        report_reset(f);
        f->report.job = &job;
        assert_int_equal(spool_set_aside(f->spool, INCIDENT, &f->roster, STORE_X, &f->report), 0);
        assert_int_equal(atomic_load(&job.total), n);
        assert_int_equal(atomic_load(&job.progress), n);
        assert_int_equal(count_in(f, HELD_X), n);
        f->report.job = NULL;
}

static void test_cancelled_between_slices(void **state)
{
        Fixture *f = *state;
        Job job = {};

        many(f, 10);
        inventory(f, true, false);
        report_reset(f);
        f->report.job = &job;
        atomic_store(&job.cancel, true);
        assert_int_equal(spool_set_aside(f->spool, INCIDENT, &f->roster, STORE_X, &f->report), -ECANCELED);
        assert_int_equal(count_in(f, "spool/input"), 11);
        f->report.job = NULL;
}

static void test_another_mount_is_an_error(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};

        put_dir(f, "hold");
        mount_or_skip(f, NULL, "hold");
        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        hold_all(f, &all);
        report_reset(f);
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &all, STORE_ALL, &f->report), -EXDEV);
        assert_non_null(strstr(f->report.detail, "/spool/In/a: Invalid cross-device link"));
        assert_true(is_there(f, "spool/In/a"));
        unmount(f, "hold");
        message_set_deinit(&all);
}

static void test_two_directories_and_many_folders(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};

        f->x_dirs[1] = NULL;
        for (unsigned i = 0; i < 6; i++) {
                char name[64];

                snprintf(name, sizeof(name), "spool/input/%c%c", 'a' + (int)i % 3, i > 2 ? 'x' : '\0');
                put_dir(f, name);
        }
        for (unsigned i = 0; i < 30; i++) {
                char name[64];

                snprintf(name, sizeof(name), "spool/input/%s/%u-%c",
                         (const char *const[]){ "a", "b", "c", "ax", "bx", "cx" }[i % 6], i / 2,
                         i % 2 ? 'H' : 'D');
                put(f, name, "1");
                snprintf(name, sizeof(name), "spool/%s/%u", i % 2 ? "In" : "Out", i);
                put(f, name, "1");
        }
        put(f, "spool/input/lock", "");
        inventory(f, true, false);
        hold_all(f, &all);
        report_reset(f);
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &all, STORE_ALL, &f->report), 0);
        assert_int_equal(reported(f, "files_out"), 60);
        assert_int_equal(count_in(f, HELD_X "/ax"), 5);
        report_reset(f);
        place_none(f);
        assert_int_equal(reported(f, "files_back"), 60);
        assert_int_equal(count_in(f, "spool/input/cx"), 5);
        message_set_deinit(&all);
}

static void test_a_file_that_goes_meanwhile_is_no_error(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};
        NameDisk disk;

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        hold_all(f, &all);
        fixture_fail(f, &disk, "a", -ENOENT);
        place_held(f, &all);
        assert_int_equal(reported(f, "vanished"), 1);
        assert_int_equal(reported(f, "files_out"), 1);
        message_set_deinit(&all);
}

static void test_a_name_that_is_taken_in_the_last_moment(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};
        NameDisk disk;

        put(f, "spool/input/1-H", "1");
        put(f, "spool/input/1-D", "1");
        put(f, "spool/input/2-H", "1");
        inventory(f, true, false);
        hold_all(f, &all);
        place_held(f, &all);
        fixture_fail(f, &disk, "1-D", -EEXIST);
        place_none(f);
        assert_int_equal(reported(f, "taken"), 1);
        /* Without its other file, the control file does not go back. */
        assert_true(is_there(f, HELD_X "/1-H"));
        assert_true(is_there(f, "spool/input/2-H"));
        message_set_deinit(&all);
}

static void test_a_disk_that_fails(void **state)
{
        Fixture *f = *state;
        MessageSet all = {};
        NameDisk disk;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        hold_all(f, &all);
        fixture_fail(f, &disk, "a", -EIO);
        report_reset(f);
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &all, STORE_ALL, &f->report), -EIO);
        assert_non_null(strstr(f->report.detail, "cannot move"));
        assert_int_equal(entry_of(f, STORE_Q, "a")->place, PLACE_STORE);
        message_set_deinit(&all);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_a_taken_name_keeps_the_message_held),
                T(test_a_file_that_is_written_stays),
                T(test_busy_means_open_for_writing),
                T(test_an_immutable_file_stays_and_is_named),
                T(test_odd_kinds_move_like_files),
                T(test_slices_and_progress),
                T(test_cancelled_between_slices),
                T(test_another_mount_is_an_error),
                T(test_two_directories_and_many_folders),
                T(test_a_file_that_goes_meanwhile_is_no_error),
                T(test_a_name_that_is_taken_in_the_last_moment),
                T(test_a_disk_that_fails),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
