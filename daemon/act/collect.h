#pragma once

/*
 * Collect: evidence of a service's processes and its last log lines, taken before anything is killed.
 *
 * Everything here may wait for a stuck process or a disk and is called from a worker thread, never from the
 * loop.
 */

#include "base/clock.h"
#include "base/proc.h"
#include "model/evidence.h"

#include <stdatomic.h>

typedef struct CollectSpec {
        int procfd;              /* an open /proc */
        const ProcId *processes; /* of the service, leftovers included (Manager.processes) */
        size_t n_processes;
        /* The service's units: a process of it in no control group of theirs is `outside`. NULL: none is. */
        char *const *units;
        /* Does this absolute path belong to a store (spool_covers)? NULL: strangers are not looked for. */
        bool (*covers)(void *userdata, const char *path);
        void *userdata;
        /* Only who else holds a file of a store: the processes of the service are left out of the result. */
        bool strangers_only;
        const atomic_bool *cancel; /* looked at between processes; NULL: never */
        /* 0 for the usual limit. What is beyond it is missing, and `incomplete` says so. */
        usec_t budget;        /* 2 s */
        size_t max_processes; /* 4096, of the whole host */
        size_t max_files;     /* 1024 of each process */
} CollectSpec;

/*
 * Fills *@ret, which the caller has zeroed or deinitialised, and releases by evidence_deinit() also after an
 * error. A process that has gone meanwhile is left out; one that cannot be read in part makes the evidence
 * incomplete. A stranger is a process that is neither in @processes nor this one and holds a regular file or
 * FIFO that @covers. Return: 0, -ECANCELED, or another negated errno.
 */
int evidence_collect(const CollectSpec *spec, Evidence *ret);

typedef struct LogSpec {
        char *const *units;      /* lines of these units, and of PID 1 about them; may be NULL */
        const ProcId *processes; /* and of these processes (the first 256) */
        size_t n_processes;
        usec_t since;       /* wall: nothing older */
        size_t max_lines;   /* 0: 50 */
        char *const *files; /* journal files (tests); NULL: the local journal */
} LogSpec;

/*
 * Adds the last lines, oldest first, at most 8 KiB of each. Only fields that the journal itself sets select a
 * line. A journal that cannot be read makes the evidence incomplete. Return: 0 or -ENOMEM.
 */
int evidence_log_lines(Evidence *e, const LogSpec *spec);
