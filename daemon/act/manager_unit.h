#pragma once

/*
 * Units of systemd, as the managers see them: one fetched with its properties, one job tracked to its end,
 * and the news of a unit's changes. All over sd-bus, all asynchronous; a callback comes once, from the loop,
 * unless the object is freed before (it may be freed in the callback).
 */

#include "base/clock.h"
#include "base/turns.h"

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"
#define SYSTEMD_UNIT    "org.freedesktop.systemd1.Unit"

/* How systemd is reached; borrowed. */
typedef struct SystemdBus {
        sd_event *event;
        sd_bus *bus;
        const char *destination; /* NULL on a peer connection */
        Turns *turns;            /* of who asks for each of many units; NULL: no limit */
} SystemdBus;

typedef struct UnitInfo {
        char *name; /* as it was asked for */
        char *id;   /* its first name: the others are aliases */
        char *path; /* object path */
        char *load_state, *active_state, *sub_state;
        char *type, *result; /* services */
        char *control_group; /* "" if it has none */
        char *invocation;    /* hex, NULL if it never ran */
        char *unmet; /* the parameter of a condition or assertion that did not hold at the last start */
        char **triggered_by;                  /* sockets, paths, timers */
        char **consists_of;                   /* units that are PartOf= it */
        uint32_t job;                         /* 0: none */
        bool condition_result, assert_result; /* of the last start */
        bool own_triggers;                    /* has triggering conditions (|) that are not the guard's */
        bool need_daemon_reload;
} UnitInfo;

void unit_info_deinit(UnitInfo *u);
/* active, reloading, activating or deactivating: not at rest, or with a job. */
bool unit_is_at_rest(const UnitInfo *u);

/* Why a call over the bus failed: the error's D-Bus name and text, never NULL. */
typedef struct BusFailure {
        const char *name, *message;
} BusFailure;

typedef struct UnitFetch UnitFetch;
/* @info is the callee's to keep (it takes the content and leaves zeros) or to leave; NULL if @failure
 * is set. */
typedef void (*UnitFetched)(void *userdata, UnitInfo *info, const BusFailure *failure);
/* Loads the unit if need be, and reads it. Return: 0 or a negated errno. */
int unit_fetch_new(UnitFetch **ret, const SystemdBus *bus, const char *name, UnitFetched done,
                   void *userdata);
UnitFetch *unit_fetch_free(UnitFetch *f);

typedef struct UnitJob UnitJob;
/* @result: "done", "failed", "timeout", "canceled", "dependency", "skipped" ..., "lost" if it went unseen; or
 * @failure. */
typedef void (*UnitJobDone)(void *userdata, const char *result, const BusFailure *failure);
/* Tracks the job that @call (StartUnit ...; borrowed) will return. */
int unit_job_new(UnitJob **ret, const SystemdBus *bus, sd_bus_message *call, UnitJobDone done,
                 void *userdata);
/* StartUnit, StopUnit (@method) with mode "replace". */
int unit_job_simple(UnitJob **ret, const SystemdBus *bus, const char *method, const char *unit,
                    UnitJobDone done, void *userdata);
UnitJob *unit_job_free(UnitJob *j);

typedef struct ManagerWatch ManagerWatch;
/* Tells of each of @units (copied) now, and again whenever one has changed (at most once a second). */
int manager_watch_new(ManagerWatch **ret, const SystemdBus *bus, char *const *units, UnitFetched seen,
                      void *userdata);
/* One more; harmless if it is watched already. Return: 0 or a negated errno. */
int manager_watch_add(ManagerWatch *w, const char *name);
ManagerWatch *manager_watch_free(ManagerWatch *w);

typedef struct UnitReload UnitReload;
/* @waiting: a unit that waits for a reload which is not ours to make, so none was made; else NULL. Or
 * @failure. */
typedef void (*UnitReloaded)(void *userdata, const char *waiting, const BusFailure *failure);
/*
 * Has systemd read its files anew, unless a unit that is not one of @ours (copied) has NeedDaemonReload.
 * Without @make it only asks whether that may be.
 */
int unit_reload_new(UnitReload **ret, const SystemdBus *bus, char *const *ours, bool make, UnitReloaded done,
                    void *userdata);
UnitReload *unit_reload_free(UnitReload *r);

/* From a reply; @failure points into @reply. Return: true if it is an error. */
bool bus_reply_failed(sd_bus_message *reply, BusFailure *failure);
