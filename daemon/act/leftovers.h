#pragma once

/*
 * Leftovers: which processes outside of a service's control group are of the service all the same.
 *
 * A process belongs if it was seen in the group before, descends from one that belongs, or matches a
 * `leftovers` entry of the configuration (executable and user). Nobody else does: a process that merely holds
 * a file of a store is a stranger. Threads: every function may be called from any thread.
 */

#include "base/proc.h"
#include "model/settings.h"

typedef struct Leftovers Leftovers;

/* What /proc/PID/stat says of one process. */
typedef struct ProcStat {
        ProcId id;
        pid_t parent, group, session;
        char state;  /* R S D T t Z X I ... */
        bool kernel; /* a thread of the kernel */
        char name[16];
} ProcStat;

/* Has it ended (a zombie has: nothing of it runs any more)? */
static inline bool proc_stat_dead(const ProcStat *s)
{
        return s->state == 'Z' || s->state == 'X' || s->state == 'x';
}

/* Reads one. It never waits for the process. Return: 0, or -ESRCH. */
int proc_stat_read(int procfd, pid_t pid, ProcStat *ret);
/* Parses the content of a stat file; apart for tests. Return: 0, or -EBADMSG. */
int proc_stat_parse(const char *text, ProcStat *ret);
/* All of them, by rising pid. *@ret is the caller's. Return: 0 or a negated errno. */
int proc_stat_scan(int procfd, ProcStat **ret, size_t *ret_n);
/* bsearch in such a scan; NULL if there is none. */
const ProcStat *proc_stat_find(const ProcStat *scan, size_t n, pid_t pid);

/* Appends @id unless it is there. Return: 0 or -ENOMEM. */
int proc_ids_add(ProcId **ids, size_t *n, ProcId id);
bool proc_ids_has(const ProcId *ids, size_t n, ProcId id);

/* @service is borrowed and outlives it. Return: 0 or a negated errno. */
int leftovers_new(Leftovers **ret, const ServiceSettings *service);
Leftovers *leftovers_free(Leftovers *l);

typedef struct LeftoversQuery {
        int procfd;
        const ProcStat *scan; /* fresh, of proc_stat_scan() */
        size_t n_scan;
        const ProcId *inside; /* in the control group now */
        size_t n_inside;
} LeftoversQuery;

/*
 * The living processes of the service that are not in @q->inside (which are remembered). Never this process
 * itself, pid 1 or a thread of the kernel. *@ret is the caller's. Return: 0 or a negated errno.
 */
int leftovers_find(Leftovers *l, const LeftoversQuery *q, ProcId **ret, size_t *ret_n);
