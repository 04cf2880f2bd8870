#pragma once

/*
 * The kinds of recovery that the crash tests go through, what each comes to when nothing disturbs it, and the
 * counts of what was tried, for the closing table of tests/run.
 */

#include "live/live.h"

typedef struct Kind {
        const char *name;
        LiveConfig config;
        const char *crashes[4], *hangs[2];
        bool down;  /* the server is down to begin with, and nothing is wrong with it */
        bool loose; /* how far the search comes depends on where it was disturbed */
        const char *result;
} Kind;

extern const Kind kinds[];
extern const unsigned n_kinds;

/* What a kind comes to. */
typedef struct Baseline {
        LivePlace places[LIVE_MESSAGES];
        unsigned delivered[LIVE_MESSAGES];
        unsigned long calls; /* that change the disk */
} Baseline;

/* A fresh world of this kind. */
Live *kind_begin(const Kind *k);
/* Fails the test if an undisturbed life does not come to what it should. */
void kind_baseline(const Kind *k, Baseline *ret);

/* Everything that must hold at any moment; fails the test with @when. @places may be NULL. */
void kind_check(Live *l, const Kind *k, LivePlace places[LIVE_MESSAGES], const char *when);
/* And at the end: the same as the baseline, or with @loose no message lost at least. */
void kind_check_end(Live *l, const Kind *k, const Baseline *b, bool loose, const char *when);

typedef struct Tally {
        unsigned long kills, cuts, faults, messages, lost, doubled, changed;
} Tally;

extern Tally tally;
/* One line that tests/run adds up. */
void tally_print(void);

unsigned from_environment(const char *name, unsigned otherwise);
/* Trees are made in memory, unless TMPDIR says otherwise: a sync there costs nothing. */
void in_memory(void);
/* main() of a program with one test for each kind, which is its initial state. */
int kinds_main(const char *name, void (*test)(void **state));
