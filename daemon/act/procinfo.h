#pragma once

/*
 * Procinfo: one process as /proc shows it. What cannot block is read first; the command line, which waits for
 * the process' memory, last, and not at all in state D.
 */

#include "base/procstat.h"
#include "base/remote.h"
#include "model/evidence.h"

/* What the reading of many processes shares. */
typedef struct ProcReader {
        int procfd;
        size_t max_files;
        RemoteSockets remote;
} ProcReader;

void proc_reader_deinit(ProcReader *p);

#define PROCESS_E_PARTIAL 1 /* something could not be read; *@ret_missing says what */

/*
 * Fills *@ret (all but `outside` and `stranger`), which the caller releases, by itself or with its Evidence;
 * nothing is in it after a negative code. *@ret_missing is a constant. Return: 0, PROCESS_E_PARTIAL, -ESRCH,
 * -ENOMEM.
 */
int process_read(ProcReader *p, int piddirfd, pid_t pid, ProcessEvidence *ret, const char **ret_missing);

/*
 * Holds the process a regular file or FIFO for which @covers says yes? Only what covers() wants to know more
 * of is looked at closely. Return: >0 yes, 0 no, or a negated errno.
 */
int process_holds(int piddirfd, bool (*covers)(void *userdata, const char *path), void *userdata);
