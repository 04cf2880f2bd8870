#pragma once

/*
 * Incident: what the recovery machine knows of one service; small, plain values, no pointers but its id. It
 * is the part of the memory that is written before every action. Messages live in the roster, the search in
 * decide/isolate.
 */

#include "base/clock.h"
#include "model/words.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The ladder of recovery, gentlest first. */
typedef enum Rung {
        RUNG_NONE,
        RUNG_RESTART,  /* just start it again */
        RUNG_SUSPECTS, /* hold what was in flight */
        RUNG_PURGE,    /* rebuildable files away */
        RUNG_BASELINE, /* a whole store away: is it a message at all? */
        RUNG_ISOLATE,  /* the search */
        RUNG_FINISH,   /* quarantine, put back, verify */
        RUNG_GIVE_UP,  /* put back what may go back, start, escalate */
        RUNG_RETURN,   /* an operator wants mail back: stop, put back, start */
        _RUNG_MAX,
        _RUNG_INVALID = -EINVAL,
} Rung;
DECLARE_STRING_TABLE(rung, Rung);

/* What is in hold on behalf of the incident. */
typedef enum Held {
        HELD_NOTHING,
        HELD_SUSPECTS, /* a few messages */
        HELD_STORE,    /* Incident.store, whole or in part */
        _HELD_MAX,
        _HELD_INVALID = -EINVAL,
} Held;
DECLARE_STRING_TABLE(held, Held);

#define INCIDENT_ID_MAX 48

typedef struct Incident {
        char id[INCIDENT_ID_MAX]; /* sorts by time; empty: none is open */
        State state;
        State paused_from; /* while PAUSED */
        Rung rung;         /* the one under way, or to be entered once the service is dead */
        Rung last_rung;    /* the last one whose trial was healthy */
        Held held;
        size_t store;        /* BASELINE, ISOLATE: index of the store to be set aside, or n_stores for all */
        size_t aside;        /* with HELD_STORE: the one that is */
        Reason reason;       /* of the last change of state */
        SymptomKind symptom; /* the one that opened it */
        CloseResult result;
        Reason why; /* with result: why it ends like this */

        /* The action under way, or last done. */
        ActionKind action;
        bool pending; /* its outcome is not known yet: after a crash this is the open intent */
        uint64_t seq; /* counts actions */

        /* What is true of the service. */
        bool guarded;     /* nobody else starts it */
        bool dead;        /* proved: no process lives, and it was not started since */
        bool was_running; /* when the incident opened: a service that was stopped is not started */
        bool purged;      /* rebuildable files were purged as a rung of its own */
        bool release;     /* RETURN: a release from quarantine, not a restore from hold */
        bool failing;     /* the last trial failed, and its evidence is being collected */
        bool planned;     /* the search has named a trial that was not run yet */

        /* Budgets. */
        unsigned restarts, trials, crashes, rounds;
        usec_t opened;        /* wall */
        usec_t deadline;      /* monotonic: max_time; set anew when resumed */
        usec_t failing_after; /* how long the failure took from a start, longest seen; 0: not known */
        bool hang; /* the failure is mail that stands still: a trial in which it does again has failed */
        uint64_t n_suspects; /* held on the suspects' rung */
        uint64_t n_culprits;
} Incident;

json_t *incident_to_json(const Incident *i);
/* Return: 0, or -EINVAL if it is no incident that this version wrote. */
int incident_from_json(const json_t *j, Incident *ret);
