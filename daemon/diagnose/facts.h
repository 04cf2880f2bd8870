#pragma once

/*
 * Facts: the symptoms that the service itself shows, at most one of a kind.
 */

#include "diagnose/diagnosis.h"

#define FACT_TOLD_MAX 8

typedef struct Fact {
        bool open;
        bool hard;     /* a fault; else it waits for a second fact */
        bool recorded; /* said in this episode */
        Reason reason; /* a soft one: why it is not a fault; REASON_NONE: the manager restarts the service */
        usec_t at;     /* monotonic: of a process' end, when it was; 0: it is the run's */
        usec_t clear_after;           /* an end: how long the service must be up until it is past */
        Symptom *symptom;             /* of the last time it was open; NULL: never */
        uint64_t told[FACT_TOLD_MAX]; /* hashes of other signatures that were recorded in this episode */
        unsigned n_told;
} Fact;

/* All zero is none. Must stay where it is: facts point into it. */
typedef struct Facts {
        Fact of[_SYMPTOM_KIND_MAX];
        Symptom room; /* for the one fact that a service has at a time, mostly */
} Facts;

/* Opens the fact of @s's kind, or adds to the open one: what was hard stays so, and the longer
 * time counts. */
void facts_open(Facts *f, const Symptom *s, bool hard, usec_t clear_after);
/* Forgets everything. */
void facts_clear(Facts *f);
/* Yields whether it was open. That it was said is remembered. */
bool facts_close(Facts *f, SymptomKind kind);
/* The open one that says most, of those that are @hard or of those that are not; NULL if there is none. */
Fact *facts_leading(Facts *f, bool hard);
