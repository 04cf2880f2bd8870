#pragma once

/* What main_world.c and main_sources.c share. Private to them. */

#include "act/manager.h"
#include "main_world.h"
#include "model/canary.h"
#include "observe/journal.h"
#include "observe/logfile.h"
#include "observe/source.h"
#include "observe/systemd_signals.h"

#define SYSTEMD     "org.freedesktop.systemd1"
#define SOURCES_MAX 12
#define SERVICE_ALL SIZE_MAX /* as the service of an observation */

typedef struct SpoolWorker {
        dev_t device;
        Worker *worker;
        bool stuck;
} SpoolWorker;

typedef struct Service {
        World *world;
        Actuator *actuator;
        Manager *manager;                                   /* the actuator's */
        Source *inflight, *probes, *processes, *conditions; /* or NULL; also among: */
        Source *sources[SOURCES_MAX];
        size_t n_sources;
        char **units;        /* the transient unit of an embedded service, or NULL: the settings' own */
        char **dependencies; /* units that it depends on */
        char *group;        /* of a process that was seen to belong to it, down to the unit; NULL: none yet */
        uint64_t oom_kills; /* in that one, when it was asked last */
        sd_event_source *refresh;
} Service;

struct World {
        WorldContext context;
        Settings *settings;
        Runner *runner;
        Worker *proc_worker, *host_worker;
        JournalReader *journal;
        bool has_canaries;
        CanaryKey canary_key;
        SystemdSignals *signals; /* NULL: no bus */
        Source *host;
        Worker *log_worker; /* of its own: a log of gigabytes must not delay what /proc is asked */
        LogReader *logs;
        int procfd;
        SpoolWorker *spool_workers;
        size_t n_spool_workers;
        Service *services;
        Engine *engine;
        sd_event_source *timer;
};

/* The worker of the file system that @path is on. Return: 0 or a negated errno. */
int world_spool_worker(World *w, const char *path, Worker **ret);
/* The source that speaks of the host to all services. */
int world_make_host(World *w);
/* All sources of one service; its manager is made. */
int world_make_sources(World *w, size_t index);
