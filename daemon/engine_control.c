/*
 * engine_control - what an operator asks, and what he gets to hear
 *
 * Reading verbs answer at once. What changes anything is on record (event "operator") before it is done.
 *
 * Mail goes back (release, restore) beside a running service only where the layout says that this server
 * notices a complete message (promise 2); else the service is stopped for it, through the recovery machine
 * (EVENT_RETURN). What the server itself holds is released by its own command, which needs no stop. While an
 * incident is open such a request waits until it has closed, and says so.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

#define PAUSE_DEFAULT USEC_PER_HOUR
#define PAUSE_MAX     (30 * USEC_PER_DAY)

static void refuse(ControlReply *reply, Reason reason, const char *error)
{
        control_reply(reply, false,
                      json_pack("{s:s, s:s}", "error", error, "reason", reason_to_string(reason)));
}

static void reply_done(ControlReply *reply)
{
        control_reply(reply, true, json_pack("{s:b}", "done", 1));
}

/* Says "done" once what was asked for is on disk: a status after it shows it. */
static void reply_when_recorded(Watch *w, ControlReply *reply)
{
        if (w->pending.active && !w->ack)
                w->ack = reply;
        else
                reply_done(reply);
}

void watch_acknowledge(Watch *w, bool recorded)
{
        ControlReply *reply = w->ack;

        w->ack = NULL;
        if (reply && recorded)
                reply_done(reply);
        else if (reply)
                refuse(reply, REASON_RECORD_UNAVAILABLE,
                       "the record cannot be written now: it is done as soon as it can");
}

static Watch *find_watch(Engine *e, const char *service)
{
        for (size_t k = 0; service && k < e->n_watches; k++)
                if (strcmp(e->watches[k].settings->name, service) == 0)
                        return &e->watches[k];
        return NULL;
}

static const char *arg(const ControlRequest *r, const char *name)
{
        return json_string_value(json_object_get(r->args, name));
}

/* Why the service is as it is: the machine's reason, or what diagnose waits for. */
static Reason watch_reason(const Watch *w)
{
        if (w->pending.active && w->pending.failed)
                return REASON_RECORD_UNAVAILABLE;
        if (w->shutdown)
                return REASON_SHUTDOWN;
        if (w->waits_for != REASON_NONE)
                return w->waits_for;
        if (w->held_back)
                return REASON_FLAPPING;
        if (w->incident.state == STATE_HEALTHY && diagnosis_reason(w->diagnosis) != REASON_NONE)
                return diagnosis_reason(w->diagnosis);
        return w->incident.reason;
}

static json_t *watch_status(Watch *w)
{
        json_t *progress = w->acting ? watch_progress(w) : NULL;
        char buf[USEC_RFC3339_MAX];
        const Incident *i = &w->incident;
        bool open = state_is_recovering(i->state);

        if (!progress)
                progress = json_pack("{s:i, s:i}", "done", 0, "total", 0);
        return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s, s:s?, s:I, s:I, s:I, s:I, s:o}", "service",
                         w->settings->name, "state", state_to_string(i->state), "since",
                         usec_rfc3339(buf, w->since), "incident", open && i->id[0] ? i->id : NULL, "mode",
                         mode_to_string(w->settings->mode), "reason", reason_to_string(watch_reason(w)),
                         "symptom", open ? symptom_kind_to_string(i->symptom) : NULL, "mail_waiting",
                         (json_int_t)diagnosis_waiting(w->diagnosis), "quarantined",
                         (json_int_t)w->n_quarantined, "trials", (json_int_t)i->trials, "crashes",
                         (json_int_t)i->crashes, "progress", progress);
}

static void handle_status(Engine *e, const ControlRequest *request, ControlReply *reply)
{
        const char *service = arg(request, "service");
        json_t *list = json_array();

        for (size_t k = 0; k < e->n_watches; k++)
                if (!service || strcmp(service, e->watches[k].settings->name) == 0)
                        (void)json_array_append_new(list, watch_status(&e->watches[k]));
        control_reply(reply, true, json_pack("{s:o}", "services", list));
}

static void handle_explain(Watch *w, ControlReply *reply)
{
        json_t *history = json_array();
        Reason reason = watch_reason(w);
        char buf[USEC_RFC3339_MAX];

        for (size_t k = 0; k < w->n_history; k++) {
                const HistoryEntry *h = &w->history[k];

                (void)json_array_append_new(
                        history, json_pack("{s:s, s:s, s:o}", "time", usec_rfc3339(buf, h->wall), "reason",
                                           reason_to_string(h->reason), "text", json_from_text(h->text)));
        }
        control_reply(reply, true,
                      json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:s?, s:o}", "service",
                                w->settings->name, "state", state_to_string(w->incident.state), "reason",
                                reason_to_string(reason), "text", reason_describe(reason), "incident",
                                w->incident.id[0] ? w->incident.id : NULL, "mode",
                                mode_to_string(w->settings->mode), "rung", rung_to_string(w->incident.rung),
                                "in_flight",
                                w->ports.blind ? w->ports.blind(w->ports.userdata, w->index) : NULL,
                                "history", history));
}

/* Puts the request on record; it goes to disk with the step that it leads to. */
static void record_operator(Watch *w, const ControlRequest *request)
{
        (void)watch_record(w, AUDIT_OPERATOR,
                           json_pack("{s:{s:s, s:s, s:O}}", "data", "verb", request->verb, "peer",
                                     request->peer, "args", request->args));
        flaps_clear(&w->flaps);
        w->held_back = false;
        watch_note(w, REASON_OPERATOR, "%s by %s", request->verb, request->peer);
}

static void handle_pause(Watch *w, const ControlRequest *request, ControlReply *reply)
{
        const json_t *length = json_object_get(request->args, "for_usec");
        usec_t t = json_is_integer(length) ? (usec_t)json_integer_value(length) : PAUSE_DEFAULT;
        Event ev = { .kind = EVENT_PAUSE, .reason = REASON_OPERATOR };

        if (t == 0 || t > PAUSE_MAX) {
                refuse(reply, REASON_OPERATOR, "a pause lasts from 1 s to 30 days: say --for TIME");
                return;
        }
        w->paused_until = usec_add(w->engine->now.mono, t);
        record_operator(w, request);
        watch_event(w, &ev);
        reply_when_recorded(w, reply);
}

static void handle_resume(Watch *w, const ControlRequest *request, ControlReply *reply)
{
        if (w->incident.state != STATE_PAUSED) {
                refuse(reply, REASON_NONE, "the service is not paused");
                return;
        }
        record_operator(w, request);
        watch_unpause(w);
        reply_when_recorded(w, reply);
}

static void handle_recover(Watch *w, const ControlRequest *request, ControlReply *reply)
{
        Event ev = {
                .kind = EVENT_RECOVER, .reason = REASON_OPERATOR, .symptom = SYMPTOM_EVENT, .alive = true
        };

        if (state_is_recovering(w->incident.state)) {
                refuse(reply, REASON_NONE,
                       "a recovery is under way, or the service is paused: see `unjamctl status`");
                return;
        }
        if (w->finding.verdict == VERDICT_FAULT)
                ev.symptom = w->finding.symptom.kind;
        watch_incident_id(w, ev.id);
        record_operator(w, request);
        watch_event(w, &ev);
        reply_when_recorded(w, reply);
}

void watch_operation_clear(Watch *w)
{
        Operation *op = &w->operation;

        free(op->quarantine);
        free(op->target);
        free(op->incident);
        *op = (Operation){ .kind = ACTION_NONE };
}

/* Where release may be done beside a running service, or nothing runs at all. */
static bool release_is_direct(const Watch *w)
{
        if (w->run == RUN_STOPPED || w->run == RUN_FAILED)
                return true;
        for (size_t k = 0; k < w->settings->n_stores; k++)
                if (!w->settings->stores[k].layout.live_return)
                        return false;
        return true;
}

/* Is it to run: does it, or is it on its way? */
static bool is_wanted(const Watch *w)
{
        return w->run == RUN_RUNNING || w->run == RUN_STARTING || w->run == RUN_RESTARTING;
}

static void record_intent(Watch *w, const Operation *op)
{
        bool ours = op->kind == ACTION_CATCH;
        json_t *data = json_pack("{s:s?}", "quarantine", op->quarantine);

        if (data && op->target)
                (void)json_set_bytes(data, "path", op->target);
        (void)watch_record(w, AUDIT_INTENT,
                           json_pack("{s:s, s:s, s:o}", "action", action_kind_to_string(op->kind), "reason",
                                     reason_to_string(ours ? REASON_KNOWN_CULPRIT : REASON_OPERATOR), "data",
                                     data));
}

void watch_operation_begin(Watch *w)
{
        Operation *op = &w->operation;
        Event ev = { .kind = EVENT_RETURN, .reason = REASON_OPERATOR, .alive = is_wanted(w) };

        if (op->kind == ACTION_NONE || op->direct)
                return;
        op->queued = false;
        if (op->kind == ACTION_DELETE || op->kind == ACTION_COLLECT || op->kind == ACTION_START ||
            op->kind == ACTION_CATCH ||
            (op->kind == ACTION_RELEASE && (op->target || op->native || release_is_direct(w)))) {
                op->direct = true;
                if (op->kind != ACTION_COLLECT)
                        record_intent(w, op);
                watch_commit_operation(w, op->kind);
                return;
        }
        ev.release = op->kind == ACTION_RELEASE;
        watch_incident_id(w, ev.id);
        if (op->incident)
                snprintf(w->returning, sizeof(w->returning), "%s", op->incident);
        watch_event(w, &ev);
}

void watch_operation_resume(Watch *w)
{
        const Operation *op = &w->operation;

        if (op->kind == ACTION_NONE || op->direct || w->pending.active || w->acting || w->put_off ||
            w->run == RUN_UNKNOWN || state_is_recovering(w->incident.state))
                return;
        if (op->again)
                (void)watch_record(w, AUDIT_OUTCOME,
                                   json_pack("{s:s, s:s, s:s, s:{s:s?}}", "action",
                                             action_kind_to_string(op->kind), "result", "unknown", "reason",
                                             reason_to_string(REASON_RESUMED), "data", "quarantine",
                                             op->quarantine));
        watch_operation_begin(w);
}

static json_t *causes_body(const Outcome *o)
{
        json_t *list = json_array();

        for (size_t k = 0; k < o->n_causes; k++)
                (void)json_array_append_new(list, cause_result_to_json(&o->causes[k]));
        return json_pack("{s:o}", "causes", list);
}

/* The message that an operator released or deleted, on record. Return: 0 or -ENOMEM. */
static int record_operated(Watch *w, const Outcome *o)
{
        AuditEvent event = o->kind == ACTION_DELETE ? AUDIT_MESSAGE_DELETED : AUDIT_MESSAGE_RELEASED;
        int r = 0;

        if (o->kind == ACTION_CATCH)
                return watch_record_caught(w, o);
        if (o->kind != ACTION_DELETE && o->kind != ACTION_RELEASE)
                return 0;
        for (size_t k = 0; r == 0 && k < o->n_messages; k++)
                r = watch_record(w, event, json_pack("{s:o}", "data", message_to_json(&o->messages[k])));
        if (r == 0 && o->result == RESULT_DONE && w->n_quarantined > 0)
                w->n_quarantined--;
        return r;
}

void watch_operation_ended(Watch *w, const Outcome *o)
{
        bool direct = w->operation.direct, ok = o->result == RESULT_DONE;
        ControlReply *reply = w->reply;

        if (record_operated(w, o) < 0) {
                /* Done, and no memory to say so: asked for again, it is found done, with what it was. */
                w->operation.again = true;
                w->operation.direct = false;
                w->ports.refresh(w->ports.userdata, w->index);
                return;
        }
        w->reply = NULL;
        if (o->kind == ACTION_START)
                w->ports.refresh(w->ports.userdata, w->index);
        watch_operation_clear(w);
        if (reply && o->kind == ACTION_COLLECT)
                control_reply(reply, true, causes_body(o));
        else if (reply && ok)
                reply_done(reply);
        else if (reply)
                refuse(reply, o->reason, o->detail ? o->detail : result_kind_to_string(o->result));
        if (direct)
                watch_commit_operation(w, ACTION_NONE);
}

void watch_operate_itself(Watch *w, ActionKind kind)
{
        if (w->operation.kind != ACTION_NONE || w->pending.active || w->acting || w->put_off || w->resuming ||
            state_is_recovering(w->incident.state))
                return;
        w->operation.kind = kind;
        watch_operation_begin(w);
}

/* Begins an operation, or leaves it for the end of the incident. Takes the strings of @op. */
static void operate(Watch *w, const ControlRequest *request, ControlReply *reply, Operation *op)
{
        bool busy = w->pending.active || w->acting || w->put_off || w->resuming;

        if (w->operation.kind != ACTION_NONE) {
                free(op->quarantine);
                free(op->target);
                free(op->incident);
                refuse(reply, REASON_OPERATOR,
                       "another operation on this service is under way: try again later");
                return;
        }
        if (op->kind != ACTION_COLLECT)
                record_operator(w, request);
        w->operation = *op;
        if (busy || state_is_recovering(w->incident.state)) {
                w->operation.queued = true;
                control_reply(reply, true,
                              json_pack("{s:b, s:s}", "queued", 1, "text",
                                        "a recovery is under way: this is done when it has ended"));
                return;
        }
        w->reply = reply;
        watch_operation_begin(w);
}

static void handle_operation(Watch *w, ActionKind kind, const ControlRequest *request, ControlReply *reply)
{
        Operation op = { .kind = kind,
                         .native = json_is_true(json_object_get(request->args, "native")),
                         .quarantine = strdup_null(arg(request, "id")),
                         .target = strdup_null(arg(request, "to")),
                         .incident = strdup_null(arg(request, "incident")) };

        operate(w, request, reply, &op);
}

static void handle_reload(Engine *e, const ControlRequest *request, ControlReply *reply)
{
        char *error = NULL;
        int r = e->ports.reload(e->ports.reload_data, &error);

        (void)request;
        if (r == 0)
                reply_done(reply);
        else
                refuse(reply, REASON_NONE, error ? error : strerror(-r));
        free(error);
}

/* A service's verbs. */
typedef struct Verb {
        const char *name;
        bool acts;
        ActionKind operation; /* or ACTION_NONE with: */
        void (*handle)(Watch *w, const ControlRequest *request, ControlReply *reply);
} Verb;

static void verb_explain(Watch *w, const ControlRequest *request, ControlReply *reply)
{
        (void)request;
        handle_explain(w, reply);
}

static const Verb verbs[] = {
        { "explain", false, ACTION_NONE, verb_explain },
        { "pause", true, ACTION_NONE, handle_pause },
        { "resume", true, ACTION_NONE, handle_resume },
        { "recover", true, ACTION_NONE, handle_recover },
        { "restore", true, ACTION_RESTORE, NULL },
        { "quarantine-release", true, ACTION_RELEASE, NULL },
        { "quarantine-delete", true, ACTION_DELETE, NULL },
        { "check", true, ACTION_COLLECT, NULL },
};

static void handle_verb(Engine *e, const Verb *v, const ControlRequest *request, ControlReply *reply)
{
        Watch *w = find_watch(e, arg(request, "service"));

        if (v->acts && !request->may_act)
                refuse(reply, REASON_NONE, "only root may do that");
        else if (!w)
                refuse(reply, REASON_NONE, "no such service: see `unjamctl status`");
        else if (v->operation != ACTION_NONE)
                handle_operation(w, v->operation, request, reply);
        else
                v->handle(w, request, reply);
}

void engine_handle(Engine *e, const ControlRequest *request, ControlReply *reply)
{
        engine_enter(e);
        if (strcmp(request->verb, "status") == 0) {
                handle_status(e, request, reply);
        } else if (strcmp(request->verb, "metrics") == 0) {
                engine_answer_metrics(e, reply);
        } else if (strcmp(request->verb, "reload") == 0) {
                if (request->may_act)
                        handle_reload(e, request, reply);
                else
                        refuse(reply, REASON_NONE, "only root may do that");
                return; /* the engine may be another one now */
        } else {
                size_t k = 0;

                while (k < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[k].name, request->verb) != 0)
                        k++;
                if (k == sizeof(verbs) / sizeof(verbs[0]))
                        refuse(reply, REASON_NONE, "unknown verb");
                else
                        handle_verb(e, &verbs[k], request, reply);
        }
        engine_leave(e);
}
