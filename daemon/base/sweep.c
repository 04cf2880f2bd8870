/*
 * sweep - the rest of a program is killed
 *
 * Called by runner_fork at a deadline, on cancel, and after the exit of a program that must leave nothing
 * behind. Guarantees: each process is opened by pid and start time before it is signalled; this process is
 * never among them. A program that forks faster than we kill is met by looking again, a bounded number of
 * times.
 *
 * Diagnostics: negated errnos, which the runner ignores: it has no better means.
 */
#include "base/sweep.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#define ROUNDS 8

typedef struct Entry {
        ProcId id;
        pid_t parent, group, session;
        char state;
        bool ours;
} Entry;

static void signal_one(int procfd, const ProcId *id)
{
        _cleanup_(closep) int fd = proc_open(procfd, id);

        if (fd >= 0)
                (void)proc_signal(fd, SIGKILL);
}

int sweep_cgroup(int procfd, int cgroupfd)
{
        int fd, r;

        fd = openat(cgroupfd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
                ssize_t n = write(fd, "1", 1);

                close(fd);
                if (n == 1)
                        return 0;
        }
        /* Before Linux 5.14. */
        for (int round = 0; round < ROUNDS; round++) {
                _cleanup_(freep) pid_t *pids = NULL;
                size_t n;

                r = cgroup_pids(cgroupfd, &pids, &n);
                if (r < 0)
                        return err_trace(r);
                if (n == 0)
                        break;
                for (size_t i = 0; i < n; i++) {
                        ProcId id;

                        if (proc_identify(procfd, pids[i], &id) == 0)
                                signal_one(procfd, &id);
                }
        }
        return 0;
}

static int entry_read(int procfd, pid_t pid, Entry *ret)
{
        _cleanup_(freep) char *text = NULL;
        Entry e = { 0 };
        char name[32];
        const char *p;
        int r;

        r = proc_identify(procfd, pid, &e.id);
        if (r < 0)
                return err_trace(r);
        snprintf(name, sizeof(name), "%d/stat", (int)pid);
        r = file_read_virtual(procfd, name, 8192, &text, NULL);
        if (r < 0)
                return err_trace(r);
        p = strrchr(text, ')');
        if (!p || sscanf(p, ") %c %d %d %d", &e.state, &e.parent, &e.group, &e.session) != 4)
                return err_origin(-EBADMSG);
        *ret = e;
        return 0;
}

static int table_read(int procfd, Entry **ret, size_t *ret_n)
{
        _cleanup_(freep) Entry *table = NULL;
        size_t n = 0, allocated = 0;
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int r = dir_stream_at(procfd, ".", &dir);

        if (r < 0)
                return err_origin(r);
        while ((entry = readdir(dir))) {
                long pid = strtol(entry->d_name, NULL, 10);

                if (pid <= 0)
                        continue;
                if (n == allocated) {
                        size_t grown = allocated == 0 ? 256 : allocated * 2;
                        Entry *t = reallocarray(table, grown, sizeof(Entry));

                        if (!t)
                                return err_origin(-ENOMEM);
                        table = t;
                        allocated = grown;
                }
                /* What has gone since is not of interest. */
                if (entry_read(procfd, (pid_t)pid, &table[n]) == 0)
                        n++;
        }
        *ret = TAKE_PTR(table);
        *ret_n = n;
        return 0;
}

/* Marks the session, the group and all descendants: again and again, until a pass finds no more. */
static void table_mark(Entry *table, size_t n, pid_t leader)
{
        bool more = true;

        for (size_t i = 0; i < n; i++)
                table[i].ours =
                        table[i].id.pid == leader || table[i].group == leader || table[i].session == leader;
        while (more) {
                more = false;
                for (size_t i = 0; i < n; i++)
                        for (size_t k = 0; k < n && !table[i].ours; k++)
                                if (table[k].ours && table[k].id.pid == table[i].parent)
                                        table[i].ours = more = true;
        }
}

int sweep_session(int procfd, pid_t leader)
{
        int r;

        if (leader <= 1)
                return err_origin(-EINVAL);
        for (int round = 0; round < ROUNDS; round++) {
                _cleanup_(freep) Entry *table = NULL;
                bool alive = false;
                size_t n = 0;

                r = table_read(procfd, &table, &n);
                if (r < 0)
                        return err_trace(r);
                table_mark(table, n, leader);
                for (size_t i = 0; i < n; i++) {
                        if (!table[i].ours || table[i].state == 'Z' || table[i].state == 'X')
                                continue;
                        signal_one(procfd, &table[i].id);
                        alive = true;
                }
                if (!alive)
                        break;
        }
        return 0;
}
