/*
 * manager_stop - stop a service that systemd runs
 *
 * A part of the systemd manager. While the guard is on, the triggers stop first; then the units in order:
 * StopUnit, the job to its end; then the proof that no process lives (KillMode=process leaves children in the
 * unit's group), for what is left of stop_timeout. Whatever hangs past it is a TIMEOUT: STOP_TIMEOUT while a
 * job runs, PROCESSES_LEFT after it. A start job that hangs is replaced by the stop job. Tests:
 * tests/integration/test_manager_systemd.c.
 */
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <string.h>

static int on_stop_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
        SystemdManager *m = userdata;

        (void)s;
        (void)usec;
        m->base.result.alive = manager_base_survivors(&m->base);
        systemd_finish(m, RESULT_TIMEOUT, REASON_STOP_TIMEOUT, "the stop did not end in time");
        return 0;
}

static void stop_proved(void *userdata, const ManagerResult *r)
{
        SystemdManager *m = systemd_manager(userdata);

        systemd_reset(m);
        manager_base_stop_done(&m->base, r);
}

static void stop_prove(SystemdManager *m)
{
        usec_t limits[_KILL_PHASE_MAX] = { 0 }, now = 0;

        /* What of the time is left, and one look at least. */
        m->deadline = sd_event_source_disable_unref(m->deadline);
        (void)sd_event_now(m->bus.event, CLOCK_MONOTONIC, &now);
        limits[KILL_WAIT] = usec_sub(m->until, now) + 1;
        int r = manager_base_ladder(&m->base, limits, stop_proved);
        if (r < 0)
                systemd_fail_errno(m, "processes", r);
}

static void stop_unit(SystemdManager *m);

static void on_stopped(void *userdata, const char *result, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        /* However it ended, what counts comes next: who lives. */
        (void)result;
        m->job = unit_job_free(m->job);
        if (failure && strcmp(failure->name, "org.freedesktop.systemd1.NoSuchUnit") != 0)
                return systemd_fail(m, m->units[m->index].name, failure);
        m->index++;
        stop_unit(m);
}

/* The next unit that is not at rest; after the last, groups are read anew for the proof. */
static void stop_unit(SystemdManager *m)
{
        while (m->index < m->n_units && unit_is_at_rest(&m->units[m->index].info))
                m->index++;
        if (m->index == m->n_units)
                return units_refresh(m, stop_prove);
        int r = unit_job_simple(&m->job, &m->bus, "StopUnit", m->units[m->index].name, on_stopped, m);
        if (r < 0)
                systemd_fail_errno(m, "bus", r);
}

static void stop_refreshed(SystemdManager *m)
{
        int r = m->guarded ? triggers_collect(m) : 0;

        if (r < 0)
                return systemd_fail_errno(m, "triggers", r);
        triggers_run(m, "StopUnit", stop_unit);
}

int systemd_stop(Manager *manager, ManagerDone done, void *userdata)
{
        SystemdManager *m = systemd_manager(manager_base(manager));
        usec_t now = 0;

        int r = systemd_begin(m, done, userdata);
        if (r < 0)
                return err_trace(r);
        m->base.result.alive = true;
        (void)sd_event_now(m->bus.event, CLOCK_MONOTONIC, &now);
        m->until = usec_add(now, m->base.service->stop_timeout);
        r = systemd_deadline(m, m->base.service->stop_timeout, on_stop_deadline);
        if (r < 0) {
                systemd_reset(m);
                return manager_base_refuse(&m->base, r);
        }
        units_refresh(m, stop_refreshed);
        return 0;
}
