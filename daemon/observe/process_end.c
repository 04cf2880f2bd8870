/*
 * process_end - how a process that is somebody else's child has ended
 *
 * Used by inflight and status. While it is a zombie, /proc/PID/stat has its exit status for those who may
 * trace it; once it has been collected, a pidfd gives it on Linux 6.15 and later (PIDFD_GET_INFO with
 * PIDFD_INFO_EXIT). Otherwise it is unknown, and that is what is said.
 */
#include "observe/process_end.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define STAT_MAX ((size_t)4096)

#define FLAG_EXITING UINT64_C(0x4) /* PF_EXITING, in the field "flags" of /proc/PID/stat */

/* The kernel's struct pidfd_info in its first version, which no C library has yet. */
typedef struct PidfdInfo {
        uint64_t mask, cgroup;
        uint32_t pid, tgid, ppid, ids[8];
        int32_t exit_code;
} PidfdInfo;

#define PIDFD_INFO_WITH_EXIT UINT64_C(0x8)
#define PIDFD_INFO_IOCTL     _IOWR(0xFF, 11, PidfdInfo)

typedef struct Stat {
        char state;
        uint64_t flags, start;
        int exit_code;
} Stat;

/* Fields of /proc/PID/stat behind the name, which may hold anything. Field 3, the state, is the first. */
static int stat_read(int procfd, pid_t pid, Stat *ret)
{
        _cleanup_(freep) char *text = NULL;
        char path[32], *save = NULL;
        size_t len;

        snprintf(path, sizeof(path), "%d/stat", pid);
        int r = file_read_virtual(procfd, path, STAT_MAX, &text, &len);
        if (r < 0)
                return r;
        char *p = strrchr(text, ')');
        if (!p)
                return err_origin(-EBADMSG);
        *ret = (Stat){ .state = 0 };
        p = strtok_r(p + 1, " \n", &save);
        for (unsigned field = 3; p; field++, p = strtok_r(NULL, " \n", &save)) {
                if (field == 3)
                        ret->state = *p;
                else if (field == 9)
                        ret->flags = strtoull(p, NULL, 10);
                else if (field == 22)
                        ret->start = strtoull(p, NULL, 10);
                else if (field == 52)
                        ret->exit_code = (int)strtol(p, NULL, 10);
        }
        return 0;
}

int process_exit_status(int procfd, const ProcId *id, int pidfd, int *ret)
{
        PidfdInfo info = { .mask = PIDFD_INFO_WITH_EXIT };
        Stat stat;

        static_assert(sizeof(info) == 64, "this is the kernel's layout");
        if (stat_read(procfd, id->pid, &stat) == 0 && stat.start == id->start) {
                if (stat.state == 'Z' || stat.state == 'X') {
                        *ret = stat.exit_code;
                        return 0;
                }
                /* Its status is set when it is a zombie. Until then, a signal may be what ends it, or not. */
                return stat.flags & FLAG_EXITING ? PROCESS_E_UNKNOWN : PROCESS_E_LIVES;
        }
        if (pidfd >= 0 && ioctl(pidfd, PIDFD_INFO_IOCTL, &info) == 0 && (info.mask & PIDFD_INFO_WITH_EXIT)) {
                *ret = info.exit_code;
                return 0;
        }
        return PROCESS_E_UNKNOWN;
}

ProcessEnd process_end(int procfd, const ProcId *id, int pidfd)
{
        int status = 0, r = process_exit_status(procfd, id, pidfd, &status);

        if (r == PROCESS_E_LIVES)
                return PROCESS_LIVES;
        if (r == PROCESS_E_UNKNOWN)
                return PROCESS_ENDED;
        return status == 0 ? PROCESS_ENDED_WELL : PROCESS_ENDED_BADLY;
}
