#pragma once

/*
 * ProcessEnd: is a process that is not our child still at work, and if not, how did it end?
 */

#include "base/proc.h"

typedef enum ProcessEnd {
        PROCESS_LIVES,
        PROCESS_ENDED_WELL,  /* exit status 0 */
        PROCESS_ENDED_BADLY, /* another status, or a signal */
        PROCESS_ENDED,       /* nobody can tell any more how */
} ProcessEnd;

/*
 * A process that has begun to exit counts as ended, with its status where that is known. @pidfd was opened
 * while it lived, or is -1.
 */
ProcessEnd process_end(int procfd, const ProcId *id, int pidfd);

#define PROCESS_E_LIVES   1
#define PROCESS_E_UNKNOWN 2

/*
 * The same with the status itself, as waitpid() gives it. Return: 0, PROCESS_E_LIVES, or PROCESS_E_UNKNOWN.
 */
int process_exit_status(int procfd, const ProcId *id, int pidfd, int *ret);
