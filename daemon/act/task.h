#pragma once

/*
 * Task: one action of the real actuator under way. Private to act/service_actuator.c and act/task_*.c.
 *
 * An action is a short chain of phases; each phase ends by calling task_next() with the phase that follows,
 * or task_finish(). Phases that wait for a disk or for /proc run in a worker (task_submit).
 */

#include "act/causes.h"
#include "act/collect.h"
#include "act/service_actuator.h"
#include "act/sift.h"

typedef struct ServiceActuator ServiceActuator;
typedef struct Task Task;

struct Task {
        Job job; /* first: the worker hands it back */
        ServiceActuator *owner;
        Action action; /* borrowed strings and sets stay valid until the outcome */
        OutcomeHandler done;
        void *userdata;
        void (*then)(Task *t, int r); /* after the worker */
        int (*work)(Task *t);         /* in the worker */

        ProcId *processes;
        size_t n_processes;
        Evidence evidence;
        bool has_evidence;
        const CauseResult *causes;
        size_t n_causes;
        MessageSet sifted; /* the action's set without canaries */
        Message *messages;
        char **message_ids;
        size_t n_messages;
        Inventory inventory;
        bool has_inventory;
        json_t *data;
        char *detail;
        char *invocation;
        size_t next_command; /* rebuild commands, after_release commands */
        Run *run;
        bool ran;                 /* the service has run since the last inventory */
        struct timespec still_at; /* when no stranger had a file open; 0: not asked */
        bool moved_back;          /* mail was put back */
        SpoolNative native;       /* on its way into the server's own hold, or out of it */
        char **native_seen;       /* those that were */
        char **native_command;    /* under way */
        char *complaint;          /* how it ended, if not well */
        bool refused;             /* the server's hold did not take one */
};

/* The manifest of what was set aside, made beside the actions that follow. */
typedef struct ManifestTask {
        Job job; /* first */
        ServiceActuator *owner;
        bool under_way;
        size_t store; /* or STORE_ALL */
        char *incident;
        uint64_t *messages; /* in hold, of each store */
        json_t *data;       /* "stores"; the worker's while under way */
} ManifestTask;

struct ServiceActuator {
        Actuator actuator;
        ServiceActuatorConfig config;
        Spool *spool; /* made by the first job that needs it; in the spool worker only, but for resolve */
        Causes *causes;
        char **suspect_state; /* rebuildable files that evidence names: only they are purged; NULL: all are */
        Task *task;           /* the one under way */
        bool dead;            /* proved, and not started since */
        bool ran;             /* it has run since the last inventory */
        bool returned;        /* mail was put back while it was dead: tell it after the start */
        ManifestTask manifest;
};

/* Runs @work in @worker, then @then in the loop. Failure to submit ends the task. */
void task_submit(Task *t, Worker *worker, int (*work)(Task *t), void (*then)(Task *t, int r));
/* Ends the task with an outcome. Frees it. */
void task_finish(Task *t, ResultKind result, Reason reason);
/* RESULT_DONE for 0, else RESULT_FAILED with the error as detail. */
void task_finish_errno(Task *t, int r);
/* Opens the spool once. In the worker. Return: 0 or a negated errno with task->detail. */
int task_open_spool(Task *t);
/* An inventory into the action's roster. In the worker. */
int task_inventory(Task *t);
/* Waits for strangers that hold a file of a store; -EBUSY with detail and data if they stay. In
 * the worker. */
int task_wait_for_strangers(Task *t);

/* After SET_ASIDE was done: lists what is in hold, in the worker, while the actions that follow go on. */
int manifest_begin(Task *t);
/* The stores that were listed since the last call, once all are, or NULL; the caller's. */
json_t *manifest_take(ServiceActuator *a);
void manifest_deinit(ManifestTask *m);

/* Starts a program, in t->run; @done gets the task. */
int task_run(Task *t, const char *name, char *const *argv, usec_t timeout, RunDone done);
/* What it came to, appended to data[@key]. */
void task_record_run(Task *t, const char *key, char *const *argv, const RunResult *r);
/* The detail of a report becomes the task's. */
void task_take_detail(Task *t, SpoolReport *report);

/* After a RESTORE, dead: culprits into the server's own hold, one by one, then the end of the task. */
void task_native(Task *t);
/* RELEASE, DELETE: goes on with task_operate_ours() if the server does not hold it. */
void task_native_operate(Task *t);
void task_operate_ours(Task *t);
void task_catch(Task *t);
/* What follows a RELEASE that was done. */
void task_released(Task *t, int r);

/* The phases of each action: task_collect.c, task_move.c, task_native.c, task_run.c */
void task_collect(Task *t);
void task_move(Task *t);
void task_purge(Task *t);
void task_close(Task *t);
/* after_release commands of all stores, one after the other, then RESULT_DONE. */
void task_announce(Task *t);
