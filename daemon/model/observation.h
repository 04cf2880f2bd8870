#pragma once

/*
 * Observation: one fact from outside, as a source hands it to the engine. Strings belong to the source and
 * live until the sink returns.
 */

#include "base/clock.h"
#include "base/pressure.h"
#include "base/proc.h"
#include "model/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What the manager says of the service, in one vocabulary for all managers. */
typedef enum RunState {
        RUN_UNKNOWN,
        RUN_STOPPED, /* nothing runs, and that was asked for (or it never ran) */
        RUN_STARTING,
        RUN_RUNNING,
        RUN_STOPPING,
        RUN_FAILED,     /* nothing runs (or leftovers only), and that was not asked for */
        RUN_RESTARTING, /* the manager itself is about to start it again (auto-restart) */
        _RUN_STATE_MAX,
        _RUN_STATE_INVALID = -EINVAL,
} RunState;
DECLARE_STRING_TABLE(run_state, RunState);

typedef struct ServiceStatus {
        RunState run;
        usec_t since;           /* monotonic: when @run was entered */
        const char *invocation; /* changes with each start; NULL if unknown */
        unsigned n_restarts;    /* by the manager itself */
        const char *result;     /* the manager's word: "exit-code", "signal", "core-dump", "timeout",
                                   "start-limit-hit" */
        bool exited;            /* the main process ended: exit_code, signal and core are valid */
        int exit_code;
        int signal;
        bool core;
        pid_t main_pid;     /* 0 if none */
        bool operator_stop; /* a stop that is not ours is under way or done */
        bool masked;
        bool started_by_other; /* this invocation is not one that unjamd asked for */
} ServiceStatus;

typedef struct ProbeStatus {
        size_t probe; /* index in ServiceSettings.probes */
        bool ok, slow;
        usec_t took;
        const char *detail; /* UTF-8: what was wrong */
} ProbeStatus;

/* How mail moves in one store since the last look. */
typedef struct ProgressStatus {
        size_t store;
        uint64_t waiting;           /* messages that should move: in the store, not covered by stall.ignore */
        uint64_t ignored;           /* rightly waiting */
        uint64_t arrived, departed; /* since the last observation */
        bool moved;                 /* anything arrived, departed or was renamed or written */
} ProgressStatus;

typedef enum LogKind {
        LOG_MATCHES, /* the rule's match */
        LOG_CANCELS, /* its `unless` */
        LOG_GAP,     /* no rule: @text says what of the log could not be looked at */
} LogKind;

typedef struct LogEntry {
        RuleSource source;
        LogKind kind;
        size_t rule;      /* index in ServiceSettings.rules: the rule that matched */
        const char *text; /* UTF-8 */
        const char *id;   /* bytes: a message that the entry names, by the rule's captures; NULL: none */
        pid_t pid;        /* that wrote it, or that it names by the rule's captures; 0: unknown */
        const char *cursor;
        usec_t wall;
} LogEntry;

/* A process of the service that has opened messages was killed by a signal. */
typedef struct InflightStatus {
        pid_t pid;
        const char *name; /* UTF-8 */
        const char *path; /* a message file that it had open (absolute, bytes), or NULL */
        int signal;
        bool core;
        bool out_of_memory; /* the kernel did it, for want of memory */
} InflightStatus;

typedef struct HostStatus {
        bool shutdown; /* the host goes down: nothing is a failure now */
        bool clock_jump;
} HostStatus;

/* One process as it was seen at one moment. Counters count from its start. */
typedef struct ProcessSample {
        ProcId id;
        pid_t parent;
        pid_t tracer;     /* 0: nobody */
        const char *name; /* UTF-8 */
        char state;       /* R S D T t Z ... */
        usec_t cpu;
        uint64_t io_bytes, switches;
        uint64_t memory;      /* resident, bytes */
        unsigned descriptors; /* open ones */
        bool frozen;          /* its control group is */
        const char *wait;     /* where it waits in the kernel, or NULL */
        const char *peer;     /* the other host that it waits for, "192.0.2.7:25", or NULL */
        bool accepted;        /* @peer is a client of its own */
        const char *file;     /* a message file that it has open (absolute, bytes), or NULL */
        usec_t held;          /* monotonic: since when, as far as that is known; 0: not known */
} ProcessSample;

/* The processes of a service at one moment: all of them, or as many as are looked at. */
typedef struct ProcessesStatus {
        usec_t at; /* monotonic: when they were looked at */
        const ProcessSample *list;
        size_t n;
        Pressure pressure; /* of the host or of the service's control group, whichever is worse */
} ProcessesStatus;

/* Something about the host that explains why a service fails, and forbids to act meanwhile. */
typedef struct Condition {
        Reason reason;    /* disk_full, dependency_down, maintenance, memory_pressure */
        const char *id;   /* the same as long as it is the same occurrence of the same thing */
        const char *text; /* UTF-8: what, with names and figures */
} Condition;

/* All of them at one look. */
typedef struct ConditionsStatus {
        const Condition *list;
        size_t n;
} ConditionsStatus;

typedef enum ObservationKind {
        OBSERVATION_SERVICE,
        OBSERVATION_PROBE,
        OBSERVATION_PROGRESS,
        OBSERVATION_LOG,
        OBSERVATION_INFLIGHT,
        OBSERVATION_HOST,
        OBSERVATION_PROCESSES,
        OBSERVATION_CONDITIONS,
        OBSERVATION_ARRIVAL,
        _OBSERVATION_KIND_MAX,
        _OBSERVATION_KIND_INVALID = -EINVAL,
} ObservationKind;
DECLARE_STRING_TABLE(observation_kind, ObservationKind);

typedef struct Observation {
        ObservationKind kind;
        union {
                ServiceStatus service;
                ProbeStatus probe;
                ProgressStatus progress;
                LogEntry log;
                InflightStatus inflight;
                HostStatus host;
                ProcessesStatus processes;
                ConditionsStatus conditions;
                const char *arrival; /* absolute, bytes: a message's file with a known culprit's bytes */
        };
} Observation;
