#pragma once

/* LogState: what survives unjamd of a log that is followed, and what was found in it. For workers. */

#include "base/disk.h"
#include "model/observation.h"
#include "model/settings.h"
#include "observe/log_family.h"

typedef struct LogHit {
        LogKind kind;
        size_t rule;
        uint64_t seq; /* counts what was found in this log, for ever */
        char *text;   /* UTF-8 */
        char *id;     /* bytes; NULL: none */
        char *cursor;
        pid_t pid;
        usec_t wall;
} LogHit;

typedef struct LogHits {
        LogHit *list;
        size_t n, allocated;
} LogHits;

void log_hits_deinit(LogHits *h);
/* Room for one more, all zero. NULL on ENOMEM. */
LogHit *log_hits_add(LogHits *h);

/* Where it is kept: a file of its own in @state_dir. */
typedef struct LogStateSpec {
        const char *state_dir, *path;
        const ServiceSettings *settings; /* rules are kept by name */
        Disk *disk;
} LogStateSpec;

/*
 * Makes durable: how far each file of @y was read, and @pending, found up to there and not reported yet.
 * Return: 0 or a negated errno.
 */
int log_state_save(const LogStateSpec *spec, LogFamily *y, uint64_t seq, const LogHits *pending);

#define LOG_STATE_E_NONE    1 /* there is none */
#define LOG_STATE_E_DAMAGED 2
/* Fills @y, @ret_seq and @pending. Return: 0, one of the above, or -ENOMEM. */
int log_state_load(const LogStateSpec *spec, LogFamily *y, uint64_t *ret_seq, LogHits *pending);
