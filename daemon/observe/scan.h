#pragma once

/*
 * Scan: a job for a worker that sets inotify marks on the directories of a service's stores and takes a tally
 * of what lies in them. What happens while it runs waits in the inotify queue; since a tally is a set of
 * files, replaying that queue afterwards ends with what is really there.
 */

#include "base/worker.h"
#include "model/settings.h"
#include "observe/tally.h"

typedef struct Scan Scan;

/* A directory with a mark. */
typedef struct ScanMark {
        int wd;
        size_t store, dir;
        char *path; /* below the store's directory */
} ScanMark;

typedef struct ScanResult {
        int fd; /* inotify; -1 if there is none to be had */
        ScanMark *marks;
        size_t n_marks;
        Tally **tallies; /* one for each store */
        Tally **before;  /* those of the spec, or NULL */
        /* For each store what is there, and with @before what is different: counted in the thread, for a
         * million messages take longer than the loop may. */
        ProgressStatus *status;
        bool blind;       /* some directory has no mark, or lies where marks see too little */
        bool missing;     /* a store's directory was not there */
        const char *note; /* why it is blind, or NULL; static */
} ScanResult;

typedef struct ScanSpec {
        const ServiceSettings *settings;
        Settings *owner; /* see SourceContext */
        KeySeed seed;
        int fd; /* the inotify descriptor to add marks to (not consumed), or -1: everything, with a new one */
        ScanMark *roots; /* where to scan; wd is unused. With fd -1 none */
        size_t n_roots;
        Tally **before; /* what the last scan and the notices since have told, or NULL */
} ScanSpec;

/*
 * In the loop. @result may be changed: what is taken out of it (TAKE_FD, TAKE_PTR) is the callee's, the rest
 * is released. @r: 0 or a negated errno.
 */
typedef void (*ScanDone)(void *userdata, int r, ScanResult *result);

/* Takes @spec->roots over, also on error, and @spec->before if there is none. Return: 0 or a negated errno
 * (then done() is not called). */
int scan_start(Scan **ret, Worker *worker, ScanSpec *spec, ScanDone done, void *userdata);
/* done() is not called any more; the job ends as soon as it notices. NULL is fine. Yields NULL. */
Scan *scan_cancel(Scan *s);

void scan_marks_free(ScanMark *marks, size_t n);
void scan_tallies_free(Tally **tallies, size_t n);
