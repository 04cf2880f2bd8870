/*
 * engine_memory - what survives unjamd
 *
 * Two things for each service, written by the recorder in one commit before anything is done:
 *
 *      the snapshot  the incident with its open intent, an operator's pause and pending operation: small, and
 *                    whole each time; and how far the log counts
 *      the memory    what is known of each message, and what the search knows: a log of changes
 *                    (model/memory.h), written when something of it has changed
 *
 * Where messages are is not in it: that is read from the disk. After a restart the intent that was open is
 * answered on record with "unknown", and the machine goes on (EVENT_RESUMED); every action looks first and
 * does what is missing. What cannot be understood escalates: nothing is guessed.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "base/cleanup.h"
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

#define MEMORY_DUMP (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)

/* A log that is longer than so many times its first block, and this, is begun anew. */
#define MEMORY_GROWTH 4
#define MEMORY_SLACK  (UINT64_C(4) << 20)

static void memory_restart(Watch *w)
{
        memory_deinit(&w->memory);
        w->memory_generation++;
        w->memory_length = 0;
        w->memory_dirty = true;
}

/* The block from what is on record to what is known now. */
static int memory_block(Watch *w, const char *incident, uint8_t **ret, size_t *ret_len)
{
        _cleanup_(freep) char *search = NULL, *culprits = NULL;
        MemoryView v = { .incident = incident,
                         .roster = &w->roster,
                         .held = &w->held,
                         .tried = &w->tried,
                         .candidates = w->candidates,
                         .n_candidates = w->n_candidates };

        if (w->search && (w->memory.search_changed || !w->memory.begun)) {
                json_t *saved = isolate_save(w->search);

                search = saved ? json_text(saved, MEMORY_DUMP) : NULL;
                json_decref(saved);
                if (!search)
                        return -ENOMEM;
        }
        culprits = w->culprits ? json_text(w->culprits, MEMORY_DUMP) : NULL;
        if (w->culprits && !culprits)
                return -ENOMEM;
        v.search = search;
        v.culprits = culprits;
        return memory_append(&w->memory, &v, ret, ret_len);
}

int watch_memory(Watch *w, MemoryWrite *ret)
{
        int r;

        if (!w->memory_dirty || !w->pending.next.id[0])
                return 0;
        if (w->memory_length > MEMORY_GROWTH * w->memory_first + MEMORY_SLACK || w->memory_generation == 0)
                memory_restart(w);
        ret->generation = w->memory_generation;
        ret->offset = w->memory_length;
        r = memory_block(w, w->pending.next.id, &ret->block, &ret->len);
        if (r < 0)
                return r;
        w->memory_length += MEMORY_BLOCK_HEADER + ret->len;
        if (ret->offset == 0)
                w->memory_first = w->memory_length;
        w->memory_dirty = false;
        return 0;
}

void watch_memory_lost(Watch *w)
{
        memory_restart(w);
}

static int on_block(void *userdata, const uint8_t *block, size_t len)
{
        return recall_block(userdata, block, len);
}

/* The search is read back from text. */
static int recall_search(Watch *w, const Recall *c)
{
        json_t *search = json_parse(c->search, strlen(c->search));
        int r = search ? isolate_load(&w->search, search) : -EBADMSG;

        json_decref(search);
        if (r == 0 && isolate_n(w->search) != w->n_candidates)
                r = -EBADMSG;
        return r;
}

/* Takes over what was read, as far as it makes sense together. */
static int recall_take(Watch *w, Recall *c)
{
        int r = 0;

        if (!c->incident || strcmp(c->incident, w->incident.id) != 0)
                return -EBADMSG;
        for (uint32_t k = 0; k < c->roster.n && r == 0; k++) {
                if (c->roster.entries[k].store >= w->settings->n_stores)
                        return -EBADMSG;
                if (c->roster.entries[k].flags & MESSAGE_SUSPECT)
                        r = message_set_add(&w->suspects, k);
        }
        w->roster = c->roster;
        w->held = c->held;
        w->tried = c->tried;
        c->roster = (Roster){};
        c->held = c->tried = (MessageSet){};
        for (size_t k = 0; k < c->n_candidates && r == 0; k++)
                r = watch_add_candidate(w, c->candidates[k]);
        if (r == 0 && c->search)
                r = recall_search(w, c);
        if (r == 0 && c->culprits) {
                w->culprits = json_parse(c->culprits, strlen(c->culprits));
                r = json_is_array(w->culprits) ? 0 : -EBADMSG;
        }
        return r;
}

/* Reads the log as far as the snapshot says that it counts, and goes on from there. */
static int watch_remember(Watch *w)
{
        Recall c = {};
        uint8_t *block = NULL;
        size_t len;
        int r;

        if (w->memory_generation == 0 || !w->incident.id[0])
                return 0;
        r = recorder_recall(w->engine->ports.recorder, w->settings->name, w->memory_generation,
                            w->memory_length, on_block, &c);
        if (r == 0)
                r = recall_take(w, &c);
        recall_deinit(&c);
        /* What the next block is made against; the log says all of it already. */
        if (r == 0)
                r = memory_block(w, w->incident.id, &block, &len);
        free(block);
        w->memory_dirty = false;
        return r;
}

json_t *watch_snapshot(const Watch *w, const Incident *i)
{
        const Operation *op = &w->operation;
        usec_t left = usec_sub(w->paused_until, w->engine->now.mono);
        json_t *recoveries = json_array(), *snapshot;
        bool remembers = i->id[0] != 0;

        for (size_t k = 0; k < sizeof(w->recoveries) / sizeof(w->recoveries[0]) && w->recoveries[k]; k++)
                (void)json_array_append_new(recoveries, json_integer((json_int_t)w->recoveries[k]));
        snapshot =
                json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:s?, s:{s:I, s:I}, s:{s:s, s:b, s:b, s:s?, "
                          "s:s?, s:s?}}",
                          "incident", incident_to_json(i), "since", (json_int_t)w->since, "pause_until",
                          (json_int_t)(i->state == STATE_PAUSED ? usec_add(w->engine->now.wall, left) : 0),
                          "outage", (json_int_t)w->outage, "down_since", (json_int_t)w->down_since,
                          "quarantined", (json_int_t)w->n_quarantined, "recoveries", recoveries, "returning",
                          w->returning[0] ? w->returning : NULL, "memory", "generation",
                          (json_int_t)(remembers ? w->memory_generation : 0), "length",
                          (json_int_t)(remembers ? w->memory_length : 0), "operation", "kind",
                          action_kind_to_string(op->kind), "queued", op->queued, "native", op->native,
                          "quarantine", op->quarantine, "target", op->target, "incident", op->incident);
        /* Absent for most services. */
        if (snapshot && w->arrival.since > 0)
                (void)json_object_set_new(snapshot, "arrivals",
                                          json_pack("{s:I, s:I, s:b}", "since", (json_int_t)w->arrival.since,
                                                    "count", (json_int_t)w->arrival.n, "told",
                                                    w->arrival.told));
        return snapshot;
}

static int load_operation(Watch *w, const json_t *o)
{
        Operation *op = &w->operation;

        op->kind = action_kind_from_string(json_string_value(json_object_get(o, "kind")));
        if ((int)op->kind < 0)
                return -EINVAL;
        if (op->kind == ACTION_COLLECT || op->kind == ACTION_START)
                op->kind = ACTION_NONE; /* nobody waits for these any more */
        op->queued = json_is_true(json_object_get(o, "queued"));
        op->native = json_is_true(json_object_get(o, "native"));
        op->again = op->kind != ACTION_NONE && !op->queued;
        op->quarantine = strdup_null(json_string_value(json_object_get(o, "quarantine")));
        op->target = strdup_null(json_string_value(json_object_get(o, "target")));
        op->incident = strdup_null(json_string_value(json_object_get(o, "incident")));
        return 0;
}

static void load_arrivals(Watch *w, const json_t *a)
{
        w->arrival = (ArrivalCount){ .since = (usec_t)json_integer_value(json_object_get(a, "since")),
                                     .n = (unsigned)json_integer_value(json_object_get(a, "count")),
                                     .told = json_is_true(json_object_get(a, "told")) };
}

static int load_snapshot(Watch *w, const json_t *j)
{
        json_int_t since = 0, pause = 0, outage = 0, down = 0, quarantined = 0, generation = 0, length = 0;
        json_t *incident = NULL, *recoveries = NULL, *operation = NULL;
        const char *returning;
        int r;

        if (json_unpack((json_t *)j, "{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:{s:I, s:I}}", "incident",
                        &incident, "since", &since, "pause_until", &pause, "outage", &outage, "down_since",
                        &down, "quarantined", &quarantined, "recoveries", &recoveries, "operation",
                        &operation, "memory", "generation", &generation, "length", &length) < 0 ||
            generation < 0 || length < 0)
                return -EINVAL;
        w->memory_generation = (uint64_t)generation;
        w->memory_length = w->memory_first = (uint64_t)length;
        r = incident_from_json(incident, &w->incident);
        if (r < 0)
                return r;
        load_arrivals(w, json_object_get(j, "arrivals"));
        returning = json_string_value(json_object_get(j, "returning"));
        if (returning && (w->incident.pending || state_is_recovering(w->incident.state)))
                snprintf(w->returning, sizeof(w->returning), "%s", returning);
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
        json_t *snapshot = NULL;
        int r;

        *ret_resume = false;
        r = recorder_load(w->engine->ports.recorder, w->settings->name, &snapshot);
        if (r == 0 && snapshot)
                r = load_snapshot(w, snapshot);
        if (r == 0 && snapshot)
                r = watch_remember(w);
        *ret_resume = r == 0 && snapshot && (w->incident.pending || state_is_recovering(w->incident.state));
        json_decref(snapshot);
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
        memory_restart(w);
}
