#pragma once

/*
 * FanMarks: a job for a worker that sets fanotify marks on the directories of a service's stores, and learns
 * their file handles, by which the kernel will name them.
 */

#include "base/worker.h"
#include "model/settings.h"
#include "observe/keymap.h"

typedef struct FanMarksJob FanMarksJob;

/* The directories by key of their file handle. */
typedef struct FanMarks {
        int fd;        /* fanotify, if one was made in this job; else -1 */
        KeyMap by_key; /* to index in paths */
        char **paths;
        size_t n_paths, allocated;
        const char *note; /* why something is not watched, or NULL; static */
} FanMarks;

void fan_marks_deinit(FanMarks *m);

/* The key of a file handle on a file system. */
uint64_t fan_key(const KeySeed *seed, const void *fsid, int type, const void *handle, size_t len);

/* In the loop; takes what it wants of @marks and leaves the rest. */
typedef void (*FanMarksDone)(void *userdata, int r, FanMarks *marks);

typedef struct FanMarksSpec {
        const ServiceSettings *settings;
        Settings *owner; /* see SourceContext */
        KeySeed seed;
        int fd; /* the fanotify descriptor to set marks with (not consumed); -1: a new one */
        FanMarksDone done;
        void *userdata;
} FanMarksSpec;

/* Return: 0 or a negated errno (then done() is not called). */
int fan_marks_start(FanMarksJob **ret, Worker *worker, const FanMarksSpec *spec);
/* done() is not called any more. NULL is fine. Yields NULL. */
FanMarksJob *fan_marks_cancel(FanMarksJob *j);
