/*
 * Crash loops of every period from a second to ten minutes, in virtual time: each is recognised within eight
 * crashes and is one finding, however long it goes on. diagnosis, run_watch and windows together.
 */
#include "diagnosis_bench.h"

#include "base/cleanup.h"

#include <string.h>

#define CRASHES 40

/* The process dies @signal; the manager starts it again, and it works for the rest of @period. */
static void crash(Bench *b, usec_t period, int signal)
{
        usec_t quick = period / 10;

        status(b, .run = RUN_RESTARTING, .exited = true, .signal = signal, .result = "signal");
        b->restarts++;
        pass(b, quick);
        status(b, .run = RUN_STARTING);
        pass(b, quick);
        status(b, .run = RUN_RUNNING);
        probe(b, true);
        pass(b, period - 2 * quick);
}

/* Deterministic: the next of a sequence that looks random. */
static uint32_t next(uint32_t *seed)
{
        *seed = *seed * 1664525u + 1013904223u;
        return *seed >> 16;
}

static unsigned faults_in(const char *log)
{
        unsigned n = 0;

        for (const char *at = log; (at = strstr(at, "fault ")); at++)
                n++;
        return n;
}

/* Crashes until the loop was seen; then as many more, which are no news. */
static unsigned loop(usec_t period, unsigned spread, const int *signals, size_t n_signals)
{
        uint32_t seed = (uint32_t)period;
        unsigned seen = 0, faults = 0;
        Bench b;

        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < CRASHES; i++) {
                usec_t jitter = spread ? period * spread / 100 * (next(&seed) % 201) / 100 : 0;

                crash(&b, period - period * spread / 100 + jitter, signals[i % n_signals]);
                if (!seen && strstr(b.log, "+crash_loop"))
                        seen = i + 1;
                if (seen && i + 1 > seen) {
                        faults += faults_in(b.log);
                        assert_null(strstr(b.log, "healthy"));
                }
                b.log[0] = '\0';
        }
        bench_deinit(&b);
        /* One finding for each way to die, not one each time. */
        assert_in_range(faults, 0, n_signals - 1);
        return seen;
}

static void test_every_period(void **state)
{
        static const int one[] = { 11 };

        (void)state;
        for (unsigned s = 1; s <= 600; s++) {
                unsigned seen = loop(s * SEC, 0, one, 1);

                if (seen == 0 || seen > (s <= 60 ? 3 : s <= 450 ? 5 : 8))
                        fail_msg("a crash every %u s was seen as a loop after %u", s, seen);
        }
}

static void test_irregular(void **state)
{
        static const int one[] = { 6 };

        (void)state;
        for (unsigned s = 1; s <= 600; s += 7) {
                unsigned seen = loop(s * SEC, 30, one, 1);

                assert_in_range(seen, 1, 8);
        }
}

/* Two ways to die by turns: two signatures, each of which loops. */
static void test_two_signatures(void **state)
{
        static const int two[] = { 11, 6 };

        (void)state;
        for (unsigned s = 1; s <= 600; s += 13) {
                unsigned seen = loop(s * SEC, 0, two, 2);

                assert_in_range(seen, 3, 16);
        }
}

/* Dies in another way each time: no loop of one signature, and no false one. */
static void test_no_loop(void **state)
{
        static const int all[] = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16 };

        (void)state;
        assert_int_equal(loop(4 * USEC_PER_HOUR, 0, all, ELEMENTSOF(all)), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_period),
                cmocka_unit_test(test_irregular),
                cmocka_unit_test(test_two_signatures),
                cmocka_unit_test(test_no_loop),
        };

        return cmocka_run_group_tests_name("diagnosis loops", tests, NULL, NULL);
}
