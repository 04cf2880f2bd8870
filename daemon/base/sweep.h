#pragma once

/*
 * Sweep: SIGKILL for everything of a program that the daemon started itself. Not for services: their kill
 * ladder is the managers'.
 */

#include <sys/types.h>

/* Everything in a control group and below. Return: 0 or a negated errno; what has gone meanwhile is
 * no error. */
int sweep_cgroup(int procfd, int cgroupfd);
/*
 * Everything in the session or process group @leader, and every descendant of it. @leader must be a child of
 * ours that has not been reaped, else the numbers may mean somebody else.
 */
int sweep_session(int procfd, pid_t leader);
