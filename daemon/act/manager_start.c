/*
 * manager_start - start a service that systemd runs
 *
 * A part of the systemd manager. Units are started in reverse order, each so: ResetFailedUnit (a start limit
 * that was hit must not block us), StartUnit, the job to its end, then the unit as it is. It must be active,
 * or a oneshot that ended well; one that died meanwhile is failed although its job was done. A unit that says
 * active while nobody of it runs is failed: processes count, not words. Instances of a wrapper are waited for
 * if its start has started them.
 *
 * During an incident the permit lies there while this runs, and sockets that were up before the incident
 * start first: a service that takes its sockets from systemd cannot start without them, and they cannot start
 * beside it.
 *
 * At start_timeout the job is left as it is: the engine stops or kills next, and a stop replaces the job. The
 * invocation is that of the first unit. Tests: tests/integration/test_manager_systemd.c.
 */
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN (100 * USEC_PER_MSEC)

static int on_start_deadline(sd_event_source *s, uint64_t usec, void *userdata)
{
        SystemdManager *m = userdata;

        (void)s;
        (void)usec;
        systemd_finish(m, RESULT_TIMEOUT, REASON_ACTION_FAILED, "the start did not end in time");
        return 0;
}

static void start_unit(SystemdManager *m);

/* What the last look at a unit says of its start: NULL if it is up (or still on its way up), else what is
 * wrong. */
static const char *start_verdict(SystemdManager *m, const UnitInfo *u, const char **ret_unmet)
{
        bool oneshot = streq_null(u->type, "oneshot");

        *ret_unmet = NULL;
        if (streq_null(u->active_state, "active") || streq_null(u->active_state, "reloading")) {
                if (streq_null(u->sub_state, "exited") && !oneshot && manager_base_alive(&m->base) == 0)
                        return "the unit is active, but no process of it lives";
                return NULL;
        }
        if (streq_null(u->active_state, "inactive")) {
                if (!u->condition_result || !u->assert_result) {
                        *ret_unmet = u->unmet;
                        return "a condition of the unit does not hold";
                }
                if (oneshot && streq_null(u->result, "success"))
                        return NULL;
                return "it ended at once";
        }
        if (streq_null(u->active_state, "activating") && !streq_null(u->sub_state, "auto-restart"))
                return NULL;
        return "it failed";
}

/* All are up. */
static void start_over(SystemdManager *m)
{
        const UnitInfo *u = &m->units[0].info;

        free(m->base.invocation);
        m->base.invocation = strdup_null(u->invocation);
        systemd_finish(m, RESULT_DONE, REASON_ACTION_DONE, NULL);
}

/* Looks at the unit after its job. Return: true if it is up; else the call has ended, or goes on
 * by itself. */
static bool start_look(SystemdManager *m, void (*again)(SystemdManager *m))
{
        const UnitInfo *u = &m->units[m->index].info;
        _cleanup_(freep) char *detail = NULL;
        const char *unmet;

        const char *wrong = start_verdict(m, u, &unmet);
        if (wrong) {
                if (asprintf(&detail, "%s: %s (%s)", u->id, wrong,
                             unmet       ? unmet
                             : u->result ? u->result
                                         : u->active_state) < 0)
                        detail = NULL;
                systemd_finish(m, RESULT_FAILED, REASON_ACTION_FAILED, detail);
                return false;
        }
        /* The job was lost or somebody else's took its place: until start_timeout it may still come up. */
        if (streq_null(u->active_state, "activating")) {
                systemd_again(m, LOOK_AGAIN, again);
                return false;
        }
        return true;
}

/* Instances that the start of a wrapper has started: up, each with a job that ended. Others may be down. */
static void instances_look(SystemdManager *m);

static void instances_again(SystemdManager *m)
{
        unit_reread(m, instances_look);
}

static void instances_look(SystemdManager *m)
{
        const UnitInfo *u = &m->units[m->index].info;

        if (u->job != 0)
                return systemd_again(m, LOOK_AGAIN, instances_again);
        /* An instance that nobody started, as one that is not enabled, is down rightly. */
        bool down = streq_null(u->active_state, "inactive");
        if (!down && !start_look(m, instances_again))
                return;
        if (++m->index < m->n_units)
                return unit_reread(m, instances_look);
        start_over(m);
}

/* This unit is up: the next one, or, after the last, the instances. */
static void start_checked(SystemdManager *m)
{
        if (m->index == 0) {
                if (m->n_units == m->n_configured)
                        return start_over(m);
                m->index = m->n_configured;
                return unit_reread(m, instances_look);
        }
        m->index--;
        start_unit(m);
}

static void start_reread(SystemdManager *m);

static void start_read(SystemdManager *m)
{
        if (start_look(m, start_reread))
                start_checked(m);
}

static void start_reread(SystemdManager *m)
{
        unit_reread(m, start_read);
}

/* The job's result is not what counts, but what has become of the unit. */
static void on_started(void *userdata, const char *result, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        (void)result;
        m->job = unit_job_free(m->job);
        if (failure)
                return systemd_fail(m, m->units[m->index].name, failure);
        start_reread(m);
}

static int start_message(SystemdManager *m, sd_bus_message **ret)
{
        if (m->start_call)
                return err_trace(m->start_call(m, ret));

        int r = sd_bus_message_new_method_call(m->bus.bus, ret, m->bus.destination, SYSTEMD_PATH,
                                               SYSTEMD_MANAGER, "StartUnit");
        if (r >= 0)
                r = sd_bus_message_append(*ret, "ss", m->units[m->index].name, "replace");
        return r < 0 ? err_origin(r) : 0;
}

/* An error here says that there was nothing to reset. */
static int on_reset(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        SystemdManager *m = userdata;
        sd_bus_message *call = NULL;

        (void)reply;
        (void)error;
        m->slot = sd_bus_slot_unref(m->slot);
        int r = start_message(m, &call);
        if (r >= 0)
                r = unit_job_new(&m->job, &m->bus, call, on_started, m);
        sd_bus_message_unref(call);
        if (r < 0)
                systemd_fail_errno(m, m->units[m->index].name, r);
        return 0;
}

/* The first step for a unit: what forbids its start is said before anything is asked for. */
static void start_unit(SystemdManager *m)
{
        const ServiceUnit *u = &m->units[m->index];

        if (streq_null(u->info.load_state, "masked"))
                return systemd_finish(m, RESULT_FAILED, REASON_MASKED, "the unit is masked");
        if (!m->start_call && streq_null(u->info.load_state, "not-found"))
                return systemd_finish(m, RESULT_FAILED, REASON_ACTION_FAILED, "there is no such unit");
        /* A transient unit that runs cannot be made again; others take the start as done. */
        if (m->start_call && streq_null(u->info.active_state, "active"))
                return start_checked(m);
        int r = sd_bus_call_method_async(m->bus.bus, &m->slot, m->bus.destination, SYSTEMD_PATH,
                                         SYSTEMD_MANAGER, "ResetFailedUnit", on_reset, m, "s", u->name);
        if (r < 0)
                systemd_fail_errno(m, "bus", r);
}

static void start_units(SystemdManager *m)
{
        m->index = m->n_configured - 1;
        start_unit(m);
}

static void start_refreshed(SystemdManager *m)
{
        for (char **t = m->guarded ? m->restart : NULL; t && *t; t++) {
                const char *dot = strrchr(*t, '.');

                if (!dot || strcmp(dot, ".socket") != 0)
                        continue;
                int r = strv_append(&m->triggers, *t);
                if (r < 0)
                        return systemd_fail_errno(m, *t, r);
        }
        triggers_run(m, "StartUnit", start_units);
}

int systemd_start(Manager *manager, ManagerDone done, void *userdata)
{
        SystemdManager *m = systemd_manager(manager_base(manager));

        int r = systemd_begin(m, done, userdata);
        if (r < 0)
                return err_trace(r);
        r = systemd_deadline(m, m->base.service->start_timeout, on_start_deadline);
        /* Without a guard the permit means nothing: a run_dir that cannot be written must not keep mail down
         * then. */
        if (r >= 0) {
                r = manager_base_permit(&m->base, true);
                r = m->guarded ? r : 0;
        }
        if (r < 0) {
                systemd_reset(m);
                return manager_base_refuse(&m->base, r);
        }
        units_refresh(m, start_refreshed);
        return 0;
}
