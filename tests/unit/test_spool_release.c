/* An operator's release and delete. */
#include "spool_mounts.h"

/* Quarantines everything in the roster; ids in its order. */
static char **quarantine_all(Fixture *f)
{
        MessageSet set = {};
        SpoolQuarantine q;
        char **ids;

        for (uint32_t i = 0; i < f->roster.n; i++)
                assert_int_equal(message_set_add(&set, i), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, f->roster.n);
        ids = TAKE_PTR(q.ids);
        quarantine_forget(&q);
        message_set_deinit(&set);
        return ids;
}

static const char *in_folder(const char *id, const char *below)
{
        static char path[256];

        snprintf(path, sizeof(path), "hold/quarantine/%s/%s", id, below);
        return path;
}

static int release(Fixture *f, const char *id, const char *target)
{
        Message m = {};
        int r;

        report_reset(f);
        r = spool_release(f->spool, id, target, &m, &f->report);
        assert_int_equal(r == 0, m.id != NULL);
        assert_int_equal(r == 0, f->report.detail == NULL);
        message_deinit(&m);
        return r;
}

static void test_back_to_where_it_was(void **state)
{
        Fixture *f = *state;
        struct stat a, b;
        char **ids;

        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "h");
        put(f, "spool/input/0/m-D", "d");
        assert_int_equal(stat(at(f, "spool/input/0/m-D"), &a), 0);
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(count_in(f, "spool/input/0"), 0);
        assert_int_equal(release(f, ids[0], NULL), 0);
        assert_int_equal(stat(at(f, "spool/input/0/m-D"), &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
        assert_int_equal(a.st_mode, b.st_mode);
        assert_memory_equal(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim));
        assert_true(is_there(f, "spool/input/0/m-H"));
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        assert_int_equal(release(f, ids[0], NULL), SPOOL_E_NONE);
        assert_non_null(strstr(f->report.detail, "nothing is in quarantine as"));
        strv_free(ids);
}

static void test_a_vanished_hash_directory_is_made_again(void **state)
{
        Fixture *f = *state;
        struct stat st;
        char **ids;

        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "h");
        assert_int_equal(chmod(at(f, "spool/input"), 0710), 0);
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(rmdir(at(f, "spool/input/0")), 0);
        assert_int_equal(release(f, ids[0], NULL), 0);
        assert_true(is_there(f, "spool/input/0/m-H"));
        assert_int_equal(stat(at(f, "spool/input/0"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0710);
        strv_free(ids);
}

static void test_a_taken_name_moves_nothing(void **state)
{
        Fixture *f = *state;
        char **ids;

        put(f, "spool/input/m-H", "h");
        put(f, "spool/input/m-D", "d");
        inventory(f, true, false);
        ids = quarantine_all(f);
        put(f, "spool/input/m-H", "another");
        assert_int_equal(release(f, ids[0], NULL), -EEXIST);
        assert_non_null(strstr(f->report.detail, "spool/input/m-H"));
        assert_true(is_there(f, in_folder(ids[0], "files/0/m-D")));
        assert_false(is_there(f, "spool/input/m-D"));
        assert_int_equal(unlink(at(f, "spool/input/m-H")), 0);
        assert_int_equal(release(f, ids[0], NULL), 0);
        strv_free(ids);
}

static void test_a_half_done_release_goes_on(void **state)
{
        Fixture *f = *state;
        char **ids;

        put(f, "spool/input/m-H", "h");
        put(f, "spool/input/m-D", "d");
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(rename(at(f, in_folder(ids[0], "files/0/m-D")), at(f, "spool/input/m-D")), 0);
        assert_int_equal(release(f, ids[0], NULL), 0);
        assert_int_equal(count_in(f, "spool/input"), 2);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        strv_free(ids);
}

static void test_elsewhere(void **state)
{
        Fixture *f = *state;
        char **ids;

        put(f, "spool/In/a", "1");
        put_dir(f, "target");
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(release(f, ids[0], at(f, "missing")), -ENOENT);
        assert_int_equal(release(f, ids[0], at(f, "target")), 0);
        assert_true(is_there(f, "target/a"));
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        strv_free(ids);
}

static void test_elsewhere_with_like_names(void **state)
{
        Fixture *f = *state;
        char **ids;

        /* One message with a file of the same name in both directories. */
        put(f, "spool/In/a", "1");
        put(f, "spool/Out/a", "2");
        put_dir(f, "target");
        inventory(f, true, false);
        assert_int_equal(f->roster.n, 1);
        ids = quarantine_all(f);
        assert_int_equal(release(f, ids[0], at(f, "target")), 0);
        assert_true(is_there(f, "target/0/a"));
        assert_true(is_there(f, "target/1/a"));
        strv_free(ids);
}

static void test_elsewhere_on_another_mount(void **state)
{
        Fixture *f = *state;
        char **ids;

        put(f, "spool/In/a", "1");
        put_dir(f, "target");
        mount_or_skip(f, NULL, "target");
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(release(f, ids[0], at(f, "target")), -EXDEV);
        assert_true(is_there(f, in_folder(ids[0], "files/0/a")));
        unmount(f, "target");
        strv_free(ids);
}

static void test_a_directory_that_is_configured_no_more(void **state)
{
        Fixture *f = *state;
        char **ids;

        put(f, "spool/Out/a", "1");
        inventory(f, true, false);
        ids = quarantine_all(f);
        f->q_dirs[1] = NULL;
        fixture_open(f);
        assert_int_equal(release(f, ids[0], NULL), -ENOENT);
        assert_non_null(strstr(f->report.detail, "give another with --to"));
        put_dir(f, "target");
        assert_int_equal(release(f, ids[0], at(f, "target")), 0);
        strv_free(ids);
}

static void test_a_directory_goes_back_whole(void **state)
{
        Fixture *f = *state;
        char **ids;

        put_dir(f, "spool/In/d");
        put(f, "spool/In/d/x", "1");
        assert_int_equal(mkfifo(at(f, "spool/In/d/\xff"), 0600), 0);
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(release(f, ids[0], NULL), 0);
        assert_int_equal(count_in(f, "spool/In/d"), 2);
        strv_free(ids);
}

static void test_ids_that_are_none(void **state)
{
        Fixture *f = *state;
        static const char *const bad[] = {
                "", ".", "..", "a/b", "../x", "x.tmp", "20260101T000000Z-00000000.del"
        };

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        strv_free(quarantine_all(f));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Message m = {};

                assert_int_equal(release(f, bad[i], NULL), SPOOL_E_NONE);
                assert_int_equal(spool_delete(f->spool, bad[i], &m, NULL), SPOOL_E_NONE);
        }
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
}

static void test_delete(void **state)
{
        Fixture *f = *state;
        Message m = {};
        char **ids;

        put_dir(f, "spool/In/d");
        put(f, "spool/In/d/x", "1");
        put(f, "precious", "1");
        assert_int_equal(symlink(at(f, "precious"), at(f, "spool/In/d/link")), 0);
        put(f, "spool/Out/b", "1");
        inventory(f, true, false);
        ids = quarantine_all(f);
        assert_int_equal(spool_delete(f->spool, ids[0], &m, &f->report), 0);
        assert_non_null(m.id);
        message_deinit(&m);
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        assert_int_equal(spool_delete(f->spool, ids[1], &m, &f->report), 0);
        message_deinit(&m);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        assert_true(is_there(f, "precious"));
        assert_int_equal(spool_delete(f->spool, ids[1], &m, &f->report), SPOOL_E_NONE);
        strv_free(ids);
}

static void test_a_half_done_delete_goes_on_and_is_not_released(void **state)
{
        Fixture *f = *state;
        Message m = {};
        char **ids, old[PATH_MAX], new[PATH_MAX + 8];

        put(f, "spool/input/m-H", "h");
        put(f, "spool/input/m-D", "d");
        inventory(f, true, false);
        ids = quarantine_all(f);
        snprintf(old, sizeof(old), "%s/hold/quarantine/%s", f->root, ids[0]);
        snprintf(new, sizeof(new), "%s.del", old);
        assert_int_equal(unlink(at(f, in_folder(ids[0], "files/0/m-D"))), 0);
        assert_int_equal(rename(old, new), 0);
        assert_int_equal(release(f, ids[0], NULL), SPOOL_E_NONE);
        assert_int_equal(spool_delete(f->spool, ids[0], &m, &f->report), 0);
        message_deinit(&m);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        strv_free(ids);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_back_to_where_it_was),
                T(test_a_vanished_hash_directory_is_made_again),
                T(test_a_taken_name_moves_nothing),
                T(test_a_half_done_release_goes_on),
                T(test_elsewhere),
                T(test_elsewhere_with_like_names),
                T(test_elsewhere_on_another_mount),
                T(test_a_directory_that_is_configured_no_more),
                T(test_a_directory_goes_back_whole),
                T(test_ids_that_are_none),
                T(test_delete),
                T(test_a_half_done_delete_goes_on_and_is_not_released),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
