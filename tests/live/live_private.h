#pragma once

/* What live_life.c and live_manager.c share. Private to them. */

#include "live/live.h"

#include "act/guard.h"
#include "act/service_actuator.h"
#include "control/handler.h"
#include "engine.h"

#define LIVE_COMMITS 16

typedef struct Life Life;

typedef struct LifeCommit {
        Life *life;
        CommitDone done; /* NULL: free */
        void *userdata;
} LifeCommit;

struct Life {
        Live *l;
        Settings *settings;
        sd_event *event;
        Recorder recorder, *real_recorder;
        Actuator actuator, *real_actuator;
        Runner runner;
        Worker *spool, *proc;
        Engine *engine;
        GuardPaths paths;

        LifeCommit commits[LIVE_COMMITS];
        unsigned n_commits;
        bool acting;
        OutcomeHandler done;
        void *done_data;

        /* The manager's call under way. */
        Manager manager;
        enum { CALL_NONE, CALL_GUARD, CALL_UNGUARD, CALL_START, CALL_STOP, CALL_KILL } call;
        char incident[64];
        ManagerDone manager_done;
        void *manager_data;
        usec_t manager_at;

        /* The server's command. */
        RunDone run_done;
        void *run_data;
        int run_status;

        usec_t wake_at, begun, busy_at, ask_at, departed_at;
        uint64_t departed[2];
        ControlReply reply;
        bool asked, refused;
};

/* There is one in a process. */
extern Life the_life;

void live_report_service(Life *f);
void live_manager_init(Manager *m);
/* Ends the call of the manager that is under way. */
void live_manager_turn(Life *f);
