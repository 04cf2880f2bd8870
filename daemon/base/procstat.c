/*
 * procstat - what a process has done so far, and where it waits
 *
 * Called by the sampler of processes and by the collector of evidence, in a worker. Guarantees: nothing here
 * needs the memory or the locks of the process, so a stuck one does not hold us up; everything is read
 * through one descriptor of /proc/PID, so a reused pid never mixes two processes.
 *
 * Which system calls work on a descriptor, or wait for many, is known by the numbers of this machine's own
 * table; a process of another one (a 32 bit program) is known by its wait channel alone.
 *
 * Diagnostics: -ESRCH when the process has gone, -EBADMSG for a stat of another shape. What may not be read
 * is left out, and the result says so. Test: tests/unit/test_procstat.c.
 */
#include "base/procstat.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* A process with more threads than these is judged by them. */
#define THREADS_MAX 512

int process_open(int procfd, pid_t pid)
{
        char name[16];
        int fd;

        snprintf(name, sizeof(name), "%d", (int)pid);
        fd = openat(procfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_origin(errno == ENOENT ? -ESRCH : -errno);
        return fd;
}

/* A file that vanishes is a process that vanishes. */
static int read_text(int dirfd, const char *name, char **ret)
{
        int r = file_read_virtual(dirfd, name, 8192, ret, NULL);

        return r == -ENOENT ? err_origin(-ESRCH) : err_trace(r);
}

/* Fields 3, 4, 14, 15, 20 and 22 of stat, behind a name that may hold anything. */
static int stat_parse(const char *text, ProcStat *p)
{
        const char *name = strchr(text, '('), *end = strrchr(text, ')');
        unsigned long user, system;
        long ticks = sysconf(_SC_CLK_TCK);
        int parent;

        if (!name || !end || end < name)
                return err_origin(-EBADMSG);
        if (sscanf(end, ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %u %*d %" SCNu64,
                   &p->state, &parent, &user, &system, &p->threads, &p->id.start) != 6)
                return err_origin(-EBADMSG);
        p->parent = parent;
        p->cpu = (user + system) * (USEC_PER_SEC / (usec_t)(ticks > 0 ? ticks : 100));
        snprintf(p->name, sizeof(p->name), "%.*s", (int)(end - name - 1), name + 1);
        return 0;
}

/* The number behind "\nKEY:\t" in a status file, 0 if it is not there. @skip numbers before it are passed
 * over. */
static uint64_t status_number(const char *text, const char *key, unsigned skip)
{
        const char *p = strstr(text, key);
        uint64_t value = 0;
        char *end;

        if (!p)
                return 0;
        p += strlen(key);
        for (unsigned i = 0; i <= skip; i++) {
                value = strtoull(p, &end, 10);
                if (end == p)
                        return 0;
                p = end;
        }
        return value;
}

static uint64_t status_switches(const char *text)
{
        return status_number(text, "\nvoluntary_ctxt_switches:", 0) +
               status_number(text, "\nnonvoluntary_ctxt_switches:", 0);
}

/* One thread beside the main one: its switches count, and a thread in state D makes the process one. */
static void thread_read(int taskfd, const char *tid, ProcStat *p)
{
        _cleanup_(freep) char *status = NULL;
        char name[NAME_MAX];
        const char *state;

        snprintf(name, sizeof(name), "%.16s/status", tid);
        if (file_read_virtual(taskfd, name, 8192, &status, NULL) < 0)
                return;
        p->switches += status_switches(status);
        state = strstr(status, "\nState:\t");
        if (state && state[8] == 'D')
                p->state = 'D';
}

static void threads_read(int piddirfd, ProcStat *p)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        unsigned n = 0;

        if (dir_stream_at(piddirfd, "task", &dir) < 0)
                return;
        while (n < THREADS_MAX && (entry = readdir(dir)))
                if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != p->id.pid) {
                        thread_read(dirfd(dir), entry->d_name, p);
                        n++;
                }
}

static int status_read(int piddirfd, ProcStat *p)
{
        _cleanup_(freep) char *text = NULL;
        int r = read_text(piddirfd, "status", &text);

        if (r < 0)
                return err_trace(r);
        p->uid = (uid_t)status_number(text, "\nUid:", 1);
        p->tracer = (pid_t)status_number(text, "\nTracerPid:", 0);
        p->memory = status_number(text, "\nVmRSS:", 0) * 1024;
        p->switches = status_switches(text);
        if (p->threads > 1)
                threads_read(piddirfd, p);
        return 0;
}

static void io_read(int piddirfd, ProcStat *p)
{
        _cleanup_(freep) char *text = NULL;

        if (file_read_virtual(piddirfd, "io", 4096, &text, NULL) < 0)
                return;
        p->io_known = true;
        /* "rchar" is the first line, so without a newline before it. */
        p->io_bytes = status_number(text, "rchar:", 0) + status_number(text, "\nwchar:", 0);
}

int procstat_read(int piddirfd, pid_t pid, ProcStat *ret)
{
        _cleanup_(freep) char *text = NULL;
        ProcStat p = { .id.pid = pid };
        int r = read_text(piddirfd, "stat", &text);

        if (r == 0)
                r = stat_parse(text, &p);
        if (r == 0)
                r = status_read(piddirfd, &p);
        if (r < 0)
                return err_trace(r);
        io_read(piddirfd, &p);
        *ret = p;
        return 0;
}

/* Calls that work on the descriptor that is their first argument, and wait for it. */
static const long fd_calls[] = {
        SYS_read,    SYS_write,    SYS_readv,    SYS_writev,    SYS_pread64,  SYS_pwrite64,
        SYS_preadv,  SYS_pwritev,  SYS_recvfrom, SYS_recvmsg,   SYS_recvmmsg, SYS_sendto,
        SYS_sendmsg, SYS_sendmmsg, SYS_connect,  SYS_sendfile,  SYS_shutdown, SYS_close,
        SYS_flock,   SYS_fcntl,    SYS_fsync,    SYS_fdatasync,
};

static const long many_calls[] = {
#ifdef SYS_poll
        SYS_poll,  SYS_select,   SYS_epoll_wait,
#endif
        SYS_ppoll, SYS_pselect6, SYS_epoll_pwait,
};

static bool is_among(long number, const long *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (list[i] == number)
                        return true;
        return false;
}

/* The same by the kernel's function, where the call may not be read. */
static bool where_is_many(const char *where)
{
        static const char *const words[] = { "poll_schedule_timeout", "do_poll", "do_sys_poll",  "do_select",
                                             "core_sys_select",       "ep_poll", "do_epoll_wait" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strncmp(where, words[i], strlen(words[i])) == 0)
                        return true;
        return false;
}

static void wait_where(int piddirfd, ProcWait *w)
{
        _cleanup_(freep) char *text = NULL;

        if (file_read_virtual(piddirfd, "wchan", 256, &text, NULL) < 0)
                return;
        /* "0": it waits nowhere, or it is a secret. */
        if (strcmp(text, "0") != 0)
                snprintf(w->where, sizeof(w->where), "%.*s", (int)strcspn(text, " \n"), text);
}

void proc_wait_read(int piddirfd, ProcWait *ret)
{
        _cleanup_(freep) char *text = NULL;
        unsigned long long first;
        long number;

        *ret = (ProcWait){ .number = -1, .fd = -1 };
        wait_where(piddirfd, ret);
        /* "NUMBER 0xARGUMENT ...", "running", or "-1 ..." for one that is in no call. */
        if (file_read_virtual(piddirfd, "syscall", 256, &text, NULL) < 0 ||
            sscanf(text, "%ld %llx", &number, &first) != 2 || number < 0) {
                ret->on_many = where_is_many(ret->where);
                return;
        }
        ret->number = number;
        ret->on_many = is_among(number, many_calls, ELEMENTSOF(many_calls));
        ret->on_fd = is_among(number, fd_calls, ELEMENTSOF(fd_calls));
        if (ret->on_fd)
                ret->fd = (int)first;
}
