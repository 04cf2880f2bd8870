/*
 * proc - processes and control groups, named so that no other one is ever meant
 *
 * Called by managers (kill ladder, proof of emptiness), by the collector of evidence and by sources.
 * Guarantees: a process is its pid together with its start time; a signal goes through a pidfd that was
 * compared with both, and never to unjamd itself; a pid of 0 (a process outside of our namespace) is counted
 * as life but never handed out.
 *
 * Diagnostics: -ESRCH for a process that has gone, whatever the kernel calls it there; a control group that
 * was removed is empty, not an error. Whoever waits for a process in state D may wait: see worker.h.
 */
#include "base/proc.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/vfs.h>

/* Far above what a host has; a list that is longer is no list of processes. */
#define CGROUP_PROCS_MAX (16 * 1024 * 1024)
/* Deeper than anybody nests them, and no deeper than our stack. */
#define CGROUP_DEPTH_MAX 64

/* The start time in the text of /proc/PID/stat: the 20th field after the name, which may hold anything but
 * its end. */
static int stat_start(const char *text, uint64_t *ret)
{
        const char *p = strrchr(text, ')');
        char *end;

        if (!p)
                return err_origin(-EBADMSG);
        for (int field = 2; field < 22; field++) {
                p = strchr(p, ' ');
                if (!p)
                        return err_origin(-EBADMSG);
                p++;
        }
        errno = 0;
        *ret = strtoull(p, &end, 10);
        if (errno != 0 || end == p)
                return err_origin(-EBADMSG);
        return 0;
}

int proc_identify(int procfd, pid_t pid, ProcId *ret)
{
        _cleanup_(freep) char *text = NULL;
        uint64_t start;
        char name[32];
        int r;

        if (pid <= 0)
                return err_origin(-ESRCH);
        snprintf(name, sizeof(name), "%d/stat", (int)pid);
        r = file_read_virtual(procfd, name, 8192, &text, NULL);
        if (r == -ENOENT || r == -ENOTDIR)
                return err_origin(-ESRCH);
        if (r < 0)
                return err_trace(r);
        r = stat_start(text, &start);
        if (r < 0)
                return err_trace(r);
        *ret = (ProcId){ .pid = pid, .start = start };
        return 0;
}

int proc_open(int procfd, const ProcId *id)
{
        _cleanup_(closep) int fd = -1;
        ProcId now;
        int r;

        if (id->pid <= 0)
                return err_origin(-ESRCH);
        fd = pidfd_open(id->pid, 0);
        if (fd < 0)
                /* EINVAL: the number belongs to a thread now. */
                return err_origin(errno == EINVAL ? -ESRCH : -errno);
        r = proc_identify(procfd, id->pid, &now);
        if (r < 0)
                return err_trace(r);
        if (now.start != id->start)
                return err_origin(-ESRCH);
        return TAKE_FD(fd);
}

/* The pid behind a pidfd. Return: the pid, -ESRCH once it was reaped, or another errno. */
static int pidfd_pid(int pidfd)
{
        _cleanup_(freep) char *text = NULL;
        char path[64];
        const char *p;
        int pid, r;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        r = file_read_virtual(AT_FDCWD, path, 8192, &text, NULL);
        if (r == -ENOENT)
                return err_origin(-EBADF);
        if (r < 0)
                return err_trace(r);
        p = strstr(text, "\nPid:");
        if (!p || sscanf(p, "\nPid:%d", &pid) != 1)
                return err_origin(-EBADF);
        /* 0 is a process of another namespace: none that we watch. */
        return pid <= 0 ? err_origin(-ESRCH) : pid;
}

int proc_signal(int pidfd, int signal)
{
        int pid;

        pid = pidfd_pid(pidfd);
        if (pid < 0)
                return err_trace(pid);
        if (pid == getpid())
                return err_origin(-EPERM);
        if (pidfd_send_signal(pidfd, signal, NULL, 0) < 0)
                return err_origin(-errno);
        return 0;
}

typedef struct PidList {
        pid_t *pids;
        size_t n, allocated;
        bool foreign; /* there was a 0 */
} PidList;

static int pid_list_add(PidList *l, pid_t pid)
{
        if (l->n == l->allocated) {
                size_t grown = l->allocated == 0 ? 64 : l->allocated * 2;
                pid_t *p = reallocarray(l->pids, grown, sizeof(pid_t));

                if (!p)
                        return err_origin(-ENOMEM);
                l->pids = p;
                l->allocated = grown;
        }
        l->pids[l->n++] = pid;
        return 0;
}

/* Has this group been removed under our hands? */
static bool is_gone(int r)
{
        return r == -ENOENT || r == -ENODEV;
}

static int procs_read(int cgroupfd, PidList *l)
{
        _cleanup_(freep) char *text = NULL;
        char *line, *rest;
        int r;

        r = file_read_virtual(cgroupfd, "cgroup.procs", CGROUP_PROCS_MAX, &text, NULL);
        /* A threaded group: its processes are listed at the root of the threaded part, above. */
        if (is_gone(r) || r == -EOPNOTSUPP)
                return 0;
        if (r < 0)
                return err_trace(r);
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                long pid = strtol(line, NULL, 10);

                if (pid <= 0 || pid > INT32_MAX) {
                        l->foreign = true;
                        continue;
                }
                r = pid_list_add(l, (pid_t)pid);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int tree_read(int cgroupfd, unsigned depth, PidList *l)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int r;

        r = procs_read(cgroupfd, l);
        if (r < 0)
                return err_trace(r);
        r = dir_stream_at(cgroupfd, ".", &dir);
        if (r < 0)
                return is_gone(r) ? 0 : err_origin(r);
        while ((errno = 0, entry = readdir(dir))) {
                _cleanup_(closep) int child = -1;

                if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
                        continue;
                if (depth == CGROUP_DEPTH_MAX)
                        return err_origin(-ELOOP);
                child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (child < 0 && is_gone(-errno))
                        continue;
                if (child < 0)
                        return err_origin(-errno);
                r = tree_read(child, depth + 1, l);
                if (r < 0)
                        return err_trace(r);
        }
        return errno != 0 && !is_gone(-errno) ? err_origin(-errno) : 0;
}

static int pid_compare(const void *a, const void *b)
{
        pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

        return (x > y) - (x < y);
}

int cgroup_pids(int cgroupfd, pid_t **ret, size_t *ret_n)
{
        PidList l = { 0 };
        size_t n = 0;
        int r;

        r = tree_read(cgroupfd, 0, &l);
        if (r < 0) {
                free(l.pids);
                return err_trace(r);
        }
        /* A process that moves from one group to another while we read, and v1 at any time, gives a pid
         * twice. */
        if (l.n > 0)
                qsort(l.pids, l.n, sizeof(pid_t), pid_compare);
        for (size_t i = 0; i < l.n; i++)
                if (n == 0 || l.pids[n - 1] != l.pids[i])
                        l.pids[n++] = l.pids[i];
        *ret = l.pids;
        *ret_n = n;
        return 0;
}

int cgroup_populated(int cgroupfd)
{
        _cleanup_(freep) char *text = NULL;
        PidList l = { 0 };
        const char *p;
        int r;

        r = file_read_virtual(cgroupfd, "cgroup.events", 4096, &text, NULL);
        if (r == 0) {
                p = strstr(text, "populated ");
                return p ? p[strlen("populated ")] == '1' : err_origin(-EBADMSG);
        }
        if (r == -ENODEV)
                return 0;
        if (r != -ENOENT)
                return err_trace(r);

        /* v1, the root of v2, or a group that was removed: what is listed decides. */
        r = tree_read(cgroupfd, 0, &l);
        free(l.pids);
        if (r < 0)
                return err_trace(r);
        return l.n > 0 || l.foreign;
}

int cgroup_oom_kills(int cgroupfd, uint64_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        const char *p;
        int r = file_read_virtual(cgroupfd, "memory.events", 4096, &text, NULL);

        if (r < 0)
                return r;
        p = strstr(text, "\noom_kill ");
        if (!p)
                return err_origin(-EBADMSG);
        *ret = strtoull(p + strlen("\noom_kill "), NULL, 10);
        return 0;
}

/* Where the hierarchy that systemd uses is mounted. On a host without any control group that is an error. */
static int hierarchy_open(bool *ret_unified)
{
        static const struct {
                const char *path;
                bool unified;
        } places[] = {
                { "/sys/fs/cgroup", true },
                { "/sys/fs/cgroup/unified", true },
                { "/sys/fs/cgroup/systemd", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_(closep) int fd = open(places[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                struct statfs fs;

                if (fd < 0 || fstatfs(fd, &fs) < 0)
                        continue;
                if (fs.f_type != (places[i].unified ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
                        continue;
                *ret_unified = places[i].unified;
                return TAKE_FD(fd);
        }
        return err_origin(-ENOMEDIUM);
}

int cgroup_open(const char *path)
{
        _cleanup_(closep) int root = -1;
        bool unified;

        root = hierarchy_open(&unified);
        if (root < 0)
                return err_trace(root);
        return err_trace(dir_open_beneath(root, path + strspn(path, "/")));
}

/* The path in the line of /proc/PID/cgroup with the controllers @controllers ("" is v2), or NULL. */
static const char *cgroup_line(const char *text, const char *controllers, size_t *ret_len)
{
        size_t len = strlen(controllers);

        for (const char *line = text; *line;) {
                const char *end = strchrnul(line, '\n'), *p = memchr(line, ':', (size_t)(end - line));

                if (p && (size_t)(end - p) > len + 2 && memcmp(p + 1, controllers, len) == 0 &&
                    p[1 + len] == ':' && p[2 + len] == '/') {
                        *ret_len = (size_t)(end - (p + 2 + len));
                        return p + 2 + len;
                }
                line = *end ? end + 1 : end;
        }
        return NULL;
}

int cgroup_of(int procfd, pid_t pid, char **ret)
{
        static const char deleted[] = " (deleted)";
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int root = -1;
        const char *path = NULL;
        bool unified = true;
        char name[32], *copy;
        size_t len = 0;
        int r;

        snprintf(name, sizeof(name), "%d/cgroup", (int)pid);
        r = file_read_virtual(procfd, name, 64 * 1024, &text, NULL);
        if (r == -ENOENT)
                return err_origin(-ESRCH);
        if (r < 0)
                return err_trace(r);
        root = hierarchy_open(&unified);
        path = cgroup_line(text, unified ? "" : "name=systemd", &len);
        if (!path)
                return err_origin(-ENODATA);
        /* Only what is dead is still in a group that was removed; a new one of that name is another. */
        if (len >= strlen(deleted) && memcmp(path + len - strlen(deleted), deleted, strlen(deleted)) == 0)
                return err_origin(-ESRCH);
        copy = strndup(path, len);
        if (!copy)
                return err_origin(-ENOMEM);
        *ret = copy;
        return 0;
}

void proc_open_paths(int procfd, pid_t pid, void (*handler)(void *userdata, const char *path), void *userdata)
{
        _cleanup_(closedirp) DIR *d = NULL;
        char name[32], target[4097];
        const struct dirent *e;

        snprintf(name, sizeof(name), "%d/fd", (int)pid);
        if (dir_stream_at(procfd, name, &d) < 0)
                return;
        while ((e = readdir(d))) {
                ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

                if (n <= 0 || target[0] != '/')
                        continue; /* a socket, a pipe, or gone */
                target[n] = '\0';
                handler(userdata, target);
        }
}
