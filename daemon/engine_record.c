/*
 * engine_record - what is written down of a service, and told to people
 *
 * Records are gathered on the Watch (`records`) and go to disk with the next commit, in order. If memory runs
 * out a record is dropped, and the caller is told.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"
#include "model/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int watch_record(Watch *w, AuditEvent event, json_t *members)
{
        const char *incident = w->incident.id[0] ? w->incident.id : NULL;
        json_t *o;

        if (!members)
                return -ENOMEM;
        if (!w->records)
                w->records = json_array();
        o = json_pack("{s:s, s:s?, s:I, s:o}", "event", audit_event_to_string(event), "incident", incident,
                      "wall", (json_int_t)w->engine->now.wall, "members", members);
        if (!w->records || json_array_append_new(w->records, o) < 0)
                return -ENOMEM;
        return 0;
}

int watch_record_symptom(Watch *w, const Symptom *s)
{
        json_t *data =
                json_pack("{s:s, s:b, s:o, s:s}", "symptom", symptom_kind_to_string(s->kind), "claimed",
                          s->claimed, "detail", json_from_text(s->detail), "signature", s->signature);
        int r = data ? 0 : -ENOMEM;

        if (r == 0 && s->rule[0])
                r = json_set(data, "rule", json_from_text(s->rule));
        if (r == 0 && s->verdict != PROCESS_WORKING)
                r = json_set(data, "verdict", json_string(process_verdict_to_string(s->verdict)));
        if (r == 0 && s->signal)
                r = json_set(data, "signal", json_integer(s->signal));
        if (r == 0 && s->signal)
                r = json_set(data, "core", json_boolean(s->core));
        if (r == 0 && !s->signal && (s->kind == SYMPTOM_CRASHED || s->kind == SYMPTOM_START_FAILED))
                r = json_set(data, "exit_code", json_integer(s->exit_code));
        if (r == 0)
                r = watch_record(
                        w, AUDIT_SYMPTOM,
                        json_pack("{s:s, s:O}", "reason", reason_to_string(w->finding.reason), "data", data));
        json_decref(data);
        return r;
}

json_t *watch_text_id(const char *id, size_t len)
{
        char *text = text_is_utf8(id, len) ? text_to_utf8(id, len, 0) : text_percent_encode(id, len);
        json_t *j = text ? json_string(text) : NULL;

        free(text);
        return j;
}

json_t *watch_message_brief(const Watch *w, uint32_t message)
{
        const RosterEntry *e = &w->roster.entries[message];
        json_t *o = json_pack("{s:s, s:b}", "store", w->settings->stores[e->store].name, "maybe_repeated",
                              !!(e->flags & MESSAGE_REPEATED));

        if (o && json_set_bytes(o, "id", roster_id(&w->roster, message, NULL)) < 0) {
                json_decref(o);
                o = NULL;
        }
        return o;
}

/* Ids of messages that the server may repeat: in flight at a kill or crash, and not a culprit. */
static json_t *maybe_repeated(const Watch *w)
{
        json_t *ids = json_array();

        for (uint32_t k = 0; k < w->roster.n; k++) {
                const RosterEntry *e = &w->roster.entries[k];

                if ((e->flags & MESSAGE_REPEATED) && !(e->place & PLACE_QUARANTINE))
                        (void)json_array_append_new(ids,
                                                    watch_text_id(roster_id(&w->roster, k, NULL), e->id_len));
        }
        return ids;
}

/* Messages that stay in hold after the close: an operator must know them. */
static json_t *still_held(const Watch *w)
{
        json_t *list = json_array();

        for (uint32_t k = 0; k < w->roster.n && json_array_size(list) < 1000; k++)
                if (w->roster.entries[k].place & PLACE_HOLD)
                        (void)json_array_append_new(list, watch_message_brief(w, k));
        return list;
}

static json_t *next_commands(const Watch *w, const Ledger *l)
{
        json_t *next = json_array();
        char text[256];

        if (json_array_size(w->culprits) > 0)
                (void)json_array_append_new(next, json_string("unjamctl quarantine list"));
        if (l->held > 0) {
                snprintf(text, sizeof(text), "unjamctl restore %s", w->incident.id);
                (void)json_array_append_new(next, json_string(text));
        }
        if (w->incident.result != CLOSE_RECOVERED) {
                snprintf(text, sizeof(text), "unjamctl explain %s", w->settings->name);
                (void)json_array_append_new(next, json_string(text));
        }
        if (w->incident.result == CLOSE_OBSERVED)
                (void)json_array_append_new(next,
                                            json_string("set mode = \"act\" in the configuration to let "
                                                        "unjamd do this by itself"));
        return next;
}

/* When the first held or quarantined message expires: the store's queue_lifetime after the
 * incident opened. */
static json_t *oldest_expires(const Watch *w, const Ledger *l)
{
        usec_t lifetime = USEC_INFINITY;
        char buf[USEC_RFC3339_MAX];

        if (l->held + l->quarantined == 0)
                return json_null();
        for (uint32_t k = 0; k < w->roster.n; k++)
                if (w->roster.entries[k].place & (PLACE_HOLD | PLACE_QUARANTINE)) {
                        usec_t t = w->settings->stores[w->roster.entries[k].store].queue_lifetime;

                        lifetime = t < lifetime ? t : lifetime;
                }
        return json_string(usec_rfc3339(buf, usec_add(w->incident.opened, lifetime)));
}

/* In observe mode: the ladder as it would have been gone down. */
static json_t *would_have(const Watch *w)
{
        json_t *list = json_array();

        if (w->incident.result != CLOSE_OBSERVED)
                return list;
        for (int r = w->incident.rung; r <= RUNG_FINISH; r++) {
                if (r == RUNG_SUSPECTS && message_set_count(&w->suspects) == 0)
                        continue;
                if (r == RUNG_PURGE && !w->ladder.has_rebuildable)
                        continue;
                if (r > RUNG_PURGE && r < RUNG_FINISH && w->ladder.n_stores == 0)
                        continue;
                (void)json_array_append_new(list, json_string(rung_to_string((Rung)r)));
        }
        return list;
}

static AlertKind close_alert(const Incident *i, const Ledger *l)
{
        if (l->unaccounted > 0)
                return ALERT_UNACCOUNTED;
        switch (i->result) {
        case CLOSE_RECOVERED:
                return ALERT_RECOVERED;
        case CLOSE_OBSERVED:
                return ALERT_OBSERVED;
        case CLOSE_ESCALATED:
        case _CLOSE_RESULT_MAX:
        case _CLOSE_RESULT_INVALID:
                break;
        }
        return ALERT_ESCALATED;
}

json_t *watch_closed_members(Watch *w)
{
        const Incident *i = &w->incident;
        Ledger l = ledger_of(&w->roster);
        usec_t now = w->engine->now.wall;
        usec_t outage = w->outage + (w->down_since ? usec_sub(now, w->down_since) : 0);
        char text[256];

        snprintf(text, sizeof(text),
                 "incident %s: %s (%s); %llu message(s) in quarantine, %llu held, %llu unaccounted", i->id,
                 close_result_to_string(i->result), reason_describe(i->why),
                 (unsigned long long)l.quarantined, (unsigned long long)l.held,
                 (unsigned long long)l.unaccounted);
        watch_alert(w, close_alert(i, &l), text);
        watch_publish(w, "closed",
                      json_pack("{s:s, s:s, s:o}", "result", close_result_to_string(i->result), "text", text,
                                "ledger", ledger_to_json(&l)));
        return json_pack("{s:s, s:{s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}}", "reason",
                         reason_to_string(i->why), "data", "result", close_result_to_string(i->result),
                         "culprits", w->culprits ? json_deep_copy(w->culprits) : json_array(), "trials",
                         (json_int_t)i->trials, "crashes", (json_int_t)i->crashes, "duration_ms",
                         (json_int_t)(usec_sub(now, i->opened) / USEC_PER_MSEC), "outage_ms",
                         (json_int_t)(outage / USEC_PER_MSEC), "ledger", ledger_to_json(&l), "maybe_repeated",
                         maybe_repeated(w), "oldest_expires", oldest_expires(w, &l), "next",
                         next_commands(w, &l), "held", still_held(w), "would_have", would_have(w));
}

void watch_alert(Watch *w, AlertKind kind, const char *text)
{
        const Alert alert = { .kind = kind,
                              .service = w->settings->name,
                              .incident = w->incident.id[0] ? w->incident.id : NULL,
                              .text = text };

        alert_send(&w->engine->ports.alerts, &alert);
        if (kind != ALERT_RECORD_UNAVAILABLE)
                (void)watch_record(w, AUDIT_ALERT,
                                   json_pack("{s:{s:s, s:s}}", "data", "kind", alert_kind_to_string(kind),
                                             "text", text));
        watch_publish(w, "alert", json_pack("{s:s, s:s}", "kind", alert_kind_to_string(kind), "text", text));
}

/* How long the rest takes, if it goes on as it has so far; 0: too early to tell. */
static usec_t time_remaining(Watch *w, uint64_t done, uint64_t total)
{
        usec_t passed = w->counted_at ? usec_sub(w->engine->now.mono, w->counted_at) : 0;

        if (!w->counted_at) {
                w->counted_at = w->engine->now.mono;
                w->counted_from = done;
        }
        if (passed < USEC_PER_SEC || done <= w->counted_from)
                return 0;
        return (usec_t)((double)passed * (double)(total - done) / (double)(done - w->counted_from));
}

json_t *watch_progress(Watch *w)
{
        uint64_t done = 0, total = 0;
        json_t *progress;
        usec_t rest;

        actuator_progress(w->ports.actuator, &done, &total);
        if (total == 0 || done > total)
                return NULL;
        rest = time_remaining(w, done, total);
        progress = json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total);
        if (rest > 0)
                (void)json_set(progress, "remaining_ms", json_integer((json_int_t)(rest / USEC_PER_MSEC)));
        return progress;
}

void watch_publish(Watch *w, const char *event, json_t *members)
{
        Publisher *p = &w->engine->ports.publisher;
        json_t *o;

        if (!p->publish || !members) {
                json_decref(members);
                return;
        }
        o = json_pack("{s:s, s:s, s:s?, s:s}", "event", event, "service", w->settings->name, "incident",
                      w->incident.id[0] ? w->incident.id : NULL, "state", state_to_string(w->incident.state));
        if (o)
                (void)json_object_update(o, members);
        json_decref(members);
        if (o)
                p->publish(p->userdata, o);
}

/* For one more: the oldest goes when there are HISTORY_MAX. Most services never have more than a few. */
static bool history_make_room(Watch *w)
{
        HistoryEntry *more;

        if (w->n_history == HISTORY_MAX) {
                free(w->history[0].text);
                w->n_history--;
                memmove(w->history, w->history + 1, w->n_history * sizeof(*w->history));
                return true;
        }
        more = reallocarray(w->history, w->n_history + 1, sizeof(*more));
        if (!more)
                return false;
        w->history = more;
        return true;
}

void watch_note(Watch *w, Reason reason, const char *format, ...)
{
        HistoryEntry entry = { .wall = w->engine->now.wall, .reason = reason };
        char text[NOTE_MAX];
        va_list ap;

        if (!history_make_room(w))
                return;
        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        entry.text = strdup(text);
        if (entry.text)
                w->history[w->n_history++] = entry;
}

void watch_forget_notes(Watch *w)
{
        for (size_t i = 0; i < w->n_history; i++)
                free(w->history[i].text);
        free(w->history);
        w->history = NULL;
        w->n_history = 0;
}
