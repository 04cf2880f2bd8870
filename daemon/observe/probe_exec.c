/*
 * probe_exec - does a program of the administrator say that the service is well?
 *
 * Started by the scheduler (probe.c). Exit status 0 is well. The Runner keeps the deadline and kills what is
 * left of the program then; its last words (the end of its output) become the detail.
 *
 * Tests: tests/unit/test_probe.c.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/attempt.h"

#include <stdio.h>
#include <string.h>

#define DETAIL_MAX ((size_t)512)

typedef struct ExecAttempt {
        Attempt attempt;
        AttemptSpec spec;
        Run *run;
} ExecAttempt;

/* The end of what it said, without the line ends around it. NULL on ENOMEM. */
static char *last_words(const RunResult *result)
{
        const char *begin = result->output ? result->output : "", *end = begin + result->output_len;

        while (end > begin && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
                end--;
        if ((size_t)(end - begin) > DETAIL_MAX)
                begin = end - DETAIL_MAX;
        return text_to_utf8(begin, (size_t)(end - begin), 0);
}

static void on_run(void *userdata, const RunResult *result)
{
        ExecAttempt *e = userdata;
        bool ok = result->error == 0 && !result->timed_out && result->signal == 0 && result->exit_code == 0;
        _cleanup_(freep) char *words = last_words(result), *detail = NULL;
        const char *said = words && *words ? ": " : "";
        int n = 0;

        e->run = NULL;
        if (!words)
                words = strdup("");
        if (result->error != 0)
                n = asprintf(&detail, "%s could not be started: %s", e->spec.probe->command[0],
                             strerror(-result->error));
        else if (result->timed_out)
                n = asprintf(&detail, "no result in time%s%s", said, words);
        else if (result->signal != 0)
                n = asprintf(&detail, "killed by signal %d%s%s", result->signal, said, words);
        else if (result->exit_code != 0)
                n = asprintf(&detail, "exit status %d%s%s", result->exit_code, said, words);
        if (n < 0)
                detail = NULL;
        e->spec.done(e->spec.userdata, ok, detail ? detail : "");
}

static const char *exec_waits_for(const Attempt *a)
{
        (void)a;
        return "the program";
}

static void exec_free(Attempt *a)
{
        ExecAttempt *e = (ExecAttempt *)a;

        if (e->run)
                runner_cancel(e->spec.runner, e->run);
        free(e);
}

static const AttemptOps exec_ops = { .waits_for = exec_waits_for, .free = exec_free };

/* "probe-NAME" with what the name of a run may hold. NULL on ENOMEM. */
static char *run_name(const char *service)
{
        char *name;

        if (asprintf(&name, "probe-%s", service) < 0)
                return NULL;
        for (char *c = name; *c; c++) {
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char)(*c - 'A' + 'a');
                if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
                        *c = '-';
        }
        return name;
}

int probe_exec_start(Attempt **ret, const AttemptSpec *spec)
{
        _cleanup_(freep) char *name = run_name(spec->service);
        ExecAttempt *e = calloc(1, sizeof(*e));

        if (!e || !name) {
                free(e);
                return err_origin(-ENOMEM);
        }
        e->attempt.ops = &exec_ops;
        e->spec = *spec;
        int r = runner_start(
                spec->runner,
                &(RunSpec){ .name = name, .argv = spec->probe->command, .timeout = spec->probe->timeout },
                on_run, e, &e->run);
        if (r < 0) {
                free(e);
                return err_trace(r);
        }
        *ret = &e->attempt;
        return 0;
}
