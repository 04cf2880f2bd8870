/*
 * live_trail - what the audit trail of a Live must say, whatever happened to its unjamd
 */
#include "live/live.h"

#include "record/verify.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Trail {
        unsigned opened, closed;
        json_t *quarantined; /* "STORE/ID" -> QID */
        json_t *intents;     /* "INCIDENT/SEQ" */
        json_t *operated;    /* "STORE/ID" that an operator released or deleted */
        char *wrong;
        char *result;
} Trail;

static const char *string_of(const json_t *o, const char *key)
{
        const char *s = json_string_value(json_object_get(o, key));

        return s ? s : "";
}

static json_int_t number_of(const json_t *o, const char *key)
{
        return json_integer_value(json_object_get(o, key));
}

static void take_closed(Trail *t, const json_t *data)
{
        const json_t *l = json_object_get(data, "ledger");

        t->closed++;
        snprintf(t->result, 32, "%s", string_of(data, "result"));
        if (number_of(l, "unaccounted") != 0)
                snprintf(t->wrong, 256, "a ledger with unaccounted messages");
        if (number_of(l, "before") + number_of(l, "arrived") !=
            number_of(l, "untouched") + number_of(l, "restored") + number_of(l, "quarantined") +
                    number_of(l, "consumed") + number_of(l, "held") + number_of(l, "unaccounted"))
                snprintf(t->wrong, 256, "a ledger that does not add up");
}

/* A message goes to quarantine once, however often the intent is taken up again. */
static void take_quarantined(Trail *t, const json_t *data)
{
        const char *before;
        char key[300];

        snprintf(key, sizeof(key), "%s/%s", string_of(data, "store"), string_of(data, "id"));
        before = json_string_value(json_object_get(t->quarantined, key));
        if (before && strcmp(before, string_of(data, "quarantine")) != 0)
                snprintf(t->wrong, 256, "%.200s was quarantined twice", key);
        (void)json_object_set(t->quarantined, key, json_object_get(data, "quarantine"));
}

/* Whatever happened between the last file and its record: once. */
static void take_operated(Trail *t, const json_t *data)
{
        char key[300];

        snprintf(key, sizeof(key), "%s/%s", string_of(data, "store"), string_of(data, "id"));
        if (json_object_get(t->operated, key))
                snprintf(t->wrong, 256, "%.200s was released or deleted twice", key);
        (void)json_object_set_new(t->operated, key, json_true());
}

/* What the operator asked for, and was told that it is done, is on record. */
static void check_operated(const Live *l, const Trail *t)
{
        const char *key;
        json_t *qid;

        if (!l->requested || (l->config.request != LIVE_RELEASE && l->config.request != LIVE_DELETE))
                return;
        json_object_foreach(t->quarantined, key,
                            qid) if (strcmp(json_string_value(qid) ?: "", l->asked_for) == 0 &&
                                     !json_object_get(t->operated, key))
                snprintf(t->wrong, 256, "%.200s was released or deleted without a record", key);
}

static void take_intent(Trail *t, const json_t *record)
{
        const json_t *seq = json_object_get(json_object_get(record, "data"), "action_seq");
        char key[300];

        if (!seq)
                return;
        snprintf(key, sizeof(key), "%s/%lld", string_of(record, "incident"),
                 (long long)json_integer_value(seq));
        if (json_object_get(t->intents, key))
                snprintf(t->wrong, 256, "intent %.200s is there twice", key);
        (void)json_object_set_new(t->intents, key, json_true());
}

static void take_line(Trail *t, const char *line)
{
        json_t *j = json_loads(line, 0, NULL);
        const char *event = string_of(j, "event");

        if (strcmp(event, "incident.opened") == 0)
                t->opened++;
        else if (strcmp(event, "incident.closed") == 0)
                take_closed(t, json_object_get(j, "data"));
        else if (strcmp(event, "message.quarantined") == 0)
                take_quarantined(t, json_object_get(j, "data"));
        else if (strcmp(event, "message.released") == 0 || strcmp(event, "message.deleted") == 0)
                take_operated(t, json_object_get(j, "data"));
        else if (strcmp(event, "intent") == 0)
                take_intent(t, j);
        json_decref(j);
}

bool live_trail(Live *l, bool closed, char result[32], char wrong[256])
{
        Trail t = { .quarantined = json_object(),
                    .intents = json_object(),
                    .operated = json_object(),
                    .wrong = wrong,
                    .result = result };
        char path[PATH_MAX], state[PATH_MAX], *line = NULL;
        VerifyResult v = { 0 };
        size_t size = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/audit/audit.jsonl", l->root);
        snprintf(state, sizeof(state), "%s/state", l->root);
        wrong[0] = result[0] = '\0';
        if (audit_verify(path, state, &v) < 0)
                snprintf(wrong, 256, "the trail cannot be verified");
        /* Between a record and its head a death leaves what the next start mends. */
        else if (v.fault != VERIFY_INTACT &&
                 (closed || (v.fault != VERIFY_TORN && v.fault != VERIFY_NOT_IN_HEAD)))
                snprintf(wrong, 256, "%.250s", v.text);
        verify_result_deinit(&v);
        f = fopen(path, "re");
        while (f && !wrong[0] && getline(&line, &size, f) > 0)
                take_line(&t, line);
        if (f)
                fclose(f);
        free(line);
        if (!wrong[0] && closed && t.opened != t.closed)
                snprintf(wrong, 256, "%u incidents were opened, %u closed", t.opened, t.closed);
        if (!wrong[0] && closed)
                check_operated(l, &t);
        json_decref(t.operated);
        json_decref(t.quarantined);
        json_decref(t.intents);
        return !wrong[0];
}
