#pragma once

/*
 * JournalTurn: one turn of reading the journal, in a worker thread: at most JOURNAL_TURN_MAX entries, matched
 * against the rules of the services they belong to. One turn at a time; between turns the journal stays open.
 */

#include "base/disk.h"
#include "base/worker.h"
#include "model/observation.h"
#include "observe/journal_interest.h"

#define JOURNAL_TURN_MAX 1024
#define JOURNAL_HITS_MAX 256 /* a turn ends early, so that the loop is not held up by what it reports */
/* Entries older than this when the reader begins are history, not symptoms. */
#define JOURNAL_HISTORY (10 * USEC_PER_MIN)

typedef struct JournalPlace JournalPlace; /* the open journal and how far it has been read; for turns alone */

/* @directory: NULL means the host's journal. @state_dir: where the cursor is kept, NULL: nowhere. */
int journal_place_new(JournalPlace **ret, const char *directory, const char *state_dir, Disk *disk);
/* Only while no turn runs. */
JournalPlace *journal_place_free(JournalPlace *p);

typedef struct JournalHit {
        LogKind kind;
        size_t interest, rule;
        char *text, *cursor, *id;
        pid_t pid;
        usec_t wall;
} JournalHit;

typedef struct JournalTurn {
        Job job;
        JournalPlace *place;
        JournalInterest **interests; /* references */
        size_t n_interests;
        bool rematch; /* the interests are others than in the turn before */
        /* Results. */
        JournalHit *hits;
        size_t n_hits, allocated;
        size_t n_cut; /* entries that are longer than what is matched of them */
        enum {
                JOURNAL_TEXT_UNKNOWN,
                JOURNAL_TEXT_PLAIN,
                JOURNAL_TEXT_SUPPRESSED
        } text;         /* what the present entry's message begins with, as far as somebody asked for it */
        bool more;      /* there is more to read at once */
        bool unsaved;   /* the cursor has not been saved yet */
        bool closed;    /* the journal is not open any more: its descriptor says nothing */
        int fd;         /* of a journal that was opened in this turn, to be polled; else -1 */
        usec_t timeout; /* read again after that though nothing was heard; USEC_INFINITY: need not */
        void *userdata;
} JournalTurn;

int journal_turn_run(Job *job);
/* Drops references: in the loop. */
void journal_turn_free(JournalTurn *t);
