/*
 * account - a story put in order
 *
 * Used by verb_incident.c and verb_report.c. Everything comes from the audit records, but for where the
 * culprits lie now: the quarantines are looked into, and the rest of the trail for what became of those
 * that are not there. A record that lacks a member is taken without it: old trails and new ones are both
 * read.
 *
 * Diagnostics: without memory there is no account at all (NULL), never a part of one.
 *
 * Test: tests/unit/test_account.c
 */
#include "ctl/account.h"

#include "base/cleanup.h"
#include "ctl/shelf.h"
#include "model/json.h"

#include <string.h>

typedef struct Account {
        json_t *j;   /* the account */
        bool failed; /* memory ran out */
} Account;

static const char *word_of(const json_t *record, const char *name)
{
        const char *word = record_string(record, name);

        return word ? word : "";
}

/* Takes @value, or remembers that there was no memory for it. */
static void put(Account *a, json_t *object, const char *key, json_t *value)
{
        if (json_set(object, key, value) < 0)
                a->failed = true;
}

/* Appends @value, taken, to the list @name of the account. */
static json_t *append(Account *a, const char *name, json_t *value)
{
        json_t *list = json_object_get(a->j, name);

        if (!list) {
                list = json_array();
                put(a, a->j, name, list);
                list = json_object_get(a->j, name);
        }
        if (!list || json_array_append_new(list, value) < 0) {
                a->failed = true;
                return NULL;
        }
        return value;
}

/* A copy of the record's data, with its time. */
static json_t *dated(Account *a, const json_t *record)
{
        const json_t *data = json_object_get(record, "data");
        json_t *copy = data ? json_copy((json_t *)data) : json_object();

        if (copy && !json_object_get(copy, "time"))
                put(a, copy, "time", json_incref(json_object_get(record, "time")));
        return copy;
}

static void take_as_it_is(Account *a, const json_t *record, const char *list)
{
        append(a, list, dated(a, record));
}

/* Milliseconds from one RFC 3339 time to another; NULL if one of them is none. */
static json_t *between(const json_t *from, const json_t *to)
{
        const char *begin = json_string_value(from), *end = json_string_value(to);
        struct timespec a, b;
        json_int_t ms;

        if (!begin || !end || rfc3339_parse(begin, &a) < 0 || rfc3339_parse(end, &b) < 0)
                return json_null();
        ms = (json_int_t)(b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
        return json_integer(ms > 0 ? ms : 0);
}

/* The last entry of a list, if it is one that has no @key yet. */
static json_t *unfinished(const Account *a, const char *name, const char *key)
{
        const json_t *list = json_object_get(a->j, name);
        json_t *last = json_array_get(list, json_array_size(list) - 1);

        return last && json_is_null(json_object_get(last, key)) ? last : NULL;
}

static void take_state(Account *a, const json_t *record, const char *list)
{
        json_t *time = json_object_get(record, "time"), *before = unfinished(a, list, "duration_ms");

        if (before)
                put(a, before, "duration_ms", between(json_object_get(before, "since"), time));
        append(a, list,
               json_pack("{s:s, s:O?, s:s, s:s, s:n}", "state", word_of(record, "to"), "since", time, "from",
                         word_of(record, "from"), "reason", word_of(record, "reason"), "duration_ms"));
}

/* Found ones have records of their own; these are in the evidence of the same look. */
static void take_checks(Account *a, const json_t *record)
{
        const json_t *check;
        size_t i;

        json_array_foreach(record_member(record, "checks"), i, check)
        {
                const char *list =
                        json_is_true(json_object_get(check, "known")) ? "ruled_out" : "not_checked";
                json_t *cause = json_object_get(check, "cause"), *known;
                size_t k;
                bool had = json_is_true(json_object_get(check, "found"));

                json_array_foreach(json_object_get(a->j, list), k, known) had |=
                        json_equal(known, cause) != 0;
                if (!had)
                        append(a, list, json_incref(cause));
        }
}

static void take_evidence(Account *a, const json_t *record, const char *list)
{
        take_checks(a, record);
        take_as_it_is(a, record, list);
}

static void take_trial_started(Account *a, const json_t *record, const char *list)
{
        append(a, list,
               json_pack("{s:O?, s:O?, s:O?, s:O?, s:n}", "trial", record_member(record, "trial"), "rung",
                         record_member(record, "rung"), "started", json_object_get(record, "time"), "held",
                         record_member(record, "held"), "outcome"));
}

static void take_trial_finished(Account *a, const json_t *record, const char *list)
{
        static const char *const members[] = { "outcome", "departed", "duration_ms", "failure" };
        json_t *trial = unfinished(a, list, "outcome");

        /* One that failed to start at all has no record of its start. */
        if (!trial || !json_equal(json_object_get(trial, "trial"), record_member(record, "trial")))
                trial = append(a, list,
                               json_pack("{s:O?, s:O?, s:O?, s:n}", "trial", record_member(record, "trial"),
                                         "rung", record_member(record, "rung"), "started",
                                         json_object_get(record, "time"), "held"));
        for (size_t i = 0; trial && i < ELEMENTSOF(members); i++) {
                json_t *value = record_member(record, members[i]);

                put(a, trial, members[i], value ? json_incref(value) : json_null());
        }
}

static void take_intent(Account *a, const json_t *record, const char *list)
{
        append(a, list,
               json_pack("{s:O?, s:O?, s:O?, s:O?, s:n}", "action", json_object_get(record, "action"), "seq",
                         record_member(record, "action_seq"), "started", json_object_get(record, "time"),
                         "reason", json_object_get(record, "reason"), "result"));
}

static void take_outcome(Account *a, const json_t *record, const char *list)
{
        json_t *action = unfinished(a, list, "result"), *time = json_object_get(record, "time"),
               *inventory = record_member(record, "inventory"), *error = json_object_get(record, "error");

        if (!action || !json_equal(json_object_get(action, "action"), json_object_get(record, "action")))
                action = append(a, list,
                                json_pack("{s:O?, s:O?, s:O?}", "action", json_object_get(record, "action"),
                                          "seq", record_member(record, "action_seq"), "started", time));
        if (!action)
                return;
        put(a, action, "result", json_incref(json_object_get(record, "result")));
        put(a, action, "duration_ms", between(json_object_get(action, "started"), time));
        put(a, action, "error", error ? json_incref(error) : json_null());
        if (inventory)
                put(a, action, "inventory", json_incref(inventory));
}

static void take_cleared(Account *a, const json_t *record, const char *name)
{
        json_int_t sum = json_integer_value(json_object_get(a->j, name)) +
                         json_integer_value(record_member(record, "count"));

        put(a, a->j, name, json_integer(sum));
}

static void take_record(Account *a, const json_t *record)
{
        static const struct {
                const char *event, *list;
                void (*take)(Account *a, const json_t *record, const char *list);
        } events[] = {
                { "symptom", "symptoms", take_as_it_is },
                { "cause", "causes", take_as_it_is },
                { "evidence", "evidence", take_evidence },
                { "state", "states", take_state },
                { "trial.started", "trial_list", take_trial_started },
                { "trial.finished", "trial_list", take_trial_finished },
                { "intent", "actions", take_intent },
                { "outcome", "actions", take_outcome },
                { "operator", "operator", take_as_it_is },
                { "alert", "alerts", take_as_it_is },
                { "store.held", "stores_held", take_as_it_is },
                { "message.cleared", "cleared", take_cleared },
        };
        const char *event = json_string_value(json_object_get(record, "event"));

        for (size_t i = 0; event && i < ELEMENTSOF(events); i++)
                if (strcmp(events[i].event, event) == 0)
                        events[i].take(a, record, events[i].list);
}

/* What was wrong, as it is told first. */
static void take_opening(Account *a, const Story *s)
{
        const json_t *record, *from = NULL;
        size_t i;

        json_array_foreach(s->records, i, record)
        {
                const char *event = json_string_value(json_object_get(record, "event"));

                if (!json_object_get(a->j, "host"))
                        put(a, a->j, "host", json_incref(json_object_get(record, "host")));
                if (event && record_member(record, "symptom") &&
                    (strcmp(event, "incident.opened") == 0 || (!from && strcmp(event, "symptom") == 0)))
                        from = record;
        }
        put(a, a->j, "symptom", from ? dated(a, from) : json_null());
}

/* Where the culprits are now */

typedef struct Fates {
        Account *account;
        const Story *story;
        json_t *culprits;
} Fates;

/*
 * A message was released or deleted: one of ours? The same id may come again later, and is then another's.
 */
static int fate_record(void *userdata, json_t *record)
{
        Fates *f = userdata;
        const char *event = word_of(record, "event"), *opened = json_string_value(f->story->opened);
        bool released = strcmp(event, "message.released") == 0;
        json_t *culprit;
        size_t i;

        if ((!released && strcmp(event, "message.deleted") != 0) ||
            strcmp(word_of(record, "service"), f->story->service) != 0 ||
            (opened && strcmp(word_of(record, "time"), opened) < 0))
                return 0;
        json_array_foreach(f->culprits, i, culprit)
        {
                if (strcmp(word_of(culprit, "id"), word_of(record, "id")) == 0 &&
                    strcmp(word_of(culprit, "store"), word_of(record, "store")) == 0 &&
                    !json_object_get(culprit, "now"))
                        put(f->account, culprit, "now",
                            json_pack("{s:s, s:O?}", "place", released ? "released" : "deleted", "time",
                                      json_object_get(record, "time")));
        }
        return 0;
}

/* Culprits of this incident that lie in quarantine. @shelf NULL: nobody can tell. */
static void look_on_shelf(Account *a, json_t *culprits, const json_t *shelf)
{
        json_t *culprit;
        size_t i;

        json_array_foreach(culprits, i, culprit)
        {
                const char *id = word_of(culprit, "quarantine");
                bool several;
                const json_t *lies = shelf_find(shelf, *id ? id : word_of(culprit, "id"), &several);

                if (lies)
                        put(a, culprit, "now",
                            json_pack("{s:s, s:O?, s:O?}", "place", "quarantine", "path",
                                      json_object_get(lies, "path"), "quarantine",
                                      json_object_get(lies, "quarantine")));
        }
}

static void find_culprits(Account *a, const Ctl *c, const Story *s)
{
        json_t *culprits = json_object_get(a->j, "culprits"), *shelf = NULL, *culprit;
        _cleanup_(freep) char *path = NULL;
        Fates fates = { .account = a, .story = s, .culprits = culprits };
        size_t i;

        if (json_array_size(culprits) == 0)
                return;
        if (c->settings && shelf_read(c->settings, s->service, &shelf, &path) == 0)
                look_on_shelf(a, culprits, shelf);
        (void)records_read(c->audit_path, "\"event\":\"message.", fate_record, &fates);
        json_array_foreach(culprits, i, culprit) if (!json_object_get(culprit, "now"))
                put(a, culprit, "now", json_pack("{s:s}", "place", shelf ? "gone" : "unknown"));
        json_decref(shelf);
}

/* While it is open there is always something to look at. */
static void take_next(Account *a, const Story *s)
{
        if (s->close || json_object_get(a->j, "next"))
                return;
        put(a, a->j, "next",
            json_pack("[s+, s+]", "unjamctl watch ", s->service, "unjamctl explain ", s->service));
}

json_t *account_new(const Ctl *c, const Story *s)
{
        Account a = { .j = story_summary(s) };
        const json_t *record;
        json_t *data = s->close ? json_object_get(s->close, "data") : NULL, *culprits;
        size_t i;

        if (!a.j || (data && json_object_update_missing(a.j, data) < 0)) {
                json_decref(a.j);
                return NULL;
        }
        /* They get a member more: the record keeps its own. */
        culprits = json_object_get(a.j, "culprits");
        put(&a, a.j, "culprits", culprits ? json_deep_copy(culprits) : json_array());
        put(&a, a.j, "why", s->close ? json_incref(json_object_get(s->close, "reason")) : json_null());
        take_opening(&a, s);
        json_array_foreach(s->records, i, record) take_record(&a, record);
        find_culprits(&a, c, s);
        take_next(&a, s);
        if (a.failed) {
                json_decref(a.j);
                return NULL;
        }
        return a.j;
}
