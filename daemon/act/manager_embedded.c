/*
 * manager_embedded - unjamd starts the service itself
 *
 * Made by the engine for `manager = "embedded"` on a host without systemd. (With systemd the service becomes
 * a transient unit: manager_transient.c.) The service is a child in a session, and where one is writable a
 * control group, of its own; it outlives a restart of unjamd, which finds it again by its record
 * (manager_record.h).
 *
 * Contract with observe/child: the record is in RUN_DIR/embedded/NAME.json before the program is executed.
 * The observer opens a pidfd for pid and start, and reaps with waitid(P_PIDFD) when it ends; this manager
 * looks with WNOWAIT only. What ends after "stopping" was set ended by our wish. Once unjamd was restarted
 * the process is nobody's child here: its end shows on the pidfd, its exit status is lost.
 *
 * unjamd is a subreaper, so orphans of the service become its children and stay findable; reaper.c reaps
 * those that nobody else does.
 *
 * Output goes to unjamd's own standard error. "Started" means: executed, and alive START_GRACE later; whether
 * it is of use the engine finds out by probes. A stop sends SIGTERM to the main process and its process
 * group, as a shell or init script would, and waits for the whole service.
 *
 * Diagnostics: FAILED names the stage and the error, or how the process ended. Tests:
 * tests/unit/test_manager_embedded.c.
 */
#include "act/manager_base.h"
#include "act/manager_cgroup.h"
#include "act/manager_record.h"
#include "act/manager_spawn.h"
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#define START_GRACE (100 * USEC_PER_MSEC)

typedef struct EmbeddedManager {
        ManagerBase base;
        bool has_record;
        EmbeddedRecord record; /* record.main is read by processes(): written under base.lock */

        /* A start or stop under way. */
        SpawnPlan plan;
        Spawned child;
        usec_t deadline; /* CLOCK_MONOTONIC */
        sd_event_source *timeout, *grace, *status, *death;
} EmbeddedManager;

static EmbeddedManager *embedded(ManagerBase *b)
{
        return (EmbeddedManager *)b;
}

/* What the worker does before a fork: look things up, make the control group. */
typedef struct PrepareWork {
        SpawnPlan plan;
        char *old_cgroup; /* of the run before, or NULL */
        char *name;       /* for a new one */
        char *cgroup;     /* result; NULL: there can be none */
} PrepareWork;

static void prepare_free(void *data)
{
        PrepareWork *w = data;

        spawn_plan_deinit(&w->plan);
        free(w->old_cgroup);
        free(w->name);
        free(w->cgroup);
        free(w);
}

static int prepare_run(void *data)
{
        PrepareWork *w = data;

        int r = spawn_plan_resolve(&w->plan);
        if (r < 0)
                return err_trace(r);
        return err_trace(own_cgroup_make(w->old_cgroup, w->name, &w->cgroup));
}

/* The record as it is now, to be written by the worker. */
typedef struct RecordWork {
        char *run_dir, *service;
        EmbeddedRecord record;
} RecordWork;

static void record_free(void *data)
{
        RecordWork *w = data;

        free(w->run_dir);
        free(w->service);
        embedded_record_deinit(&w->record);
        free(w);
}

static int record_run(void *data)
{
        RecordWork *w = data;

        return err_trace(embedded_record_write(w->run_dir, w->service, &w->record));
}

static int record_write(EmbeddedManager *m, void (*done)(ManagerBase *, void *, int))
{
        RecordWork *w = calloc(1, sizeof(*w));
        if (!w)
                return err_origin(-ENOMEM);

        w->run_dir = strdup(m->base.ctx.run_dir);
        w->service = strdup(m->base.service->name);
        if (!w->run_dir || !w->service || embedded_record_copy(&w->record, &m->record) < 0) {
                record_free(w);
                return err_origin(-ENOMEM);
        }
        return err_trace(manager_base_work(&m->base, &(ManagerWork){ record_run, done, record_free, w }));
}

static void record_written(ManagerBase *b, void *data, int r)
{
        (void)b;
        (void)data;
        (void)r;
}

/* Is the main process there and no zombie? */
static bool main_alive(const EmbeddedManager *m)
{
        ProcStat s;

        return m->has_record && m->record.main.pid > 0 &&
               proc_stat_read(m->base.procfd, m->record.main.pid, &s) == 0 &&
               s.id.start == m->record.main.start && !proc_stat_dead(&s);
}

/*
 * Members beside the control group: the main process, its session and its process group. A session's number
 * stays taken while a member lives, but says nothing once it was reused: so it counts while the main process
 * is there (a zombie too), or for orphans that came to unjamd. Others that were seen before are remembered as
 * leftovers.
 */
static int embedded_members(ManagerBase *b, const ProcStat *scan, size_t n, ProcId **ids, size_t *n_ids)
{
        pthread_mutex_lock(&b->lock);
        ProcId main = embedded(b)->record.main;
        pthread_mutex_unlock(&b->lock);
        int r = 0;

        if (main.pid <= 0)
                return 0;
        const ProcStat *leader = proc_stat_find(scan, n, main.pid);
        bool known = leader && leader->id.start == main.start;
        if (leader && !known)
                return 0; /* the number is another process's now: nobody of that session is left */
        for (size_t i = 0; i < n && r >= 0; i++) {
                const ProcStat *s = &scan[i];

                if (proc_stat_dead(s) || (s->session != main.pid && s->group != main.pid))
                        continue;
                if (known || s->parent == getpid())
                        r = proc_ids_add(ids, n_ids, s->id);
        }
        return r < 0 ? err_trace(r) : 0;
}

/* Everything of a start; a child that still waits for its go ends by that. */
static void start_reset(EmbeddedManager *m)
{
        m->timeout = sd_event_source_disable_unref(m->timeout);
        m->grace = sd_event_source_disable_unref(m->grace);
        m->status = sd_event_source_disable_unref(m->status);
        m->death = sd_event_source_disable_unref(m->death);
        spawned_deinit(&m->child);
        spawn_plan_deinit(&m->plan);
        manager_base_abandon(&m->base);
}

static void start_fail(EmbeddedManager *m, const char *what, int error)
{
        start_reset(m);
        manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED, "%s: %s", what,
                            strerrordesc_np(error));
}

static void start_died(EmbeddedManager *m)
{
        siginfo_t si = { 0 };

        /* WNOWAIT: the observer reaps it. The group stays for the next start, which looks who is left
         * in it. */
        int r = waitid(P_PIDFD, (id_t)m->child.pidfd, &si, WEXITED | WNOWAIT | WNOHANG);
        start_reset(m);
        if (r < 0 || si.si_pid == 0)
                manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED, "it ended at once");
        else if (si.si_code == CLD_EXITED)
                manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED,
                                    "it ended at once with exit code %d", si.si_status);
        else
                manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED,
                                    "it ended at once by signal SIG%s",
                                    sigabbrev_np(si.si_status) ? sigabbrev_np(si.si_status) : "?");
}

static int on_death(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        (void)s;
        (void)fd;
        (void)revents;
        start_died(userdata);
        return 0;
}

/* It lives after START_GRACE: up. */
static int on_grace(sd_event_source *s, uint64_t usec, void *userdata)
{
        EmbeddedManager *m = userdata;

        (void)s;
        (void)usec;
        start_reset(m);
        free(m->base.invocation);
        m->base.invocation = strdup(m->record.invocation);
        manager_base_finish(&m->base, RESULT_DONE, REASON_ACTION_DONE, NULL);
        return 0;
}

/* The status pipe: its end means that the program runs. */
static int on_status(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        EmbeddedManager *m = userdata;
        SpawnFailure f;

        (void)s;
        (void)revents;
        ssize_t n = read(fd, &f, sizeof(f));
        if (n == sizeof(f)) {
                start_fail(m, spawn_stage_describe(f.stage), f.error);
                return 0;
        }
        m->status = sd_event_source_disable_unref(m->status);
        int r = sd_event_add_io(m->base.ctx.event, &m->death, m->child.pidfd, EPOLLIN, on_death, m);
        if (r >= 0)
                r = sd_event_add_time_relative(m->base.ctx.event, &m->grace, CLOCK_MONOTONIC, START_GRACE, 1,
                                               on_grace, m);
        if (r < 0)
                start_fail(m, "watching it", -r);
        return 0;
}

/* The child is on record: it may go. */
static void start_go(ManagerBase *b, void *data, int r)
{
        EmbeddedManager *m = embedded(b);

        (void)data;
        if (r >= 0 && write(m->child.go_fd, "g", 1) != 1)
                r = -EPIPE;
        if (r >= 0)
                r = sd_event_add_io(b->ctx.event, &m->status, m->child.status_fd, EPOLLIN, on_status, m);
        if (r < 0)
                start_fail(m, "recording it", -r);
}

/* The run that begins: a record of its own, and the groups of processes() changed to it. */
static int record_new(EmbeddedManager *m, char *cgroup, ProcId id)
{
        EmbeddedRecord record = { .main = id, .started = now_read().wall };
        char invocation[SD_ID128_STRING_MAX];
        sd_id128_t random;

        int r = sd_id128_randomize(&random);
        if (r < 0)
                return err_origin(r);
        record.invocation = strdup(sd_id128_to_string(random, invocation));
        record.cgroup = strdup_null(cgroup);
        if (!record.invocation || (cgroup && !record.cgroup)) {
                embedded_record_deinit(&record);
                return err_origin(-ENOMEM);
        }

        pthread_mutex_lock(&m->base.lock);
        EmbeddedRecord old = m->record;
        m->record = record;
        pthread_mutex_unlock(&m->base.lock);
        m->has_record = true;
        /* A main process of ours that nobody reaped (the observer was not there) is no longer the
         * main one. */
        if (old.main.pid > 0)
                (void)waitid(P_PID, (id_t)old.main.pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG);
        embedded_record_deinit(&old);
        return cgroup ? err_trace(manager_base_set_cgroups(&m->base, (char *[]){ cgroup, NULL }))
                      : err_trace(manager_base_set_cgroups(&m->base, NULL));
}

/* Looked up and made: the fork, then the record. */
static void start_prepared(ManagerBase *b, void *data, int r)
{
        EmbeddedManager *m = embedded(b);
        PrepareWork *w = data;
        _cleanup_(closep) int cgroup = -1;
        ProcId id;

        if (r < 0 && w->plan.error) {
                start_reset(m);
                manager_base_finish(b, RESULT_FAILED, REASON_ACTION_FAILED, "%s", w->plan.error);
                return;
        }
        if (r < 0)
                return start_fail(m, "preparing it", -r);

        spawn_plan_deinit(&m->plan);
        m->plan = w->plan;
        w->plan = (SpawnPlan){ 0 };
        if (w->cgroup) {
                cgroup = cgroup_open(w->cgroup);
                if (cgroup < 0)
                        return start_fail(m, "opening its control group", -cgroup);
        }
        r = spawn_fork(&m->plan, cgroup, STDERR_FILENO, &m->child);
        if (r < 0)
                return start_fail(m, "fork", -r);
        r = proc_identify(b->procfd, m->child.pid, &id);
        if (r >= 0)
                r = record_new(m, w->cgroup, id);
        if (r < 0)
                return start_fail(m, "recording it", -r);
        /* This job's slot is free again only now. */
        r = record_write(m, start_go);
        if (r < 0)
                start_fail(m, "recording it", -r);
}

static int on_start_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
        EmbeddedManager *m = userdata;

        (void)s;
        (void)usec;
        start_reset(m);
        manager_base_finish(&m->base, RESULT_TIMEOUT, REASON_ACTION_FAILED,
                            "the program was not executed in time");
        return 0;
}

static int start_begin(EmbeddedManager *m)
{
        sd_id128_t random;

        PrepareWork *w = calloc(1, sizeof(*w));
        if (!w)
                return err_origin(-ENOMEM);
        int r = sd_id128_randomize(&random);
        if (r >= 0)
                r = spawn_plan_init(&w->plan, m->base.service);
        if (r >= 0 && (asprintf(&w->name, "unjam-%s-%02x%02x%02x%02x", m->base.service->name, random.bytes[0],
                                random.bytes[1], random.bytes[2], random.bytes[3]) < 0 ||
                       (m->record.cgroup && !(w->old_cgroup = strdup(m->record.cgroup)))))
                r = -ENOMEM;
        if (r < 0) {
                prepare_free(w);
                return err_trace(r);
        }
        r = manager_base_work(&m->base, &(ManagerWork){ prepare_run, start_prepared, prepare_free, w });
        if (r < 0)
                return err_trace(r);
        return err_trace(sd_event_add_time_relative(m->base.ctx.event, &m->timeout, CLOCK_MONOTONIC,
                                                    m->base.service->start_timeout, 1, on_start_timeout, m));
}

static int embedded_start(Manager *manager, ManagerDone done, void *userdata)
{
        ManagerBase *b = manager_base(manager);
        EmbeddedManager *m = embedded(b);

        int r = manager_base_begin(b, done, userdata);
        if (r < 0)
                return err_trace(r);
        if (main_alive(m) && !m->record.stopping) {
                free(b->invocation);
                b->invocation = strdup_null(m->record.invocation);
                manager_base_finish(b, RESULT_DONE, REASON_ACTION_DONE, "it runs already");
                return 0;
        }
        r = start_begin(m);
        if (r < 0) {
                start_reset(m);
                return manager_base_refuse(b, r);
        }
        return 0;
}

/* SIGTERM, and SIGCONT for who is stopped, to the main process and its process group. */
static void terminate_group(EmbeddedManager *m)
{
        _cleanup_(freep) ProcStat *scan = NULL;
        _cleanup_(freep) ProcId *ids = NULL;
        size_t n = 0, n_ids = 0;

        if (!main_alive(m) || proc_stat_scan(m->base.procfd, &scan, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                if (scan[i].group == m->record.main.pid && !proc_stat_dead(&scan[i]))
                        (void)proc_ids_add(&ids, &n_ids, scan[i].id);
        kill_signal(m->base.procfd, ids, n_ids, SIGTERM);
        kill_signal(m->base.procfd, ids, n_ids, SIGCONT);
}

/* Nothing lives: its group goes. An empty one is removed at once; only making one needs the worker. */
static void group_remove(const EmbeddedManager *m)
{
        if (m->record.cgroup)
                own_cgroup_remove(m->record.cgroup);
}

static void stop_over(void *userdata, const ManagerResult *r)
{
        EmbeddedManager *m = embedded(userdata);

        if (r->result == RESULT_DONE)
                group_remove(m);
        if (r->result == RESULT_TIMEOUT && main_alive(m))
                manager_base_finish(&m->base, RESULT_TIMEOUT, REASON_STOP_TIMEOUT,
                                    "the main process does not end");
        else
                manager_base_stop_done(&m->base, r);
}

static void stop_signal(ManagerBase *b, void *data, int r)
{
        EmbeddedManager *m = embedded(b);
        const usec_t limits[_KILL_PHASE_MAX] = { [KILL_WAIT] = b->service->stop_timeout };

        /* A record that cannot be written is no reason to let the service run. */
        (void)data;
        (void)r;
        terminate_group(m);
        r = manager_base_ladder(b, limits, stop_over);
        if (r < 0)
                manager_base_finish(b, RESULT_FAILED, REASON_ACTION_FAILED, "%s", strerrordesc_np(-r));
}

static int embedded_stop(Manager *manager, ManagerDone done, void *userdata)
{
        ManagerBase *b = manager_base(manager);
        EmbeddedManager *m = embedded(b);

        int r = manager_base_begin(b, done, userdata);
        if (r < 0)
                return err_trace(r);
        b->result.alive = true;
        if (!m->has_record) {
                stop_signal(b, NULL, 0);
                return 0;
        }
        m->record.stopping = true;
        r = record_write(m, stop_signal);
        if (r < 0)
                stop_signal(b, NULL, r);
        return 0;
}

static void kill_over(void *userdata, const ManagerResult *r)
{
        EmbeddedManager *m = embedded(userdata);

        if (r->result == RESULT_DONE)
                group_remove(m);
        manager_base_kill_done(&m->base, r);
}

static int embedded_kill(Manager *manager, ManagerDone done, void *userdata)
{
        ManagerBase *b = manager_base(manager);
        EmbeddedManager *m = embedded(b);
        usec_t limits[_KILL_PHASE_MAX];

        int r = manager_base_begin(b, done, userdata);
        if (r < 0)
                return err_trace(r);
        b->result.alive = true;
        if (m->has_record && !m->record.stopping) {
                m->record.stopping = true;
                (void)record_write(m, record_written); /* the kill does not wait for a disk */
        }
        kill_limits(b->service->kill_timeout, b->service->core, limits);
        r = manager_base_ladder(b, limits, kill_over);
        return r < 0 ? manager_base_refuse(b, r) : 0;
}

static Manager *embedded_free(Manager *manager)
{
        EmbeddedManager *m = embedded(manager_base(manager));

        start_reset(m);
        embedded_record_deinit(&m->record);
        manager_base_deinit(&m->base);
        free(m);
        return NULL;
}

static const ManagerOps embedded_ops = {
        .guard = manager_base_guard_marker,
        .start = embedded_start,
        .stop = embedded_stop,
        .kill = embedded_kill,
        .processes = manager_base_processes,
        .free = embedded_free,
};

static int embedded_init(EmbeddedManager *m, const ManagerContext *c)
{
        int r = manager_base_init(&m->base, c);
        if (r < 0)
                return err_trace(r);
        m->base.members = embedded_members;
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return err_origin(-errno);

        r = embedded_record_read(c->run_dir, c->service->name, &m->record);
        if (r == 0) {
                m->has_record = true;
                if (m->record.cgroup)
                        r = manager_base_add_cgroup(&m->base, m->record.cgroup);
        }
        /* An unreadable record finds nobody; a start replaces it. */
        return r < 0 && r != -EBADMSG ? err_trace(r) : 0;
}

int manager_embedded_new(Manager **ret, const ManagerContext *c)
{
        if (c->bus)
                return err_trace(manager_transient_new(ret, c));
        EmbeddedManager *m = calloc(1, sizeof(*m));
        if (!m)
                return err_origin(-ENOMEM);

        m->base.manager.ops = &embedded_ops;
        m->base.procfd = -1;
        m->child = (Spawned){ .pidfd = -1, .go_fd = -1, .status_fd = -1 };
        int r = embedded_init(m, c);
        if (r < 0) {
                embedded_free(&m->base.manager);
                return err_trace(r);
        }
        *ret = &m->base.manager;
        return 0;
}
