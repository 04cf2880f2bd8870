#pragma once

/*
 * JournalTurn: one turn of reading the journal, in a worker thread: at most JOURNAL_TURN_MAX entries, matched
 * against the rules of the services they belong to. One turn at a time; between turns the journal stays open.
 */

#include "base/disk.h"
#include "base/worker.h"
#include "model/rules.h"
#include "model/settings.h"

#define JOURNAL_TURN_MAX 256
/* Entries older than this when the reader begins are history, not symptoms. */
#define JOURNAL_HISTORY (10 * USEC_PER_MIN)

/* What a service wants of the journal. Referenced by its source and by turns; counted in the loop only. */
typedef struct JournalInterest {
        unsigned n_ref;
        char **units;
        Rules *rules;    /* used in turns only */
        Settings *owner; /* keeps the rules' settings alive */
        void *source;    /* NULL once that has gone */
} JournalInterest;

/* Of @units and @rules copies and compilations are made. *@ret_error as rules_new(). */
int journal_interest_new(JournalInterest **ret, char *const *units, const ServiceSettings *settings,
                         Settings *owner, char **ret_error);
JournalInterest *journal_interest_ref(JournalInterest *i);
JournalInterest *journal_interest_unref(JournalInterest *i);

typedef struct JournalPlace JournalPlace; /* the open journal and how far it has been read; for turns alone */

/* @directory: NULL means the host's journal. @state_dir: where the cursor is kept, NULL: nowhere. */
int journal_place_new(JournalPlace **ret, const char *directory, const char *state_dir, Disk *disk);
/* Only while no turn runs. */
JournalPlace *journal_place_free(JournalPlace *p);

typedef struct JournalHit {
        size_t interest, rule;
        char *text, *cursor;
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
