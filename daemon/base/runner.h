#pragma once

/*
 * Runner: programs that unjamd starts for a short time (cause checks, exec probes, rebuilds, start/stop
 * commands).
 *
 * They run outside of unjamd's own cgroup and sandbox: as transient units where systemd is the manager of the
 * host, else as children in a process group of their own. No shell is involved. Each has a deadline; at the
 * deadline everything it started is killed. A program that ends in time leaves nothing behind either, unless
 * `detach` is set.
 */

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Runner Runner;
typedef struct Run Run; /* one program under way */

typedef struct RunResult {
        int error;          /* 0, or the negated errno for which it could not be started */
        bool timed_out;     /* killed at its deadline */
        int exit_code;      /* valid if signal == 0 and !error && !timed_out */
        int signal;         /* that ended it, or 0 */
        const char *output; /* stdout and stderr together, at most RUN_OUTPUT_MAX bytes, NUL-terminated, any
                               bytes */
        size_t output_len;
} RunResult;

#define RUN_OUTPUT_MAX (64 * 1024)

typedef struct RunSpec {
        const char *name;         /* for unit names and logs, [a-z0-9-] */
        char *const *argv;        /* argv[0] absolute, or looked up in the usual system directories */
        char *const *environment; /* or NULL: PATH, LANG=C.UTF-8 only */
        const char *user;         /* or NULL: root */
        const char *directory;    /* or NULL: / */
        const char *input;        /* stdin, or NULL: /dev/null */
        usec_t timeout;
        bool read_only; /* the program must change nothing: under systemd it gets ProtectSystem=strict etc. */
        bool detach;    /* what it leaves running when it exits is meant to stay (a start program) */
} RunSpec;

typedef void (*RunDone)(void *userdata, const RunResult *result);

typedef struct RunnerOps {
        /* Starts; done() is called exactly once, from the loop, unless the run is cancelled. */
        int (*start)(Runner *r, const RunSpec *spec, RunDone done, void *userdata, Run **ret);
        /* Kills everything of it; done() is not called. */
        void (*cancel)(Runner *r, Run *run);
        Runner *(*free)(Runner *r);
} RunnerOps;

struct Runner {
        const RunnerOps *ops;
};

/* Children in process groups of their own (with a cgroup of their own where one is writable). */
int runner_fork_new(Runner **ret, sd_event *event);
/*
 * Transient units "unjam-run-NAME-N.service" on the system bus. @destination is NULL on a peer connection
 * (tests). A connection that is not up yet is -ENOTCONN from start(), which never waits.
 */
int runner_systemd_new(Runner **ret, sd_event *event, sd_bus *bus, const char *destination);

static inline int runner_start(Runner *r, const RunSpec *spec, RunDone done, void *userdata, Run **ret)
{
        return r->ops->start(r, spec, done, userdata, ret);
}
static inline void runner_cancel(Runner *r, Run *run)
{
        r->ops->cancel(r, run);
}
static inline Runner *runner_free(Runner *r)
{
        return r ? r->ops->free(r) : NULL;
}
