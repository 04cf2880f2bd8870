/*
 * report - one incident for people
 *
 * Used by verb_incident.c (in short) and verb_report.c (whole, as text or HTML). Built from the account of
 * an incident; a member that is missing is not spoken of. It ends with the commands that an operator may
 * want.
 *
 * Test: tests/unit/test_report.c
 */
#include "ctl/report.h"

#include "base/cleanup.h"
#include "ctl/report_parts.h"
#include "model/words.h"

#include <string.h>

#define IDS_SHOWN 20

const char *report_word(const json_t *j, const char *name)
{
        const char *s = json_string_value(json_object_get(j, name));

        return s ? s : "";
}

json_int_t report_number(const json_t *j, const char *name)
{
        return json_integer_value(json_object_get(j, name));
}

const char *report_before(const char *before, const char *text)
{
        return *text ? before : "";
}

const char *report_reason(const char *word)
{
        Reason reason = reason_from_string(word);

        return reason > REASON_NONE ? reason_describe(reason) : word;
}

static void write_symptom(Page *p, const json_t *account)
{
        const json_t *symptom = json_object_get(account, "symptom");
        const char *kind = report_word(symptom, "symptom"), *detail = report_word(symptom, "detail");
        _cleanup_(freep) char *text = NULL;

        if (*kind &&
            asprintf(&text, "%s%s%s%s", kind, report_before(": ", detail), detail,
                     json_is_true(json_object_get(symptom, "claimed")) ? " (a log line claims it)" : "") >= 0)
                page_field(p, "Symptom", text, STYLE_PLAIN);
}

static void write_head(Page *p, const Story *s, const json_t *account, bool whole)
{
        const char *closed = report_word(account, "closed"), *word = story_word(s);
        const json_t *outage = json_object_get(account, "outage_ms");
        char title[96], time[24], took[40], text[128];

        snprintf(title, sizeof(title), "Incident %s", s->incident);
        page_begin(p, title);
        page_field(p, "Service", s->service, STYLE_PLAIN);
        if (whole)
                page_field(p, "Host", report_word(account, "host"), STYLE_PLAIN);
        page_field(p, "Result", word, style_of_word(word));
        page_field(p, "Why", report_reason(report_word(account, "why")), STYLE_PLAIN);
        write_symptom(p, account);
        page_field(p, "Opened", print_time(time, report_word(account, "opened")), STYLE_PLAIN);
        if (*closed) {
                snprintf(text, sizeof(text), "%s (after %s)", print_time(time, closed),
                         print_ms(took, sizeof(took), report_number(account, "duration_ms")));
                page_field(p, "Closed", text, STYLE_PLAIN);
        }
        if (json_is_integer(outage))
                page_field(p, "Outage", print_ms(took, sizeof(took), json_integer_value(outage)),
                           STYLE_PLAIN);
        if (whole) {
                snprintf(text, sizeof(text),
                         "%" JSON_INTEGER_FORMAT ", of which %" JSON_INTEGER_FORMAT " failed",
                         report_number(account, "trials"), report_number(account, "crashes"));
                page_field(p, "Trials", text, STYLE_PLAIN);
        }
        page_line(p, PAGE_TEXT, "All times are UTC.");
}

static int add_symptom(Table *t, const json_t *symptom)
{
        char clock[24];

        return table_add(t, (const char *const[]){ print_clock(clock, report_word(symptom, "time")),
                                                   report_word(symptom, "symptom"),
                                                   report_word(symptom, "detail") });
}

/* What opened it, and what came on top. */
static void write_symptoms(Page *p, const json_t *account)
{
        static const Column columns[] = { { .title = "AT" }, { .title = "SYMPTOM" }, { .title = "DETAIL" } };
        const json_t *first = json_object_get(account, "symptom"),
                     *symptoms = json_object_get(account, "symptoms"), *e;
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        int r = t ? 0 : -ENOMEM;
        size_t i;

        if (!json_is_object(first))
                return;
        if (r == 0 &&
            strcmp(report_word(first, "time"), report_word(json_array_get(symptoms, 0), "time")) != 0)
                r = add_symptom(t, first);
        json_array_foreach(symptoms, i, e) if (r == 0) r = add_symptom(t, e);
        page_title(p, "What was seen");
        if (r == 0)
                page_table(p, t);
        else
                p->failed = true;
}

/* Culprits */

static void write_place(Page *p, const json_t *now)
{
        const char *place = report_word(now, "place");
        char time[24];

        if (strcmp(place, "quarantine") == 0) {
                page_line(p, PAGE_DETAIL, "lies in %s", report_word(now, "path"));
                page_line(p, PAGE_DETAIL, "unjamctl quarantine show %s", report_word(now, "quarantine"));
        } else if (strcmp(place, "unknown") == 0) {
                page_line(p, PAGE_DETAIL, "where it lies cannot be read: try again with sudo");
        } else if (strcmp(place, "gone") == 0) {
                page_line(p, PAGE_DETAIL, "no longer in quarantine");
        } else {
                page_line(p, PAGE_DETAIL, "no longer in quarantine: %s at %s", place,
                          print_time(time, report_word(now, "time")));
        }
}

static void write_culprit(Page *p, const json_t *message)
{
        const json_t *file;
        size_t i;

        page_line(p, PAGE_TEXT, "%s  (store %s)", report_word(message, "id"), report_word(message, "store"));
        report_words(p, PAGE_DETAIL, "evidence", json_object_get(message, "evidence"));
        json_array_foreach(json_object_get(message, "files"), i, file)
        {
                page_line(p, PAGE_DETAIL, "was %s, %s of %" JSON_INTEGER_FORMAT " bytes",
                          report_word(file, "path"), report_word(file, "type"), report_number(file, "size"));
                if (*report_word(file, "sha256"))
                        page_line(p, PAGE_DETAIL, "SHA-256 %s", report_word(file, "sha256"));
        }
        write_place(p, json_object_get(message, "now"));
}

static void write_culprits(Page *p, const json_t *account)
{
        const json_t *culprits = json_object_get(account, "culprits"), *message;
        size_t i;

        if (json_array_size(culprits) == 0)
                return;
        page_title(p, json_array_size(culprits) == 1 ? "The message that is to blame"
                                                     : "The messages that are to blame");
        json_array_foreach(culprits, i, message) write_culprit(p, message);
}

/* The end */

/* A list of ids, or of objects that have one. */
static void write_ids(Page *p, const json_t *account, const char *name, const char *title)
{
        const json_t *list = json_object_get(account, name), *e;
        size_t i;

        if (json_array_size(list) == 0)
                return;
        page_title(p, title);
        json_array_foreach(list, i, e)
        {
                if (i == IDS_SHOWN) {
                        page_line(p, PAGE_TEXT, "and %zu more: unjamctl --json incident show %s",
                                  json_array_size(list) - i, report_word(account, "incident"));
                        break;
                }
                page_line(p, PAGE_TEXT, "%s",
                          json_is_string(e) ? json_string_value(e) : report_word(e, "id"));
        }
}

static void write_ledger(Page *p, const json_t *account)
{
        static const Column columns[] = { { .title = "MESSAGES", .right = true },
                                          { .title = "WHAT BECAME OF THEM" } };
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
        const json_t *ledger = json_object_get(account, "ledger");
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        char n[24], text[80];
        int r;

        if (!ledger)
                return;
        snprintf(n, sizeof(n), "%" JSON_INTEGER_FORMAT, report_number(ledger, "before"));
        snprintf(text, sizeof(text), "messages before, and %" JSON_INTEGER_FORMAT " arrived; of these",
                 report_number(ledger, "arrived"));
        r = t ? table_add(t, (const char *const[]){ n, text }) : -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(parts) && r == 0; i++) {
                snprintf(n, sizeof(n), "%" JSON_INTEGER_FORMAT, report_number(ledger, parts[i].name));
                r = table_add(t, (const char *const[]){ n, parts[i].text });
        }
        p->failed |= r < 0;
        page_title(p, "Ledger");
        if (r == 0)
                page_table(p, t);
        if (report_number(ledger, "unaccounted") > 0)
                page_line(p, PAGE_TEXT,
                          "Messages that nobody can account for are an alert: look at the store, at "
                          "hold, and at the server's log.");
}

static void write_next(Page *p, const Story *s, const json_t *account)
{
        const json_t *next = json_object_get(account, "next"), *e;
        const char *expires = report_word(account, "oldest_expires");
        char time[24];
        size_t i;

        page_title(p, "Next");
        if (*expires)
                page_line(p, PAGE_TEXT, "The first message that is held or in quarantine expires at %s.",
                          print_time(time, expires));
        if (json_array_size(next) == 0)
                page_line(p, PAGE_TEXT, "Nothing needs to be done.");
        json_array_foreach(next, i, e)
                page_line(p, PAGE_COMMAND, "%s", json_is_string(e) ? json_string_value(e) : "");
        page_line(p, PAGE_COMMAND, "unjamctl audit show %s    for every record in full", s->incident);
}

int report_write(Page *p, const Story *s, const json_t *account, bool whole)
{
        if (!account)
                return -ENOMEM;
        write_head(p, s, account, whole);
        if (whole)
                write_symptoms(p, account);
        write_culprits(p, account);
        report_evidence(p, account, whole);
        report_causes(p, account, whole);
        if (whole)
                report_states(p, account);
        report_trials(p, account);
        report_timeline(p, s);
        write_ledger(p, account);
        write_ids(p, account, "would_have",
                  "What unjamd would have done in act mode, step by step as far as needed");
        write_ids(p, account, "maybe_repeated", "May be delivered twice (in flight at a kill or a crash)");
        write_ids(p, account, "held", "Still held");
        write_next(p, s, account);
        page_end(p);
        return p->failed ? -ENOMEM : ferror(p->out) ? -EIO : 0;
}
