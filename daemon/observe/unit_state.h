#pragma once

/*
 * UnitState: what systemd says of one unit, and what that means for a service. Reading properties needs a
 * message; all judgement is pure.
 */

#include "model/observation.h"

#include <stdint.h>
#include <systemd/sd-bus.h>

#define UNIT_WORD_MAX 64 /* systemd's own words are shorter */

typedef struct UnitState {
        char active[UNIT_WORD_MAX]; /* ActiveState: "active", "failed" ...; "" until known */
        char sub[UNIT_WORD_MAX];
        char load[UNIT_WORD_MAX];
        char file[UNIT_WORD_MAX]; /* UnitFileState */
        char type[UNIT_WORD_MAX]; /* of a service: "simple", "oneshot" ... */
        char result[UNIT_WORD_MAX];
        char *id; /* the real name, where the configured one is an alias */
        char *cgroup;
        uint8_t invocation[16]; /* all zero: none */
        uint32_t job;           /* 0: none */
        char *job_path;
        uint32_t n_restarts, main_pid;
        int32_t exit_code, exit_status; /* of the main process: CLD_EXITED ..., and code or signal */
        int condition;                  /* of the last start */
        uint64_t condition_time;        /* 0: never started */
        uint64_t changed;               /* CLOCK_MONOTONIC, usec */
} UnitState;

void unit_state_deinit(UnitState *s);

/*
 * Reads a dictionary of properties (a{sv}) into @s; properties it does not know are passed over, and one of
 * another type than systemd has given it so far is left as it was. Return: 0 or a negated errno.
 */
int unit_state_read(UnitState *s, sd_bus_message *m);
/* Is this one of the properties it reads? */
bool unit_state_wants(const char *property);

bool unit_state_is_up(const UnitState *s);   /* active or about to be */
bool unit_state_is_down(const UnitState *s); /* inactive or failed */
/* A unit that stays active without a process: it only did something once. */
bool unit_state_is_wrapper(const UnitState *s);

/* What is known of a unit besides its properties. */
typedef struct UnitFacts {
        bool stop_asked; /* a stop job, or a kill of ours, preceded */
        bool emptied;    /* a wrapper's processes have all ended */
        bool ran;        /* it was seen up */
} UnitFacts;

/* What it means. *@ret_result (if not NULL) is the word for it, systemd's or ours ("no-processes",
 * "condition"). */
RunState unit_state_run(const UnitState *s, const UnitFacts *facts, const char **ret_result);
/* Which of two states of a service's units is the worse one, and so the service's. */
RunState run_state_worse(RunState a, RunState b);
/* Fills in how the main process ended, if it did. */
void unit_state_exit(const UnitState *s, ServiceStatus *ret);
bool unit_state_is_masked(const UnitState *s);
