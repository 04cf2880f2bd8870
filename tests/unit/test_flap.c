/* Tests of decide/flap.c: which fault is worth another incident. Time is virtual. */
#include "decide/flap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START (5 * USEC_PER_DAY)
#define MIN   USEC_PER_MIN

static void test_nothing_is_held_back_at_first(void **state)
{
        Flaps f = { 0 };

        (void)state;
        assert_false(flaps_hold(&f, SYMPTOM_CRASHED, START));
        assert_int_equal(flaps_until(&f, SYMPTOM_CRASHED), USEC_INFINITY);
        flaps_closed(&f, CLOSE_RECOVERED, SYMPTOM_CRASHED, START);
        assert_false(flaps_hold(&f, SYMPTOM_CRASHED, START + 1)); /* it is acted upon, within its budget */
}

static void test_quiet(void **state)
{
        Flaps f = { 0 };

        (void)state;
        flaps_closed(&f, CLOSE_OBSERVED, SYMPTOM_UNRESPONSIVE, START);
        assert_int_equal(flaps_until(&f, SYMPTOM_UNRESPONSIVE), USEC_INFINITY); /* nothing waits */
        assert_false(flaps_hold(&f, SYMPTOM_UNRESPONSIVE, START + 10 * MIN));

        flaps_closed(&f, CLOSE_ESCALATED, SYMPTOM_CRASHED, START);
        assert_true(flaps_hold(&f, SYMPTOM_CRASHED, START + 9 * MIN));
        assert_int_equal(flaps_until(&f, SYMPTOM_CRASHED), START + 19 * MIN);
        assert_true(flaps_hold(&f, SYMPTOM_CRASH_LOOP, START + 18 * MIN)); /* the same trouble */
        assert_int_equal(flaps_held(&f, SYMPTOM_START_FAILED), 2);
        assert_false(flaps_hold(&f, SYMPTOM_STALLED, START + 18 * MIN)); /* another one */
        assert_false(flaps_hold(&f, SYMPTOM_CRASHED, START + 28 * MIN));
}

static void test_somebody_had_it_in_hand(void **state)
{
        Flaps f = { 0 };

        (void)state;
        flaps_closed(&f, CLOSE_ESCALATED, SYMPTOM_CRASHED, START);
        flaps_clear(&f);
        assert_false(flaps_hold(&f, SYMPTOM_CRASHED, START + 1));
        flaps_closed(&f, CLOSE_ESCALATED, SYMPTOM_CRASHED, START);
        flaps_closed(&f, CLOSE_RECOVERED, SYMPTOM_CRASHED, START + MIN);
        assert_false(flaps_hold(&f, SYMPTOM_CRASHED, START + 2 * MIN));
}

/* How many incidents a service gives in @days that fails each @period; every one is closed at once. */
static unsigned incidents(usec_t period, unsigned days)
{
        Flaps f = { 0 };
        unsigned n = 0;

        for (usec_t t = START; t < START + days * USEC_PER_DAY; t += period)
                if (!flaps_hold(&f, SYMPTOM_UNRESPONSIVE, t)) {
                        flaps_closed(&f, CLOSE_OBSERVED, SYMPTOM_UNRESPONSIVE, t);
                        n++;
                }
        return n;
}

/* However fast or slowly it flaps: one, and one more for each day; a few more until the back-off fits. */
static void test_a_service_that_flaps(void **state)
{
        static const struct {
                usec_t period;
                unsigned first; /* on the first day */
        } flaps[] = {
                { 10 * USEC_PER_SEC, 1 }, { MIN, 1 },       { 9 * MIN, 1 },           { 15 * MIN, 2 },
                { 35 * MIN, 3 },          { 100 * MIN, 5 }, { 3 * USEC_PER_HOUR, 6 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(flaps) / sizeof(flaps[0]); i++) {
                assert_int_equal(incidents(flaps[i].period, 1), flaps[i].first);
                assert_in_range(incidents(flaps[i].period, 30), 30, flaps[i].first + 30);
        }
}

/* Trouble that comes once a day or less is no flapping: each time it is an incident. */
static void test_what_is_rare(void **state)
{
        (void)state;
        assert_int_equal(incidents(USEC_PER_DAY, 10), 10);
        assert_int_equal(incidents(2 * USEC_PER_DAY, 10), 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_is_held_back_at_first),
                cmocka_unit_test(test_quiet),
                cmocka_unit_test(test_somebody_had_it_in_hand),
                cmocka_unit_test(test_a_service_that_flaps),
                cmocka_unit_test(test_what_is_rare),
        };

        return cmocka_run_group_tests_name("flap", tests, NULL, NULL);
}
