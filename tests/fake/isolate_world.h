#pragma once

/*
 * A simulated service for the search: n messages, some of which make it fail. What a trial tells is up to the
 * world: only that it failed, what was consumed (in random order), what was in flight.
 */

#include "decide/isolate.h"

typedef struct IsolateWorld {
        size_t n, room, n_culprits, n_crashes, n_healthy;
        uint64_t random;
        double flaky;      /* a culprit fails with this chance; 1: always */
        unsigned inflight; /* so many at once, and told; 0: not told */
        bool consumes;     /* a message that is done is gone */
        bool pairs;        /* the culprits fail only if all of them are there */
        bool lies;         /* what is told to be in flight is some other message */
        bool *culprit, *gone;
        uint32_t *queue;
        uint64_t *consumed, *flying, *survived;
} IsolateWorld;

/* All other members are the caller's to set between the two. Aborts for want of memory. */
void isolate_world_init(IsolateWorld *w, size_t n, size_t n_culprits, uint64_t seed);
void isolate_world_deinit(IsolateWorld *w);
/* Another message arrives. */
void isolate_world_add(IsolateWorld *w, bool culprit);
uint64_t isolate_world_random(IsolateWorld *w, uint64_t below);
/* One trial; the report is the world's, valid until the next. */
TrialReport isolate_world_try(IsolateWorld *w, const uint64_t *release);
/* Runs until it fails, everything released: what is consumed is no part of the world any more. */
void isolate_world_begin(IsolateWorld *w);
/* What the first failure, with everything released, left in flight: weights for the search. */
void isolate_world_baseline(IsolateWorld *w, double *weights);
/* All steps until the search ends. Return: how. */
IsolateStep isolate_world_search(IsolateWorld *w, Isolate *s);
/* Culprits convicted, and good messages convicted. */
void isolate_world_judge(const IsolateWorld *w, const Isolate *s, size_t *ret_right, size_t *ret_wrong);
