/*
 * engine_metrics - the figures of all services, for `unjamctl metrics`
 *
 * Gauges are read when somebody asks; counters are what the records that became durable add up to
 * (model/counters.h). So neither costs anything while nobody asks and nothing happens. unjamctl makes
 * OpenMetrics text of the answer.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

void watch_count(Watch *w, const json_t *records)
{
        const json_t *entry;
        size_t i;

        json_array_foreach(records, i, entry) counters_take(
                &w->counters, audit_event_from_string(json_string_value(json_object_get(entry, "event"))),
                json_object_get(entry, "members"));
}

void engine_inherit(Engine *e, const Engine *old)
{
        for (size_t k = 0; k < e->n_watches; k++)
                for (size_t j = 0; j < old->n_watches; j++)
                        if (strcmp(e->watches[k].settings->name, old->watches[j].settings->name) == 0) {
                                e->watches[k].counters = old->watches[j].counters;
                                e->watches[k].record_failures = old->watches[j].record_failures;
                        }
}

/* Messages in hold, as far as they are known: of the incident that is open, or was the last. */
static uint64_t count_held(const Watch *w)
{
        uint64_t n = 0;

        for (uint32_t k = 0; k < w->roster.n; k++)
                n += (w->roster.entries[k].place & PLACE_HOLD) != 0;
        return n;
}

static json_int_t ms(usec_t t)
{
        return (json_int_t)(t / USEC_PER_MSEC);
}

static json_t *watch_metrics(const Watch *w)
{
        const Incident *i = &w->incident;

        return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:o}", "service",
                         w->settings->name, "mode", mode_to_string(w->settings->mode), "state",
                         state_to_string(i->state), "since_ms", ms(w->since), "mail_waiting",
                         (json_int_t)diagnosis_waiting(w->diagnosis), "mail_held", (json_int_t)count_held(w),
                         "mail_quarantined", (json_int_t)w->n_quarantined, "incident_open",
                         state_is_recovering(i->state), "record_unavailable",
                         w->pending.active && w->pending.failed, "record_failures",
                         (json_int_t)w->record_failures, "counters", counters_to_json(&w->counters));
}

static json_t *alerts_to_json(const uint64_t *counts)
{
        json_t *o = json_object();

        for (int k = 0; o && counts && k < _ALERT_KIND_MAX; k++)
                if (json_set(o, alert_kind_to_string((AlertKind)k), json_integer((json_int_t)counts[k])) <
                    0) {
                        json_decref(o);
                        return NULL;
                }
        return o;
}

void engine_answer_metrics(Engine *e, ControlReply *reply)
{
        json_t *list = json_array();
        DaemonFacts facts = { 0 };

        if (e->ports.facts)
                e->ports.facts(e->ports.reload_data, &facts);
        for (size_t k = 0; k < e->n_watches; k++)
                if (list && json_array_append_new(list, watch_metrics(&e->watches[k])) < 0) {
                        json_decref(list);
                        list = NULL;
                }
        if (!list) {
                control_reply(reply, false, json_pack("{s:s}", "error", "out of memory: try again"));
                return;
        }
        control_reply(reply, true,
                      json_pack("{s:s, s:I, s:I, s:I, s:o, s:o}", "version", UNJAM_VERSION, "started_ms",
                                ms(facts.started), "resident_bytes", (json_int_t)facts.resident, "cpu_ms",
                                ms(facts.cpu), "alerts", alerts_to_json(facts.alerts), "services", list));
}
