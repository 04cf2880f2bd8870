#pragma once

/*
 * Trial: one start of the service with a chosen set of messages, watched to its outcome. Pure.
 */

#include "base/clock.h"
#include "model/words.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum TrialOutcome {
        TRIAL_RUNNING,
        TRIAL_HEALTHY,
        TRIAL_FAILED,
        TRIAL_VOID,
        _TRIAL_OUTCOME_MAX,
        _TRIAL_OUTCOME_INVALID = -EINVAL,
} TrialOutcome;
DECLARE_STRING_TABLE(trial_outcome, TrialOutcome);

typedef struct TrialConfig {
        usec_t settle;        /* the least time a healthy service must have been up */
        usec_t verify;        /* >0: watch for exactly this long (VERIFYING) */
        usec_t failing_after; /* how long the failure took after a start so far; 0: unknown */
        usec_t notice;        /* how long it takes to see the failure that is looked for; 0: at once */
        usec_t stall_after;   /* 0: standing still is no failure for this service */
        usec_t patience;      /* no single message took longer so far: learned from deliveries; 0: unknown */
        bool hang;            /* the failure looked for is a hang */
} TrialConfig;

typedef struct Trial {
        TrialConfig config;
        usec_t started;   /* monotonic */
        usec_t moved;     /* the last time mail moved */
        usec_t longest;   /* the longest time between two departures */
        uint64_t waiting; /* mail that should move */
        uint64_t departed;
        bool inflight; /* a message is held open now */
        bool excused;  /* something else explains that no mail moves */
        usec_t excused_at;
        bool up; /* the service is up */
        usec_t up_since;
        TrialOutcome outcome;
        SymptomKind failure; /* with TRIAL_FAILED */
        usec_t failed_after; /* likewise: from the start, or from the last movement for a hang */
        Reason reason;       /* why it was decided */
} Trial;

void trial_begin(Trial *t, const TrialConfig *config, usec_t now);
/* The service is up or not, as diagnose has it. */
void trial_up(Trial *t, bool up, usec_t now);
/* It died, or diagnose sees a fault. The first one decides. */
void trial_fault(Trial *t, SymptomKind kind, usec_t now);
/* Somebody else stopped or started the service. */
void trial_void(Trial *t);
/* @waiting messages are in the stores and should move; @departed have left since the last call; @moved:
 * anything did. */
void trial_progress(Trial *t, uint64_t waiting, uint64_t departed, bool moved, usec_t now);
/* Nothing but a message that is held open keeps the trial from passing now: the moment to ask whether
 * one is. */
bool trial_asks_inflight(const Trial *t, usec_t now);
/* Does a process of the service hold a message open? Mail that is being worked at does not just wait. */
void trial_inflight(Trial *t, bool inflight);
/* Does something else explain now why no mail moves: another host, a disk, pressure? */
void trial_excused(Trial *t, bool excused, usec_t now);
/* The outcome at @now. */
TrialOutcome trial_judge(Trial *t, usec_t now);
/* When to judge again: monotonic, USEC_INFINITY if only an event can decide. */
usec_t trial_deadline(const Trial *t, usec_t now);
