#pragma once

/*
 * Manager: how a service is started, stopped, killed and guarded. Used by the real actuator; one per service.
 *
 * Implementations: manager_systemd (D-Bus), manager_embedded (unjamd starts it), manager_command
 * (start/stop/status programs). Each call is asynchronous; done() comes exactly once, from the loop. One call
 * is under way at a time.
 */

#include "base/runner.h"
#include "base/turns.h"
#include "base/worker.h"
#include "model/evidence.h"
#include "model/settings.h"
#include "model/words.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Manager Manager;

typedef struct ManagerResult {
        ResultKind result;
        Reason reason;
        const char *detail;     /* UTF-8 or NULL */
        const char *invocation; /* start */
        bool alive;             /* stop, kill: processes of the service live */
        json_t *data;           /* borrowed, may be NULL */
} ManagerResult;

typedef void (*ManagerDone)(void *userdata, const ManagerResult *result);

typedef struct ManagerOps {
        /*
         * on: from now on nobody else starts the service, durably (a reboot included), until off: marker file
         * @incident in state_dir, persistent ConditionPathExists=! drop-in, runtime Restart=no drop-in,
         * triggers stopped. Idempotent; off undoes what on did, also after a restart of unjamd in between.
         */
        int (*guard)(Manager *m, bool on, const char *incident, ManagerDone done, void *userdata);
        /* Start, tracked: DONE when it is up, FAILED, or TIMEOUT after start_timeout. A start limit that was
         * hit is reset. */
        int (*start)(Manager *m, ManagerDone done, void *userdata);
        /* Stop within stop_timeout: DONE when no process lives, TIMEOUT if the stop hangs or processes are
         * left. */
        int (*stop)(Manager *m, ManagerDone done, void *userdata);
        /*
         * SIGTERM, SIGABRT if core is set, SIGKILL to the control group and the leftovers; proof of emptiness
         * within kill_timeout. FAILED with REASON_UNKILLABLE names the survivors in data.
         */
        int (*kill)(Manager *m, ManagerDone done, void *userdata);
        /*
         * The processes of the service now: of its control group, and leftovers (seen in it before, descended
         * from one that was, or matching `leftovers`). Cheap; called from a worker thread as well. *@ret is
         * the caller's.
         */
        int (*processes)(Manager *m, ProcId **ret, size_t *ret_n);
        Manager *(*free)(Manager *m);
} ManagerOps;

struct Manager {
        const ManagerOps *ops;
};

/* What managers are made with; everything is borrowed and outlives them. */
typedef struct ManagerContext {
        sd_event *event;
        const ServiceSettings *service;
        const char *state_dir; /* for markers and what survives a restart */
        const char *run_dir;
        sd_bus *bus;                  /* NULL: no systemd on this host */
        const char *destination;      /* "org.freedesktop.systemd1", or NULL on a peer connection (tests) */
        Turns *turns;                 /* of calls to systemd for each of many units; NULL: no limit */
        const char *unit_dir;         /* persistent drop-ins: "/etc/systemd/system" */
        const char *runtime_unit_dir; /* "/run/systemd/system" */
        Runner *runner;
        Worker *worker; /* for what may block: durable writes of drop-ins, /proc */
} ManagerContext;

int manager_systemd_new(Manager **ret, const ManagerContext *c);
int manager_embedded_new(Manager **ret, const ManagerContext *c);
int manager_command_new(Manager **ret, const ManagerContext *c);

/* The transient unit of an embedded service on a host with systemd: "unjam-NAME.service". The caller's; NULL:
 * ENOMEM. */
char *manager_embedded_unit(const char *service);

static inline Manager *manager_free(Manager *m)
{
        return m ? m->ops->free(m) : NULL;
}
