/*
 * run_watch - the life of the service
 *
 * Fed with each status of the manager. States may be missed, for a manager tells only of the last of several
 * quick changes; what is missed is inferred from invocation, since and the manager's count of its own
 * restarts. A status that repeats the last one is no news.
 *
 * What is a failure:
 *
 *     failed or restarting                     unless it is the end of a stop that was asked for
 *     stopped, right out of running, starting  nobody asked for it: the process ended by itself, with exit 0
 *     stopped, out of stopping                 only if the process had ended before the stop began
 *     running, but restarted more often than was seen
 *
 * A stop that is asked for is an operator's (operator_stop) or our own (expected). A failure is start_failed
 * if the run never got to running, else crashed; it is crash_loop if it fills one of the crash windows, or if
 * the manager says that its start limit was hit. An exec condition that does not hold is no failure.
 *
 * A process of the service that was killed by a signal while the service goes on (Postfix's master starts
 * another one) counts in the crash windows under a signature of its own.
 *
 * Fails only with ENOMEM. Test: tests/unit/test_run_watch.c.
 */
#include "diagnose/run_watch.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "diagnose/symptom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int run_watch_init(RunWatch *w, const ServiceSettings *service)
{
        *w = (RunWatch){ .service = service };
        return err_trace(crash_history_init(&w->history, service->crash_windows, service->n_crash_windows));
}

void run_watch_deinit(RunWatch *w)
{
        crash_history_deinit(&w->history);
        free(w->invocation);
        *w = (RunWatch){};
}

static bool run_is_down(RunState run)
{
        switch (run) {
        case RUN_STOPPED:
        case RUN_FAILED:
        case RUN_RESTARTING:
                return true;
        case RUN_UNKNOWN:
        case RUN_STARTING:
        case RUN_RUNNING:
        case RUN_STOPPING:
        case _RUN_STATE_MAX:
        case _RUN_STATE_INVALID:
                break;
        }
        return false;
}

/* An invocation that is not told is the same one. */
static bool invocation_differs(const RunWatch *w, const ServiceStatus *s)
{
        return w->invocation && s->invocation && strcmp(w->invocation, s->invocation) != 0;
}

static bool status_enters(const RunWatch *w, const ServiceStatus *s)
{
        if (!w->known || w->run != s->run || invocation_differs(w, s))
                return true;
        /* What was taken for the end of an operator's stop is the end of a restart that failed. */
        if (s->run == RUN_FAILED && w->operator_stop && !s->operator_stop)
                return true;
        /* Without invocations, only the time tells two runs apart; it may be converted between clocks. */
        return !s->invocation && s->since > usec_add(w->told_since, 10 * USEC_PER_MSEC);
}

static bool result_is(const ServiceStatus *s, const char *result)
{
        return s->result && strcmp(s->result, result) == 0;
}

/* Did this status bring an end that nobody asked for? */
static bool status_fails(const RunWatch *w, const ServiceStatus *s, bool entered)
{
        if (!run_is_down(s->run) || s->operator_stop || w->expected || result_is(s, "exec-condition"))
                return false;
        if (s->run == RUN_FAILED && result_is(s, "start-limit-hit") && !w->limit_hit)
                return true;
        if (!entered)
                return false;
        if (s->run != RUN_STOPPED)
                return true;
        if (w->run == RUN_STOPPING && !invocation_differs(w, s))
                return w->known && w->exit_first;
        return w->known && (w->run == RUN_RUNNING || w->run == RUN_STARTING);
}

/*
 * Yields how many restarts the manager made that were not seen as such. It counts one only when it is over
 * with waiting for it, so one that is seen to begin (@begins) is ahead of its count.
 */
static unsigned restarts_missed(RunWatch *w, const ServiceStatus *s, bool begins)
{
        unsigned more, seen;

        if (!w->known || s->n_restarts < w->n_restarts) {
                /* An operator's start sets the count back. */
                w->n_restarts = s->n_restarts;
                w->ahead = begins;
                return 0;
        }
        w->ahead += begins;
        more = s->n_restarts - w->n_restarts;
        seen = more < w->ahead ? more : w->ahead;
        w->n_restarts = s->n_restarts;
        w->ahead -= seen;
        return more - seen;
}

static void end_describe(Symptom *s, const ServiceStatus *status)
{
        if (status->exited && status->signal > 0) {
                const char *name = sigabbrev_np(status->signal);

                symptom_add_detail(s, "killed by signal %d%s%s%s", status->signal, name ? " SIG" : "",
                                   name ? name : "", status->core ? ", core dumped" : "");
        } else if (status->exited) {
                symptom_add_detail(s, "exit code %d", status->exit_code);
        } else if (run_is_down(status->run)) {
                symptom_add_detail(s, "nothing of it runs");
        } else {
                symptom_add_detail(s, "its manager has restarted it");
        }
        if (status->result && *status->result)
                symptom_add_detail(s, ", result %s", status->result);
}

/* The signature names how it ended: only equal ends make a loop. */
static Symptom end_symptom(const RunWatch *w, const ServiceStatus *status, SymptomKind kind, usec_t wall)
{
        char tail[48];
        Symptom s;

        if (status->exited && status->signal > 0)
                snprintf(tail, sizeof(tail), "signal/%d", status->signal);
        else if (status->exited)
                snprintf(tail, sizeof(tail), "exit/%d", status->exit_code);
        else
                snprintf(tail, sizeof(tail), "result/%.32s", status->result ? status->result : "unknown");
        s = symptom_make(w->service, kind, tail, wall);
        if (status->exited) {
                s.exit_code = status->exit_code;
                s.signal = status->signal;
                s.core = status->core;
        }
        s.out_of_memory = result_is(status, "oom-kill");
        end_describe(&s, status);
        return s;
}

static SymptomKind end_kind(const RunWatch *w, const ServiceStatus *s)
{
        if (w->ran)
                return SYMPTOM_CRASHED;
        if (w->seen_starting)
                return SYMPTOM_START_FAILED;
        /* It failed before anybody looked: a process that ended was there, else it never came to one. */
        return s->exited ? SYMPTOM_CRASHED : SYMPTOM_START_FAILED;
}

/* Counts @times equal crashes and writes the news. */
static void run_fail(RunWatch *w, const ServiceStatus *s, unsigned times, const Now *now, RunNews *news)
{
        bool limit = s->run == RUN_FAILED && result_is(s, "start-limit-hit");
        const CrashWindow *window = NULL;
        char within[32];

        news->failed = true;
        news->gave_up = s->run == RUN_STOPPED || s->run == RUN_FAILED;
        news->symptom = end_symptom(w, s, end_kind(w, s), now->wall);
        /* The crash that led to the limit has been counted. */
        for (unsigned i = 0; !limit && i < times && i < w->history.entries[0].times.size; i++)
                window = crash_history_add(&w->history, news->symptom.signature, now->mono);
        if (!limit && !window)
                return;
        news->symptom.kind = SYMPTOM_CRASH_LOOP;
        news->gave_up = true;
        if (!window)
                return;
        news->clear_after = window->within;
        symptom_add_detail(&news->symptom, "; %u times within %s", window->count,
                           usec_format(within, sizeof(within), window->within));
}

/* Takes over what the status says of the present. */
static void run_adopt(RunWatch *w, const ServiceStatus *s, bool entered, const Now *now)
{
        bool renewed = invocation_differs(w, s);

        if (s->main_pid > 0)
                w->main_pid = s->main_pid;
        w->operator_stop = s->operator_stop;
        w->masked = s->masked;
        if (s->run == RUN_RUNNING || s->run == RUN_STARTING)
                w->limit_hit = false;
        else if (s->run == RUN_FAILED && result_is(s, "start-limit-hit"))
                w->limit_hit = true;
        if (!entered)
                return;
        w->found_stopped = s->run == RUN_STOPPED && (!w->known || w->run == RUN_UNKNOWN);
        if (s->run == RUN_STARTING || renewed)
                w->ran = w->seen_starting = false;
        if (s->run == RUN_STARTING)
                w->seen_starting = true;
        if (s->run == RUN_RUNNING)
                w->ran = true;
        if (s->run == RUN_STOPPING)
                w->exit_first = w->known && s->exited && !s->operator_stop && !w->expected;
        /* A time that is missing or in the future is none. */
        w->since = s->since > 0 && s->since <= now->mono ? s->since : w->known ? now->mono : 0;
        if (!w->known && w->since == 0 && s->run != RUN_RUNNING)
                w->since = now->mono;
        w->told_since = s->since;
        w->run = s->run;
        w->known = true;
}

static bool run_begins(const RunWatch *w, const ServiceStatus *s, bool news)
{
        if (!news)
                return false;
        /* From starting to running it is the same run, mostly. */
        return s->run == RUN_STARTING ||
               (s->run == RUN_RUNNING && (w->run != RUN_STARTING || invocation_differs(w, s)));
}

int run_watch_feed(RunWatch *w, const ServiceStatus *s, const Now *now, RunNews *ret)
{
        bool entered = status_enters(w, s), fails, again;
        char *invocation = NULL;
        RunNews news = {};
        unsigned missed;

        if (s->invocation && !streq_null(w->invocation, s->invocation)) {
                invocation = strdup(s->invocation);
                if (!invocation)
                        return err_origin(-ENOMEM);
        }
        fails = status_fails(w, s, entered);
        /* A restart that did not come to pass is the end that was counted before. */
        again = fails && entered && w->known && w->run == RUN_RESTARTING && s->run == RUN_FAILED &&
                !invocation_differs(w, s);
        missed = restarts_missed(w, s, fails && s->run == RUN_RESTARTING);
        if (w->expected || s->operator_stop)
                missed = 0;
        entered = news.entered = entered || missed > 0;
        news.began = run_begins(w, s, entered);
        if (fails || missed > 0)
                run_fail(w, s, missed + (fails && !again), now, &news);
        run_adopt(w, s, entered, now);
        if (invocation) {
                free(w->invocation);
                w->invocation = invocation;
        }
        *ret = news;
        return 0;
}

static void child_describe(Symptom *s, const InflightStatus *child)
{
        _cleanup_(freep) char *path =
                child->path ? text_percent_encode(child->path, strlen(child->path)) : NULL;
        const char *name = sigabbrev_np(child->signal);

        symptom_detail(s, "pid %d (%s) killed by signal %d%s%s%s, while the service goes on", (int)child->pid,
                       child->name, child->signal, name ? " SIG" : "", name ? name : "",
                       child->core ? ", core dumped" : "");
        if (child->out_of_memory)
                symptom_add_detail(s, "; the kernel did it, for want of memory");
        if (path)
                symptom_add_detail(s, "; it had %s open", path);
}

void run_watch_child(RunWatch *w, const InflightStatus *s, const Now *now, Facts *facts)
{
        const CrashWindow *window;
        char tail[64], within[32];
        Symptom symptom;

        /* The end of the main process is the end of the run, and that is told by the manager. */
        if (w->run != RUN_RUNNING || w->expected || w->operator_stop || s->pid == w->main_pid)
                return;
        snprintf(tail, sizeof(tail), "child/%.24s/signal/%d", s->name, s->signal);
        symptom = symptom_make(w->service, SYMPTOM_CRASHED, tail, now->wall);
        symptom.signal = s->signal;
        symptom.core = s->core;
        symptom.out_of_memory = s->out_of_memory;
        child_describe(&symptom, s);
        window = crash_history_add(&w->history, symptom.signature, now->mono);
        if (window) {
                symptom.kind = SYMPTOM_CRASH_LOOP;
                symptom_add_detail(&symptom, "; %u times within %s", window->count,
                                   usec_format(within, sizeof(within), window->within));
        }
        if (facts->of[symptom.kind].open && facts->of[symptom.kind].hard)
                return;
        facts_open(facts, &symptom, window != NULL, window ? window->within : 0);
        facts->of[symptom.kind].at = now->mono;
        facts->of[symptom.kind].reason = window ? REASON_NONE : REASON_CHILD_DIED;
}

bool run_watch_is_operators(const RunWatch *w)
{
        switch (w->run) {
        case RUN_STOPPED:
                return w->operator_stop || w->found_stopped;
        case RUN_STOPPING:
        case RUN_FAILED:
        case RUN_RESTARTING:
        case RUN_UNKNOWN:
                return w->operator_stop;
        case RUN_STARTING:
        case RUN_RUNNING:
        case _RUN_STATE_MAX:
        case _RUN_STATE_INVALID:
                break;
        }
        return false;
}
