/*
 * verb_watch - unjamctl watch: a recovery as it goes on
 *
 * Two connections: one on which the daemon sends events, and one on which its status is asked for once a
 * second, for the figures that change without an event (mail that waits, progress of a long move). On a
 * terminal the figures are one line that is written anew; else only what has happened is printed, a line
 * each. Ends with a signal (exit 0), or when the daemon goes (exit 3).
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "control/client.h"

#include <signal.h>
#include <string.h>

#define STATUS_EVERY USEC_PER_SEC

typedef struct Watching {
        const Ctl *c;
        const char *service; /* NULL: all */
        bool live;           /* a terminal: the last line is written anew */
        bool line_open;
        json_t *status; /* the last one that was shown */
} Watching;

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
        (void)signal;
        interrupted = 1;
}

static const char *word(const json_t *j, const char *name)
{
        const char *s = json_string_value(json_object_get(j, name));

        return s ? s : "";
}

static json_int_t number(const json_t *j, const char *name)
{
        return json_integer_value(json_object_get(j, name));
}

static void line_clear(Watching *w)
{
        if (w->line_open)
                fputs("\r\033[K", w->c->out);
        w->line_open = false;
}

static const char *plural(json_int_t n)
{
        return n == 1 ? "" : "s";
}

/* "14:00:00 imc  " before each line. */
static void line_begin(Watching *w, const char *service)
{
        char time[USEC_RFC3339_MAX], clock[24];
        _cleanup_(freep) char *clean = print_clean(service);

        line_clear(w);
        print_clock(clock, usec_rfc3339(time, now_read().wall));
        fprintf(w->c->out, "%s%.8s%s %s%s%s  ", style_on(w->c->colour, STYLE_DIM), clock,
                style_off(w->c->colour, STYLE_DIM), style_on(w->c->colour, STYLE_BOLD), clean ? clean : "?",
                style_off(w->c->colour, STYLE_BOLD));
}

static void print_word(const Watching *w, const char *text)
{
        _cleanup_(freep) char *clean = print_clean(text);
        Style style = style_of_word(text);

        fprintf(w->c->out, "%s%s%s", style_on(w->c->colour, style), clean ? clean : "?",
                style_off(w->c->colour, style));
}

static void print_text(const Watching *w, const char *before, const char *text)
{
        _cleanup_(freep) char *clean = print_clean(text);

        if (clean && *clean)
                fprintf(w->c->out, "%s%s", before, clean);
}

static void show_trial(const Watching *w, const json_t *e)
{
        fprintf(w->c->out, "trial %" JSON_INTEGER_FORMAT " ", number(e, "trial"));
        print_word(w, word(e, "text"));
        if (json_object_get(e, "held"))
                fprintf(w->c->out, ", %" JSON_INTEGER_FORMAT " message%s held back", number(e, "held"),
                        plural(number(e, "held")));
        if (number(e, "departed") > 0)
                fprintf(w->c->out, ", %" JSON_INTEGER_FORMAT " message%s taken", number(e, "departed"),
                        plural(number(e, "departed")));
}

static void show_message(const Watching *w, const json_t *e)
{
        const json_t *message = json_object_get(e, "message");

        if (message) {
                print_text(w, "message ", word(message, "id"));
                print_text(w, " ", word(e, "text"));
                print_text(w, ": unjamctl quarantine show ", word(message, "quarantine"));
        } else {
                fprintf(w->c->out, "%" JSON_INTEGER_FORMAT " message%s ", number(e, "count"),
                        plural(number(e, "count")));
                print_text(w, "", word(e, "text"));
        }
}

static void show_remaining(const Watching *w, const json_t *progress)
{
        json_int_t seconds = (number(progress, "remaining_ms") + 999) / 1000;

        if (seconds >= 120)
                fprintf(w->c->out, ", about %" JSON_INTEGER_FORMAT " min left", (seconds + 59) / 60);
        else if (seconds > 0)
                fprintf(w->c->out, ", about %" JSON_INTEGER_FORMAT " s left", seconds);
}

static void show_progress(const Watching *w, const json_t *e)
{
        print_text(w, "", word(e, "text"));
        if (json_object_get(e, "total"))
                fprintf(w->c->out, ": %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT, number(e, "done"),
                        number(e, "total"));
        show_remaining(w, e);
        if (json_object_get(e, "candidates"))
                fprintf(w->c->out,
                        ": %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " messages not yet cleared",
                        number(e, "open"), number(e, "candidates"));
}

static void show_closed(const Watching *w, const json_t *e)
{
        fputs("incident closed: ", w->c->out);
        print_word(w, word(e, "result"));
        print_text(w, "; unjamctl incident show ", word(e, "incident"));
}

static void show_event(Watching *w, const json_t *e)
{
        const char *event = word(e, "event");

        line_begin(w, *word(e, "service") ? word(e, "service") : "unjamd");
        if (strcmp(event, "state") == 0) {
                print_word(w, word(e, "from"));
                fputs(" -> ", w->c->out);
                print_word(w, word(e, "to"));
                print_text(w, "  ", word(e, "text"));
        } else if (strcmp(event, "trial") == 0) {
                show_trial(w, e);
        } else if (strcmp(event, "message") == 0) {
                show_message(w, e);
        } else if (strcmp(event, "progress") == 0) {
                show_progress(w, e);
        } else if (strcmp(event, "closed") == 0) {
                show_closed(w, e);
        } else {
                print_text(w, "", event);
                print_text(w, ": ", word(e, "text"));
        }
        fputc('\n', w->c->out);
        fflush(w->c->out);
}

/* The same service in the status before. */
static const json_t *status_before(const Watching *w, const char *service)
{
        const json_t *s;
        size_t i;

        json_array_foreach(json_object_get(w->status, "services"), i,
                           s) if (strcmp(word(s, "service"), service) == 0) return s;
        return NULL;
}

static void show_figures(Watching *w, const json_t *s)
{
        const json_t *progress = json_object_get(s, "progress"),
                     *before = status_before(w, word(s, "service"));
        json_int_t waiting = number(s, "mail_waiting"),
                   last = before ? number(before, "mail_waiting") : waiting;

        line_begin(w, word(s, "service"));
        print_word(w, word(s, "state"));
        fprintf(w->c->out, "  %" JSON_INTEGER_FORMAT " message%s waiting", waiting, plural(waiting));
        if (waiting < last)
                fprintf(w->c->out, ", mail flows (%" JSON_INTEGER_FORMAT " fewer)", last - waiting);
        if (number(s, "quarantined") > 0)
                fprintf(w->c->out, ", %" JSON_INTEGER_FORMAT " in quarantine", number(s, "quarantined"));
        if (number(progress, "total") > 0)
                fprintf(w->c->out, ", %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
                        number(progress, "done"), number(progress, "total"));
        show_remaining(w, progress);
}

/* Is there anything new in it for one who reads line by line? */
static bool figures_changed(const Watching *w, const json_t *s)
{
        const json_t *before = status_before(w, word(s, "service"));

        return !before || number(before, "mail_waiting") != number(s, "mail_waiting") ||
               number(before, "quarantined") != number(s, "quarantined");
}

/* Return: 0 or a negated errno. */
static int show_status(Watching *w, ControlClient *client)
{
        json_t *body = NULL, *s;
        size_t i, n;
        bool ok;
        int r;

        r = control_client_call(client, "status", json_pack("{s:s*}", "service", w->service),
                                5 * USEC_PER_SEC, &ok, &body);
        if (r < 0)
                return r;
        n = json_array_size(json_object_get(body, "services"));
        if (!w->c->json)
                json_array_foreach(json_object_get(body, "services"), i, s)
                {
                        if (!(w->live && n == 1) && !figures_changed(w, s))
                                continue;
                        show_figures(w, s);
                        if (w->live && n == 1)
                                w->line_open = true;
                        else
                                fputc('\n', w->c->out);
                }
        fflush(w->c->out);
        json_decref(w->status);
        w->status = body;
        return 0;
}

/* Return: an exit code. */
static int watch_loop(Watching *w, ControlClient *events, ControlClient *status)
{
        usec_t next_status = 0;

        while (!interrupted) {
                json_t *event = NULL;
                usec_t now = now_read().mono;
                int r = 0;

                if (now >= next_status && !w->c->json) {
                        r = show_status(w, status);
                        next_status = usec_add(now_read().mono, STATUS_EVERY);
                }
                if (r == 0)
                        r = control_client_next(events, w->c->json ? USEC_INFINITY : STATUS_EVERY / 4,
                                                &event);
                if (r == -ETIMEDOUT || r == -EINTR)
                        continue;
                if (r < 0) {
                        line_clear(w);
                        return ctl_unreachable(w->c, r);
                }
                if (w->c->json) {
                        json_dumpf(event, w->c->out, JSON_COMPACT | JSON_SORT_KEYS);
                        fputc('\n', w->c->out);
                        fflush(w->c->out);
                } else {
                        show_event(w, event);
                }
                json_decref(event);
        }
        line_clear(w);
        return CTL_DONE;
}

static int watch_begin(Watching *w, ControlClient *events)
{
        json_t *body = NULL;
        bool ok = false;
        int r;

        r = control_client_call(events, "watch", json_pack("{s:s*}", "service", w->service),
                                10 * USEC_PER_SEC, &ok, &body);
        if (r < 0)
                return ctl_unreachable(w->c, r);
        if (!ok)
                ctl_error("%s", word(body, "error"));
        json_decref(body);
        return ok ? CTL_DONE : CTL_REFUSED;
}

int verb_watch(Ctl *c, char **argv)
{
        _cleanup_(control_client_freep) ControlClient *events = NULL, *status = NULL;
        const struct sigaction action = { .sa_handler = on_signal };
        Watching w = { .c = c, .service = argv[0], .live = c->colour };
        int r;

        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        r = control_client_new(&events, c->run_dir);
        if (r == 0)
                r = control_client_new(&status, c->run_dir);
        if (r < 0)
                return ctl_unreachable(c, r);
        r = watch_begin(&w, events);
        if (r == CTL_DONE)
                r = watch_loop(&w, events, status);
        json_decref(w.status);
        return r;
}
