/*
 * scan - marks and a tally of a service's stores, made in a worker thread
 *
 * Called by progress. The thread touches only what the job owns: the inotify descriptor is a new one, or a
 * duplicate of the source's; the tallies are new; the settings are kept alive by a reference that only the
 * loop takes and drops. So a source may go away at any moment, even while the disk does not answer.
 *
 * No more inotify marks, or a network file system: the scan goes on and says that it is blind. Any other
 * error ends it and is handed to done().
 *
 * Tests: tests/unit/test_progress.c.
 */
#include "observe/scan.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "observe/walk.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#define MARK_MASK                                                                                            \
        (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_DELETE_SELF |             \
         IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

struct Scan {
        Job job;
        ScanSpec spec;
        ScanResult result;
        size_t allocated; /* of result.marks */
        ScanDone done;    /* NULL once cancelled */
        void *userdata;
};

void scan_marks_free(ScanMark *marks, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(marks[i].path);
        free(marks);
}

void scan_tallies_free(Tally **tallies, size_t n)
{
        for (size_t i = 0; tallies && i < n; i++)
                tally_free(tallies[i]);
        free(tallies);
}

static void scan_free(Scan *s)
{
        if (!s)
                return;
        closep(&s->result.fd);
        scan_marks_free(s->result.marks, s->result.n_marks);
        scan_marks_free(s->spec.roots, s->spec.n_roots);
        scan_tallies_free(s->result.tallies, s->spec.settings->n_stores);
        scan_tallies_free(s->result.before, s->spec.settings->n_stores);
        free(s->result.status);
        settings_unref(s->spec.owner);
        free(s);
}

static inline void scan_freep(Scan **s)
{
        scan_free(*s);
}

static int mark_append(Scan *s, const WalkPlace *place, int wd)
{
        ScanResult *result = &s->result;

        if (result->n_marks == s->allocated) {
                size_t n = s->allocated ? 2 * s->allocated : 16;
                ScanMark *bigger = reallocarray(result->marks, n, sizeof(*bigger));
                if (!bigger)
                        return err_origin(-ENOMEM);
                result->marks = bigger;
                s->allocated = n;
        }
        char *path = strdup(place->path);
        if (!path)
                return err_origin(-ENOMEM);
        result->marks[result->n_marks++] = (ScanMark){ wd, place->store, place->dir, path };
        return 0;
}

static int on_directory(void *userdata, const WalkPlace *place, int fd)
{
        Scan *s = userdata;
        char link[32];

        if (s->result.fd < 0)
                return 0;
        /* By descriptor: a path could lead to another directory by now. */
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        int wd = inotify_add_watch(s->result.fd, link, MARK_MASK);
        if (wd >= 0)
                return mark_append(s, place, wd);
        if (errno != ENOSPC && errno != ENOENT)
                return err_origin(-errno);
        s->result.blind = true;
        s->result.note =
                errno == ENOSPC
                        ? "no inotify watches left (fs.inotify.max_user_watches): mail is counted every 30 s"
                        : "/proc is not mounted: mail is counted every 30 s";
        return 0;
}

static int on_entry(void *userdata, const WalkPlace *place, const char *path, bool is_directory)
{
        Scan *s = userdata;
        bool wanted = s->spec.settings->stores[place->store].layout.directory;

        s->job.progress++;
        if (is_directory != wanted)
                return 0;
        int r = tally_add(s->result.tallies[place->store], place->dir, path);
        if (r < 0 || !is_directory)
                return r;
        /* A message that is a directory is one thing; what lies in it is its own. */
        return tally_concerns(s->result.tallies[place->store], path);
}

static int scan_walk(Scan *s)
{
        static const WalkOps ops = { .directory = on_directory, .entry = on_entry };
        Walk walk = { .settings = s->spec.settings, .ops = &ops, .userdata = s, .cancel = &s->job.cancel };
        int r = 0;

        if (s->spec.fd < 0)
                r = walk_run(&walk, &(WalkPlace){ .path = NULL });
        for (size_t i = 0; r == 0 && i < s->spec.n_roots; i++) {
                const ScanMark *root = &s->spec.roots[i];
                r = walk_run(&walk, &(WalkPlace){ root->store, root->dir, root->path });
        }
        s->result.missing = walk.missing;
        if (walk.truncated || walk.remote) {
                s->result.blind = true;
                s->result.note = walk.remote ? "a network file system: mail is counted every 30 s"
                                             : "too many directories in a store: some are left out";
        }
        return r;
}

/* What is there now, and what of it has come or gone since the tallies before. */
static void scan_compare(Scan *s)
{
        for (size_t i = 0; i < s->spec.settings->n_stores; i++) {
                ProgressStatus *now = &s->result.status[i], before;

                tally_look(s->result.tallies[i], now);
                now->moved = false;
                now->arrived = now->departed = 0;
                if (!s->result.before)
                        continue;
                tally_look(s->result.before[i], &before);
                tally_difference(s->result.before[i], s->result.tallies[i], &now->arrived, &now->departed);
                now->arrived += before.arrived;
                now->departed += before.departed;
                now->moved = before.moved || now->arrived > 0 || now->departed > 0;
        }
}

static int scan_run(Job *job)
{
        Scan *s = (Scan *)job; /* the job is its first member */

        if (s->spec.fd < 0) {
                s->result.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
                if (s->result.fd < 0 && errno != EMFILE)
                        return err_origin(-errno);
                if (s->result.fd < 0) {
                        s->result.blind = true;
                        s->result.note = "no inotify instance left (fs.inotify.max_user_instances): mail is "
                                         "counted every 30 s";
                }
        }
        int r = scan_walk(s);
        if (r == 0 && s->spec.fd < 0)
                scan_compare(s);
        return r;
}

static void scan_done(Job *job, int r)
{
        Scan *s = (Scan *)job;

        if (s->done)
                s->done(s->userdata, r, &s->result);
        scan_free(s);
}

/* The worker goes; who waits for the scan has gone before. */
static void scan_dropped(Job *job)
{
        scan_free((Scan *)job);
}

static int scan_prepare(Scan *s)
{
        const ServiceSettings *settings = s->spec.settings;

        if (s->spec.fd >= 0) {
                s->result.fd = fcntl(s->spec.fd, F_DUPFD_CLOEXEC, 3);
                if (s->result.fd < 0)
                        return err_origin(-errno);
        }
        s->result.tallies = calloc(settings->n_stores + 1, sizeof(*s->result.tallies));
        s->result.status = calloc(settings->n_stores + 1, sizeof(*s->result.status));
        if (!s->result.tallies || !s->result.status)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < settings->n_stores; i++) {
                int r = tally_new(&s->result.tallies[i], &settings->stores[i], &settings->stall,
                                  &s->spec.seed);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

int scan_start(Scan **ret, Worker *worker, ScanSpec *spec, ScanDone done, void *userdata)
{
        _cleanup_(scan_freep) Scan *s = calloc(1, sizeof(*s));

        if (!s) {
                scan_marks_free(spec->roots, spec->n_roots);
                return err_origin(-ENOMEM);
        }
        s->spec = *spec;
        s->spec.owner = spec->owner ? settings_ref(spec->owner) : NULL;
        s->job.run = scan_run;
        s->job.done = scan_done;
        s->job.dropped = scan_dropped;
        s->result.fd = -1;
        s->done = done;
        s->userdata = userdata;
        int r = scan_prepare(s);
        if (r < 0)
                return err_trace(r);
        s->result.before = spec->before;
        r = worker_submit(worker, &s->job);
        if (r < 0) {
                s->result.before = NULL;
                return err_trace(r);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

Scan *scan_cancel(Scan *s)
{
        if (!s)
                return NULL;
        s->done = NULL;
        atomic_store(&s->job.cancel, true);
        return NULL;
}
