/*
 * diagnosis, diagnosis_refresh - the life of the run: starts, ends, stops, resets, in virtual time
 */
#include "diagnosis_bench.h"

static void test_words(void **state)
{
        (void)state;
        for (int i = 0; i < (int)_VERDICT_MAX; i++)
                assert_int_equal(verdict_from_string(verdict_to_string((Verdict)i)), i);
}

static void test_healthy(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < 100; i++) {
                pass(&b, 15 * SEC);
                probe(&b, true);
                progress(&b, 0, 3, 1, 1);
        }
        expect(&b, "");
        assert_int_equal(diagnosis_reason(b.d), REASON_HEALTHY);
        assert_int_equal(diagnosis_waiting(b.d), 3);
        bench_deinit(&b);
}

static void test_crash(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11, .core = true, .result = "core-dump");
        expect(&b, "fault confirmed +crashed\n");
        assert_false(diagnosis_is_up(b.d));
        assert_int_equal(b.last.symptom.signal, 11);
        assert_true(b.last.symptom.core);
        assert_false(b.last.symptom.claimed);
        assert_string_equal(b.last.symptom.signature, "imc.service/signal/11");
        assert_string_equal(b.last.symptom.detail,
                            "killed by signal 11 SIGSEGV, core dumped, result core-dump");
        assert_true(b.last.symptom.wall == b.now.wall);
        /* The same again is no news, and it does not go away by itself. */
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11, .core = true, .result = "core-dump");
        pass(&b, USEC_PER_DAY);
        expect(&b, "");
        /* Somebody starts it: it is past after the settle time. */
        status(&b, .run = RUN_STARTING);
        status(&b, .run = RUN_RUNNING);
        probe(&b, true);
        pass(&b, 4 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

static void test_exit_zero(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_STOPPED, .exited = true, .result = "success");
        expect(&b, "fault confirmed +crashed\n");
        assert_string_equal(b.last.symptom.detail, "exit code 0, result success");
        bench_deinit(&b);

        /* The manager shows the stop in between: the process had ended before. */
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_STOPPING, .exited = true);
        status(&b, .run = RUN_STOPPED, .exited = true);
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);

        /* A stop that somebody asked for, who was not the operator: no failure. */
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_STOPPING);
        status(&b, .run = RUN_STOPPED, .exited = true);
        pass(&b, USEC_PER_HOUR);
        expect(&b, "");
        bench_deinit(&b);
}

/* The watchdog of the manager, or its OOM policy, stops it before it fails. */
static void test_killed_by_manager(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_STOPPING);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 6, .result = "watchdog");
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);
}

static void test_start_failed(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        status(&b, .run = RUN_STARTING);
        pass(&b, SEC);
        status(&b, .run = RUN_FAILED, .exited = true, .exit_code = 1, .result = "exit-code");
        expect(&b, "fault confirmed +start_failed\n");
        assert_string_equal(b.last.symptom.signature, "imc.service/exit/1");
        assert_int_equal(b.last.symptom.exit_code, 1);
        /* Another try that ends the same way is the same finding, one that ends otherwise is another. */
        status(&b, .run = RUN_STARTING);
        status(&b, .run = RUN_FAILED, .exited = true, .exit_code = 1, .result = "exit-code");
        expect(&b, "");
        status(&b, .run = RUN_STARTING);
        status(&b, .run = RUN_FAILED, .result = "resources");
        expect(&b, "fault confirmed +start_failed\n");
        assert_string_equal(b.last.symptom.detail, "nothing of it runs, result resources");
        bench_deinit(&b);

        bench_init(&b);
        status(&b, .run = RUN_STARTING);
        status(&b, .run = RUN_STOPPED, .result = "exec-condition");
        expect(&b, "");
        bench_deinit(&b);
}

static void test_start_hung(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        status(&b, .run = RUN_STARTING);
        pass(&b, 29 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "fault confirmed +start_hung\n");
        assert_string_equal(b.last.symptom.detail, "starting for 30s");
        status(&b, .run = RUN_RUNNING);
        probe(&b, true);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);

        /* It was starting for long already when unjamd came. */
        bench_init(&b);
        status(&b, .run = RUN_STARTING, .since = b.now.mono - 40 * SEC);
        expect(&b, "fault confirmed +start_hung\n");
        bench_deinit(&b);
}

static void test_stop_hung(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        /* The Stop button: the operator's stop hangs. */
        status(&b, .run = RUN_STOPPING, .operator_stop = true);
        expect(&b, "stand_down operator_stop\n");
        pass(&b, 10 * SEC);
        status(&b, .run = RUN_STOPPING, .operator_stop = true);
        pass(&b, 10 * SEC);
        expect(&b, "fault confirmed +stop_hung\n");
        assert_string_equal(b.last.symptom.detail, "stopping for 20s");
        status(&b, .run = RUN_FAILED, .operator_stop = true, .exited = true, .signal = 9);
        expect(&b, "stand_down operator_stop\n");
        pass(&b, USEC_PER_DAY);
        expect(&b, "");
        bring_up(&b);
        /* A stop of nobody we know. */
        status(&b, .run = RUN_STOPPING);
        pass(&b, 20 * SEC);
        expect(&b, "fault confirmed +stop_hung\n");
        bench_deinit(&b);
}

static void test_operator(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        progress(&b, 0, 5, 5, 0);
        status(&b, .run = RUN_STOPPING, .operator_stop = true);
        status(&b, .run = RUN_STOPPED, .operator_stop = true, .exited = true);
        probe(&b, false);
        probe(&b, false);
        probe(&b, false);
        entry(&b, 0, "4037");
        pass(&b, USEC_PER_DAY);
        expect(&b, "stand_down operator_stop\n");
        assert_int_equal(diagnosis_reason(b.d), REASON_OPERATOR_STOP);
        bring_up(&b);
        pass(&b, 110 * SEC);
        expect(&b, "");
        bench_deinit(&b);
}

/* What a service looked like when unjamd came. */
static void test_first_look(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        status(&b, .run = RUN_STOPPED);
        expect(&b, "stand_down operator_stop\n");
        status(&b, .run = RUN_STOPPED);
        pass(&b, USEC_PER_DAY);
        expect(&b, "");
        bring_up(&b);
        bench_deinit(&b);

        bench_init(&b);
        status(&b, .run = RUN_FAILED, .since = 5, .exited = true, .signal = 11, .result = "signal");
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);

        bench_init(&b);
        status(&b, .run = RUN_FAILED, .since = 5, .result = "timeout");
        expect(&b, "fault confirmed +start_failed\n");
        bench_deinit(&b);

        bench_init(&b);
        status(&b, .run = RUN_FAILED, .since = 5, .result = "start-limit-hit");
        expect(&b, "fault confirmed +crash_loop\n");
        bench_deinit(&b);

        bench_init(&b);
        status(&b, .run = RUN_FAILED, .since = 5, .operator_stop = true, .exited = true, .signal = 9);
        expect(&b, "stand_down operator_stop\n");
        bench_deinit(&b);

        /* Running for long: a probe that never answers has no grace, but stall counts from now. */
        bench_init(&b);
        status(&b, .run = RUN_RUNNING, .since = 5);
        progress(&b, 0, 5, 0, 0);
        probe(&b, false);
        probe(&b, false);
        expect(&b, "");
        probe(&b, false);
        expect(&b, "fault confirmed +unresponsive\n");
        bench_deinit(&b);
}

static void test_mask_and_shutdown(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_RUNNING, .masked = true);
        expect(&b, "stand_down masked\n");
        status(&b, .run = RUN_STOPPED, .masked = true);
        expect(&b, "");
        host(&b, true, false);
        expect(&b, "stand_down shutdown\n");
        host(&b, false, false);
        expect(&b, "stand_down masked\n");
        bench_deinit(&b);

        bench_init(&b);
        bring_up(&b);
        host(&b, true, false);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 15);
        pass(&b, USEC_PER_HOUR);
        expect(&b, "stand_down shutdown\n");
        bench_deinit(&b);
}

/* The unit's own Restart= is let do its work, until a window is full. */
static void test_crash_loop(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < 40; i++) {
                status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 11);
                if (i < 2)
                        expect(&b, "suspect unit_restarts +crashed\n");
                else if (i == 2)
                        expect(&b, "fault confirmed +crash_loop\n");
                else
                        expect(&b, "");
                pass(&b, 100 * USEC_PER_MSEC);
                b.restarts++;
                status(&b, .run = RUN_STARTING);
                status(&b, .run = RUN_RUNNING);
                probe(&b, true);
                pass(&b, 6 * SEC);
                /* It was up for the settle time, so the single crash is past. */
                if (i < 2)
                        expect(&b, "healthy symptom_cleared\n");
        }
        assert_true(b.n <= 8);
        expect(&b, "");
        pass(&b, 113 * SEC);
        expect(&b, "");
        pass(&b, 2 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

static void test_flapping_is_one_finding(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        b.n = 0;
        for (unsigned i = 0; i < 500; i++) {
                status(&b, .run = RUN_RESTARTING, .exited = true, .exit_code = 3);
                pass(&b, 100 * USEC_PER_MSEC);
                b.restarts++;
                status(&b, .run = RUN_STARTING);
                status(&b, .run = RUN_RUNNING);
                pass(&b, SEC);
        }
        expect(&b, "suspect unit_restarts +crashed\nfault confirmed +crash_loop\n");
        assert_string_equal(b.last.symptom.detail, "exit code 3; 3 times within 2min");
        bench_deinit(&b);
}

/* A loop that is too slow for the short windows. */
static void test_slow_crash_loop(void **state)
{
        Bench b;
        unsigned crashes = 0;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        while (crashes < 100 && b.last.verdict != VERDICT_FAULT) {
                pass(&b, 2 * USEC_PER_HOUR);
                status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 6);
                crashes++;
                b.restarts++;
                status(&b, .run = RUN_RUNNING);
        }
        assert_int_equal(crashes, 8);
        assert_int_equal(b.last.symptom.kind, SYMPTOM_CRASH_LOOP);
        bench_deinit(&b);

        /* Slower still is none: windows heal. */
        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < 50; i++) {
                pass(&b, 4 * USEC_PER_HOUR);
                status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 6);
                assert_int_equal(b.last.symptom.kind, SYMPTOM_CRASHED);
                b.restarts++;
                status(&b, .run = RUN_RUNNING);
        }
        bench_deinit(&b);

        /* Different ends are no loop. */
        bench_init(&b);
        bring_up(&b);
        for (int i = 0; i < 10; i++) {
                status(&b, .run = RUN_RESTARTING, .exited = true, .exit_code = i);
                assert_int_equal(b.last.symptom.kind, SYMPTOM_CRASHED);
                b.restarts++;
                status(&b, .run = RUN_RUNNING);
        }
        bench_deinit(&b);
}

static void test_start_limit(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 11);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11, .result = "start-limit-hit");
        expect(&b, "suspect unit_restarts +crashed\nfault confirmed +crash_loop\n");
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11, .result = "start-limit-hit");
        expect(&b, "");
        bench_deinit(&b);
}

/* A restart that did not come to pass is the same end, now with nobody to start it. */
static void test_restart_fails(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 11);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        expect(&b, "suspect unit_restarts +crashed\nfault confirmed crashed\n");
        bench_deinit(&b);
}

/* The manager tells only of the last of several quick changes. */
static void test_missed_states(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        /* It crashed and was restarted between two looks. */
        b.restarts = 1;
        status(&b, .run = RUN_RUNNING);
        expect(&b, "suspect unit_restarts +crashed\n");
        b.restarts = 3;
        status(&b, .run = RUN_RUNNING);
        expect(&b, "fault confirmed +crash_loop\n");
        bench_deinit(&b);

        /* A count that lags behind what was seen is no further crash. */
        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < 2; i++) {
                status(&b, .run = RUN_RESTARTING, .exited = true, .signal = 11);
                b.restarts++;
                status(&b, .run = RUN_STARTING);
                status(&b, .run = RUN_RUNNING);
        }
        expect(&b, "suspect unit_restarts +crashed\n");
        bench_deinit(&b);

        /* Failed, started and failed again: another invocation of the same state. */
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        diagnosis_reset(b.d, &b.now);
        expect(&b, "fault confirmed +crashed\n");
        strcpy(b.invocation, "other");
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);

        /* An operator's restart that was too quick to see is no failure. */
        bench_init(&b);
        bring_up(&b);
        strcpy(b.invocation, "other");
        status(&b, .run = RUN_RUNNING);
        probe(&b, true);
        pass(&b, MIN);
        expect(&b, "");
        bench_deinit(&b);
}

static void test_reset(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        expect(&b, "fault confirmed +crashed\n");
        diagnosis_reset(b.d, &b.now);
        assert_int_equal(diagnosis_reason(b.d), REASON_NONE);
        /* What is known is not said again ... */
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        pass(&b, USEC_PER_HOUR);
        expect(&b, "");
        /* ... but the next end is, and crash windows are kept. */
        for (unsigned i = 0; i < 3; i++) {
                status(&b, .run = RUN_STARTING);
                status(&b, .run = RUN_RUNNING);
                status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
                expect(&b, i < 2 ? "fault confirmed +crashed\n" : "fault confirmed +crash_loop\n");
                diagnosis_reset(b.d, &b.now);
        }
        /* A reset while it is up: healthy is said again, after the settle time. */
        bring_up(&b);
        diagnosis_reset(b.d, &b.now);
        probe(&b, true);
        pass(&b, 4 * SEC);
        expect(&b, "");
        pass(&b, SEC);
        expect(&b, "healthy healthy\n");
        bench_deinit(&b);
}

/* unjamd's own stop and kill are no failures, and do not fill the windows. */
static void test_expected(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        for (unsigned i = 0; i < 10; i++) {
                diagnosis_expect_stop(b.d);
                status(&b, .run = RUN_STOPPING);
                pass(&b, MIN);
                status(&b, .run = RUN_FAILED, .exited = true, .signal = 9);
                status(&b, .run = RUN_STOPPED);
                pass(&b, MIN);
                expect(&b, "");
                diagnosis_reset(b.d, &b.now);
                bring_up(&b);
        }
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 9);
        expect(&b, "fault confirmed +crashed\n");
        /* An operator's stop counts even then. */
        diagnosis_expect_stop(b.d);
        status(&b, .run = RUN_STOPPED, .operator_stop = true);
        expect(&b, "stand_down operator_stop\n");
        bench_deinit(&b);
}

/* A manager that cannot be asked: no verdict, and none when it can be asked again and all is well. */
static void test_unknown(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_UNKNOWN);
        pass(&b, USEC_PER_HOUR);
        status(&b, .run = RUN_RUNNING);
        expect(&b, "");
        status(&b, .run = RUN_UNKNOWN);
        status(&b, .run = RUN_FAILED, .exited = true, .signal = 11);
        expect(&b, "fault confirmed +crashed\n");
        bench_deinit(&b);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_healthy),
                cmocka_unit_test(test_crash),
                cmocka_unit_test(test_exit_zero),
                cmocka_unit_test(test_killed_by_manager),
                cmocka_unit_test(test_start_failed),
                cmocka_unit_test(test_start_hung),
                cmocka_unit_test(test_stop_hung),
                cmocka_unit_test(test_operator),
                cmocka_unit_test(test_first_look),
                cmocka_unit_test(test_mask_and_shutdown),
                cmocka_unit_test(test_crash_loop),
                cmocka_unit_test(test_flapping_is_one_finding),
                cmocka_unit_test(test_slow_crash_loop),
                cmocka_unit_test(test_start_limit),
                cmocka_unit_test(test_restart_fails),
                cmocka_unit_test(test_missed_states),
                cmocka_unit_test(test_reset),
                cmocka_unit_test(test_expected),
                cmocka_unit_test(test_unknown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
