/*
 * story - what the audit trail tells of incidents
 *
 * Used by verb_incident.c, verb_operate.c and verb_audit.c. The trail may be a gigabyte: lines are chosen by
 * their bytes before they are parsed, and of the list's incidents only the figures are kept.
 */
#include "ctl/story.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "model/json.h"
#include "record/trail.h"

#include <string.h>

int records_read(const char *path, const char *needle, RecordHandler handler, void *userdata)
{
        _cleanup_(trail_freep) Trail *trail = NULL;
        TrailLine line;
        int r;

        r = trail_open(&trail, path);
        if (r < 0)
                return r;
        while ((r = trail_next(trail, &line)) == 0) {
                json_t *record;

                if (line.torn || (needle && !memmem(line.text, line.len, needle, strlen(needle))))
                        continue;
                record = json_parse(line.text, line.len);
                r = json_is_object(record) ? handler(userdata, record) : 0;
                json_decref(record);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

json_t *record_member(const json_t *record, const char *name)
{
        json_t *value = json_object_get(json_object_get(record, "data"), name);

        return value ? value : json_object_get(record, name);
}

const char *record_string(const json_t *record, const char *name)
{
        return json_string_value(record_member(record, name));
}

void story_deinit(Story *s)
{
        free(s->incident);
        free(s->service);
        json_decref(s->opened);
        json_decref(s->close);
        json_decref(s->state);
        json_decref(s->culprits);
        json_decref(s->records);
        *s = (Story){ 0 };
}

void stories_deinit(Stories *s)
{
        for (size_t i = 0; i < s->n; i++)
                story_deinit(&s->list[i]);
        free(s->list);
        *s = (Stories){ 0 };
}

static void replace(json_t **place, json_t *value)
{
        json_decref(*place);
        *place = json_incref(value);
}

/* Takes what @record adds to the figures. */
static int story_feed(Story *s, json_t *record)
{
        const char *event = json_string_value(json_object_get(record, "event"));

        if (!event)
                return 0;
        if (strcmp(event, "state") == 0) {
                replace(&s->state, json_object_get(record, "to"));
        } else if (strcmp(event, "trial.started") == 0) {
                s->trials++;
        } else if (strcmp(event, "trial.finished") == 0) {
                const char *outcome = record_string(record, "outcome");

                if (outcome && strcmp(outcome, "failed") == 0)
                        s->crashes++;
        } else if (strcmp(event, "message.quarantined") == 0) {
                json_t *message = json_object_get(record, "data");

                if (message && json_array_append(s->culprits, message) < 0)
                        return err_origin(-ENOMEM);
        } else if (strcmp(event, "incident.closed") == 0) {
                replace(&s->close, record);
        }
        if (s->records && json_array_append(s->records, record) < 0)
                return err_origin(-ENOMEM);
        return 0;
}

static int story_init(Story *s, const char *incident, const json_t *record, bool records)
{
        const char *service = json_string_value(json_object_get(record, "service"));

        *s = (Story){ .incident = strdup(incident),
                      .service = strdup(service ? service : ""),
                      .opened = json_incref(json_object_get(record, "time")),
                      .culprits = json_array(),
                      .records = records ? json_array() : NULL };
        if (!s->incident || !s->service || !s->culprits || (records && !s->records)) {
                story_deinit(s);
                return err_origin(-ENOMEM);
        }
        return 0;
}

typedef struct Reading {
        Stories stories;
        const char *service;
        const char *id; /* begins with it; NULL: any */
        bool records;
} Reading;

static int reading_record(void *userdata, json_t *record)
{
        Reading *reading = userdata;
        Stories *all = &reading->stories;
        const char *incident = json_string_value(json_object_get(record, "incident")),
                   *service = json_string_value(json_object_get(record, "service"));
        Story *more;
        int r;

        if (!incident || (reading->service && (!service || strcmp(service, reading->service) != 0)) ||
            (reading->id && strncmp(incident, reading->id, strlen(reading->id)) != 0))
                return 0;
        /* Incidents overlap only between services: the one that is meant is among the last. */
        for (size_t i = all->n; i > 0; i--)
                if (strcmp(all->list[i - 1].incident, incident) == 0)
                        return story_feed(&all->list[i - 1], record);
        more = reallocarray(all->list, all->n + 1, sizeof(*more));
        if (!more)
                return err_origin(-ENOMEM);
        all->list = more;
        r = story_init(&all->list[all->n], incident, record, reading->records);
        if (r < 0)
                return r;
        all->n++;
        return story_feed(&all->list[all->n - 1], record);
}

int stories_read(const char *path, const char *service, Stories *ret)
{
        Reading reading = { .service = service };
        int r;

        r = records_read(path, "\"incident\":\"", reading_record, &reading);
        if (r < 0) {
                stories_deinit(&reading.stories);
                return r;
        }
        *ret = reading.stories;
        return 0;
}

/* The one whose id it is, or the only one that begins so. */
static int stories_choose(Stories *s, const char *id, Story *ret)
{
        size_t chosen = s->n == 1 ? 0 : s->n;

        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->list[i].incident, id) == 0)
                        chosen = i;
        if (chosen == s->n)
                return s->n == 0 ? -ENOENT : -EEXIST;
        *ret = s->list[chosen];
        s->list[chosen] = (Story){ 0 };
        return 0;
}

static int last_record(void *userdata, json_t *record)
{
        const char *incident = json_string_value(json_object_get(record, "incident"));
        char **last = userdata;

        /* Ids sort by time; a service that still recovers must not hide a younger incident. */
        if (incident && (!*last || strcmp(incident, *last) > 0)) {
                free(*last);
                *last = strdup(incident);
                if (!*last)
                        return err_origin(-ENOMEM);
        }
        return 0;
}

int story_read(const char *path, const char *id, Story *ret)
{
        _cleanup_(freep) char *last = NULL;
        Reading reading = { .id = id, .records = true };
        int r;

        if (strcmp(id, "last") == 0) {
                r = records_read(path, "\"event\":\"incident.opened\"", last_record, &last);
                if (r < 0)
                        return r;
                if (!last)
                        return -ENOENT;
                reading.id = id = last;
        }
        if (!*id)
                return -ENOENT;
        r = records_read(path, id, reading_record, &reading);
        if (r == 0)
                r = stories_choose(&reading.stories, id, ret);
        stories_deinit(&reading.stories);
        return r;
}

const char *story_word(const Story *s)
{
        const char *word = s->close ? record_string(s->close, "result") : json_string_value(s->state);

        return word ? word : "open";
}

json_t *story_summary(const Story *s)
{
        json_t *closed = s->close ? json_object_get(s->close, "time") : NULL,
               *result = s->close ? record_member(s->close, "result") : NULL,
               *culprits = s->close ? record_member(s->close, "culprits") : NULL,
               *trials = s->close ? record_member(s->close, "trials") : NULL,
               *crashes = s->close ? record_member(s->close, "crashes") : NULL,
               *outage = s->close ? record_member(s->close, "outage_ms") : NULL;

        return json_pack("{s:s, s:s, s:O?, s:O?, s:O?, s:O?, s:O, s:o, s:o, s:O?}", "incident", s->incident,
                         "service", s->service, "opened", s->opened, "closed", closed, "state", s->state,
                         "result", result, "culprits", culprits ? culprits : s->culprits, "trials",
                         trials ? json_incref(trials) : json_integer(s->trials), "crashes",
                         crashes ? json_incref(crashes) : json_integer(s->crashes), "outage_ms", outage);
}
