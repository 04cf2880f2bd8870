#pragma once

/*
 * Pidfile: reads in a worker which process a pidfile names, as it may lie on a disk that does not answer.
 */

#include "base/proc.h"
#include "base/worker.h"

typedef struct PidfileLook PidfileLook;

typedef struct PidfileResult {
        bool exists; /* the file is there, whatever is in it */
        ProcId id;   /* pid 0: it names no living process */
        int pidfd;   /* of that process, or -1. TAKE_FD makes it the callee's */
} PidfileResult;

typedef void (*PidfileDone)(void *userdata, PidfileResult *result);

/* Return: 0, or a negated errno (then done() is not called). */
int pidfile_look(PidfileLook **ret, Worker *worker, const char *path, PidfileDone done, void *userdata);
/* done() is not called any more. NULL is fine. Yields NULL. */
PidfileLook *pidfile_look_cancel(PidfileLook *l);
