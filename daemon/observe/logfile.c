/*
 * logfile - follows log files for all services
 *
 * Made by main: one reader, and one source for each service that has rules on files. inotify wakes the loop,
 * the loop hands a turn to the worker (log_turn.c), and what it found is reported when it is done.
 *
 * A log that is written to all the time costs one wake-up in PAUSE, not one for each line: after events were
 * read, inotify is not polled for as long. Where it cannot watch, turns come every few seconds.
 *
 * A turn that fails (no memory) is tried again every RETRY. Test: tests/unit/test_logfile.c.
 */
#include "observe/logfile.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/log_turn.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define PAUSE (20 * USEC_PER_MSEC)
#define RETRY (5 * USEC_PER_SEC)

typedef struct LogSource LogSource;

/* One log of one service. */
typedef struct Follower {
        LogSource *source;
        char *base; /* the log's name */
        LogPlace *place;
        LogTurn *turn; /* under way */
        bool again, look;
        usec_t wake; /* monotonic: another turn then */
        int *wds;
        size_t n_wds;
} Follower;

struct LogSource {
        Source source;
        SourceContext context;
        LogReader *reader;
        Follower *followers;
        size_t n;
        bool started;
};

struct LogReader {
        LogReaderSpec spec;
        char *state_dir;
        LogWatch *watch;
        LogSource **sources;
        size_t n;
        sd_event_source *io, *timer, *pause;
};

static void follower_turn(Follower *f);

/* --- time --- */

static void timer_set(LogReader *r)
{
        usec_t first = USEC_INFINITY;

        for (size_t i = 0; i < r->n; i++)
                for (size_t k = 0; k < r->sources[i]->n; k++)
                        if (r->sources[i]->followers[k].wake < first)
                                first = r->sources[i]->followers[k].wake;
        if (first == USEC_INFINITY) {
                (void)sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time(r->timer, first);
        (void)sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        LogReader *r = userdata;
        usec_t now = now_read().mono;

        (void)timer;
        (void)usec;
        for (size_t i = 0; i < r->n; i++)
                for (size_t k = 0; k < r->sources[i]->n; k++)
                        if (r->sources[i]->followers[k].wake <= now)
                                follower_turn(&r->sources[i]->followers[k]);
        timer_set(r);
        return 0;
}

static int on_pause(sd_event_source *timer, uint64_t usec, void *userdata)
{
        LogReader *r = userdata;

        (void)timer;
        (void)usec;
        (void)sd_event_source_set_enabled(r->io, SD_EVENT_ON);
        return 0;
}

/* --- events --- */

static bool follower_watches(const Follower *f, int wd)
{
        for (size_t i = 0; i < f->n_wds; i++)
                if (f->wds[i] == wd)
                        return true;
        return false;
}

static void follower_hear(Follower *f, const struct inotify_event *e)
{
        bool all = e->mask & IN_Q_OVERFLOW;

        /* What a turn under way has just begun to watch is not known here yet. */
        if (!all && !f->turn && !follower_watches(f, e->wd))
                return;
        if (!all && e->len > 0 && !log_family_has(f->base, e->name))
                return; /* somebody else's file in that directory */
        f->look |= all || !(e->mask & IN_MODIFY);
        f->again = true;
}

static int on_events(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        LogReader *r = userdata;
        char buffer[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(fd, buffer, sizeof(buffer));

        (void)io;
        (void)revents;
        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *e = (const struct inotify_event *)(buffer + at);

                for (size_t i = 0; i < r->n; i++)
                        for (size_t k = 0; k < r->sources[i]->n; k++)
                                follower_hear(&r->sources[i]->followers[k], e);
                at += (ssize_t)(sizeof(*e) + e->len);
        }
        for (size_t i = 0; i < r->n; i++)
                for (size_t k = 0; k < r->sources[i]->n; k++)
                        if (r->sources[i]->followers[k].again)
                                follower_turn(&r->sources[i]->followers[k]);
        (void)sd_event_source_set_enabled(r->io, SD_EVENT_OFF);
        (void)sd_event_source_set_time_relative(r->pause, PAUSE);
        (void)sd_event_source_set_enabled(r->pause, SD_EVENT_ONESHOT);
        return 0;
}

/* --- turns --- */

static void turn_report(const Follower *f, const LogTurn *t)
{
        for (size_t i = 0; i < t->hits.n; i++) {
                const LogHit *h = &t->hits.list[i];
                const Observation o = {
                        .kind = OBSERVATION_LOG,
                        .log = { .source = RULE_SOURCE_FILE,
                                 .kind = h->kind,
                                 .rule = h->rule,
                                 .text = h->text,
                                 .id = h->id,
                                 .pid = h->pid,
                                 .cursor = h->cursor,
                                 .wall = h->wall },
                };

                source_emit(&f->source->context, &o);
        }
}

static void on_turn(Job *job, int result)
{
        LogTurn *t = (LogTurn *)job;
        Follower *f = t->userdata;

        if (!f) {
                /* The source has gone; what it left is ours to release. */
                log_place_free(t->place);
                log_turn_free(t);
                return;
        }
        f->turn = NULL;
        if (t->wds) {
                free(f->wds);
                f->wds = TAKE_PTR(t->wds);
                f->n_wds = t->n_wds;
        }
        f->look |= t->look || result < 0;
        if (result < 0 && t->wake > RETRY)
                t->wake = RETRY;
        f->wake = t->wake == USEC_INFINITY ? USEC_INFINITY : usec_add(now_read().mono, t->wake);
        turn_report(f, t);
        if (f->again || (result >= 0 && t->more))
                follower_turn(f);
        log_turn_free(t);
        timer_set(f->source->reader);
}

/* The worker goes; the source may have gone before, or goes after it. */
static void on_turn_dropped(Job *job)
{
        LogTurn *t = (LogTurn *)job;
        Follower *f = t->userdata;

        if (f)
                f->turn = NULL;
        else
                log_place_free(t->place);
        log_turn_free(t);
}

/* Reads now, or once more after the turn under way. */
static void follower_turn(Follower *f)
{
        LogTurn *t;

        f->again = f->turn;
        if (f->turn)
                return;
        t = calloc(1, sizeof(*t));
        f->wake = USEC_INFINITY;
        if (t) {
                *t = (LogTurn){ .place = f->place, .look = f->look, .userdata = f };
                t->job.run = log_turn_run;
                t->job.done = on_turn;
                t->job.dropped = on_turn_dropped;
        }
        if (!t || worker_submit(f->source->reader->spec.worker, &t->job) < 0) {
                log_turn_free(t);
                f->wake = usec_add(now_read().mono, RETRY);
                return;
        }
        f->turn = t;
        f->look = false;
}

/* --- the reader --- */

static int reader_listen(LogReader *r)
{
        int k = sd_event_add_time(r->spec.event, &r->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, r);

        if (k >= 0)
                k = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (k >= 0)
                k = sd_event_add_time(r->spec.event, &r->pause, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_pause,
                                      r);
        if (k >= 0)
                k = sd_event_source_set_enabled(r->pause, SD_EVENT_OFF);
        if (k >= 0 && log_watch_fd(r->watch) >= 0)
                k = sd_event_add_io(r->spec.event, &r->io, log_watch_fd(r->watch), EPOLLIN, on_events, r);
        return k < 0 ? err_origin(k) : 0;
}

int log_reader_new(LogReader **ret, const LogReaderSpec *spec)
{
        LogReader *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return err_origin(-ENOMEM);
        r->spec = *spec;
        r->state_dir = strdup_null(spec->state_dir);
        k = spec->state_dir && !r->state_dir ? err_origin(-ENOMEM) : log_watch_new(&r->watch);
        if (k >= 0)
                k = reader_listen(r);
        if (k < 0) {
                log_reader_free(r);
                return err_trace(k);
        }
        (void)sd_event_source_set_description(r->timer, "logfile-timer");
        (void)sd_event_source_set_description(r->pause, "logfile-pause");
        if (r->io)
                (void)sd_event_source_set_description(r->io, "logfile");
        *ret = r;
        return 0;
}

LogReader *log_reader_free(LogReader *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->io);
        sd_event_source_disable_unref(r->timer);
        sd_event_source_disable_unref(r->pause);
        log_watch_unref(r->watch);
        free(r->sources);
        free(r->state_dir);
        free(r);
        return NULL;
}

/* --- sources --- */

static int logfile_start(Source *source)
{
        LogSource *s = (LogSource *)source;
        LogReader *r = s->reader;
        LogSource **bigger;

        if (s->started)
                return 0;
        bigger = reallocarray(r->sources, r->n + 1, sizeof(*bigger));
        if (!bigger)
                return err_origin(-ENOMEM);
        r->sources = bigger;
        r->sources[r->n++] = s;
        s->started = true;
        for (size_t i = 0; i < s->n; i++)
                follower_turn(&s->followers[i]);
        return 0;
}

static int logfile_refresh(Source *source)
{
        LogSource *s = (LogSource *)source;

        for (size_t i = 0; s->started && i < s->n; i++)
                follower_turn(&s->followers[i]);
        return 0;
}

static Source *logfile_free(Source *source)
{
        LogSource *s = (LogSource *)source;
        LogReader *r = s->reader;

        for (size_t i = 0; i < r->n; i++)
                if (r->sources[i] == s) {
                        r->sources[i] = r->sources[--r->n];
                        break;
                }
        for (size_t i = 0; i < s->n; i++) {
                Follower *f = &s->followers[i];

                if (f->turn) {
                        atomic_store(&f->turn->job.cancel, true);
                        f->turn->userdata = NULL;
                } else {
                        log_place_free(f->place);
                }
                free(f->wds);
                free(f->base);
        }
        free(s->followers);
        free(s);
        return NULL;
}

static const SourceOps logfile_ops = {
        .start = logfile_start,
        .refresh = logfile_refresh,
        .free = logfile_free,
};

static bool path_is_first(const ServiceSettings *s, size_t i)
{
        for (size_t k = 0; k < i; k++)
                if (s->rules[k].source == RULE_SOURCE_FILE && streq_null(s->rules[k].path, s->rules[i].path))
                        return false;
        return true;
}

static int follower_add(LogSource *s, const char *path)
{
        const LogReader *r = s->reader;
        const LogSpec spec = { .settings = s->context.settings,
                               .owner = s->context.owner,
                               .path = path,
                               .line_max = r->spec.line_max,
                               .line_wait = r->spec.line_wait,
                               .state_dir = r->state_dir,
                               .disk = r->spec.disk,
                               .watch = r->watch };
        Follower *f = &s->followers[s->n];
        const char *slash = strrchr(path, '/');
        int k;

        *f = (Follower){ .source = s, .wake = USEC_INFINITY, .base = strdup(slash ? slash + 1 : path) };
        if (!f->base)
                return err_origin(-ENOMEM);
        k = log_place_new(&f->place, &spec);
        if (k < 0) {
                free(f->base);
                return err_trace(k);
        }
        s->n++;
        return 0;
}

int logfile_source_new(Source **ret, const SourceContext *context, LogReader *reader)
{
        const ServiceSettings *settings = context->settings;
        LogSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &logfile_ops, .name = "logfile" };
        s->context = *context;
        s->reader = reader;
        s->followers = calloc(settings->n_rules + 1, sizeof(*s->followers));
        if (!s->followers)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < settings->n_rules; i++) {
                int r;

                if (settings->rules[i].source != RULE_SOURCE_FILE || !path_is_first(settings, i))
                        continue;
                r = follower_add(s, settings->rules[i].path);
                if (r < 0)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(source);
        return 0;
}
