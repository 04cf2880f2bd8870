/*
 * counters - what a service's audit records add up to
 *
 * Fed by engine_step.c with every record that has become durable, so the figures and the trail never
 * disagree. They begin at 0 when unjamd starts (a reload of the configuration keeps them).
 *
 * Test: tests/unit/test_counters.c
 */
#include "model/counters.h"

#include "model/json.h"

#include <string.h>

static const char *word_of(const json_t *data, const char *name)
{
        const char *word = json_string_value(json_object_get(data, name));

        return word ? word : "";
}

static uint64_t number_of(const json_t *data, const char *name)
{
        json_int_t n = json_integer_value(json_object_get(data, name));

        return n > 0 ? (uint64_t)n : 0;
}

static void take_trial(Counters *c, const char *outcome)
{
        if (strcmp(outcome, "healthy") == 0)
                c->trials_healthy++;
        else if (strcmp(outcome, "failed") == 0)
                c->trials_failed++;
        else if (strcmp(outcome, "void") == 0)
                c->trials_void++;
}

static void take_close(Counters *c, const json_t *data)
{
        CloseResult result = close_result_from_string(word_of(data, "result"));

        if (result >= 0)
                c->incidents[result]++;
        c->outage_ms += number_of(data, "outage_ms");
}

void counters_take(Counters *c, AuditEvent event, const json_t *members)
{
        const json_t *data = json_object_get(members, "data");
        SymptomKind symptom;

        switch (event) {
        case AUDIT_INCIDENT_OPENED:
                c->opened++;
                break;
        case AUDIT_INCIDENT_CLOSED:
                take_close(c, data);
                break;
        case AUDIT_SYMPTOM:
                symptom = symptom_kind_from_string(word_of(data, "symptom"));
                if (symptom >= 0)
                        c->symptoms[symptom]++;
                break;
        case AUDIT_OUTCOME:
                c->kills += strcmp(word_of(members, "action"), action_kind_to_string(ACTION_KILL)) == 0;
                break;
        case AUDIT_TRIAL_STARTED:
                c->trials++;
                break;
        case AUDIT_TRIAL_FINISHED:
                take_trial(c, word_of(data, "outcome"));
                break;
        case AUDIT_MESSAGE_CLEARED:
                c->cleared += number_of(data, "count");
                break;
        case AUDIT_MESSAGE_QUARANTINED:
                c->quarantined++;
                break;
        case AUDIT_MESSAGE_RELEASED:
                c->released++;
                break;
        case AUDIT_MESSAGE_DELETED:
                c->deleted++;
                break;
        case AUDIT_DAEMON_STARTED:
        case AUDIT_DAEMON_STOPPED:
        case AUDIT_CONFIG_LOADED:
        case AUDIT_CONFIG_REJECTED:
        case AUDIT_EVIDENCE:
        case AUDIT_CAUSE:
        case AUDIT_STATE:
        case AUDIT_INTENT:
        case AUDIT_STORE_HELD:
        case AUDIT_MESSAGE_HELD:
        case AUDIT_OPERATOR:
        case AUDIT_ALERT:
        case _AUDIT_EVENT_MAX:
        case _AUDIT_EVENT_INVALID:
                break;
        }
}

static json_t *symptoms_to_json(const Counters *c)
{
        json_t *o = json_object();

        for (int k = 0; o && k < _SYMPTOM_KIND_MAX; k++)
                if (json_set(o, symptom_kind_to_string((SymptomKind)k),
                             json_integer((json_int_t)c->symptoms[k])) < 0) {
                        json_decref(o);
                        return NULL;
                }
        return o;
}

json_t *counters_to_json(const Counters *c)
{
        return json_pack(
                "{s:I, s:{s:I, s:I, s:I}, s:o, s:I, s:{s:I, s:I, s:I}, s:I, s:{s:I, s:I, s:I, s:I}, s:I}",
                "incidents_opened", (json_int_t)c->opened, "incidents",
                close_result_to_string(CLOSE_RECOVERED), (json_int_t)c->incidents[CLOSE_RECOVERED],
                close_result_to_string(CLOSE_ESCALATED), (json_int_t)c->incidents[CLOSE_ESCALATED],
                close_result_to_string(CLOSE_OBSERVED), (json_int_t)c->incidents[CLOSE_OBSERVED], "symptoms",
                symptoms_to_json(c), "trials_started", (json_int_t)c->trials, "trials", "healthy",
                (json_int_t)c->trials_healthy, "failed", (json_int_t)c->trials_failed, "void",
                (json_int_t)c->trials_void, "kills", (json_int_t)c->kills, "messages", "cleared",
                (json_int_t)c->cleared, "quarantined", (json_int_t)c->quarantined, "released",
                (json_int_t)c->released, "deleted", (json_int_t)c->deleted, "outage_ms",
                (json_int_t)c->outage_ms);
}
