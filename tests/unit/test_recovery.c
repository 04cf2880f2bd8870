/*
 * The recovery machine: every cell, every reachable state, every way to die and resume.
 *
 * explore() walks breadth-first over all incidents reachable from an open one, with every event that the
 * engine could deliver there, and checks the invariants of recovery.c in each. Times and sequence numbers are
 * left out of the comparison of states, so the walk is finite.
 */
#include "decide/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const Now now = { .mono = 1000, .wall = 2000 };
static const Ladder ladder = {
        .restarts = 1, .max_trials = 8, .n_stores = 2, .has_rebuildable = true, .max_time = 500
};

static Incident step(const Incident *i, Event ev, Step *ret_step)
{
        Incident next;
        Step s;

        assert_int_equal(recovery_step(i, &ladder, &ev, &now, &next, &s), 0);
        if (ret_step)
                *ret_step = s;
        return next;
}

static Event fault(SymptomKind symptom)
{
        Event ev = { .kind = EVENT_FAULT, .symptom = symptom, .alive = true };

        strcpy(ev.id, "20260101T000000-000000-0");
        return ev;
}

static void every_cell_answers(void **state)
{
        size_t empty = 0, acts = 0;

        (void)state;
        for (int s = 0; s < _STATE_MAX; s++)
                for (int e = 0; e < _EVENT_KIND_MAX; e++) {
                        Incident i = { .state = (State)s, .rung = RUNG_RESTART, .id = "x" }, next;
                        Event ev = { .kind = (EventKind)e };
                        Step st;
                        CellKind cell = recovery_cell((State)s, (EventKind)e);
                        int r = recovery_step(&i, &ladder, &ev, &now, &next, &st);

                        assert_int_equal(r, cell == CELL_EMPTY ? RECOVERY_E_UNEXPECTED : 0);
                        assert_true((int)next.state >= 0 && next.state < _STATE_MAX);
                        if (cell == CELL_EMPTY) {
                                empty++;
                                assert_true(next.why == REASON_UNEXPECTED ||
                                            next.reason == REASON_UNEXPECTED);
                        }
                        if (cell == CELL_IGNORES)
                                assert_memory_equal(&i, &next, sizeof(i));
                        acts += cell == CELL_ACTS;
                }
        assert_true(acts > 60);
        assert_true(empty > 0);
}

static void a_restart_is_enough(void **state)
{
        Incident i = { .state = STATE_HEALTHY };
        Step s;

        (void)state;
        i = step(&i, fault(SYMPTOM_CRASHED), &s);
        assert_int_equal(i.state, STATE_DIAGNOSING);
        assert_int_equal(s.action, ACTION_COLLECT);
        assert_true(s.with_causes);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(s.action, ACTION_GUARD);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(s.action, ACTION_STOP);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(i.state, STATE_RESTARTING);
        assert_int_equal(s.action, ACTION_START);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(s.action, ACTION_WATCH);
        i = step(&i, (Event){ .kind = EVENT_TRIAL_HEALTHY }, &s);
        assert_int_equal(i.state, STATE_VERIFYING);
        i = step(&i, (Event){ .kind = EVENT_TRIAL_HEALTHY }, &s);
        assert_int_equal(s.action, ACTION_UNGUARD);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(s.action, ACTION_CLOSE);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(i.state, STATE_HEALTHY);
        assert_int_equal(i.result, CLOSE_RECOVERED);
        assert_true(s.closes);
}

/* An incident that has come to STOPPING with the given evidence. */
static Incident diagnosed(SymptomKind symptom, Event done)
{
        Incident i = { .state = STATE_HEALTHY };

        i = step(&i, fault(symptom), NULL);
        done.kind = EVENT_DONE;
        return step(&i, done, NULL);
}

/* From STOPPING (guard) to the entry of the rung. */
static Incident stopped(Incident i, Step *s)
{
        if (i.action == ACTION_GUARD)
                i = step(&i, (Event){ .kind = EVENT_DONE }, s);
        assert_int_equal(i.action, ACTION_STOP);
        return step(&i, (Event){ .kind = EVENT_DONE }, s);
}

/* A START that comes up and then fails the trial, with @n suspects seen: back to STOPPING. */
static Incident fails(Incident i, uint64_t n, Step *s)
{
        i = step(&i, (Event){ .kind = EVENT_DONE }, s);
        assert_int_equal(s->action, ACTION_WATCH);
        i = step(&i, (Event){ .kind = EVENT_TRIAL_FAILED, .symptom = SYMPTOM_CRASHED }, s);
        assert_int_equal(s->action, ACTION_COLLECT);
        return step(&i, (Event){ .kind = EVENT_DONE, .n_suspects = n }, s);
}

static void a_lone_suspect_is_convicted_without_a_search(void **state)
{
        Incident i = diagnosed(SYMPTOM_STALLED, (Event){ .n_suspects = 1 });
        Step s;

        (void)state;
        i = stopped(i, &s);
        assert_int_equal(i.state, STATE_RESTARTING); /* the gentlest rung first */
        i = fails(i, 1, &s);
        i = stopped(i, &s);
        assert_int_equal(i.state, STATE_SETTING_ASIDE);
        assert_int_equal(s.action, ACTION_PLACE);
        i = step(&i, (Event){ .kind = EVENT_DONE, .n_hold = 1 }, &s);
        assert_int_equal(s.action, ACTION_START);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        i = step(&i, (Event){ .kind = EVENT_TRIAL_HEALTHY }, &s);
        assert_int_equal(i.state, STATE_QUARANTINING);
        assert_int_equal(s.action, ACTION_QUARANTINE);
        i = step(&i, (Event){ .kind = EVENT_DONE, .n_hold = 0, .alive = true }, &s);
        assert_int_equal(i.state, STATE_VERIFYING);
        assert_int_equal(s.action, ACTION_WATCH);
        assert_int_equal(i.trials, 2);
}

static void the_ladder_goes_down_to_the_last_store_and_gives_up(void **state)
{
        Incident i = diagnosed(SYMPTOM_CRASHED, (Event){ 0 });
        Step s;

        (void)state;
        i = stopped(i, &s);
        assert_int_equal(i.rung, RUNG_RESTART);
        i = stopped(fails(i, 0, &s), &s);
        assert_int_equal(i.state, STATE_PURGING);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(i.state, STATE_RESTARTING);
        for (size_t store = 0; store <= 2; store++) { /* each store, then both */
                i = stopped(fails(i, 0, &s), &s);
                if (store > 0) { /* the innocent one goes back first */
                        assert_int_equal(s.action, ACTION_RESTORE);
                        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
                }
                assert_int_equal(s.action, ACTION_SET_ASIDE);
                assert_int_equal(i.store, store);
                i = step(&i, (Event){ .kind = EVENT_DONE, .n_hold = 10 }, &s);
                assert_int_equal(s.action, ACTION_PURGE);
                i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
                assert_int_equal(i.state, STATE_BASELINE);
        }
        i = stopped(fails(i, 0, &s), &s);
        assert_int_equal(i.state, STATE_RESTORING);
        assert_int_equal(i.why, REASON_NOT_A_MESSAGE);
        assert_false(s.keep_open); /* everything goes back */
        i = step(&i, (Event){ .kind = EVENT_DONE, .n_hold = 0 }, &s);
        assert_int_equal(s.action, ACTION_START);
        i = step(&i, (Event){ .kind = EVENT_FAILED }, &s);
        assert_int_equal(s.action, ACTION_UNGUARD);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(s.action, ACTION_CLOSE);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(i.state, STATE_ESCALATED);
        assert_int_equal(i.result, CLOSE_ESCALATED);
}

static void an_empty_store_is_no_trial(void **state)
{
        Incident i = diagnosed(SYMPTOM_CRASH_LOOP, (Event){ .messages = true });
        Step s;

        (void)state;
        i = stopped(i, &s);
        assert_int_equal(s.action, ACTION_SET_ASIDE);
        i = step(&i, (Event){ .kind = EVENT_DONE, .n_hold = 0 }, &s);
        assert_int_equal(s.action, ACTION_SET_ASIDE);
        assert_int_equal(i.store, 1);
        assert_int_equal(i.trials, 0);
}

static void a_veto_touches_nothing(void **state)
{
        Incident i = diagnosed(SYMPTOM_CRASHED, (Event){ .veto = true, .reason = REASON_VETO });
        Step s;

        (void)state;
        assert_int_equal(i.state, STATE_ESCALATED);
        assert_int_equal(i.action, ACTION_CLOSE);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(i.why, REASON_VETO);
        assert_false(i.guarded);
        assert_true(s.closes);
}

static void observe_mode_closes_as_observed(void **state)
{
        Incident i = diagnosed(SYMPTOM_CRASHED, (Event){ 0 });
        Step s;

        (void)state;
        i = step(&i, (Event){ .kind = EVENT_OBSERVED }, &s);
        assert_int_equal(s.action, ACTION_CLOSE);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(i.state, STATE_ESCALATED);
        assert_int_equal(i.result, CLOSE_OBSERVED);
        i = step(&i, (Event){ .kind = EVENT_HEALTHY }, &s);
        assert_int_equal(i.state, STATE_HEALTHY);
}

static void what_cannot_be_killed_is_left_alone(void **state)
{
        Incident i = diagnosed(SYMPTOM_STALLED, (Event){ .n_suspects = 3 });
        Step s;

        (void)state;
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        i = step(&i, (Event){ .kind = EVENT_FAILED, .reason = REASON_STOP_TIMEOUT }, &s);
        assert_int_equal(i.state, STATE_KILLING);
        i = step(&i, (Event){ .kind = EVENT_FAILED, .reason = REASON_UNKILLABLE }, &s);
        assert_int_equal(s.action, ACTION_UNGUARD);
        assert_int_equal(i.held, HELD_NOTHING);
        assert_int_equal(i.why, REASON_UNKILLABLE);
}

static void an_operators_stop_ends_it_stopped(void **state)
{
        Incident i = diagnosed(SYMPTOM_CRASHED, (Event){ 0 });
        Step s;

        (void)state;
        i = stopped(i, &s);
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        i = step(&i, (Event){ .kind = EVENT_STAND_DOWN, .reason = REASON_OPERATOR_STOP }, &s);
        assert_int_equal(s.action, ACTION_UNGUARD); /* nothing is held: nothing to put back, and no start */
        i = step(&i, (Event){ .kind = EVENT_DONE }, &s);
        assert_int_equal(s.action, ACTION_CLOSE);
}

/* ---- the walk ---- */

#define WALK_MAX 200000

typedef struct Walk {
        Incident *seen;
        size_t n, next;
} Walk;

/* What does not matter for what comes next. */
static Incident normal(Incident i)
{
        i.seq = 0;
        i.deadline = 0;
        i.opened = 0;
        i.reason = REASON_NONE;
        i.crashes = 0;
        i.rounds = 0;
        i.failing_after = 0;
        memset(i.id, 0, sizeof(i.id));
        return i;
}

static void walk_add(Walk *w, Incident i)
{
        i = normal(i);
        for (size_t k = w->n; k-- > 0;)
                if (memcmp(&w->seen[k], &i, sizeof(i)) == 0)
                        return;
        assert_true(w->n < WALK_MAX);
        w->seen[w->n++] = i;
}

static void check_invariants(const Incident *i)
{
        if (i->dead)
                assert_true(i->guarded || i->rung == RUNG_GIVE_UP || i->rung == RUNG_RETURN);
        if (i->action == ACTION_SET_ASIDE || (i->action == ACTION_PURGE && i->pending))
                assert_true(i->dead);
        if (i->action == ACTION_RESTORE && i->pending)
                assert_true(i->dead);
        if (i->state == STATE_HEALTHY || i->state == STATE_SUSPECT || i->state == STATE_ESCALATED) {
                assert_false(i->guarded);
                assert_true(!i->pending || i->action == ACTION_CLOSE);
        }
        assert_true(i->trials <= ladder.max_trials);
}

/* Every event that the engine can deliver while @i's action is under way. */
static size_t possible_events(const Incident *i, Event *ret)
{
        size_t n = 0;

        switch (i->action) {
        case ACTION_COLLECT:
                ret[n++] = (Event){ .kind = EVENT_DONE };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_suspects = 2 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .purge = true };
                ret[n++] = (Event){ .kind = EVENT_DONE, .messages = true };
                ret[n++] = (Event){ .kind = EVENT_DONE, .veto = true, .reason = REASON_VETO };
                ret[n++] = (Event){ .kind = EVENT_FAILED };
                break;
        case ACTION_WATCH:
                ret[n++] = (Event){ .kind = EVENT_TRIAL_HEALTHY };
                ret[n++] = (Event){ .kind = EVENT_TRIAL_FAILED, .symptom = SYMPTOM_STALLED };
                ret[n++] = (Event){ .kind = EVENT_TRIAL_VOID };
                ret[n++] = (Event){ .kind = EVENT_STAND_DOWN, .reason = REASON_OPERATOR_STOP };
                break;
        case ACTION_PLAN:
                ret[n++] = (Event){ .kind = EVENT_PLAN_TRIAL };
                ret[n++] = (Event){ .kind = EVENT_PLAN_TRIAL, .live = true };
                ret[n++] = (Event){ .kind = EVENT_PLAN_DONE, .n_culprits = 2 };
                ret[n++] = (Event){ .kind = EVENT_PLAN_GAVE_UP };
                break;
        case ACTION_NONE:
                ret[n++] = (Event){ .kind = EVENT_RESUME, .alive = true };
                break;
        case ACTION_GUARD:
        case ACTION_STOP:
        case ACTION_KILL:
        case ACTION_PLACE:
        case ACTION_SET_ASIDE:
        case ACTION_PURGE:
        case ACTION_START:
        case ACTION_QUARANTINE:
        case ACTION_RESTORE:
        case ACTION_UNGUARD:
        case ACTION_CLOSE:
        case ACTION_RELEASE:
        case ACTION_DELETE:
        case ACTION_CATCH:
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 0 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 0, .alive = true };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 1 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 5 };
                ret[n++] = (Event){ .kind = EVENT_FAILED, .reason = REASON_UNKILLABLE };
                break;
        }
        ret[n++] = (Event){ .kind = EVENT_OVERDUE };
        ret[n++] = (Event){ .kind = EVENT_RESUMED, .alive = false };
        ret[n++] = (Event){ .kind = EVENT_RESUMED, .alive = true };
        ret[n++] = (Event){ .kind = EVENT_PAUSE };
        return n;
}

static void every_reachable_incident_keeps_the_invariants(void **state)
{
        Walk w = { .seen = calloc(WALK_MAX, sizeof(Incident)) };
        Incident start = { .state = STATE_HEALTHY };
        size_t ends = 0;

        (void)state;
        assert_non_null(w.seen);
        walk_add(&w, step(&start, fault(SYMPTOM_STALLED), NULL));
        walk_add(&w, step(&start, fault(SYMPTOM_CRASH_LOOP), NULL));
        walk_add(&w, step(&start, (Event){ .kind = EVENT_RETURN, .alive = true, .release = true }, NULL));
        for (; w.next < w.n; w.next++) {
                Event events[16];
                size_t n = possible_events(&w.seen[w.next], events);
                bool moves = false;

                check_invariants(&w.seen[w.next]);
                if (!state_is_recovering(w.seen[w.next].state) && !w.seen[w.next].pending) {
                        ends++;
                        continue;
                }
                for (size_t k = 0; k < n; k++) {
                        Incident next;
                        Step s;

                        if (recovery_cell(w.seen[w.next].state, events[k].kind) == CELL_EMPTY)
                                continue;
                        assert_int_equal(recovery_step(&w.seen[w.next], &ladder, &events[k], &now, &next, &s),
                                         0);
                        moves = moves || next.state != w.seen[w.next].state || next.seq != w.seen[w.next].seq;
                        if (w.n < 3000) /* a breadth-first prefix: enough for every rung, store and budget */
                                walk_add(&w, next);
                }
                assert_true(moves);
        }
        assert_true(ends > 0);
        assert_true(w.n > 1000);
        free(w.seen);
}

/* From every incident of the walk, the worst answer to everything still ends, and within the budget. */
static void whatever_fails_it_ends(void **state)
{
        (void)state;
        for (unsigned seed = 1; seed < 3000; seed++) {
                Incident i = { .state = STATE_HEALTHY };
                unsigned rnd = seed, steps = 0;

                i = step(&i, fault(seed % 2 ? SYMPTOM_STALLED : SYMPTOM_CRASHED), NULL);
                while (state_is_recovering(i.state) || i.pending) {
                        Event events[16];
                        Incident next;
                        Step s;
                        size_t n = possible_events(&i, events), k;

                        rnd = rnd * 1103515245 + 12345;
                        k = (rnd >> 16) % n;
                        if (events[k].kind == EVENT_RESUMED &&
                            (rnd >> 8) % 8) /* crashes of unjamd are rare */
                                k = 0;
                        if (recovery_cell(i.state, events[k].kind) == CELL_EMPTY)
                                k = 0;
                        if (events[k].kind == EVENT_PAUSE)
                                k = 0;
                        assert_int_equal(recovery_step(&i, &ladder, &events[k], &now, &next, &s), 0);
                        i = next;
                        check_invariants(&i);
                        assert_true(++steps < 1000);
                }
        }
}

static void an_incident_survives_its_json(void **state)
{
        Incident i = diagnosed(SYMPTOM_STALLED, (Event){ .n_suspects = 2 }), back;
        json_t *j = incident_to_json(&i);

        (void)state;
        assert_non_null(j);
        assert_int_equal(incident_from_json(j, &back), 0);
        back.deadline = i.deadline; /* monotonic: not written */
        assert_memory_equal(&i, &back, sizeof(i));
        assert_int_equal(json_object_set_new(j, "state", json_string("jolly")), 0);
        assert_int_equal(incident_from_json(j, &back), -EINVAL);
        json_decref(j);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_cell_answers),
                cmocka_unit_test(a_restart_is_enough),
                cmocka_unit_test(a_lone_suspect_is_convicted_without_a_search),
                cmocka_unit_test(the_ladder_goes_down_to_the_last_store_and_gives_up),
                cmocka_unit_test(an_empty_store_is_no_trial),
                cmocka_unit_test(a_veto_touches_nothing),
                cmocka_unit_test(observe_mode_closes_as_observed),
                cmocka_unit_test(what_cannot_be_killed_is_left_alone),
                cmocka_unit_test(an_operators_stop_ends_it_stopped),
                cmocka_unit_test(every_reachable_incident_keeps_the_invariants),
                cmocka_unit_test(whatever_fails_it_ends),
                cmocka_unit_test(an_incident_survives_its_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
