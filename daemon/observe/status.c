/*
 * status - a service that start, stop and status programs manage
 *
 * Made by main, one for each service with manager "command"; read by the engine. Each look reads the pidfile
 * in the worker, then runs the status program by the Runner, then reports if something has changed. The next
 * look is STATUS_INTERVAL later, or at once when the process of the pidfile ends; looks never overlap.
 *
 * How the process ended is its parent's to know; the kernel may tell (process_end.c), else "exited" is not
 * set. A status program that can't be run, or does not end in time, leaves the service RUN_UNKNOWN until the
 * next look.
 *
 * Test: tests/unit/test_status.c, tests/system/cases_command.py.
 */
#include "observe/status.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/pidfile.h"
#include "observe/process_end.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

/* How the process of the pidfile ended, until it was reported. */
typedef struct Death {
        bool happened; /* and not by our doing */
        bool known;
        int status; /* as of waitpid(), if known */
} Death;

typedef struct StatusSource {
        Source source;
        SourceContext context;
        Runner *runner;
        Worker *worker;
        sd_event_source *timer, *death;
        PidfileLook *look;
        Run *run;
        bool again, force, looked;
        bool ours, ran; /* what happens is our doing; it was seen running */
        bool pidfile;   /* it exists */
        int pidfd, procfd;
        ProcId id; /* pid 0: none lives */
        Death end;
        unsigned n_restarts;
        char invocation[64];
        char started[64]; /* the run that unjamd began */
        bool by_other;
        ServiceStatus last;
        char last_invocation[64];
} StatusSource;

static void look_begin(StatusSource *s);

static void timer_set(StatusSource *s, usec_t delay)
{
        (void)sd_event_source_set_time_relative(s->timer, delay);
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static void report(StatusSource *s, ServiceStatus *now)
{
        const ServiceStatus *last = &s->last;
        bool news = s->force || now->run != last->run || now->main_pid != last->main_pid ||
                    now->operator_stop != last->operator_stop ||
                    now->started_by_other != last->started_by_other || now->n_restarts != last->n_restarts ||
                    strcmp(s->invocation, s->last_invocation) != 0;
        Observation o = { .kind = OBSERVATION_SERVICE };

        if (!news)
                return;
        s->force = false;
        now->since = now->run == last->run && last->since > 0 ? last->since : now_read().mono;
        s->last = *now;
        memcpy(s->last_invocation, s->invocation, sizeof(s->invocation));
        o.service = *now;
        source_emit(&s->context, &o);
}

/* Nobody who stops a service ends it so. (SIGKILL may be the last step of a stop.) */
static bool death_is_crash(const Death *d)
{
        if (!d->happened || !d->known)
                return false;
        if (WIFEXITED(d->status))
                return WEXITSTATUS(d->status) != 0;
        switch (WTERMSIG(d->status)) {
        case SIGTERM:
        case SIGINT:
        case SIGHUP:
        case SIGQUIT:
        case SIGKILL:
                return false;
        }
        return true;
}

/* What a status of "not running" means. */
static RunState run_of_stopped(const StatusSource *s, bool clean, bool *ret_operator)
{
        *ret_operator = false;
        if (s->ours)
                return RUN_STOPPED;
        if (!clean || s->pidfile || death_is_crash(&s->end))
                return RUN_FAILED;
        *ret_operator = s->ran;
        return RUN_STOPPED;
}

static RunState run_of_exit(const StatusSource *s, int code, bool *ret_operator)
{
        *ret_operator = false;
        if (code == 0)
                return RUN_RUNNING;
        if (code == 4)
                return RUN_UNKNOWN;
        if (code == 8)
                return RUN_STARTING;
        return run_of_stopped(s, code == 3, ret_operator);
}

static void status_tell_end(ServiceStatus *now, const Death *d)
{
        if (!d->happened || !d->known)
                return;
        now->exited = true;
        now->exit_code = WIFEXITED(d->status) ? WEXITSTATUS(d->status) : 0;
        now->signal = WIFSIGNALED(d->status) ? WTERMSIG(d->status) : 0;
        now->core = WIFSIGNALED(d->status) && WCOREDUMP(d->status);
}

/* The look is over. */
static void look_end(StatusSource *s, RunState run, bool operator_stop, const char *result)
{
        ServiceStatus now = {
                .run = run,
                .invocation = *s->invocation ? s->invocation : NULL,
                .result = result,
                .main_pid = s->id.pid,
                .operator_stop = operator_stop,
                .started_by_other = s->by_other,
                .n_restarts = s->n_restarts,
        };

        if (run == RUN_FAILED)
                status_tell_end(&now, &s->end);
        s->end = (Death){};
        s->ran = s->ran || run == RUN_RUNNING;
        s->looked = true;
        timer_set(s, s->again ? 0 : STATUS_INTERVAL);
        report(s, &now);
        s->force = s->again; /* who asked meanwhile asked for what is so now */
        s->again = false;
}

static void on_run(void *userdata, const RunResult *result)
{
        StatusSource *s = userdata;
        char word[64];
        bool operator_stop;

        s->run = NULL;
        if (result->error != 0 || result->timed_out || result->signal != 0) {
                look_end(s, RUN_UNKNOWN, false, result->timed_out ? "status-timeout" : "status-error");
                return;
        }
        snprintf(word, sizeof(word), "status-%d", result->exit_code);
        RunState run = run_of_exit(s, result->exit_code, &operator_stop);
        look_end(s, run, operator_stop, run == RUN_RUNNING ? "success" : word);
}

/* Without a status program: the process of the pidfile is the service. */
static void pidfile_decides(StatusSource *s)
{
        bool operator_stop = false;
        RunState run = s->id.pid > 0 ? RUN_RUNNING : run_of_stopped(s, true, &operator_stop);

        look_end(s, run, operator_stop, run == RUN_RUNNING ? "success" : "no-process");
}

static void status_run(StatusSource *s)
{
        const ServiceSettings *settings = s->context.settings;
        const RunSpec spec = { .name = "status", .argv = settings->status, .timeout = STATUS_TIMEOUT };

        if (!settings->status) {
                pidfile_decides(s);
                return;
        }
        int r = runner_start(s->runner, &spec, on_run, s, &s->run);
        if (r < 0) {
                s->run = NULL;
                look_end(s, RUN_UNKNOWN, false, "status-error");
        }
}

static int on_death(sd_event_source *death, int fd, uint32_t revents, void *userdata)
{
        StatusSource *s = userdata;
        int status = 0;
        bool known;

        (void)death;
        (void)fd;
        (void)revents;
        s->death = sd_event_source_disable_unref(s->death);
        known = process_exit_status(s->procfd, &s->id, s->pidfd, &status) == 0;
        s->end = (Death){ .happened = !s->ours, .known = known, .status = status };
        if (s->ours || death_is_crash(&s->end))
                look_begin(s);
        else if (!s->look && !s->run)
                timer_set(s, STATUS_GRACE);
        else
                s->again = true;
        return 0;
}

/* Another process has the place of one that ended without our doing. */
static void report_restart(StatusSource *s)
{
        ServiceStatus now = { .run = RUN_RESTARTING,
                              .invocation = *s->invocation ? s->invocation : NULL,
                              .result = "restarted",
                              .n_restarts = s->n_restarts++ };

        status_tell_end(&now, &s->end);
        report(s, &now);
}

static void status_take_process(StatusSource *s, PidfileResult *result)
{
        char invocation[sizeof(s->invocation)];
        bool restarted = s->end.happened && result->id.pid > 0;

        if (restarted)
                report_restart(s);
        s->death = sd_event_source_disable_unref(s->death);
        closep(&s->pidfd);
        s->pidfd = TAKE_FD(result->pidfd);
        s->id = result->id;
        if (s->pidfd >= 0 && sd_event_add_io(s->context.event, &s->death, s->pidfd, EPOLLIN, on_death, s) < 0)
                s->death = NULL; /* then its end is noticed at the next look */
        if (s->id.pid <= 0)
                return;
        snprintf(invocation, sizeof(invocation), "%d-%" PRIu64, s->id.pid, s->id.start);
        s->by_other = s->looked && !s->ours && !restarted && strcmp(invocation, s->started) != 0;
        memcpy(s->invocation, invocation, sizeof(invocation));
}

/* Follows the process that the pidfile names now. */
static void on_pidfile(void *userdata, PidfileResult *result)
{
        StatusSource *s = userdata;
        bool same = result->id.pid == s->id.pid && result->id.start == s->id.start;

        s->look = NULL;
        s->pidfile = result->exists;
        if (!same)
                status_take_process(s, result);
        status_run(s);
}

static void look_begin(StatusSource *s)
{
        const char *pidfile = s->context.settings->pidfile;

        if (s->look || s->run) {
                s->again = true;
                return;
        }
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (!pidfile)
                status_run(s);
        else if (pidfile_look(&s->look, s->worker, pidfile, on_pidfile, s) < 0)
                timer_set(s, STATUS_INTERVAL);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        (void)timer;
        (void)usec;
        look_begin(userdata);
        return 0;
}

static int status_refresh(Source *source)
{
        StatusSource *s = (StatusSource *)source;

        s->force = true;
        look_begin(s);
        return 0;
}

static void status_expect(Source *source, bool ours, const char *invocation)
{
        StatusSource *s = (StatusSource *)source;

        s->ours = ours;
        snprintf(s->started, sizeof(s->started), "%s", invocation ? invocation : "");
}

static Source *status_free(Source *source)
{
        StatusSource *s = (StatusSource *)source;

        s->look = pidfile_look_cancel(s->look);
        if (s->run)
                runner_cancel(s->runner, s->run);
        sd_event_source_disable_unref(s->timer);
        sd_event_source_disable_unref(s->death);
        closep(&s->pidfd);
        closep(&s->procfd);
        free(s);
        return NULL;
}

static const SourceOps status_ops = {
        .start = status_refresh,
        .refresh = status_refresh,
        .expect = status_expect,
        .free = status_free,
};

int status_source_new(Source **ret, const SourceContext *context, Runner *runner, Worker *worker)
{
        StatusSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &status_ops, .name = "status" };
        s->context = *context;
        s->runner = runner;
        s->worker = worker;
        s->pidfd = -1;
        s->procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (!context->settings->status && !context->settings->pidfile)
                return err_origin(-EINVAL);
        int r = sd_event_add_time_relative(context->event, &s->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC,
                                           on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(s->timer, "status");
        *ret = TAKE_PTR(source);
        return 0;
}
