#pragma once

/*
 * Attempt: one run of one probe, from its first packet to its verdict. The scheduler (probe.c) starts it,
 * keeps its deadline, and frees it.
 */

#include "base/runner.h"
#include "base/worker.h"
#include "model/canary.h"
#include "model/settings.h"
#include "observe/heartbeat.h"

#include <stdbool.h>
#include <systemd/sd-event.h>

typedef struct Attempt Attempt;

/*
 * @detail: what was wrong, UTF-8, "" if nothing; valid until the call returns. Called once, from the loop;
 * the callee may free the attempt.
 */
typedef void (*AttemptDone)(void *userdata, bool ok, const char *detail);

typedef struct AttemptOps {
        /* What it is waiting for, as part of a sentence: "the connection", "the answer to EHLO". */
        const char *(*waits_for)(const Attempt *a);
        void (*free)(Attempt *a);
} AttemptOps;

struct Attempt {
        const AttemptOps *ops;
};

typedef struct AttemptSpec {
        sd_event *event;
        const ProbeSettings *probe;
        const char *service;         /* its name, for the names of what is run */
        Runner *runner;              /* exec; may be NULL for the others */
        Worker *worker;              /* waits for the disks of files; may be NULL for those without */
        const CanaryKey *canary_key; /* canary */
        Heartbeat *heartbeat;        /* heartbeat */
        AttemptDone done;
        void *userdata;
} AttemptSpec;

/*
 * Begin. Return: 0, or a negated errno with which it could not begin (a refused connection is such a one;
 * done() is not called then).
 */
/* tcp, unix */
int probe_tcp_start(Attempt **ret, const AttemptSpec *spec);
/* smtp, lmtp */
int probe_smtp_start(Attempt **ret, const AttemptSpec *spec);
/* It has a deadline of its own, by the Runner: waits_for() is never asked. */
int probe_exec_start(Attempt **ret, const AttemptSpec *spec);

int probe_heartbeat_start(Attempt **ret, const AttemptSpec *spec);

/* It has deadlines of its own: the Runner's, then the probe's `within`. */
int probe_canary_start(Attempt **ret, const AttemptSpec *spec);

static inline Attempt *attempt_free(Attempt *a)
{
        if (a)
                a->ops->free(a);
        return NULL;
}
static inline const char *attempt_waits_for(const Attempt *a)
{
        return a->ops->waits_for(a);
}
