#pragma once

/*
 * What tests of managers stand on: a loop, a worker, directories, a service's settings, and the result of the
 * last call.
 */

#include "act/manager.h"

typedef struct ManagerBed {
        sd_event *event;
        Worker *worker;
        char dir[64]; /* all others are below it */
        char *state_dir, *run_dir, *unit_dir, *runtime_unit_dir;
        ServiceSettings service;
        ManagerContext ctx;
        Manager *manager;

        /* The last result; @n counts them. */
        unsigned n;
        ResultKind result;
        Reason reason;
        bool alive;
        char *detail, *invocation;
        json_t *data;
} ManagerBed;

/* Fails the test on any error. */
void manager_bed_init(ManagerBed *bed);
void manager_bed_deinit(ManagerBed *bed);

/* The callback to hand to a manager's call, with the bed as userdata. */
void manager_bed_done(void *userdata, const ManagerResult *result);
/* Runs the loop until a result has come that was not there yet; fails the test after 20 s. Yields
 * the result. */
ResultKind manager_bed_wait(ManagerBed *bed);
/* Runs the loop until @condition(userdata) holds; fails the test after 20 s. */
void manager_bed_until(ManagerBed *bed, bool (*condition)(void *userdata), void *userdata);
/* The calls, each waited for. */
ResultKind manager_bed_start(ManagerBed *bed);
ResultKind manager_bed_stop(ManagerBed *bed);
ResultKind manager_bed_kill(ManagerBed *bed);
ResultKind manager_bed_guard(ManagerBed *bed, bool on);
size_t manager_bed_count(ManagerBed *bed);

/* The content of DIR/NAME as a string that the caller frees, or NULL. */
char *manager_bed_read(const char *dir, const char *name);
