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
#include "observe/attempt.h"
#include "observe/run_words.h"

typedef struct ExecAttempt {
        Attempt attempt;
        AttemptSpec spec;
        Run *run;
} ExecAttempt;

static void on_run(void *userdata, const RunResult *result)
{
        ExecAttempt *e = userdata;
        _cleanup_(freep) char *detail = NULL;
        bool ok = run_is_good(result);

        e->run = NULL;
        if (!ok)
                detail = run_failure(e->spec.probe->command[0], result);
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

int probe_exec_start(Attempt **ret, const AttemptSpec *spec)
{
        _cleanup_(freep) char *name = run_name("probe", spec->service);
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
