#pragma once

/*
 * Movement: does mail move?
 */

#include "model/observation.h"

#include <stdint.h>

typedef struct StoreMovement {
        bool known;
        uint64_t waiting;
        usec_t waiting_since; /* monotonic: since when there has been mail without a break */
} StoreMovement;

typedef struct Movement {
        StoreMovement *stores;
        size_t n;
        usec_t moved; /* monotonic: when anything moved last in any store, or the run began */
} Movement;

int movement_init(Movement *m, size_t n_stores);
void movement_deinit(Movement *m);
/* A new run begins, or the clock cannot be trusted: time counts from @mono on. */
void movement_restart(Movement *m, usec_t mono);
/* Return: 0, or -EINVAL if there is no such store. */
int movement_feed(Movement *m, const ProgressStatus *status, usec_t mono);

/* Messages that wait, in all stores. */
uint64_t movement_waiting(const Movement *m);
/* The store that has had mail waiting for longest, and since when; SIZE_MAX and USEC_INFINITY if
 * none waits. */
size_t movement_longest(const Movement *m, usec_t *ret_since);
/* From when on nothing has moved though mail waits, or USEC_INFINITY if no mail waits. */
usec_t movement_still_since(const Movement *m);
