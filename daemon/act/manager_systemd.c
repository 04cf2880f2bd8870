/*
 * manager_systemd - a service that systemd runs
 *
 * Made by the engine for `manager = "systemd"`. Everything goes over D-Bus and is asynchronous; see
 * manager_unit.h for the pieces. A call runs through steps: each step begins one thing and names the step
 * that follows it. Here are the object and the steps that calls share; manager_start.c, manager_stop.c,
 * manager_settle.c and manager_guard.c hold the calls.
 *
 * Diagnostics: a bus that goes away fails the call under way, and all later ones begin with -ENOTCONN. Tests:
 * tests/integration/test_manager_systemd.c on a fake systemd, tests/integration/drive_manager.c on a real
 * one.
 */
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Everything of the call but the call itself; safe at any step, and in the middle of a callback. */
void systemd_reset(SystemdManager *m)
{
        m->fetch = unit_fetch_free(m->fetch);
        m->job = unit_job_free(m->job);
        m->slot = sd_bus_slot_unref(m->slot);
        m->deadline = sd_event_source_disable_unref(m->deadline);
        m->again = sd_event_source_disable_unref(m->again);
        m->triggers = strv_free(m->triggers);
        free(TAKE_PTR(m->trouble));
        free(TAKE_PTR(m->stopped));
        m->guard = guard_run_free(m->guard);
        m->base.kill = kill_free(m->base.kill);
        m->next = NULL;
        m->index = 0;
        m->rounds = 0;
        manager_base_abandon(&m->base);
}

/*
 * The bus has gone, and unjamd goes with it, to be started again. What fails because of that is not said: it
 * would be recorded as the end of the recovery. The open intent stands, and the next unjamd goes on from it.
 */
static bool is_ending(const SystemdManager *m)
{
        return sd_bus_is_open(m->bus.bus) <= 0 && sd_bus_get_exit_on_disconnect(m->bus.bus) > 0;
}

/* Ends the call. A permit is only for our own start. */
void systemd_finish(SystemdManager *m, ResultKind result, Reason reason, const char *detail)
{
        if (is_ending(m))
                return;
        /* @detail may be of what the reset frees. */
        if (detail)
                manager_base_finish(&m->base, result, reason, "%s", detail);
        else
                manager_base_finish(&m->base, result, reason, NULL);
        systemd_reset(m);
        (void)manager_base_permit(&m->base, false);
}

/* The reason that an error of systemd stands for. */
static Reason failure_reason(const char *name)
{
        static const struct {
                const char *name;
                Reason reason;
        } known[] = {
                { "org.freedesktop.systemd1.UnitMasked", REASON_MASKED },
                { "org.freedesktop.systemd1.ShuttingDown", REASON_SHUTDOWN },
                { "org.freedesktop.systemd1.TransactionIsDestructive", REASON_SHUTDOWN },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (strcmp(name, known[i].name) == 0)
                        return known[i].reason;
        return REASON_ACTION_FAILED;
}

void systemd_fail(SystemdManager *m, const char *what, const BusFailure *failure)
{
        _cleanup_(freep) char *detail = NULL;

        if (asprintf(&detail, "%s: %s", what, failure->message) < 0)
                detail = NULL;
        systemd_finish(m, RESULT_FAILED, failure_reason(failure->name), detail);
}

void systemd_fail_errno(SystemdManager *m, const char *what, int r)
{
        systemd_fail(m, what, &(BusFailure){ .name = "", .message = strerrordesc_np(-r) });
}

/* A call begins with nothing left of the one before. */
int systemd_begin(SystemdManager *m, ManagerDone done, void *userdata)
{
        if ((m->lost || sd_bus_is_open(m->bus.bus) <= 0) && !is_ending(m))
                return err_origin(-ENOTCONN);
        int r = manager_base_begin(&m->base, done, userdata);
        if (r < 0)
                return err_trace(r);
        systemd_reset(m);
        return 0;
}

int systemd_deadline(SystemdManager *m, usec_t after, sd_event_time_handler_t handler)
{
        m->deadline = sd_event_source_disable_unref(m->deadline);
        int r = sd_event_add_time_relative(m->bus.event, &m->deadline, CLOCK_MONOTONIC, after, 1, handler, m);
        return r < 0 ? err_origin(r) : 0;
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        SystemdManager *m = userdata;

        (void)s;
        (void)usec;
        m->again = sd_event_source_disable_unref(m->again);
        m->next(m);
        return 0;
}

void systemd_again(SystemdManager *m, usec_t after, void (*next)(SystemdManager *m))
{
        m->next = next;
        m->again = sd_event_source_disable_unref(m->again);
        int r = sd_event_add_time_relative(m->bus.event, &m->again, CLOCK_MONOTONIC, after, 1, on_again, m);
        if (r < 0)
                systemd_fail_errno(m, "timer", r);
}

/* Keeps what was read of a unit. Return: 0 or -ENOMEM. */
static int unit_keep(SystemdManager *m, ServiceUnit *u, UnitInfo *info)
{
        unit_info_deinit(&u->info);
        u->info = *info;
        *info = (UnitInfo){ 0 };
        /* Groups are only added: the path of a unit that is down shows again with its next start. */
        if (u->info.control_group && u->info.control_group[0])
                return err_trace(manager_base_add_cgroup(&m->base, u->info.control_group));
        return 0;
}

/* Return: 0 (also if it is there already) or -ENOMEM. */
static int unit_add(SystemdManager *m, const char *name, bool instance)
{
        for (size_t i = 0; i < m->n_units; i++)
                if (strcmp(m->units[i].name, name) == 0)
                        return 0;
        ServiceUnit *grown = reallocarray(m->units, m->n_units + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        m->units = grown;
        ServiceUnit u = { .name = strdup(name), .instance = instance };
        if (!u.name)
                return err_origin(-ENOMEM);
        m->units[m->n_units++] = u;
        return 0;
}

/* Is @name an instance x@y.service of @unit, which is x.service? */
static bool is_instance_of(const char *name, const char *unit)
{
        const char *dot = strrchr(unit, '.');
        size_t len = dot ? (size_t)(dot - unit) : 0;

        if (len == 0 || strcmp(dot, ".service") != 0 || memchr(unit, '@', len))
                return false;
        size_t n = strlen(name);
        return strncmp(name, unit, len) == 0 && name[len] == '@' && n > len + 9 &&
               strcmp(name + n - 8, ".service") == 0;
}

/* Takes in the instances that @wrapper, a configured unit, stands for. */
static int add_instances(SystemdManager *m, const UnitInfo *wrapper)
{
        for (char **one = wrapper->consists_of; one && *one; one++) {
                if (!is_instance_of(*one, wrapper->name))
                        continue;
                int r = unit_add(m, *one, true);
                if (r >= 0 && m->watch)
                        r = manager_watch_add(m->watch, *one);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static void refresh_step(SystemdManager *m);

static void on_refreshed(void *userdata, UnitInfo *info, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        m->fetch = unit_fetch_free(m->fetch);
        if (failure)
                return systemd_fail(m, m->units[m->index].name, failure);
        int r = unit_keep(m, &m->units[m->index], info);
        if (r >= 0)
                r = add_instances(m, &m->units[m->index].info);
        if (r < 0)
                return systemd_fail_errno(m, m->units[m->index].name, r);
        m->index++;
        refresh_step(m);
}

/* One unit after the other; instances that turn up on the way are at the end of the list. */
static void refresh_step(SystemdManager *m)
{
        if (m->index == m->n_units) {
                m->index = 0;
                return m->next(m);
        }
        int r = unit_fetch_new(&m->fetch, &m->bus, m->units[m->index].name, on_refreshed, m);
        if (r < 0)
                systemd_fail_errno(m, "bus", r);
}

void units_refresh(SystemdManager *m, void (*next)(SystemdManager *m))
{
        m->next = next;
        m->index = 0;
        refresh_step(m);
}

static void on_reread(void *userdata, UnitInfo *info, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        m->fetch = unit_fetch_free(m->fetch);
        if (failure)
                return systemd_fail(m, m->units[m->index].name, failure);
        int r = unit_keep(m, &m->units[m->index], info);
        if (r < 0)
                return systemd_fail_errno(m, m->units[m->index].name, r);
        m->next(m);
}

void unit_reread(SystemdManager *m, void (*next)(SystemdManager *m))
{
        m->next = next;
        int r = unit_fetch_new(&m->fetch, &m->bus, m->units[m->index].name, on_reread, m);
        if (r < 0)
                systemd_fail_errno(m, "bus", r);
}

int triggers_collect(SystemdManager *m)
{
        m->triggers = strv_free(m->triggers);
        for (size_t i = 0; i < m->n_units; i++)
                for (char **t = m->units[i].info.triggered_by; t && *t; t++) {
                        if (strv_contains(m->triggers, *t))
                                continue;
                        int r = strv_append(&m->triggers, *t);
                        if (r < 0)
                                return err_trace(r);
                }
        return 0;
}

static void trigger_step(SystemdManager *m);

static void on_trigger(void *userdata, const char *result, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        m->job = unit_job_free(m->job);
        /* What comes after does not depend on it, but the record should say so. */
        if ((failure || strcmp(result, "done") != 0) && !m->trouble &&
            asprintf(&m->trouble, "%s: %s", m->triggers[m->index], failure ? failure->message : result) < 0)
                m->trouble = NULL;
        m->index++;
        trigger_step(m);
}

static void trigger_queue(SystemdManager *m)
{
        int r = unit_job_simple(&m->job, &m->bus, m->trigger_method, m->triggers[m->index], on_trigger, m);
        if (r < 0)
                systemd_fail_errno(m, "bus", r);
}

static int on_trigger_reset(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        SystemdManager *m = userdata;

        (void)reply;
        (void)error;
        m->slot = sd_bus_slot_unref(m->slot);
        trigger_queue(m);
        return 0;
}

static void trigger_step(SystemdManager *m)
{
        if (m->index >= strv_length(m->triggers)) {
                m->index = 0;
                return m->next(m);
        }
        if (strcmp(m->trigger_method, "StartUnit") != 0)
                return trigger_queue(m);
        /* One that hit its trigger or start limit during the incident must not stay down for it. */
        int r = sd_bus_call_method_async(m->bus.bus, &m->slot, m->bus.destination, SYSTEMD_PATH,
                                         SYSTEMD_MANAGER, "ResetFailedUnit", on_trigger_reset, m, "s",
                                         m->triggers[m->index]);
        if (r < 0)
                systemd_fail_errno(m, "bus", r);
}

void triggers_run(SystemdManager *m, const char *method, void (*next)(SystemdManager *m))
{
        m->next = next;
        m->trigger_method = method;
        m->index = 0;
        trigger_step(m);
}

/* News from the watch, at any time. */
static void on_seen(void *userdata, UnitInfo *info, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        (void)failure; /* the next change has it read again */
        if (!info)
                return;
        if (info->control_group && info->control_group[0])
                (void)manager_base_add_cgroup(&m->base, info->control_group);
        (void)add_instances(m, info);
}

/* sd-bus fails the calls that wait for a reply; those that wait for a signal would wait for ever. */
static int on_disconnected(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
        SystemdManager *m = userdata;

        (void)signal;
        (void)error;
        m->lost = true;
        m->watch = manager_watch_free(m->watch);
        systemd_fail(m, "systemd", &(BusFailure){ .name = "", .message = "the bus connection was lost" });
        return 0;
}

Manager *systemd_free(Manager *manager)
{
        SystemdManager *m = systemd_manager(manager_base(manager));

        systemd_reset(m);
        manager_watch_free(m->watch);
        strv_free(m->restart);
        sd_bus_slot_unref(m->disconnected);
        for (size_t i = 0; i < m->n_units; i++) {
                free(m->units[i].name);
                unit_info_deinit(&m->units[i].info);
        }
        free(m->units);
        manager_base_deinit(&m->base);
        free(m);
        return NULL;
}

static int subscribe(SystemdManager *m)
{
        /* "Already subscribed" is as good: the connection is shared. */
        int r = sd_bus_call_method_async(m->bus.bus, NULL, m->bus.destination, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                         "Subscribe", NULL, NULL, NULL);
        if (r >= 0)
                r = sd_bus_match_signal(m->bus.bus, &m->disconnected, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                        "Disconnected", on_disconnected, m);
        return r < 0 ? err_origin(r) : 0;
}

/* What an incident that was open when unjamd ended has left. A small read at the start of the daemon. */
static int guard_resume(SystemdManager *m, const GuardPaths *p)
{
        GuardMarker marker = { 0 };

        (void)guard_permit(p, false); /* of a start that was cut short */
        int r = guard_marker_read(p, &marker);
        if (r == GUARD_E_NONE)
                return 0;
        m->guarded = true;
        m->restart = TAKE_PTR(marker.triggers);
        guard_marker_deinit(&marker);
        return r == -EBADMSG ? 0 : r; /* no list of triggers, but a guard it is */
}

static int systemd_init(SystemdManager *m, const ManagerContext *c, char *const *units)
{
        GuardPaths p = { 0 };

        int r = manager_base_init(&m->base, c);
        if (r < 0)
                return err_trace(r);
        if (!c->bus)
                return err_origin(-ENOTCONN);
        m->bus = (SystemdBus){
                .event = c->event, .bus = c->bus, .destination = c->destination, .turns = c->turns
        };
        for (char *const *u = units; r >= 0 && u && *u; u++)
                r = unit_add(m, *u, false);
        m->n_configured = m->n_units;
        if (r >= 0 && m->n_units == 0)
                r = err_origin(-EINVAL);
        if (r >= 0)
                r = manager_base_paths(&m->base, &p);
        if (r >= 0)
                r = guard_resume(m, &p);
        guard_paths_deinit(&p);
        if (r >= 0)
                r = subscribe(m);
        if (r >= 0)
                r = manager_watch_new(&m->watch, &m->bus, units, on_seen, m);
        return r < 0 ? err_trace(r) : 0;
}

int systemd_new(SystemdManager **ret, const ManagerContext *c, char *const *units, const ManagerOps *ops)
{
        SystemdManager *m = calloc(1, sizeof(*m));
        if (!m)
                return err_origin(-ENOMEM);

        m->base.manager.ops = ops;
        m->base.procfd = -1;
        int r = systemd_init(m, c, units);
        if (r < 0) {
                systemd_free(&m->base.manager);
                return err_trace(r);
        }
        *ret = m;
        return 0;
}

int manager_systemd_new(Manager **ret, const ManagerContext *c)
{
        static const ManagerOps ops = {
                .guard = systemd_guard,
                .start = systemd_start,
                .stop = systemd_stop,
                .kill = systemd_kill,
                .processes = manager_base_processes,
                .free = systemd_free,
        };
        SystemdManager *m;

        int r = systemd_new(&m, c, c->service->units, &ops);
        if (r < 0)
                return err_trace(r);
        *ret = &m->base.manager;
        return 0;
}
