#pragma once

/*
 * Engine: where facts become events, events become steps, and steps become actions, in the one order that
 * survives a crash: state with intent durable, audit record durable, act, outcome.
 *
 * It knows no clock, bus, file or process but through its ports; main.c gives it real ones, tests fake ones.
 * All calls come from one thread.
 */

#include "act/actuator.h"
#include "control/handler.h"
#include "model/observation.h"
#include "model/settings.h"
#include "record/alert.h"
#include "record/recorder.h"

typedef struct Engine Engine;

/* A message file as the in-flight source saw it since the last mark. */
typedef struct SeenFile {
        const char *path; /* absolute, bytes */
        bool open;        /* open now, or when its process died */
} SeenFile;
typedef void (*SeenFileHandler)(void *userdata, const SeenFile *f);

/* Of the daemon as a process, for whoever asks for metrics. */
typedef struct DaemonFacts {
        usec_t started;         /* wall */
        usec_t cpu;             /* used so far */
        uint64_t resident;      /* bytes */
        const uint64_t *alerts; /* told so far, by AlertKind */
} DaemonFacts;

/* What the engine needs of the world besides the actuators. */
typedef struct EnginePorts {
        Recorder *recorder;
        Publisher publisher;
        /* Read once for each call into the engine. */
        Now (*now)(void *userdata);
        /* Calls engine_tick() at @mono or later; replaces the last request. */
        void (*wake_at)(void *userdata, usec_t mono);
        AlertSink alerts;
        /* Reads the configuration again; on failure *@ret_error says why (caller frees) and the old one
         * stays. */
        int (*reload)(void *userdata, char **ret_error);
        /* Or NULL: nothing is known of the daemon. */
        void (*facts)(void *userdata, DaemonFacts *ret);
        void *reload_data; /* for these two */
        void *userdata;
} EnginePorts;

/* The world of one service. */
typedef struct ServicePorts {
        Actuator *actuator; /* borrowed */
        /* Sources look again: a directory was exchanged, the service was started. */
        void (*refresh)(void *userdata, size_t service);
        /* What the service does now is (or is no longer) our doing; @invocation is the run that we started,
         * or NULL. */
        void (*expect)(void *userdata, size_t service, bool ours, const char *invocation);
        /* A trial is watched now (or no longer): probes are to be asked more often than once in a settle
         * time. */
        void (*hurry)(void *userdata, size_t service, bool on);
        /*
         * What of the host explains a fault? The answer, later and from the loop, is an
         * OBSERVATION_CONDITIONS.
         */
        void (*conditions)(void *userdata, size_t service);
        /* Canaries may be sent through the service now, or no longer. */
        void (*canaries)(void *userdata, size_t service, bool allowed);
        /* Message files opened since the last mark; @mark begins anew. Where nothing watches them, those that
         * are open now. */
        void (*history)(void *userdata, size_t service, bool mark, SeenFileHandler handler,
                        void *handler_data);
        /* Mail waits; and something is suspicious: processes are to be looked at again and again. Or NULL. */
        void (*look)(void *userdata, size_t service, bool waiting, bool closely);
        /* Why it is not known of each message file when it is opened and closed; NULL if it is. Or NULL. */
        const char *(*blind)(void *userdata, size_t service);
        void *userdata;
} ServicePorts;

/* @settings is referenced; @ports is copied; one ServicePorts per service. Nothing is done before
 * engine_start(). */
int engine_new(Engine **ret, Settings *settings, const EnginePorts *ports, const ServicePorts *services);
Engine *engine_free(Engine *e);

/* Reads back what was open when unjamd ended, and goes on from there. */
int engine_start(Engine *e);
/* Records daemon.stopped; open incidents stay open. @done is called when it is on disk. */
int engine_stop(Engine *e, CommitDone done, void *userdata);

/* A fact of a source. */
void engine_observe(Engine *e, size_t service, const Observation *o);
/* Time has passed. */
void engine_tick(Engine *e);
/* A request of an operator. */
void engine_handle(Engine *e, const ControlRequest *request, ControlReply *reply);
/* A worker has waited for a disk since @since (monotonic) and has not come back: a host
 * condition, alerted. */
void engine_disk_stuck(Engine *e, const char *what, usec_t since);
/* A record that concerns the daemon as a whole (config.loaded ...). @members is stolen. */
int engine_record(Engine *e, AuditEvent event, json_t *members);

/* What was counted so far goes on in an engine with another configuration. */
void engine_inherit(Engine *e, const Engine *old);

/* May the configuration of this service be replaced now? (Not while an incident is open.) */
bool engine_is_idle(const Engine *e);
