/* spool_manifest: what is in hold of a store, listed; its digest. */
#include "spool_fixture.h"

#define HELD_IN "hold/incidents/" INCIDENT "/q/0"

static const json_t *store_report(const Fixture *f, size_t i)
{
        return json_array_get(json_object_get(f->report.data, "stores"), i);
}

static void test_the_manifest_lists_what_went(void **state)
{
        Fixture *f = *state;
        char text[4096] = "";
        FILE *file;

        put(f, "spool/In/b c", "12345");
        put(f, "spool/In/a", "1");
        put(f, "spool/Out/z", "1");
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        assert_string_equal(json_string_value(json_object_get(store_report(f, 0), "store")), "q");
        assert_int_equal(json_integer_value(json_object_get(store_report(f, 0), "messages")), 3);
        assert_int_equal(strlen(json_string_value(json_object_get(store_report(f, 0), "manifest_sha256"))),
                         64);
        file = fopen(at(f, "hold/incidents/" INCIDENT "/q.manifest"), "re");
        assert_non_null(file);
        assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
        fclose(file);
        assert_ptr_equal(strstr(text, "file 1 0640 "), text);
        assert_non_null(strstr(text, " 0 a\nfile 5 0640 "));
        assert_non_null(strstr(text, " 0 b c\nfile 1 0640 "));
        assert_non_null(strstr(text, " 1 z\n"));
}

static void test_a_manifest_that_cannot_be_written(void **state)
{
        Fixture *f = *state;
        NameDisk disk;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        fixture_fail(f, &disk, "manifest", -ENOSPC);
        set_aside(f, STORE_Q);
        assert_int_equal(reported(f, "manifest_error"), 1);
        assert_int_equal(strlen(json_string_value(json_object_get(store_report(f, 0), "manifest_sha256"))),
                         64);
        assert_true(is_there(f, HELD_IN "/a"));
}

static void test_it_can_be_cancelled(void **state)
{
        Fixture *f = *state;
        Job job = {};

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        report_reset(f);
        f->report.job = &job;
        atomic_store(&job.cancel, true);
        assert_int_equal(spool_manifest(f->spool, INCIDENT, STORE_Q, 1, &f->report), -ECANCELED);
        f->report.job = NULL;
        /* The one before is still there, and nothing else of ours. */
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/q.manifest"));
        assert_int_equal(count_in(f, "hold/incidents/" INCIDENT), 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_the_manifest_lists_what_went),
                T(test_a_manifest_that_cannot_be_written),
                T(test_it_can_be_cancelled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
