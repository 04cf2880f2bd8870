/*
 * inflight - message files that the service has open, by fanotify
 *
 * Made by main, one for each service with stores; asked by the engine (through main) when it collects
 * evidence and when a trial has ended. The kernel notifies of each open and close of a file in a store's
 * directories, with the file's handle, its name, and the process; nothing is opened for it, and notices are
 * read in one buffer a wake-up.
 *
 * Only processes of the service count, asked once for each; they are held by pidfd, so that the end of one is
 * seen, and a reused number is no longer it. A close in the moment of death is no close in good order:
 * inflight_table.c says when it is one, and a timer some 25 ms after a notice asks whether those that
 * have closed something are alive.
 *
 * The kernel folds equal notices into one, so an open and a close may come as one notice without an order. If
 * the process is alive, /proc/PID/fd decides; if it is dead, the file counts as open at death.
 *
 * Lost notices (the kernel's queue overflows) and files beyond the bound make the history incomplete until
 * the next mark.
 */
#include "observe/inflight.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "observe/child_ends.h"
#include "observe/fan_marks.h"
#include "observe/inflight_table.h"
#include "observe/process_end.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/stat.h>

#define SETTLE_DELAY    (25 * USEC_PER_MSEC)
#define EXPIRE_INTERVAL USEC_PER_MIN
#define STRANGER_KEEP   USEC_PER_SEC /* how long "not of the service" is believed of a number */
#define DRAIN_MAX       64           /* buffers: more than the kernel's queue holds */
#define PROCESSES_MAX   4096

typedef struct InflightSource InflightSource;

typedef struct Tracked {
        InflightSource *source;
        ProcId id;
        bool ours;
        char name[16]; /* of ours: comm */
        usec_t asked;
        int pidfd; /* -1: not ours, or it had gone already */
        sd_event_source *death;
} Tracked;

struct InflightSource {
        Source source;
        SourceContext context;
        InflightSpec spec;
        KeySeed seed;
        FanMarksJob *job;
        bool again;
        FanMarks marks; /* its fd is the source's own */
        int fd, procfd;
        sd_event_source *io, *timer;
        bool settling; /* the timer is set for a settling, not only to forget */
        Tracked **tracked;
        size_t n_tracked;
        KeyMap by_pid; /* to index in tracked */
        InflightTable table;
        ChildEnds ends;
        bool lost;      /* notices, since the last mark */
        usec_t read_at; /* when the present buffer was read */
        const char *note;
};

static usec_t now_mono(void)
{
        return now_read().mono;
}

static void timer_set(InflightSource *s, usec_t delay)
{
        (void)sd_event_source_set_time_relative(s->timer, delay);
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

/* Processes */

static void untrack(InflightSource *s, Tracked *t)
{
        uint64_t *found = keymap_get(&s->by_pid, (uint64_t)t->id.pid);
        size_t i = *found;

        keymap_drop(&s->by_pid, (uint64_t)t->id.pid);
        s->tracked[i] = s->tracked[--s->n_tracked];
        if (i < s->n_tracked)
                *keymap_get(&s->by_pid, (uint64_t)s->tracked[i]->id.pid) = i;
        sd_event_source_disable_unref(t->death);
        closep(&t->pidfd);
        free(t);
}

/* It has ended, and all its notices have been read. */
static void process_ended(InflightSource *s, Tracked *t, ProcessEnd end)
{
        int status;

        if (process_exit_status(s->procfd, &t->id, t->pidfd, &status) == 0)
                child_ends_add(&s->ends, t->id.pid, t->name, inflight_table_of(&s->table, t->id.pid), status);
        inflight_table_death(&s->table, t->id.pid, end == PROCESS_ENDED_WELL, now_mono());
        untrack(s, t);
}

static void drain(InflightSource *s);

static int on_death(sd_event_source *death, int fd, uint32_t revents, void *userdata)
{
        Tracked *t = userdata;
        InflightSource *s = t->source;

        (void)death;
        (void)revents;
        drain(s);
        ProcessEnd end = process_end(s->procfd, &t->id, fd);
        process_ended(s, t, end == PROCESS_LIVES ? PROCESS_ENDED : end);
        return 0;
}

static void name_read(const InflightSource *s, Tracked *t)
{
        _cleanup_(freep) char *text = NULL;
        char path[32];

        snprintf(path, sizeof(path), "%d/comm", t->id.pid);
        if (file_read_virtual(s->procfd, path, 64, &text, NULL) == 0)
                snprintf(t->name, sizeof(t->name), "%.*s", (int)strcspn(text, "\n"), text);
}

static void process_hold(InflightSource *s, Tracked *t)
{
        name_read(s, t);
        t->pidfd = proc_open(s->procfd, &t->id);
        if (t->pidfd < 0)
                t->pidfd = -1;
        else if (sd_event_add_io(s->context.event, &t->death, t->pidfd, EPOLLIN, on_death, t) < 0)
                t->death = NULL; /* then the timer notices its end */
}

/* The process of a notice, asked about if it is new. NULL on ENOMEM, or if there are too many. */
static Tracked *process_take(InflightSource *s, pid_t pid)
{
        const uint64_t *found = keymap_get(&s->by_pid, (uint64_t)pid);
        usec_t now = now_mono();

        if (found) {
                Tracked *t = s->tracked[*found];
                if (t->ours || usec_sub(now, t->asked) < STRANGER_KEEP)
                        return t;
                untrack(s, t);
        }
        Tracked **bigger = s->n_tracked < PROCESSES_MAX
                                   ? reallocarray(s->tracked, s->n_tracked + 1, sizeof(Tracked *))
                                   : NULL;
        if (!bigger)
                return NULL;
        s->tracked = bigger;
        Tracked *t = calloc(1, sizeof(*t));
        uint64_t *index = t ? keymap_put(&s->by_pid, (uint64_t)pid) : NULL;
        if (!index) {
                free(t);
                return NULL;
        }
        *index = s->n_tracked;
        s->tracked[s->n_tracked++] = t;
        *t = (Tracked){ .source = s, .id.pid = pid, .asked = now, .pidfd = -1 };
        /* Identified first: if the number changes hands in between, it is found not to be the one that was
         * asked about. */
        bool known = proc_identify(s->procfd, pid, &t->id) == 0;
        t->id.pid = pid;
        t->ours = s->spec.belongs(s->spec.userdata, pid);
        if (t->ours && known)
                process_hold(s, t);
        return t;
}

/* Notices */

typedef struct Notice {
        uint64_t file, directory; /* keys, 0 if not told */
        const char *name;
} Notice;

static void info_read(const InflightSource *s, const struct fanotify_event_info_header *h, Notice *ret)
{
        const struct fanotify_event_info_fid *fid = (const struct fanotify_event_info_fid *)h;
        const struct file_handle *handle = (const struct file_handle *)fid->handle;
        uint64_t key;

        if (h->info_type != FAN_EVENT_INFO_TYPE_FID && h->info_type != FAN_EVENT_INFO_TYPE_DFID_NAME)
                return;
        key = fan_key(&s->seed, &fid->fsid, handle->handle_type, handle->f_handle, handle->handle_bytes);
        if (h->info_type == FAN_EVENT_INFO_TYPE_FID) {
                ret->file = key;
                return;
        }
        ret->directory = key;
        ret->name = (const char *)handle->f_handle + handle->handle_bytes;
}

/* The file's name now. NULL: it is in no directory of a store, or there is no memory. Caller frees. */
static char *notice_path(const InflightSource *s, const Notice *n)
{
        const uint64_t *index = n->directory ? keymap_get(&s->marks.by_key, n->directory) : NULL;
        char *path;

        if (!index || asprintf(&path, "%s/%s", s->marks.paths[*index], n->name) < 0)
                return NULL;
        return path;
}

/* @event is the whole notice, its head @m included. */
static void notice_take(InflightSource *s, const struct fanotify_event_metadata *m, const char *event)
{
        const char *p = event + m->metadata_len, *end = event + m->event_len;
        Notice n = { .file = 0 };

        if (m->mask & FAN_Q_OVERFLOW) {
                s->lost = true;
                return;
        }
        if (m->pid == getpid() || m->pid <= 0)
                return;
        while (p + sizeof(struct fanotify_event_info_header) <= end) {
                const struct fanotify_event_info_header *h = (const struct fanotify_event_info_header *)p;
                if (h->len == 0)
                        break;
                info_read(s, h, &n);
                p += h->len;
        }
        _cleanup_(freep) char *path = notice_path(s, &n);
        if (!n.file || !path)
                return;
        const Tracked *t = process_take(s, m->pid);
        if (!t)
                s->lost = true;
        if (!t || !t->ours)
                return;
        bool opened = m->mask & FAN_OPEN, closed = m->mask & FAN_CLOSE;
        if (opened && closed)
                (void)inflight_table_both(&s->table, n.file, path, m->pid, s->read_at);
        else if (opened)
                (void)inflight_table_open(&s->table, n.file, path, m->pid, s->read_at);
        else if (closed)
                (void)inflight_table_close(&s->table, n.file, path, m->pid);
}

/* One buffer. Return: were there notices in it? */
static bool notices_read(InflightSource *s)
{
        char buffer[64 * 1024] __attribute__((aligned(__alignof__(struct fanotify_event_metadata))));
        struct fanotify_event_metadata m;
        ssize_t n = s->fd < 0 ? 0 : read(s->fd, buffer, sizeof(buffer));

        s->read_at = now_mono();
        for (ssize_t i = 0; i + (ssize_t)sizeof(m) <= n; i += m.event_len) {
                memcpy(&m, buffer + i, sizeof(m)); /* the kernel aligns notices to four bytes only */
                if (m.event_len < sizeof(m) || i + (ssize_t)m.event_len > n)
                        break;
                notice_take(s, &m, buffer + i);
        }
        return n > 0;
}

static void drain(InflightSource *s)
{
        for (unsigned i = 0; i < DRAIN_MAX && notices_read(s); i++)
                ;
}

static int on_notices(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        InflightSource *s = userdata;

        (void)io;
        (void)fd;
        (void)revents;
        /* At once and piece by piece, though it costs wake-ups: what is read late is told without
         * an order. */
        (void)notices_read(s);
        /* Not put off by each notice: on a busy spool it would never come. */
        if (!s->settling)
                timer_set(s, SETTLE_DELAY);
        s->settling = true;
        if (s->spec.touched)
                s->spec.touched(s->spec.touched_data);
        return 0;
}

/* Settling */

/* Adds the keys of the paths that a process has open to @paths. */
static void fds_read(const InflightSource *s, pid_t pid, KeyMap *paths)
{
        _cleanup_(closedirp) DIR *d = NULL;
        char name[32], link[PATH_MAX];

        snprintf(name, sizeof(name), "%d/fd", pid);
        if (dir_stream_at(s->procfd, name, &d) < 0)
                return;
        for (const struct dirent *e; (e = readdir(d));) {
                ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link));
                if (n > 0 && n < (ssize_t)sizeof(link) && link[0] == '/')
                        (void)keymap_put(paths, key_of(&s->seed, 0, link, (size_t)n));
        }
}

static bool is_among(const InflightSource *s, const KeyMap *paths, const InflightFile *f)
{
        return keymap_get(paths, key_of(&s->seed, 0, f->path, strlen(f->path))) != NULL;
}

/* Decides about files of a living process whose last notice had no order. */
static void ambiguous_resolve(InflightSource *s, pid_t pid)
{
        KeyMap paths = { 0 };
        bool read = false;

        for (size_t i = 0; i < s->table.n_files; i++) {
                InflightFile *f = &s->table.files[i];
                if (!f->ambiguous || f->opener != pid)
                        continue;
                if (!read)
                        fds_read(s, pid, &paths);
                read = true;
                f->open = is_among(s, &paths, f);
        }
        keymap_deinit(&paths);
}

/* Asks after one that has closed something. Return: was it taken off the list (and others,
 * perhaps, moved)? */
static bool process_settle(InflightSource *s, Tracked *t)
{
        if (t->pidfd >= 0 && !inflight_table_is_closing(&s->table, t->id.pid))
                return false;
        ProcessEnd end = process_end(s->procfd, &t->id, t->pidfd);
        if (end == PROCESS_LIVES) {
                ambiguous_resolve(s, t->id.pid);
                inflight_table_alive(&s->table, t->id.pid, now_mono());
                return false;
        }
        /* It is just ending: its pidfd tells when, and by then it is known how. */
        if (end == PROCESS_ENDED && t->pidfd >= 0)
                return false;
        drain(s); /* its last notices may have come since */
        process_ended(s, t, end);
        return true;
}

/* Asks after each process of the service; forgets strangers. */
static void settle(InflightSource *s)
{
        for (size_t i = s->n_tracked; i > 0; i--) {
                Tracked *t = s->tracked[i - 1];
                if (t->ours && process_settle(s, t))
                        i = s->n_tracked + 1;
                else if (!t->ours && usec_sub(now_mono(), t->asked) >= STRANGER_KEEP)
                        untrack(s, t);
        }
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        InflightSource *s = userdata;

        (void)timer;
        (void)usec;
        s->settling = false;
        settle(s);
        inflight_table_expire(&s->table, now_mono());
        if (s->table.n_files > 0 || s->n_tracked > 0)
                timer_set(s, EXPIRE_INTERVAL);
        return 0;
}

/* Files whose close was never heard of (they were moved away before it): open only if some process
 * has them. */
static void stale_drop(InflightSource *s)
{
        KeyMap paths = { 0 };

        for (size_t i = 0; i < s->n_tracked; i++)
                if (s->tracked[i]->ours)
                        fds_read(s, s->tracked[i]->id.pid, &paths);
        for (size_t i = 0; i < s->table.n_files; i++) {
                InflightFile *f = &s->table.files[i];
                if (f->open > 0 && !keymap_get(&s->by_pid, (uint64_t)f->opener) && !is_among(s, &paths, f))
                        f->open = 0;
        }
        keymap_deinit(&paths);
}

void inflight_source_history(Source *source, InflightHandler handler, void *userdata)
{
        InflightSource *s = (InflightSource *)source;

        drain(s);
        settle(s);
        stale_drop(s);
        inflight_table_expire(&s->table, now_mono());
        bool whole = !s->lost && !s->table.overflow;
        for (size_t i = 0; i < s->table.n_files; i++) {
                const InflightFile *f = &s->table.files[i];
                const InflightSeen seen = {
                        .path = f->path,
                        .open = f->open > 0 || f->at_death,
                        .closed = f->closed && whole, /* else it may have been opened again, unheard */
                };
                if (seen.open || seen.closed)
                        handler(userdata, &seen);
        }
}

void inflight_source_mark(Source *source)
{
        InflightSource *s = (InflightSource *)source;

        drain(s);
        inflight_table_mark(&s->table, now_mono());
        s->lost = false;
}

usec_t inflight_source_oldest(const Source *source)
{
        return inflight_table_oldest(&((const InflightSource *)source)->table);
}

void inflight_source_held(const Source *source, usec_t before,
                          void (*handler)(void *userdata, const char *path, usec_t since), void *userdata)
{
        const InflightTable *t = &((const InflightSource *)source)->table;

        for (size_t i = 0; i < t->n_files; i++)
                if (t->files[i].open > 0 && t->files[i].opened <= before)
                        handler(userdata, t->files[i].path, t->files[i].opened);
}

void inflight_source_forget(Source *source, const char *path, usec_t since)
{
        InflightTable *t = &((InflightSource *)source)->table;

        for (size_t i = 0; i < t->n_files; i++)
                if (t->files[i].opened == since && strcmp(t->files[i].path, path) == 0)
                        t->files[i].open = 0;
}

bool inflight_source_is_complete(const Source *source)
{
        const InflightSource *s = (const InflightSource *)source;

        return s->fd >= 0 && !s->note && !s->lost && !s->table.overflow;
}

const char *inflight_source_note(const Source *source)
{
        return ((const InflightSource *)source)->note;
}

/* Marks */

static int marks_begin(InflightSource *s);

static int fd_take(InflightSource *s, int fd)
{
        s->fd = fd;
        int r = sd_event_add_io(s->context.event, &s->io, fd, EPOLLIN, on_notices, s);
        if (r < 0)
                return err_origin(r);
        (void)sd_event_source_set_description(s->io, "inflight");
        return 0;
}

static void on_marks(void *userdata, int r, FanMarks *marks)
{
        InflightSource *s = userdata;

        s->job = NULL;
        if (r >= 0 && marks->fd >= 0)
                r = fd_take(s, TAKE_FD(marks->fd));
        if (r >= 0) {
                drain(s); /* what came so far is told by the paths that were */
                s->note = marks->note;
                fan_marks_deinit(&s->marks);
                s->marks = *marks;
                *marks = (FanMarks){ .fd = -1 };
        } else {
                s->note = "the stores could not be watched for open files; the next refresh tries again";
        }
        if (s->again) {
                s->again = false;
                (void)marks_begin(s);
        }
}

static int marks_begin(InflightSource *s)
{
        const FanMarksSpec spec = {
                .settings = s->context.settings,
                .owner = s->context.owner,
                .seed = s->seed,
                .fd = s->fd,
                .done = on_marks,
                .userdata = s,
        };

        if (s->job) {
                s->again = true;
                return 0;
        }
        return err_trace(fan_marks_start(&s->job, s->spec.worker, &spec));
}

static int inflight_refresh(Source *source)
{
        return marks_begin((InflightSource *)source);
}

static Source *inflight_free(Source *source)
{
        InflightSource *s = (InflightSource *)source;

        s->job = fan_marks_cancel(s->job);
        while (s->n_tracked > 0)
                untrack(s, s->tracked[s->n_tracked - 1]);
        free(s->tracked);
        keymap_deinit(&s->by_pid);
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->timer);
        closep(&s->fd);
        closep(&s->procfd);
        fan_marks_deinit(&s->marks);
        inflight_table_deinit(&s->table);
        child_ends_deinit(&s->ends);
        free(s);
        return NULL;
}

static const SourceOps inflight_ops = {
        .start = inflight_refresh,
        .refresh = inflight_refresh,
        .free = inflight_free,
};

int inflight_source_new(Source **ret, const SourceContext *context, const InflightSpec *spec)
{
        InflightSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &inflight_ops, .name = "inflight" };
        s->context = *context;
        s->ends.context = &s->context;
        s->ends.out_of_memory = spec->out_of_memory;
        s->ends.userdata = spec->userdata;
        s->spec = *spec;
        s->fd = s->marks.fd = -1;
        key_seed_init(&s->seed);
        s->procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (s->procfd < 0)
                return err_origin(-errno);
        int r = sd_event_add_time_relative(context->event, &s->timer, CLOCK_MONOTONIC, 0, 50 * USEC_PER_MSEC,
                                           on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(s->timer, "inflight-settle");
        *ret = TAKE_PTR(source);
        return 0;
}
