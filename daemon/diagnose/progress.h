#pragma once

/*
 * Progress: does mail move?
 */

#include "model/observation.h"

#include <stdint.h>

typedef struct StoreProgress {
        bool known;
        uint64_t waiting;
        usec_t waiting_since; /* monotonic: since when there has been mail without a break */
} StoreProgress;

typedef struct Progress {
        StoreProgress *stores;
        size_t n;
        usec_t moved; /* monotonic: when anything moved last in any store, or the run began */
} Progress;

int progress_init(Progress *p, size_t n_stores);
void progress_deinit(Progress *p);
/* A new run begins, or the clock cannot be trusted: time counts from @mono on. */
void progress_restart(Progress *p, usec_t mono);
/* Return: 0, or -EINVAL if there is no such store. */
int progress_feed(Progress *p, const ProgressStatus *status, usec_t mono);

/* Messages that wait, in all stores. */
uint64_t progress_waiting(const Progress *p);
/* The store that has had mail waiting for longest, and since when; SIZE_MAX and USEC_INFINITY if none waits.
 */
size_t progress_longest(const Progress *p, usec_t *ret_since);
/* From when on nothing has moved though mail waits, or USEC_INFINITY if no mail waits. */
usec_t progress_still_since(const Progress *p);
