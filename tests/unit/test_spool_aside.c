/* spool_set_aside: a whole store at once, its skeleton. */
#include "spool_fixture.h"

#define HELD_IN "hold/incidents/" INCIDENT "/q/0"
#define HELD_X  "hold/incidents/" INCIDENT "/x/0"

static const json_t *store_report(const Fixture *f, size_t i)
{
        return json_array_get(json_object_get(f->report.data, "stores"), i);
}

static void test_the_directory_changes_places(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In"), file;

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "2");
        file = inode_of(f, "spool/In/a");
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        assert_int_equal(reported(f, "exchanged"), 2);
        assert_int_equal(reported(f, "files_out"), 0);
        assert_int_equal(count_in(f, "spool/In") + count_in(f, "spool/Out"), 0);
        assert_int_equal(inode_of(f, HELD_IN), dir);
        assert_int_equal(inode_of(f, HELD_IN "/a"), file);
        assert_int_equal(entry_of(f, STORE_Q, "a")->place, PLACE_HOLD);
        inventory(f, false, false);
        assert_int_equal(f->inventory.in_hold, 2);
        assert_int_equal(f->inventory.in_store, 0);
        assert_int_equal(ledger_of(&f->roster).held, 2);

        place_none(f);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(inode_of(f, "spool/In/a"), file);
        inventory(f, false, false);
        assert_int_equal(ledger_of(&f->roster).restored, 2);
}

static void test_the_skeleton_is_like_the_original(void **state)
{
        Fixture *f = *state;
        struct stat a, b;

        put_dir(f, "spool/input/0");
        put_dir(f, "spool/input/0/deep");
        put_dir(f, "spool/input/1");
        put(f, "spool/input/1/m-H", "h");
        assert_int_equal(chmod(at(f, "spool/input"), 01730), 0);
        assert_int_equal(chmod(at(f, "spool/input/0"), 02751), 0);
        assert_int_equal(stat(at(f, "spool/input/0"), &a), 0);
        inventory(f, true, false);
        set_aside(f, STORE_X);
        assert_int_equal(count_in(f, "spool/input"), 2);
        assert_true(is_there(f, "spool/input/0/deep"));
        assert_int_equal(count_in(f, "spool/input/1"), 0);
        assert_true(is_there(f, HELD_X "/1/m-H"));
        assert_int_equal(stat(at(f, "spool/input"), &b), 0);
        assert_int_equal(b.st_mode & 07777, 01730);
        assert_int_equal(stat(at(f, "spool/input/0"), &b), 0);
        assert_int_equal(b.st_mode & 07777, 02751);
        assert_int_equal(b.st_mtim.tv_sec, a.st_mtim.tv_sec);
        assert_int_equal(b.st_mtim.tv_nsec, a.st_mtim.tv_nsec);
        assert_int_not_equal(a.st_ino, b.st_ino);
}

static void test_twice(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        for (unsigned i = 0; i < 20; i++) {
                char name[64];

                snprintf(name, sizeof(name), "spool/In/%u", i);
                put(f, name, "1");
        }
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        set_aside(f, STORE_Q); /* nothing more to do */
        assert_int_equal(reported(f, "exchanged"), 0);
        assert_int_equal(count_in(f, HELD_IN), 20);
        for (uint32_t i = 0; i < 15; i++)
                assert_int_equal(message_set_add(&held, i), 0);
        place_held(f, &held);
        assert_int_equal(count_in(f, "spool/In"), 5);
        put(f, "spool/In/new", "1");
        set_aside(f, STORE_Q);
        assert_int_equal(count_in(f, "spool/In"), 0);
        assert_int_equal(count_in(f, HELD_IN), 21);
        assert_int_equal(json_integer_value(json_object_get(store_report(f, 0), "messages")), 21);
        message_set_deinit(&held);
}

static void test_fallback_says_why(void **state)
{
        Fixture *f = *state;
        const json_t *paths;
        ino_t dir = inode_of(f, "spool/input");

        put(f, "spool/input/m-H", "1");
        put(f, "spool/input/m-D", "1");
        put(f, "spool/input/lock", "1");
        inventory(f, true, false);
        set_aside(f, STORE_ALL);
        assert_int_equal(reported(f, "fallback"), 1);
        paths = json_object_get(json_object_get(f->report.data, "fallback"), "paths");
        assert_string_equal(json_string_value(json_object_get(json_array_get(paths, 0), "path")),
                            at(f, "spool/input"));
        assert_int_equal(reported(f, "files_out"), 2);
        assert_int_equal(inode_of(f, "spool/input"), dir);
        assert_int_equal(count_in(f, "spool/input"), 1);
        assert_int_equal(count_in(f, HELD_X), 2);
}

static void test_an_empty_store_is_left_alone(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In");

        inventory(f, true, false);
        set_aside(f, STORE_ALL);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_false(is_there(f, "hold"));
}

static void test_a_store_that_became_a_link_is_refused(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(rename(at(f, "spool/In"), at(f, "elsewhere")), 0);
        assert_int_equal(symlink("../elsewhere", at(f, "spool/In")), 0);
        report_reset(f);
        assert_int_equal(spool_set_aside(f->spool, INCIDENT, &f->roster, STORE_Q, &f->report), -ENOTDIR);
        assert_non_null(strstr(f->report.detail, "spool/In"));
        assert_true(is_there(f, "elsewhere/a"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_the_directory_changes_places),
                T(test_the_skeleton_is_like_the_original),
                T(test_twice),
                T(test_fallback_says_why),
                T(test_an_empty_store_is_left_alone),
                T(test_a_store_that_became_a_link_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
