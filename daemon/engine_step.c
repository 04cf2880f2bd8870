/*
 * engine_step - event, step, commit, run: the one place where the write-ahead order stands
 *
 *   1. recovery_step() turns an event into the next incident and one action.
 *   2. The snapshot (incident with the action as its open intent) is made durable, then the audit records.
 *   3. Only then the incident counts, and the action begins.
 *   4. Its outcome is an event; its records go with the commit of the step that it leads to.
 *
 * While a commit or an action is under way, other events wait in a short queue. They are applied to the step
 * that the outcome leads to before that is committed, so an operator's word is never overtaken by the
 * machine's next action.
 *
 * If the record cannot be written (a full disk), nothing is done: the step waits, an alert says so, and the
 * commit is tried again every RETRY_USEC until it works.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "base/cleanup.h"
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

#define RETRY_USEC (5 * USEC_PER_SEC)

/* Actions that change the world: each has an intent and an outcome on record. */
static bool action_is_act(ActionKind k)
{
        return k != ACTION_NONE && k != ACTION_COLLECT && k != ACTION_WATCH && k != ACTION_PLAN &&
               k != ACTION_CLOSE;
}

static void watch_step(Watch *w, const Event *ev);

static void queue_push(Watch *w, const Event *ev)
{
        for (size_t i = 0; i < w->n_queue; i++)
                if (w->queue[i].kind == ev->kind) {
                        w->queue[i] = *ev;
                        return;
                }
        if (w->n_queue < QUEUE_MAX) /* one of each kind: it cannot be full */
                w->queue[w->n_queue++] = *ev;
}

static Event queue_pop(Watch *w)
{
        Event first = w->queue[0];

        w->n_queue--;
        memmove(w->queue, w->queue + 1, w->n_queue * sizeof(*w->queue));
        return first;
}

/* One event on top of a step that is not committed yet: it counts if it changes anything. */
static void step_apply(Watch *w, Incident *i, Step *step, const Event *ev)
{
        Incident next;
        Step then;

        if (recovery_cell(i->state, ev->kind) == CELL_IGNORES) {
                watch_note(w, ev->reason, "%s changes nothing in state %s", event_kind_to_string(ev->kind),
                           state_to_string(i->state));
                return;
        }
        if (recovery_step(i, &w->ladder, ev, &w->engine->now, &next, &then) == RECOVERY_E_UNEXPECTED) {
                watch_note(w, REASON_UNEXPECTED, "%s in state %s: a bug, please report it",
                           event_kind_to_string(ev->kind), state_to_string(i->state));
                watch_alert(w, ALERT_ESCALATED,
                            "unexpected event in the recovery: it stops here (a bug, please report it)");
        }
        if (next.seq == i->seq && next.state == i->state && !then.closes)
                return;
        *i = next;
        *step = then;
}

/* The state record of a change, and the intent of an act. Return: 0 or -ENOMEM. */
static int step_record(Watch *w, const Incident *from, const Incident *to, const Step *step)
{
        int r = 0;

        if (from->state != to->state) {
                r = watch_record(w, AUDIT_STATE,
                                 json_pack("{s:s, s:s, s:s}", "from", state_to_string(from->state), "to",
                                           state_to_string(to->state), "reason",
                                           reason_to_string(to->reason)));
                watch_note(w, to->reason, "%s -> %s", state_to_string(from->state),
                           state_to_string(to->state));
        }
        if (r == 0 && action_is_act(step->action))
                r = watch_record(w, AUDIT_INTENT,
                                 json_pack("{s:s, s:s, s:{s:I, s:s}}", "action",
                                           action_kind_to_string(step->action), "reason",
                                           reason_to_string(to->reason), "data", "action_seq",
                                           (json_int_t)to->seq, "rung", rung_to_string(to->rung)));
        if (r == 0 && step->closes)
                r = watch_record(w, AUDIT_INCIDENT_CLOSED, watch_closed_members(w));
        return r;
}

/* A new incident begins: its record comes before that of the change of state. */
static int step_open(Watch *w, const Incident *to)
{
        char *symptom = w->finding.symptom.detail;
        char text[320];

        snprintf(text, sizeof(text), "incident %s: %s", to->id,
                 to->reason == REASON_OPERATOR ? "asked for by an operator" : symptom);
        watch_alert(w, ALERT_INCIDENT_OPENED, text);
        return watch_record(w, AUDIT_INCIDENT_OPENED,
                            json_pack("{s:s, s:{s:s, s:s, s:b}}", "reason", reason_to_string(to->reason),
                                      "data", "symptom", symptom_kind_to_string(to->symptom), "detail",
                                      text_is_utf8(symptom, strlen(symptom)) ? symptom : "", "claimed",
                                      w->finding.symptom.claimed));
}

static void commit_ended(Watch *w)
{
        Pending *p = &w->pending;
        Incident before = w->incident;
        Step step = p->step;

        p->active = false;
        p->failed = false;
        watch_count(w, p->records);
        json_decref(p->records);
        p->records = NULL;
        w->incident = p->next;
        if (step.closes) {
                w->returning[0] = '\0';
                flaps_closed(&w->flaps, w->incident.result, w->incident.symptom, w->engine->now.mono);
        }
        watch_acknowledge(w, true);
        if (before.state != w->incident.state) {
                w->since = w->engine->now.wall;
                watch_publish(w, "state",
                              json_pack("{s:s, s:s, s:s, s:s}", "from", state_to_string(before.state), "to",
                                        state_to_string(w->incident.state), "reason",
                                        reason_to_string(w->incident.reason), "text",
                                        reason_describe(w->incident.reason)));
        }
        watch_run(w, &step);
        /* The service died while the incident was being closed: that is the next one. Or it came back. */
        if (w->missed && !state_is_recovering(w->incident.state))
                watch_tell_missed(w);
}

static void record_failed(Watch *w, int error)
{
        char text[200];

        snprintf(text, sizeof(text),
                 "the record cannot be written (%s): nothing is done until it can; make room where state_dir "
                 "and the "
                 "audit trail are",
                 strerror(-error));
        watch_note(w, REASON_RECORD_UNAVAILABLE, "%s", text);
        watch_alert(w, ALERT_RECORD_UNAVAILABLE, text);
}

/* The commit is durable, or it is not and will be tried again. */
static void commit_answered(Watch *w, int r)
{
        Pending *p = &w->pending;

        p->under_way = false;
        if (r == 0) {
                commit_ended(w);
                return;
        }
        w->record_failures++;
        if (!p->failed)
                record_failed(w, r);
        p->failed = true;
        watch_memory_lost(w);
        watch_acknowledge(w, false);
        p->retry_at = usec_add(w->engine->now.mono, RETRY_USEC);
}

static void on_committed(void *userdata, int r)
{
        Watch *w = userdata;

        engine_enter(w->engine);
        commit_answered(w, r);
        engine_leave(w->engine);
}

/* The audit records of a pending step, as the recorder takes them. Return: their number, or -ENOMEM. */
static int commit_records(const Watch *w, AuditRecord **ret)
{
        const json_t *list = w->pending.records;
        size_t n = json_array_size(list);
        AuditRecord *records = calloc(n ? n : 1, sizeof(*records));
        size_t i = 0;

        if (!records)
                return -ENOMEM;
        for (; i < n; i++) {
                const json_t *entry = json_array_get(list, i);
                const char *incident = json_string_value(json_object_get(entry, "incident"));

                records[i] = (AuditRecord){
                        .event = audit_event_from_string(json_string_value(json_object_get(entry, "event"))),
                        .service = w->settings->name,
                        .incident = incident,
                        .members = json_deep_copy(json_object_get(entry, "members")),
                        .wall = (uint64_t)json_integer_value(json_object_get(entry, "wall")),
                };
                if (!records[i].members) { /* one without them says nothing, and is on record for ever */
                        while (i > 0)
                                json_decref(records[--i].members);
                        free(records);
                        return -ENOMEM;
                }
        }
        *ret = records;
        return (int)n;
}

/* Hands the pending step to the recorder: what has changed of what search and roster know, and the state. */
static void commit_begin(Watch *w)
{
        _cleanup_(freep) AuditRecord *records = NULL;
        Pending *p = &w->pending;
        Commit c = { .service = w->settings->name };
        int n, r;

        p->under_way = true;
        n = commit_records(w, &records);
        r = n < 0 ? n : watch_memory(w, &c.memory);
        if (r == 0) {
                c.snapshot = watch_snapshot(w, &p->next);
                r = c.snapshot ? 0 : -ENOMEM; /* a commit without one would remove what is there */
        }
        if (r == 0) {
                c.records = records;
                c.n_records = (size_t)n;
                r = recorder_commit(w->engine->ports.recorder, &c, on_committed, w);
        } else {
                for (int i = 0; i < n; i++)
                        json_decref(records[i].members);
                if (c.memory.block)
                        watch_memory_lost(w);
                free(c.memory.block);
        }
        if (r < 0)
                commit_answered(w, r);
}

void watch_commit_retry(Watch *w)
{
        if (w->put_off && w->put_off <= w->engine->now.mono) {
                Event first = queue_pop(w);

                w->put_off = 0;
                watch_event(w, &first);
                return;
        }
        if (w->pending.active && w->pending.failed && !w->pending.under_way &&
            w->pending.retry_at <= w->engine->now.mono)
                commit_begin(w);
}

/* Makes @next durable with all records that wait, then runs @step. */
static void watch_commit(Watch *w, const Incident *next, const Step *step)
{
        w->pending = (Pending){ .active = true, .next = *next, .step = *step };
        w->pending.records = w->records;
        w->records = NULL;
        commit_begin(w);
}

void watch_commit_operation(Watch *w, ActionKind kind)
{
        Incident same = w->incident;
        Step step = { .action = kind, .with_causes = kind == ACTION_COLLECT };

        watch_commit(w, &same, &step);
}

/* Does the step change anything that must be durable? */
static bool step_matters(const Watch *w, const Incident *next, const Step *step)
{
        return next->state != w->incident.state || next->seq != w->incident.seq || step->closes ||
               json_array_size(w->records) > 0;
}

/* The records of a step could not be made: it is taken back, and what led to it comes again in a while. */
static void step_put_off(Watch *w, const Event *events, size_t n, size_t n_records)
{
        while (json_array_size(w->records) > n_records)
                (void)json_array_remove(w->records, json_array_size(w->records) - 1);
        for (size_t i = 0; i < n; i++)
                queue_push(w, &events[i]);
        w->put_off = usec_add(w->engine->now.mono, RETRY_USEC);
        record_failed(w, -ENOMEM);
}

static void watch_step(Watch *w, const Event *ev)
{
        const Incident before = w->incident;
        Incident next = w->incident;
        Step step = { .action = ACTION_NONE };
        Event events[QUEUE_MAX + 1] = { *ev };
        size_t n = 1, n_records = json_array_size(w->records);
        int r = 0;

        step_apply(w, &next, &step, ev);
        while (w->n_queue > 0) {
                events[n] = queue_pop(w);
                step_apply(w, &next, &step, &events[n++]);
        }
        if (!step_matters(w, &next, &step))
                return;
        if (strcmp(next.id, w->incident.id) != 0) {
                watch_forget_incident(w);
                memcpy(w->incident.id, next.id, sizeof(next.id)); /* whose records these are */
                r = step_open(w, &next);
        }
        if (r == 0)
                r = step_record(w, &w->incident, &next, &step);
        if (r < 0) {
                w->incident = before;
                step_put_off(w, events, n, n_records);
                return;
        }
        watch_commit(w, &next, &step);
}

/* A pause does not wait for a million messages: it ends the move under way between two slices. */
static bool ends_a_move(const Watch *w, EventKind e)
{
        ActionKind a = w->incident.action;

        return e == EVENT_PAUSE && (a == ACTION_PLACE || a == ACTION_SET_ASIDE || a == ACTION_RESTORE);
}

bool watch_take_word(Watch *w, Event *ret)
{
        for (size_t k = 0; k < w->n_queue; k++)
                if (ends_a_move(w, w->queue[k].kind)) {
                        *ret = w->queue[k];
                        w->n_queue--;
                        memmove(w->queue + k, w->queue + k + 1, (w->n_queue - k) * sizeof(w->queue[0]));
                        return true;
                }
        return false;
}

void watch_event(Watch *w, const Event *ev)
{
        if (w->pending.active || w->acting || w->put_off) {
                queue_push(w, ev);
                if (w->acting && !w->operation.direct && ends_a_move(w, ev->kind))
                        actuator_interrupt(w->ports.actuator);
                return;
        }
        if (recovery_cell(w->incident.state, ev->kind) == CELL_ACTS) {
                w->gated = false; /* whoever speaks, what has failed before is past */
                w->failed_at = 0;
        }
        if (w->watching && recovery_cell(w->incident.state, ev->kind) == CELL_ACTS)
                watch_set_watching(w,
                                   false); /* whatever it is, the trial's outcome is no longer waited for */
        watch_step(w, ev);
}

/* Actions that must know where messages are. */
static bool action_needs_places(ActionKind k)
{
        return k == ACTION_PLAN || k == ACTION_PLACE || k == ACTION_QUARANTINE || k == ACTION_RESTORE;
}

void watch_run(Watch *w, const Step *step)
{
        Event ev = { .kind = EVENT_DONE };

        if (!w->fresh && !w->operation.direct && action_needs_places(step->action)) {
                Step look = { .action = ACTION_COLLECT };

                w->refreshing = true; /* after a restart of unjamd: the disk is asked, not the memory */
                w->deferred = *step;
                watch_perform(w, ACTION_COLLECT, &look);
                return;
        }

        if (w->shutdown && action_is_act(step->action))
                return; /* the intent is on disk; the next start goes on from it */
        switch (step->action) {
        case ACTION_NONE:
                if (step->closes && w->incident.state == STATE_HEALTHY)
                        diagnosis_reset(w->diagnosis, &w->engine->now); /* else its fault stays in sight */
                if (!state_is_recovering(w->incident.state))
                        watch_operation_begin(w); /* one that had to wait */
                watch_next_arrival(w);
                break;
        case ACTION_WATCH:
                watch_begin_trial(w);
                break;
        case ACTION_PLAN:
                if (watch_plan(w, &ev) < 0)
                        ev = (Event){ .kind = EVENT_PLAN_GAVE_UP, .reason = REASON_ACTION_FAILED };
                watch_step(w, &ev);
                return;
        case ACTION_COLLECT:
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
                watch_perform(w, step->action, step);
                return;
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                return;
        }
        if (w->n_queue > 0) {
                ev = queue_pop(w);
                watch_event(w, &ev);
        }
}

void watch_unpause(Watch *w)
{
        Event ev = { .kind = EVENT_RESUME, .reason = REASON_OPERATOR, .alive = w->run == RUN_RUNNING };

        watch_event(w, &ev);
        watch_tell_fault(w);
}

void watch_tell_missed(Watch *w)
{
        const Event healthy = { .kind = EVENT_HEALTHY, .reason = w->finding.reason, .alive = true };

        w->missed = false;
        if (w->finding.verdict == VERDICT_HEALTHY)
                watch_event(w, &healthy);
        else
                watch_tell_fault(w);
}

void watch_tell_fault(Watch *w)
{
        Event ev = { .kind = EVENT_FAULT,
                     .reason = w->finding.reason,
                     .symptom = w->finding.symptom.kind,
                     .alive = w->run == RUN_RUNNING };

        if (w->finding.verdict != VERDICT_FAULT)
                return;
        watch_incident_id(w, ev.id);
        watch_hold_back(w, &ev);
        watch_event(w, &ev);
}
