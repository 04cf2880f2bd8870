#pragma once

/*
 * Flap: the same trouble again, soon after an incident about it was closed without a recovery (observe
 * mode, a veto, a spent budget). Another incident would say and do the same, so the fault is held back: one
 * incident for a service that flaps, not hundreds. Pure.
 */

#include "model/words.h"

#include "base/clock.h"

#include <stdbool.h>

#define FLAP_QUIET_MIN                                                                                       \
        (10 * USEC_PER_MIN)         /* first time of quiet; doubled for each incident that follows it */
#define FLAP_QUIET_MAX USEC_PER_DAY /* and no incident is put off for longer */

/* Kinds of trouble that turn into one another; each is a matter of its own. */
typedef enum FlapKind {
        FLAP_END,     /* start_failed, crashed, crash_loop */
        FLAP_SILENCE, /* start_hung, stop_hung, unresponsive, stalled */
        FLAP_EVENT,
        _FLAP_KIND_MAX,
} FlapKind;

typedef struct Flap {
        usec_t closed; /* monotonic: the last incident of this kind; 0: none that counts */
        usec_t last;   /* monotonic: the last fault of this kind that was told */
        usec_t quiet;  /* how long it must be quiet before another one is worth an incident */
        usec_t until;  /* monotonic: a fault before that is held back */
        unsigned held; /* faults that were held back since */
} Flap;

typedef struct Flaps {
        Flap of[_FLAP_KIND_MAX];
} Flaps;

/* An incident that began with @symptom has closed. */
void flaps_closed(Flaps *f, CloseResult result, SymptomKind symptom, usec_t mono);
/* A fault: is it held back? Each one that is begins the time of quiet anew. */
bool flaps_hold(Flaps *f, SymptomKind symptom, usec_t mono);
/* When a fault of this kind that lasts is to be told again; USEC_INFINITY: none was held back. */
usec_t flaps_until(const Flaps *f, SymptomKind symptom);
/* How many were held back since the incident of this kind. */
unsigned flaps_held(const Flaps *f, SymptomKind symptom);
/* Somebody has had the service in hand: what was is past. */
void flaps_clear(Flaps *f);
