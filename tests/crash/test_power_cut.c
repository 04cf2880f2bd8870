/*
 * Power cuts: the whole daemon on a disk that remembers what was not synced and loses any part of it.
 *
 * Each seed chooses a kind of recovery and a call; there the plug is pulled (live/calls.c): every change that
 * no sync has covered, in the state, the audit trail, the guard, hold, quarantine and the stores, is kept or
 * lost by the throw of a coin. Then the host comes up: the server starts at once unless the guard holds it
 * back, and then unjamd. Every third time the plug is pulled once more while it resumes. After each cut every
 * file of every message is in exactly one place, unchanged; in the end the recovery has come to what it comes
 * to undisturbed.
 *
 * UNJAM_CUTS is the number of seeds, UNJAM_SEED the first of them; a seed that fails is named.
 */
#include "live/kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static Baseline *baselines;

static int set_up(void **state)
{
        (void)state;
        baselines = calloc(n_kinds, sizeof(*baselines));
        assert_non_null(baselines);
        for (unsigned k = 0; k < n_kinds; k++)
                kind_baseline(kinds + k, baselines + k);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        free(baselines);
        return 0;
}

static void cut(unsigned seed)
{
        unsigned random = seed, which = (unsigned)rand_r(&random) % n_kinds;
        const Kind *k = kinds + which;
        unsigned long at = 1 + (unsigned long)rand_r(&random) % baselines[which].calls;
        Live *l = kind_begin(k);
        char when[64];
        LiveEnd e;

        snprintf(when, sizeof(when), "seed %u, cut off at call %lu", seed, at);
        for (unsigned cuts = seed % 3 == 0 ? 2 : 1;; cuts--) {
                const Calls calls = { .how = cuts ? CALLS_POWER : CALLS_COUNT,
                                      .kinds = CALLS_CHANGING,
                                      .at = at,
                                      .seed = seed };

                e = live_run(l, &calls);
                kind_check(l, k, NULL, when);
                if (e != LIVE_KILLED)
                        break;
                tally.cuts++;
                live_boot(l);
                at = 1 + (unsigned long)rand_r(&random) % 60;
        }
        if (e != LIVE_DONE)
                fail_msg("%s, %s: it comes to no end (%d)", k->name, when, e);
        kind_check_end(l, k, baselines + which, k->loose, when);
        live_free(l);
}

static void test_cuts(void **state)
{
        unsigned first = from_environment("UNJAM_SEED", 1), n = from_environment("UNJAM_CUTS", 300);

        (void)state;
        print_message("seeds %u to %u\n", first, first + n - 1);
        for (unsigned seed = first; seed < first + n; seed++)
                cut(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_cuts) };
        int r;

        in_memory();
        r = cmocka_run_group_tests_name("power_cut", tests, set_up, tear_down);
        tally_print();
        return r;
}
