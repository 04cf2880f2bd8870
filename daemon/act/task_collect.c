/*
 * task_collect - evidence before anything is killed: processes, log lines, cause checks, inventory
 *
 * Three phases, so that each waits only for what it needs: /proc and the journal in the proc worker, the
 * cause checks through the runner, the inventory in the spool worker. A phase that fails leaves a note;
 * COLLECT itself always ends with RESULT_DONE, for evidence is never a condition for going on.
 *
 * Also here: waiting for strangers, which asks the same question of /proc.
 *
 * Called by service_actuator. Test: tests/unit/test_service_actuator.c
 */
#include "act/core_dump.h"
#include "act/state_files.h"
#include "act/task.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "model/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_SINCE       (10 * USEC_PER_MIN)
#define CORE_WAIT       (2 * USEC_PER_SEC)
#define CORE_PERIOD     (100 * USEC_PER_MSEC)
#define STRANGER_WAIT   (10 * USEC_PER_SEC)
#define STRANGER_PERIOD (500 * USEC_PER_MSEC)

static bool covers(void *userdata, const char *path)
{
        return spool_covers(userdata, path);
}

static int find_processes(Task *t)
{
        Manager *m = t->owner->config.manager;

        free(t->processes);
        t->processes = NULL;
        t->n_processes = 0;
        return m->ops->processes(m, &t->processes, &t->n_processes);
}

static int look(Task *t, bool strangers_only, Evidence *ret)
{
        const ServiceSettings *s = t->owner->config.service;
        _cleanup_(closep) int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CollectSpec spec = { .procfd = procfd,
                             .processes = t->processes,
                             .n_processes = t->n_processes,
                             .units = s->units,
                             .covers = t->owner->spool ? covers : NULL,
                             .userdata = t->owner->spool,
                             .strangers_only = strangers_only,
                             .cancel = &t->job.cancel };

        return procfd < 0 ? -errno : evidence_collect(&spec, ret);
}

/* Does systemd-coredump get the cores of this host? */
static bool cores_are_told(void)
{
        _cleanup_(freep) char *pattern = NULL;

        return file_read_virtual(AT_FDCWD, "/proc/sys/kernel/core_pattern", 4096, &pattern, NULL) == 0 &&
               strstr(pattern, "systemd-coredump");
}

/* Its entry comes when it is done with the core. */
static int work_core_dumps(Task *t, const LogSpec *log)
{
        usec_t end = usec_add(now_read().mono, CORE_WAIT);
        bool waits = t->action.core && cores_are_told();
        size_t n = t->evidence.n_processes;
        int r;

        while ((r = evidence_core_dumps(&t->evidence, log)) == 0 && t->evidence.n_processes == n && waits &&
               now_read().mono < end && !atomic_load(&t->job.cancel)) {
                const struct timespec pause = { .tv_nsec = CORE_PERIOD * 1000 };

                (void)nanosleep(&pause, NULL);
        }
        return r;
}

static int work_evidence(Task *t)
{
        const ServiceSettings *s = t->owner->config.service;
        LogSpec log = { .units = s->units, .since = usec_sub(now_read().wall, LOG_SINCE) };
        int r = find_processes(t);

        if (r == 0)
                r = look(t, false, &t->evidence);
        if (r < 0)
                return r;
        t->has_evidence = true;
        log.processes = t->processes;
        log.n_processes = t->n_processes;
        r = work_core_dumps(t, &log);
        return r < 0 ? r : evidence_log_lines(&t->evidence, &log);
}

static void note(Task *t, const char *what, int r)
{
        (void)json_set(t->data, what, json_from_text(strerror(-r)));
}

static void inventory_done(Task *t, int r)
{
        if (r < 0)
                note(t, "no_inventory", r);
        task_finish(t, RESULT_DONE, REASON_NONE);
}

static void checked(void *userdata, const CauseResult *results, size_t n)
{
        Task *t = userdata;

        t->causes = results;
        t->n_causes = n;
        task_submit(t, t->owner->config.spool_worker, task_inventory, inventory_done);
}

/* Does the evidence name a rebuildable file? Then it is a cause, and it alone is purged. */
static void find_suspect_state(Task *t)
{
        ServiceActuator *a = t->owner;
        char *why = NULL;

        a->suspect_state = strv_free(a->suspect_state);
        if (t->has_evidence && !t->action.healthy)
                (void)state_suspect(a->config.service, &t->evidence, &a->suspect_state, &why);
        causes_set_state(a->causes, why);
}

static void evidence_done(Task *t, int r)
{
        ServiceActuator *a = t->owner;

        if (r < 0)
                note(t, "no_evidence", r);
        if (t->n_processes > 0) {
                a->dead = false;
                a->ran = true;
        }
        if (t->action.with_causes) {
                find_suspect_state(t);
                r = causes_run(a->causes, t->action.healthy, checked, t);
                if (r == 0)
                        return;
                note(t, "no_cause_checks", r);
        }
        checked(t, NULL, 0);
}

static void spool_opened(Task *t, int r)
{
        if (r < 0)
                note(t, "no_stores", r);
        task_submit(t, t->owner->config.proc_worker, work_evidence, evidence_done);
}

void task_collect(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, task_open_spool, spool_opened);
}

/* Names those who hold a file of the stores in data and detail. */
static int name_strangers(Task *t, const Evidence *e)
{
        json_t *list = json_array();

        for (size_t k = 0; k < e->n_processes; k++) {
                const ProcessEvidence *p = &e->processes[k];

                (void)json_array_append_new(
                        list, json_pack("{s:i, s:o, s:o}", "pid", (int)p->id.pid, "command",
                                        json_from_text(p->command ? p->command : p->name), "file",
                                        json_from_text(p->n_files ? p->files[0].path : NULL)));
        }
        free(t->detail);
        if (asprintf(&t->detail, "process %d (%s) is not of the service and holds a file of its stores",
                     (int)e->processes[0].id.pid, e->processes[0].name ? e->processes[0].name : "?") < 0)
                t->detail = NULL;
        return json_set(t->data, "strangers", list);
}

int task_wait_for_strangers(Task *t)
{
        usec_t end = usec_add(now_read().mono, STRANGER_WAIT);

        for (;;) {
                usec_t asked = now_read().wall;
                const struct timespec pause = { .tv_nsec = STRANGER_PERIOD * 1000 };
                Evidence e = { 0 };
                int r = look(t, true, &e);

                if (r == 0 && e.n_processes > 0 && now_read().mono >= end) {
                        r = name_strangers(t, &e);
                        evidence_deinit(&e);
                        return r < 0 ? r : -EBUSY;
                }
                if (r < 0 || e.n_processes == 0) {
                        evidence_deinit(&e);
                        if (r == 0)
                                t->still_at =
                                        (struct timespec){ .tv_sec = (time_t)(asked / USEC_PER_SEC),
                                                           .tv_nsec = (long)(asked % USEC_PER_SEC) * 1000 };
                        return r;
                }
                evidence_deinit(&e);
                nanosleep(&pause, NULL);
                if (atomic_load(&t->job.cancel))
                        return -ECANCELED;
        }
}
