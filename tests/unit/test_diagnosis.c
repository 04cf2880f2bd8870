/*
 * diagnosis - scenarios in virtual time
 *
 * A bench feeds facts and follows every deadline, as the engine does. Findings are written down as one line
 * each, "verdict reason symptom"; "+" marks a symptom that is new. A deadline that brings no progress fails
 * the test: the engine would spin.
 */
#include "diagnose/diagnosis.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEC USEC_PER_SEC
#define MIN USEC_PER_MIN

typedef struct Bench {
        ServiceSettings service;
        Diagnosis *d;
        Now now;
        Finding last; /* that was not UNCHANGED */
        char log[4096];
        unsigned n; /* findings */
        unsigned starts;
        unsigned restarts;
        char invocation[16];
} Bench;

static char *units[] = { (char *)"imc.service", NULL };
static ProbeSettings probes[] = {
        { .kind = PROBE_TCP,
          .address = (char *)"127.0.0.1:2525",
          .interval = 15 * SEC,
          .timeout = 5 * SEC,
          .failures = 3 },
};
static CrashWindow windows[] = { { 3, 2 * MIN }, { 5, 30 * MIN }, { 8, 24 * USEC_PER_HOUR } };
static RuleSettings rules[] = {
        { .name = (char *)"imc-4037", .count = 1, .symptom = SYMPTOM_CRASHED },
        { .name = (char *)"slow", .count = 3, .within = 10 * SEC, .symptom = SYMPTOM_EVENT },
};
static StoreSettings stores[] = { { .name = (char *)"imcdata" }, { .name = (char *)"mta" } };

static void bench_init(Bench *b)
{
        *b = (Bench){
                .service = { .name = (char *)"imc",
                             .units = units,
                             .start_timeout = 30 * SEC,
                             .stop_timeout = 20 * SEC,
                             .probes = probes,
                             .n_probes = 1,
                             .stall = { .enabled = true, .after = 2 * MIN },
                             .crash_windows = windows,
                             .n_crash_windows = 3,
                             .rules = rules,
                             .n_rules = 2,
                             .stores = stores,
                             .n_stores = 2,
                             .recovery = { .settle = 5 * SEC } },
                .now = { .mono = USEC_PER_HOUR, .wall = UINT64_C(1795356000000000) },
        };
        assert_int_equal(diagnosis_new(&b->d, &b->service), 0);
        assert_true(diagnosis_deadline(b->d) == USEC_INFINITY);
}

static void bench_deinit(Bench *b)
{
        assert_null(diagnosis_free(b->d));
}

static void note(Bench *b, const Finding *f)
{
        char *end = b->log + strlen(b->log);
        size_t room = sizeof(b->log) - (size_t)(end - b->log);

        assert_true(text_is_utf8(f->symptom.detail, strlen(f->symptom.detail)));
        assert_true(text_is_utf8(f->symptom.signature, strlen(f->symptom.signature)));
        if (f->verdict == VERDICT_UNCHANGED) {
                assert_false(f->new_symptom);
                return;
        }
        b->n++;
        b->last = *f;
        assert_int_equal(f->reason, diagnosis_reason(b->d));
        snprintf(end, room, "%s %s", verdict_to_string(f->verdict), reason_to_string(f->reason));
        if (f->verdict == VERDICT_SUSPECT || f->verdict == VERDICT_FAULT)
                snprintf(end + strlen(end), room - strlen(end), " %s%s", f->new_symptom ? "+" : "",
                         symptom_kind_to_string(f->symptom.kind));
        strncat(end, "\n", room - strlen(end) - 1);
}

static void pass(Bench *b, usec_t t)
{
        usec_t end = b->now.mono + t, begin = b->now.mono;
        Finding f;

        for (unsigned i = 0; diagnosis_deadline(b->d) <= end; i++) {
                usec_t at = diagnosis_deadline(b->d);

                assert_true(i < 200);
                if (at > b->now.mono) {
                        b->now.wall += at - b->now.mono;
                        b->now.mono = at;
                }
                assert_int_equal(diagnosis_tick(b->d, &b->now, &f), 0);
                note(b, &f);
                assert_true(diagnosis_deadline(b->d) > b->now.mono);
        }
        b->now.wall += end - b->now.mono;
        b->now.mono = end;
        assert_true(begin <= end);
}

static void feed(Bench *b, Observation o)
{
        Finding f;

        assert_int_equal(diagnosis_feed(b->d, &o, &b->now, &f), 0);
        note(b, &f);
        assert_true(diagnosis_deadline(b->d) > b->now.mono);
}

/* The manager reports @run; a start gets a new invocation. */
static void status(Bench *b, ServiceStatus s)
{
        if (s.run == RUN_STARTING)
                snprintf(b->invocation, sizeof(b->invocation), "inv%u", ++b->starts);
        if (s.since == 0)
                s.since = b->now.mono;
        s.invocation = b->invocation;
        s.n_restarts = b->restarts;
        feed(b, (Observation){ .kind = OBSERVATION_SERVICE, .service = s });
}

#define status(b, ...) status(b, (ServiceStatus){ __VA_ARGS__ })

static void probe(Bench *b, bool ok)
{
        feed(b, (Observation){ .kind = OBSERVATION_PROBE,
                               .probe = { .ok = ok, .detail = ok ? NULL : "timed out" } });
}

static void progress(Bench *b, size_t store, uint64_t waiting, uint64_t arrived, uint64_t departed)
{
        feed(b, (Observation){ .kind = OBSERVATION_PROGRESS,
                               .progress = { .store = store,
                                             .waiting = waiting,
                                             .arrived = arrived,
                                             .departed = departed,
                                             .moved = arrived || departed } });
}

static void entry(Bench *b, size_t rule, const char *text)
{
        feed(b, (Observation){ .kind = OBSERVATION_LOG, .log = { .rule = rule, .text = text, .pid = 12 } });
}

static void host(Bench *b, bool shutdown, bool jump)
{
        feed(b,
             (Observation){ .kind = OBSERVATION_HOST, .host = { .shutdown = shutdown, .clock_jump = jump } });
}

/* What was found since the last look. */
static void expect(Bench *b, const char *lines)
{
        assert_string_equal(b->log, lines);
        b->log[0] = '\0';
}

/* Brings it up, well and known to be so. */
static void bring_up(Bench *b)
{
        status(b, .run = RUN_STARTING);
        pass(b, SEC);
        status(b, .run = RUN_RUNNING);
        assert_true(diagnosis_is_up(b->d));
        probe(b, true);
        pass(b, 4 * SEC);
        expect(b, "");
        pass(b, SEC);
        expect(b, "healthy healthy\n");
}

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

static void test_not_stalled(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        /* Arrivals and departures; then only another store moves; then mail is deferred while more arrives.
         */
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
        feed(&b, (Observation){ .kind = OBSERVATION_INFLIGHT, .inflight = { .pid = 1, .path = "/x" } });
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
                                status(&b, .run = (RunState)below(&seed, _RUN_STATE_MAX), .exited = below(&seed, 2),
                                       .signal = (int)below(&seed, 3) * 11, .operator_stop = !below(&seed, 5),
                                       .masked = !below(&seed, 20), .result = below(&seed, 2) ? "exit-code" : NULL);
                                break;
                        case 2:
                                probe(&b, below(&seed, 2));
                                break;
                        case 3:
                                progress(&b, below(&seed, 2), below(&seed, 4), below(&seed, 2), below(&seed, 2));
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
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_healthy),
                cmocka_unit_test(test_healthy_waits_for_probes),
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
                cmocka_unit_test(test_unresponsive),
                cmocka_unit_test(test_probe_grace),
                cmocka_unit_test(test_stalled),
                cmocka_unit_test(test_not_stalled),
                cmocka_unit_test(test_claim_alone),
                cmocka_unit_test(test_claim_confirmed),
                cmocka_unit_test(test_count_within),
                cmocka_unit_test(test_clock_jump),
                cmocka_unit_test(test_reset),
                cmocka_unit_test(test_expected),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_random),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
