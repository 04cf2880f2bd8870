#pragma once

/*
 * Worker: one thread that may wait for a disk, so that the loop never does.
 *
 * There is one worker for each file system that unjamd touches, and one for /proc of processes that may be
 * stuck. Jobs of one worker run one after the other, in order. done() is called from the event loop, never
 * from the thread.
 */

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

typedef struct Worker Worker;
typedef struct Job Job;

struct Job {
        /* In the thread. The return code is handed to done(). A long job looks at @cancel between
         * its slices. */
        int (*run)(Job *job);
        /* In the loop. The job is the callee's again (it usually frees it). */
        void (*done)(Job *job, int r);
        /*
         * Instead of done() when the worker is freed first: the job is the callee's again. NULL: whoever
         * submitted it knows, and frees it.
         */
        void (*dropped)(Job *job);
        atomic_bool cancel;
        /* Progress for people, written by the thread, read by the loop. */
        _Atomic uint64_t progress;
        _Atomic uint64_t total;
        /* Owned by the worker. */
        Job *next;
        int result;
        usec_t submitted;
};

/* @name is copied. Return: 0 or a negated errno. */
int worker_new(Worker **ret, sd_event *event, const char *name);
/* Waits for the running job (cancelled first), drops it and queued ones without done(). NULL is fine. */
Worker *worker_free(Worker *w);
/* Queues; the worker owns @job until done(). Return: 0, or a negated errno (then @job stays the caller's). */
int worker_submit(Worker *w, Job *job);
/*
 * Its jobs burn processor time: wherever there is not enough of it, the loop and the other workers come
 * first. Before the first job.
 */
void worker_yield(Worker *w);
/* Since when the running job runs (monotonic), or USEC_INFINITY when idle: a disk that answers no more shows
 * here. */
usec_t worker_busy_since(const Worker *w);
const char *worker_name(const Worker *w);
/* The loop in which done() is called; borrowed. */
sd_event *worker_event(const Worker *w);
