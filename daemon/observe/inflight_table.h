#pragma once

/*
 * InflightTable: which files were opened by processes of a service, which are open, and which were when their
 * process died. Fed with what the kernel notifies; asks nobody anything itself.
 *
 * A dying process closes its files, and the notice of that looks like any other. So a close counts as done in
 * good order only when its process was alive afterwards: it opened something else, was seen alive, or exited
 * with status 0.
 */

#include "base/clock.h"
#include "observe/keymap.h"

#include <stdbool.h>
#include <sys/types.h>

#define INFLIGHT_FILES_MAX 100000
/* How long what a dead process held is remembered without a mark, and how long everything is after one. */
#define INFLIGHT_KEEP   (10 * USEC_PER_MIN)
#define INFLIGHT_RECORD (60 * USEC_PER_MIN)

typedef struct InflightFile {
        uint64_t key; /* of the file itself, whatever its name */
        char *path;   /* its last known name */
        unsigned open;
        bool closed;    /* at least once in good order */
        bool at_death;  /* open when its process died */
        bool ambiguous; /* opened and closed, in an order that nobody knows */
        usec_t opened;  /* monotonic: since when it has been open without a break */
        usec_t died;
        pid_t opener; /* the last one */
} InflightFile;

typedef struct InflightProcess {
        pid_t pid;
        uint64_t *closing; /* files that it has closed, in good order or not */
        size_t n_closing, allocated;
} InflightProcess;

/* All zero is an empty one. */
typedef struct InflightTable {
        InflightFile *files;
        size_t n_files, allocated;
        KeyMap by_key; /* to index in files */
        InflightProcess *processes;
        size_t n_processes;
        usec_t marked; /* 0: never */
        bool overflow; /* something was not kept */
} InflightTable;

void inflight_table_deinit(InflightTable *t);

/* @key names the file, @path is copied. Return: 0 or -ENOMEM (then the table says overflow too). */
int inflight_table_open(InflightTable *t, uint64_t key, const char *path, pid_t pid, usec_t now);
int inflight_table_close(InflightTable *t, uint64_t key, const char *path, pid_t pid);
/* Both, in an order that nobody knows, also with respect to later notices. */
int inflight_table_both(InflightTable *t, uint64_t key, const char *path, pid_t pid, usec_t now);

/* @pid is alive, after all notices so far: what it closed, it closed in good order. */
void inflight_table_alive(InflightTable *t, pid_t pid, usec_t now);
/* @pid has died. @clean: it exited with status 0. */
void inflight_table_death(InflightTable *t, pid_t pid, bool clean, usec_t now);
/* Has it closed anything that is not known to be in good order? */
bool inflight_table_is_closing(const InflightTable *t, pid_t pid);

/*
 * A file that @pid has open, or closed last and not known to be in good order; NULL: none. Valid until the
 * table changes.
 */
const char *inflight_table_of(const InflightTable *t, pid_t pid);

/* Begins anew: only what is open now stays known. */
void inflight_table_mark(InflightTable *t, usec_t now);
/* Since when the file that has been open for longest has been, or USEC_INFINITY. */
usec_t inflight_table_oldest(const InflightTable *t);

/* Forgets what is too old to be kept. */
void inflight_table_expire(InflightTable *t, usec_t now);
