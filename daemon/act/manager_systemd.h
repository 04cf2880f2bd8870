#pragma once

/*
 * What the files of the systemd manager share: manager_systemd.c (object and common steps), manager_start.c,
 * manager_stop.c, manager_settle.c (kill), manager_guard.c, manager_reload.c and manager_transient.c
 * (embedded).
 */

#include "act/manager_base.h"
#include "act/manager_unit.h"

typedef struct SystemdManager SystemdManager;

/* One unit of the service. The configured ones come first, in their order; instances follow (see
 * units_refresh()). */
typedef struct ServiceUnit {
        char *name;
        bool instance;
        UnitInfo info; /* as it was read last */
} ServiceUnit;

struct SystemdManager {
        ManagerBase base;
        SystemdBus bus;
        ServiceUnit *units;
        size_t n_units, n_configured;
        ManagerWatch *watch;
        sd_bus_slot *disconnected;
        bool lost;      /* the bus has gone: nothing can be done any more */
        bool guarded;   /* the guard is on: a stop stops the triggers too, a start starts sockets */
        char **restart; /* while it is on: triggers that were active before */

        /* Start by another way than StartUnit; NULL for units that exist. Makes the method call. */
        int (*start_call)(SystemdManager *m, sd_bus_message **ret);

        /* The call under way. */
        void (*next)(SystemdManager *m); /* after units_refresh() or a fetch */
        size_t index;
        char **triggers; /* that are to be stopped or started now, by @trigger_method */
        const char *trigger_method;
        char *trouble; /* the first of them that was not */
        UnitFetch *fetch;
        UnitJob *job;
        sd_bus_slot *slot;
        sd_event_source *deadline, *again;
        unsigned rounds;
        usec_t until, grace; /* CLOCK_MONOTONIC */
        char *stopped;       /* the unit that settling has asked to stop */
        struct GuardRun *guard;
};

static inline SystemdManager *systemd_manager(ManagerBase *b)
{
        return (SystemdManager *)b;
}

/* Begins a call: -ENOTCONN without a bus, -EBUSY, or 0. */
int systemd_begin(SystemdManager *m, ManagerDone done, void *userdata);
/* Ends all that is under way but the call itself. */
void systemd_reset(SystemdManager *m);
/* Ends the call. */
void systemd_finish(SystemdManager *m, ResultKind result, Reason reason, const char *detail);
/* Ends the call with a failure of the bus, or of a function of ours. */
void systemd_fail(SystemdManager *m, const char *what, const BusFailure *failure);
void systemd_fail_errno(SystemdManager *m, const char *what, int r);

/*
 * Reads all units anew, then goes on with @next. A configured unit x.service that has instances x@....service
 * which are PartOf= it (Debian's Postfix is such a wrapper) stands for them too: they are stopped, killed and
 * guarded with it.
 */
void units_refresh(SystemdManager *m, void (*next)(SystemdManager *m));
/* Reads units[index] anew, then goes on. */
void unit_reread(SystemdManager *m, void (*next)(SystemdManager *m));
/*
 * Runs StopUnit or StartUnit (then ResetFailedUnit before it) on all of m->triggers, one after the other,
 * then goes on; a failure of one is kept in m->trouble and passed over.
 */
void triggers_run(SystemdManager *m, const char *method, void (*next)(SystemdManager *m));
/* Fills m->triggers from the units. Return: 0 or -ENOMEM. */
int triggers_collect(SystemdManager *m);

/* Calls @handler after a while; the call's one deadline. */
int systemd_deadline(SystemdManager *m, usec_t after, sd_event_time_handler_t handler);
/* Goes on with @next after a while. */
void systemd_again(SystemdManager *m, usec_t after, void (*next)(SystemdManager *m));

/* ManagerOps of the systemd manager. */
int systemd_start(Manager *m, ManagerDone done, void *userdata);
int systemd_stop(Manager *m, ManagerDone done, void *userdata);
int systemd_kill(Manager *m, ManagerDone done, void *userdata);
int systemd_guard(Manager *m, bool on, const char *incident, ManagerDone done, void *userdata);
Manager *systemd_free(Manager *m);

/* Makes one for these units with these operations; for the two kinds of systemd manager. */
int systemd_new(SystemdManager **ret, const ManagerContext *c, char *const *units, const ManagerOps *ops);

/* The embedded manager on a host with systemd. */
int manager_transient_new(Manager **ret, const ManagerContext *c);

/* manager_guard.c: forgets a guard under way. */
struct GuardRun *guard_run_free(struct GuardRun *g);
