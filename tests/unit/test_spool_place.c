/* spool_place: exactly these are out, all others in; which directory is exchanged, and which is not. */
#include "spool_fixture.h"

static void put_many(Fixture *f, const char *dir, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                char name[64];

                snprintf(name, sizeof(name), "%s/%04u", dir, i);
                put(f, name, name);
        }
}

static void hold_range(Fixture *f, MessageSet *s, unsigned from, unsigned to)
{
        for (unsigned i = from; i < to; i++) {
                char id[16];

                snprintf(id, sizeof(id), "%04u", i);
                assert_int_equal(message_set_add(s, index_of(f, STORE_Q, id)), 0);
        }
}

#define HELD_IN "hold/incidents/" INCIDENT "/q/0"

static void test_few_are_renamed(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In"), file;
        MessageSet held = {};

        put_many(f, "spool/In", 10);
        inventory(f, true, false);
        file = inode_of(f, "spool/In/0003");
        hold_range(f, &held, 3, 5);
        place_held(f, &held);
        assert_int_equal(count_in(f, "spool/In"), 8);
        assert_int_equal(count_in(f, HELD_IN), 2);
        assert_int_equal(inode_of(f, HELD_IN "/0003"), file);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(reported(f, "files_out"), 2);
        assert_int_equal(reported(f, "exchanged"), 0);
        assert_int_equal(entry_of(f, STORE_Q, "0003")->place, PLACE_HOLD);
        assert_true(entry_of(f, STORE_Q, "0003")->flags & MESSAGE_WAS_HELD);
        assert_false(entry_of(f, STORE_Q, "0000")->flags & MESSAGE_WAS_HELD);

        /* Again: nothing is left to do. */
        place_held(f, &held);
        assert_int_equal(reported(f, "files_out") + reported(f, "files_back"), 0);
        place_held(f, NULL); /* no set holds nothing */
        assert_int_equal(reported(f, "files_back"), 2);
        assert_int_equal(count_in(f, "spool/In"), 10);
        assert_int_equal(inode_of(f, "spool/In/0003"), file);
        assert_int_equal(entry_of(f, STORE_Q, "0003")->place, PLACE_STORE);
        message_set_deinit(&held);
}

static void test_all_but_few_are_exchanged(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In");
        MessageSet held = {};

        put_many(f, "spool/In", 200);
        inventory(f, true, false);
        hold_range(f, &held, 2, 200);
        place_held(f, &held);
        assert_int_equal(reported(f, "exchanged"), 1);
        assert_int_equal(reported(f, "files_back"), 2);
        assert_int_equal(count_in(f, "spool/In"), 2);
        assert_int_equal(count_in(f, HELD_IN), 198);
        assert_int_equal(inode_of(f, HELD_IN), dir);
        assert_false(entry_of(f, STORE_Q, "0000")->flags & MESSAGE_WAS_HELD);

        /* Back: the original directory, and what stayed in the store is put into it. */
        place_none(f);
        assert_int_equal(reported(f, "exchanged"), 1);
        assert_int_equal(count_in(f, "spool/In"), 200);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(count_in(f, HELD_IN), 0);
        message_set_deinit(&held);
}

static void test_half_back_brings_the_original_directory(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In");
        MessageSet held = {};

        put_many(f, "spool/In", 100);
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        assert_int_equal(inode_of(f, HELD_IN), dir);
        hold_range(f, &held, 50, 100);
        place_held(f, &held);
        assert_int_equal(count_in(f, "spool/In"), 50);
        assert_int_equal(count_in(f, HELD_IN), 50);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        place_none(f);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(count_in(f, "spool/In"), 100);
        message_set_deinit(&held);
}

static void test_original_comes_back_at_the_end(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/In");
        MessageSet held = {};

        put_many(f, "spool/In", 100);
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        /* One is tried; meanwhile a lot of mail comes. */
        hold_range(f, &held, 1, 100);
        place_held(f, &held);
        assert_int_equal(inode_of(f, HELD_IN), dir);
        for (unsigned i = 1000; i < 1150; i++) {
                char name[64];

                snprintf(name, sizeof(name), "spool/In/%u", i);
                put(f, name, "new");
        }
        inventory(f, false, true);
        place_none(f);
        assert_int_equal(count_in(f, "spool/In"), 250);
        assert_int_equal(inode_of(f, "spool/In"), dir);
        assert_int_equal(count_in(f, HELD_IN), 0);
        message_set_deinit(&held);
}

static void test_a_message_of_two_files_moves_whole(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        put_dir(f, "spool/input/a");
        put(f, "spool/input/a/1-H", "h");
        put(f, "spool/input/a/1-D", "d");
        put(f, "spool/input/2-H", "h");
        put(f, "spool/input/2-D", "d");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&held, index_of(f, STORE_X, "1")), 0);
        place_held(f, &held);
        assert_int_equal(count_in(f, "spool/input/a"), 0);
        assert_int_equal(count_in(f, "hold/incidents/" INCIDENT "/x/0/a"), 2);
        assert_true(is_there(f, "spool/input/2-H"));

        /* A crash left the body in hold and a server removed the empty hash directory. */
        assert_int_equal(rmdir(at(f, "spool/input/a")), 0);
        place_none(f);
        assert_true(is_there(f, "spool/input/a/1-H"));
        assert_true(is_there(f, "spool/input/a/1-D"));
        message_set_deinit(&held);
}

static void test_a_split_message_is_completed(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        put(f, "spool/input/1-H", "h");
        put(f, "spool/input/1-D", "d");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&held, index_of(f, STORE_X, "1")), 0);
        place_held(f, &held);
        assert_int_equal(rename(at(f, "hold/incidents/" INCIDENT "/x/0/1-D"), at(f, "spool/input/1-D")), 0);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_X, "1")->place, PLACE_STORE | PLACE_HOLD);
        place_held(f, &held);
        assert_int_equal(count_in(f, "spool/input"), 0);

        assert_int_equal(rename(at(f, "hold/incidents/" INCIDENT "/x/0/1-D"), at(f, "spool/input/1-D")), 0);
        place_none(f);
        assert_int_equal(count_in(f, "spool/input"), 2);
        message_set_deinit(&held);
}

static void test_only_one_store(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        put(f, "spool/In/a", "1");
        put(f, "spool/input/m-H", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&held, 0), 0);
        assert_int_equal(message_set_add(&held, 1), 0);
        report_reset(f);
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &held, STORE_X, &f->report), 0);
        assert_true(is_there(f, "spool/In/a"));
        assert_false(is_there(f, "spool/input/m-H"));
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &held, 2, &f->report), -EINVAL);
        assert_int_equal(spool_place(f->spool, "a/b", &f->roster, &held, 0, &f->report), -EINVAL);
        message_set_deinit(&held);
}

static void test_what_was_never_seen_is_put_back(void **state)
{
        Fixture *f = *state;
        uint32_t i;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        /* A submitter that had the directory open finishes now. */
        put(f, HELD_IN "/late", "1");
        place_none(f);
        assert_true(is_there(f, "spool/In/late"));
        assert_int_equal(roster_find(&f->roster, STORE_Q, "late", 4, &i), 0);
        assert_true(f->roster.entries[i].flags & MESSAGE_ARRIVED);
        inventory(f, false, false);
        assert_int_equal(f->inventory.arrived, 1);
}

static nlink_t links_of(const Fixture *f, const char *below)
{
        struct stat st;

        assert_int_equal(lstat(at(f, below), &st), 0);
        return st.st_nlink;
}

/* Two names of one file are two files of one message, or two messages; a rename of one is none of the
 * other. */
static void test_hard_links_stay_links(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};
        ino_t file;

        put(f, "spool/In/a", "1");
        assert_int_equal(link(at(f, "spool/In/a"), at(f, "spool/Out/a")), 0);
        assert_int_equal(link(at(f, "spool/In/a"), at(f, "spool/In/b")), 0);
        file = inode_of(f, "spool/In/a");
        inventory(f, true, false);
        assert_int_equal(f->inventory.in_store, 2);
        assert_int_equal(message_set_add(&held, index_of(f, STORE_Q, "a")), 0);
        place_held(f, &held);
        assert_false(is_there(f, "spool/In/a") || is_there(f, "spool/Out/a"));
        assert_int_equal(inode_of(f, "spool/In/b"), file);
        assert_int_equal(inode_of(f, HELD_IN "/a"), file);
        assert_int_equal(links_of(f, HELD_IN "/a"), 3);
        set_aside(f, STORE_Q);
        assert_false(is_there(f, "spool/In/b"));
        place_none(f);
        assert_int_equal(inode_of(f, "spool/In/a"), file);
        assert_int_equal(inode_of(f, "spool/Out/a"), file);
        assert_int_equal(links_of(f, "spool/In/b"), 3);
        message_set_deinit(&held);
}

/* rename() of one name of a file onto another does nothing and succeeds: it must not look as if it had
 * moved. */
static void test_a_link_under_a_held_name(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&held, index_of(f, STORE_Q, "a")), 0);
        place_held(f, &held);
        assert_int_equal(link(at(f, HELD_IN "/a"), at(f, "spool/In/a")), 0);
        inventory(f, false, false);
        place_held(f, &held);
        assert_false(is_there(f, "spool/In/a"));
        assert_int_equal(links_of(f, HELD_IN "/a"), 2);
        place_none(f);
        assert_int_equal(reported(f, "taken"), 1);
        assert_int_equal(links_of(f, "spool/In/a"), 2);
        message_set_deinit(&held);
}

static void test_a_late_file_that_is_no_message(void **state)
{
        Fixture *f = *state;

        put(f, "spool/input/1-H", "h");
        inventory(f, true, false);
        set_aside(f, STORE_X);
        put(f, "hold/incidents/" INCIDENT "/x/0/tmp.123", "1");
        inventory(f, false, false);
        assert_int_equal(reported(f, "foreign_held"), 1);
        place_none(f);
        assert_true(is_there(f, "spool/input/tmp.123"));
        assert_true(is_there(f, "spool/input/1-H"));
}

static void test_a_directory_with_something_else_is_not_exchanged(void **state)
{
        Fixture *f = *state;
        ino_t dir = inode_of(f, "spool/input");
        MessageSet held = {};

        for (unsigned i = 0; i < 100; i++) {
                char name[64];

                snprintf(name, sizeof(name), "spool/input/%u-H", i);
                put(f, name, "h");
        }
        put(f, "spool/input/server.lock", "1");
        inventory(f, true, false);
        for (uint32_t i = 0; i < 100; i++)
                assert_int_equal(message_set_add(&held, i), 0);
        place_held(f, &held);
        assert_int_equal(inode_of(f, "spool/input"), dir);
        assert_int_equal(count_in(f, "spool/input"), 1);
        assert_int_equal(reported(f, "files_out"), 100);
        message_set_deinit(&held);
}

static void test_beside_a_live_service_nothing_is_exchanged(void **state)
{
        Fixture *f = *state;
        MessageSet none = {}, all = {};
        ino_t clone;

        put_many(f, "spool/In", 50);
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        clone = inode_of(f, "spool/In");
        report_reset(f);
        f->report.live = true;
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &none, STORE_ALL, &f->report), 0);
        assert_int_equal(inode_of(f, "spool/In"), clone);
        assert_int_equal(count_in(f, "spool/In"), 50);
        /* Nothing is taken out either, whoever asks for it. */
        report_reset(f);
        f->report.live = true;
        assert_int_equal(message_set_add(&all, 0), 0);
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, &all, STORE_ALL, &f->report), 0);
        assert_int_equal(count_in(f, "spool/In"), 50);
        message_set_deinit(&all);
        /* The next time it is dead, the original comes back, empty of nothing. */
        place_none(f);
        assert_int_not_equal(inode_of(f, "spool/In"), clone);
        assert_int_equal(count_in(f, "spool/In"), 50);
}

static void test_a_name_that_comes_again_is_held_too(void **state)
{
        Fixture *f = *state;
        MessageSet held = {};
        ino_t first, second;

        put_many(f, "spool/In", 3);
        inventory(f, true, false);
        hold_range(f, &held, 0, 3);
        place_held(f, &held);
        first = inode_of(f, HELD_IN "/0001");
        put(f, "spool/In/0001", "another under the same name");
        second = inode_of(f, "spool/In/0001");
        inventory(f, false, true);
        assert_int_equal(entry_of(f, STORE_Q, "0001")->place, PLACE_STORE | PLACE_HOLD);
        place_held(f, &held);
        assert_int_equal(count_in(f, "spool/In"), 0);
        assert_int_equal(inode_of(f, HELD_IN ".spare/0001"), second);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_Q, "0001")->place, PLACE_HOLD);
        place_held(f, &held);
        assert_int_equal(reported(f, "files_out"), 0);

        /* A third has no place left. */
        put(f, "spool/In/0001", "a third");
        place_held(f, &held);
        assert_int_equal(reported(f, "taken"), 1);
        assert_true(is_there(f, "spool/In/0001"));
        assert_int_equal(unlink(at(f, "spool/In/0001")), 0);

        /* Back: the first one first, the other when the server has taken that. */
        place_none(f);
        assert_int_equal(reported(f, "taken"), 1);
        assert_int_equal(inode_of(f, "spool/In/0001"), first);
        assert_int_equal(count_in(f, "spool/In"), 3);
        assert_int_equal(unlink(at(f, "spool/In/0001")), 0);
        place_none(f);
        assert_int_equal(inode_of(f, "spool/In/0001"), second);
        report_reset(f);
        assert_int_equal(spool_tidy(f->spool, INCIDENT, &f->report), 0);
        assert_int_equal(count_in(f, "hold/incidents"), 0);
        message_set_deinit(&held);
}

static void test_set_aside_again_with_a_name_that_came_again(void **state)
{
        Fixture *f = *state;

        put_many(f, "spool/In", 3);
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        put_many(f, "spool/In", 5);
        inventory(f, false, true);
        set_aside(f, STORE_Q);
        assert_int_equal(count_in(f, "spool/In"), 0);
        assert_int_equal(count_in(f, HELD_IN) + count_in(f, HELD_IN ".spare"), 8);
        place_none(f);
        assert_int_equal(count_in(f, "spool/In"), 5);
        assert_int_equal(reported(f, "taken"), 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_few_are_renamed),
                T(test_all_but_few_are_exchanged),
                T(test_half_back_brings_the_original_directory),
                T(test_original_comes_back_at_the_end),
                T(test_a_message_of_two_files_moves_whole),
                T(test_a_split_message_is_completed),
                T(test_only_one_store),
                T(test_what_was_never_seen_is_put_back),
                T(test_hard_links_stay_links),
                T(test_a_link_under_a_held_name),
                T(test_a_late_file_that_is_no_message),
                T(test_a_directory_with_something_else_is_not_exchanged),
                T(test_beside_a_live_service_nothing_is_exchanged),
                T(test_a_name_that_comes_again_is_held_too),
                T(test_set_aside_again_with_a_name_that_came_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
