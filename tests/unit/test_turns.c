/* turns - how many at a time, in which order, and who leaves */
#include "base/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N 5

typedef struct Asker {
        Turn turn;
        unsigned *clock, went; /* the how-manyth to go; 0: not yet */
        bool ends_at_once;
} Asker;

static void go(void *userdata)
{
        Asker *a = userdata;

        assert_int_equal(a->went, 0);
        a->went = ++*a->clock;
        if (a->ends_at_once)
                turn_end(&a->turn);
}

static void ask_all(Turns *turns, Asker *a, unsigned *clock, bool ends_at_once)
{
        *clock = 0;
        for (unsigned i = 0; i < N; i++) {
                a[i] = (Asker){ .turn = { .go = go, .userdata = &a[i] },
                                .clock = clock,
                                .ends_at_once = ends_at_once };
                turn_ask(turns, &a[i].turn);
        }
}

static void test_limit_and_order(void **state)
{
        Turns turns = TURNS(2);
        Asker a[N];
        unsigned clock;

        (void)state;
        ask_all(&turns, a, &clock, false);
        assert_int_equal(clock, 2);
        assert_true(a[0].went == 1 && a[1].went == 2);
        turn_ask(&turns, &a[0].turn); /* it has one */
        turn_ask(&turns, &a[4].turn); /* it waits */
        assert_int_equal(clock, 2);
        turn_end(&a[1].turn);
        assert_int_equal(a[2].went, 3);
        assert_false(turn_is_asked(&a[1].turn));
        turn_end(&a[3].turn); /* it will not wait */
        assert_int_equal(clock, 3);
        turn_end(&a[0].turn);
        assert_int_equal(a[4].went, 4);
        assert_int_equal(a[3].went, 0);
        turn_end(&a[3].turn);
        turn_end(&a[2].turn);
        turn_end(&a[4].turn);
        assert_true(turns.n == 0 && !turns.waiting);
}

static void test_short_turns(void **state)
{
        Turns turns = TURNS(1);
        Asker first = { .turn = { .go = go, .userdata = &first } }, a[N];
        unsigned clock, other = 0;

        (void)state;
        first.clock = &other;
        turn_ask(&turns, &first.turn);
        ask_all(&turns, a, &clock, true);
        assert_int_equal(clock, 0);
        turn_end(&first.turn);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(a[i].went, i + 1);
        assert_int_equal(turns.n, 0);
}

static void test_without_limit(void **state)
{
        Asker a[N];
        unsigned clock;

        (void)state;
        ask_all(NULL, a, &clock, false);
        assert_int_equal(clock, N);
        assert_true(turn_is_asked(&a[0].turn));
        for (unsigned i = 0; i < N; i++)
                turn_end(&a[i].turn);
        assert_false(turn_is_asked(&a[0].turn));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_limit_and_order),
                cmocka_unit_test(test_short_turns),
                cmocka_unit_test(test_without_limit),
        };

        return cmocka_run_group_tests_name("base/turns", tests, NULL, NULL);
}
