/* run_watch - which changes of the run are failures; every pair of states */
#include "diagnose/run_watch.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static CrashWindow windows[] = { { 3, 100 } };
static ServiceSettings service = { .name = (char *)"imc", .crash_windows = windows, .n_crash_windows = 1 };

static RunNews feed(RunWatch *w, ServiceStatus s, usec_t mono)
{
        Now now = { .mono = mono, .wall = 1 };
        RunNews news;

        assert_int_equal(run_watch_feed(w, &s, &now, &news), 0);
        return news;
}

/* From each state to each other, by itself: is it a failure, is it final, does a run begin? */
static void test_every_pair(void **state)
{
        /* "f" failure, "F" failure that nobody else mends, "b" a run begins, "." nothing; rows are the state
         * before. */
        static const char expected[_RUN_STATE_MAX][_RUN_STATE_MAX + 1] = {
                /*                unknown stopped starting running stopping failed restarting */
                [RUN_UNKNOWN] = "..bb.Ff",    [RUN_STOPPED] = "..bb.Ff",  [RUN_STARTING] = ".F...Ff",
                [RUN_RUNNING] = ".Fb..Ff",    [RUN_STOPPING] = "..bb.Ff", [RUN_FAILED] = "..bb..f",
                [RUN_RESTARTING] = "..bb.F.",
        };

        (void)state;
        for (int from = 0; from < (int)_RUN_STATE_MAX; from++)
                for (int to = 0; to < (int)_RUN_STATE_MAX; to++)
                        for (int operators = 0; operators < 2; operators++) {
                                char c = expected[from][to], got;
                                RunNews news;
                                RunWatch w;

                                assert_int_equal(run_watch_init(&w, &service), 0);
                                feed(&w, (ServiceStatus){ .run = (RunState)from, .invocation = "a" }, 1000);
                                news = feed(&w,
                                            (ServiceStatus){ .run = (RunState)to,
                                                             .invocation = "a",
                                                             .exited = true,
                                                             .signal = 11,
                                                             .operator_stop = operators },
                                            2000);
                                got = news.failed && news.gave_up ? 'F'
                                      : news.failed               ? 'f'
                                      : news.began                ? 'b'
                                                                  : '.';
                                if (operators && (c == 'f' || c == 'F'))
                                        c = '.';
                                if (got != c)
                                        fail_msg("%s to %s: %c and not %c",
                                                 run_state_to_string((RunState)from),
                                                 run_state_to_string((RunState)to), got, c);
                                assert_int_equal(news.entered, from != to);
                                assert_int_equal(w.run, to);
                                run_watch_deinit(&w);
                        }
}

static void test_kinds(void **state)
{
        RunNews news;
        RunWatch w;

        (void)state;
        assert_int_equal(run_watch_init(&w, &service), 0);
        feed(&w, (ServiceStatus){ .run = RUN_STARTING, .invocation = "a" }, 10);
        news = feed(&w, (ServiceStatus){ .run = RUN_FAILED, .invocation = "a", .result = "protocol" }, 20);
        assert_int_equal(news.symptom.kind, SYMPTOM_START_FAILED);
        assert_string_equal(news.symptom.signature, "imc/result/protocol");
        feed(&w, (ServiceStatus){ .run = RUN_STARTING, .invocation = "b" }, 30);
        feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .invocation = "b" }, 40);
        news = feed(
                &w,
                (ServiceStatus){ .run = RUN_RESTARTING, .invocation = "b", .exited = true, .exit_code = 3 },
                50);
        assert_int_equal(news.symptom.kind, SYMPTOM_CRASHED);
        assert_false(news.gave_up);
        assert_int_equal(news.symptom.exit_code, 3);
        /* Three equal ends within the window, however they were seen: one more here, and one only counted. */
        feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .invocation = "c", .n_restarts = 1 }, 60);
        news = feed(&w,
                    (ServiceStatus){ .run = RUN_FAILED,
                                     .invocation = "c",
                                     .n_restarts = 2,
                                     .exited = true,
                                     .exit_code = 3 },
                    70);
        assert_int_equal(news.symptom.kind, SYMPTOM_CRASH_LOOP);
        assert_true(news.gave_up);
        assert_true(news.clear_after == 100);
        run_watch_deinit(&w);
}

/* Managers that know no invocations: the time they were entered tells runs apart, and its jitter does not. */
static void test_without_invocation(void **state)
{
        const usec_t s = USEC_PER_SEC;
        RunWatch w;

        (void)state;
        assert_int_equal(run_watch_init(&w, &service), 0);
        feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .since = 10 * s }, 20 * s);
        assert_false(feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .since = 10 * s + 5 }, 21 * s).entered);
        assert_false(feed(&w, (ServiceStatus){ .run = RUN_RUNNING }, 22 * s).entered);
        assert_true(feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .since = 23 * s }, 23 * s).began);
        assert_true(feed(&w, (ServiceStatus){ .run = RUN_FAILED, .since = 24 * s }, 24 * s).failed);
        assert_false(feed(&w, (ServiceStatus){ .run = RUN_FAILED, .since = 24 * s }, 25 * s).failed);
        assert_true(feed(&w, (ServiceStatus){ .run = RUN_FAILED, .since = 26 * s }, 26 * s).failed);
        /* A time in the future is none. */
        feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .since = 100 * s }, 30 * s);
        assert_true(w.since == 30 * s);
        assert_false(feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .since = 100 * s }, 31 * s).entered);
        run_watch_deinit(&w);
}

/* systemctl restart whose start fails: told as a stop at first. */
static void test_failed_restart(void **state)
{
        RunNews news;
        RunWatch w;

        (void)state;
        assert_int_equal(run_watch_init(&w, &service), 0);
        feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .invocation = "a" }, 10);
        news = feed(&w, (ServiceStatus){ .run = RUN_FAILED, .invocation = "a", .operator_stop = true }, 20);
        assert_false(news.failed);
        news = feed(&w, (ServiceStatus){ .run = RUN_FAILED, .invocation = "a", .result = "exit-code" }, 21);
        assert_true(news.failed && news.gave_up);
        news = feed(&w, (ServiceStatus){ .run = RUN_FAILED, .invocation = "a", .result = "exit-code" }, 22);
        assert_false(news.failed);
        run_watch_deinit(&w);
}

static void test_operators(void **state)
{
        RunWatch w;

        (void)state;
        assert_int_equal(run_watch_init(&w, &service), 0);
        assert_false(run_watch_is_operators(&w));
        feed(&w, (ServiceStatus){ .run = RUN_STOPPED }, 10);
        assert_true(run_watch_is_operators(&w)); /* nothing ran when it was looked at first */
        feed(&w, (ServiceStatus){ .run = RUN_RUNNING, .operator_stop = true }, 20);
        assert_false(run_watch_is_operators(&w)); /* it runs: that stop is history */
        feed(&w, (ServiceStatus){ .run = RUN_STOPPING }, 30);
        feed(&w, (ServiceStatus){ .run = RUN_STOPPED }, 40);
        assert_false(run_watch_is_operators(&w));
        feed(&w, (ServiceStatus){ .run = RUN_STOPPED, .operator_stop = true }, 50);
        assert_true(run_watch_is_operators(&w));
        run_watch_deinit(&w);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_pair),         cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_without_invocation), cmocka_unit_test(test_failed_restart),
                cmocka_unit_test(test_operators),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
