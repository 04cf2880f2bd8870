/*
 * report_parts - the longer parts of a report: evidence, causes, states, trials, timeline
 *
 * Used by report.c. Evidence and causes come from the account; the timeline goes through the records as
 * they are, so that nothing is missing in it.
 *
 * Test: tests/unit/test_report.c
 */
#include "ctl/report_parts.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/words.h"

#include <string.h>

#define FILES_SHOWN 12
#define LINES_SHOWN 10

static bool is_event(const json_t *record, const char *event)
{
        return strcmp(report_word(record, "event"), event) == 0;
}

void report_words(Page *p, PageLine kind, const char *what, const json_t *list)
{
        _cleanup_(strv_freep) char **words = NULL;
        _cleanup_(freep) char *joined = NULL;
        const json_t *e;
        size_t i;

        json_array_foreach(list, i, e) if (json_is_string(e)) p->failed |=
                strv_append(&words, json_string_value(e)) < 0;
        if (strv_length(words) == 0)
                return;
        joined = strv_join(words, " ");
        page_line(p, kind, "%s: %s", what, joined ? joined : "?");
}

/* Evidence */

static int add_process(Table *t, const json_t *p)
{
        char pid[24], took[40];
        const char *who = json_is_true(json_object_get(p, "stranger"))  ? "stranger"
                          : json_is_true(json_object_get(p, "outside")) ? "leftover"
                                                                        : "service";

        snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT, report_number(p, "pid"));
        return table_add(t, (const char *const[]){ pid, who, report_word(p, "state"), report_word(p, "wchan"),
                                                   report_word(p, "syscall"),
                                                   print_ms(took, sizeof(took), report_number(p, "cpu_ms")),
                                                   *report_word(p, "command") ? report_word(p, "command")
                                                                              : report_word(p, "name") });
}

static void write_processes(Page *page, const json_t *processes)
{
        static const Column columns[] = { { .title = "PID", .right = true },
                                          { .title = "WHO" },
                                          { .title = "STATE" },
                                          { .title = "WAITS IN" },
                                          { .title = "SYSCALL" },
                                          { .title = "CPU", .right = true },
                                          { .title = "COMMAND" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *p;
        size_t i;

        if (json_array_size(processes) == 0) {
                page_line(page, PAGE_TEXT, "No process of the service was alive.");
                return;
        }
        json_array_foreach(processes, i, p) if (!t || add_process(t, p) < 0)
        {
                page->failed = true;
                return;
        }
        page_table(page, t);
        /* What is known over time of those that do not just work. */
        json_array_foreach(processes, i, p)
        {
                const char *verdict = report_word(p, "verdict"), *why = report_word(p, "why");

                if (*why && strcmp(verdict, process_verdict_to_string(PROCESS_WORKING)) != 0)
                        page_line(page, PAGE_TEXT, "%s", why);
        }
}

/* Is it a file of a message that is to blame? */
static bool is_culprit(const json_t *account, const char *path)
{
        const json_t *m, *f;
        size_t i, k;

        json_array_foreach(json_object_get(account, "culprits"), i, m) json_array_foreach(
                json_object_get(m, "files"), k, f) if (strcmp(report_word(f, "path"), path) == 0) return true;
        return false;
}

/* The files of culprits, or the others; each once for a process. At most FILES_SHOWN lines. */
static void write_files(Page *page, const json_t *account, const json_t *processes, bool culprits)
{
        const json_t *p, *f;
        size_t i, k, n = 0;

        json_array_foreach(processes, i, p)
        {
                char **seen = NULL;

                json_array_foreach(json_object_get(p, "files"), k, f)
                {
                        const char *path = report_word(f, "path");

                        if (strncmp(path, "/dev/", 5) == 0 || is_culprit(account, path) != culprits ||
                            strv_contains(seen, path) || strv_append(&seen, path) < 0 || n++ >= FILES_SHOWN)
                                continue;
                        page_line(page, PAGE_TEXT, "%" JSON_INTEGER_FORMAT " has open %s%s%s%s",
                                  report_number(p, "pid"), path,
                                  json_is_true(json_object_get(f, "write")) ? " (writing)" : "",
                                  json_is_true(json_object_get(f, "deleted")) ? " (deleted)" : "",
                                  culprits ? ": the message that is to blame" : "");
                }
                strv_free(seen);
        }
        if (n > FILES_SHOWN)
                page_line(page, PAGE_TEXT, "and %zu more files", n - FILES_SHOWN);
}

static void write_log(Page *page, const json_t *lines)
{
        size_t n = json_array_size(lines);

        if (n == 0)
                return;
        page_line(page, PAGE_TEXT, "Last log lines:");
        for (size_t i = n > LINES_SHOWN ? n - LINES_SHOWN : 0; i < n; i++) {
                const json_t *l = json_array_get(lines, i);
                char clock[24];

                page_line(page, PAGE_LOG, "%s  %s", print_clock(clock, report_word(l, "time")),
                          report_word(l, "text"));
        }
}

/* What of a log could not be looked at, or which messages it named: no look at processes. */
static void write_claims(Page *page, const json_t *evidence)
{
        const json_t *m;
        size_t i;

        if (strcmp(report_word(evidence, "kind"), "gap") == 0)
                page_line(page, PAGE_TEXT, "%s: %s", report_word(evidence, "source"),
                          report_word(evidence, "text"));
        json_array_foreach(json_object_get(evidence, "messages"), i, m) page_line(
                page, PAGE_TEXT, "A log line names %s: %s", report_word(m, "id"), report_word(m, "text"));
}

static void write_look(Page *page, const json_t *account, const json_t *evidence)
{
        const json_t *processes = json_object_get(evidence, "processes");
        const char *note = report_word(evidence, "note");

        write_processes(page, processes);
        write_files(page, account, processes, true);
        write_files(page, account, processes, false);
        write_log(page, json_object_get(evidence, "lines"));
        if (*note)
                page_line(page, PAGE_TEXT, "Not complete: %s", note);
}

void report_evidence(Page *p, const json_t *account, bool all)
{
        const json_t *list = json_object_get(account, "evidence"), *e;
        size_t i, n = 0;

        json_array_foreach(list, i, e) n += !json_object_get(e, "kind");
        json_array_foreach(list, i, e)
        {
                char clock[24], title[64];

                if (json_object_get(e, "kind")) {
                        if (all)
                                write_claims(p, e);
                        continue;
                }
                if (all)
                        snprintf(title, sizeof(title), "Evidence of %s",
                                 print_clock(clock, report_word(e, "time")));
                else
                        snprintf(title, sizeof(title), "Evidence%s", n > 1 ? ", the first time" : "");
                page_title(p, title);
                write_look(p, account, e);
                if (!all)
                        break;
        }
}

void report_causes(Page *p, const json_t *account, bool all)
{
        const json_t *causes = json_object_get(account, "causes"), *c;
        size_t i, n = json_array_size(causes);

        if (all)
                n += json_array_size(json_object_get(account, "ruled_out")) +
                     json_array_size(json_object_get(account, "not_checked"));
        if (n == 0)
                return;
        page_title(p, "Causes");
        json_array_foreach(causes, i, c)
        {
                const char *detail = report_word(c, "detail"), *advice = report_word(c, "advice");

                page_line(p, PAGE_TEXT, "Cause %s (%s)%s%s%s%s", report_word(c, "cause"),
                          report_word(c, "effect"), report_before(": ", detail), detail,
                          report_before("; ", advice), advice);
        }
        if (!all)
                return;
        report_words(p, PAGE_TEXT, "Checked and ruled out", json_object_get(account, "ruled_out"));
        report_words(p, PAGE_TEXT, "Could not be checked", json_object_get(account, "not_checked"));
}

/* States and trials */

void report_states(Page *p, const json_t *account)
{
        static const Column columns[] = { { .title = "SINCE" },
                                          { .title = "STATE", .word = true },
                                          { .title = "FOR", .right = true },
                                          { .title = "WHY" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *states = json_object_get(account, "states"), *e;
        size_t i;

        if (json_array_size(states) == 0)
                return;
        page_title(p, "States");
        json_array_foreach(states, i, e)
        {
                const json_t *ms = json_object_get(e, "duration_ms");
                char clock[24], took[40];

                if (!t ||
                    table_add(t, (const char *const[]){ print_clock(clock, report_word(e, "since")),
                                                        report_word(e, "state"),
                                                        json_is_integer(ms) ? print_ms(took, sizeof(took),
                                                                                       json_integer_value(ms))
                                                                            : NULL,
                                                        report_reason(report_word(e, "reason")) }) < 0) {
                        p->failed = true;
                        return;
                }
        }
        page_table(p, t);
}

static int add_trial(Table *t, const json_t *trial)
{
        const json_t *departed = json_object_get(trial, "departed"),
                     *ms = json_object_get(trial, "duration_ms"), *held = json_object_get(trial, "held");
        const char *outcome = report_word(trial, "outcome");
        char n[24], before[24], taken[24], took[40], clock[24];

        snprintf(n, sizeof(n), "%" JSON_INTEGER_FORMAT, report_number(trial, "trial"));
        snprintf(before, sizeof(before), "%" JSON_INTEGER_FORMAT, json_integer_value(held));
        snprintf(taken, sizeof(taken), "%" JSON_INTEGER_FORMAT, json_integer_value(departed));
        return table_add(
                t, (const char *const[]){
                           n, print_clock(clock, report_word(trial, "started")), report_word(trial, "rung"),
                           json_is_integer(held) ? before : NULL, *outcome ? outcome : "open",
                           json_is_integer(departed) ? taken : NULL,
                           json_is_integer(ms) ? print_ms(took, sizeof(took), json_integer_value(ms)) : NULL,
                           report_word(trial, "failure") });
}

void report_trials(Page *p, const json_t *account)
{
        static const Column columns[] = { { .title = "TRIAL", .right = true },
                                          { .title = "AT" },
                                          { .title = "STEP" },
                                          { .title = "HELD BACK", .right = true },
                                          { .title = "OUTCOME", .word = true },
                                          { .title = "TAKEN", .right = true },
                                          { .title = "TOOK", .right = true },
                                          { .title = "FAILURE" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *trials = json_object_get(account, "trial_list"), *trial;
        size_t i;

        if (json_array_size(trials) == 0)
                return;
        json_array_foreach(trials, i, trial) if (!t || add_trial(t, trial) < 0)
        {
                p->failed = true;
                return;
        }
        page_title(p, "Trials");
        page_table(p, t);
}

/* Timeline */

/* What happened, as one line; NULL on ENOMEM. */
static char *tell_outcome(const json_t *record)
{
        const json_t *inventory = json_object_get(json_object_get(record, "data"), "inventory");
        const char *error = report_word(record, "error");
        char figures[128] = "", *text;

        if (inventory)
                snprintf(figures, sizeof(figures),
                         " (in store %" JSON_INTEGER_FORMAT ", in hold %" JSON_INTEGER_FORMAT
                         ", in quarantine %" JSON_INTEGER_FORMAT ")",
                         report_number(inventory, "in_store"), report_number(inventory, "in_hold"),
                         report_number(inventory, "in_quarantine"));
        return asprintf(&text, "%s: %s%s%s%s", report_word(record, "action"), report_word(record, "result"),
                        report_before(": ", error), error, figures) < 0
                       ? NULL
                       : text;
}

static char *tell_state(const json_t *record)
{
        const char *reason = report_reason(report_word(record, "reason"));
        char *text;

        return asprintf(&text, "%s -> %s%s%s", report_word(record, "from"), report_word(record, "to"),
                        report_before(": ", reason), reason) < 0
                       ? NULL
                       : text;
}

static char *tell_trial(const json_t *record)
{
        const char *outcome = record_string(record, "outcome"), *rung = record_string(record, "rung");
        const json_t *held = record_member(record, "held");
        char before[64] = "", *text;

        if (json_is_integer(held))
                snprintf(before, sizeof(before), ", %" JSON_INTEGER_FORMAT " message%s held back",
                         json_integer_value(held), json_integer_value(held) == 1 ? "" : "s");
        return asprintf(&text, "trial %" JSON_INTEGER_FORMAT " %s (%s)%s",
                        json_integer_value(record_member(record, "trial")), outcome ? outcome : "started",
                        rung ? rung : "?", before) < 0
                       ? NULL
                       : text;
}

static char *tell_evidence(const json_t *record)
{
        const json_t *data = json_object_get(record, "data");
        char *text;

        if (*report_word(data, "kind"))
                return asprintf(&text, "evidence: %s %s", report_word(data, "kind"),
                                report_word(data, "text")) < 0
                               ? NULL
                               : text;
        return asprintf(&text, "evidence: %zu processes, %zu log lines",
                        json_array_size(json_object_get(data, "processes")),
                        json_array_size(json_object_get(data, "lines"))) < 0
                       ? NULL
                       : text;
}

/* An event of its own kind: its name, and the first of these members that it has. */
static char *tell_other(const json_t *record)
{
        static const char *const names[] = { "detail", "text",  "id",      "store",
                                             "verb",   "cause", "symptom", "result" };
        const json_t *count = record_member(record, "count");
        const char *what = "", *peer = record_string(record, "peer");
        char messages[48] = "", *text;

        if (json_is_integer(count))
                snprintf(messages, sizeof(messages), ": %" JSON_INTEGER_FORMAT " message%s",
                         json_integer_value(count), json_integer_value(count) == 1 ? "" : "s");
        for (size_t i = 0; i < ELEMENTSOF(names) && !*what; i++)
                if (record_string(record, names[i]))
                        what = record_string(record, names[i]);
        return asprintf(&text, "%s%s%s%s%s%s", report_word(record, "event"), messages,
                        report_before(": ", what), what, peer ? " by " : "", peer ? peer : "") < 0
                       ? NULL
                       : text;
}

static char *tell(const json_t *record)
{
        char *text;

        if (is_event(record, "state"))
                return tell_state(record);
        if (is_event(record, "outcome"))
                return tell_outcome(record);
        if (is_event(record, "intent"))
                return asprintf(&text, "%s: begun, no outcome yet", report_word(record, "action")) < 0 ? NULL
                                                                                                       : text;
        if (is_event(record, "evidence"))
                return tell_evidence(record);
        if (is_event(record, "trial.started") || is_event(record, "trial.finished"))
                return tell_trial(record);
        return tell_other(record);
}

/* A row of its own for each day but the first. */
static int add_day(Table *t, char day[static 11], const char *time)
{
        bool another = *day && strncmp(day, time, 10) != 0;

        snprintf(day, 11, "%.10s", time);
        return another ? table_add(t, (const char *const[]){ day, "" }) : 0;
}

void report_timeline(Page *p, const Story *s)
{
        static const Column columns[] = { { .title = "AT" }, { .title = "WHAT" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *record;
        char day[11] = "";
        size_t i;

        page_title(p, "Timeline");
        json_array_foreach(s->records, i, record)
        {
                const char *time = report_word(record, "time");
                _cleanup_(freep) char *text = NULL;
                char clock[24];

                /* What was intended shows in its outcome; only an intent without one is news. */
                if (is_event(record, "intent") && i + 1 < json_array_size(s->records))
                        continue;
                text = tell(record);
                if (!t || !text || add_day(t, day, time) < 0 ||
                    table_add(t, (const char *const[]){ print_clock(clock, time), text }) < 0) {
                        p->failed = true;
                        return;
                }
        }
        page_table(p, t);
}
