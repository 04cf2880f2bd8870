#pragma once

/*
 * Run watch: the life of the service as its manager tells it, and which of its ends were failures.
 */

#include "diagnose/diagnosis.h"
#include "diagnose/facts.h"
#include "diagnose/windows.h"

typedef struct RunWatch {
        const ServiceSettings *service;
        bool known; /* there was a status */
        RunState run;
        usec_t since;      /* monotonic: when @run was entered */
        usec_t told_since; /* the same, in the manager's words */
        char *invocation;
        bool ran;           /* this invocation was running */
        bool seen_starting; /* this invocation was seen before it was running or ended */
        bool exit_first;    /* the main process had ended before the stop began: nobody asked for it */
        bool operator_stop, masked;
        bool found_stopped;  /* nothing ran when it was looked at first */
        bool limit_hit;      /* the manager gave up restarting it */
        bool expected;       /* unjamd itself ends it now */
        pid_t main_pid;      /* the last one that was told; 0: none was */
        unsigned n_restarts; /* by the manager itself, as it counts them */
        unsigned ahead;      /* restarts that were seen before it counted them */
        CrashHistory history;
} RunWatch;

/* What a status tells beyond the state itself. */
typedef struct RunNews {
        bool entered;       /* another state, or another invocation */
        bool began;         /* a new run: what probes and stores said of the last one is void */
        bool failed;        /* @symptom: crashed, start_failed or crash_loop */
        bool gave_up;       /* nobody else starts it again: act at once */
        usec_t clear_after; /* how long it must be up before the failure is past */
        Symptom symptom;
} RunNews;

/* @service must outlive it. Return: 0 or -ENOMEM. */
int run_watch_init(RunWatch *w, const ServiceSettings *service);
void run_watch_deinit(RunWatch *w);
/* Return: 0 or -ENOMEM (then nothing was taken in). */
int run_watch_feed(RunWatch *w, const ServiceStatus *s, const Now *now, RunNews *ret);
/*
 * A process of the service was killed by a signal. While the service itself goes on, opens a fact: soft
 * (child_died), and a hard crash_loop when that fills one of the crash windows.
 */
void run_watch_child(RunWatch *w, const InflightStatus *s, const Now *now, Facts *facts);
/* Is the service down, or going down, because an operator wants it so? */
bool run_watch_is_operators(const RunWatch *w);
