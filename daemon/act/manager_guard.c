/*
 * manager_guard - from now on nobody else starts the service
 *
 * A part of the systemd manager. The files are described in guard.h. The order, and why each step stands
 * where it does:
 *
 * on      1. units and triggers are read: which triggers are active?
 *         2. the marker (with those triggers) and the drop-ins are written, durable: from here on the marker
 *            alone is enough to undo everything, and a reboot finds the guard up.
 *         3. if that changed anything: no other unit may wait for a daemon-reload (else all is taken back,
 *            FAILED with REASON_NEED_DAEMON_RELOAD); the triggers stop, for what they trigger would be
 *            refused from now on; reload.
 * off     1. the drop-ins go: those that the marker names and those of the configured units.
 *         2. reload, if a unit needs it. If another unit waits for one it is left out: the answer is DONE,
 *            with REASON_NEED_DAEMON_RELOAD and the unit's name, for without a marker the condition holds and
 *            only Restart=no is left in systemd's memory, until that other reload comes.
 *         3. the triggers that were active start again, with the permit (the condition may still be there).
 *         4. the marker goes, last.
 *
 * Both can be repeated, also after unjamd ended anywhere in between. Files are written by the worker.
 *
 * Diagnostics: "on" that fails in any step takes back what it did, then reports why; if the taking back fails
 * too, the detail says both, and the marker is still there for the next "off". Tests:
 * tests/integration/test_manager_guard.c.
 */
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct GuardRun {
        bool on;
        char *incident;
        GuardMarker marker; /* what is to be, or what was found */
        char **triggers;    /* all of them */
        char **hard;        /* units that get assertions */
        bool changed;       /* files were */
        char *waiting;      /* a unit that waits for a reload of somebody else's */
        UnitReload *reload;
        /* "on" has failed, and is being taken back. */
        bool failed;
        Reason reason;
        char *detail;
} GuardRun;

struct GuardRun *guard_run_free(struct GuardRun *g)
{
        if (!g)
                return NULL;
        free(g->incident);
        guard_marker_deinit(&g->marker);
        strv_free(g->triggers);
        strv_free(g->hard);
        free(g->waiting);
        free(g->detail);
        unit_reload_free(g->reload);
        free(g);
        return NULL;
}

/* What the worker does with the files; owns everything, for it may outlive the call. */
typedef struct FileWork {
        GuardPaths paths;
        GuardMarker marker; /* on: to be written. off: found, then */
        char **units;       /* on: to get drop-ins. off: to lose them, beside the marker's */
        char **hard;
        bool changed;
} FileWork;

static void file_free(void *data)
{
        FileWork *w = data;

        guard_paths_deinit(&w->paths);
        guard_marker_deinit(&w->marker);
        strv_free(w->units);
        strv_free(w->hard);
        free(w);
}

static int add_all(char ***to, char *const *from)
{
        for (; from && *from; from++) {
                if (strv_contains(*to, *from))
                        continue;
                int r = strv_append(to, *from);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

/* A marker of an earlier "on" of this incident remembers triggers that have been stopped since. */
static int write_run(void *data)
{
        FileWork *w = data;
        GuardMarker old = { 0 };

        int r = guard_marker_read(&w->paths, &old);
        if (r == 0) {
                r = add_all(&w->marker.triggers, old.triggers);
                if (r == 0)
                        r = add_all(&w->marker.units, old.units);
        }
        guard_marker_deinit(&old);
        /* None, or one that cannot be read: ours replaces it. */
        r = r < 0 && r != -EBADMSG ? r : guard_marker_write(&w->paths, &w->marker);
        for (char **u = w->units; r == 0 && *u; u++)
                r = guard_dropins_write(&w->paths, *u, w->marker.incident,
                                        strv_contains(w->hard, *u) ? GUARD_ASSERT : GUARD_CONDITION,
                                        &w->changed);
        return r < 0 ? err_trace(r) : 0;
}

/* In the worker: the drop-ins that the marker names, and those of the units that are known now. */
static int remove_run(void *data)
{
        FileWork *w = data;

        int r = guard_marker_read(&w->paths, &w->marker);
        if (r < 0 && r != -EBADMSG)
                return err_trace(r);
        r = add_all(&w->units, w->marker.units);
        for (char **u = w->units; r == 0 && u && *u; u++)
                r = guard_dropins_remove(&w->paths, *u, &w->changed);
        return r < 0 ? err_trace(r) : 0;
}

/* In the worker. */
static int unmark_run(void *data)
{
        FileWork *w = data;

        return err_trace(guard_marker_remove(&w->paths));
}

/* First names: a drop-in for an alias would be found as well, yet not when the alias goes. */
static int unit_names(const SystemdManager *m, char ***ret)
{
        _cleanup_(strv_freep) char **v = NULL;
        int r = 0;

        for (size_t i = 0; i < m->n_units && r == 0; i++) {
                const ServiceUnit *u = &m->units[i];

                r = strv_append(&v, u->info.id ? u->info.id : u->name);
        }
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(v);
        return 0;
}

/* Hands a copy of all that the worker needs to it. */
static int file_work(SystemdManager *m, int (*run)(void *), void (*done)(ManagerBase *, void *, int))
{
        GuardRun *g = m->guard;
        FileWork *w = calloc(1, sizeof(*w));

        if (!w)
                return err_origin(-ENOMEM);
        int r = manager_base_paths(&m->base, &w->paths);
        if (r == 0)
                r = unit_names(m, &w->units);
        if (r == 0)
                r = add_all(&w->units, g->triggers);
        if (r == 0)
                r = add_all(&w->hard, g->hard);
        if (r == 0 && g->on) {
                w->marker.incident = strdup_null(g->incident);
                r = w->marker.incident ? add_all(&w->marker.units, w->units) : -ENOMEM;
                if (r == 0)
                        r = add_all(&w->marker.triggers, g->marker.triggers);
        }
        if (r < 0) {
                file_free(w);
                return err_trace(r);
        }
        return err_trace(manager_base_work(&m->base, &(ManagerWork){ run, done, file_free, w }));
}

static void off_begin(SystemdManager *m);

/* "on" cannot be: everything is taken back. A failure of "off", or of the taking back, is the end. */
static void guard_fail(SystemdManager *m, Reason reason, const char *what, const char *why)
{
        GuardRun *g = m->guard;
        _cleanup_(freep) char *detail = NULL;

        if (asprintf(&detail, "%s%s%s: %s", g->detail ? g->detail : "", g->detail ? "; taking it back: " : "",
                     what, why) < 0)
                detail = NULL;
        if (!g->on)
                return systemd_finish(m, RESULT_FAILED, g->failed ? g->reason : reason, detail);

        free(g->detail);
        g->detail = TAKE_PTR(detail);
        g->reason = reason;
        g->failed = true;
        g->on = false;
        off_begin(m);
}

static void on_unmarked(ManagerBase *b, void *data, int r)
{
        SystemdManager *m = systemd_manager(b);
        GuardRun *g = m->guard;
        _cleanup_(freep) char *detail = NULL;

        (void)data;
        if (r < 0)
                return guard_fail(m, REASON_ACTION_FAILED, "marker", strerrordesc_np(-r));
        m->guarded = false;
        m->restart = strv_free(m->restart);
        if (g->failed)
                return systemd_finish(m, RESULT_FAILED, g->reason, g->detail);
        if (g->waiting &&
            asprintf(&detail,
                     "%s waits for a daemon-reload that is not ours to make: until then Restart= stays off",
                     g->waiting) < 0)
                detail = NULL;
        systemd_finish(m, RESULT_DONE, g->waiting ? REASON_NEED_DAEMON_RELOAD : REASON_ACTION_DONE,
                       detail ? detail : m->trouble);
}

static void off_unmark(SystemdManager *m)
{
        int r = file_work(m, unmark_run, on_unmarked);

        (void)manager_base_permit(&m->base, false);
        if (r < 0)
                guard_fail(m, REASON_ACTION_FAILED, "marker", strerrordesc_np(-r));
}

/* systemd may still hold the condition, if the reload was not ours to make: hence the permit. */
static void off_triggers(SystemdManager *m)
{
        int r = add_all(&m->triggers, m->guard->marker.triggers);
        if (r == 0 && m->triggers)
                r = manager_base_permit(&m->base, true);
        if (r < 0)
                return guard_fail(m, REASON_ACTION_FAILED, "triggers", strerrordesc_np(-r));
        triggers_run(m, "StartUnit", off_unmark);
}

static void on_off_reloaded(void *userdata, const char *waiting, const BusFailure *failure)
{
        SystemdManager *m = userdata;
        GuardRun *g = m->guard;

        if (failure)
                return guard_fail(m, REASON_ACTION_FAILED, "daemon-reload", failure->message);
        g->waiting = strdup_null(waiting);
        g->reload = unit_reload_free(g->reload);
        off_triggers(m);
}

static int reload_begin(SystemdManager *m, bool make, UnitReloaded done)
{
        GuardRun *g = m->guard;
        _cleanup_(strv_freep) char **ours = NULL;

        int r = unit_names(m, &ours);
        for (size_t i = 0; i < m->n_units && r == 0; i++)
                r = strv_append(&ours, m->units[i].name);
        if (r == 0)
                r = add_all(&ours, g->triggers);
        if (r == 0)
                r = add_all(&ours, g->marker.units);
        if (r == 0)
                r = unit_reload_new(&g->reload, &m->bus, ours, make, done, m);
        return r < 0 ? err_trace(r) : 0;
}

/* Do systemd's units differ from the files? */
static bool reload_needed(const SystemdManager *m)
{
        bool needed = m->guard->changed;

        for (size_t i = 0; i < m->n_units; i++)
                needed |= m->units[i].info.need_daemon_reload;
        return needed;
}

static void off_reload(SystemdManager *m)
{
        if (!reload_needed(m))
                return off_triggers(m);
        int r = reload_begin(m, true, on_off_reloaded);
        if (r < 0)
                guard_fail(m, REASON_ACTION_FAILED, "daemon-reload", strerrordesc_np(-r));
}

static void on_removed(ManagerBase *b, void *data, int r)
{
        SystemdManager *m = systemd_manager(b);
        GuardRun *g = m->guard;
        FileWork *w = data;

        if (r < 0)
                return guard_fail(m, REASON_ACTION_FAILED, "drop-ins", strerrordesc_np(-r));
        /* When "on" is taken back, systemd never read them if its reload was not made. */
        g->changed = w->changed && !g->failed;
        guard_marker_deinit(&g->marker);
        g->marker = w->marker;
        w->marker = (GuardMarker){ 0 };
        units_refresh(m, off_reload);
}

static void off_begin(SystemdManager *m)
{
        int r = file_work(m, remove_run, on_removed);
        if (r < 0)
                guard_fail(m, REASON_ACTION_FAILED, "drop-ins", strerrordesc_np(-r));
}

/* The guard is up; the record names what it is on. */
static void on_over(SystemdManager *m)
{
        GuardRun *g = m->guard;

        json_decref(m->base.result.data);
        m->base.result.data = json_object();
        for (char **u = g->marker.units; m->base.result.data && u && *u; u++) {
                json_t *list = json_object_get(m->base.result.data, "guarded");

                if (!list && json_object_set_new(m->base.result.data, "guarded", list = json_array()) < 0)
                        break;
                (void)json_array_append_new(list, json_string(*u));
        }
        systemd_finish(m, RESULT_DONE, REASON_ACTION_DONE, m->trouble);
}

/* After the check, and after the reload itself: may "on" go on? Else it is being taken back. */
static bool on_may_go_on(SystemdManager *m, const char *waiting, const BusFailure *failure)
{
        GuardRun *g = m->guard;
        _cleanup_(freep) char *name = strdup_null(waiting);
        _cleanup_(freep) char *why = failure ? strdup(failure->message) : NULL;

        g->reload = unit_reload_free(g->reload); /* the strings were its */
        if (waiting)
                guard_fail(m, REASON_NEED_DAEMON_RELOAD, name ? name : "a unit",
                           "waits for a daemon-reload of others");
        else if (failure)
                guard_fail(m, REASON_ACTION_FAILED, "daemon-reload", why ? why : "failed");
        return !waiting && !failure;
}

static void on_on_reloaded(void *userdata, const char *waiting, const BusFailure *failure)
{
        if (on_may_go_on(userdata, waiting, failure))
                on_over(userdata);
}

static void on_reload(SystemdManager *m)
{
        int r = reload_begin(m, true, on_on_reloaded);
        if (r < 0)
                guard_fail(m, REASON_ACTION_FAILED, "daemon-reload", strerrordesc_np(-r));
}

static void on_checked(void *userdata, const char *waiting, const BusFailure *failure)
{
        SystemdManager *m = userdata;

        if (on_may_go_on(m, waiting, failure))
                triggers_run(m, "StopUnit", on_reload);
}

/* The files are there. From here on a stop takes the triggers along, whatever else goes wrong. */
static void on_written(ManagerBase *b, void *data, int r)
{
        SystemdManager *m = systemd_manager(b);
        GuardRun *g = m->guard;
        FileWork *w = data;

        if (r < 0)
                return guard_fail(m, REASON_ACTION_FAILED, "guard files", strerrordesc_np(-r));
        g->changed = w->changed;
        guard_marker_deinit(&g->marker);
        g->marker = w->marker;
        w->marker = (GuardMarker){ 0 };
        m->guarded = true;
        m->restart = strv_free(m->restart);
        r = add_all(&m->restart, g->marker.triggers);
        /* All of them, not only those that were active: one may have come up since. */
        if (r == 0)
                r = add_all(&m->triggers, g->triggers);
        if (r < 0)
                return guard_fail(m, REASON_ACTION_FAILED, "guard", strerrordesc_np(-r));
        if (!reload_needed(m))
                return triggers_run(m, "StopUnit", on_over);
        r = reload_begin(m, false, on_checked);
        if (r < 0)
                guard_fail(m, REASON_ACTION_FAILED, "daemon-reload", strerrordesc_np(-r));
}

static void trigger_look(SystemdManager *m);

/* Notes which are up, and which need assertions. */
static void on_trigger_read(void *userdata, UnitInfo *info, const BusFailure *failure)
{
        SystemdManager *m = userdata;
        GuardRun *g = m->guard;
        const char *name = g->triggers[m->index];
        int r = 0;

        m->fetch = unit_fetch_free(m->fetch);
        if (failure)
                return systemd_fail(m, name, failure);
        if (!streq_null(info->active_state, "inactive") && !streq_null(info->active_state, "failed"))
                r = strv_append(&g->marker.triggers, name);
        if (r == 0 && info->own_triggers)
                r = strv_append(&g->hard, name);
        g->changed |= info->need_daemon_reload;
        if (r < 0)
                return systemd_fail_errno(m, name, r);
        m->index++;
        trigger_look(m);
}

static void trigger_look(SystemdManager *m)
{
        GuardRun *g = m->guard;
        int r;

        if (m->index < strv_length(g->triggers)) {
                r = unit_fetch_new(&m->fetch, &m->bus, g->triggers[m->index], on_trigger_read, m);
                return r < 0 ? systemd_fail_errno(m, "bus", r) : (void)0;
        }
        r = file_work(m, write_run, on_written);
        if (r < 0)
                systemd_fail_errno(m, "guard files", r);
}

static void on_refreshed(SystemdManager *m)
{
        GuardRun *g = m->guard;

        int r = triggers_collect(m);
        g->triggers = TAKE_PTR(m->triggers);
        for (size_t i = 0; i < m->n_units && r == 0; i++)
                if (m->units[i].info.own_triggers)
                        r = strv_append(&g->hard, m->units[i].info.id);
        if (r < 0)
                return systemd_fail_errno(m, "guard", r);
        if (!g->on)
                return off_begin(m);
        m->index = 0;
        trigger_look(m);
}

int systemd_guard(Manager *manager, bool on, const char *incident, ManagerDone done, void *userdata)
{
        SystemdManager *m = systemd_manager(manager_base(manager));

        if (on && !incident)
                return err_origin(-EINVAL);
        int r = systemd_begin(m, done, userdata);
        if (r < 0)
                return err_trace(r);
        m->guard = calloc(1, sizeof(*m->guard));
        if (!m->guard || (on && !(m->guard->incident = strdup(incident)))) {
                systemd_reset(m);
                return manager_base_refuse(&m->base, -ENOMEM);
        }
        m->guard->on = on;
        units_refresh(m, on_refreshed);
        return 0;
}
