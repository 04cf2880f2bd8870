/*
 * progress - how mail moves through the stores, by inotify
 *
 * Made by main, one for each service that has stores; read by the engine. It starts with a scan in the worker
 * (scan.c), which sets a mark on each directory and counts; from then on each notice of the kernel changes
 * the tally (tally.c), and a timer of 250 ms after the first change reports what has come of them. An idle
 * spool costs nothing.
 *
 * While a scan runs, notices stay in the kernel's queue, to be replayed on what the scan has found. What
 * makes it scan:
 *
 *     start, refresh                  everything, as a new beginning
 *     queue overflow, a directory     everything; the difference to the tally before is what has moved
 *     moved away, no memory, an error
 *     a new sub-directory             that sub-directory
 *
 * When marks cannot be had, or a store lies on a network file system, it counts every 30 s instead and says
 * so. When a store's directory is missing, or a scan failed, it tries again after 5 s and reports nothing of
 * what it can't see.
 */
#include "observe/progress.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "observe/arrivals.h"
#include "observe/scan.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define REPORT_DELAY (250 * USEC_PER_MSEC)
#define RETRY_DELAY  (5 * USEC_PER_SEC)
#define BUFFERS_MAX                                                                                          \
        16 /* a wake-up: more than the kernel's queue holds, but it must not keep the loop for ever */
#define POLL_INTERVAL (30 * USEC_PER_SEC)

typedef enum Want {
        WANT_NOTHING,
        WANT_ROOTS,      /* new sub-directories */
        WANT_DIFFERENCE, /* everything; what is different has moved */
        WANT_BEGINNING,  /* everything; nothing of it has moved */
} Want;

typedef struct ProgressSource {
        Source source;
        SourceContext context;
        Worker *worker;
        KeySeed seed;
        Tally **tallies; /* one for each store; NULL until counted */
        int fd;
        sd_event_source *io, *report, *rescan;
        ScanMark *marks;
        size_t n_marks, allocated;
        KeyMap by_wd; /* wd to index in marks */
        Scan *scan;
        Want running, want; /* of the scan under way; of the next one */
        ScanMark *roots;    /* for WANT_ROOTS */
        size_t n_roots;
        const char *note;
        Arrivals *arrivals; /* NULL: nobody asks who arrives */
} ProgressSource;

static void scan_want(ProgressSource *p, Want want);

static void store_report(ProgressSource *p, size_t store, const ProgressStatus *status)
{
        Observation o = { .kind = OBSERVATION_PROGRESS, .progress = *status };

        o.progress.store = store;
        source_emit(&p->context, &o);
}

static int on_report(sd_event_source *timer, uint64_t usec, void *userdata)
{
        ProgressSource *p = userdata;

        (void)timer;
        (void)usec;
        arrivals_look(p->arrivals);
        for (size_t i = 0; p->tallies && i < p->context.settings->n_stores; i++) {
                ProgressStatus status;
                tally_look(p->tallies[i], &status);
                if (status.moved)
                        store_report(p, i, &status);
        }
        return 0;
}

static int timer_arm(sd_event_source *timer, usec_t delay)
{
        int r = sd_event_source_set_time_relative(timer, delay);

        return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* Reports soon, unless that is under way already. */
static void report_soon(ProgressSource *p)
{
        if (sd_event_source_get_enabled(p->report, NULL) == 0)
                (void)timer_arm(p->report, REPORT_DELAY);
}

static int on_rescan(sd_event_source *timer, uint64_t usec, void *userdata)
{
        (void)timer;
        (void)usec;
        scan_want(userdata, WANT_DIFFERENCE);
        return 0;
}

/* A full scan after @delay; an earlier one that is due stays. */
static void rescan_later(ProgressSource *p, usec_t delay)
{
        if (sd_event_source_get_enabled(p->rescan, NULL) == 0)
                (void)timer_arm(p->rescan, delay);
}

/* Marks */

static void marks_clear(ProgressSource *p)
{
        p->io = sd_event_source_disable_unref(p->io);
        closep(&p->fd);
        p->fd = -1;
        scan_marks_free(p->marks, p->n_marks);
        p->marks = NULL;
        p->n_marks = p->allocated = 0;
        keymap_clear(&p->by_wd);
}

/* Takes all marks of @result over. */
static int marks_adopt(ProgressSource *p, ScanResult *result)
{
        if (p->n_marks + result->n_marks > p->allocated) {
                size_t n = 2 * (p->n_marks + result->n_marks);
                ScanMark *bigger = reallocarray(p->marks, n, sizeof(*bigger));
                if (!bigger)
                        return err_origin(-ENOMEM);
                p->marks = bigger;
                p->allocated = n;
        }
        for (size_t i = 0; i < result->n_marks; i++) {
                ScanMark *mark = &result->marks[i];
                uint64_t *index = keymap_put(&p->by_wd, (uint64_t)mark->wd);
                if (!index)
                        return err_origin(-ENOMEM);
                *index = p->n_marks;
                p->marks[p->n_marks++] = (ScanMark){ mark->wd, mark->store, mark->dir, TAKE_PTR(mark->path) };
        }
        return 0;
}

static const ScanMark *mark_find(const ProgressSource *p, int wd)
{
        const uint64_t *index = keymap_get(&p->by_wd, (uint64_t)wd);

        return index ? &p->marks[*index] : NULL;
}

/* The kernel has dropped a mark. Its place in the list is filled by the last one. */
static void mark_forget(ProgressSource *p, int wd)
{
        const uint64_t *found = keymap_get(&p->by_wd, (uint64_t)wd);

        if (!found)
                return;
        size_t i = *found;
        /* Without the top directory of a store nothing is seen: look whether another one has come in its
         * place. */
        if (*p->marks[i].path == 0)
                rescan_later(p, RETRY_DELAY);
        free(p->marks[i].path);
        keymap_drop(&p->by_wd, (uint64_t)wd);
        p->marks[i] = p->marks[--p->n_marks];
        if (i < p->n_marks)
                *keymap_get(&p->by_wd, (uint64_t)p->marks[i].wd) = i;
}

/* Notices */

static int root_add(ProgressSource *p, const ScanMark *mark, const char *path)
{
        ScanMark *bigger = reallocarray(p->roots, p->n_roots + 1, sizeof(*bigger));

        if (!bigger)
                return err_origin(-ENOMEM);
        p->roots = bigger;
        char *copy = strdup(path);
        if (!copy)
                return err_origin(-ENOMEM);
        p->roots[p->n_roots++] = (ScanMark){ -1, mark->store, mark->dir, copy };
        return 0;
}

/* A sub-directory that is no message came or went. */
static int directory_notice(ProgressSource *p, const ScanMark *mark, const char *path, uint32_t mask)
{
        int r;

        if (mask & IN_MOVED_FROM) {
                /* What was in it has gone with it, without a notice for each. */
                scan_want(p, WANT_DIFFERENCE);
                return 0;
        }
        if (!(mask & (IN_CREATE | IN_MOVED_TO)))
                return 0;
        r = root_add(p, mark, path);
        if (r < 0)
                return err_trace(r);
        scan_want(p, WANT_ROOTS);
        return 0;
}

static int entry_notice(ProgressSource *p, const ScanMark *mark, const char *name, uint32_t mask)
{
        bool directory = mask & IN_ISDIR, wanted = p->context.settings->stores[mark->store].layout.directory;
        Tally *tally = p->tallies[mark->store];
        _cleanup_(freep) char *path = NULL;
        int r = 0;

        if (asprintf(&path, "%s%s%s", mark->path, *mark->path ? "/" : "", name) < 0)
                return err_origin(-ENOMEM);
        if (directory && !(wanted && tally_concerns(tally, path) > 0))
                return directory_notice(p, mark, path, mask);
        if (directory != wanted)
                return 0;
        if (mask & (IN_CREATE | IN_MOVED_TO))
                r = tally_add(tally, mark->dir, path);
        else if (mask & (IN_DELETE | IN_MOVED_FROM))
                r = tally_remove(tally, mark->dir, path);
        else if (mask & IN_CLOSE_WRITE)
                tally_touch(tally, mark->dir, path);
        if (p->arrivals && mask & (IN_CLOSE_WRITE | IN_MOVED_TO) && tally_concerns(tally, path) > 0)
                arrivals_note(p->arrivals, mark->store, mark->dir, path);
        report_soon(p);
        return r < 0 ? err_trace(r) : 0;
}

static int notice(ProgressSource *p, const struct inotify_event *e)
{
        const ScanMark *mark;

        if (e->mask & IN_Q_OVERFLOW) {
                scan_want(p, WANT_DIFFERENCE);
                return 0;
        }
        if (e->mask & IN_IGNORED) {
                mark_forget(p, e->wd);
                return 0;
        }
        mark = mark_find(p, e->wd);
        if (!mark)
                return 0;
        if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) {
                if (*mark->path == 0)
                        rescan_later(p, RETRY_DELAY);
                return 0;
        }
        return e->len > 0 ? entry_notice(p, mark, e->name, e->mask) : 0;
}

/* One buffer. Return: was it full of notices, so that there may be more? */
static bool notices_read(ProgressSource *p, int fd)
{
        char buffer[64 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(fd, buffer, sizeof(buffer));

        for (ssize_t i = 0; i < n;) {
                const struct inotify_event *e = (const struct inotify_event *)(buffer + i);
                if (notice(p, e) < 0)
                        rescan_later(p, RETRY_DELAY);
                i += (ssize_t)sizeof(*e) + e->len;
        }
        return n > (ssize_t)sizeof(buffer) / 2;
}

static int on_notices(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        (void)io;
        (void)revents;
        for (unsigned i = 0; i < BUFFERS_MAX && notices_read(userdata, fd); i++)
                ;
        return 0;
}

/* Scans */

/* What has moved since the last scan; of a beginning nothing has. */
static void status_report(ProgressSource *p, ScanResult *result)
{
        for (size_t i = 0; i < p->context.settings->n_stores; i++)
                if (!result->before || result->status[i].moved)
                        store_report(p, i, &result->status[i]);
}

/* A scan of everything has ended: its marks and tallies take the place of the old ones. */
static int everything_adopt(ProgressSource *p, ScanResult *result)
{
        int r;

        marks_clear(p);
        r = marks_adopt(p, result);
        if (r < 0)
                return err_trace(r);
        status_report(p, result);
        scan_tallies_free(p->tallies, p->context.settings->n_stores);
        p->tallies = TAKE_PTR(result->tallies);
        p->fd = TAKE_FD(result->fd);
        p->note = result->note;
        if (p->fd < 0)
                return 0;
        r = sd_event_add_io(p->context.event, &p->io, p->fd, EPOLLIN, on_notices, p);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(p->io, "progress");
        /* Nothing here is urgent: a busy spool is read in large pieces, some ten a second. */
        (void)sd_event_source_set_ratelimit(p->io, 100 * USEC_PER_MSEC, 2);
        return 0;
}

static int roots_adopt(ProgressSource *p, ScanResult *result)
{
        int r = marks_adopt(p, result);

        for (size_t i = 0; r == 0 && i < p->context.settings->n_stores; i++)
                r = tally_merge(p->tallies[i], result->tallies[i]);
        if (result->note)
                p->note = result->note;
        report_soon(p);
        return r;
}

static void on_scan(void *userdata, int r, ScanResult *result)
{
        ProgressSource *p = userdata;
        bool adopted = false;

        p->scan = NULL;
        if (p->want != WANT_BEGINNING) {
                if (r >= 0)
                        r = p->running == WANT_ROOTS ? roots_adopt(p, result) : everything_adopt(p, result);
                adopted = r >= 0;
                if (r < 0 || result->missing)
                        rescan_later(p, RETRY_DELAY);
                if (r >= 0 && result->blind)
                        rescan_later(p, POLL_INTERVAL);
        }
        /* What was known before is still good for the notices that follow. */
        if (!adopted && !p->tallies)
                p->tallies = TAKE_PTR(result->before);
        p->running = WANT_NOTHING;
        if (p->io)
                (void)sd_event_source_set_enabled(p->io, SD_EVENT_ON);
        if (p->want != WANT_NOTHING)
                scan_want(p, p->want);
}

static int scan_begin(ProgressSource *p)
{
        ScanSpec spec = {
                .settings = p->context.settings,
                .owner = p->context.owner,
                .seed = p->seed,
                .fd = -1,
        };

        p->running = p->want;
        p->want = WANT_NOTHING;
        if (p->running == WANT_ROOTS) {
                spec.fd = p->fd;
                spec.n_roots = p->n_roots;
                spec.roots = TAKE_PTR(p->roots);
        } else {
                scan_marks_free(p->roots, p->n_roots);
                p->roots = NULL;
                (void)sd_event_source_set_enabled(p->rescan, SD_EVENT_OFF);
                if (p->running == WANT_DIFFERENCE)
                        spec.before = p->tallies;
        }
        p->n_roots = 0;
        if (p->io)
                (void)sd_event_source_set_enabled(p->io, SD_EVENT_OFF);
        int r = scan_start(&p->scan, p->worker, &spec, on_scan, p);
        if (r < 0) {
                p->running = WANT_NOTHING;
                if (p->io)
                        (void)sd_event_source_set_enabled(p->io, SD_EVENT_ON);
                rescan_later(p, RETRY_DELAY);
                return err_trace(r);
        }
        if (spec.before)
                p->tallies = NULL; /* the scan's until it has ended; no notice is read meanwhile */
        return 0;
}

/* Scans now, or after the scan under way; the greater wish includes the lesser. */
static void scan_want(ProgressSource *p, Want want)
{
        if (p->want < want)
                p->want = want;
        if (!p->scan)
                (void)scan_begin(p);
}

static int progress_refresh(Source *source)
{
        scan_want((ProgressSource *)source, WANT_BEGINNING);
        return 0;
}

static int progress_start(Source *source)
{
        ProgressSource *p = (ProgressSource *)source;

        p->want = WANT_BEGINNING;
        return scan_begin(p);
}

static Source *progress_free(Source *source)
{
        ProgressSource *p = (ProgressSource *)source;

        p->scan = scan_cancel(p->scan);
        sd_event_source_disable_unref(p->report);
        sd_event_source_disable_unref(p->rescan);
        marks_clear(p);
        keymap_deinit(&p->by_wd);
        arrivals_free(p->arrivals);
        scan_tallies_free(p->tallies, p->context.settings->n_stores);
        scan_marks_free(p->roots, p->n_roots);
        free(p);
        return NULL;
}

static const SourceOps progress_ops = {
        .start = progress_start,
        .refresh = progress_refresh,
        .free = progress_free,
};

static int timer_add(ProgressSource *p, sd_event_source **ret, sd_event_time_handler_t handler,
                     usec_t accuracy)
{
        int r = sd_event_add_time_relative(p->context.event, ret, CLOCK_MONOTONIC, 0, accuracy, handler, p);

        if (r < 0)
                return err_trace(r);
        return err_trace(sd_event_source_set_enabled(*ret, SD_EVENT_OFF));
}

int progress_source_new(Source **ret, const SourceContext *context, Worker *worker)
{
        ProgressSource *p = calloc(1, sizeof(*p));
        _cleanup_(source_freep) Source *source = (Source *)p;

        if (!p)
                return err_origin(-ENOMEM);
        p->source = (Source){ .ops = &progress_ops, .name = "progress" };
        p->context = *context;
        p->worker = worker;
        p->fd = -1;
        key_seed_init(&p->seed);
        int r = timer_add(p, &p->report, on_report, 10 * USEC_PER_MSEC);
        if (r >= 0)
                r = timer_add(p, &p->rescan, on_rescan, USEC_PER_SEC);
        if (r >= 0 && context->settings->recovery.arrival)
                r = arrivals_new(&p->arrivals, &p->context, worker);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(source);
        return 0;
}

const char *progress_source_note(const Source *source)
{
        return source->ops == &progress_ops ? ((const ProgressSource *)source)->note : NULL;
}
