#pragma once

/*
 * Recovery: the state machine. Pure and total: what is, and what happened, give what is next and the one
 * action to take.
 *
 * The invariants, the diagram, the transitions and what is true in each state stand at the top of recovery.c.
 */

#include "model/incident.h"

/* What the machine must know of the service's configuration. */
typedef struct Ladder {
        unsigned restarts, max_trials;
        size_t n_stores;
        bool has_rebuildable;
        bool native; /* culprits go into the server's own hold, which is done while it is dead */
        usec_t max_time;
} Ladder;

typedef enum EventKind {
        EVENT_SUSPECTED,     /* diagnose: a symptom, not (yet) a fault */
        EVENT_FAULT,         /* diagnose: a fault */
        EVENT_HEALTHY,       /* diagnose: up, no symptom */
        EVENT_STAND_DOWN,    /* diagnose: an operator stopped or masked the service */
        EVENT_DONE,          /* the action under way was done */
        EVENT_FAILED,        /* it failed, or timed out */
        EVENT_OBSERVED,      /* it was not done, because we only observe */
        EVENT_TRIAL_HEALTHY, /* outcome of ACTION_WATCH */
        EVENT_TRIAL_FAILED,
        EVENT_TRIAL_VOID,
        EVENT_PLAN_TRIAL, /* outcome of ACTION_PLAN: the search names a trial */
        EVENT_PLAN_DONE,  /* culprits are known */
        EVENT_PLAN_GAVE_UP,
        EVENT_OVERDUE, /* the deadline of the incident has passed */
        EVENT_PAUSE,   /* operator */
        EVENT_RESUME,
        EVENT_RECOVER,
        EVENT_RETURN,  /* operator wants mail back: restore an incident or release from quarantine */
        EVENT_RESUMED, /* unjamd was restarted */
        _EVENT_KIND_MAX,
        _EVENT_KIND_INVALID = -EINVAL,
} EventKind;
DECLARE_STRING_TABLE(event_kind, EventKind);

typedef struct Event {
        EventKind kind;
        Reason reason;            /* STAND_DOWN, FAILED, DONE of COLLECT with veto: why */
        char id[INCIDENT_ID_MAX]; /* FAULT, RECOVER, RETURN: the id of the new incident */
        SymptomKind symptom;      /* FAULT, TRIAL_FAILED */
        bool alive;               /* FAULT, RECOVER, RETURN, RESUMED, DONE of QUARANTINE: the service runs */
        bool veto;                /* DONE of COLLECT: @reason forbids to act */
        bool purge;               /* DONE of COLLECT: a cause names state that purging puts right */
        bool messages;            /* DONE of COLLECT: a cause check names stuck messages */
        uint64_t n_suspects;      /* DONE of COLLECT: in flight, and not held in a trial yet */
        uint64_t n_hold;          /* DONE of an action with an inventory: messages now in hold */
        bool live;                /* PLAN_TRIAL: it only adds, and that may be done while the service runs */
        uint64_t n_culprits;      /* PLAN_DONE */
        bool release;             /* RETURN: from quarantine, not from hold */
        usec_t failing_after;     /* TRIAL_FAILED: how long after the start; 0: not known */
} Event;

/* What the engine does next. */
typedef struct Step {
        ActionKind action; /* ACTION_NONE: wait for an event */
        bool with_causes;  /* COLLECT */
        bool keep_open;    /* RESTORE: suspects and messages not yet cleared stay held */
        bool closes;       /* the incident ends with this step */
} Step;

#define RECOVERY_E_UNEXPECTED 1 /* an empty cell: a bug of ours. @ret escalates */

/* Return: 0, or RECOVERY_E_UNEXPECTED. @ret and @ret_step are always set. */
int recovery_step(const Incident *i, const Ladder *l, const Event *e, const Now *now, Incident *ret,
                  Step *ret_step);

/* Does this cell of the table do anything, ignore the event, or is it empty? For tests and
 * for documentation. */
typedef enum CellKind { CELL_EMPTY, CELL_IGNORES, CELL_ACTS } CellKind;
CellKind recovery_cell(State s, EventKind e);

/* May an incident be open in this state (mail may be in hold, the service guarded)? */
bool state_is_recovering(State s);
/* Is the symptom a hang rather than a death? */
bool symptom_is_hang(SymptomKind k);
