#pragma once

/*
 * Isolate: the search for the messages that are to blame. Pure, deterministic, resumable. Speaks of
 * candidates 0..n-1; the engine maps them to messages.
 *
 * A trial releases a set of candidates to the service and holds all others back. The search is told what came
 * of it and names the next, until the culprits are known and a last control run (everything but the culprits)
 * was healthy.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Isolate Isolate;

typedef struct IsolateConfig {
        unsigned max_trials; /* in all, those before the search included */
        double confidence;   /* 0.99: to convict or clear where trials contradict each other */
        uint64_t seed;       /* for tie-breaking; same inputs, same search */
} IsolateConfig;

typedef enum CandidateState {
        CANDIDATE_UNKNOWN,
        CANDIDATE_CLEARED,
        CANDIDATE_CONVICTED,
} CandidateState;

/* What one trial told; bit vectors of n bits (bit i of word i / 64), NULL: nothing known. */
typedef struct TrialReport {
        bool failed;
        bool consumption_seen;    /* @consumed is meaningful for this service */
        const uint64_t *consumed; /* gone at the end: cleared */
        const uint64_t *closed;   /* opened and closed without failing: cleared */
        const uint64_t *inflight; /* held open when it failed: suspect */
        const uint64_t
                *survived; /* was there at the end of a healthy trial that reached quiescence: cleared */
} TrialReport;

typedef enum IsolateStep {
        ISOLATE_TRIAL,   /* run this: release *@ret_release */
        ISOLATE_DONE,    /* culprits are known, and the control run was healthy */
        ISOLATE_GAVE_UP, /* budget spent, or trials contradict each other: best answer so far */
} IsolateStep;

/* @weights: n positive weights from evidence (1 is ordinary), or NULL. Return: 0, -ENOMEM, -EINVAL. */
int isolate_new(Isolate **ret, const IsolateConfig *config, size_t n, const double *weights);
Isolate *isolate_free(Isolate *s);
static inline void isolate_freep(Isolate **s)
{
        isolate_free(*s);
}

/* A candidate arrived meanwhile: its index is n (it grows by one). */
int isolate_add(Isolate *s, double weight);
/* Evidence: multiplies the weight. */
void isolate_weigh(Isolate *s, size_t i, double factor);
/* An outside fact: gone or otherwise known good. */
void isolate_clear(Isolate *s, size_t i);

/* The next step. *@ret_release: n bits, the search's, valid until the next call. */
IsolateStep isolate_next(Isolate *s, const uint64_t **ret_release);
/* What the trial that isolate_next() named told. */
int isolate_feed(Isolate *s, const TrialReport *report);
/* The trial came to nothing (somebody interfered): the same one is asked for again. */
void isolate_void(Isolate *s);

size_t isolate_n(const Isolate *s);
CandidateState isolate_state(const Isolate *s, size_t i);
double isolate_weight(const Isolate *s, size_t i);
unsigned isolate_trials(const Isolate *s);
/* For people and the record: candidates not yet cleared, expected trials to go. */
size_t isolate_open(const Isolate *s);
double isolate_expected(const Isolate *s);

/* Its knowledge, written down and read back: the same next steps follow. */
json_t *isolate_save(const Isolate *s);
int isolate_load(Isolate **ret, const json_t *saved);
