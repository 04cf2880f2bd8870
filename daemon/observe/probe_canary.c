/*
 * probe_canary - does a message that goes in come out?
 *
 * Started by the scheduler (probe.c), which sends none while an incident is open. A message with a new token
 * is handed to the command, and when that has ended well, a worker looks into the mailbox until the token is
 * there or `within` is over: first after a hundredth of that, then at twice the distance, a tenth of it at
 * most. Each look takes out every canary of this host, so one that came late, or whose unjamd was killed
 * meanwhile, goes with the next.
 *
 * The command has the probe's timeout, by the Runner. An attempt that is freed ends the command; what it has
 * submitted by then is found by a later look. Test: tests/unit/test_probe_canary.c.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "observe/attempt.h"
#include "observe/mailbox.h"
#include "observe/run_words.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

typedef struct Look Look;

typedef struct CanaryAttempt {
        Attempt attempt;
        AttemptSpec spec;
        char token[CANARY_TOKEN_SIZE];
        char *message;
        Run *run;
        Look *look;
        sd_event_source *timer; /* the next look */
        usec_t submitted, pause;
} CanaryAttempt;

struct Look {
        Job job;
        CanaryAttempt *owner; /* NULL: nobody waits for it any more */
        char *path;
        CanaryKey key;
        char token[CANARY_TOKEN_SIZE];
        bool found;
        MailboxReport report;
};

static int look_run(Job *job)
{
        Look *look = (Look *)job;

        return mailbox_take(look->path, &look->key, look->token, &look->found, &look->report);
}

static void look_free(Job *job)
{
        Look *look = (Look *)job;

        free(look->path);
        free(look);
}

static void done(CanaryAttempt *c, bool ok, const char *detail)
{
        c->spec.done(c->spec.userdata, ok, detail);
}

static int pause_begin(CanaryAttempt *c)
{
        usec_t longest = c->spec.probe->within / 10;
        int r = sd_event_source_set_time_relative(c->timer, c->pause);

        c->pause = 2 * c->pause < longest ? 2 * c->pause : longest;
        return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

/* It is not there yet. */
static void not_found(CanaryAttempt *c, int r)
{
        char took[32], detail[160];
        const char *within = usec_format(took, sizeof(took), c->spec.probe->within);

        if (now_read().mono < usec_add(c->submitted, c->spec.probe->within)) {
                r = pause_begin(c);
                if (r < 0)
                        done(c, false, strerror(-r));
                return;
        }
        if (r < 0)
                snprintf(detail, sizeof(detail), "the mailbox cannot be looked at: %s", strerror(-r));
        else
                snprintf(detail, sizeof(detail), "the message has not arrived within %s%s", within,
                         r == MAILBOX_E_BUSY ? ", or a server holds the lock of the mailbox" : "");
        done(c, false, detail);
}

static void look_done(Job *job, int r)
{
        Look *look = (Look *)job;
        CanaryAttempt *c = look->owner;
        bool found = look->found;
        unsigned left = look->report.left;

        look_free(job);
        if (!c)
                return;
        c->look = NULL;
        if (found)
                done(c, true, left > 0 ? "other mail stands behind a canary: it stays in the mailbox" : "");
        else
                not_found(c, r);
}

static int look_start(CanaryAttempt *c)
{
        Look *look = calloc(1, sizeof(*look));
        int r;

        if (!look)
                return err_origin(-ENOMEM);
        look->job = (Job){ .run = look_run, .done = look_done, .dropped = look_free };
        look->owner = c;
        look->key = *c->spec.canary_key;
        memcpy(look->token, c->token, sizeof(look->token));
        look->path = strdup(c->spec.probe->arrives);
        r = look->path ? worker_submit(c->spec.worker, &look->job) : -ENOMEM;
        if (r < 0) {
                look_free(&look->job);
                return err_trace(r);
        }
        c->look = look;
        return 0;
}

static int on_look(sd_event_source *timer, uint64_t usec, void *userdata)
{
        CanaryAttempt *c = userdata;
        int r = look_start(c);

        (void)timer;
        (void)usec;
        if (r < 0)
                done(c, false, strerror(-r));
        return 0;
}

static void on_run(void *userdata, const RunResult *result)
{
        CanaryAttempt *c = userdata;
        _cleanup_(freep) char *failure = NULL, *detail = NULL;
        int r;

        c->run = NULL;
        if (run_is_good(result)) {
                c->submitted = now_read().mono;
                r = pause_begin(c);
                if (r < 0)
                        done(c, false, strerror(-r));
                return;
        }
        failure = run_failure(c->spec.probe->submit[0], result);
        if (asprintf(&detail, "the message could not be submitted: %s", failure ? failure : "") < 0)
                detail = NULL;
        done(c, false, detail ? detail : "the message could not be submitted");
}

static const char *canary_waits_for(const Attempt *a)
{
        return ((const CanaryAttempt *)a)->run ? "the command that submits" : "the message to arrive";
}

static void canary_free(Attempt *a)
{
        CanaryAttempt *c = (CanaryAttempt *)a;

        if (c->run)
                runner_cancel(c->spec.runner, c->run);
        if (c->look)
                c->look->owner = NULL;
        sd_event_source_disable_unref(c->timer);
        free(c->message);
        free(c);
}

static const AttemptOps canary_ops = { .waits_for = canary_waits_for, .free = canary_free };

static int submit(CanaryAttempt *c)
{
        const ProbeSettings *probe = c->spec.probe;
        _cleanup_(freep) char *name = run_name("canary", c->spec.service);
        uint8_t nonce[CANARY_NONCE_SIZE];

        randombytes_buf(nonce, sizeof(nonce));
        canary_token(c->spec.canary_key, nonce, c->token);
        c->message = canary_message(c->spec.service, c->token);
        if (!name || !c->message)
                return err_origin(-ENOMEM);
        return runner_start(c->spec.runner,
                            &(RunSpec){ .name = name,
                                        .argv = probe->submit,
                                        .input = c->message,
                                        .timeout = probe->timeout,
                                        .detach = true },
                            on_run, c, &c->run);
}

int probe_canary_start(Attempt **ret, const AttemptSpec *spec)
{
        CanaryAttempt *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return err_origin(-ENOMEM);
        c->attempt.ops = &canary_ops;
        c->spec = *spec;
        c->pause = spec->probe->within / 100;
        r = sd_event_add_time_relative(spec->event, &c->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_look, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = submit(c);
        if (r < 0) {
                canary_free(&c->attempt);
                return err_trace(r);
        }
        *ret = &c->attempt;
        return 0;
}
