/*
 * manager_base - what all managers share
 *
 * Used by manager_systemd, manager_embedded and manager_command, each of which embeds a ManagerBase at its
 * start.
 *
 * Guarantees: done() of a call runs exactly once and from the loop, never inside the function that began the
 * call, so that whoever waits may begin the next call in it. processes() may be called from any thread at any
 * time; it reads /proc and the control groups, and takes the lock only to copy the paths.
 *
 * Diagnostics: an error while processes are counted is never taken for "nobody lives". Tests:
 * tests/unit/test_manager_base.c.
 */
#include "act/manager_base.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SURVIVORS_MAX 64 /* in a record */

/* The end of a call, from the loop: everything that belongs to it is put aside before the callee is told. */
static int on_deliver(sd_event_source *s, void *userdata)
{
        ManagerBase *b = userdata;
        ManagerDone done = b->done;

        (void)s;
        b->busy = false;
        b->done = NULL;
        b->result.detail = b->detail;
        b->result.invocation = b->invocation;
        /* The callee may begin the next call, which replaces the strings: they are held until it returns. */
        char *detail = TAKE_PTR(b->detail), *invocation = TAKE_PTR(b->invocation);
        ManagerResult result = b->result;
        b->result = (ManagerResult){ 0 };
        done(b->userdata, &result); /* @b may be gone now */
        json_decref(result.data);
        free(detail);
        free(invocation);
        return 0;
}

int manager_base_init(ManagerBase *b, const ManagerContext *c)
{
        b->ctx = *c;
        b->service = c->service;
        b->ctx.event = sd_event_ref(c->event);
        pthread_mutex_init(&b->lock, NULL);
        b->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b->procfd < 0)
                return err_origin(-errno);

        int r = leftovers_new(&b->leftovers, c->service);
        if (r < 0)
                return err_trace(r);
        r = sd_event_add_defer(c->event, &b->deliver, on_deliver, b);
        if (r < 0)
                return err_origin(r);
        (void)sd_event_source_set_description(b->deliver, "manager-result");
        r = sd_event_source_set_enabled(b->deliver, SD_EVENT_OFF);
        return r < 0 ? err_origin(r) : 0;
}

void manager_base_deinit(ManagerBase *b)
{
        manager_base_abandon(b);
        b->kill = kill_free(b->kill);
        b->deliver = sd_event_source_disable_unref(b->deliver);
        b->leftovers = leftovers_free(b->leftovers);
        b->cgroups = strv_free(b->cgroups);
        closep(&b->procfd);
        b->procfd = -1;
        json_decref(b->result.data);
        free(b->detail);
        free(b->invocation);
        pthread_mutex_destroy(&b->lock);
        b->ctx.event = sd_event_unref(b->ctx.event);
}

int manager_base_begin(ManagerBase *b, ManagerDone done, void *userdata)
{
        if (b->busy)
                return err_origin(-EBUSY);

        manager_base_abandon(b); /* what an earlier call left at the worker is nobody's concern now */
        b->busy = true;
        b->done = done;
        b->userdata = userdata;
        return 0;
}

int manager_base_refuse(ManagerBase *b, int r)
{
        b->busy = false;
        b->done = NULL;
        return err_trace(r);
}

void manager_base_finish(ManagerBase *b, ResultKind result, Reason reason, const char *detail, ...)
{
        int enabled = SD_EVENT_OFF;

        (void)sd_event_source_get_enabled(b->deliver, &enabled);
        if (!b->busy || enabled != SD_EVENT_OFF)
                return;

        b->result.result = result;
        b->result.reason = reason;
        free(TAKE_PTR(b->detail));
        if (detail) {
                _cleanup_(freep) char *text = NULL;
                va_list ap;

                va_start(ap, detail);
                if (vasprintf(&text, detail, ap) < 0)
                        text = NULL;
                va_end(ap);
                b->detail = text ? text_to_utf8(text, strlen(text), 0) : NULL;
        }
        (void)sd_event_source_set_enabled(b->deliver, SD_EVENT_ONESHOT);
}

/* Work at the worker. It may outlive the call and the manager, so it owns all that it needs. */
struct ManagerJob {
        Job job;            /* first */
        ManagerBase *owner; /* NULL: abandoned */
        ManagerWork work;
};

static int job_run(Job *job)
{
        ManagerJob *j = (ManagerJob *)job;

        return j->work.run(j->work.data);
}

static void job_done(Job *job, int r)
{
        ManagerJob *j = (ManagerJob *)job;

        if (j->owner) {
                j->owner->job = NULL;
                j->work.done(j->owner, j->work.data, r);
        }
        j->work.free(j->work.data);
        free(j);
}

/* The worker has gone first. */
static void job_dropped(Job *job)
{
        ManagerJob *j = (ManagerJob *)job;

        if (j->owner)
                j->owner->job = NULL;
        j->work.free(j->work.data);
        free(j);
}

int manager_base_work(ManagerBase *b, const ManagerWork *work)
{
        ManagerJob *j = b->job ? NULL : calloc(1, sizeof(*j));
        int r = b->job ? -EBUSY : -ENOMEM;

        if (j) {
                *j = (ManagerJob){ .job = { .run = job_run, .done = job_done, .dropped = job_dropped },
                                   .owner = b,
                                   .work = *work };
                r = worker_submit(b->ctx.worker, &j->job);
        }
        if (r < 0) {
                work->free(work->data);
                free(j);
                return err_origin(r);
        }
        b->job = j;
        return 0;
}

void manager_base_abandon(ManagerBase *b)
{
        if (b->job)
                b->job->owner = NULL;
        b->job = NULL;
}

int manager_base_set_cgroups(ManagerBase *b, char *const *paths)
{
        char **copy = NULL;

        if (paths && paths[0]) {
                copy = strv_copy(paths);
                if (!copy)
                        return err_origin(-ENOMEM);
        }
        pthread_mutex_lock(&b->lock);
        strv_free(b->cgroups);
        b->cgroups = copy;
        pthread_mutex_unlock(&b->lock);
        return 0;
}

int manager_base_add_cgroup(ManagerBase *b, const char *path)
{
        int r = 0;

        pthread_mutex_lock(&b->lock);
        if (!strv_contains(b->cgroups, path))
                r = strv_append(&b->cgroups, path);
        pthread_mutex_unlock(&b->lock);
        return r < 0 ? err_trace(r) : 0;
}

/* A group that is not there (the service does not run, or the host has none) has no members: *@ret is -1. */
static int group_open(const char *path, int *ret)
{
        int fd = cgroup_open(path);

        if (fd < 0 && fd != -ENOENT && fd != -ENOMEDIUM && fd != -ENODEV)
                return err_trace(fd);
        *ret = fd < 0 ? -1 : fd;
        return 0;
}

static int group_members(ManagerBase *b, const char *path, ProcId **ids, size_t *n)
{
        _cleanup_(closep) int fd = -1;
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n_pids = 0;

        int r = group_open(path, &fd);
        if (r < 0 || fd < 0)
                return r;
        r = cgroup_pids(fd, &pids, &n_pids);
        for (size_t i = 0; i < n_pids && r >= 0; i++) {
                ProcId id;

                if (proc_identify(b->procfd, pids[i], &id) == 0)
                        r = proc_ids_add(ids, n, id);
        }
        return r < 0 ? err_trace(r) : 0;
}

/* The members of the groups into @inside; everybody else of the service into @outside. Any thread. */
static int base_processes(ManagerBase *b, ProcId **inside, size_t *n_inside, ProcId **outside,
                          size_t *n_outside)
{
        _cleanup_(freep) ProcStat *scan = NULL;
        _cleanup_(freep) ProcId *members = NULL, *left = NULL;
        size_t n_scan = 0, n_members = 0, n_left = 0;
        int r = 0;

        pthread_mutex_lock(&b->lock);
        _cleanup_(strv_freep) char **groups = strv_copy(b->cgroups);
        bool failed = b->cgroups && !groups;
        pthread_mutex_unlock(&b->lock);
        if (failed)
                return err_origin(-ENOMEM);

        for (char **g = groups; g && *g && r >= 0; g++)
                r = group_members(b, *g, inside, n_inside);
        if (r >= 0)
                r = proc_stat_scan(b->procfd, &scan, &n_scan);
        if (r >= 0 && b->members)
                r = b->members(b, scan, n_scan, &members, &n_members);
        for (size_t i = 0; i < *n_inside && r >= 0; i++)
                r = proc_ids_add(&members, &n_members, (*inside)[i]);
        if (r < 0)
                return err_trace(r);

        LeftoversQuery q = {
                .procfd = b->procfd,
                .scan = scan,
                .n_scan = n_scan,
                .inside = members,
                .n_inside = n_members,
        };
        r = leftovers_find(b->leftovers, &q, &left, &n_left);
        for (size_t i = 0; i < n_left && r >= 0; i++)
                r = proc_ids_add(outside, n_outside, left[i]);
        for (size_t i = 0; i < n_members && r >= 0; i++)
                if (!proc_ids_has(*inside, *n_inside, members[i]))
                        r = proc_ids_add(outside, n_outside, members[i]);
        return r < 0 ? err_trace(r) : 0;
}

int manager_base_processes(Manager *m, ProcId **ret, size_t *ret_n)
{
        _cleanup_(freep) ProcId *all = NULL, *outside = NULL;
        size_t n = 0, n_outside = 0;

        int r = base_processes(manager_base(m), &all, &n, &outside, &n_outside);
        for (size_t i = 0; i < n_outside && r >= 0; i++)
                r = proc_ids_add(&all, &n, outside[i]);
        if (r < 0)
                return err_trace(r);

        *ret = TAKE_PTR(all);
        *ret_n = n;
        return 0;
}

int manager_base_alive(ManagerBase *b)
{
        _cleanup_(freep) ProcId *all = NULL;
        size_t n = 0;

        int r = manager_base_processes(&b->manager, &all, &n);
        return r < 0 ? err_trace(r) : n > 0;
}

/* Like a ladder's record, for calls that end without one. */
bool manager_base_survivors(ManagerBase *b)
{
        _cleanup_(freep) ProcId *all = NULL;
        size_t n = 0;

        if (manager_base_processes(&b->manager, &all, &n) < 0)
                return true; /* not known to be dead */
        json_t *list = json_array();
        for (size_t i = 0; list && i < n && i < SURVIVORS_MAX; i++) {
                json_t *one = kill_describe(b->procfd, all[i].pid);

                if (one)
                        (void)json_array_append_new(list, one);
        }
        json_decref(b->result.data);
        b->result.data = json_pack("{s:o*}", "survivors", list);
        return n > 0;
}

/* The ladder has the groups themselves; it asks for everybody else, again and again. */
static int ladder_collect(void *userdata, ProcId **ret, size_t *ret_n)
{
        _cleanup_(freep) ProcId *inside = NULL, *outside = NULL;
        size_t n_inside = 0, n_outside = 0;

        int r = base_processes(userdata, &inside, &n_inside, &outside, &n_outside);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(outside);
        *ret_n = n_outside;
        return 0;
}

/* The record of a call is that of all its ladders; only the last one's survivors are of interest. */
static void record_add(ManagerBase *b, json_t *data)
{
        const char *key;
        json_t *list;

        if (!b->result.data) {
                b->result.data = json_incref(data);
                return;
        }
        (void)json_object_del(b->result.data, "survivors");
        json_object_foreach(data, key, list)
        {
                json_t *before = json_object_get(b->result.data, key);

                if (before)
                        (void)json_array_extend(before, list);
                else
                        (void)json_object_set(b->result.data, key, list);
        }
}

/* What the end of a ladder means is for the call to say. */
static void on_ladder(void *userdata, const KillReport *report)
{
        ManagerBase *b = userdata;
        ManagerResult r = { .alive = report->alive };

        record_add(b, report->data);
        b->result.alive = report->alive;
        r.data = b->result.data;
        r.result = report->error < 0 ? RESULT_FAILED : report->alive ? RESULT_TIMEOUT : RESULT_DONE;
        r.detail = report->error < 0 ? strerrordesc_np(-report->error) : NULL;
        b->kill = kill_free(b->kill);
        b->ladder_done(b, &r);
}

int manager_base_ladder(ManagerBase *b, const usec_t limits[_KILL_PHASE_MAX], ManagerDone done)
{
        KillSpec spec = { .event = b->ctx.event, .collect = ladder_collect, .collect_userdata = b };
        size_t n = strv_length(b->cgroups);
        int r = 0;

        _cleanup_(freep) int *fds = calloc(n + 1, sizeof(*fds));
        if (!fds)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n && r >= 0; i++) {
                r = group_open(b->cgroups[i], &fds[spec.n_cgroups]);
                if (r >= 0 && fds[spec.n_cgroups] >= 0)
                        spec.n_cgroups++;
        }

        spec.cgroups = fds;
        memcpy(spec.limits, limits, sizeof(spec.limits));
        b->ladder_done = done;
        b->kill = kill_free(b->kill);
        if (r >= 0)
                r = kill_new(&b->kill, &spec, on_ladder, b);
        for (size_t i = 0; i < spec.n_cgroups; i++)
                close(fds[i]);
        return r < 0 ? err_trace(r) : 0;
}

void manager_base_kill_done(void *userdata, const ManagerResult *r)
{
        ManagerBase *b = userdata;

        if (r->result == RESULT_DONE)
                manager_base_finish(b, RESULT_DONE, REASON_STOPPED, NULL);
        else if (r->result == RESULT_TIMEOUT)
                manager_base_finish(b, RESULT_FAILED, REASON_UNKILLABLE, "processes survive SIGKILL");
        else
                manager_base_finish(b, RESULT_FAILED, REASON_ACTION_FAILED, "the kill ladder failed: %s",
                                    r->detail);
}

void manager_base_stop_done(void *userdata, const ManagerResult *r)
{
        ManagerBase *b = userdata;

        if (r->result == RESULT_DONE)
                manager_base_finish(b, RESULT_DONE, REASON_STOPPED, NULL);
        else if (r->result == RESULT_TIMEOUT)
                manager_base_finish(b, RESULT_TIMEOUT, REASON_PROCESSES_LEFT,
                                    "processes of the service are left");
        else
                manager_base_finish(b, RESULT_FAILED, REASON_ACTION_FAILED, "cannot see the processes: %s",
                                    r->detail);
}

int manager_base_paths(const ManagerBase *b, GuardPaths *ret)
{
        GuardPaths p = {
                .disk = disk_posix(),
                .service = strdup_null(b->service->name),
                .state_dir = strdup_null(b->ctx.state_dir),
                .run_dir = strdup_null(b->ctx.run_dir),
                .unit_dir = strdup_null(b->ctx.unit_dir),
                .runtime_unit_dir = strdup_null(b->ctx.runtime_unit_dir),
        };

        if (!p.service || !p.state_dir || !p.run_dir || (b->ctx.unit_dir && !p.unit_dir) ||
            (b->ctx.runtime_unit_dir && !p.runtime_unit_dir)) {
                guard_paths_deinit(&p);
                return err_origin(-ENOMEM);
        }
        *ret = p;
        return 0;
}

int manager_base_permit(const ManagerBase *b, bool on)
{
        GuardPaths p = { 0 };

        int r = manager_base_paths(b, &p);
        if (r == 0)
                r = guard_permit(&p, on);
        guard_paths_deinit(&p);
        return r < 0 ? err_trace(r) : 0;
}

typedef struct MarkerWork {
        GuardPaths paths;
        GuardMarker marker; /* no incident: take it away */
} MarkerWork;

/* In the worker. */
static int marker_run(void *data)
{
        MarkerWork *w = data;

        return w->marker.incident ? guard_marker_write(&w->paths, &w->marker)
                                  : guard_marker_remove(&w->paths);
}

static void marker_done(ManagerBase *b, void *data, int r)
{
        (void)data;
        if (r < 0)
                manager_base_finish(b, RESULT_FAILED, REASON_ACTION_FAILED, "marker file: %s",
                                    strerrordesc_np(-r));
        else
                manager_base_finish(b, RESULT_DONE, REASON_ACTION_DONE, NULL);
}

static void marker_free(void *data)
{
        MarkerWork *w = data;

        guard_marker_deinit(&w->marker);
        guard_paths_deinit(&w->paths);
        free(w);
}

int manager_base_guard_marker(Manager *m, bool on, const char *incident, ManagerDone done, void *userdata)
{
        ManagerBase *b = manager_base(m);

        int r = manager_base_begin(b, done, userdata);
        if (r < 0)
                return err_trace(r);
        MarkerWork *w = calloc(1, sizeof(*w));
        if (!w)
                return manager_base_refuse(b, -ENOMEM);
        r = manager_base_paths(b, &w->paths);
        if (r == 0 && on && !(w->marker.incident = strdup(incident)))
                r = -ENOMEM;
        if (r < 0) {
                marker_free(w);
                return manager_base_refuse(b, r);
        }
        r = manager_base_work(b, &(ManagerWork){ marker_run, marker_done, marker_free, w });
        return r < 0 ? manager_base_refuse(b, r) : 0;
}
