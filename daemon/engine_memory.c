/*
 * engine_memory - what survives unjamd
 *
 * Two snapshots for each service, written by the recorder before anything is done:
 *
 *      NAME         the incident with its open intent, an operator's pause and pending operation: small, every
 *                   commit
 *      NAME.memory  what is known of each message, and what the search knows: only when it changed
 *
 * Where messages are is not in it: that is read from the disk. After a restart the intent that was open is
 * answered on record with "unknown", and the machine goes on (EVENT_RESUMED); every action looks first and
 * does what is missing. A snapshot that cannot be understood escalates: nothing is guessed.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

/* Flags of the memory file beside MessageFlag. */
#define MEMORY_HELD  (1 << 16)
#define MEMORY_TRIED (1 << 17)

static json_t *memory_entry(const Watch *w, uint32_t k)
{
        const RosterEntry *e = &w->roster.entries[k];
        json_int_t flags = e->flags;
        json_t *o;

        if (message_set_has(&w->held, k))
                flags |= MEMORY_HELD;
        if (message_set_has(&w->tried, k))
                flags |= MEMORY_TRIED;
        o = json_pack("{s:i, s:I}", "s", e->store, "f", flags);
        if (o && json_set_bytes(o, "i", roster_id(&w->roster, k, NULL)) < 0) {
                json_decref(o);
                o = NULL;
        }
        return o;
}

json_t *watch_memory(const Watch *w)
{
        json_t *messages = json_array(), *candidates = json_array();

        for (uint32_t k = 0; k < w->roster.n; k++)
                if (json_array_append_new(messages, memory_entry(w, k)) < 0)
                        goto fail;
        for (size_t k = 0; k < w->n_candidates; k++)
                if (json_array_append_new(candidates, json_integer(w->candidates[k])) < 0)
                        goto fail;
        return json_pack("{s:s, s:o, s:o, s:o?, s:O?}", "incident", w->pending.next.id, "messages", messages,
                         "candidates", candidates, "search", w->search ? isolate_save(w->search) : NULL,
                         "culprits", w->culprits);
fail:
        json_decref(messages);
        json_decref(candidates);
        return NULL;
}

static int remember_message(Watch *w, const json_t *o)
{
        json_int_t flags = json_integer_value(json_object_get(o, "f"));
        json_int_t store = json_integer_value(json_object_get(o, "s"));
        char *id = NULL;
        uint32_t k;
        int r = json_get_bytes(o, "i", &id);

        if (r < 0)
                return r;
        if (store < 0 || (size_t)store >= w->settings->n_stores) {
                free(id);
                return -EINVAL;
        }
        r = roster_add(&w->roster, (unsigned)store, id, strlen(id), &k);
        free(id);
        if (r < 0)
                return r;
        w->roster.entries[k].flags = (uint16_t)(flags & 0xffff);
        if (flags & MESSAGE_SUSPECT)
                r = message_set_add(&w->suspects, k);
        if (r == 0 && (flags & MEMORY_HELD))
                r = message_set_add(&w->held, k);
        if (r == 0 && (flags & MEMORY_TRIED))
                r = message_set_add(&w->tried, k);
        return r;
}

int watch_remember(Watch *w, const json_t *memory)
{
        const json_t *messages = json_object_get(memory, "messages");
        const json_t *candidates = json_object_get(memory, "candidates");
        const json_t *search = json_object_get(memory, "search"), *o;
        const char *incident = json_string_value(json_object_get(memory, "incident"));
        size_t k;
        int r;

        if (!incident || strcmp(incident, w->incident.id) != 0)
                return 0; /* of an older incident: this one had learned nothing yet */
        json_array_foreach((json_t *)messages, k, o)
        {
                r = remember_message(w, o);
                if (r < 0)
                        return r;
        }
        json_array_foreach((json_t *)candidates, k, o)
        {
                json_int_t message = json_integer_value(o);

                if (message < 0 || (uint64_t)message >= w->roster.n)
                        return -EINVAL;
                r = watch_add_candidate(w, (uint32_t)message);
                if (r < 0)
                        return r;
        }
        if (json_is_object(search)) {
                r = isolate_load(&w->search, search);
                if (r < 0)
                        return r;
                if (isolate_n(w->search) != w->n_candidates)
                        return -EINVAL;
        }
        if (json_is_array(json_object_get(memory, "culprits")))
                w->culprits = json_incref(json_object_get(memory, "culprits"));
        return 0;
}

json_t *watch_snapshot(const Watch *w, const Incident *i)
{
        const Operation *op = &w->operation;
        usec_t left = usec_sub(w->paused_until, w->engine->now.mono);
        json_t *recoveries = json_array();

        for (size_t k = 0; k < sizeof(w->recoveries) / sizeof(w->recoveries[0]) && w->recoveries[k]; k++)
                (void)json_array_append_new(recoveries, json_integer((json_int_t)w->recoveries[k]));
        return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:{s:s, s:b, s:s?, s:s?, s:s?}}", "incident",
                         incident_to_json(i), "since", (json_int_t)w->since, "pause_until",
                         (json_int_t)(i->state == STATE_PAUSED ? usec_add(w->engine->now.wall, left) : 0),
                         "outage", (json_int_t)w->outage, "down_since", (json_int_t)w->down_since,
                         "quarantined", (json_int_t)w->n_quarantined, "recoveries", recoveries, "operation",
                         "kind", action_kind_to_string(op->kind), "queued", op->queued, "quarantine",
                         op->quarantine, "target", op->target, "incident", op->incident);
}

static int load_operation(Watch *w, const json_t *o)
{
        Operation *op = &w->operation;

        op->kind = action_kind_from_string(json_string_value(json_object_get(o, "kind")));
        if ((int)op->kind < 0)
                return -EINVAL;
        op->queued = json_is_true(json_object_get(o, "queued"));
        op->quarantine = strdup_null(json_string_value(json_object_get(o, "quarantine")));
        op->target = strdup_null(json_string_value(json_object_get(o, "target")));
        op->incident = strdup_null(json_string_value(json_object_get(o, "incident")));
        return 0;
}

static int load_snapshot(Watch *w, const json_t *j)
{
        json_int_t since = 0, pause = 0, outage = 0, down = 0, quarantined = 0;
        json_t *incident = NULL, *recoveries = NULL, *operation = NULL;
        int r;

        if (json_unpack((json_t *)j, "{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "incident", &incident,
                        "since", &since, "pause_until", &pause, "outage", &outage, "down_since", &down,
                        "quarantined", &quarantined, "recoveries", &recoveries, "operation", &operation) < 0)
                return -EINVAL;
        r = incident_from_json(incident, &w->incident);
        if (r < 0)
                return r;
        w->since = (usec_t)since;
        w->n_quarantined = (uint64_t)quarantined;
        w->outage = (usec_t)outage;
        w->down_since = (usec_t)down;
        if (w->incident.state == STATE_PAUSED)
                w->paused_until = usec_add(w->engine->now.mono, usec_sub((usec_t)pause, w->engine->now.wall));
        for (size_t k = 0; k < sizeof(w->recoveries) / sizeof(w->recoveries[0]); k++)
                w->recoveries[k] = (usec_t)json_integer_value(json_array_get(recoveries, k));
        return load_operation(w, operation);
}

int watch_load(Watch *w, bool *ret_resume)
{
        char *name = NULL;
        json_t *snapshot = NULL, *memory = NULL;
        int r;

        *ret_resume = false;
        r = recorder_load(w->engine->ports.recorder, w->settings->name, &snapshot);
        if (r == 0 && snapshot)
                r = load_snapshot(w, snapshot);
        if (r == 0 && snapshot && w->incident.id[0]) {
                if (asprintf(&name, "%s.memory", w->settings->name) < 0)
                        r = -ENOMEM;
                else
                        r = recorder_load(w->engine->ports.recorder, name, &memory);
                if (r == 0 && memory)
                        r = watch_remember(w, memory);
        }
        *ret_resume = r == 0 && snapshot && (w->incident.pending || state_is_recovering(w->incident.state));
        json_decref(snapshot);
        json_decref(memory);
        free(name);
        return r;
}

void watch_forget_incident(Watch *w)
{
        watch_forget_search(w);
        roster_deinit(&w->roster);
        w->roster = (Roster){ 0 };
        message_set_clear(&w->suspects);
        message_set_clear(&w->tried);
        message_set_clear(&w->held);
        json_decref(w->culprits);
        w->culprits = NULL;
        w->fresh = false;
        w->patience = 0;
        w->outage = 0;
        w->memory_dirty = true;
}
