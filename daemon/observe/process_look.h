#pragma once

/*
 * ProcessLook: one look at the processes of a service: what each has done so far, where it waits, which
 * message file it has open. A job for a worker.
 */

#include "base/worker.h"
#include "model/observation.h"
#include "model/settings.h"

/* A message file that is known to be open. */
typedef struct LookHeld {
        char *path;   /* as the configuration names its directory, bytes */
        usec_t since; /* monotonic */
        bool found;   /* out: some process has it */
} LookHeld;

typedef struct LookSpec {
        int procfd; /* an open /proc; borrowed */
        const ServiceSettings *settings;
        const ProcId *processes;
        size_t n_processes;
        LookHeld *held; /* what is known beforehand, or NULL */
        size_t n_held;
        const atomic_bool *cancel; /* or NULL */
} LookSpec;

/* All zero is an empty one; what it holds lives until deinit. */
typedef struct ProcessLook {
        ProcessesStatus status;
        ProcessSample *list;
        size_t n;
        char **strings;
        size_t n_strings, n_strings_allocated;
        bool incomplete; /* not all were looked at, or not all of it could be read */
} ProcessLook;

/* A process that goes meanwhile is left out. Return: 0, -ECANCELED, -ENOMEM. */
int process_look(const LookSpec *spec, ProcessLook *ret);
void process_look_deinit(ProcessLook *l);
