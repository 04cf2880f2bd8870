/*
 * ladder - which rung of the recovery comes next, and how it begins
 *
 * Called by the cells of recovery.c only. Pure. The ladder's order is that of DESIGN.md section 5:
 *
 *      restart -> suspects -> purge -> baseline (each store, then all) -> isolate -> finish
 *
 * A rung is skipped when evidence makes it pointless: a crash loop has restarted often enough; without
 * suspects nothing is held; without rebuildable files nothing is purged; an empty store proves nothing. Every
 * failing trial either goes down a rung, moves to the next store, or is one of the search's; starts are
 * counted, and the count is bounded by max_trials: so every incident ends.
 *
 * Every path down goes through STOPPING (and KILLING) until it is proved that nothing lives:
 * ladder_descend().
 *
 * Test: tests/unit/test_recovery.c
 */
#include "decide/ladder.h"

#define ROUNDS_MAX 3

void machine_go(Machine *m, State state, ActionKind action, Reason reason)
{
        m->i->state = state;
        m->i->action = action;
        m->i->reason = reason;
        m->i->pending = action != ACTION_NONE;
        if (action != ACTION_NONE)
                m->i->seq++;
        m->step->action = action;
}

/* The rung after @after, for what is known now. */
static Rung rung_after(const Machine *m, Rung after)
{
        if (after < RUNG_BASELINE && m->e->n_suspects > 0)
                return RUNG_SUSPECTS;
        if (after < RUNG_PURGE && m->l->has_rebuildable && !m->i->purged)
                return RUNG_PURGE;
        return RUNG_BASELINE;
}

/* Sets the rung; a baseline begins with the first store. */
static void rung_set(Machine *m, Rung rung)
{
        if (rung == RUNG_BASELINE && m->i->rung != RUNG_BASELINE)
                m->i->store = 0;
        m->i->rung = rung;
}

void ladder_choose(Machine *m)
{
        Reason reason = REASON_CONFIRMED;

        if (m->e->purge) {
                rung_set(m, RUNG_PURGE);
                reason = REASON_REMEDY;
        } else if (m->e->messages && m->l->n_stores > 0) {
                rung_set(m, m->e->n_suspects > 0 ? RUNG_SUSPECTS : RUNG_BASELINE);
                reason = REASON_REMEDY;
        } else if (m->l->restarts > 0 && m->i->symptom != SYMPTOM_CRASH_LOOP) {
                rung_set(m, RUNG_RESTART);
        } else {
                rung_set(m, rung_after(m, RUNG_RESTART));
                if (m->i->rung == RUNG_SUSPECTS)
                        reason = REASON_EVIDENCE;
        }
        ladder_descend(m, reason);
}

void ladder_descend(Machine *m, Reason reason)
{
        if (m->i->dead)
                ladder_enter(m, reason);
        else
                machine_go(m, STATE_STOPPING, m->i->guarded ? ACTION_STOP : ACTION_GUARD, reason);
}

void ladder_start(Machine *m, State state, Reason reason)
{
        if (m->i->rung <= RUNG_ISOLATE) {
                if (m->i->trials >= m->l->max_trials) {
                        ladder_give_up(m, REASON_BUDGET_TRIALS);
                        return;
                }
                m->i->trials++;
        }
        m->i->dead = false;
        machine_go(m, state, ACTION_START, reason);
}

/* What is held gets back first; then the rung is entered again. Return: true if there was something. */
static bool restored_first(Machine *m, Reason reason)
{
        if (m->i->held == HELD_NOTHING)
                return false;
        if (m->i->rung == RUNG_BASELINE && m->i->held == HELD_STORE && m->i->aside == m->i->store)
                return false;
        machine_go(m, STATE_RESTORING, ACTION_RESTORE, reason);
        return true;
}

void ladder_enter(Machine *m, Reason reason)
{
        Incident *i = m->i;

        switch (i->rung) {
        case RUNG_RESTART:
                ladder_start(m, STATE_RESTARTING, reason);
                return;
        case RUNG_SUSPECTS:
                i->held = HELD_SUSPECTS;
                machine_go(m, STATE_SETTING_ASIDE, ACTION_PLACE, reason);
                return;
        case RUNG_PURGE:
                if (!restored_first(m, reason))
                        machine_go(m, STATE_PURGING, ACTION_PURGE, reason);
                return;
        case RUNG_BASELINE:
                if (m->l->n_stores == 0) {
                        ladder_give_up(m, REASON_NOT_A_MESSAGE);
                } else if (!restored_first(m, reason)) {
                        i->held = HELD_STORE;
                        i->aside = i->store;
                        machine_go(m, STATE_SETTING_ASIDE, ACTION_SET_ASIDE, reason);
                }
                return;
        case RUNG_ISOLATE:
                machine_go(m, STATE_ISOLATING, i->planned ? ACTION_PLACE : ACTION_PLAN, reason);
                return;
        case RUNG_FINISH:
        case RUNG_RETURN:
                machine_go(m, STATE_RESTORING, ACTION_RESTORE, reason);
                return;
        case RUNG_GIVE_UP:
                m->step->keep_open = i->why != REASON_NOT_A_MESSAGE;
                machine_go(m, STATE_RESTORING, ACTION_RESTORE, reason);
                return;
        case RUNG_NONE:
        case _RUNG_MAX:
        case _RUNG_INVALID:
                ladder_give_up(m, REASON_UNEXPECTED);
                return;
        }
}

void ladder_next_store(Machine *m)
{
        Incident *i = m->i;

        if (i->store + 1 < m->l->n_stores)
                i->store++;
        else if (i->store < m->l->n_stores && m->l->n_stores > 1)
                i->store = m->l->n_stores; /* each alone is innocent: all of them together */
        else {
                ladder_give_up(m, REASON_NOT_A_MESSAGE);
                return;
        }
        ladder_descend(m, REASON_NEXT_RUNG);
}

void ladder_advance(Machine *m)
{
        Incident *i = m->i;

        switch (i->rung) {
        case RUNG_RESTART:
                if (++i->restarts >= m->l->restarts)
                        rung_set(m, rung_after(m, RUNG_RESTART));
                break;
        case RUNG_SUSPECTS:
        case RUNG_PURGE:
                rung_set(m, rung_after(m, i->rung));
                break;
        case RUNG_BASELINE:
                ladder_next_store(m);
                return;
        case RUNG_ISOLATE:
                break;    /* the search chooses */
        case RUNG_FINISH: /* it was not all of it */
                i->rounds++;
                if (m->e->n_suspects > 0)
                        rung_set(m, RUNG_SUSPECTS);
                else if (i->last_rung == RUNG_ISOLATE)
                        i->rung = RUNG_BASELINE; /* the same store once more */
                else
                        rung_set(m, rung_after(m, i->last_rung));
                break;
        case RUNG_RETURN: /* the mail that came back brings it down again */
                rung_set(m, rung_after(m, RUNG_RESTART));
                break;
        case RUNG_GIVE_UP:
                ladder_close(m, i->why);
                return;
        case RUNG_NONE:
        case _RUNG_MAX:
        case _RUNG_INVALID:
                ladder_give_up(m, REASON_UNEXPECTED);
                return;
        }
        ladder_descend(m, i->rung == RUNG_SUSPECTS ? REASON_EVIDENCE : REASON_TRIAL_FAILED);
}

void ladder_give_up(Machine *m, Reason reason)
{
        Incident *i = m->i;

        if (i->rung == RUNG_GIVE_UP) { /* even this failed: what is held stays held, and the record says so */
                ladder_close(m, i->why);
                return;
        }
        i->result = CLOSE_ESCALATED;
        i->why = reason;
        i->rung = RUNG_GIVE_UP;
        i->failing = false;
        i->planned = false;
        if (reason == REASON_UNKILLABLE || (i->held == HELD_NOTHING && !i->dead))
                ladder_close(m, reason); /* nothing to put back, or not allowed to: it lives */
        else
                ladder_descend(m, reason);
}

/* On the way out no start counts as a trial: what is done again there counts as a round. */
static bool round_is_left(Machine *m)
{
        return m->i->rounds++ < ROUNDS_MAX;
}

void ladder_void(Machine *m)
{
        if (m->i->rung <= RUNG_ISOLATE || round_is_left(m))
                ladder_descend(m, REASON_TRIAL_VOID);
        else
                ladder_give_up(m, REASON_TRIAL_VOID);
}

void ladder_quarantine_failed(Machine *m)
{
        Reason reason = m->e->reason == REASON_NONE ? REASON_ACTION_FAILED : m->e->reason;

        if (round_is_left(m))
                machine_go(m, STATE_QUARANTINING, ACTION_QUARANTINE, reason);
        else
                ladder_give_up(m, reason);
}

void ladder_close(Machine *m, Reason reason)
{
        bool recovered = m->i->result == CLOSE_RECOVERED;

        if (m->i->guarded)
                machine_go(m, recovered ? STATE_VERIFYING : STATE_RESTORING, ACTION_UNGUARD, reason);
        else
                machine_go(m, recovered ? STATE_VERIFYING : STATE_ESCALATED, ACTION_CLOSE, reason);
}
