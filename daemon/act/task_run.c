/*
 * task_run - actions with commands: purge and rebuild, and telling a server that mail is back
 *
 * Commands run one after the other through the runner. A rebuild that fails fails the action (the service
 * would start without its state); an after_release command that fails is only recorded: the server finds the
 * mail by itself, later.
 *
 * Called by service_actuator. Test: tests/unit/test_service_actuator.c
 */
#include "act/task.h"

#include "base/text.h"
#include "model/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_TIMEOUT (60 * USEC_PER_SEC)

void task_record_run(Task *t, const char *key, char *const *argv, const RunResult *r)
{
        char *command = strv_join(argv, " "), *output = text_to_utf8(r->output, r->output_len, 2048);
        json_t *list = json_object_get(t->data, key);

        if (!list) {
                list = json_array();
                (void)json_object_set_new(t->data, key, list);
        }
        (void)json_array_append_new(list,
                                    json_pack("{s:o, s:i, s:i, s:b, s:o}", "command", json_from_text(command),
                                              "exit_code", r->exit_code, "signal", r->signal, "timed_out",
                                              r->timed_out, "output", json_from_text(output)));
        free(command);
        free(output);
}

int task_run(Task *t, const char *name, char *const *argv, usec_t timeout, RunDone done)
{
        RunSpec spec = { .name = name, .argv = argv, .timeout = timeout };

        return runner_start(t->owner->config.runner, &spec, done, t, &t->run);
}

/* The n-th file over all stores that a command makes anew, NULL after the last. */
static const RebuildSettings *rebuild_at(const ServiceSettings *s, size_t n)
{
        for (size_t k = 0; k < s->n_stores; k++) {
                if (n < s->stores[k].n_rebuild)
                        return &s->stores[k].rebuild[n];
                n -= s->stores[k].n_rebuild;
        }
        return NULL;
}

static void rebuild_next(Task *t);

static void rebuilt(void *userdata, const RunResult *result)
{
        Task *t = userdata;
        char *const *argv = rebuild_at(t->owner->config.service, t->next_command - 1)->command;

        t->run = NULL;
        task_record_run(t, "rebuild", argv, result);
        if (result->error < 0 || result->timed_out || result->signal || result->exit_code != 0) {
                t->detail = strdup("a rebuild command failed; its output is in the record");
                task_finish(t, RESULT_FAILED, REASON_ACTION_FAILED);
                return;
        }
        rebuild_next(t);
}

static void rebuild_next(Task *t)
{
        const RebuildSettings *next;
        int r;

        /* What was not purged needs no command. */
        do
                next = rebuild_at(t->owner->config.service, t->next_command++);
        while (next && t->owner->suspect_state && !strv_contains(t->owner->suspect_state, next->path));
        if (!next) {
                task_finish(t, RESULT_DONE, REASON_NONE);
                return;
        }
        r = task_run(t, "rebuild", next->command, COMMAND_TIMEOUT, rebuilt);
        if (r < 0)
                task_finish_errno(t, r);
}

static int work_purge(Task *t)
{
        SpoolReport report = { .data = t->data, .job = &t->job };
        int r = task_open_spool(t);

        if (r == 0)
                r = task_wait_for_strangers(t);
        if (r == 0)
                r = spool_purge(t->owner->spool, t->action.incident, STORE_ALL, t->owner->suspect_state,
                                &report);
        if (report.detail) {
                free(t->detail);
                t->detail = report.detail;
        }
        return r;
}

static void purged(Task *t, int r)
{
        if (r < 0)
                task_finish_errno(t, r);
        else
                rebuild_next(t);
}

void task_purge(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_purge, purged);
}

static void announce_next(Task *t);

static void announced(void *userdata, const RunResult *result)
{
        Task *t = userdata;

        t->run = NULL;
        task_record_run(t, "after_release",
                        t->owner->config.service->stores[t->next_command - 1].after_release, result);
        announce_next(t);
}

static void announce_next(Task *t)
{
        const ServiceSettings *s = t->owner->config.service;

        while (t->next_command < s->n_stores) {
                char *const *argv = s->stores[t->next_command++].after_release;

                if (strv_length(argv) > 0 &&
                    task_run(t, "after-release", argv, COMMAND_TIMEOUT, announced) == 0)
                        return;
        }
        task_finish(t, RESULT_DONE, REASON_NONE);
}

void task_announce(Task *t)
{
        t->next_command = 0;
        announce_next(t);
}
