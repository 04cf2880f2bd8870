/*
 * live_manager - the manager of live.h: it pretends to start, stop and kill; its guard is the real one
 *
 * Each call takes a moment of virtual time. A server that hangs ignores a stop. The marker and the drop-ins
 * are written by act/guard.c as manager_systemd does, so that a death in the middle of them is met as well.
 */
#include "live/live_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define MANAGER_TIME (10 * USEC_PER_MSEC)

static int manager_call(int call, ManagerDone done, void *userdata)
{
        Life *f = &the_life;

        assert(f->call == CALL_NONE);
        f->call = call;
        f->manager_done = done;
        f->manager_data = userdata;
        f->manager_at = f->l->now + MANAGER_TIME;
        return 0;
}

static int manager_guard(Manager *m, bool on, const char *incident, ManagerDone done, void *userdata)
{
        (void)m;
        snprintf(the_life.incident, sizeof(the_life.incident), "%s", incident);
        return manager_call(on ? CALL_GUARD : CALL_UNGUARD, done, userdata);
}

static int manager_start(Manager *m, ManagerDone done, void *userdata)
{
        (void)m;
        return manager_call(CALL_START, done, userdata);
}

static int manager_stop(Manager *m, ManagerDone done, void *userdata)
{
        (void)m;
        return manager_call(CALL_STOP, done, userdata);
}

static int manager_kill(Manager *m, ManagerDone done, void *userdata)
{
        (void)m;
        return manager_call(CALL_KILL, done, userdata);
}

static int manager_processes(Manager *m, ProcId **ret, size_t *ret_n)
{
        (void)m;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

static Manager *manager_free_none(Manager *m)
{
        (void)m;
        return NULL;
}

static int guard_on(Life *f)
{
        char *units[] = { (char *)"imc.service", NULL };
        const GuardMarker marker = { .incident = f->incident, .units = units };
        bool changed = false;
        int r = guard_marker_write(&f->paths, &marker);

        return r < 0 ? r : guard_dropins_write(&f->paths, units[0], f->incident, GUARD_CONDITION, &changed);
}

static int guard_off(Life *f)
{
        bool changed = false;
        int r = guard_dropins_remove(&f->paths, "imc.service", &changed);

        return r < 0 ? r : guard_marker_remove(&f->paths);
}

static int server_start_permitted(Life *f)
{
        int r = guard_permit(&f->paths, true);

        if (r < 0)
                return r;
        server_start(f->l);
        return guard_permit(&f->paths, false);
}

void live_manager_turn(Life *f)
{
        ManagerResult result = { .result = RESULT_DONE, .invocation = "run" };
        int r = 0;

        switch (f->call) {
        case CALL_GUARD:
                r = guard_on(f);
                break;
        case CALL_UNGUARD:
                r = guard_off(f);
                break;
        case CALL_START:
                r = server_start_permitted(f);
                break;
        case CALL_STOP:
                if (!f->l->hung) {
                        server_stop(f->l);
                } else {
                        result.result = RESULT_TIMEOUT;
                        result.reason = REASON_STOP_TIMEOUT;
                }
                break;
        case CALL_KILL:
                server_stop(f->l);
                break;
        case CALL_NONE:
                return;
        }
        if (r < 0) {
                result.result = RESULT_FAILED;
                result.reason = REASON_ACTION_FAILED;
                result.detail = strerror(-r);
        }
        f->call = CALL_NONE;
        f->manager_done(f->manager_data, &result);
        live_report_service(f);
}

void live_manager_init(Manager *m)
{
        static const ManagerOps ops = { .guard = manager_guard,
                                        .start = manager_start,
                                        .stop = manager_stop,
                                        .kill = manager_kill,
                                        .processes = manager_processes,
                                        .free = manager_free_none };

        m->ops = &ops;
}
