/*
 * engine_log - what log lines say besides symptoms
 *
 * Called with each log entry that a source reports. A rule's claim itself is diagnosed (diagnose/claims.c);
 * here are the two other things that a log yields:
 *
 *   a gap   what of a log could not be looked at (rotated away, suppressed, cut). It goes on record at once,
 *           as evidence of the kind "gap", for what is not there cannot be asked later.
 *   a name  a message or a process that a rule's captures name. Anybody who can get a line into the log can
 *           name any message, so a name orders the trials of a search (MESSAGE_NAMED) and does nothing else:
 *           it makes no suspect, and nothing is held back for it. Names wait here for the next inventory, for
 *           that is when it is known which messages there are.
 *
 * Fails only for want of memory: then a name is forgotten. Test: tests/scenario/test_log_scenario.c
 */
#include "base/text.h"
#include "diagnose/symptom.h"
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

/* A line that is older says nothing of the failure that is looked into now. */
#define NAME_LIFETIME (10 * USEC_PER_MIN)

static void gap_recorded(void *userdata, int r)
{
        Watch *w = userdata;

        w->recording--;
        if (r < 0)
                watch_note(w, REASON_RECORD_UNAVAILABLE, "a gap in the log could not be put on record");
}

static void take_gap(Watch *w, const LogEntry *entry)
{
        const char *text = entry->text ? entry->text : "";
        AuditRecord record = { .event = AUDIT_EVIDENCE,
                               .service = w->settings->name,
                               .incident = w->incident.id[0] && state_is_recovering(w->incident.state)
                                                   ? w->incident.id
                                                   : NULL,
                               .wall = w->engine->now.wall };
        Commit c = { .records = &record, .n_records = 1 };
        json_t *data = json_pack("{s:s, s:s, s:o}", "kind", "gap", "source",
                                 rule_source_to_string(entry->source), "text", json_from_text(text));
        int r;

        watch_note(w, REASON_EVIDENCE_GAP, "%s", text);
        if (!data || !(record.members = json_pack("{s:s, s:o}", "reason",
                                                  reason_to_string(REASON_EVIDENCE_GAP), "data", data)))
                return;
        w->recording++;
        r = recorder_commit(w->engine->ports.recorder, &c, gap_recorded, w);
        if (r < 0)
                gap_recorded(w, r);
}

static bool name_equals(const NamedMessage *m, const LogEntry *entry)
{
        return streq_null(m->id, entry->id) && m->pid == entry->pid && m->rule == entry->rule;
}

/* The place of the oldest, or of the same name said before. */
static NamedMessage *name_place(Watch *w, const LogEntry *entry)
{
        NamedMessage *oldest = &w->named[0];

        for (size_t i = 0; i < NAMED_MAX; i++) {
                if (w->named[i].wall && name_equals(&w->named[i], entry))
                        return &w->named[i];
                if (w->named[i].wall < oldest->wall)
                        oldest = &w->named[i];
        }
        return oldest;
}

static void take_name(Watch *w, const LogEntry *entry)
{
        NamedMessage *m;
        bool again;
        char *id;

        if (!w->named && !(w->named = calloc(NAMED_MAX, sizeof(*w->named))))
                return;
        m = name_place(w, entry);
        again = m->wall && name_equals(m, entry);
        if (!again) {
                id = strdup_null(entry->id);
                if (entry->id && !id)
                        return;
                free(m->id);
                *m = (NamedMessage){ .id = id, .pid = entry->pid, .rule = entry->rule };
        }
        m->wall = w->engine->now.wall;
        text_copy(m->text, sizeof(m->text), entry->text);
}

bool watch_log_is_late(const Watch *w, const LogEntry *entry)
{
        usec_t ago = usec_sub(w->engine->now.mono, w->started);

        return entry->kind == LOG_MATCHES && w->started > 0 && entry->wall > 0 &&
               entry->wall < usec_sub(w->engine->now.wall, ago);
}

void watch_take_log(Watch *w, const LogEntry *entry)
{
        switch (entry->kind) {
        case LOG_MATCHES:
                if (entry->id && entry->rule < w->settings->n_rules)
                        take_name(w, entry);
                break;
        case LOG_CANCELS:
                break;
        case LOG_GAP:
                take_gap(w, entry);
                break;
        }
}

/* Marks the messages of that name, in whatever store. Return: is any of them not marked yet? */
static bool name_mark(Watch *w, const NamedMessage *m)
{
        bool fresh = false;
        uint32_t message;

        for (size_t store = 0; store < w->settings->n_stores; store++) {
                if (roster_find(&w->roster, (unsigned)store, m->id, strlen(m->id), &message) != 0)
                        continue;
                fresh |= !(w->roster.entries[message].flags & MESSAGE_NAMED);
                w->roster.entries[message].flags |= MESSAGE_NAMED;
        }
        return fresh;
}

void watch_mark_named(Watch *w)
{
        json_t *list = json_array();

        for (size_t i = 0; w->named && i < NAMED_MAX; i++) {
                const NamedMessage *m = &w->named[i];
                char buf[USEC_RFC3339_MAX];
                json_t *o;

                if (!m->id || usec_add(m->wall, NAME_LIFETIME) < w->engine->now.wall || !name_mark(w, m))
                        continue;
                o = json_pack("{s:s, s:s?, s:i, s:o}", "time", usec_rfc3339(buf, m->wall), "rule",
                              w->settings->rules[m->rule].name, "pid", (int)m->pid, "text",
                              json_from_text(m->text));
                if (o && json_set_bytes(o, "id", m->id) == 0)
                        (void)json_array_append(list, o);
                json_decref(o);
        }
        if (json_array_size(list) == 0) {
                json_decref(list);
                return;
        }
        watch_note(w, REASON_EVIDENCE, "%zu waiting message(s) are named in the log", json_array_size(list));
        w->memory_dirty = true;
        (void)watch_record(w, AUDIT_EVIDENCE,
                           json_pack("{s:{s:s, s:o}}", "data", "kind", "named", "messages", list));
}

void watch_forget_named(Watch *w)
{
        for (size_t i = 0; w->named && i < NAMED_MAX; i++)
                free(w->named[i].id);
        free(w->named);
        w->named = NULL;
}
