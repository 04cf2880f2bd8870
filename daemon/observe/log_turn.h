#pragma once

/*
 * LogTurn: one turn of reading a log, in a worker: so much, or so many matches, and then others have theirs.
 * One turn of a log at a time; between turns its files stay open.
 */

#include "base/worker.h"
#include "model/rules.h"
#include "observe/log_state.h"
#include "observe/log_watch.h"

#define LOG_TURN_BYTES ((size_t)16 << 20)
#define LOG_TURN_HITS  512 /* more would hold up the loop, which reports them */

typedef struct LogPlace LogPlace; /* the log and how far it has been read; for turns alone */

typedef struct LogSpec {
        const ServiceSettings *settings;
        Settings *owner; /* keeps @settings alive; or NULL */
        const char *path;
        size_t line_max;
        usec_t line_wait;      /* 0: 5 s */
        const char *state_dir; /* NULL: begin at the end each time */
        Disk *disk;
        LogWatch *watch;
} LogSpec;

/* Strings are copied. Return: 0, -EINVAL for a rule that can't be compiled, or -ENOMEM. */
int log_place_new(LogPlace **ret, const LogSpec *spec);
/* Only while no turn runs, in the loop. */
LogPlace *log_place_free(LogPlace *p);

typedef struct LogTurn {
        Job job;
        LogPlace *place;
        bool look; /* something happened in the directory */
        /* Results. */
        LogHits hits;
        bool more;   /* there is more to do at once */
        usec_t wake; /* another turn after that, though nothing was heard; USEC_INFINITY: need not */
        int *wds;    /* what is watched now */
        size_t n_wds;
        void *userdata;
} LogTurn;

int log_turn_run(Job *job);
void log_turn_free(LogTurn *t);
