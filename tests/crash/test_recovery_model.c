/*
 * The recovery machine, exhaustively: every incident that can be reached, with every event that can come, and
 * unjamd dying in every one of them. The real table, step and ladder functions, nothing beside them.
 *
 * The states are walked breadth-first and kept in a table. What does not decide what comes next (times, the
 * count of actions, words for people) is left out of the comparison, so the walk ends. Then
 *
 *  - the invariants of recovery.c hold in each of them;
 *  - each leads to healthy or escalated, with nobody's help but the service's own;
 *  - without deaths, pauses and an operator there is no way round in a circle: each way back to where one has
 *    been would have spent budget, which is part of the state;
 *  - what a resume after a death can come to is what could have been come to without it: recovered if that
 *    was within reach, and nothing else than before but giving up earlier.
 */
#include "decide/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES_MAX  (1u << 20)
#define BUCKETS    (1u << 21)
#define EVENTS_MAX 24

static const Now now = { .mono = 1000, .wall = 2000 };

typedef struct Edge {
        uint32_t to;
        bool fair; /* the service, its actions and its search; no death, no operator, no clock */
        bool resumes;
} Edge;

typedef struct Node {
        Incident incident;
        Edge edges[EVENTS_MAX];
        unsigned n_edges;
        bool ends;        /* healthy or escalated, and nothing under way */
        uint8_t outcomes; /* bits: what can be come to on fair ways */
        uint8_t colour;   /* of the search for circles */
        uint32_t hash_next;
} Node;

enum {
        CAN_RECOVER = 1 << CLOSE_RECOVERED,
        CAN_ESCALATE = 1 << CLOSE_ESCALATED,
        CAN_OBSERVE = 1 << CLOSE_OBSERVED
};

typedef struct Model {
        const Ladder *ladder;
        Node *nodes;
        uint32_t n, *buckets;
        unsigned long n_edges;
} Model;

/* ---- states ---- */

static Incident normal(Incident i)
{
        i.seq = 0;
        i.deadline = 0;
        i.opened = 0;
        i.reason = REASON_NONE;
        i.why = i.why == REASON_NOT_A_MESSAGE ? REASON_NOT_A_MESSAGE
                                              : REASON_NONE; /* keep_open asks for it */
        i.crashes = 0;
        i.rounds = i.rounds > 4 ? 4 : i.rounds;
        i.failing_after = 0;
        i.n_culprits = 0;
        i.hang = false;
        if (i.state != STATE_DIAGNOSING)
                i.symptom = SYMPTOM_CRASHED;
        else if (i.symptom != SYMPTOM_CRASH_LOOP)
                i.symptom = SYMPTOM_EVENT;
        if (i.rung != RUNG_RESTART)
                i.restarts = 0;
        if (i.rung != RUNG_SUSPECTS)
                i.n_suspects = 0;
        else if (i.n_suspects > 1)
                i.n_suspects = 2;
        if (i.held != HELD_STORE)
                i.aside = 0;
        memset(i.id, 0, sizeof(i.id));
        return i;
}

static uint32_t hash(const Incident *i)
{
        const unsigned char *p = (const unsigned char *)i;
        uint32_t h = 2166136261u;

        for (size_t k = 0; k < sizeof(*i); k++)
                h = (h ^ p[k]) * 16777619u;
        return h % BUCKETS;
}

/* Padding must not tell two of the same apart: field by field into zeroed memory. */
static Incident packed(const Incident *from)
{
        Incident to;

        memset(&to, 0, sizeof(to));
#define COPY(member) to.member = from->member
        COPY(state), COPY(paused_from), COPY(rung), COPY(last_rung), COPY(held), COPY(store), COPY(aside);
        COPY(symptom), COPY(result), COPY(why), COPY(action), COPY(pending), COPY(guarded), COPY(dead);
        COPY(was_running), COPY(purged), COPY(release), COPY(failing), COPY(planned), COPY(restarts);
        COPY(trials), COPY(rounds), COPY(hang), COPY(n_suspects), COPY(n_culprits);
#undef COPY
        return to;
}

static uint32_t add(Model *m, const Incident *incident)
{
        Incident whole = normal(*incident), i = packed(&whole);
        uint32_t h = hash(&i);

        for (uint32_t k = m->buckets[h]; k; k = m->nodes[k - 1].hash_next)
                if (memcmp(&m->nodes[k - 1].incident, &i, sizeof(i)) == 0)
                        return k - 1;
        assert_true(m->n < NODES_MAX);
        m->nodes[m->n] = (Node){ .incident = i, .hash_next = m->buckets[h] };
        m->buckets[h] = ++m->n;
        return m->n - 1;
}

/* ---- events ---- */

static size_t outcomes_of(const Incident *i, Event *ret)
{
        size_t n = 0;

        switch (i->action) {
        case ACTION_COLLECT:
                ret[n++] = (Event){ .kind = EVENT_DONE };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_suspects = 1 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_suspects = 2 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .purge = true };
                ret[n++] = (Event){ .kind = EVENT_DONE, .messages = true };
                ret[n++] = (Event){ .kind = EVENT_FAILED };
                if (i->state == STATE_DIAGNOSING)
                        ret[n++] = (Event){ .kind = EVENT_DONE, .veto = true, .reason = REASON_VETO };
                break;
        case ACTION_WATCH:
                ret[n++] = (Event){ .kind = EVENT_TRIAL_HEALTHY };
                ret[n++] = (Event){ .kind = EVENT_TRIAL_FAILED, .symptom = SYMPTOM_STALLED };
                ret[n++] = (Event){ .kind = EVENT_TRIAL_FAILED, .symptom = SYMPTOM_CRASHED };
                ret[n++] = (Event){ .kind = EVENT_TRIAL_VOID };
                break;
        case ACTION_PLAN:
                ret[n++] = (Event){ .kind = EVENT_PLAN_TRIAL };
                ret[n++] = (Event){ .kind = EVENT_PLAN_TRIAL, .live = true };
                ret[n++] = (Event){ .kind = EVENT_PLAN_DONE, .n_culprits = 1 };
                ret[n++] = (Event){ .kind = EVENT_PLAN_GAVE_UP };
                break;
        case ACTION_GUARD:
        case ACTION_STOP:
                ret[n++] = (Event){ .kind = EVENT_OBSERVED };
                /* fallthrough */
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
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 0 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 0, .alive = true };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 1 };
                ret[n++] = (Event){ .kind = EVENT_DONE, .n_hold = 5 };
                ret[n++] = (Event){ .kind = EVENT_FAILED, .reason = REASON_ACTION_FAILED };
                break;
        case ACTION_NONE:
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                break;
        }
        return n;
}

/* What comes from outside, at any moment. */
static size_t interruptions(const Incident *i, Event *ret)
{
        size_t n = 0;

        ret[n++] = (Event){ .kind = EVENT_RESUMED, .alive = false };
        ret[n++] = (Event){ .kind = EVENT_RESUMED, .alive = true };
        ret[n++] = (Event){ .kind = EVENT_OVERDUE };
        ret[n++] = (Event){ .kind = EVENT_PAUSE };
        if (i->action == ACTION_WATCH)
                ret[n++] = (Event){ .kind = EVENT_STAND_DOWN, .reason = REASON_OPERATOR_STOP };
        return n;
}

static void follow(Model *m, uint32_t from, const Event *ev, bool fair)
{
        Incident next;
        Step step;
        uint32_t to;
        Node *node;

        if (recovery_cell(m->nodes[from].incident.state, ev->kind) == CELL_EMPTY) {
                if (fair && m->nodes[from].incident.state != STATE_PAUSED && ev->kind != EVENT_OBSERVED)
                        fail_msg("%s, %s, %s: an empty cell", state_to_string(m->nodes[from].incident.state),
                                 action_kind_to_string(m->nodes[from].incident.action),
                                 event_kind_to_string(ev->kind));
                return;
        }
        assert_int_equal(recovery_step(&m->nodes[from].incident, m->ladder, ev, &now, &next, &step), 0);
        if (next.state == STATE_PAUSED) { /* for a while; a pause keeps everything as it is */
                const Incident paused = next;
                const Event resume = { .kind = EVENT_RESUME, .alive = true };

                assert_int_equal(recovery_step(&paused, m->ladder, &resume, &now, &next, &step), 0);
        }
        to = add(m, &next);
        node = m->nodes + from;
        assert_true(node->n_edges < EVENTS_MAX);
        node->edges[node->n_edges++] = (Edge){ .to = to, .fair = fair, .resumes = ev->kind == EVENT_RESUMED };
        m->n_edges++;
}

static Event opening(EventKind kind, SymptomKind symptom, bool release)
{
        Event ev = { .kind = kind, .symptom = symptom, .alive = true, .release = release };

        strcpy(ev.id, "20260101T000000-000000-0");
        return ev;
}

static void walk(Model *m)
{
        const Event openings[] = {
                opening(EVENT_FAULT, SYMPTOM_STALLED, false),    opening(EVENT_FAULT, SYMPTOM_CRASHED, false),
                opening(EVENT_FAULT, SYMPTOM_CRASH_LOOP, false), opening(EVENT_RECOVER, SYMPTOM_EVENT, false),
                opening(EVENT_RETURN, SYMPTOM_EVENT, true),      opening(EVENT_RETURN, SYMPTOM_EVENT, false)
        };

        for (size_t k = 0; k < sizeof(openings) / sizeof(openings[0]); k++) {
                Incident start = { .state = STATE_HEALTHY }, next;
                Step step;

                assert_int_equal(recovery_step(&start, m->ladder, &openings[k], &now, &next, &step), 0);
                (void)add(m, &next);
        }
        for (uint32_t at = 0; at < m->n; at++) {
                Event events[EVENTS_MAX];
                const Incident i = m->nodes[at].incident;
                size_t n;

                m->nodes[at].ends = !i.pending && (i.state == STATE_HEALTHY || i.state == STATE_ESCALATED);
                if (m->nodes[at].ends)
                        continue;
                n = i.pending ? outcomes_of(&i, events) : 0;
                for (size_t k = 0; k < n; k++)
                        follow(m, at, events + k, true);
                n = interruptions(&i, events);
                for (size_t k = 0; k < n; k++)
                        follow(m, at, events + k, false);
        }
}

/* ---- what must be true ---- */

static void describe(const Incident *i, char text[200])
{
        snprintf(text, 200, "%s, %s, rung %s, held %s%s%s, trials %u", state_to_string(i->state),
                 action_kind_to_string(i->action), rung_to_string(i->rung), held_to_string(i->held),
                 i->guarded ? ", guarded" : "", i->dead ? ", dead" : "", i->trials);
}

static void check_invariants(const Model *m)
{
        for (uint32_t k = 0; k < m->n; k++) {
                const Incident *i = &m->nodes[k].incident;
                bool moves = i->pending && (i->action == ACTION_SET_ASIDE || i->action == ACTION_PURGE ||
                                            i->action == ACTION_RESTORE ||
                                            (i->action == ACTION_PLACE && i->state != STATE_ISOLATING));
                bool idle =
                        i->state == STATE_HEALTHY || i->state == STATE_SUSPECT || i->state == STATE_ESCALATED;
                char text[200];

                describe(i, text);
                if (moves && !i->dead && i->state != STATE_PAUSED)
                        fail_msg("mail is moved, and nobody has proved that the service is dead: %s", text);
                if (i->dead && !i->guarded)
                        fail_msg("dead, but not guarded: %s", text);
                if (idle && (i->guarded || (i->pending && i->action != ACTION_CLOSE)))
                        fail_msg("guarded or at work without an incident: %s", text);
                if (i->trials > m->ladder->max_trials)
                        fail_msg("more trials than allowed: %s", text);
        }
}

/* No way round in a circle on fair edges: depth first, by hand, for it is deep. */
static void check_circles(Model *m)
{
        uint32_t *stack = calloc(m->n + 1, sizeof(*stack));
        uint8_t *next = calloc(m->n, sizeof(*next));

        assert_non_null(stack);
        assert_non_null(next);
        for (uint32_t root = 0; root < m->n; root++) {
                uint32_t depth = 0;

                if (m->nodes[root].colour)
                        continue;
                stack[depth++] = root;
                m->nodes[root].colour = 1;
                while (depth > 0) {
                        Node *node = m->nodes + stack[depth - 1];
                        Edge *e = NULL;

                        while (next[stack[depth - 1]] < node->n_edges && !e) {
                                e = node->edges + next[stack[depth - 1]]++;
                                if (!e->fair)
                                        e = NULL;
                        }
                        if (!e) {
                                node->colour = 2;
                                depth--;
                        } else if (m->nodes[e->to].colour == 1) {
                                char text[200];

                                describe(&m->nodes[e->to].incident, text);
                                fail_msg("round in a circle, and no budget is spent: %s", text);
                        } else if (m->nodes[e->to].colour == 0) {
                                m->nodes[e->to].colour = 1;
                                stack[depth++] = e->to;
                        }
                }
        }
        free(stack);
        free(next);
}

/* What each can come to on fair ways: from the ends backwards, until nothing changes. */
static void find_outcomes(Model *m)
{
        bool changed = true;

        for (uint32_t k = 0; k < m->n; k++)
                if (m->nodes[k].ends)
                        m->nodes[k].outcomes = (uint8_t)(1 << m->nodes[k].incident.result);
        while (changed) {
                changed = false;
                for (uint32_t k = m->n; k-- > 0;)
                        for (unsigned e = 0; e < m->nodes[k].n_edges; e++) {
                                uint8_t more = m->nodes[m->nodes[k].edges[e].to].outcomes;

                                if (m->nodes[k].edges[e].fair && (more & ~m->nodes[k].outcomes)) {
                                        m->nodes[k].outcomes |= more;
                                        changed = true;
                                }
                        }
        }
}

static void check_ends(const Model *m)
{
        for (uint32_t k = 0; k < m->n; k++)
                if (!m->nodes[k].outcomes && m->nodes[k].incident.state != STATE_PAUSED) {
                        char text[200];

                        describe(&m->nodes[k].incident, text);
                        fail_msg("it leads nowhere: %s", text);
                }
}

static void check_resumes(const Model *m)
{
        for (uint32_t k = 0; k < m->n; k++) {
                const Node *before = m->nodes + k;

                for (unsigned e = 0; e < before->n_edges; e++) {
                        const Node *after = m->nodes + before->edges[e].to;
                        char text[200];

                        if (!before->edges[e].resumes || before->incident.state == STATE_PAUSED)
                                continue;
                        describe(&before->incident, text);
                        /* A death costs the trial that was under way, and may cost the last one. */
                        if ((before->outcomes & CAN_RECOVER) && !(after->outcomes & CAN_RECOVER) &&
                            before->incident.trials + 1 < m->ladder->max_trials)
                                fail_msg("it would have recovered, but for a death: %s", text);
                        /* A trial whose failure was not on record yet is run again, and may show more. */
                        if ((after->outcomes & CAN_RECOVER) && !(before->outcomes & CAN_RECOVER) &&
                            !before->incident.failing)
                                fail_msg("it recovers because of a death: %s", text);
                }
        }
}

static void check_model(const Ladder *ladder)
{
        Model m = { .ladder = ladder,
                    .nodes = calloc(NODES_MAX, sizeof(*m.nodes)),
                    .buckets = calloc(BUCKETS, sizeof(*m.buckets)) };

        assert_non_null(m.nodes);
        assert_non_null(m.buckets);
        walk(&m);
        print_message("%u stores, %u restarts, %srebuildable, %u trials: %u states, %lu steps\n",
                      (unsigned)ladder->n_stores, ladder->restarts, ladder->has_rebuildable ? "" : "nothing ",
                      ladder->max_trials, m.n, m.n_edges);
        check_invariants(&m);
        find_outcomes(&m);
        check_ends(&m);
        check_resumes(&m);
        check_circles(&m);
        free(m.nodes);
        free(m.buckets);
}

static void every_ladder(void **state)
{
        static const Ladder ladders[] = {
                { .restarts = 1, .max_trials = 3, .n_stores = 2, .has_rebuildable = true, .max_time = 500 },
                { .restarts = 2,
                  .max_trials = 3,
                  .n_stores = 1,
                  .has_rebuildable = false,
                  .native = true,
                  .max_time = 500 },
                { .restarts = 0, .max_trials = 2, .n_stores = 0, .has_rebuildable = true, .max_time = 500 },
        };

        (void)state;
        for (size_t k = 0; k < sizeof(ladders) / sizeof(ladders[0]); k++)
                check_model(ladders + k);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(every_ladder) };

        return cmocka_run_group_tests_name("recovery_model", tests, NULL, NULL);
}
