#pragma once

/*
 * Calls: the system calls and allocations of unjamd, caught by the linker (--wrap), so that a test can count
 * them, end the process at the n-th, let it fail, or pull the plug.
 *
 * Only calls made by the project's own objects are caught, not those inside of libc or other libraries. Calls
 * on what is no file of the disk (event descriptors, sockets, pipes) pass. Off until calls_arm(). Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

typedef enum CallsHow {
        CALLS_COUNT,
        CALLS_KILL,      /* before the n-th call that changes the disk: the state after the one before it */
        CALLS_TEAR,      /* in the middle of the n-th write: half of it is there */
        CALLS_POWER,     /* the same, and what was not synced is kept or lost by the throw of a coin */
        CALLS_FAIL_ONCE, /* the n-th call fails */
        CALLS_FAIL_ON,   /* and all that follow */
        _CALLS_HOW_MAX,
} CallsHow;

typedef enum CallsKind {
        CALLS_CHANGING = 1 << 0, /* what changes the disk */
        CALLS_READING = 1 << 1,  /* open, stat, read of it */
        CALLS_MEMORY = 1 << 2,
} CallsKind;

typedef struct Calls {
        CallsHow how;
        unsigned kinds;   /* that are counted, and fail; the deaths know CALLS_CHANGING alone */
        unsigned long at; /* from 1 */
        int error;        /* positive errno */
        bool syncs;       /* really: the disk below loses what was not synced */
        unsigned seed;
        /* An empty directory in place of /proc: the processes of this machine are not the test's. */
        const char *proc;
        /* Told of each change before it is made; @st of the file that it concerns (of the source, for a
         * rename). NULL: nobody. */
        void (*changes)(void *userdata, const char *call, int dirfd, const struct stat *st);
        void *userdata;
} Calls;

#define CALLS_EXIT 42 /* status of a process that was ended here */

void calls_arm(const Calls *c);
void calls_disarm(void);
/* How many calls of the armed kinds there were. */
unsigned long calls_count(void);
/* Did the fault of CALLS_FAIL_* fire? */
bool calls_fired(void);
/* For calls_memory.c: is this the allocation that fails? */
bool calls_out_of_memory(void);
/* The plug is pulled now: never returns. */
void calls_power_cut(void);
