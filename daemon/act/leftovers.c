/*
 * leftovers - the service's processes outside of its control group
 *
 * Called by the managers (for the kill ladder, and for evidence, then from a worker thread).
 *
 * One scan of /proc costs some ten microseconds a process and reads only `stat`, which never waits for the
 * process (it takes no lock that a process in state D could hold); `exe`, `status` and `ns/pid` are read only
 * where `leftovers` entries are configured. What was found once is remembered by pid and start time until it
 * has ended, so a child whose parent has died since is still known. A `leftovers` entry matches only in this
 * daemon's own pid namespace: a container on the same host may run the same program.
 *
 * Diagnostics: a process that ends during the scan is left out; only ENOMEM and an unreadable /proc are
 * errors. Tests: tests/unit/test_leftovers.c.
 */
#include "act/leftovers.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROC_KERNEL_THREAD 0x00200000U /* PF_KTHREAD in the flags of stat */

struct Leftovers {
        const ServiceSettings *service;
        pthread_mutex_t lock; /* guards what follows */
        ProcId *known;
        size_t n_known;
};

/* Reads @path below /proc into @buf as a string. Return: the length, or -ESRCH. */
static ssize_t proc_read(int procfd, const char *path, char *buf, size_t size)
{
        _cleanup_(closep) int fd = openat(procfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -ESRCH;

        ssize_t n = read(fd, buf, size - 1);
        if (n < 0)
                return -ESRCH;
        buf[n] = '\0';
        return n;
}

int proc_stat_parse(const char *text, ProcStat *ret)
{
        ProcStat s = { 0 };
        unsigned flags;
        unsigned long long start;
        int pid, parent, group, session;

        /* The name may hold spaces and parentheses: it ends at the last one. */
        const char *open = strchr(text, '('), *close = strrchr(text, ')');
        if (!open || !close || close < open || sscanf(text, "%d", &pid) != 1)
                return -EBADMSG;
        if (sscanf(close + 1, " %c %d %d %d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                   &s.state, &parent, &group, &session, &flags, &start) != 6)
                return -EBADMSG;

        size_t len = (size_t)(close - open - 1);
        if (len >= sizeof(s.name))
                len = sizeof(s.name) - 1;
        memcpy(s.name, open + 1, len);
        s.id = (ProcId){ .pid = pid, .start = start };
        s.parent = parent;
        s.group = group;
        s.session = session;
        s.kernel = flags & PROC_KERNEL_THREAD;
        *ret = s;
        return 0;
}

int proc_stat_read(int procfd, pid_t pid, ProcStat *ret)
{
        char path[32], buf[1024];

        snprintf(path, sizeof(path), "%d/stat", (int)pid);
        if (proc_read(procfd, path, buf, sizeof(buf)) <= 0)
                return -ESRCH;
        return proc_stat_parse(buf, ret) < 0 ? -ESRCH : 0;
}

static int stat_compare(const void *a, const void *b)
{
        pid_t x = ((const ProcStat *)a)->id.pid, y = ((const ProcStat *)b)->id.pid;

        return x < y ? -1 : x > y;
}

int proc_stat_scan(int procfd, ProcStat **ret, size_t *ret_n)
{
        _cleanup_(freep) ProcStat *scan = NULL;
        size_t n = 0, allocated = 0;

        _cleanup_(closedirp) DIR *dir = NULL;
        int r = dir_stream_at(procfd, ".", &dir);
        if (r < 0)
                return err_origin(r);

        for (struct dirent *e; (e = readdir(dir));) {
                if (!isdigit((unsigned char)e->d_name[0]))
                        continue;
                if (n == allocated) {
                        size_t more = allocated ? 2 * allocated : 256;
                        ProcStat *grown = reallocarray(scan, more, sizeof(*scan));
                        if (!grown)
                                return err_origin(-ENOMEM);
                        scan = grown;
                        allocated = more;
                }
                if (proc_stat_read(procfd, (pid_t)strtol(e->d_name, NULL, 10), &scan[n]) == 0)
                        n++;
        }

        qsort(scan, n, sizeof(*scan), stat_compare);
        *ret = TAKE_PTR(scan);
        *ret_n = n;
        return 0;
}

const ProcStat *proc_stat_find(const ProcStat *scan, size_t n, pid_t pid)
{
        ProcStat key = { .id = { .pid = pid } };

        return n > 0 ? bsearch(&key, scan, n, sizeof(*scan), stat_compare) : NULL;
}

bool proc_ids_has(const ProcId *ids, size_t n, ProcId id)
{
        for (size_t i = 0; i < n; i++)
                if (ids[i].pid == id.pid && ids[i].start == id.start)
                        return true;
        return false;
}

int proc_ids_add(ProcId **ids, size_t *n, ProcId id)
{
        if (proc_ids_has(*ids, *n, id))
                return 0;

        ProcId *grown = reallocarray(*ids, *n + 1, sizeof(**ids));
        if (!grown)
                return err_origin(-ENOMEM);
        grown[*n] = id;
        *ids = grown;
        (*n)++;
        return 0;
}

int leftovers_new(Leftovers **ret, const ServiceSettings *service)
{
        Leftovers *l = calloc(1, sizeof(*l));
        if (!l)
                return err_origin(-ENOMEM);

        l->service = service;
        pthread_mutex_init(&l->lock, NULL);
        *ret = l;
        return 0;
}

Leftovers *leftovers_free(Leftovers *l)
{
        if (!l)
                return NULL;
        pthread_mutex_destroy(&l->lock);
        free(l->known);
        free(l);
        return NULL;
}

/* Is @link of the process the same as ours? Unreadable counts as different. */
static bool same_namespace(int procfd, pid_t pid)
{
        char path[32], theirs[64], ours[64];

        snprintf(path, sizeof(path), "%d/ns/pid", (int)pid);
        ssize_t n = readlinkat(procfd, path, theirs, sizeof(theirs));
        ssize_t m = readlinkat(procfd, "self/ns/pid", ours, sizeof(ours));
        return n > 0 && n == m && memcmp(theirs, ours, (size_t)n) == 0;
}

/* By the path of the program that it executes. */
static bool exe_matches(int procfd, pid_t pid, const char *exe)
{
        static const char deleted[] = " (deleted)";
        char path[32], target[4096];

        snprintf(path, sizeof(path), "%d/exe", (int)pid);
        ssize_t n = readlinkat(procfd, path, target, sizeof(target) - 1);
        if (n <= 0)
                return false;
        target[n] = '\0';

        /* A package upgrade has replaced the file; the old process is a leftover all the more. */
        size_t len = (size_t)n, suffix = sizeof(deleted) - 1;
        if (len > suffix && strcmp(target + len - suffix, deleted) == 0)
                target[len - suffix] = '\0';
        return strcmp(target, exe) == 0;
}

/* Does it run for this user, by real or effective uid (a set-uid delivery agent changes only one of them)? */
static bool uid_matches(int procfd, pid_t pid, uid_t uid)
{
        char path[32], buf[4096];
        unsigned real, effective;

        snprintf(path, sizeof(path), "%d/status", (int)pid);
        if (proc_read(procfd, path, buf, sizeof(buf)) <= 0)
                return false;
        const char *line = strstr(buf, "\nUid:");
        return line && sscanf(line, "\nUid: %u %u", &real, &effective) == 2 &&
               (real == uid || effective == uid);
}

/* Does a `leftovers` entry mean this process? */
static bool rule_matches(const ServiceSettings *service, int procfd, pid_t pid)
{
        for (size_t i = 0; i < service->n_leftovers; i++) {
                const LeftoverSettings *rule = &service->leftovers[i];

                if (rule->exe && !exe_matches(procfd, pid, rule->exe))
                        continue;
                if (!rule->any_uid && !uid_matches(procfd, pid, rule->uid))
                        continue;
                /* An entry that names neither would be everybody. */
                if (!rule->exe && rule->any_uid)
                        continue;
                return same_namespace(procfd, pid);
        }
        return false;
}

/* Never ours to touch, whatever the rules say. */
static bool untouchable(const ProcStat *s)
{
        return s->kernel || s->id.pid <= 1 || s->id.pid == getpid();
}

/*
 * Marks in @mine what belongs: known before or inside now, or matched by a rule; then children of what is
 * marked, until nothing changes. A child cannot be older than its parent; a parent that is younger is another
 * process.
 */
static void mark_members(const Leftovers *l, const LeftoversQuery *q, bool *mine)
{
        for (size_t i = 0; i < q->n_scan; i++) {
                const ProcStat *s = &q->scan[i];

                if (untouchable(s))
                        continue;
                mine[i] = proc_ids_has(l->known, l->n_known, s->id) ||
                          proc_ids_has(q->inside, q->n_inside, s->id) ||
                          (l->service->n_leftovers > 0 && rule_matches(l->service, q->procfd, s->id.pid));
        }

        for (bool changed = true; changed;) {
                changed = false;
                for (size_t i = 0; i < q->n_scan; i++) {
                        const ProcStat *s = &q->scan[i];
                        if (mine[i] || untouchable(s))
                                continue;
                        const ProcStat *parent = proc_stat_find(q->scan, q->n_scan, s->parent);
                        if (parent && mine[parent - q->scan] && parent->id.start <= s->id.start)
                                changed = mine[i] = true;
                }
        }
}

int leftovers_find(Leftovers *l, const LeftoversQuery *q, ProcId **ret, size_t *ret_n)
{
        _cleanup_(freep) ProcId *found = NULL, *known = NULL;
        size_t n_found = 0, n_known = 0;
        int r = 0;

        _cleanup_(freep) bool *mine = calloc(q->n_scan + 1, sizeof(*mine));
        if (!mine)
                return err_origin(-ENOMEM);

        pthread_mutex_lock(&l->lock);
        mark_members(l, q, mine);
        for (size_t i = 0; i < q->n_scan && r == 0; i++) {
                if (!mine[i] || proc_stat_dead(&q->scan[i]))
                        continue;
                r = proc_ids_add(&known, &n_known, q->scan[i].id);
                if (r == 0 && !proc_ids_has(q->inside, q->n_inside, q->scan[i].id))
                        r = proc_ids_add(&found, &n_found, q->scan[i].id);
        }
        if (r == 0) {
                /* What has ended is forgotten here: only what this scan saw alive stays known. */
                free(l->known);
                l->known = TAKE_PTR(known);
                l->n_known = n_known;
        }
        pthread_mutex_unlock(&l->lock);
        if (r < 0)
                return err_trace(r);

        *ret = TAKE_PTR(found);
        *ret_n = n_found;
        return 0;
}
