#pragma once

/*
 * What all managers share: one call under way, its answer delivered from the loop, the processes of the
 * service, the kill ladder, and the guard's marker file.
 */

#include "act/guard.h"
#include "act/kill.h"
#include "act/leftovers.h"
#include "act/manager.h"

#include <pthread.h>

typedef struct ManagerBase ManagerBase;

/* Work that may wait for a disk, done in ctx.worker. */
typedef struct ManagerWork {
        int (*run)(void *data);                          /* in the thread */
        void (*done)(ManagerBase *b, void *data, int r); /* in the loop, unless the work was abandoned */
        void (*free)(void *data);                        /* in the loop, always */
        void *data;
} ManagerWork;

typedef struct ManagerJob ManagerJob;

struct ManagerBase {
        Manager manager; /* first: a Manager * is a ManagerBase * */
        ManagerContext ctx;
        const ServiceSettings *service;
        int procfd;
        Leftovers *leftovers;

        /* The control groups of the service, as paths; guarded by @lock, for processes() runs in
         * any thread. */
        pthread_mutex_t lock;
        char **cgroups;

        /* Asked by processes() for members beside the groups, e.g. a session; any thread. NULL: none. */
        int (*members)(ManagerBase *b, const ProcStat *scan, size_t n, ProcId **ids, size_t *n_ids);

        /* The call under way. */
        bool busy;
        ManagerDone done;
        void *userdata;
        ManagerResult result; /* its strings are the base's */
        char *detail, *invocation;
        sd_event_source *deliver;
        Kill *kill;
        ManagerDone ladder_done; /* see manager_base_ladder() */
        ManagerJob *job;         /* at the worker */
};

static inline ManagerBase *manager_base(Manager *m)
{
        return (ManagerBase *)m;
}

/* @b is all zero but for @b->manager. Can be deinitialised when it fails. Return: 0 or a negated errno. */
int manager_base_init(ManagerBase *b, const ManagerContext *c);
void manager_base_deinit(ManagerBase *b);

/* Begins a call. Return: 0, or -EBUSY if one is under way. */
int manager_base_begin(ManagerBase *b, ManagerDone done, void *userdata);
/* Takes a begun call back: the caller returns an error, and done() is not called. */
int manager_base_refuse(ManagerBase *b, int r);

/*
 * Ends the call: done() runs from the loop, after whoever calls this has returned. @detail is printf-like, or
 * NULL. A second end of the same call is ignored: the first word stands.
 */
__attribute__((format(printf, 4, 5))) void manager_base_finish(ManagerBase *b, ResultKind result,
                                                               Reason reason, const char *detail, ...);

/*
 * Hands @work to the worker; at most one is there at a time (-EBUSY). Takes @work->data in any case. Return:
 * 0 or a negated errno (done() is not called then).
 */
int manager_base_work(ManagerBase *b, const ManagerWork *work);
/* Forgets the work at the worker: it goes on there, but nobody hears of it. */
void manager_base_abandon(ManagerBase *b);

/* The paths are copied; NULL: none. Return: 0 or -ENOMEM. */
int manager_base_set_cgroups(ManagerBase *b, char *const *paths);
/* Adds one. */
int manager_base_add_cgroup(ManagerBase *b, const char *path);

/* ManagerOps.processes for all managers. */
int manager_base_processes(Manager *m, ProcId **ret, size_t *ret_n);
/* Does a process of the service live? >0 yes, 0 no, <0 errno. */
int manager_base_alive(ManagerBase *b);

/* The same, and puts "survivors" into the result's data; an error counts as yes. */
bool manager_base_survivors(ManagerBase *b);

/*
 * Runs a ladder over all processes of the service within the call under way; done() gets alive, data and a
 * result: DONE, or FAILED (an error), or TIMEOUT (something lives). It decides what that means for the call.
 */
int manager_base_ladder(ManagerBase *b, const usec_t limits[_KILL_PHASE_MAX], ManagerDone done);

/* ManagerOps.kill's end, where nothing else needs to be done after the ladder. */
void manager_base_kill_done(void *userdata, const ManagerResult *r);
/* The end of a stop whose ladder only waited (or sent SIGTERM). */
void manager_base_stop_done(void *userdata, const ManagerResult *r);

/* The guard's files of this service; to be deinitialised. Return: 0 or -ENOMEM. */
int manager_base_paths(const ManagerBase *b, GuardPaths *ret);
/* Lets the service start (@on), or no more: see guard_permit(). */
int manager_base_permit(const ManagerBase *b, bool on);
/* ManagerOps.guard where there are no units: the marker file alone. */
int manager_base_guard_marker(Manager *m, bool on, const char *incident, ManagerDone done, void *userdata);
