#pragma once

/*
 * Kill: ends every process of a service, or waits until all have ended, and proves it.
 *
 * The target is what lives in the given control groups and below, and what collect() names besides. Phases
 * follow one another, each with its own limit (0: the phase is left out); the ladder ends as soon as nothing
 * of the target lives:
 *
 *         KILL_WAIT    no signal
 *         KILL_TERM    SIGTERM (and SIGCONT, or a stopped process would never see it)
 *         KILL_ABORT   SIGABRT and SIGCONT, for a core; goes on, to six times its limit, while one is written
 *         KILL_FORCE   SIGKILL: cgroup.kill where there is one, else each process, again until none is left
 *
 * A target that contains this process or pid 1 is refused.
 */

#include "base/proc.h"

#include <jansson.h>
#include <systemd/sd-event.h>

typedef struct Kill Kill;

typedef enum KillPhase {
        KILL_WAIT,
        KILL_TERM,
        KILL_ABORT,
        KILL_FORCE,
        _KILL_PHASE_MAX,
} KillPhase;

typedef struct KillSpec {
        sd_event *event;
        const int *cgroups; /* directories; duplicated */
        size_t n_cgroups;
        /* Processes besides the groups, now; asked again and again. *@ret is the ladder's. NULL: none. */
        int (*collect)(void *userdata, ProcId **ret, size_t *ret_n);
        void *collect_userdata;
        usec_t limits[_KILL_PHASE_MAX];
} KillSpec;

typedef struct KillReport {
        int error;  /* 0, or why the ladder could not go on: -EPERM for a target with this process in it */
        bool alive; /* something of the target lives */
        KillPhase last; /* the phase in which it ended */
        json_t *data; /* {"terminated":[pid],"aborted":[pid],"killed":[pid],"survivors":[{...}]}; borrowed */
} KillReport;

typedef void (*KillDone)(void *userdata, const KillReport *report);

/*
 * Begins. done() is called once, from the loop, unless the ladder is freed before; it may free the ladder.
 * Return: 0, -EPERM for a target that contains this process, or another negated errno.
 */
int kill_new(Kill **ret, const KillSpec *spec, KillDone done, void *userdata);
Kill *kill_free(Kill *k);

/*
 * The limits of a whole ladder: SIGTERM gets half of @kill_timeout, but at most 5 s (a hung service seldom
 * heeds it, and mail waits); SIGABRT, if @core, and SIGKILL get @kill_timeout each.
 */
void kill_limits(usec_t kill_timeout, bool core, usec_t ret[_KILL_PHASE_MAX]);

/* Signals these once, each through a pidfd checked against its start time. Those that ended meanwhile are
 * left out. */
void kill_signal(int procfd, const ProcId *ids, size_t n, int signal);

/* {"pid","name","state","wchan"} of a process that lives, for records. NULL if it has gone, or on ENOMEM. */
json_t *kill_describe(int procfd, pid_t pid);
