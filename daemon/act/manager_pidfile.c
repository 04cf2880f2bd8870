/*
 * manager_pidfile - the process that a pidfile names, unless its number was used again
 *
 * Used by manager_command. A daemon is older than the pidfile that it wrote, so a process that is younger
 * than the file is another one that got the number. The comparison is of ages, by the clock as it is now: a
 * wall clock that was set after the file was written shifts the file's age. On a file system that does not
 * outlive a boot (/run) an age above the uptime can only come from that, and the file is believed; else the
 * doubt counts against the pid, for a stranger must never be signalled.
 *
 * Diagnostics: a file with anything but a number in it is PIDFILE_E_NONE. Tests:
 * tests/unit/test_manager_pidfile.c.
 */
#include "act/manager_pidfile.h"
#include "act/leftovers.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define PIDFILE_MAX 4096
/* Clock ticks are coarse, and a file's time is that of the last timer interrupt. */
#define TOLERANCE (2 * USEC_PER_SEC)

bool pidfile_is_stale(usec_t file_age, usec_t process_age, usec_t uptime, bool volatile_fs)
{
        if (process_age + TOLERANCE >= file_age)
                return false;
        return !(volatile_fs && file_age > uptime);
}

/* Reads the number and the file's age. A FIFO or a device in its place does not block, and is none. */
static int pidfile_read(const char *path, pid_t *ret_pid, usec_t *ret_age, bool *ret_volatile)
{
        char text[PIDFILE_MAX], *end;
        struct statfs fs;
        struct stat st;

        _cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT || errno == ENXIO ? PIDFILE_E_NONE : err_origin(-errno);
        if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return PIDFILE_E_NONE;
        ssize_t n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return err_origin(-errno);
        text[n] = '\0';

        /* Sendmail writes its command line below the number. */
        long pid = strtol(text, &end, 10);
        if (end == text || pid <= 1 || pid > INT32_MAX || !strchr(" \t\r\n", *end))
                return PIDFILE_E_NONE;
        usec_t written = (usec_t)st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t)st.st_mtim.tv_nsec / 1000;
        *ret_pid = (pid_t)pid;
        *ret_age = usec_sub(now_read().wall, written);
        *ret_volatile = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
        return 0;
}

int pidfile_identify(int procfd, const char *path, ProcId *ret)
{
        bool volatile_fs;
        usec_t file_age;
        ProcStat s;
        pid_t pid;

        int r = pidfile_read(path, &pid, &file_age, &volatile_fs);
        if (r != 0)
                return r;
        if (proc_stat_read(procfd, pid, &s) < 0 || proc_stat_dead(&s) || s.kernel)
                return PIDFILE_E_NONE;

        usec_t uptime = now_read().mono;
        usec_t began = s.id.start * (USEC_PER_SEC / (usec_t)sysconf(_SC_CLK_TCK));
        if (pidfile_is_stale(file_age, usec_sub(uptime, began), uptime, volatile_fs))
                return PIDFILE_E_NONE;
        *ret = s.id;
        return 0;
}
