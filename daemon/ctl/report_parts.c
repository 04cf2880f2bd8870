/*
 * report_parts - the longer parts of a report: evidence, trials, timeline
 *
 * Used by report.c.
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/report_parts.h"

#include "ctl/print.h"

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

/* Evidence */

static int add_process(Table *t, const json_t *p)
{
        json_int_t cpu = report_number(p, "cpu_ms");
        char pid[24], took[40];
        const char *who = json_is_true(json_object_get(p, "stranger"))  ? "stranger"
                          : json_is_true(json_object_get(p, "outside")) ? "leftover"
                                                                        : "service";

        snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT, report_number(p, "pid"));
        return table_add(t,
                         (const char *const[]){ pid, who, report_word(p, "state"), report_word(p, "wchan"),
                                                report_word(p, "syscall"), print_ms(took, sizeof(took), cpu),
                                                *report_word(p, "command") ? report_word(p, "command")
                                                                           : report_word(p, "name") });
}

/* Is it a file of a message that is to blame? */
static bool is_culprit(const Story *s, const char *path)
{
        const json_t *m, *f;
        size_t i, k;

        json_array_foreach(s->culprits, i, m) json_array_foreach(
                json_object_get(m, "files"), k, f) if (strcmp(report_word(f, "path"), path) == 0) return true;
        return false;
}

/* The files of culprits, or the others; each once for a process. At most @max lines. */
static void print_files(const Ctl *c, const Story *s, const json_t *processes, bool culprits, size_t max)
{
        const json_t *p, *f;
        size_t i, k, n = 0;

        json_array_foreach(processes, i, p)
        {
                char **seen = NULL;

                json_array_foreach(json_object_get(p, "files"), k, f)
                {
                        const char *path = report_word(f, "path");

                        if (strncmp(path, "/dev/", 5) == 0 || is_culprit(s, path) != culprits ||
                            strv_contains(seen, path) || strv_append(&seen, path) < 0 || n++ >= max)
                                continue;
                        fprintf(c->out, "  %" JSON_INTEGER_FORMAT " has open", report_number(p, "pid"));
                        report_text(c, " ", path, "");
                        fprintf(c->out, "%s%s%s\n",
                                json_is_true(json_object_get(f, "write")) ? " (writing)" : "",
                                json_is_true(json_object_get(f, "deleted")) ? " (deleted)" : "",
                                culprits ? ": the message that is to blame" : "");
                }
                strv_free(seen);
        }
        if (n > max)
                fprintf(c->out, "  and %zu more files\n", n - max);
}

static void print_log(const Ctl *c, const json_t *lines)
{
        size_t n = json_array_size(lines);

        if (n == 0)
                return;
        fputs("  Last log lines:\n", c->out);
        for (size_t i = n > LINES_SHOWN ? n - LINES_SHOWN : 0; i < n; i++) {
                const json_t *l = json_array_get(lines, i);
                char clock[24];

                fprintf(c->out, "    %s", print_clock(clock, report_word(l, "time")));
                report_text(c, "  ", report_word(l, "text"), "");
                fputc('\n', c->out);
        }
}

static void print_causes(const Ctl *c, const Story *s)
{
        const json_t *record;
        size_t i;

        json_array_foreach(s->records, i, record)
        {
                if (!is_event(record, "cause"))
                        continue;
                fprintf(c->out, "  Cause %s (%s)",
                        record_string(record, "cause") ? record_string(record, "cause") : "?",
                        record_string(record, "effect") ? record_string(record, "effect") : "?");
                report_text(c, ": ", record_string(record, "detail") ? record_string(record, "detail") : "",
                            "");
                report_text(c, "; ", record_string(record, "advice") ? record_string(record, "advice") : "",
                            "");
                fputc('\n', c->out);
        }
}

void report_evidence(const Ctl *c, const Story *s)
{
        static const Column columns[] = { { .title = "  PID", .right = true },
                                          { .title = "WHO" },
                                          { .title = "STATE" },
                                          { .title = "WAITS IN" },
                                          { .title = "SYSCALL" },
                                          { .title = "CPU", .right = true },
                                          { .title = "COMMAND" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *first = NULL, *record, *data, *p;
        size_t i, n = 0;

        json_array_foreach(s->records, i, record) if (is_event(record, "evidence"))
        {
                if (!first)
                        first = record;
                n++;
        }
        if (!first)
                return;
        data = json_object_get(first, "data");
        report_title(c, n > 1 ? "Evidence, the first time" : "Evidence");
        json_array_foreach(json_object_get(data, "processes"), i, p) if (!t || add_process(t, p) < 0) return;
        if (json_array_size(json_object_get(data, "processes")) > 0)
                table_print(t, c->out, c->colour);
        else
                fputs("  No process of the service was alive.\n", c->out);
        print_files(c, s, json_object_get(data, "processes"), true, FILES_SHOWN);
        print_files(c, s, json_object_get(data, "processes"), false, FILES_SHOWN);
        print_log(c, json_object_get(data, "lines"));
        print_causes(c, s);
        report_text(c, "  Not complete: ", report_word(data, "note"), "\n");
}

/* Trials */

static int add_trial(Table *t, const json_t *started, const json_t *finished)
{
        const json_t *d = json_object_get(finished ? finished : started, "data"),
                     *s = json_object_get(started, "data");
        char n[24], held[24], taken[24], took[40], clock[24];
        bool ended = finished != NULL;

        snprintf(n, sizeof(n), "  %" JSON_INTEGER_FORMAT, report_number(d, "trial"));
        snprintf(held, sizeof(held), "%" JSON_INTEGER_FORMAT, report_number(s, "held"));
        snprintf(taken, sizeof(taken), "%" JSON_INTEGER_FORMAT, report_number(d, "departed"));
        return table_add(t,
                         (const char *const[]){
                                 n, print_clock(clock, report_word(started ? started : finished, "time")),
                                 report_word(d, "rung"), s ? held : NULL,
                                 ended ? report_word(d, "outcome") : "open", ended ? taken : NULL,
                                 ended ? print_ms(took, sizeof(took), report_number(d, "duration_ms")) : NULL,
                                 report_word(d, "failure") });
}

void report_trials(const Ctl *c, const Story *s)
{
        static const Column columns[] = { { .title = "  TRIAL", .right = true },
                                          { .title = "AT" },
                                          { .title = "STEP" },
                                          { .title = "HELD BACK", .right = true },
                                          { .title = "OUTCOME", .word = true },
                                          { .title = "TAKEN", .right = true },
                                          { .title = "TOOK", .right = true },
                                          { .title = "FAILURE" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *record, *started = NULL;
        size_t i, n = 0;
        int r = 0;

        json_array_foreach(s->records, i, record)
        {
                if (!t || r < 0)
                        return;
                if (is_event(record, "trial.started")) {
                        if (started)
                                r = add_trial(t, started, NULL); /* cut short: unjamd was restarted */
                        started = record;
                        n++;
                } else if (is_event(record, "trial.finished")) {
                        r = add_trial(t, started, record);
                        n += started == NULL;
                        started = NULL;
                }
        }
        if (started && r == 0)
                r = add_trial(t, started, NULL);
        if (n == 0 || r < 0)
                return;
        report_title(c, "Trials");
        table_print(t, c->out, c->colour);
}

/* Timeline */

/* "held 400 of ..., 3 processes": the figures in an outcome's data, as far as people want them. */
static void print_figures(const Ctl *c, const json_t *data)
{
        const json_t *inventory = json_object_get(data, "inventory");

        if (inventory)
                fprintf(c->out,
                        " (in store %" JSON_INTEGER_FORMAT ", in hold %" JSON_INTEGER_FORMAT
                        ", in quarantine %" JSON_INTEGER_FORMAT ")",
                        report_number(inventory, "in_store"), report_number(inventory, "in_hold"),
                        report_number(inventory, "in_quarantine"));
}

static void print_state(const Ctl *c, const json_t *record)
{
        Reason reason = reason_from_string(report_word(record, "reason"));
        const char *to = report_word(record, "to");

        fprintf(c->out, "%s -> %s%s%s", report_word(record, "from"), style_on(c->colour, style_of_word(to)),
                to, style_off(c->colour, style_of_word(to)));
        if (reason > REASON_NONE)
                fprintf(c->out, ": %s", reason_describe(reason));
        else
                report_text(c, ": ", report_word(record, "reason"), "");
}

static void print_outcome(const Ctl *c, const json_t *record)
{
        const char *result = report_word(record, "result");

        fprintf(c->out, "%s: %s%s%s", report_word(record, "action"),
                style_on(c->colour, style_of_word(result)), result,
                style_off(c->colour, style_of_word(result)));
        report_text(c, ": ", report_word(record, "error"), "");
        print_figures(c, json_object_get(record, "data"));
}

/* An event of its own kind: its name, and the first of these members that it has. */
static void print_other(const Ctl *c, const json_t *record)
{
        static const char *const names[] = { "detail", "text",  "id",      "store",
                                             "verb",   "cause", "symptom", "result" };
        const json_t *count = record_member(record, "count");

        fputs(report_word(record, "event"), c->out);
        if (json_is_integer(count))
                fprintf(c->out, ": %" JSON_INTEGER_FORMAT " message%s", json_integer_value(count),
                        json_integer_value(count) == 1 ? "" : "s");
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *text = record_string(record, names[i]);

                if (text && *text) {
                        report_text(c, ": ", text, "");
                        break;
                }
        }
        report_text(c, " by ", record_string(record, "peer") ? record_string(record, "peer") : "", "");
}

static void print_evidence_line(const Ctl *c, const json_t *record)
{
        fprintf(c->out, "evidence: %zu processes, %zu log lines",
                json_array_size(json_object_get(json_object_get(record, "data"), "processes")),
                json_array_size(json_object_get(json_object_get(record, "data"), "lines")));
}

static void print_trial_line(const Ctl *c, const json_t *record)
{
        const char *outcome = record_string(record, "outcome"), *rung = record_string(record, "rung");
        const json_t *held = record_member(record, "held");

        fprintf(c->out, "trial %" JSON_INTEGER_FORMAT " ",
                json_integer_value(record_member(record, "trial")));
        if (outcome)
                fprintf(c->out, "%s%s%s", style_on(c->colour, style_of_word(outcome)), outcome,
                        style_off(c->colour, style_of_word(outcome)));
        else
                fputs("started", c->out);
        report_text(c, " (", rung ? rung : "", ")");
        if (json_is_integer(held))
                fprintf(c->out, ", %" JSON_INTEGER_FORMAT " message%s held back", json_integer_value(held),
                        json_integer_value(held) == 1 ? "" : "s");
}

void report_timeline(const Ctl *c, const Story *s)
{
        const json_t *record;
        size_t i;

        report_title(c, "Timeline");
        json_array_foreach(s->records, i, record)
        {
                char clock[24];

                /* What was intended shows in its outcome; only an intent without one is news. */
                if (is_event(record, "intent") && i + 1 < json_array_size(s->records))
                        continue;
                fprintf(c->out, "  %s%s%s  ", style_on(c->colour, STYLE_DIM),
                        print_clock(clock, report_word(record, "time")), style_off(c->colour, STYLE_DIM));
                if (is_event(record, "state"))
                        print_state(c, record);
                else if (is_event(record, "outcome"))
                        print_outcome(c, record);
                else if (is_event(record, "intent"))
                        fprintf(c->out, "%s: begun, no outcome yet", report_word(record, "action"));
                else if (is_event(record, "evidence"))
                        print_evidence_line(c, record);
                else if (is_event(record, "trial.started") || is_event(record, "trial.finished"))
                        print_trial_line(c, record);
                else
                        print_other(c, record);
                fputc('\n', c->out);
        }
}
