/* spool_known: a culprit that comes again is known by its digest, and by nothing else. */
#include "spool_fixture.h"

/* Longer than what is too short to be told apart; the last byte differs. */
static const char *text_of(char last)
{
        static char text[101];

        memset(text, 'x', 99);
        text[99] = last;
        return text;
}

static void quarantine_one(Fixture *f, const char *id)
{
        MessageSet set = {};
        SpoolQuarantine q;

        assert_int_equal(message_set_add(&set, index_of(f, STORE_Q, id)), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 1);
        quarantine_forget(&q);
        message_set_deinit(&set);
}

static bool is_known(Fixture *f, const char *id)
{
        return entry_of(f, STORE_Q, id)->flags & MESSAGE_KNOWN;
}

static void test_it_comes_again(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/bad", text_of('b'));
        put(f, "spool/In/good", text_of('g'));
        inventory(f, true, false);
        assert_false(is_known(f, "bad"));
        quarantine_one(f, "bad");
        put(f, "spool/Out/again", text_of('b'));
        put(f, "spool/Out/alike", text_of('c'));
        inventory(f, false, true);
        assert_true(is_known(f, "again"));
        assert_false(is_known(f, "alike")); /* of the same size */
        assert_false(is_known(f, "good"));  /* was there before */
        assert_false(entry_of(f, STORE_Q, "again")->flags & MESSAGE_SUSPECT);
}

static void test_short_ones_are_all_alike(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/short", "short");
        inventory(f, true, false);
        quarantine_one(f, "short");
        put(f, "spool/In/second", "short");
        inventory(f, false, true);
        assert_false(is_known(f, "second"));
}

static void test_a_list_that_is_none(void **state)
{
        Fixture *f = *state;
        char line[200];

        put(f, "spool/In/a", text_of('a'));
        put_dir(f, "hold");
        /* In capitals, too short, no number, nothing, below nothing: no line of it is understood. */
        snprintf(line, sizeof(line), "100 ABCD\n100 abcd\nx y\n\n-1 %064d\n", 0);
        put(f, "hold/culprits", line);
        inventory(f, true, false);
        assert_false(is_known(f, "a"));
        quarantine_one(f, "a");
        put(f, "spool/In/b", text_of('a'));
        inventory(f, false, true);
        assert_true(is_known(f, "b"));
}

/* The oldest makes room, and what is known already only becomes the newest. */

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_it_comes_again),
                T(test_short_ones_are_all_alike),
                T(test_a_list_that_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
