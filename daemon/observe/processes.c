/*
 * processes - looks at the processes of a service while something is suspicious
 *
 * Made by main. It asks inflight what has been open and for how long; the first look comes when a message
 * has been held for a quarter of stall.after, or when the engine asks for it, and then every eighth. When
 * nothing is suspicious any more, an empty look says so, and the timer stands still until a message file is
 * opened or the engine asks. On a busy spool, where files are opened and closed all the time, that is one
 * wake-up in a quarter of stall.after.
 *
 * Without inflight's marks (no permission, no file handles) it looks once a second while mail waits, and
 * remembers what was open: a process that dies between two looks with a file that it opened since is not
 * known to have had it.
 *
 * A service with limits is looked at all the time, four times in limits.for.
 *
 * Looks are made in a worker, one at a time; one that takes long delays the next. Fails only when it is made.
 * Test: tests/unit/test_processes.c.
 */
#include "observe/processes.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "observe/process_look.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PART    4 /* of stall.after */
#define INTERVAL_PART 8
#define INTERVAL_MIN  (250 * USEC_PER_MSEC)
#define INTERVAL_MAX  USEC_PER_MIN
#define BLIND         USEC_PER_SEC /* without inflight's marks */
#define LIMITS_PART   4            /* of limits.for */

typedef struct ProcessesSource ProcessesSource;

typedef struct LookJob {
        Job job;
        ProcessesSource *source; /* NULL: it has gone */
        const ServiceSettings *settings;
        Settings *owner; /* see SourceContext */
        ProcessesSpec spec;
        int procfd;
        LookHeld *held;
        size_t n_held;
        ProcessLook look;
} LookJob;

struct ProcessesSource {
        Source source;
        SourceContext context;
        ProcessesSpec spec;
        int procfd;
        sd_event_source *timer;
        bool armed;
        LookLevel level;
        LookJob *job;
        bool shown;       /* the last look was not empty */
        ProcessLook last; /* only without inflight's marks */
};

static usec_t interval_of(const ProcessesSource *s)
{
        usec_t t = s->context.settings->stall.after / INTERVAL_PART;

        return t < INTERVAL_MIN ? INTERVAL_MIN : t > INTERVAL_MAX ? INTERVAL_MAX : t;
}

static usec_t first_of(const ProcessesSource *s)
{
        return s->context.settings->stall.after / FIRST_PART;
}

/* How often because of limits; 0: there are none. */
static usec_t limits_interval(const ProcessesSource *s)
{
        const LimitSettings *l = &s->context.settings->limits;
        usec_t t = l->lasting / LIMITS_PART;

        if (l->cpu == 0 && l->memory == 0 && l->descriptors == 0)
                return 0;
        return t < INTERVAL_MIN ? INTERVAL_MIN : t > INTERVAL_MAX ? INTERVAL_MAX : t;
}

/* Does nothing tell of opens and closes? */
static bool is_blind(const ProcessesSource *s)
{
        return !s->spec.inflight || inflight_source_note(s->spec.inflight);
}

static void arm(ProcessesSource *s, usec_t delay)
{
        (void)sd_event_source_set_time_relative(s->timer, delay);
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
        s->armed = true;
}

/* --- one look --- */

static int look_run(Job *job)
{
        LookJob *j = (LookJob *)job; /* the job is its first member */
        LookSpec spec = { .procfd = j->procfd,
                          .settings = j->settings,
                          .held = j->held,
                          .n_held = j->n_held,
                          .cancel = &job->cancel };
        _cleanup_(freep) ProcId *list = NULL;
        int r = j->spec.processes(j->spec.userdata, &list, &spec.n_processes);

        if (r < 0)
                return err_trace(r);
        spec.processes = list;
        return err_trace(process_look(&spec, &j->look));
}

static void look_free(LookJob *j)
{
        for (size_t i = 0; i < j->n_held; i++)
                free(j->held[i].path);
        free(j->held);
        process_look_deinit(&j->look);
        settings_unref(j->owner);
        closep(&j->procfd);
        free(j);
}

static void emit(ProcessesSource *s, const ProcessesStatus *status)
{
        const Observation o = { .kind = OBSERVATION_PROCESSES, .processes = *status };

        s->shown = status->n > 0;
        source_emit(&s->context, &o);
}

/* What nobody has open is not open: its close was not heard of. */
static void forget_closed(ProcessesSource *s, const LookJob *j)
{
        for (size_t i = 0; i < j->n_held && !j->look.incomplete; i++)
                if (!j->held[i].found)
                        inflight_source_forget(s->spec.inflight, j->held[i].path, j->held[i].since);
}

static void look_done(Job *job, int r)
{
        LookJob *j = (LookJob *)job;
        ProcessesSource *s = j->source;

        if (s) {
                s->job = NULL;
                if (r >= 0)
                        forget_closed(s, j);
                /* A list that cannot be had says nothing; the next look tries again. */
                if (r >= 0 && is_blind(s)) {
                        process_look_deinit(&s->last);
                        s->last = j->look;
                        j->look = (ProcessLook){};
                        emit(s, &s->last.status);
                } else if (r >= 0) {
                        emit(s, &j->look.status);
                }
        }
        look_free(j);
}

static void look_dropped(Job *job)
{
        look_free((LookJob *)job);
}

static void on_held(void *userdata, const char *path, usec_t since)
{
        LookJob *j = userdata;
        LookHeld *bigger = reallocarray(j->held, j->n_held + 1, sizeof(*bigger));
        char *copy = bigger ? strdup(path) : NULL;

        if (bigger)
                j->held = bigger;
        if (copy)
                j->held[j->n_held++] = (LookHeld){ .path = copy, .since = since };
}

static void look_begin(ProcessesSource *s)
{
        LookJob *j = s->job ? NULL : calloc(1, sizeof(*j));

        if (!j)
                return;
        *j = (LookJob){ .job = { .run = look_run, .done = look_done, .dropped = look_dropped },
                        .source = s,
                        .settings = s->context.settings,
                        .owner = s->context.owner ? settings_ref(s->context.owner) : NULL,
                        .spec = s->spec,
                        .procfd = fcntl(s->procfd, F_DUPFD_CLOEXEC, 3) };
        if (s->spec.inflight)
                inflight_source_held(s->spec.inflight, now_read().mono, on_held, j);
        if (j->procfd < 0 || worker_submit(s->spec.worker, &j->job) < 0)
                look_free(j);
        else
                s->job = j;
}

/* --- when --- */

/* Until the next look. With limits and nothing suspicious, the limits' own. */
static usec_t pace(const ProcessesSource *s, bool blind)
{
        usec_t t = interval_of(s);

        if (s->level == LOOK_NOT && limits_interval(s) > 0)
                return limits_interval(s) < t ? limits_interval(s) : t;
        return blind && t > BLIND ? BLIND : t;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        ProcessesSource *s = userdata;
        usec_t now = now_read().mono, oldest = USEC_INFINITY;
        bool blind = is_blind(s);

        (void)timer;
        (void)usec;
        s->armed = false;
        if (s->spec.inflight && s->context.settings->stall.enabled)
                oldest = inflight_source_oldest(s->spec.inflight);
        if (limits_interval(s) > 0 || s->level == LOOK_CLOSELY || (blind && s->level == LOOK_WAITING) ||
            (oldest != USEC_INFINITY && usec_add(oldest, first_of(s)) <= now)) {
                look_begin(s);
                arm(s, pace(s, blind));
                return 0;
        }
        if (s->shown)
                emit(s, &(ProcessesStatus){ .at = now });
        if (oldest != USEC_INFINITY)
                arm(s, usec_sub(usec_add(oldest, first_of(s)), now));
        return 0;
}

void processes_source_look(Source *source, LookLevel level)
{
        ProcessesSource *s = (ProcessesSource *)source;
        bool more = level > s->level;

        s->level = level;
        if (level == LOOK_CLOSELY && more)
                arm(s, 0);
        else if (more && is_blind(s) && !s->armed)
                arm(s, 0);
}

void processes_source_touch(Source *source)
{
        ProcessesSource *s = (ProcessesSource *)source;

        if (!s->armed && s->context.settings->stall.enabled)
                arm(s, first_of(s));
}

void processes_source_history(Source *source, bool mark, InflightHandler handler, void *userdata)
{
        ProcessesSource *s = (ProcessesSource *)source;

        for (size_t i = 0; handler && i < s->last.n; i++) {
                const ProcessSample *p = &s->last.list[i];
                ProcId now;

                if (!p->file || (proc_identify(s->procfd, p->id.pid, &now) == 0 && now.start == p->id.start))
                        continue; /* it lives: what it has open now tells */
                handler(userdata, &(InflightSeen){ .path = p->file, .open = true });
        }
        if (mark)
                process_look_deinit(&s->last);
}

/* --- the source --- */

/* Without limits there is nothing to do until somebody asks. */
static int processes_start(Source *source)
{
        ProcessesSource *s = (ProcessesSource *)source;

        if (limits_interval(s) > 0 && !s->armed)
                arm(s, limits_interval(s));
        return 0;
}

static Source *processes_free(Source *source)
{
        ProcessesSource *s = (ProcessesSource *)source;

        if (s->job) {
                s->job->source = NULL;
                atomic_store(&s->job->job.cancel, true);
        }
        sd_event_source_disable_unref(s->timer);
        process_look_deinit(&s->last);
        closep(&s->procfd);
        free(s);
        return NULL;
}

static const SourceOps processes_ops = {
        .start = processes_start,
        .refresh = processes_start,
        .free = processes_free,
};

int processes_source_new(Source **ret, const SourceContext *context, const ProcessesSpec *spec)
{
        ProcessesSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;
        int r;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &processes_ops, .name = "processes" };
        s->context = *context;
        s->spec = *spec;
        s->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->procfd < 0)
                return err_origin(-errno);
        r = sd_event_add_time_relative(context->event, &s->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC,
                                       on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return err_origin(r);
        (void)sd_event_source_set_description(s->timer, "processes");
        *ret = TAKE_PTR(source);
        return 0;
}
