/* claims - counting, life and end of what rules say */
#include "diagnose/claims.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static RuleSettings rules[] = {
        { .name = (char *)"one", .count = 1, .symptom = SYMPTOM_CRASHED },
        { .name = (char *)"three", .count = 3, .within = 100, .symptom = SYMPTOM_EVENT },
        { .count = 0, .symptom = SYMPTOM_STALLED },
};
static const ServiceSettings service = { .name = (char *)"imc", .rules = rules, .n_rules = 3 };

static void say(Claims *c, size_t rule, usec_t moved, usec_t mono)
{
        Now now = { .mono = mono, .wall = 9 };

        usec_t quiet = 0;

        assert_int_equal(claims_feed(c, &(LogEntry){ .rule = rule, .text = "line" }, moved, &now, &quiet), 0);
        assert_true(quiet == 0);
}

static void test_life(void **state)
{
        Claims c;
        usec_t quiet = 0;
        bool closed;

        (void)state;
        assert_int_equal(claims_init(&c, &service), 0);
        assert_null(claims_first(&c));
        assert_true(claims_expire(&c, 5, &closed) == USEC_INFINITY);
        assert_false(closed);
        say(&c, 0, 0, 1000);
        assert_ptr_equal(claims_first(&c), c.claims);
        assert_true(c.claims[0].symptom.claimed);
        assert_int_equal(c.claims[0].symptom.kind, SYMPTOM_CRASHED);
        assert_string_equal(c.claims[0].symptom.detail, "rule one: line");
        assert_true(c.claims[0].symptom.wall == 9);
        c.claims[0].recorded = true;
        /* Again: kept alive, judged from its first time on as long as no mail moved. */
        say(&c, 0, 900, 2000);
        assert_true(c.claims[0].since == 1000 && c.claims[0].last == 2000 && c.claims[0].recorded);
        say(&c, 0, 2500, 3000);
        assert_true(c.claims[0].since == 3000);
        assert_true(claims_expire(&c, 3001, &closed) == 3000 + CLAIM_LIFETIME);
        assert_true(claims_expire(&c, 2999 + CLAIM_LIFETIME, &closed) == 3000 + CLAIM_LIFETIME);
        assert_false(closed);
        assert_true(claims_expire(&c, 3000 + CLAIM_LIFETIME, &closed) == USEC_INFINITY);
        assert_true(closed);
        assert_null(claims_first(&c));
        /* A new one is a new fact. */
        say(&c, 0, 0, 4000 + CLAIM_LIFETIME);
        assert_false(c.claims[0].recorded);
        claims_clear(&c);
        assert_null(claims_first(&c));
        say(&c, 2, 0, 5); /* no name, no count */
        assert_string_equal(claims_first(&c)->symptom.rule, "");
        assert_int_equal(claims_feed(&c, &(LogEntry){ .rule = 3 }, 0, &(Now){}, &quiet), -EINVAL);
        assert_int_equal(claims_feed(&c, &(LogEntry){ .rule = 3, .kind = LOG_GAP }, 0, &(Now){}, &quiet), 0);
        claims_deinit(&c);
}

static void test_count(void **state)
{
        Claims c;

        (void)state;
        assert_int_equal(claims_init(&c, &service), 0);
        for (usec_t t = 0; t < 1000; t += 51)
                say(&c, 1, 0, t + 1);
        assert_null(claims_first(&c));
        say(&c, 1, 0, 1001);
        assert_ptr_equal(claims_first(&c), c.claims + 1);
        /* Counting begins anew. */
        c.claims[1].open = false;
        say(&c, 1, 0, 1002);
        say(&c, 1, 0, 1003);
        assert_null(claims_first(&c));
        say(&c, 1, 0, 1004);
        assert_ptr_equal(claims_first(&c), c.claims + 1);
        /* A confirmed one comes first. */
        say(&c, 0, 0, 1005);
        assert_ptr_equal(claims_first(&c), c.claims);
        c.claims[1].confirmed = true;
        assert_ptr_equal(claims_first(&c), c.claims + 1);
        claims_deinit(&c);
        claims_deinit(&c);
}

/* What a rule has said is taken back: its count, and its open claim. */
static void test_unless(void **state)
{
        const LogEntry cancels = { .kind = LOG_CANCELS, .rule = 1 };
        Claims c;
        usec_t quiet = 0;

        (void)state;
        assert_int_equal(claims_init(&c, &service), 0);
        say(&c, 1, 0, 1);
        say(&c, 1, 0, 2);
        assert_int_equal(claims_feed(&c, &cancels, 0, &(Now){ .mono = 3 }, &quiet), 0);
        assert_true(quiet == 0);
        say(&c, 1, 0, 4);
        say(&c, 1, 0, 5);
        assert_null(claims_first(&c));
        say(&c, 1, 0, 6);
        assert_ptr_equal(claims_first(&c), c.claims + 1);
        say(&c, 0, 0, 7);
        assert_int_equal(claims_feed(&c, &cancels, 0, &(Now){ .mono = 8 }, &quiet), 0);
        assert_true(quiet == 8);
        assert_ptr_equal(claims_first(&c), c.claims); /* another rule's stays */
        claims_deinit(&c);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_life), cmocka_unit_test(test_count),
                                                   cmocka_unit_test(test_unless) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
