/*
 * engine_sources - what the sources of a service are told: how closely to look, what they may do
 *
 * watch_tell_sources() is called at the end of each call into the engine, so that what follows from the
 * present state is said once, wherever it changed. Cannot fail.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"

void watch_set_watching(Watch *w, bool on)
{
        if (w->watching != on)
                w->ports.hurry(w->ports.userdata, w->index, on);
        w->watching = on;
}

/* Sent while all is well: in an incident they would only be more mail that waits, and evidence against
 * itself. */
static void watch_allow_canaries(Watch *w)
{
        bool allowed = w->run == RUN_RUNNING && !state_is_recovering(w->incident.state) &&
                       !w->pending.active && !w->acting && !w->resuming && !w->shutdown;

        if (w->canaries != allowed)
                w->ports.canaries(w->ports.userdata, w->index, allowed);
        w->canaries = allowed;
}

/*
 * How closely the processes are to be looked at from now on. In a trial every failure must be told from
 * waiting.
 */
static void watch_look(Watch *w)
{
        bool waiting = diagnosis_waiting(w->diagnosis) > 0;
        bool look = diagnosis_wants_look(w->diagnosis) || w->watching;

        if (!w->ports.look || (waiting == w->waiting && look == w->look))
                return;
        w->waiting = waiting;
        w->look = look;
        w->ports.look(w->ports.userdata, w->index, waiting, look);
}

void watch_tell_sources(Watch *w)
{
        watch_allow_canaries(w);
        watch_look(w);
        if (conditions_take_wanted(diagnosis_conditions(w->diagnosis)))
                w->ports.conditions(w->ports.userdata, w->index);
}
