#pragma once

/*
 * Processes, named so that a reused pid is never mistaken for the process that was meant.
 */

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process: its pid and the start time from /proc/PID/stat (field 22, clock ticks since boot). */
typedef struct ProcId {
        pid_t pid;
        uint64_t start;
} ProcId;

/* Reads the start time of @pid. Return: 0, or -ESRCH. @procfd is an open /proc. */
int proc_identify(int procfd, pid_t pid, ProcId *ret);
/*
 * Opens a pidfd for exactly this process: the start time is compared after the open. Return: the descriptor,
 * or -ESRCH if it has gone or the pid is another process now.
 */
int proc_open(int procfd, const ProcId *id);
/* Signals through a pidfd. Return: 0, -ESRCH if it has ended. Refuses this process itself with -EPERM. */
int proc_signal(int pidfd, int signal);
/*
 * The paths of @pid's open files, as /proc/PID/fd names them. Reads links only, so a stuck process does not
 * block it. A process that has gone, or may not be looked at, has none.
 */
void proc_open_paths(int procfd, pid_t pid, void (*handler)(void *userdata, const char *path),
                     void *userdata);
/*
 * Every pid below a cgroup directory (recursively, from cgroup.procs), each once, ascending. *@ret is the
 * caller's and may be NULL when there are none. A group that was removed has none.
 */
int cgroup_pids(int cgroupfd, pid_t **ret, size_t *ret_n);
/* Is any process in the cgroup or below (cgroup.events "populated"; on v1, cgroup.procs)? >0 yes, 0 no, <0
 * errno. */
int cgroup_populated(int cgroupfd);
/*
 * How many processes of the cgroup and below it the kernel has killed for want of memory (memory.events).
 * Return: 0 or a negated errno (-ENOENT: without a memory controller nobody counts).
 */
int cgroup_oom_kills(int cgroupfd, uint64_t *ret);
/*
 * Opens the cgroup directory for a path such as "/system.slice/x.service" in the hierarchy that systemd uses:
 * unified mount, /sys/fs/cgroup/unified, or the v1 "systemd" one. Return: descriptor or negated errno.
 */
int cgroup_open(const char *path);
/* The cgroup path of @pid in that hierarchy, "/..." . *@ret is the caller's. -ESRCH, -ENODATA if it is in
 * none. */
int cgroup_of(int procfd, pid_t pid, char **ret);
