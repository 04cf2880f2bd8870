/*
 * manager_settle - kill a service that systemd runs, so that it can be started again
 *
 * A part of the systemd manager. First the ladder over all groups and leftovers. Then each unit is brought to
 * rest, for two reasons: one that is still deactivating (its stop job runs ExecStopPost=, say) would take our
 * next start for a restart; and one that stays active with nobody in it (RemainAfterExit=, SysV scripts)
 * would take it for done already. A stop's own programs can hang in turn (ExecStop=): they sit in the unit's
 * group, get GRACE, and are killed then, a few times at most. The units have SETTLE_MIN, or kill_timeout if
 * that is more, to come to rest.
 *
 * Diagnostics: survivors of SIGKILL are REASON_UNKILLABLE; a unit that does not come to rest is named.
 * Tests: tests/integration/test_manager_systemd.c.
 */
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN (100 * USEC_PER_MSEC)
#define GRACE      (2 * USEC_PER_SEC)
#define SETTLE_MIN (5 * USEC_PER_SEC)
#define ANSWER_MAX (2 * USEC_PER_SEC)
#define ROUNDS_MAX 3

static void settle_next(SystemdManager *m);

static usec_t monotonic(const SystemdManager *m)
{
        usec_t now = 0;

        (void)sd_event_now(m->bus.event, CLOCK_MONOTONIC, &now);
        return now;
}

/* Nobody lives: to the units. The first end of a ladder sets the time that they have. */
static void on_ladder(void *userdata, const ManagerResult *r)
{
        SystemdManager *m = systemd_manager(userdata);

        if (r->result != RESULT_DONE) {
                systemd_reset(m);
                manager_base_kill_done(&m->base, r);
                return;
        }
        usec_t limit =
                m->base.service->kill_timeout > SETTLE_MIN ? m->base.service->kill_timeout : SETTLE_MIN;
        if (m->rounds++ == 0)
                m->until = monotonic(m) + limit;
        units_refresh(m, settle_next);
}

/* Later rounds are for programs of a stop that hung: they have had their SIGTERM from systemd. */
static void kill_round(SystemdManager *m)
{
        usec_t limits[_KILL_PHASE_MAX];

        m->deadline = sd_event_source_disable_unref(m->deadline);
        kill_limits(m->base.service->kill_timeout, m->base.service->core, limits);
        if (m->rounds > 0)
                limits[KILL_TERM] = limits[KILL_ABORT] = 0;
        m->grace = monotonic(m) + GRACE;
        int r = manager_base_ladder(&m->base, limits, on_ladder);
        if (r < 0)
                systemd_fail_errno(m, "processes", r);
}

static void settle_read(SystemdManager *m)
{
        unit_reread(m, settle_next);
}

static void on_stop(void *userdata, const char *result, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        (void)result;
        (void)failure; /* the next look at the unit tells */
        m->job = unit_job_free(m->job);
}

/* A unit that is not at rest: stop it once, wait, and kill what its stop has started. */
static void settle_wait(SystemdManager *m, const ServiceUnit *u)
{
        usec_t now = monotonic(m);

        if (now >= m->until) {
                _cleanup_(freep) char *detail = NULL;

                if (asprintf(&detail, "no process lives, but %s stays %s (%s)", u->name, u->info.active_state,
                             u->info.sub_state ? u->info.sub_state : "?") < 0)
                        detail = NULL;
                m->base.result.alive = manager_base_alive(&m->base) != 0;
                return systemd_finish(m, RESULT_FAILED, REASON_ACTION_FAILED, detail);
        }
        if (now >= m->grace && m->rounds < ROUNDS_MAX && manager_base_alive(&m->base) != 0)
                return kill_round(m);
        if (!m->job && !streq_null(u->info.active_state, "deactivating") &&
            !streq_null(m->stopped, u->name)) {
                free(m->stopped);
                m->stopped = strdup(u->name);
                m->grace = now + GRACE;
                int r = unit_job_simple(&m->job, &m->bus, "StopUnit", u->name, on_stop, m);
                if (r < 0)
                        return systemd_fail_errno(m, u->name, r);
        }
        systemd_again(m, LOOK_AGAIN, settle_read);
}

/* All units are at rest: the last look at the processes. */
static void settle_over(SystemdManager *m)
{
        int r = manager_base_alive(&m->base);

        if (r < 0)
                return systemd_fail_errno(m, "processes", r);
        if (r > 0 && m->rounds < ROUNDS_MAX)
                return kill_round(m);
        m->base.result.alive = r > 0;
        if (r > 0)
                return systemd_finish(m, RESULT_FAILED, REASON_PROCESSES_LEFT,
                                      "new processes appear again and again");
        systemd_finish(m, RESULT_DONE, REASON_STOPPED, NULL);
}

static void settle_next(SystemdManager *m)
{
        while (m->index < m->n_units && unit_is_at_rest(&m->units[m->index].info))
                m->index++;
        if (m->index < m->n_units)
                return settle_wait(m, &m->units[m->index]);
        settle_over(m);
}

/* A systemd that does not answer is no reason to let them live: the groups are known from before. */
static int on_no_answer(sd_event_source *s, uint64_t usec, void *userdata)
{
        SystemdManager *m = userdata;

        (void)s;
        (void)usec;
        m->fetch = unit_fetch_free(m->fetch);
        kill_round(m);
        return 0;
}

int systemd_kill(Manager *manager, ManagerDone done, void *userdata)
{
        SystemdManager *m = systemd_manager(manager_base(manager));

        int r = systemd_begin(m, done, userdata);
        if (r < 0)
                return err_trace(r);
        m->base.result.alive = true;
        r = systemd_deadline(m, ANSWER_MAX, on_no_answer);
        if (r < 0)
                return manager_base_refuse(&m->base, r);
        units_refresh(m, kill_round);
        return 0;
}
