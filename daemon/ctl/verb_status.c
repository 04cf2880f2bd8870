/*
 * verb_status - unjamctl status, explain, check
 *
 * Asks the daemon. The bodies of its answers are in control/packet.h's terms: services[], one explanation,
 * causes[].
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/words.h"

#include <inttypes.h>
#include <string.h>

static const char *word(const json_t *j, const char *name)
{
        return json_string_value(json_object_get(j, name));
}

/* A number as text; "-" if it is none, or 0. */
static const char *number(char *buf, size_t size, const json_t *j, const char *name)
{
        json_int_t n = json_integer_value(json_object_get(j, name));

        if (n == 0)
                return NULL;
        snprintf(buf, size, "%" JSON_INTEGER_FORMAT, n);
        return buf;
}

/* How long ago that was. */
static char *age(char *buf, size_t size, const char *rfc3339)
{
        struct timespec ts;
        usec_t then;

        if (!rfc3339 || rfc3339_parse(rfc3339, &ts) < 0) {
                snprintf(buf, size, "-");
                return buf;
        }
        then = (usec_t)ts.tv_sec * USEC_PER_SEC;
        return usec_format(buf, size, usec_sub(now_read().wall, then) / USEC_PER_SEC * USEC_PER_SEC);
}

static int add_service(Table *t, const json_t *s)
{
        char since[40], waiting[24], quarantined[24], trials[24], progress[60] = "";
        const json_t *p = json_object_get(s, "progress");
        json_int_t total = json_integer_value(json_object_get(p, "total"));
        const char *symptom = word(s, "symptom"), *reason = word(s, "reason");

        if (total > 0)
                snprintf(progress, sizeof(progress), "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
                         json_integer_value(json_object_get(p, "done")), total);
        return table_add(
                t, (const char *const[]){
                           word(s, "service"), word(s, "state"), age(since, sizeof(since), word(s, "since")),
                           word(s, "mode"), number(waiting, sizeof(waiting), s, "mail_waiting"),
                           number(quarantined, sizeof(quarantined), s, "quarantined"), symptom,
                           reason && strcmp(reason, "none") != 0 ? reason : NULL,
                           number(trials, sizeof(trials), s, "trials"), progress, word(s, "incident") });
}

static int print_status(const Ctl *c, const json_t *services)
{
        static const Column columns[] = {
                { .title = "SERVICE" },
                { .title = "STATE", .word = true },
                { .title = "FOR" },
                { .title = "MODE" },
                { .title = "WAITING", .right = true },
                { .title = "QUARANTINED", .right = true },
                { .title = "SYMPTOM" },
                { .title = "REASON" },
                { .title = "TRIALS", .right = true },
                { .title = "PROGRESS" },
                { .title = "INCIDENT" },
        };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *s;
        size_t i;

        json_array_foreach(services, i, s) if (!t || add_service(t, s) < 0)
        {
                ctl_error("out of memory");
                return CTL_REFUSED;
        }
        table_print(t, c->out, c->colour);
        return CTL_DONE;
}

int verb_status(Ctl *c, char **argv)
{
        json_t *body = NULL, *services;
        int r;

        r = ctl_ask(c, "status", json_pack("{s:s*}", "service", argv[0]), &body);
        if (r != CTL_DONE)
                return r;
        services = json_object_get(body, "services");
        if (json_array_size(services) == 0 && argv[0]) {
                ctl_error("%s: no such service; see `unjamctl status`", argv[0]);
                r = CTL_REFUSED;
        } else if (c->json) {
                r = ctl_print_json(c, body);
        } else {
                r = print_status(c, services);
        }
        json_decref(body);
        return r;
}

static void print_line(const Ctl *c, const char *title, const char *text)
{
        _cleanup_(freep) char *clean = text && *text ? print_clean(text) : NULL;

        if (clean)
                fprintf(c->out, "%s%-10s%s %s\n", style_on(c->colour, STYLE_BOLD), title,
                        style_off(c->colour, STYLE_BOLD), clean);
}

static void print_explanation(const Ctl *c, const json_t *body)
{
        static const Column columns[] = { { .title = "TIME (UTC)" },
                                          { .title = "REASON" },
                                          { .title = "WHAT" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *history = json_object_get(body, "history"), *h;
        size_t i;

        print_line(c, "Service", word(body, "service"));
        print_line(c, "State", word(body, "state"));
        print_line(c, "Mode", word(body, "mode"));
        print_line(c, "Why", word(body, "text"));
        print_line(c, "Incident", word(body, "incident"));
        print_line(c, "Next", word(body, "next"));
        print_line(c, "In flight", word(body, "in_flight"));
        json_array_foreach(history, i, h)
        {
                char time[24];

                if (!t || table_add(t, (const char *const[]){
                                               print_time(time, word(h, "time") ? word(h, "time") : ""),
                                               word(h, "reason"), word(h, "text") }) < 0)
                        return;
        }
        if (json_array_size(history) > 0) {
                fputc('\n', c->out);
                table_print(t, c->out, c->colour);
        }
}

int verb_explain(Ctl *c, char **argv)
{
        json_t *body = NULL;
        int r;

        r = ctl_ask(c, "explain", json_pack("{s:s}", "service", argv[0]), &body);
        if (r != CTL_DONE)
                return r;
        if (c->json)
                r = ctl_print_json(c, body);
        else
                print_explanation(c, body);
        json_decref(body);
        return r;
}

#define GIST_MAX 100

/* What a program said, for a row of a table: its last line, where it says what is wrong. NULL on ENOMEM. */
static char *gist(const char *text)
{
        size_t end = text ? strlen(text) : 0, begin;

        while (end > 0 && strchr(" \t\r\n", text[end - 1]))
                end--;
        for (begin = end; begin > 0 && text[begin - 1] != '\n'; begin--)
                ;
        return end > 0 ? text_to_utf8(text + begin, end - begin, GIST_MAX) : strdup("-");
}

static int print_causes(const Ctl *c, const json_t *causes)
{
        static const Column columns[] = { { .title = "CAUSE" },
                                          { .title = "FOUND" },
                                          { .title = "EFFECT" },
                                          { .title = "DETAIL" },
                                          { .title = "ADVICE" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        const json_t *cause;
        size_t i;

        json_array_foreach(causes, i, cause)
        {
                const char *found = !json_is_true(json_object_get(cause, "known"))  ? "unknown"
                                    : json_is_true(json_object_get(cause, "found")) ? "yes"
                                                                                    : "no";
                _cleanup_(freep) char *detail = gist(word(cause, "detail"));
                bool fine = strcmp(found, "no") == 0;

                if (!t || !detail ||
                    table_add(t, (const char *const[]){ word(cause, "cause"), found, word(cause, "effect"),
                                                        detail, fine ? "-" : word(cause, "advice") }) < 0) {
                        ctl_error("out of memory");
                        return CTL_REFUSED;
                }
        }
        if (json_array_size(causes) == 0)
                fputs("No cause was found.\n", c->out);
        else
                table_print(t, c->out, c->colour);
        return CTL_DONE;
}

int verb_check(Ctl *c, char **argv)
{
        json_t *body = NULL;
        int r;

        r = ctl_ask(c, "check", json_pack("{s:s}", "service", argv[0]), &body);
        if (r != CTL_DONE)
                return r;
        if (!c->json && word(body, "text")) { /* it waits for something else */
                fprintf(c->out, "%s\n", word(body, "text"));
                json_decref(body);
                return CTL_DONE;
        }
        r = c->json ? ctl_print_json(c, body) : print_causes(c, json_object_get(body, "causes"));
        json_decref(body);
        return r;
}
