/*
 * recovery - the state machine of one service
 *
 * Invariants
 *
 *  1. Nothing is moved out of a store, and no directory exchanged, unless Incident.dead: a STOP or KILL was
 *     DONE, and no START was begun since. The one exception is PLACE of a trial that only adds, where the
 *     layout allows it.
 *  2. dead implies guarded: nobody else may start the service while its mail is being moved.
 *  3. At most one action is under way, and Incident.pending is true exactly from the step that names it until
 *     the event that tells its outcome.
 *  4. Each START below RUNG_FINISH counts against max_trials, each void one above it as a round; a rung that
 *     failed is left for a later one, a later store, or the search's next trial. Hence every incident ends.
 *  5. A message is convicted only by a healthy trial without it (the suspects' rung with one suspect, or the
 *     search's last control run); a search begins only after a healthy baseline or a healthy suspects' trial.
 *  6. HEALTHY, SUSPECT and ESCALATED are not guarded, and nothing is pending in them but the CLOSE of
 *     ESCALATED.
 *  7. On the way out (FINISH, GIVE_UP, RETURN) a failing action is passed over, never repeated for ever.
 * Diagram (KILLING stands behind each STOPPING; any state may go to PAUSED and back)
 *
 *      HEALTHY <-> SUSPECT
 *         |           |  fault
 *         v           v
 *       DIAGNOSING ------ veto -----------------------------------------> (close) ESCALATED
 *         |
 *      STOPPING --> RESTARTING -- healthy --> VERIFYING -- healthy --> (close) HEALTHY
 *         |  ^          | failed                  ^  | failed: further down
 *         |  +----------+                         |  v
 *         +--> SETTING_ASIDE(suspects) -> RESTARTING -- healthy --> QUARANTINING (or ISOLATING)
 *         +--> PURGING -> RESTARTING
 *         +--> SETTING_ASIDE(store) -> PURGING -> BASELINE -- healthy --> ISOLATING
 *         |                                           | failed: next store; none left: RESTORING, give up
 *         +--> ISOLATING (place, purge, start, watch)* --> QUARANTINING --> VERIFYING
 *         +--> RESTORING (give up, operator's return) --> (start) --> close
 *
 * States: what is true, on disk, in the world; what resuming does after a restart of unjamd
 *
 *  HEALTHY        no incident; nothing in hold but what an escalated one left. Resume: the same.
 *  SUSPECT        a symptom that is no fault yet. Nothing on disk. Resume: HEALTHY, diagnose sees it again.
 *  DIAGNOSING     an incident is on record; COLLECT reads only. Resume: collect again.
 *  STOPPING       GUARD, then STOP. The marker and drop-ins may be half there. Resume: guard again
 *                 (idempotent).
 *  KILLING        the stop hung or left processes. Resume: as STOPPING.
 *  RESTARTING     START and WATCH on the rungs restart, suspects, purge. Resume: the trial is void, STOPPING.
 *  SETTING_ASIDE  PLACE or SET_ASIDE: messages are in store or hold, each in one of them. Resume: STOPPING,
 *                 then again; the action looks where messages are and moves the rest.
 *  PURGING        rebuildable files in place or in the incident's folder. Resume: as SETTING_ASIDE.
 *  BASELINE       the store is empty but for new mail. Resume: void, STOPPING, the rung again.
 *  ISOLATING      PLAN, PLACE, PURGE, START, WATCH, COLLECT of one trial after the other. The search's
 *                 knowledge was written after the last report. Resume: STOPPING; the planned trial is run
 *                 again.
 *  QUARANTINING   culprits in hold or quarantine. Resume: QUARANTINE again (idempotent).
 *  RESTORING      everything that may go back goes back. Resume: STOPPING, then again.
 *  VERIFYING      all mail is in place, the service runs and is watched. Resume: watch again, or start if it
 *                 is down.
 *  ESCALATED      closed; a human is asked. Held mail stays where the record says. Left when the service is
 *                 healthy, or by an operator. Resume: the same; a CLOSE that was pending is done again.
 *  PAUSED         the operator has it. Nothing is done. Resume: still paused.
 * An empty cell is a bug: recovery_step() answers RECOVERY_E_UNEXPECTED and gives up with REASON_UNEXPECTED.
 * Tests: tests/unit/test_recovery.c; tests/crash/test_recovery_model.c goes through all that can be reached.
 */
#include "decide/ladder.h"

#include <assert.h>
#include <string.h>

static const char *const event_kinds[_EVENT_KIND_MAX] = {
        [EVENT_SUSPECTED] = "suspected",
        [EVENT_FAULT] = "fault",
        [EVENT_HEALTHY] = "healthy",
        [EVENT_STAND_DOWN] = "stand_down",
        [EVENT_DONE] = "done",
        [EVENT_FAILED] = "failed",
        [EVENT_OBSERVED] = "observed",
        [EVENT_TRIAL_HEALTHY] = "trial_healthy",
        [EVENT_TRIAL_FAILED] = "trial_failed",
        [EVENT_TRIAL_VOID] = "trial_void",
        [EVENT_PLAN_TRIAL] = "plan_trial",
        [EVENT_PLAN_DONE] = "plan_done",
        [EVENT_PLAN_GAVE_UP] = "plan_gave_up",
        [EVENT_OVERDUE] = "overdue",
        [EVENT_PAUSE] = "pause",
        [EVENT_RESUME] = "resume",
        [EVENT_RECOVER] = "recover",
        [EVENT_RETURN] = "return",
        [EVENT_RESUMED] = "resumed",
};
DEFINE_STRING_TABLE(event_kind, EventKind, event_kinds)

bool symptom_is_hang(SymptomKind k)
{
        return k == SYMPTOM_START_HUNG || k == SYMPTOM_STOP_HUNG || k == SYMPTOM_UNRESPONSIVE ||
               k == SYMPTOM_STALLED;
}

bool state_is_recovering(State s)
{
        return s != STATE_HEALTHY && s != STATE_SUSPECT && s != STATE_ESCALATED;
}

static void stay(Machine *m)
{
        m->step->action = ACTION_NONE;
}

static void become_suspect(Machine *m)
{
        machine_go(m, STATE_SUSPECT, ACTION_NONE, m->e->reason);
}

static void become_healthy(Machine *m)
{
        machine_go(m, STATE_HEALTHY, ACTION_NONE, m->e->reason);
}

/* A new incident: everything of the last one is forgotten but the count of actions. */
static void incident_open(Machine *m)
{
        uint64_t seq = m->i->seq;

        *m->i = (Incident){
                .seq = seq,
                .opened = m->now->wall,
                .deadline = usec_add(m->now->mono, m->l->max_time),
                .symptom = m->e->symptom,
                .hang = m->e->symptom == SYMPTOM_STALLED,
                .was_running = true,
                .result = CLOSE_RECOVERED,
        };
        memcpy(m->i->id, m->e->id, sizeof(m->i->id));
}

static void open_fault(Machine *m)
{
        incident_open(m);
        m->step->with_causes = true;
        machine_go(m, STATE_DIAGNOSING, ACTION_COLLECT,
                   m->e->kind == EVENT_RECOVER ? REASON_OPERATOR : REASON_CONFIRMED);
}

static void open_return(Machine *m)
{
        incident_open(m);
        m->i->symptom = SYMPTOM_EVENT;
        m->i->was_running = m->e->alive;
        m->i->rung = RUNG_RETURN;
        m->i->release = m->e->release;
        m->i->held = m->e->release ? HELD_NOTHING : HELD_SUSPECTS;
        ladder_descend(m, REASON_OPERATOR);
}

/* COLLECT has ended, well or not: evidence is never a condition for going on. */
static void diagnosed(Machine *m)
{
        if (m->e->veto)
                ladder_give_up(m, m->e->reason);
        else
                ladder_choose(m);
}

static void stopping_done(Machine *m)
{
        if (m->i->action == ACTION_GUARD) {
                m->i->guarded = true;
                machine_go(m, STATE_STOPPING, ACTION_STOP, m->i->reason);
                return;
        }
        m->i->dead = true;
        ladder_enter(m, REASON_STOPPED);
}

static void stopping_failed(Machine *m)
{
        if (m->i->action == ACTION_GUARD)
                ladder_give_up(m, m->e->reason == REASON_NONE ? REASON_ACTION_FAILED : m->e->reason);
        else
                machine_go(m, STATE_KILLING, ACTION_KILL,
                           m->e->reason == REASON_NONE ? REASON_STOP_TIMEOUT : m->e->reason);
}

/* Observe mode: this is where the acting would have begun. */
static void observed(Machine *m)
{
        m->i->result = CLOSE_OBSERVED;
        m->i->why = REASON_OBSERVE_MODE;
        m->i->guarded = false;
        ladder_close(m, REASON_OBSERVE_MODE);
}

static void killing_done(Machine *m)
{
        m->i->dead = true;
        ladder_enter(m, REASON_STOPPED);
}

static void killing_failed(Machine *m)
{
        ladder_give_up(m, m->e->reason == REASON_STRANGER ? REASON_STRANGER : REASON_UNKILLABLE);
}

static void act_failed(Machine *m)
{
        ladder_give_up(m, m->e->reason == REASON_NONE ? REASON_ACTION_FAILED : m->e->reason);
}

static void set_aside_done(Machine *m)
{
        Incident *i = m->i;

        if (i->rung == RUNG_SUSPECTS) {
                i->n_suspects = m->e->n_hold;
                ladder_start(m, STATE_RESTARTING, REASON_ACTION_DONE);
        } else if (m->e->n_hold == 0) {
                i->held = HELD_NOTHING;
                ladder_next_store(m);
        } else if (m->l->has_rebuildable) {
                machine_go(m, STATE_PURGING, ACTION_PURGE, REASON_ACTION_DONE);
        } else {
                ladder_start(m, STATE_BASELINE, REASON_ACTION_DONE);
        }
}

static void purging_done(Machine *m)
{
        if (m->i->rung == RUNG_PURGE)
                m->i->purged = true;
        ladder_start(m, m->i->rung == RUNG_BASELINE ? STATE_BASELINE : STATE_RESTARTING, REASON_ACTION_DONE);
}

static void watch(Machine *m, State state, Reason reason)
{
        machine_go(m, state, ACTION_WATCH, reason);
}

static void trial_failed(Machine *m)
{
        Incident *i = m->i;

        i->crashes++;
        i->failing = true;
        i->hang = m->e->symptom == SYMPTOM_STALLED;
        if (m->e->failing_after > i->failing_after)
                i->failing_after = m->e->failing_after;
        machine_go(m, i->state, ACTION_COLLECT, REASON_TRIAL_FAILED);
}

/* CLOSE has ended: the incident is over. */
static void closed(Machine *m)
{
        machine_go(m, m->i->result == CLOSE_RECOVERED ? STATE_HEALTHY : STATE_ESCALATED, ACTION_NONE,
                   m->i->why);
        m->step->closes = true;
}

/* UNGUARD has ended; if it failed, the record and an alert say so, and the incident closes all the same. */
static void unguarded(Machine *m)
{
        m->i->guarded = false;
        m->i->dead = false; /* anybody may start it from now on */
        ladder_close(m, m->i->reason);
}

/* START, COLLECT, and the way out, in RESTARTING, BASELINE, VERIFYING. */
static void trial_done(Machine *m)
{
        if (m->i->action == ACTION_START) {
                watch(m, m->i->state, REASON_ACTION_DONE);
        } else if (m->i->action == ACTION_COLLECT) {
                m->i->failing = false;
                ladder_advance(m);
        } else if (m->i->action == ACTION_UNGUARD) {
                unguarded(m);
        } else {
                closed(m);
        }
}

/* A start that fails is a failed trial; what fails on the way out is passed over. */
static void trial_action_failed(Machine *m)
{
        if (m->i->action == ACTION_START)
                trial_failed(m);
        else
                trial_done(m);
}

static void restarting_healthy(Machine *m)
{
        Incident *i = m->i;

        i->last_rung = i->rung;
        if (i->rung != RUNG_SUSPECTS || i->n_suspects == 0) { /* nobody to blame */
                i->rung = RUNG_FINISH;
                watch(m, STATE_VERIFYING, REASON_TRIAL_HEALTHY);
        } else if (i->n_suspects == 1) {
                i->rung = RUNG_FINISH;
                i->n_culprits = 1;
                machine_go(m, STATE_QUARANTINING, ACTION_QUARANTINE, REASON_CULPRITS_FOUND);
        } else {
                i->rung = RUNG_ISOLATE;
                machine_go(m, STATE_ISOLATING, ACTION_PLAN, REASON_TRIAL_HEALTHY);
        }
}

static void baseline_healthy(Machine *m)
{
        m->i->last_rung = RUNG_BASELINE;
        m->i->rung = RUNG_ISOLATE;
        machine_go(m, STATE_ISOLATING, ACTION_PLAN, REASON_TRIAL_HEALTHY);
}

static void isolating_done(Machine *m)
{
        Incident *i = m->i;

        if (i->action == ACTION_PLACE && !i->dead)
                watch(m, STATE_ISOLATING, REASON_ACTION_DONE);
        else if (i->action == ACTION_PLACE && m->l->has_rebuildable)
                machine_go(m, STATE_ISOLATING, ACTION_PURGE, REASON_ACTION_DONE);
        else if (i->action == ACTION_PLACE || i->action == ACTION_PURGE)
                ladder_start(m, STATE_ISOLATING, REASON_ACTION_DONE);
        else if (i->action == ACTION_START)
                watch(m, STATE_ISOLATING, REASON_ACTION_DONE);
        else { /* COLLECT: the search is fed with what the trial told */
                i->planned = false;
                if (i->failing)
                        ladder_advance(m);
                else
                        machine_go(m, STATE_ISOLATING, ACTION_PLAN, REASON_TRIAL_HEALTHY);
                i->failing = false;
        }
}

static void isolating_failed(Machine *m)
{
        if (m->i->action == ACTION_START)
                trial_failed(m);
        else if (m->i->action == ACTION_COLLECT)
                isolating_done(m);
        else
                act_failed(m);
}

static void isolating_healthy(Machine *m)
{
        machine_go(m, STATE_ISOLATING, ACTION_COLLECT, REASON_TRIAL_HEALTHY);
}

static void plan_trial(Machine *m)
{
        Incident *i = m->i;

        i->planned = true;
        if (i->trials >= m->l->max_trials)
                ladder_give_up(m, REASON_BUDGET_TRIALS);
        else if (m->e->live && !i->dead) {
                i->trials++;
                machine_go(m, STATE_ISOLATING, ACTION_PLACE, REASON_NEXT_RUNG);
        } else {
                ladder_descend(m, REASON_NEXT_RUNG);
        }
}

static void plan_done(Machine *m)
{
        m->i->last_rung = RUNG_ISOLATE;
        m->i->rung = RUNG_FINISH;
        m->i->n_culprits = m->e->n_culprits;
        machine_go(m, STATE_QUARANTINING, ACTION_QUARANTINE, REASON_CULPRITS_FOUND);
}

static void plan_gave_up(Machine *m)
{
        ladder_give_up(m, m->e->reason == REASON_NOT_A_MESSAGE ? m->e->reason : REASON_SEARCH_GAVE_UP);
}

static void quarantining_done(Machine *m)
{
        if (m->e->n_hold > 0 || m->i->dead || !m->e->alive || m->l->native) {
                ladder_descend(m, REASON_ACTION_DONE); /* FINISH: the rest goes back first, and it starts */
        } else {
                m->i->held = HELD_NOTHING;
                watch(m, STATE_VERIFYING, REASON_ACTION_DONE);
        }
}

static void restoring_done(Machine *m)
{
        Incident *i = m->i;

        if (i->action == ACTION_RESTORE) {
                if (m->e->n_hold == 0)
                        i->held = HELD_NOTHING;
                if (i->rung == RUNG_PURGE || i->rung == RUNG_BASELINE) {
                        i->held = HELD_NOTHING;
                        ladder_enter(m, REASON_ACTION_DONE);
                } else if (!i->was_running) {
                        ladder_close(m, i->why);
                } else {
                        ladder_start(m, i->rung == RUNG_GIVE_UP ? STATE_RESTORING : STATE_VERIFYING,
                                     REASON_ACTION_DONE);
                }
        } else if (i->action == ACTION_START) {
                ladder_close(m, i->why);
        } else {
                unguarded(m);
        }
}

static void restoring_failed(Machine *m)
{
        if (m->i->action == ACTION_RESTORE && m->i->rung != RUNG_GIVE_UP)
                act_failed(m);
        else
                restoring_done(m);
}

static void verified(Machine *m)
{
        m->i->why = m->i->rung == RUNG_RETURN ? REASON_OPERATOR : REASON_HEALTHY;
        ladder_close(m, REASON_HEALTHY);
}

/* An operator stopped or masked the service in the middle: everything goes back, and it stays stopped. */
static void stand_down(Machine *m)
{
        m->i->was_running = false;
        ladder_give_up(m, m->e->reason);
}

static void overdue(Machine *m)
{
        if (m->i->rung < RUNG_FINISH)
                ladder_give_up(m, REASON_BUDGET_TIME);
        else
                stay(m);
}

static void pause(Machine *m)
{
        m->i->paused_from = m->i->state;
        machine_go(m, STATE_PAUSED, ACTION_NONE, REASON_OPERATOR);
}

/* Goes on in @state, of which it is not known how far it had come. */
static void go_on(Machine *m, State state, Reason reason)
{
        Incident *i = m->i;

        i->dead = false;
        i->guarded = false; /* half of it lives in /run: guarding again is harmless */
        i->failing = false;
        i->deadline = usec_add(m->now->mono, m->l->max_time);
        if (i->action == ACTION_UNGUARD && !m->e->alive && i->was_running) {
                ladder_descend(m, reason); /* the guard has kept it from coming up with the host */
        } else if (i->action == ACTION_UNGUARD || i->action == ACTION_CLOSE) {
                i->guarded = true;
                ladder_close(m, reason);
        } else if (state == STATE_DIAGNOSING) {
                m->step->with_causes = true;
                machine_go(m, state, ACTION_COLLECT, reason);
        } else if (state == STATE_QUARANTINING) {
                i->guarded = true;
                machine_go(m, state, ACTION_QUARANTINE, reason);
        } else if (state == STATE_VERIFYING && m->e->alive) {
                i->guarded = true;
                watch(m, state, reason);
        } else {
                ladder_descend(m, reason);
        }
}

static void resume(Machine *m)
{
        State from = m->i->paused_from;

        if (from == STATE_SUSPECT)
                from = STATE_HEALTHY;
        if (state_is_recovering(from))
                go_on(m, from, REASON_OPERATOR);
        else
                machine_go(m, from, ACTION_NONE, REASON_OPERATOR);
}

static void escalated_resumed(Machine *m)
{
        if (m->i->pending)
                ladder_close(m, REASON_RESUMED);
}

static void resumed(Machine *m)
{
        go_on(m, m->i->state, REASON_RESUMED);
}

typedef struct Cell {
        void (*run)(Machine *m);
} Cell;

/* In every state of an open incident. */
#define RECOVERING                                                                                           \
        [EVENT_SUSPECTED] = { stay }, [EVENT_FAULT] = { stay }, [EVENT_HEALTHY] = { stay },                  \
        [EVENT_STAND_DOWN] = { stand_down }, [EVENT_OVERDUE] = { overdue }, [EVENT_PAUSE] = { pause },       \
        [EVENT_RESUME] = { stay }, [EVENT_RECOVER] = { stay }, [EVENT_RETURN] = { stay },                    \
        [EVENT_RESUMED] = { resumed }

/* In every state without one; a late deadline or an outcome of a closed incident cannot come here. */
#define IDLE                                                                                                 \
        [EVENT_PAUSE] = { pause }, [EVENT_RESUME] = { stay }, [EVENT_RECOVER] = { open_fault },              \
        [EVENT_RETURN] = { open_return }

static const Cell cells[_STATE_MAX][_EVENT_KIND_MAX] = {
        [STATE_HEALTHY] = { IDLE, [EVENT_SUSPECTED] = { become_suspect }, [EVENT_FAULT] = { open_fault },
                            [EVENT_HEALTHY] = { stay }, [EVENT_STAND_DOWN] = { stay },
                            [EVENT_RESUMED] = { stay } },
        [STATE_SUSPECT] = { IDLE, [EVENT_SUSPECTED] = { stay }, [EVENT_FAULT] = { open_fault },
                            [EVENT_HEALTHY] = { become_healthy }, [EVENT_STAND_DOWN] = { become_healthy },
                            [EVENT_RESUMED] = { become_healthy } },
        [STATE_ESCALATED] = { IDLE, [EVENT_SUSPECTED] = { stay }, [EVENT_FAULT] = { stay },
                              [EVENT_HEALTHY] = { become_healthy }, [EVENT_STAND_DOWN] = { stay },
                              [EVENT_RESUMED] = { escalated_resumed }, [EVENT_DONE] = { closed },
                              [EVENT_FAILED] = { closed } },
        [STATE_PAUSED] = { [EVENT_SUSPECTED] = { stay },
                           [EVENT_FAULT] = { stay },
                           [EVENT_HEALTHY] = { stay },
                           [EVENT_STAND_DOWN] = { stay },
                           [EVENT_OVERDUE] = { stay },
                           [EVENT_PAUSE] = { stay },
                           [EVENT_RESUME] = { resume },
                           [EVENT_RECOVER] = { stay },
                           [EVENT_RETURN] = { stay },
                           [EVENT_RESUMED] = { stay } },
        [STATE_DIAGNOSING] = { RECOVERING, [EVENT_DONE] = { diagnosed }, [EVENT_FAILED] = { diagnosed } },
        [STATE_STOPPING] = { RECOVERING, [EVENT_DONE] = { stopping_done },
                             [EVENT_FAILED] = { stopping_failed }, [EVENT_OBSERVED] = { observed } },
        [STATE_KILLING] = { RECOVERING, [EVENT_DONE] = { killing_done },
                            [EVENT_FAILED] = { killing_failed } },
        [STATE_RESTARTING] = { RECOVERING, [EVENT_DONE] = { trial_done },
                               [EVENT_FAILED] = { trial_action_failed },
                               [EVENT_TRIAL_HEALTHY] = { restarting_healthy },
                               [EVENT_TRIAL_FAILED] = { trial_failed },
                               [EVENT_TRIAL_VOID] = { ladder_void } },
        [STATE_SETTING_ASIDE] = { RECOVERING, [EVENT_DONE] = { set_aside_done },
                                  [EVENT_FAILED] = { act_failed } },
        [STATE_PURGING] = { RECOVERING, [EVENT_DONE] = { purging_done }, [EVENT_FAILED] = { act_failed } },
        [STATE_BASELINE] = { RECOVERING, [EVENT_DONE] = { trial_done },
                             [EVENT_FAILED] = { trial_action_failed },
                             [EVENT_TRIAL_HEALTHY] = { baseline_healthy },
                             [EVENT_TRIAL_FAILED] = { trial_failed }, [EVENT_TRIAL_VOID] = { ladder_void } },
        [STATE_ISOLATING] = { RECOVERING, [EVENT_DONE] = { isolating_done },
                              [EVENT_FAILED] = { isolating_failed },
                              [EVENT_TRIAL_HEALTHY] = { isolating_healthy },
                              [EVENT_TRIAL_FAILED] = { trial_failed }, [EVENT_TRIAL_VOID] = { ladder_void },
                              [EVENT_PLAN_TRIAL] = { plan_trial }, [EVENT_PLAN_DONE] = { plan_done },
                              [EVENT_PLAN_GAVE_UP] = { plan_gave_up } },
        [STATE_QUARANTINING] = { RECOVERING, [EVENT_DONE] = { quarantining_done },
                                 [EVENT_FAILED] = { ladder_quarantine_failed } },
        [STATE_RESTORING] = { RECOVERING, [EVENT_DONE] = { restoring_done },
                              [EVENT_FAILED] = { restoring_failed } },
        [STATE_VERIFYING] = { RECOVERING, [EVENT_DONE] = { trial_done },
                              [EVENT_FAILED] = { trial_action_failed }, [EVENT_TRIAL_HEALTHY] = { verified },
                              [EVENT_TRIAL_FAILED] = { trial_failed }, [EVENT_TRIAL_VOID] = { ladder_void } },
};
static_assert(sizeof(cells) / sizeof(cells[0]) == _STATE_MAX, "a row for every state");

CellKind recovery_cell(State s, EventKind e)
{
        if (!cells[s][e].run)
                return CELL_EMPTY;
        return cells[s][e].run == stay ? CELL_IGNORES : CELL_ACTS;
}

int recovery_step(const Incident *i, const Ladder *l, const Event *e, const Now *now, Incident *ret,
                  Step *ret_step)
{
        Machine m = { .i = ret, .l = l, .e = e, .now = now, .step = ret_step };

        *ret = *i;
        *ret_step = (Step){ .action = ACTION_NONE };
        if (cells[i->state][e->kind].run) {
                if (e->kind == EVENT_DONE || e->kind == EVENT_FAILED || e->kind == EVENT_OBSERVED)
                        ret->pending = false;
                cells[i->state][e->kind].run(&m);
                return 0;
        }
        if (state_is_recovering(i->state))
                ladder_give_up(&m, REASON_UNEXPECTED);
        else
                machine_go(&m, STATE_ESCALATED, ACTION_NONE, REASON_UNEXPECTED);
        return RECOVERY_E_UNEXPECTED;
}
