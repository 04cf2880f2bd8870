/*
 * diagnosis - what probes, stores, rules and the clock tell, in virtual time; and facts at random
 */
#include "diagnosis_bench.h"

/* A probe that never reports delays "healthy", but does not prevent it. */
static void test_healthy_waits_for_probes(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        status(&b, .run = RUN_RUNNING);
        pass(&b, 19 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "healthy healthy\n");
        bench_deinit(&b);
}

static void test_unresponsive(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        probe(&b, false);
        assert_false(diagnosis_is_up(b.d));
        probe(&b, false);
        probe(&b, true);
        probe(&b, false);
        probe(&b, false);
        expect(&b, "");
        probe(&b, false);
        expect(&b, "fault confirmed +unresponsive\n");
        assert_string_equal(b.last.symptom.detail,
                            "probe tcp 127.0.0.1:2525 failed 3 times in a row: timed out");
        probe(&b, false);
        expect(&b, "");
        /* Flapping: one finding until it was well for the settle time. */
        for (unsigned i = 0; i < 20; i++) {
                probe(&b, true);
                pass(&b, SEC);
                for (unsigned k = 0; k < 3; k++)
                        probe(&b, false);
        }
        expect(&b, "");
        probe(&b, true);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        for (unsigned k = 0; k < 3; k++)
                probe(&b, false);
        expect(&b, "fault confirmed +unresponsive\n");
        bench_deinit(&b);
}

static void disk_is(Bench *b, bool full)
{
        Condition c = { .reason = REASON_DISK_FULL, .id = (char *)"disk 1", .text = (char *)"/var: full" };

        feed(b, (Observation){ .kind = OBSERVATION_CONDITIONS, .conditions = { .list = &c, .n = full } });
}

/* The look that a failing probe asked for does not make a full disk one that the service lives with. */
static void test_unresponsive_explained(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        disk_is(&b, false);
        for (unsigned i = 0; i < 3; i++) {
                probe(&b, false);
                disk_is(&b, true);
        }
        expect(&b, "suspect disk_full +unresponsive\n");
        disk_is(&b, false);
        probe(&b, true);
        pass(&b, 10 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        /* At ease it is known to live with it. */
        disk_is(&b, true);
        for (unsigned i = 0; i < 3; i++)
                probe(&b, false);
        disk_is(&b, true);
        expect(&b, "fault confirmed +unresponsive\n");
        bench_deinit(&b);
}

/* On its way up a service need not answer; but only for as long as a start may take. */
static void test_probe_grace(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        status(&b, .run = RUN_STARTING);
        for (unsigned i = 0; i < 5; i++)
                probe(&b, false);
        status(&b, .run = RUN_RUNNING);
        for (unsigned i = 0; i < 5; i++) {
                pass(&b, 5 * SEC);
                probe(&b, false);
        }
        expect(&b, "");
        pass(&b, 5 * SEC);
        expect(&b, "fault confirmed +unresponsive\n");
        bench_deinit(&b);

        bench_init(&b);
        status(&b, .run = RUN_RUNNING, .since = b.now.mono);
        for (unsigned i = 0; i < 5; i++)
                probe(&b, false);
        pass(&b, 20 * SEC);
        probe(&b, true);
        pass(&b, 5 * SEC);
        expect(&b, "healthy healthy\n");
        bench_deinit(&b);
}

static void test_stalled(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 0, 0, 0);
        pass(&b, 10 * MIN);
        expect(&b, ""); /* nothing waits */
        progress(&b, 0, 3, 3, 0);
        pass(&b, 119 * SEC);
        /* Arrivals are no progress. */
        progress(&b, 0, 10, 7, 0);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "fault confirmed +stalled\n");
        assert_string_equal(b.last.symptom.detail,
                            "10 messages wait in imcdata, and none has moved for 2min");
        assert_int_equal(diagnosis_waiting(b.d), 10);
        /* It moves again. */
        progress(&b, 0, 9, 0, 1);
        pass(&b, 4 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "healthy symptom_cleared\n");
        pass(&b, 115 * SEC);
        expect(&b, "fault confirmed +stalled\n");
        progress(&b, 0, 0, 0, 9);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

/* What is on its way up is not silent yet, for as long as a start may take. */
static void test_stalled_on_the_way_up(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        status(&b, .run = RUN_RUNNING, .since = b.now.mono);
        progress(&b, 0, 3, 3, 0);
        pass(&b, 20 * SEC);
        probe(&b, false);
        pass(&b, 5 * SEC);
        probe(&b, true);
        pass(&b, 5 * SEC);
        expect(&b, "healthy healthy\n");
        pass(&b, 114 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "fault confirmed +stalled\n");
        bench_deinit(&b);
}

static void test_not_stalled(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        /* Arrivals and departures; then only another store moves; then mail is deferred while
         * more arrives. */
        progress(&b, 1, 4, 4, 0);
        for (unsigned i = 0; i < 50; i++) {
                pass(&b, MIN);
                progress(&b, 0, 100, 5, 5);
        }
        for (unsigned i = 0; i < 50; i++) {
                pass(&b, MIN);
                progress(&b, 0, 99 - i, 2, 0);
        }
        expect(&b, "");
        /* Not while it is down or starting, and the time begins anew with each run. */
        status(&b, .run = RUN_STARTING);
        pass(&b, 20 * SEC);
        status(&b, .run = RUN_RUNNING);
        probe(&b, true);
        pass(&b, 119 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "fault confirmed +stalled\n");
        bench_deinit(&b);

        bench_init(&b);
        b.service.stall.enabled = false;
        bring_up(&b);
        progress(&b, 0, 3, 3, 0);
        pass(&b, USEC_PER_DAY);
        expect(&b, "");
        bench_deinit(&b);
}

static void test_claim_alone(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 0, 0, 0);
        pass(&b, SEC);
        entry(&b, 0, "event 4037");
        expect(&b, "suspect claim_only +crashed\n");
        assert_true(b.last.symptom.claimed);
        assert_string_equal(b.last.symptom.rule, "imc-4037");
        assert_string_equal(b.last.symptom.signature, "imc.service/rule/imc-4037");
        assert_string_equal(b.last.symptom.detail, "rule imc-4037, pid 12: event 4037");
        assert_int_equal(diagnosis_reason(b.d), REASON_CLAIM_ONLY);
        for (unsigned i = 0; i < 100; i++) {
                pass(&b, 5 * SEC);
                entry(&b, 0, "event 4037");
        }
        expect(&b, "");
        /* It is forgotten ten minutes after the last. */
        pass(&b, 10 * MIN);
        expect(&b, "");
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

static void test_claim_confirmed(void **state)
{
        Bench b;

        (void)state;
        /* By an end of the run. */
        bench_init(&b);
        bring_up(&b);
        entry(&b, 0, "event 4037");
        pass(&b, SEC);
        status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 11);
        expect(&b, "suspect claim_only +crashed\nfault confirmed +crashed\n");
        assert_false(b.last.symptom.claimed);
        assert_string_equal(b.last.symptom.rule, "imc-4037");
        assert_int_equal(b.last.symptom.signal, 11);
        bench_deinit(&b);

        /* In the other order: the log comes late. */
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 11);
        entry(&b, 0, "event 4037");
        expect(&b, "suspect unit_restarts +crashed\nfault confirmed +crashed\n");
        bench_deinit(&b);

        /* By one probe that fails. */
        bench_init(&b);
        bring_up(&b);
        entry(&b, 0, "event 4037");
        probe(&b, false);
        expect(&b, "suspect claim_only +crashed\nfault confirmed +crashed\n");
        assert_string_equal(b.last.symptom.detail,
                            "rule imc-4037, pid 12: event 4037; probe tcp 127.0.0.1:2525 fails");
        assert_true(b.last.symptom.claimed);
        bench_deinit(&b);

        /* By mail that waits and has not moved since. */
        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 7, 7, 0);
        pass(&b, SEC);
        entry(&b, 0, "event 4037");
        pass(&b, 4 * SEC);
        entry(&b, 0, "event 4037");
        expect(&b, "suspect claim_only +crashed\n");
        pass(&b, SEC);
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);

        /* Not if it moved, unless the claim is made again. */
        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 7, 7, 0);
        entry(&b, 0, "event 4037");
        pass(&b, 4 * SEC);
        progress(&b, 0, 6, 0, 1);
        pass(&b, 90 * SEC);
        expect(&b, "suspect claim_only +crashed\n");
        entry(&b, 0, "event 4037");
        pass(&b, 5 * SEC);
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);
}

static void test_count_within(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < 20; i++) {
                entry(&b, 1, "slow");
                pass(&b, 6 * SEC);
        }
        expect(&b, "");
        pass(&b, MIN);
        entry(&b, 1, "slow");
        entry(&b, 1, "slow");
        expect(&b, "");
        entry(&b, 1, "slow \xc3\xa4");
        expect(&b, "suspect claim_only +event\n");
        assert_string_equal(b.last.symptom.detail, "rule slow, 3 times, pid 12: slow \xc3\xa4");
        bench_deinit(&b);
}

static void test_clock_jump(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 4, 4, 0);
        /* The host slept for an hour: nothing moved, and that means nothing. */
        b.now.mono += USEC_PER_HOUR;
        host(&b, false, true);
        expect(&b, "");
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        expect(&b, "suspect clock_jump +crashed\n");
        pass(&b, 4 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "fault confirmed crashed\n");
        bench_deinit(&b);

        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 4, 4, 0);
        host(&b, false, true);
        pass(&b, 119 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "fault confirmed +stalled\n");
        bench_deinit(&b);
}

static void test_refused(void **state)
{
        Observation wrong[] = {
                { .kind = OBSERVATION_PROBE, .probe = { .probe = 1 } },
                { .kind = OBSERVATION_PROGRESS, .progress = { .store = 2 } },
                { .kind = OBSERVATION_LOG, .log = { .rule = 2 } },
                { .kind = _OBSERVATION_KIND_MAX },
        };
        Finding f;
        Bench b;

        (void)state;
        bench_init(&b);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
                assert_int_equal(diagnosis_feed(b.d, wrong + i, &b.now, &f), -EINVAL);
        feed(&b, (Observation){ .kind = OBSERVATION_INFLIGHT,
                                .inflight = { .pid = 1, .name = "x", .path = "/x", .signal = 11 } });
        expect(&b, "");
        bench_deinit(&b);

        /* A service with nothing to watch but its run. */
        bench_init(&b);
        b.service = (ServiceSettings){ .name = (char *)"bare" };
        diagnosis_free(b.d);
        assert_int_equal(diagnosis_new(&b.d, &b.service), 0);
        status(&b, .run = RUN_RUNNING);
        expect(&b, "healthy healthy\n");
        status(&b, .run = RUN_STARTING);
        pass(&b, USEC_PER_DAY);
        expect(&b, "");
        status(&b, .run = RUN_FAILED, .exited = true, .exit_code = 2);
        expect(&b, "fault confirmed +start_failed\n");
        assert_string_equal(b.last.symptom.signature, "bare/exit/2");
        bench_deinit(&b);
}

static unsigned below(uint64_t *seed, unsigned n)
{
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return (unsigned)(*seed >> 33) % n;
}

/* Facts in any order, at any time: no verdict without need, no endless ticks, no wild text. */
static void test_random(void **state)
{
        uint64_t seed = 7;
        Bench b;

        (void)state;
        for (unsigned round = 0; round < 60; round++) {
                bench_init(&b);
                for (unsigned i = 0; i < 400; i++) {
                        switch (below(&seed, 8)) {
                        case 0:
                        case 1:
                                b.restarts += (unsigned)below(&seed, 2);
                                status(&b, .run = (RunState)below(&seed, _RUN_STATE_MAX),
                                       .exited = below(&seed, 2), .signal = (int)below(&seed, 3) * 11,
                                       .operator_stop = !below(&seed, 5), .masked = !below(&seed, 20),
                                       .result = below(&seed, 2) ? "exit-code" : NULL);
                                break;
                        case 2:
                                probe(&b, below(&seed, 2));
                                break;
                        case 3:
                                progress(&b, below(&seed, 2), below(&seed, 4), below(&seed, 2),
                                         below(&seed, 2));
                                break;
                        case 4:
                                entry(&b, below(&seed, 2), "line");
                                break;
                        case 5:
                                host(&b, !below(&seed, 10), !below(&seed, 10));
                                break;
                        case 6:
                                if (!below(&seed, 10))
                                        diagnosis_expect_stop(b.d);
                                if (!below(&seed, 5))
                                        diagnosis_reset(b.d, &b.now);
                                break;
                        case 7:
                                break;
                        }
                        pass(&b, below(&seed, 4) ? below(&seed, 3000000) : below(&seed, 180000000));
                        assert_true(diagnosis_waiting(b.d) <= 6);
                        b.log[0] = '\0';
                }
                bench_deinit(&b);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_healthy_waits_for_probes),
                cmocka_unit_test(test_unresponsive),
                cmocka_unit_test(test_unresponsive_explained),
                cmocka_unit_test(test_probe_grace),
                cmocka_unit_test(test_stalled),
                cmocka_unit_test(test_stalled_on_the_way_up),
                cmocka_unit_test(test_not_stalled),
                cmocka_unit_test(test_claim_alone),
                cmocka_unit_test(test_claim_confirmed),
                cmocka_unit_test(test_count_within),
                cmocka_unit_test(test_clock_jump),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_random),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
