/*
 * report - one incident for people
 *
 * Used by verb_incident.c. Built from the audit records alone, and from a look into the quarantines for where
 * the culprits lie now. A record that lacks a member is shown without it: old trails and new ones are both
 * read.
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/report.h"

#include "ctl/print.h"
#include "ctl/report_parts.h"
#include "ctl/shelf.h"

#include "base/cleanup.h"
#include "model/words.h"

#include <string.h>

const char *report_word(const json_t *j, const char *name)
{
        const char *s = json_string_value(json_object_get(j, name));

        return s ? s : "";
}

json_int_t report_number(const json_t *j, const char *name)
{
        return json_integer_value(json_object_get(j, name));
}

void report_title(const Ctl *c, const char *title)
{
        fprintf(c->out, "\n%s%s%s\n", style_on(c->colour, STYLE_BOLD), title,
                style_off(c->colour, STYLE_BOLD));
}

void report_text(const Ctl *c, const char *before, const char *text, const char *after)
{
        _cleanup_(freep) char *clean = print_clean(text);

        if (clean && *clean)
                fprintf(c->out, "%s%s%s", before, clean, after);
}

static const char *reason_sentence(const char *word)
{
        Reason reason = reason_from_string(word);

        return reason >= 0 ? reason_describe(reason) : word;
}

static void print_field(const Ctl *c, const char *name, const char *text)
{
        _cleanup_(freep) char *clean = print_clean(text);

        if (clean && *clean)
                fprintf(c->out, "  %-10s %s\n", name, clean);
}

/* The record of this event, the first one; NULL if there is none. */
static const json_t *first_record(const Story *s, const char *event)
{
        const json_t *record;
        size_t i;

        json_array_foreach(s->records, i,
                           record) if (strcmp(report_word(record, "event"), event) == 0) return record;
        return NULL;
}

static void print_symptom(const Ctl *c, const Story *s)
{
        const json_t *opened = first_record(s, "incident.opened"), *symptom = first_record(s, "symptom");
        const json_t *from = opened && record_string(opened, "symptom") ? opened : symptom;
        const char *kind = from ? record_string(from, "symptom") : NULL,
                   *detail = from ? record_string(from, "detail") : NULL;
        _cleanup_(freep) char *text = NULL;

        if (kind &&
            asprintf(&text, "%s%s%s%s", kind, detail && *detail ? ": " : "", detail ? detail : "",
                     json_is_true(record_member(from, "claimed")) ? " (a log line claims it)" : "") >= 0)
                print_field(c, "Symptom", text);
}

static void print_head(const Ctl *c, const Story *s)
{
        const char *closed = s->close ? report_word(s->close, "time") : "",
                   *opened = json_string_value(s->opened),
                   *reason = s->close ? report_word(s->close, "reason") : "", *word = story_word(s);
        const json_t *outage = s->close ? record_member(s->close, "outage_ms") : NULL,
                     *duration = s->close ? record_member(s->close, "duration_ms") : NULL;
        char time[24], took[40], text[128];
        Style style = style_of_word(word);

        fprintf(c->out, "%sIncident %s%s\n", style_on(c->colour, STYLE_BOLD), s->incident,
                style_off(c->colour, STYLE_BOLD));
        print_field(c, "Service", s->service);
        fprintf(c->out, "  %-10s %s%s%s\n", "Result", style_on(c->colour, style), word,
                style_off(c->colour, style));
        if (*reason)
                print_field(c, "Why", reason_sentence(reason));
        print_symptom(c, s);
        print_field(c, "Opened", opened ? print_time(time, opened) : "");
        if (*closed) {
                snprintf(text, sizeof(text), "%s (after %s)", print_time(time, closed),
                         print_ms(took, sizeof(took), json_integer_value(duration)));
                print_field(c, "Closed", text);
        }
        if (json_is_integer(outage))
                print_field(c, "Outage", print_ms(took, sizeof(took), json_integer_value(outage)));
        fputs("  All times are UTC.\n", c->out);
}

/* Culprits */

/* What became of @message after it was quarantined, from the trail. */
typedef struct Fate {
        const char *id;
        char *text;
} Fate;

static int fate_record(void *userdata, json_t *record)
{
        Fate *f = userdata;
        const char *event = report_word(record, "event"), *id = record_string(record, "id");
        bool released = strcmp(event, "message.released") == 0;
        char time[24];

        if ((!released && strcmp(event, "message.deleted") != 0) || !id || strcmp(id, f->id) != 0)
                return 0;
        free(f->text);
        if (asprintf(&f->text, "%s at %s", released ? "released" : "deleted",
                     print_time(time, report_word(record, "time"))) < 0)
                f->text = NULL;
        return 0;
}

static void print_culprit(const Ctl *c, const json_t *message, const json_t *shelf)
{
        const char *quarantine = report_word(message, "quarantine");
        bool several;
        const json_t *lies = shelf ? shelf_find(shelf, *quarantine ? quarantine : report_word(message, "id"),
                                                &several)
                                   : NULL,
                     *file, *e;
        size_t i;

        report_text(c, "  ", report_word(message, "id"), "");
        report_text(c, "  (store ", report_word(message, "store"), ")");
        fputc('\n', c->out);
        json_array_foreach(json_object_get(message, "evidence"), i, e) report_text(
                c, i == 0 ? "      evidence: " : " ", json_is_string(e) ? json_string_value(e) : "?", "");
        if (json_array_size(json_object_get(message, "evidence")) > 0)
                fputc('\n', c->out);
        json_array_foreach(json_object_get(message, "files"), i, file)
        {
                report_text(c, "      was ", report_word(file, "path"), "");
                fprintf(c->out, ", %s of %" JSON_INTEGER_FORMAT " bytes\n", report_word(file, "type"),
                        report_number(file, "size"));
                report_text(c, "      SHA-256 ", report_word(file, "sha256"), "\n");
        }
        if (lies) {
                report_text(c, "      lies in ", report_word(lies, "path"), "\n");
                report_text(c, "      unjamctl quarantine show ", report_word(lies, "quarantine"), "\n");
        } else {
                Fate fate = { .id = report_word(message, "id") };

                (void)records_read(c->audit_path, "\"event\":\"message.", fate_record, &fate);
                if (shelf || fate.text)
                        fprintf(c->out, "      no longer in quarantine%s%s\n", fate.text ? ": " : "",
                                fate.text ? fate.text : "");
                else
                        fputs("      where it lies cannot be read: try again with sudo\n", c->out);
                free(fate.text);
        }
}

static void print_culprits(const Ctl *c, const Story *s)
{
        json_t *culprits = s->close ? record_member(s->close, "culprits") : NULL, *shelf = NULL;
        _cleanup_(freep) char *path = NULL;
        const json_t *message;
        size_t i;

        if (json_array_size(culprits) == 0)
                culprits = s->culprits;
        if (json_array_size(culprits) == 0)
                return;
        if (c->settings)
                (void)shelf_read(c->settings, s->service, &shelf, &path);
        report_title(c, json_array_size(culprits) == 1 ? "The message that is to blame"
                                                       : "The messages that are to blame");
        json_array_foreach(culprits, i, message) print_culprit(c, message, shelf);
        json_decref(shelf);
}

/* The end */

static void print_ids(const Ctl *c, const json_t *list, const char *name, const char *end)
{
        const json_t *e;
        size_t i;

        json_array_foreach(list, i, e)
        {
                const char *id = json_is_string(e) ? json_string_value(e) : report_word(e, name);

                if (i == 20) {
                        fprintf(c->out, "  and %zu more: unjamctl --json incident show\n",
                                json_array_size(list) - i);
                        break;
                }
                report_text(c, "  ", id, end);
        }
}

static void print_ledger(const Ctl *c, const Story *s)
{
        static const struct {
                const char *name, *text;
        } parts[] = {
                { "untouched", "never left their stores" },
                { "restored", "were held and are back" },
                { "quarantined", "in quarantine" },
                { "consumed", "taken by the service while it ran" },
                { "held", "still held" },
                { "unaccounted", "unaccounted for" },
        };
        const json_t *ledger = s->close ? record_member(s->close, "ledger") : NULL;

        if (!ledger)
                return;
        report_title(c, "Ledger");
        fprintf(c->out,
                "  %8" JSON_INTEGER_FORMAT "  messages before, and %" JSON_INTEGER_FORMAT
                " arrived; of these\n",
                report_number(ledger, "before"), report_number(ledger, "arrived"));
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                json_int_t n = report_number(ledger, parts[i].name);
                bool bad = n > 0 && strcmp(parts[i].name, "unaccounted") == 0;

                fprintf(c->out, "  %s%8" JSON_INTEGER_FORMAT "  %s%s\n",
                        style_on(c->colour, bad ? STYLE_BAD : STYLE_PLAIN), n, parts[i].text,
                        style_off(c->colour, bad ? STYLE_BAD : STYLE_PLAIN));
        }
}

static void print_end(const Ctl *c, const Story *s)
{
        const json_t *repeated = s->close ? record_member(s->close, "maybe_repeated") : NULL,
                     *held = s->close ? record_member(s->close, "held") : NULL,
                     *next = s->close ? record_member(s->close, "next") : NULL,
                     *would = s->close ? record_member(s->close, "would_have") : NULL;
        const char *expires = s->close ? record_string(s->close, "oldest_expires") : NULL;
        char time[24];

        if (json_array_size(would) > 0) {
                report_title(c, "What unjamd would have done in act mode, step by step as far as needed");
                print_ids(c, would, "", "\n");
        }
        if (json_array_size(repeated) > 0) {
                report_title(c, "May be delivered twice (in flight at a kill or a crash)");
                print_ids(c, repeated, "id", "\n");
        }
        if (json_array_size(held) > 0) {
                report_title(c, "Still held");
                print_ids(c, held, "id", "\n");
        }
        if (expires)
                fprintf(c->out, "\nThe first message that is held or in quarantine expires at %s.\n",
                        print_time(time, expires));
        report_title(c, "Next");
        if (json_array_size(next) > 0)
                print_ids(c, next, "", "\n");
        else if (!s->close)
                fprintf(c->out, "  unjamctl watch %s\n  unjamctl explain %s\n", s->service, s->service);
        else
                fputs("  Nothing needs to be done.\n", c->out);
        fprintf(c->out, "  unjamctl audit show %s    for every record in full\n", s->incident);
}

int report_print(const Ctl *c, const Story *s)
{
        print_head(c, s);
        print_culprits(c, s);
        report_evidence(c, s);
        report_trials(c, s);
        report_timeline(c, s);
        print_ledger(c, s);
        print_end(c, s);
        return ferror(c->out) ? CTL_REFUSED : CTL_DONE;
}
