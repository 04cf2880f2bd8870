#pragma once

/*
 * Procstat: what a process has done so far, and where it waits. Two readings tell whether it did anything in
 * between. Reads what does not wait for the process itself, even when it is stuck.
 */

#include "base/proc.h"

/* All of a process, its threads included. */
typedef struct ProcStat {
        ProcId id;
        pid_t parent;
        uid_t uid;         /* effective */
        char name[64];     /* comm, bytes */
        char state;        /* R S D T t Z ...; D if any of its threads is */
        bool io_known;     /* @io_bytes could be read */
        usec_t cpu;        /* user and system, whole life */
        uint64_t io_bytes; /* rchar + wchar: what its calls moved, whether a disk was asked or not */
        uint64_t switches; /* voluntary and involuntary */
        uint64_t memory;   /* resident, bytes */
        pid_t tracer;      /* 0: nobody */
        unsigned threads;
} ProcStat;

/*
 * The /proc directory of @pid: whatever is read through it is of this very process, or -ESRCH once it has
 * gone. Return: descriptor, -ESRCH, or another negated errno.
 */
int process_open(int procfd, pid_t pid);
/* Return: 0, -ESRCH, -EBADMSG or another negated errno. */
int procstat_read(int piddirfd, pid_t pid, ProcStat *ret);

/* Where it waits, by its main thread. */
typedef struct ProcWait {
        char where[64]; /* wchan: a function of the kernel; "" if it is not to be had */
        long number;    /* the system call; -1 if it is in none, or that may not be known */
        bool on_fd;     /* the call works on one descriptor: */
        int fd;
        bool on_many; /* it waits for any of several (poll, select, epoll) */
} ProcWait;

void proc_wait_read(int piddirfd, ProcWait *ret);
