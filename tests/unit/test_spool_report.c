/* What a call says: readable whatever the names, bounded whatever the number. */
#include "spool_fixture.h"

static void test_an_error_names_the_path(void **state)
{
        Fixture *f = *state;

        assert_int_equal(spool_fail(&f->report, -EXDEV, "cannot move", "/a", "b\xff\n"), -EXDEV);
        assert_string_equal(f->report.detail, "cannot move /a/b%FF%0A: Invalid cross-device link");
        /* The first cause stands. */
        assert_int_equal(spool_fail(&f->report, -EIO, "later", NULL, NULL), -EIO);
        assert_non_null(strstr(f->report.detail, "cannot move"));
}

static void test_notes_are_counted_and_bounded(void **state)
{
        Fixture *f = *state;
        const json_t *note, *paths;

        for (unsigned i = 0; i < SPOOL_NOTES_MAX + 5; i++)
                spool_note(&f->report, "taken", "/d", i == 0 ? "\xff" : "p", i == 0 ? -EEXIST : 0);
        note = json_object_get(f->report.data, "taken");
        paths = json_object_get(note, "paths");
        assert_int_equal(reported(f, "taken"), SPOOL_NOTES_MAX + 5);
        assert_int_equal(json_array_size(paths), SPOOL_NOTES_MAX);
        assert_string_equal(json_string_value(json_object_get(json_array_get(paths, 0), "path")), "/d/%FF");
        assert_non_null(json_object_get(json_array_get(paths, 0), "path_b64"));
        assert_string_equal(json_string_value(json_object_get(json_array_get(paths, 0), "error")),
                            "File exists");
        assert_null(json_object_get(json_array_get(paths, 1), "error"));
}

static void test_counts_add_up(void **state)
{
        Fixture *f = *state;

        spool_count(&f->report, "files_out", 2);
        spool_count(&f->report, "files_out", 3);
        assert_int_equal(reported(f, "files_out"), 5);
}

static void test_a_job_sees_progress_and_can_cancel(void **state)
{
        Fixture *f = *state;
        Job job = {};

        assert_false(spool_cancelled(&f->report));
        f->report.job = &job;
        spool_expect(&f->report, 10);
        spool_progress(&f->report, 4);
        assert_int_equal(atomic_load(&job.total), 10);
        assert_int_equal(atomic_load(&job.progress), 4);
        assert_false(spool_cancelled(&f->report));
        atomic_store(&job.cancel, true);
        assert_true(spool_cancelled(&f->report));
        f->report.job = NULL;
}

static void test_no_report_is_fine(void **state)
{
        (void)state;
        assert_int_equal(spool_fail(NULL, -EIO, "x", "/d", NULL), -EIO);
        spool_note(NULL, "k", "/d", NULL, 0);
        spool_count(NULL, "k", 1);
        spool_expect(NULL, 1);
        spool_progress(NULL, 1);
        assert_false(spool_cancelled(NULL));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_an_error_names_the_path), T(test_notes_are_counted_and_bounded),
                T(test_counts_add_up),           T(test_a_job_sees_progress_and_can_cancel),
                T(test_no_report_is_fine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
