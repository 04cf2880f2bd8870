/* What the last inventory saw: believed while no folder has changed, and never longer. */
#include "spool_fixture.h"

#define HELD_IN "hold/incidents/" INCIDENT "/q/0"
#define HELD_X  "hold/incidents/" INCIDENT "/x/0"

static void all_old(const Fixture *f)
{
        static const char *const dirs[] = { "spool/In", "spool/Out", "spool/input" };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++)
                grow_old(f, dirs[i]);
}

static void test_an_unchanged_side_is_not_read(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "1");
        all_old(f);
        inventory(f, true, false);
        /* Behind the back of the clock: only reading would show it. */
        assert_int_equal(unlink(at(f, "spool/In/a")), 0);
        all_old(f);
        inventory(f, false, true);
        assert_int_equal(f->inventory.in_store, 2);
        assert_int_equal(f->inventory.vanished, 0);
        /* One change in any of its folders, and the side is read. */
        put(f, "spool/Out/c", "1");
        inventory(f, false, true);
        assert_int_equal(f->inventory.in_store, 2);
        assert_int_equal(f->inventory.vanished, 1);
        assert_int_equal(f->inventory.arrived, 1);
        assert_int_equal(entry_of(f, STORE_Q, "a")->flags & MESSAGE_CONSUMED, MESSAGE_CONSUMED);
}

static void test_a_young_time_is_not_believed(void **state)
{
        Fixture *f = *state;
        struct stat st;

        put(f, "spool/In/a", "1");
        assert_int_equal(stat(at(f, "spool/In"), &st), 0);
        inventory(f, true, false);
        /* In the same tick. */
        assert_int_equal(unlink(at(f, "spool/In/a")), 0);
        assert_int_equal(
                utimensat(AT_FDCWD, at(f, "spool/In"), (struct timespec[2]){ st.st_atim, st.st_mtim }, 0), 0);
        inventory(f, false, true);
        assert_int_equal(f->inventory.vanished, 1);
}

static void test_another_roster_is_asked_nothing(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        all_old(f);
        inventory(f, true, false);
        roster_deinit(&f->roster);
        inventory(f, true, false);
        assert_int_equal(f->inventory.in_store, 1);
        /* Passes are counted anew after 65,535. */
        f->roster.pass = UINT16_MAX;
        f->roster.entries[0].pass = UINT16_MAX;
        inventory(f, false, true);
        assert_int_equal(f->inventory.in_store, 1);
        assert_int_equal(f->inventory.vanished, 0);
}

static void test_a_store_is_set_aside_unread(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In");

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "1");
        put(f, "spool/input/m-H", "1");
        put(f, "spool/input/m-D", "1");
        all_old(f);
        inventory(f, true, false);
        put(f, "spool/In/unseen", "1");
        all_old(f);
        set_aside(f, STORE_ALL);
        assert_int_equal(reported(f, "exchanged"), 3);
        assert_int_equal(inode_of(f, HELD_IN), dir);
        assert_true(is_there(f, HELD_IN "/unseen"));
        assert_int_equal(f->roster.n, 3); /* it has not been read */
        assert_int_equal(entry_of(f, STORE_Q, "a")->place, PLACE_HOLD);
        assert_int_equal(entry_of(f, STORE_X, "m")->flags & MESSAGE_WAS_HELD, MESSAGE_WAS_HELD);
        /* What moved with the directory is still known there; all else is looked at. */
        put(f, "spool/In/later", "1");
        inventory(f, false, false);
        assert_int_equal(f->inventory.in_hold, 3);
        assert_int_equal(f->inventory.in_store, 1);
        assert_int_equal(f->inventory.arrived, 1);
        /* And nothing is left behind when all goes back. */
        place_none(f);
        assert_int_equal(count_in(f, "spool/In"), 3);
        assert_int_equal(count_in(f, "spool/Out") + count_in(f, "spool/input"), 3);
        inventory(f, false, false);
        assert_int_equal(f->inventory.in_store, 5);
        assert_int_equal(f->inventory.in_hold, 0);
}

static void test_what_changed_is_read_first(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "1");
        all_old(f);
        grow_old(f, "spool/input/0");
        inventory(f, true, false);
        put(f, "spool/In/b", "1");
        put(f, "spool/input/0/lock", "1");
        set_aside(f, STORE_ALL);
        assert_int_equal(entry_of(f, STORE_Q, "b")->place, PLACE_HOLD);
        assert_int_equal(reported(f, "exchanged"), 1);
        assert_int_equal(reported(f, "fallback"), 1);
        assert_true(is_there(f, "spool/input/0/lock"));
        assert_true(is_there(f, HELD_X "/0/m-H"));
}

static void test_what_is_held_already_is_not_given_back(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&held, index_of(f, STORE_Q, "a")), 0);
        place_held(f, &held);
        all_old(f);
        grow_old(f, HELD_IN);
        inventory(f, false, false);
        set_aside(f, STORE_Q);
        assert_int_equal(count_in(f, "spool/In"), 0);
        assert_int_equal(count_in(f, HELD_IN), 2);
        message_set_deinit(&held);
}

static void test_a_refused_exchange_is_made_up_for(void **state)
{
        Fixture *f = *state;
        NameDisk disk;

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "1");
        all_old(f);
        inventory(f, true, false);
        fixture_fail(f, &disk, "In", -EBUSY);
        set_aside(f, STORE_Q);
        assert_int_equal(reported(f, "fallback"), 1);
        assert_int_equal(count_in(f, "spool/In") + count_in(f, "spool/Out"), 0);
        assert_true(is_there(f, HELD_IN "/a"));
        assert_int_equal(entry_of(f, STORE_Q, "b")->place, PLACE_HOLD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_an_unchanged_side_is_not_read),     T(test_a_young_time_is_not_believed),
                T(test_another_roster_is_asked_nothing),   T(test_a_store_is_set_aside_unread),
                T(test_what_changed_is_read_first),        T(test_what_is_held_already_is_not_given_back),
                T(test_a_refused_exchange_is_made_up_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
