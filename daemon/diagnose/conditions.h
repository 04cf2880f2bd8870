#pragma once

/*
 * Conditions: what of the host explains a fault, and forbids to act on it for now.
 *
 * A source looks when it is asked to; nobody looks while all is well but now and then. What was there while
 * the service was healthy explains nothing: the service works in spite of it.
 */

#include "base/clock.h"
#include "model/observation.h"

#define CONDITIONS_MAX     16
#define CONDITION_TEXT_MAX 192

typedef struct Conditions {
        bool looked_after;  /* there is a source: it has reported once */
        bool wanted;        /* a look is to be made, and was not asked for yet */
        usec_t asked, seen; /* monotonic: the last request, the last answer; 0: none */
        uint64_t
                healthy[CONDITIONS_MAX]; /* hashes of the ids that were there while the service was healthy */
        size_t n_healthy;
        Reason reason; /* of the first that forbids to act, at the last look; REASON_NONE */
        char text[CONDITION_TEXT_MAX];
        usec_t fault_since; /* what is a fault now has been one since, or 0 */
        Reason held;        /* what holds it back */
        usec_t pause_until; /* nothing is a fault before */
        Reason pause_reason;
} Conditions;

/* A look: @healthy if the service is healthy now. */
void conditions_feed(Conditions *c, const ConditionsStatus *status, bool healthy, usec_t mono);
/* Is a look to be made? Said once for each. */
bool conditions_take_wanted(Conditions *c);
/* Asks for a look, unless one is under way. */
void conditions_want(Conditions *c, usec_t mono);
/*
 * Is it known what the host is like at or after @since, and not for longer than a while ago? If not, a look
 * is asked for. *@ret_due is when to ask again. One that is not answered is not waited for for long: then the
 * last one counts, or nothing.
 */
bool conditions_known(Conditions *c, usec_t since, usec_t mono, usec_t *ret_due);

typedef enum Explains {
        EXPLAINS_NOTHING, /* the host explains nothing */
        EXPLAINS_LOOKING, /* it is being looked at */
        EXPLAINS_IT,      /* by @ret, until it is over */
        EXPLAINS_NO_MORE, /* what held it back has just ended, and is waited for a little longer */
} Explains;
/* There is a fault: is it held back? *@ret_due is when to ask again. */
Explains conditions_hold(Conditions *c, usec_t settle, usec_t mono, Reason *ret, usec_t *ret_due);
/* There is none (any more). */
void conditions_no_fault(Conditions *c);
/* Nothing is a fault until then, because of @reason. */
void conditions_pause(Conditions *c, Reason reason, usec_t until);
