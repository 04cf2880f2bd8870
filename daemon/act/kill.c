/*
 * kill - the kill ladder
 *
 * Called by all managers; see kill.h for the phases. A state machine on sd-event: a tick looks at the target,
 * signals what this phase has not signalled yet, and goes to the next phase when the limit has passed. Ticks
 * come from cgroup.events (EPOLLPRI), from pidfds that become readable, and from a timer (TICK) as the net
 * below both.
 *
 * Guarantees:
 *   1. No pid is signalled that might have been reused: explicit processes by pidfd and start time; members
 *      of a group by a pidfd that was opened before the group was listed once more and still named the pid.
 *   2. Neither this process nor pid 1 is ever signalled: before each signal the groups are looked through,
 *      and the ladder ends with -EPERM if one of them contains either.
 *   3. "Not alive" means: every group is unpopulated (or gone), every explicit process has ended, and a fresh
 *      collect() after that found nobody new. A zombie has ended: nothing of it runs, though its parent may
 *      not have reaped it.
 *
 * Diagnostics: an error of collect() or ENOMEM ends the ladder with KillReport.error; the caller must then
 * take the target for alive. Tests: tests/unit/test_kill.c.
 */
#include "act/kill.h"
#include "act/leftovers.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TICK          (50 * USEC_PER_MSEC)
#define COLLECT_EVERY (200 * USEC_PER_MSEC) /* a scan of /proc on a big host takes some ten milliseconds */
#define TERM_MAX      (5 * USEC_PER_SEC)
#define CORE_PATIENCE 6  /* times the limit of KILL_ABORT while a core is being written */
#define RECORD_MAX    64 /* pids of one kind in the record */

typedef struct KillGroup {
        int fd;        /* the directory */
        int events_fd; /* cgroup.events, kept open for EPOLLPRI; -1 on cgroup v1 */
        sd_event_source *source;
} KillGroup;

typedef struct KillTarget {
        ProcId id;
        int pidfd;
        sd_event_source *source; /* NULL once it has ended */
} KillTarget;

struct Kill {
        sd_event *event;
        KillDone done;
        void *userdata;
        int (*collect)(void *userdata, ProcId **ret, size_t *ret_n);
        void *collect_userdata;
        usec_t limits[_KILL_PHASE_MAX];

        int procfd;
        KillGroup *groups;
        size_t n_groups;
        KillTarget *targets;
        size_t n_targets;

        KillPhase phase;
        usec_t entered; /* CLOCK_MONOTONIC */
        usec_t collected;
        ProcId *signalled; /* in this phase */
        size_t n_signalled;
        sd_event_source *timer;
        json_t *data;
};

static const char *const phase_words[_KILL_PHASE_MAX] = {
        [KILL_TERM] = "terminated",
        [KILL_ABORT] = "aborted",
        [KILL_FORCE] = "killed",
};

void kill_limits(usec_t kill_timeout, bool core, usec_t ret[_KILL_PHASE_MAX])
{
        ret[KILL_WAIT] = 0;
        ret[KILL_TERM] = kill_timeout / 2 < TERM_MAX ? kill_timeout / 2 : TERM_MAX;
        ret[KILL_ABORT] = core ? kill_timeout : 0;
        ret[KILL_FORCE] = kill_timeout;
}

void kill_signal(int procfd, const ProcId *ids, size_t n, int signal)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_(closep) int pidfd = proc_open(procfd, &ids[i]);
                if (pidfd >= 0)
                        (void)proc_signal(pidfd, signal);
        }
}

json_t *kill_describe(int procfd, pid_t pid)
{
        _cleanup_(freep) char *wchan = NULL, *name = NULL, *wchan_text = NULL;
        char path[32];
        ProcStat s;
        size_t len;

        if (proc_stat_read(procfd, pid, &s) < 0)
                return NULL;
        name = text_to_utf8(s.name, strlen(s.name), 0);
        snprintf(path, sizeof(path), "%d/wchan", (int)pid);
        if (file_read_virtual(procfd, path, 256, &wchan, &len) == 0 && len > 0 && strcmp(wchan, "0") != 0)
                wchan_text = text_to_utf8(wchan, len, 0);
        return json_pack("{s:i, s:s*, s:s%, s:s*}", "pid", (int)pid, "name", name, "state", &s.state,
                         (size_t)1, "wchan", wchan_text);
}

/* Does the group, or one below it, hold this process or pid 1? >0 yes, 0 no, <0 errno. A group that is gone:
 * no. */
static int group_contains_us(int fd)
{
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n = 0;

        int r = cgroup_pids(fd, &pids, &n);
        if (r < 0)
                return err_trace(r);
        for (size_t i = 0; i < n; i++)
                if (pids[i] == getpid() || pids[i] == 1)
                        return 1;
        return 0;
}

/* A pidfd is readable once the whole process has ended, zombie or not. */
static bool target_alive(const KillTarget *t)
{
        struct pollfd p = { .fd = t->pidfd, .events = POLLIN };

        return t->source && poll(&p, 1, 0) == 0;
}

/* What cannot be read is taken for alive: an error must not pass for a proof. */
static bool group_alive(const KillGroup *g)
{
        return cgroup_populated(g->fd) != 0;
}

static bool kill_alive(const Kill *k)
{
        for (size_t i = 0; i < k->n_groups; i++)
                if (group_alive(&k->groups[i]))
                        return true;
        for (size_t i = 0; i < k->n_targets; i++)
                if (target_alive(&k->targets[i]))
                        return true;
        return false;
}

/* Into the record, under the phase's word. */
static int kill_note(Kill *k, pid_t pid)
{
        const char *word = phase_words[k->phase];
        json_t *list = json_object_get(k->data, word);

        if (!list) {
                list = json_array();
                if (!list || json_object_set_new(k->data, word, list) < 0)
                        return err_origin(-ENOMEM);
        }
        if (json_array_size(list) < RECORD_MAX && json_array_append_new(list, json_integer(pid)) < 0)
                return err_origin(-ENOMEM);
        return 0;
}

/* Sends the phase's signal through @pidfd, once per phase and process; SIGKILL again and again. */
static int kill_send(Kill *k, int pidfd, ProcId id)
{
        static const int signals[_KILL_PHASE_MAX] = {
                [KILL_TERM] = SIGTERM,
                [KILL_ABORT] = SIGABRT,
                [KILL_FORCE] = SIGKILL,
        };
        bool first = !proc_ids_has(k->signalled, k->n_signalled, id);

        if (k->phase == KILL_WAIT || (!first && k->phase != KILL_FORCE))
                return 0;
        if (proc_signal(pidfd, signals[k->phase]) < 0)
                return 0; /* it has ended meanwhile */
        if (k->phase != KILL_FORCE)
                (void)proc_signal(pidfd, SIGCONT);
        if (!first)
                return 0;

        int r = proc_ids_add(&k->signalled, &k->n_signalled, id);
        return r < 0 ? err_trace(r) : kill_note(k, id.pid);
}

/* Signals each member of a group for which cgroup.kill is not to be used or not there. See guarantee 1. */
static int group_signal_each(Kill *k, const KillGroup *g, const pid_t *pids, size_t n)
{
        _cleanup_(freep) pid_t *again = NULL;
        _cleanup_(freep) KillTarget *open = calloc(n + 1, sizeof(*open));
        size_t n_open = 0, n_again = 0;
        int r = 0;

        if (!open)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                KillTarget t = { .pidfd = -1 };

                if (proc_identify(k->procfd, pids[i], &t.id) < 0)
                        continue;
                if (k->phase != KILL_FORCE && proc_ids_has(k->signalled, k->n_signalled, t.id))
                        continue;
                t.pidfd = proc_open(k->procfd, &t.id);
                if (t.pidfd >= 0)
                        open[n_open++] = t;
        }

        if (cgroup_pids(g->fd, &again, &n_again) < 0)
                n_again = 0; /* the group is gone, and everybody with it */
        for (size_t i = 0; i < n_open; i++) {
                for (size_t j = 0; j < n_again && r == 0; j++)
                        if (again[j] == open[i].id.pid) {
                                r = kill_send(k, open[i].pidfd, open[i].id);
                                break;
                        }
                close(open[i].pidfd);
        }
        return r;
}

/* One group, as the phase says. A group that has gone meanwhile is nobody. */
static int group_signal(Kill *k, const KillGroup *g)
{
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n = 0;

        int r = group_contains_us(g->fd);
        if (r != 0)
                return r > 0 ? err_origin(-EPERM) : err_trace(r);
        if (cgroup_pids(g->fd, &pids, &n) < 0 || n == 0)
                return 0;
        if (k->phase != KILL_FORCE)
                return group_signal_each(k, g, pids, n);

        _cleanup_(closep) int fd = openat(g->fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "1", 1) != 1)
                return group_signal_each(k, g, pids,
                                         n); /* Linux before 5.14, cgroup v1, or a read-only mount */

        for (size_t i = 0; i < n; i++) {
                ProcId id = { .pid = pids[i] };

                if (proc_ids_has(k->signalled, k->n_signalled, id))
                        continue;
                r = proc_ids_add(&k->signalled, &k->n_signalled, id);
                if (r == 0)
                        r = kill_note(k, pids[i]);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int kill_signal_all(Kill *k)
{
        if (k->phase == KILL_WAIT)
                return 0;
        for (size_t i = 0; i < k->n_groups; i++) {
                int r = group_signal(k, &k->groups[i]);
                if (r < 0)
                        return err_trace(r);
        }
        for (size_t i = 0; i < k->n_targets; i++) {
                if (!target_alive(&k->targets[i]))
                        continue;
                int r = kill_send(k, k->targets[i].pidfd, k->targets[i].id);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *userdata);

/* Takes a process in, unless it is there or has ended. */
static int target_add(Kill *k, ProcId id)
{
        KillTarget t = { .id = id, .pidfd = -1 };

        for (size_t i = 0; i < k->n_targets; i++)
                if (k->targets[i].id.pid == id.pid && k->targets[i].id.start == id.start)
                        return 0;
        if (id.pid == getpid() || id.pid <= 1)
                return err_origin(-EPERM);

        t.pidfd = proc_open(k->procfd, &id);
        if (t.pidfd == -ESRCH)
                return 0;
        if (t.pidfd < 0)
                return err_trace(t.pidfd);

        KillTarget *grown = reallocarray(k->targets, k->n_targets + 1, sizeof(*grown));
        if (!grown) {
                close(t.pidfd);
                return err_origin(-ENOMEM);
        }
        k->targets = grown;
        int r = sd_event_add_io(k->event, &t.source, t.pidfd, EPOLLIN, on_wake, k);
        if (r < 0) {
                close(t.pidfd);
                return err_origin(r);
        }
        k->targets[k->n_targets++] = t;
        return 0;
}

/* Asks the caller who belongs besides the groups. */
static int kill_collect(Kill *k, usec_t now)
{
        _cleanup_(freep) ProcId *ids = NULL;
        size_t n = 0;

        k->collected = now;
        if (!k->collect)
                return 0;
        int r = k->collect(k->collect_userdata, &ids, &n);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = target_add(k, ids[i]);
        return r < 0 ? err_trace(r) : 0;
}

/* Linux 4.15 and later say so in status. */
static bool dumps_core(int procfd, pid_t pid)
{
        _cleanup_(freep) char *text = NULL;
        char path[32];
        size_t len;

        snprintf(path, sizeof(path), "%d/status", (int)pid);
        return file_read_virtual(procfd, path, 8192, &text, &len) == 0 && strstr(text, "\nCoreDumping:\t1");
}

/* Has the phase had its time? A core that is being written gets more of it. */
static bool phase_over(const Kill *k, usec_t now)
{
        usec_t limit = k->limits[k->phase], took = usec_sub(now, k->entered);

        if (took < limit)
                return false;
        if (k->phase != KILL_ABORT || took >= CORE_PATIENCE * limit)
                return true;
        for (size_t i = 0; i < k->n_signalled; i++)
                if (dumps_core(k->procfd, k->signalled[i].pid))
                        return false;
        return true;
}

/* Goes to the next phase that has a limit. Return: true, or false if there is none. */
static bool phase_next(Kill *k, usec_t now)
{
        for (unsigned p = k->phase + 1U; p < _KILL_PHASE_MAX; p++)
                if (k->limits[p] > 0) {
                        k->phase = (KillPhase)p;
                        k->entered = now;
                        k->n_signalled = 0;
                        return true;
                }
        return false;
}

static void add_survivor(Kill *k, json_t *list, pid_t pid)
{
        json_t *one = json_array_size(list) < RECORD_MAX ? kill_describe(k->procfd, pid) : NULL;

        if (one)
                (void)json_array_append_new(list, one);
}

static void note_survivors(Kill *k)
{
        json_t *list = json_array();

        if (!list || json_object_set_new(k->data, "survivors", list) < 0)
                return; /* without memory the record is poorer; the verdict stands */
        for (size_t i = 0; i < k->n_groups; i++) {
                _cleanup_(freep) pid_t *pids = NULL;
                size_t n = 0;

                if (cgroup_pids(k->groups[i].fd, &pids, &n) < 0)
                        continue;
                for (size_t j = 0; j < n; j++)
                        add_survivor(k, list, pids[j]);
        }
        for (size_t i = 0; i < k->n_targets; i++)
                if (target_alive(&k->targets[i]))
                        add_survivor(k, list, k->targets[i].id.pid);
}

static void kill_finish(Kill *k, int error, bool alive)
{
        if (alive)
                note_survivors(k);
        (void)sd_event_source_set_enabled(k->timer, SD_EVENT_OFF);

        KillReport report = { .error = error, .alive = alive, .last = k->phase, .data = k->data };
        k->done(k->userdata, &report); /* @k may be gone now */
}

/* One look at the target, and what follows from it. */
static void kill_tick(Kill *k, usec_t now)
{
        bool alive = kill_alive(k);

        /* Whoever was forked while the others died is found before "nobody lives" is said. */
        if (!alive || usec_sub(now, k->collected) >= COLLECT_EVERY) {
                int r = kill_collect(k, now);
                if (r < 0)
                        return kill_finish(k, r, true);
                alive = kill_alive(k);
        }
        if (!alive)
                return kill_finish(k, 0, false);
        if (phase_over(k, now) && !phase_next(k, now))
                return kill_finish(k, 0, true);

        int r = kill_signal_all(k);
        if (r < 0)
                return kill_finish(k, r, true);
        (void)sd_event_source_set_time(k->timer, now + TICK);
        (void)sd_event_source_set_enabled(k->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Kill *k = userdata;
        usec_t now;

        (void)s;
        (void)usec;
        (void)sd_event_now(k->event, CLOCK_MONOTONIC, &now);
        kill_tick(k, now);
        return 0;
}

/* A group became empty or a process ended: look at once instead of at the next tick. */
static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Kill *k = userdata;

        (void)revents;
        for (size_t i = 0; i < k->n_targets; i++)
                if (k->targets[i].source == s)
                        k->targets[i].source = sd_event_source_disable_unref(s);
        for (size_t i = 0; i < k->n_groups; i++) {
                char buf[128];

                /* Reading it anew arms the event again; a removed group would report for ever. */
                if (k->groups[i].events_fd == fd && pread(fd, buf, sizeof(buf), 0) < 0)
                        (void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
        }
        (void)sd_event_source_set_time(k->timer, 0);
        return 0;
}

/* The group is the ladder's own from here on, also if it is removed and made anew under the same name. */
static int group_add(Kill *k, int fd)
{
        KillGroup *g = &k->groups[k->n_groups];

        g->events_fd = -1;
        g->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (g->fd < 0)
                return err_origin(-errno);
        k->n_groups++;

        int r = group_contains_us(g->fd);
        if (r != 0)
                return r > 0 ? err_origin(-EPERM) : err_trace(r);

        g->events_fd = openat(g->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (g->events_fd < 0)
                return 0; /* cgroup v1, or it is gone already: the ticks do */
        char buf[128];
        (void)!pread(g->events_fd, buf, sizeof(buf), 0); /* from here on a change is an event */
        r = sd_event_add_io(k->event, &g->source, g->events_fd, EPOLLPRI, on_wake, k);
        return r < 0 ? err_origin(r) : 0;
}

static int kill_init(Kill *k, const KillSpec *spec)
{
        k->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (k->procfd < 0)
                return err_origin(-errno);
        k->groups = calloc(spec->n_cgroups + 1, sizeof(*k->groups));
        k->data = json_object();
        if (!k->groups || !k->data)
                return err_origin(-ENOMEM);

        for (size_t i = 0; i < spec->n_cgroups; i++) {
                int r = group_add(k, spec->cgroups[i]);
                if (r < 0)
                        return err_trace(r);
        }

        int r = sd_event_now(k->event, CLOCK_MONOTONIC, &k->entered);
        if (r < 0)
                return err_origin(r);
        r = kill_collect(k, k->entered);
        if (r < 0)
                return err_trace(r);

        while (k->limits[k->phase] == 0 && phase_next(k, k->entered))
                ;
        r = sd_event_add_time(k->event, &k->timer, CLOCK_MONOTONIC, 0, 1, on_timer, k);
        if (r < 0)
                return err_origin(r);
        (void)sd_event_source_set_description(k->timer, "kill");
        return 0;
}

int kill_new(Kill **ret, const KillSpec *spec, KillDone done, void *userdata)
{
        Kill *k = calloc(1, sizeof(*k));
        if (!k)
                return err_origin(-ENOMEM);

        k->event = sd_event_ref(spec->event);
        k->done = done;
        k->userdata = userdata;
        k->collect = spec->collect;
        k->collect_userdata = spec->collect_userdata;
        memcpy(k->limits, spec->limits, sizeof(k->limits));
        k->procfd = -1;

        int r = kill_init(k, spec);
        if (r < 0) {
                kill_free(k);
                return err_trace(r);
        }
        *ret = k;
        return 0;
}

Kill *kill_free(Kill *k)
{
        if (!k)
                return NULL;
        sd_event_source_disable_unref(k->timer);
        for (size_t i = 0; i < k->n_groups; i++) {
                sd_event_source_disable_unref(k->groups[i].source);
                closep(&k->groups[i].events_fd);
                closep(&k->groups[i].fd);
        }
        for (size_t i = 0; i < k->n_targets; i++) {
                sd_event_source_disable_unref(k->targets[i].source);
                closep(&k->targets[i].pidfd);
        }
        free(k->groups);
        free(k->targets);
        free(k->signalled);
        closep(&k->procfd);
        json_decref(k->data);
        sd_event_unref(k->event);
        free(k);
        return NULL;
}
