/*
 * drive_manager - make a real manager do things on a real host, by hand or from a test
 *
 *     drive-manager [OPTION=VALUE]... VERB...
 *
 * Options: manager (systemd, embedded, command), name, unit (repeatable), command, start, stop, status (words
 * are split at spaces), pidfile, leftover (a program), state, run, start_timeout, stop_timeout, kill_timeout,
 * core. Verbs: guard, unguard, start, stop, kill, processes, sleep; one JSON line for each goes to standard
 * output. The exit status is that of the last verb: 0 if it was done.
 */
#include "act/manager.h"
#include "base/text.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ServiceSettings service = {
        .name = (char *)"imc",
        .start_timeout = 30 * USEC_PER_SEC,
        .stop_timeout = 5 * USEC_PER_SEC,
        .kill_timeout = 4 * USEC_PER_SEC,
};
static const char *kind = "systemd", *state_dir = "/var/lib/unjamd", *run_dir = "/run/unjamd";
static LeftoverSettings leftover = { .any_uid = true };
static sd_event *event;
static int outcome;

static char **split(const char *words)
{
        char **v = NULL, *copy = strdup(words), *rest = copy, *word;

        while ((word = strsep(&rest, " ")))
                if (*word && strv_append(&v, word) < 0)
                        abort();
        free(copy);
        return v;
}

static int set_option(const char *name, const char *value)
{
        struct {
                const char *name;
                usec_t *time;
                char ***words;
                const char **text;
        } options[] = {
                { "manager", NULL, NULL, &kind },
                { "name", NULL, NULL, (const char **)&service.name },
                { "state", NULL, NULL, &state_dir },
                { "run", NULL, NULL, &run_dir },
                { "user", NULL, NULL, (const char **)&service.user },
                { "pidfile", NULL, NULL, (const char **)&service.pidfile },
                { "command", NULL, &service.command, NULL },
                { "start", NULL, &service.start, NULL },
                { "stop", NULL, &service.stop, NULL },
                { "status", NULL, &service.status, NULL },
                { "start_timeout", &service.start_timeout, NULL, NULL },
                { "stop_timeout", &service.stop_timeout, NULL, NULL },
                { "kill_timeout", &service.kill_timeout, NULL, NULL },
        };

        if (strcmp(name, "unit") == 0)
                return strv_append(&service.units, value);
        if (strcmp(name, "core") == 0)
                return (service.core = true) - 1;
        if (strcmp(name, "leftover") == 0) {
                leftover.exe = strdup(value);
                service.leftovers = &leftover;
                service.n_leftovers = 1;
                return 0;
        }
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
                if (strcmp(name, options[i].name) != 0)
                        continue;
                if (options[i].time)
                        return usec_parse(value, options[i].time);
                if (options[i].words)
                        *options[i].words = split(value);
                else
                        *options[i].text = strdup(value);
                return 0;
        }
        return -EINVAL;
}

static void show(const char *verb, const ManagerResult *r, double took)
{
        json_t *j = json_pack("{s:s, s:s, s:s, s:b, s:s*, s:s*, s:O*, s:f}", "verb", verb, "result",
                              result_kind_to_string(r->result), "reason", reason_to_string(r->reason),
                              "alive", r->alive, "detail", r->detail, "invocation", r->invocation, "data",
                              r->data, "seconds", took);
        char *text = json_dumps(j, JSON_COMPACT);

        puts(text ? text : "?");
        fflush(stdout);
        free(text);
        json_decref(j);
        outcome = r->result == RESULT_DONE ? 0 : 1;
}

static const char *verb_now;
static usec_t begun;
static bool over;

static void done(void *userdata, const ManagerResult *r)
{
        (void)userdata;
        show(verb_now, r, (double)(now_read().mono - begun) / 1e6);
        over = true;
}

static int do_verb(Manager *m, const char *verb)
{
        int r = -EINVAL;

        if (strcmp(verb, "processes") == 0) {
                ProcId *ids = NULL;
                size_t n = 0;

                r = m->ops->processes(m, &ids, &n);
                printf("{\"processes\":[");
                for (size_t i = 0; i < n; i++)
                        printf("%s%d", i ? "," : "", (int)ids[i].pid);
                puts("]}");
                fflush(stdout);
                free(ids);
                over = true;
        } else if (strcmp(verb, "guard") == 0) {
                r = m->ops->guard(m, true, "20261122-test", done, NULL);
        } else if (strcmp(verb, "unguard") == 0) {
                r = m->ops->guard(m, false, NULL, done, NULL);
        } else if (strcmp(verb, "start") == 0) {
                r = m->ops->start(m, done, NULL);
        } else if (strcmp(verb, "stop") == 0) {
                r = m->ops->stop(m, done, NULL);
        } else if (strcmp(verb, "kill") == 0) {
                r = m->ops->kill(m, done, NULL);
        }
        return r;
}

static int run_verbs(Manager *m, char **verbs)
{
        /* What a manager learns at its start comes with the first turns of the loop. */
        usec_t settle = now_read().mono + 300 * USEC_PER_MSEC;
        while (now_read().mono < settle)
                if (sd_event_run(event, 50 * USEC_PER_MSEC) < 0)
                        return 2;

        for (; *verbs; verbs++) {
                usec_t pause;

                verb_now = *verbs;
                begun = now_read().mono;
                over = false;
                if (strncmp(*verbs, "sleep:", 6) == 0 && usec_parse(*verbs + 6, &pause) == 0) {
                        while (now_read().mono < begun + pause)
                                if (sd_event_run(event, 50 * USEC_PER_MSEC) < 0)
                                        return 2;
                        continue;
                }
                int r = do_verb(m, *verbs);
                if (r < 0) {
                        fprintf(stderr, "%s: %s\n", *verbs, strerror(-r));
                        return 2;
                }
                while (!over)
                        if (sd_event_run(event, UINT64_MAX) < 0)
                                return 2;
        }
        return outcome;
}

static int make_manager(Manager **ret, const ManagerContext *c)
{
        if (strcmp(kind, "embedded") == 0)
                return manager_embedded_new(ret, c);
        if (strcmp(kind, "command") == 0)
                return manager_command_new(ret, c);
        return manager_systemd_new(ret, c);
}

int main(int argc, char **argv)
{
        Manager *m = NULL;
        Worker *worker = NULL;
        Runner *runner = NULL;
        sd_bus *bus = NULL;

        for (argv++; argc > 1 && *argv && strchr(*argv, '='); argv++) {
                char *value = strchr(*argv, '=');

                *value++ = '\0';
                if (set_option(*argv, value) < 0) {
                        fprintf(stderr, "%s: no such option or value\n", *argv);
                        return 2;
                }
        }
        int r = sd_event_new(&event);
        if (r >= 0)
                r = worker_new(&worker, event, "drive");
        if (r >= 0 && sd_bus_open_system(&bus) >= 0)
                r = sd_bus_attach_event(bus, event, 0);
        if (r >= 0)
                r = bus ? runner_systemd_new(&runner, event, bus, "org.freedesktop.systemd1")
                        : runner_fork_new(&runner, event);
        ManagerContext c = {
                .event = event,
                .service = &service,
                .state_dir = state_dir,
                .run_dir = run_dir,
                .bus = bus,
                .destination = "org.freedesktop.systemd1",
                .unit_dir = "/etc/systemd/system",
                .runtime_unit_dir = "/run/systemd/system",
                .runner = runner,
                .worker = worker,
        };
        if (r >= 0)
                r = make_manager(&m, &c);
        if (r < 0) {
                fprintf(stderr, "cannot begin: %s\n", strerror(-r));
                return 2;
        }
        int code = run_verbs(m, argv);
        manager_free(m);
        runner_free(runner);
        sd_bus_flush_close_unref(bus);
        worker_free(worker);
        sd_event_unref(event);
        return code;
}
