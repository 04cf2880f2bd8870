#pragma once

/*
 * Trail: the files of an audit trail on disk. Reading (oldest record first, over all rotated files) and
 * rotating.
 *
 * audit.jsonl is the file that is appended to; audit.jsonl.1 is the one before it, and so on. A gap in the
 * numbers is what a crash in the middle of a rotation leaves; it does no harm and the next rotation closes
 * it.
 */

#include "base/disk.h"
#include "record/chain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Trail Trail;

/*
 * Opens all files of the trail at @path at once, so that a rotation meanwhile takes nothing away. A trail
 * that is not there is an empty one. Return: 0 or a negated errno.
 */
int trail_open(Trail **ret, const char *path);
Trail *trail_free(Trail *t);
static inline void trail_freep(Trail **t)
{
        trail_free(*t);
}

#define TRAIL_E_END 1

typedef struct TrailLine {
        const char
                *text; /* without the newline; the trail's, until the next call. Any bytes, NUL-terminated */
        size_t len;
        bool torn;        /* the newline is missing: the last line of its file */
        const char *file; /* its path */
        uint64_t number;  /* line in that file, from 1 */
} TrailLine;

/* The next line. Return: 0, TRAIL_E_END, or a negated errno. */
int trail_next(Trail *t, TrailLine *ret);

/* The last record of one file whose hash is its own. */
typedef struct TrailLast {
        bool found;
        ChainLink link;
        uint64_t end;  /* offset after it */
        uint64_t size; /* of what was read of the file */
        bool torn;     /* the file does not end with a newline */
} TrailLast;

/* Looks at every line of file @name: 64 MiB take a fraction of a second. Return: 0 or a negated errno. */
int trail_last(int dirfd, const char *name, TrailLast *ret);
/* The same over the rotated files of @name, newest first, as far as one has a record. */
int trail_last_rotated(int dirfd, const char *name, TrailLast *ret);

/*
 * The suffix numbers of the rotated files of @name in @dirfd, highest (oldest) first; *@ret is the caller's.
 * Return: 0 or a negated errno.
 */
int trail_list(int dirfd, const char *name, unsigned **ret, size_t *ret_n);

/*
 * Moves @name to @name.1, and those before it up by one as far as there is no gap; nothing is removed. The
 * directory is synced. Return: 0 or a negated errno; after an error every record is still in some file.
 */
int trail_rotate(Disk *d, int dirfd, const char *name);

/* Removes the rotated files with a number above @keep. Return: 0 or a negated errno. */
int trail_prune(Disk *d, int dirfd, const char *name, unsigned keep);
