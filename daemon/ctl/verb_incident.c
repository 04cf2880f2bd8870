/*
 * verb_incident - unjamctl incident list, show
 *
 * Reads the audit trail; works while the daemon is down. report.c writes the report for people.
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/story.h"

#include "base/cleanup.h"

#include <string.h>

/* A summary's number as text, or NULL. */
static const char *number(char *buf, size_t size, const json_t *summary, const char *name)
{
        const json_t *n = json_object_get(summary, name);

        if (!json_is_integer(n))
                return NULL;
        snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(n));
        return buf;
}

static const char *text(const json_t *summary, const char *name)
{
        const char *s = json_string_value(json_object_get(summary, name));

        return s ? s : "";
}

static int add_story(Table *t, const Story *s, const json_t *summary)
{
        char opened[24], closed[24], culprits[24], trials[24], crashes[24], outage[40];
        const json_t *ms = json_object_get(summary, "outage_ms");

        snprintf(culprits, sizeof(culprits), "%zu", json_array_size(json_object_get(summary, "culprits")));
        return table_add(
                t, (const char *const[]){
                           s->incident, s->service, print_time(opened, text(summary, "opened")),
                           *text(summary, "closed") ? print_time(closed, text(summary, "closed")) : "open",
                           story_word(s), culprits, number(trials, sizeof(trials), summary, "trials"),
                           number(crashes, sizeof(crashes), summary, "crashes"),
                           json_is_integer(ms) ? print_ms(outage, sizeof(outage), json_integer_value(ms))
                                               : NULL });
}

static int print_list(const Ctl *c, const Stories *stories, const json_t *list)
{
        static const Column columns[] = {
                { .title = "INCIDENT" },
                { .title = "SERVICE" },
                { .title = "OPENED (UTC)" },
                { .title = "CLOSED (UTC)" },
                { .title = "RESULT", .word = true },
                { .title = "CULPRITS", .right = true },
                { .title = "TRIALS", .right = true },
                { .title = "CRASHES", .right = true },
                { .title = "OUTAGE", .right = true },
        };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));

        for (size_t i = 0; i < stories->n; i++)
                if (!t || add_story(t, &stories->list[i], json_array_get(list, i)) < 0) {
                        ctl_error("out of memory");
                        return CTL_REFUSED;
                }
        if (stories->n == 0)
                fputs("No incident is on record.\n", c->out);
        else
                table_print(t, c->out, c->colour);
        return CTL_DONE;
}

int verb_incident_list(Ctl *c, char **argv)
{
        json_t *list = json_array();
        Stories stories;
        int r;

        r = stories_read(c->audit_path, argv[0], &stories);
        if (r < 0) {
                json_decref(list);
                return ctl_no_trail(c, r);
        }
        r = CTL_DONE;
        for (size_t i = 0; i < stories.n; i++)
                if (json_array_append_new(list, story_summary(&stories.list[i])) < 0) {
                        ctl_error("out of memory");
                        r = CTL_REFUSED;
                        break;
                }
        if (r == CTL_DONE)
                r = c->json ? ctl_print_json(c, list) : print_list(c, &stories, list);
        stories_deinit(&stories);
        json_decref(list);
        return r;
}

/* The summary, everything else that the closing record says, and all records. */
static json_t *story_json(const Story *s)
{
        json_t *j = story_summary(s), *data = s->close ? json_object_get(s->close, "data") : NULL;

        if (j && ((data && json_object_update_missing(j, data) < 0) ||
                  json_object_set(j, "records", s->records) < 0)) {
                json_decref(j);
                return NULL;
        }
        return j;
}

int verb_incident_show(Ctl *c, char **argv)
{
        json_t *j = NULL;
        Story story;
        Page page;
        int r;

        r = ctl_read_story(c, argv[0], &story);
        if (r != CTL_DONE)
                return r;
        if (c->json) {
                j = story_json(&story);
                r = ctl_print_json(c, j);
        } else {
                j = account_new(c, &story);
                page_text_init(&page, c->out, c->colour, 0);
                r = report_write(&page, &story, j, false);
                if (r < 0)
                        ctl_error("cannot write the report: %s", strerror(-r));
                r = r < 0 ? CTL_REFUSED : CTL_DONE;
        }
        json_decref(j);
        story_deinit(&story);
        return r;
}
