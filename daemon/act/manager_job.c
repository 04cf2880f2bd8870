/*
 * manager_job - one job of systemd, tracked to its end
 *
 * Used by manager_systemd, manager_guard and manager_transient. The match on JobRemoved is made before the
 * call, on the same connection, so the signal cannot be missed; signals that come before the reply (which
 * names the job) are kept until then. A signal can still be lost when systemd executes itself anew: every
 * second the job itself is asked for, and when it is no more the result is "lost"; the caller then looks at
 * the unit, as it should anyway.
 *
 * There is no deadline here: a stop job may hang for ever, and whoever waits knows for how long.
 *
 * Tests: tests/integration/test_manager_systemd.c.
 */
#include "act/manager_unit.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define ASK_EVERY USEC_PER_SEC

typedef struct RemovedJob {
        char *path, *result;
} RemovedJob;

struct UnitJob {
        SystemdBus bus;
        UnitJobDone done;
        void *userdata;
        char *path; /* NULL until the reply */
        sd_bus_slot *match, *call, *ask;
        sd_event_source *timer;
        RemovedJob *early;
        size_t n_early;
};

/* A signal that came before the reply: it may be of our job. */
static int keep_early(UnitJob *j, const char *path, const char *result)
{
        RemovedJob *grown = reallocarray(j->early, j->n_early + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        j->early = grown;
        RemovedJob e = { .path = strdup(path), .result = strdup(result) };
        if (!e.path || !e.result) {
                free(e.path);
                free(e.result);
                return err_origin(-ENOMEM);
        }
        j->early[j->n_early++] = e;
        return 0;
}

static int on_removed(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
        UnitJob *j = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(signal, "uoss", &id, &path, &unit, &result) < 0)
                return 0;
        if (!j->path)
                (void)keep_early(j, path, result); /* without memory the timer finds out */
        else if (strcmp(path, j->path) == 0)
                j->done(j->userdata, result, NULL); /* @j may be gone now */
        return 0;
}

/* The net below the signals: is the job still there? Any other error than its absence is passed over. */
static int on_asked(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        UnitJob *j = userdata;

        (void)error;
        j->ask = sd_bus_slot_unref(j->ask);
        if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                j->done(j->userdata, "lost", NULL);
                return 0;
        }
        (void)sd_event_source_set_time_relative(j->timer, ASK_EVERY);
        (void)sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        UnitJob *j = userdata;

        (void)s;
        (void)usec;
        (void)sd_bus_call_method_async(j->bus.bus, &j->ask, j->bus.destination, j->path,
                                       "org.freedesktop.DBus.Properties", "Get", on_asked, j, "ss",
                                       "org.freedesktop.systemd1.Job", "State");
        return 0;
}

/* The reply names the job; from now on its end is waited for, unless it was seen already. */
static int on_queued(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        UnitJob *j = userdata;
        BusFailure failure;
        const char *path;

        (void)error;
        j->call = sd_bus_slot_unref(j->call);
        if (bus_reply_failed(reply, &failure)) {
                j->done(j->userdata, NULL, &failure);
                return 0;
        }
        int r = sd_bus_message_read(reply, "o", &path);
        if (r >= 0 && !(j->path = strdup(path)))
                r = -ENOMEM;
        if (r < 0) {
                failure = (BusFailure){ .name = "", .message = strerrordesc_np(-r) };
                j->done(j->userdata, NULL, &failure);
                return 0;
        }
        for (size_t i = 0; i < j->n_early; i++)
                if (strcmp(j->early[i].path, j->path) == 0) {
                        _cleanup_(freep) char *result = TAKE_PTR(j->early[i].result);
                        j->done(j->userdata, result, NULL);
                        return 0;
                }
        (void)sd_event_source_set_time_relative(j->timer, ASK_EVERY);
        (void)sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT);
        return 0;
}

static int job_init(UnitJob *j, sd_bus_message *call)
{
        int r = sd_event_add_time_relative(j->bus.event, &j->timer, CLOCK_MONOTONIC, ASK_EVERY, 0, on_timer,
                                           j);

        if (r >= 0)
                r = sd_event_source_set_enabled(j->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_bus_match_signal_async(j->bus.bus, &j->match, j->bus.destination, SYSTEMD_PATH,
                                              SYSTEMD_MANAGER, "JobRemoved", on_removed, NULL, j);
        if (r >= 0)
                r = sd_bus_call_async(j->bus.bus, &j->call, call, on_queued, j, 0);
        return r < 0 ? err_origin(r) : 0;
}

int unit_job_new(UnitJob **ret, const SystemdBus *bus, sd_bus_message *call, UnitJobDone done, void *userdata)
{
        UnitJob *j = calloc(1, sizeof(*j));
        if (!j)
                return err_origin(-ENOMEM);

        j->bus = *bus;
        j->done = done;
        j->userdata = userdata;
        int r = job_init(j, call);
        if (r < 0) {
                unit_job_free(j);
                return err_trace(r);
        }
        *ret = j;
        return 0;
}

int unit_job_simple(UnitJob **ret, const SystemdBus *bus, const char *method, const char *unit,
                    UnitJobDone done, void *userdata)
{
        sd_bus_message *call = NULL;

        int r = sd_bus_message_new_method_call(bus->bus, &call, bus->destination, SYSTEMD_PATH,
                                               SYSTEMD_MANAGER, method);
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", unit, "replace");
        if (r >= 0)
                r = unit_job_new(ret, bus, call, done, userdata);
        sd_bus_message_unref(call);
        return r < 0 ? err_trace(r) : 0;
}

UnitJob *unit_job_free(UnitJob *j)
{
        if (!j)
                return NULL;
        sd_bus_slot_unref(j->match);
        sd_bus_slot_unref(j->call);
        sd_bus_slot_unref(j->ask);
        sd_event_source_disable_unref(j->timer);
        for (size_t i = 0; i < j->n_early; i++) {
                free(j->early[i].path);
                free(j->early[i].result);
        }
        free(j->early);
        free(j->path);
        free(j);
        return NULL;
}
