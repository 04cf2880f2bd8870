#pragma once

/* The rungs of the recovery ladder; private to decide/recovery.c. */

#include "decide/recovery.h"

typedef struct Machine {
        Incident *i; /* the new one, being made */
        const Ladder *l;
        const Event *e;
        const Now *now;
        Step *step;
} Machine;

/* Changes state and action; the only place that does. */
void machine_go(Machine *m, State state, ActionKind action, Reason reason);

/* The first rung after evidence and cause checks. */
void ladder_choose(Machine *m);
/* The rung under way failed: choose the next (or give up), and go there. */
void ladder_advance(Machine *m);
/* Makes sure that nothing of the service lives, then enters Incident.rung. */
void ladder_descend(Machine *m, Reason reason);
/* The service is dead: begins Incident.rung. */
void ladder_enter(Machine *m, Reason reason);
/* Starts the service as a trial in @state, within the budget. */
void ladder_start(Machine *m, State state, Reason reason);
/* A store that was set aside turned out to be empty: the next one. */
void ladder_next_store(Machine *m);
/* Somebody interfered with a trial: the same again. */
void ladder_void(Machine *m);
/* QUARANTINE failed: once more, for a culprit may be half in quarantine by now. */
void ladder_quarantine_failed(Machine *m);
/* Leaves mail flowing as far as it can, and escalates. */
void ladder_give_up(Machine *m, Reason reason);
/* Undoes the guard if there is one, then closes with Incident.result. */
void ladder_close(Machine *m, Reason reason);
