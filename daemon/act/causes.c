/*
 * causes - is it the configuration rather than a message?
 *
 * Called by the actuator with COLLECT, before any mail is touched, and by the engine now and then while the
 * service is healthy. A round starts the worker's look at the stores and up to four programs; as one ends
 * the next begins, and when the last has ended the round is judged and done() called.
 *
 * Guarantees: checks change nothing (they run read-only where the runner can see to that); a check that
 * could not be made is not a fault found; done() comes from the loop, never from within causes_run(); after
 * causes_free() nothing of it is called any more, though a disk that hangs may keep the worker's part busy.
 *
 * Diagnostics: what goes wrong with one check is that check's result. Test: tests/unit/test_causes.c.
 */
#include "act/causes.h"

#include "act/stores_check.h"
#include "act/supervisors.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "model/pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PARALLEL 4
/* Of a program's output, for the record. */
#define DETAIL_MAX 2048
/* A disk that takes longer to say how full it is does not work. */
#define STORES_TIMEOUT (10 * USEC_PER_SEC)
/*
 * And twice the time after which waiting mail is missed: a service that has a fault for so long lives with
 * it.
 */
#define BASELINE_TIME (10 * USEC_PER_MIN)

/* unjamd's own checks, behind the configured ones. */
enum {
        OWN_FULL,
        OWN_PERMISSIONS,
        OWN_STUCK,
        OWN_SUPERVISOR,
        OWN_STATE,
        OWN_LOCK,
        N_OWN,
};

typedef enum Baseline {
        BASELINE_UNKNOWN,
        BASELINE_PASSED,
        BASELINE_FAILED,
} Baseline;

/* One configured check. */
typedef struct Check {
        Causes *owner;
        size_t index;
        Pattern *match;
        char *run_name;
        Run *run; /* under way */
} Check;

/* The look at the stores: lives on its own until the worker gives it back. */
typedef struct StoresJob {
        Job job;
        Causes *owner; /* NULL once nobody waits for it any more */
        StoresCheck check;
        char **names; /* of the service, for its supervisors; NULL: it has said that there is none */
        int full, permissions, supervisor, state, lock; /* 0, ..._E_FOUND, or a negated errno */
        char *full_detail, *permissions_detail, *supervisor_detail, *state_detail, *lock_detail;
} StoresJob;

struct Causes {
        const ServiceSettings *service;
        Runner *runner;
        Worker *worker;
        Check *checks;
        size_t n_checks;
        Baseline *baseline; /* n_checks + N_OWN, as the results */
        /* since when one that had passed fails while the service seems healthy; 0: it does not */
        usec_t *failing;
        CauseResult *results;
        char *state; /* what evidence says of rebuildable state */

        /* The round under way. */
        StoresJob *stores;
        sd_event_source *timer; /* for @stores */
        size_t next, running;
        bool busy, healthy;
        CausesDone done;
        void *userdata;
};

static void stores_job_free(StoresJob *j)
{
        stores_check_deinit(&j->check);
        free(j->full_detail);
        free(j->permissions_detail);
        free(j->supervisor_detail);
        free(j->state_detail);
        free(j->lock_detail);
        strv_free(j->names);
        free(j);
}

static size_t n_results(const Causes *c)
{
        return c->n_checks + N_OWN;
}

static void results_clear(Causes *c)
{
        for (size_t i = 0; c->results && i < n_results(c); i++)
                cause_result_deinit(c->results + i);
}

/*
 * A fault that stops the mail is there for a while before mail has waited long enough to be missed, and so
 * the service seems healthy with it. Only one that lasts longer than that is one which it can live with.
 */
static void baseline_take(Causes *c, size_t i, bool found)
{
        const StallSettings *stall = &c->service->stall;
        usec_t now = now_read().mono, limit = stall->enabled ? 2 * stall->after : 0;

        if (!found) {
                c->baseline[i] = BASELINE_PASSED;
                c->failing[i] = 0;
                return;
        }
        if (c->baseline[i] == BASELINE_PASSED && c->failing[i] == 0)
                c->failing[i] = now;
        if (c->baseline[i] == BASELINE_UNKNOWN ||
            usec_sub(now, c->failing[i]) >= usec_add(limit, BASELINE_TIME))
                c->baseline[i] = BASELINE_FAILED;
}

/*
 * What the effect of a fault is, given what was seen while the service was healthy: it works in spite of
 * this one, so this one is no reason to leave it down.
 */
static void result_weigh(Causes *c, size_t i)
{
        CauseResult *r = c->results + i;

        if (!r->known)
                return;
        if (c->healthy)
                baseline_take(c, i, r->found);
        if (i == c->n_checks + OWN_SUPERVISOR)
                return; /* two supervisors work side by side until both act */
        if (r->found && r->effect == EFFECT_VETO && c->baseline[i] == BASELINE_FAILED)
                r->effect = EFFECT_NOTE;
}

static void round_check_end(Causes *c)
{
        CausesDone done;

        if (c->stores || c->running > 0 || c->next < c->n_checks)
                return;
        for (size_t i = 0; i < n_results(c); i++)
                result_weigh(c, i);
        c->busy = false;
        done = TAKE_PTR(c->done);
        /* Last: it may start the next round, or free us. */
        done(c->userdata, c->results, n_results(c));
}

/* A check that could not be made. @why is taken; without memory the result is all there is. */
static void result_unknown(CauseResult *r, char *why)
{
        r->known = false;
        r->found = false;
        free(r->detail);
        r->detail = why;
}

static char *describe(const RunResult *run, usec_t timeout)
{
        char *text = NULL, time[32];

        if (run->error < 0)
                return strdup(strerror(-run->error));
        if (run->timed_out) {
                if (asprintf(&text, "no answer within %s", usec_format(time, sizeof(time), timeout)) < 0)
                        return NULL;
        } else if (run->signal > 0) {
                if (asprintf(&text, "it was ended by signal %d", run->signal) < 0)
                        return NULL;
        }
        return text;
}

static void result_judge(CauseResult *r, const CauseSettings *s, const Pattern *match, const RunResult *run)
{
        int m;

        if (run->error < 0 || run->timed_out || run->signal > 0) {
                result_unknown(r, describe(run, s->timeout));
                return;
        }
        r->known = true;
        r->detail = text_to_utf8(run->output, run->output_len, DETAIL_MAX);
        if (!match) {
                r->found = run->exit_code != 0;
                return;
        }
        m = pattern_match(match, run->output, run->output_len);
        if (m == PATTERN_E_LIMIT || m < 0)
                result_unknown(r, strdup("the output is too much for its pattern"));
        else
                r->found = m == PATTERN_E_NONE;
}

static void round_go_on(Causes *c);

static void check_on_done(void *userdata, const RunResult *run)
{
        Check *check = userdata;
        Causes *c = check->owner;

        check->run = NULL;
        c->running--;
        result_judge(c->results + check->index, c->service->causes + check->index, check->match, run);
        round_go_on(c);
        round_check_end(c);
}

static void check_start(Causes *c, Check *check)
{
        const CauseSettings *s = c->service->causes + check->index;
        RunSpec spec = {
                .name = check->run_name,
                .argv = s->command,
                .timeout = s->timeout,
                .read_only = true,
        };
        int r;

        r = runner_start(c->runner, &spec, check_on_done, check, &check->run);
        if (r < 0)
                result_unknown(c->results + check->index, strdup(strerror(-r)));
        else
                c->running++;
}

static void round_go_on(Causes *c)
{
        while (c->running < PARALLEL && c->next < c->n_checks)
                check_start(c, c->checks + c->next++);
}

static int find_supervisors(StoresJob *j)
{
        _cleanup_(closep) int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return procfd < 0 ? -errno : supervisors_find(procfd, "/", j->names, &j->supervisor_detail);
}

static int stores_job_run(Job *job)
{
        StoresJob *j = (StoresJob *)job;

        j->state = stores_check_state(&j->check, &j->state_detail);
        j->lock = stores_check_locks(&j->check, &j->lock_detail);
        j->full = stores_check_full(&j->check, &j->full_detail);
        if (!atomic_load(&job->cancel))
                j->permissions = stores_check_permissions(&j->check, &j->permissions_detail);
        if (j->names && !atomic_load(&job->cancel))
                j->supervisor = find_supervisors(j);
        return 0;
}

static void own_result(Causes *c, size_t which, int code, char *detail)
{
        CauseResult *r = c->results + c->n_checks + which;

        r->known = code >= 0;
        r->found = code == STORES_E_FOUND;
        r->detail = code < 0 ? strdup(strerror(-code)) : detail;
}

/* Nobody waits for the worker's part any more. It goes when it comes back. */
static void stores_job_leave(Causes *c)
{
        c->timer = sd_event_source_disable_unref(c->timer);
        if (!c->stores)
                return;
        c->stores->owner = NULL;
        atomic_store(&c->stores->job.cancel, true);
        c->stores = NULL;
}

/* Evidence, which names a file, says more than that one is missing. */
static void state_result(Causes *c, int code, char *detail)
{
        if (!c->state) {
                own_result(c, OWN_STATE, code, detail);
                return;
        }
        own_result(c, OWN_STATE, STORES_E_FOUND, TAKE_PTR(c->state));
        free(detail);
}

static void stores_job_done(Job *job, int r)
{
        StoresJob *j = (StoresJob *)job;
        Causes *c = j->owner;

        (void)r;
        if (c) {
                own_result(c, OWN_FULL, j->full, TAKE_PTR(j->full_detail));
                own_result(c, OWN_PERMISSIONS, j->permissions, TAKE_PTR(j->permissions_detail));
                own_result(c, OWN_STUCK, 0, NULL);
                own_result(c, OWN_SUPERVISOR, j->supervisor, TAKE_PTR(j->supervisor_detail));
                state_result(c, j->state, TAKE_PTR(j->state_detail));
                own_result(c, OWN_LOCK, j->lock, TAKE_PTR(j->lock_detail));
                stores_job_leave(c);
        }
        stores_job_free(j);
        if (c)
                round_check_end(c);
}

static void stores_job_dropped(Job *job)
{
        StoresJob *j = (StoresJob *)job;

        if (j->owner)
                stores_job_leave(j->owner);
        stores_job_free(j);
}

static int stores_on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        Causes *c = userdata;

        (void)source;
        (void)usec;
        stores_job_leave(c);
        own_result(c, OWN_FULL, -ETIMEDOUT, NULL);
        own_result(c, OWN_PERMISSIONS, -ETIMEDOUT, NULL);
        own_result(c, OWN_SUPERVISOR, -ETIMEDOUT, NULL);
        state_result(c, -ETIMEDOUT, NULL);
        own_result(c, OWN_LOCK, -ETIMEDOUT, NULL);
        own_result(c, OWN_STUCK, STORES_E_FOUND, strdup("the disk of the stores does not answer"));
        round_check_end(c);
        return 0;
}

static int stores_job_submit(Causes *c)
{
        StoresJob *j = calloc(1, sizeof(StoresJob));
        int r;

        if (!j)
                return err_origin(-ENOMEM);
        j->job.run = stores_job_run;
        j->job.done = stores_job_done;
        j->job.dropped = stores_job_dropped;
        j->owner = c;
        r = stores_check_init(&j->check, c->service);
        if (r == 0 && !c->service->sole_supervisor) {
                j->names = supervisors_names(c->service);
                r = j->names ? 0 : -ENOMEM;
        }
        if (r == 0)
                r = sd_event_add_time_relative(worker_event(c->worker), &c->timer, CLOCK_MONOTONIC,
                                               STORES_TIMEOUT, 0, stores_on_timeout, c);
        if (r >= 0)
                r = worker_submit(c->worker, &j->job);
        if (r < 0) {
                c->timer = sd_event_source_disable_unref(c->timer);
                stores_job_free(j);
                return err_trace(r);
        }
        c->stores = j;
        return 0;
}

/* Fresh results, with all in them that is known before anything is run. */
static int results_prepare(Causes *c)
{
        static const struct {
                CauseKind kind;
                const char *advice;
                CauseEffect effect;
        } own[N_OWN] = {
                [OWN_FULL] = { CAUSE_DISK_FULL,
                               "make room on the disk of the spool, then let unjamd try again", EFFECT_VETO },
                [OWN_PERMISSIONS] = { CAUSE_PERMISSIONS,
                                      "see to it that the spool's directories are there and can be used",
                                      EFFECT_VETO },
                [OWN_STUCK] = { CAUSE_DISK_STUCK,
                                "look after the disk: what asks it for anything waits for ever",
                                EFFECT_VETO },
                [OWN_SUPERVISOR] = { CAUSE_OTHER_SUPERVISOR,
                                     "take the service out of the other supervisor's hands, or set "
                                     "sole_supervisor = true if that is so already",
                                     EFFECT_VETO },
                [OWN_STATE] = { CAUSE_REBUILDABLE_STATE, "let unjamd put it out of the way, and make it anew",
                                EFFECT_REMEDY },
                [OWN_LOCK] = { CAUSE_STALE_LOCK, "let unjamd put the lock out of the way", EFFECT_REMEDY },
        };

        results_clear(c);
        for (size_t i = 0; i < n_results(c); i++) {
                bool configured = i < c->n_checks;
                const CauseSettings *s = configured ? c->service->causes + i : NULL;
                const char *advice = configured ? s->advice : own[i - c->n_checks].advice;

                c->results[i] = (CauseResult){
                        .check = configured ? i : SIZE_MAX,
                        .kind = (int)(configured ? s->cause : own[i - c->n_checks].kind),
                        .effect = (int)(configured ? s->effect : own[i - c->n_checks].effect),
                        .advice = strdup_null(advice),
                };
                if (advice && !c->results[i].advice)
                        return err_origin(-ENOMEM);
        }
        return 0;
}

void causes_set_state(Causes *c, char *why)
{
        free(c->state);
        c->state = why;
}

int causes_run(Causes *c, bool healthy, CausesDone done, void *userdata)
{
        int r;

        if (c->busy)
                return err_origin(-EBUSY);
        r = results_prepare(c);
        if (r < 0)
                return err_trace(r);
        /* First of all: as long as it is under way the round cannot end within this call. */
        r = stores_job_submit(c);
        if (r < 0)
                return err_trace(r);
        c->busy = true;
        c->healthy = healthy;
        c->done = done;
        c->userdata = userdata;
        c->next = c->running = 0;
        round_go_on(c);
        return 0;
}

/* "cause-startup-account", as runners want it. */
static char *run_name_new(CauseKind kind)
{
        const char *word = cause_kind_to_string(kind);
        char *name;

        if (asprintf(&name, "cause-%s", word ? word : "check") < 0)
                return NULL;
        for (char *p = name; (p = strchr(p, '_'));)
                *p = '-';
        return name;
}

static int check_init(Causes *c, Check *check, size_t index)
{
        const CauseSettings *s = c->service->causes + index;

        *check = (Check){ .owner = c, .index = index, .run_name = run_name_new(s->cause) };
        if (!check->run_name)
                return err_origin(-ENOMEM);
        return s->match ? err_trace(pattern_new(&check->match, s->match, PATTERN_TEXT, NULL)) : 0;
}

int causes_new(Causes **ret, const ServiceSettings *service, Runner *runner, Worker *worker)
{
        Causes *c = calloc(1, sizeof(Causes));
        int r = 0;

        if (!c)
                return err_origin(-ENOMEM);
        *c = (Causes){
                .service = service, .runner = runner, .worker = worker, .n_checks = service->n_causes
        };
        c->checks = calloc(c->n_checks + 1, sizeof(Check));
        c->baseline = calloc(n_results(c), sizeof(Baseline));
        c->failing = calloc(n_results(c), sizeof(usec_t));
        c->results = calloc(n_results(c), sizeof(CauseResult));
        if (!c->checks || !c->baseline || !c->failing || !c->results)
                r = err_origin(-ENOMEM);
        for (size_t i = 0; r == 0 && i < c->n_checks; i++)
                r = check_init(c, c->checks + i, i);
        if (r < 0) {
                causes_free(c);
                return err_trace(r);
        }
        *ret = c;
        return 0;
}

Causes *causes_free(Causes *c)
{
        if (!c)
                return NULL;
        stores_job_leave(c);
        for (size_t i = 0; c->checks && i < c->n_checks; i++) {
                if (c->checks[i].run)
                        runner_cancel(c->runner, c->checks[i].run);
                pattern_free(c->checks[i].match);
                free(c->checks[i].run_name);
        }
        results_clear(c);
        free(c->results);
        free(c->state);
        free(c->baseline);
        free(c->failing);
        free(c->checks);
        free(c);
        return NULL;
}
