/* Empty folders away, and nothing else. */
#include "spool_fixture.h"

static void tidy(Fixture *f)
{
        report_reset(f);
        assert_int_equal(spool_tidy(f->spool, INCIDENT, &f->report), 0);
        assert_null(f->report.detail);
}

static void test_nothing_is_left_of_an_incident(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        put_dir(f, "spool/input/0");
        put_dir(f, "spool/input/0/1");
        put(f, "spool/input/0/m-H", "1");
        inventory(f, true, false);
        tidy(f); /* nothing there yet */
        set_aside(f, STORE_ALL);
        place_none(f);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/1"));
        tidy(f);
        assert_int_equal(count_in(f, "hold/incidents"), 0);
        assert_int_equal(reported(f, "left"), 0);
        assert_true(is_there(f, "spool/input/0/m-H"));
        tidy(f);
}

static void test_what_is_held_stays(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "1");
        put_dir(f, "spool/input/0");
        put_dir(f, "spool/input/1");
        put(f, "spool/input/0/m-H", "1");
        inventory(f, true, false);
        set_aside(f, STORE_ALL);
        assert_int_equal(message_set_add(&held, index_of(f, STORE_X, "m")), 0);
        place_held(f, &held);
        tidy(f);
        assert_int_equal(reported(f, "left"), 2); /* the tree, and the store's folder around it */
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/m-H"));
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/1"));
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x.manifest"));
        assert_false(is_there(f, "hold/incidents/" INCIDENT "/q"));
        assert_false(is_there(f, "hold/incidents/" INCIDENT "/q.manifest"));
        message_set_deinit(&held);
}

static void test_purged_files_stay(void **state)
{
        Fixture *f = *state;

        f->rebuildable[0] = fixture_path(f, 4, "spool/queue.dat");
        f->stores[STORE_Q].rebuildable = f->rebuildable;
        fixture_open(f);
        put(f, "spool/queue.dat", "1");
        assert_int_equal(spool_purge(f->spool, INCIDENT, STORE_ALL, NULL, &f->report), 0);
        tidy(f);
        assert_true(reported(f, "left") > 0);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/rebuildable"));
}

static void test_a_late_file_stays(void **state)
{
        Fixture *f = *state;

        put(f, "spool/input/m-H", "1");
        inventory(f, true, false);
        set_aside(f, STORE_X);
        place_none(f);
        put(f, "hold/incidents/" INCIDENT "/x/0/tmp", "1");
        tidy(f);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/tmp"));
        assert_int_equal(reported(f, "left"), 2);
        assert_int_equal(spool_tidy(f->spool, "", &f->report), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_nothing_is_left_of_an_incident),
                T(test_what_is_held_stays),
                T(test_purged_files_stay),
                T(test_a_late_file_stays),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
