#pragma once

/*
 * A bench for diagnosis: virtual time.
 *
 * It feeds facts and follows every deadline, as the engine does. Findings are written down as one line each,
 * "verdict reason symptom"; "+" marks a symptom that is new. A deadline that brings no progress fails the
 * test: the engine would spin. The service: imc.service, start 30 s, stop 20 s, one tcp probe (3 failures),
 * stall 2 min, the default crash windows, two rules, two stores, settle 5 s.
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

static inline void bench_init(Bench *b)
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

static inline void bench_deinit(Bench *b)
{
        assert_null(diagnosis_free(b->d));
}

static inline void note(Bench *b, const Finding *f)
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

static inline void pass(Bench *b, usec_t t)
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

static inline void feed(Bench *b, Observation o)
{
        Finding f;

        assert_int_equal(diagnosis_feed(b->d, &o, &b->now, &f), 0);
        note(b, &f);
        assert_true(diagnosis_deadline(b->d) > b->now.mono);
}

/* The manager reports @run; a start gets a new invocation. */
static inline void status(Bench *b, ServiceStatus s)
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

static inline void probe(Bench *b, bool ok)
{
        feed(b, (Observation){ .kind = OBSERVATION_PROBE,
                               .probe = { .ok = ok, .detail = ok ? NULL : "timed out" } });
}

static inline void progress(Bench *b, size_t store, uint64_t waiting, uint64_t arrived, uint64_t departed)
{
        feed(b, (Observation){ .kind = OBSERVATION_PROGRESS,
                               .progress = { .store = store,
                                             .waiting = waiting,
                                             .arrived = arrived,
                                             .departed = departed,
                                             .moved = arrived || departed } });
}

static inline void entry(Bench *b, size_t rule, const char *text)
{
        feed(b, (Observation){ .kind = OBSERVATION_LOG, .log = { .rule = rule, .text = text, .pid = 12 } });
}

static inline void host(Bench *b, bool shutdown, bool jump)
{
        feed(b,
             (Observation){ .kind = OBSERVATION_HOST, .host = { .shutdown = shutdown, .clock_jump = jump } });
}

/* What was found since the last look. */
static inline void expect(Bench *b, const char *lines)
{
        assert_string_equal(b->log, lines);
        b->log[0] = '\0';
}

/* Brings it up, well and known to be so. */
static inline void bring_up(Bench *b)
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
