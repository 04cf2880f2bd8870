#pragma once

#include "fake/sim.h"

#define SIM_TIMERS 32

typedef struct SimTimer {
        usec_t at;
        void (*run)(Sim *s, void *data);
        void *data;
        unsigned generation; /* of the daemon that set it, 0: the world's own */
} SimTimer;

typedef struct SimCommit {
        CommitDone done;
        void *userdata;
        int r;
} SimCommit;

typedef struct SimMemory {
        uint64_t generation;
        uint8_t *log;
        size_t len;
} SimMemory;

struct Sim {
        SimConfig config;
        Settings *settings;
        Recorder recorder;
        Actuator actuator;
        Engine *engine;
        unsigned generation; /* counts lives of unjamd */
        usec_t now, wake_at;
        SimTimer timers[SIM_TIMERS];
        size_t n_timers;

        /* the service */
        SimMessage *messages;
        size_t n_messages;
        bool running, starting, hung, failed, guarded, stopped_by_operator, purged;
        unsigned life;   /* of the service */
        size_t inflight; /* SIZE_MAX: none */
        usec_t consumed_at;
        uint64_t departed; /* since the last report */

        /* the record */
        json_t *snapshots, *records;
        SimMemory memory[2]; /* the log that the engine keeps: this generation, and the one before */
        size_t counts[_AUDIT_EVENT_MAX]; /* of the records, by event */
        int commit_error;

        /* the action under way */
        Action action;
        OutcomeHandler done;
        bool interrupted; /* the action under way is to end in the middle */
        void *userdata;
        bool ran;
        unsigned n_acts;

        unsigned moments, crash_at, kill_at;
        const char *result; /* of the last death */
        Reason condition;
        bool condition_kills;
        unsigned looks;     /* so many were asked for */
        bool canaries;      /* may be sent, as the engine says */
        bool dead;          /* unjamd is, until sim_run() starts it again */
        bool looks_closely; /* the engine wants it */
        json_t *reply;
        bool reply_ok;
};

void sim_timer(Sim *s, usec_t delay, unsigned generation, void (*run)(Sim *s, void *data), void *data);
/* A moment at which unjamd may die. Return: true if it did. */
bool sim_moment(Sim *s);
void sim_engine_start(Sim *s);

/* sim_service.c */
void service_start(Sim *s);
void service_killed(Sim *s, void *data); /* a timer's handler */
void service_kill(Sim *s);
void service_report(Sim *s);
void service_progress(Sim *s);
/* sim_actuator.c */
void sim_actuator_init(Sim *s);
