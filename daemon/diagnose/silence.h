#pragma once

/*
 * Silence: the fact "stalled", of the whole service or of one process that holds a message, and what
 * excuses it.
 */

#include "diagnose/facts.h"
#include "diagnose/hang.h"
#include "diagnose/movement.h"

/* What the diagnosis knows of it; all of it is the diagnosis' own. */
typedef struct Silence {
        const ServiceSettings *service;
        const Movement *movement;
        const HangWatch *hang;
        Facts *facts;
} Silence;

/* A process that holds a message is hung, whatever else moves: a fault. Yields whether it is so. */
bool silence_of_holder(const Silence *s, const Now *now);
/* Mail waits, and none has moved since @still, for longer than the limit: a fault, or excused. Yields whether
 * it is excused. */
bool silence_of_service(const Silence *s, usec_t still, const Now *now);
/* Is it said to be excused, and still is? */
bool silence_stays_excused(const Silence *s);
