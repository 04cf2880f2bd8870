#pragma once

/*
 * Diagnosis: from facts to at most one fault of a service. Pure: no clock, no file, no log; @now is an
 * argument.
 *
 * Keeps the windows, debounce and claims of one service. Sources feed it through the engine.
 */

#include "diagnose/conditions.h"
#include "diagnose/hang.h"
#include "model/observation.h"
#include "model/settings.h"

typedef struct Diagnosis Diagnosis;

typedef enum Verdict {
        VERDICT_UNCHANGED,  /* nothing new */
        VERDICT_HEALTHY,    /* up, no symptom, through the settle time */
        VERDICT_SUSPECT,    /* a symptom was seen, but it is not (yet) a fault; @reason says why */
        VERDICT_FAULT,      /* confirmed: act */
        VERDICT_STAND_DOWN, /* operator's stop, mask, shutdown: nothing is a failure now */
        _VERDICT_MAX,
        _VERDICT_INVALID = -EINVAL,
} Verdict;
DECLARE_STRING_TABLE(verdict, Verdict);

typedef struct Symptom {
        SymptomKind kind;
        bool claimed;          /* only a rule says so */
        int exit_code, signal; /* crashed */
        bool core;
        bool out_of_memory;     /* the kernel killed it for want of memory */
        char detail[256];       /* UTF-8, cut at a character: what was seen, with figures */
        char rule[64];          /* name of the rule, or "" */
        ProcessVerdict verdict; /* why the service is silent: which test said so; WORKING: none did */
        char signature[96];     /* "imc.service/signal/11": what crash windows count */
        usec_t wall;
} Symptom;

typedef struct Finding {
        Verdict verdict;
        Reason reason;
        bool new_symptom; /* @symptom is a new fact and is to be recorded */
        Symptom symptom;  /* with SUSPECT and FAULT: the leading one */
} Finding;

/* @service must outlive it. */
int diagnosis_new(Diagnosis **ret, const ServiceSettings *service);
Diagnosis *diagnosis_free(Diagnosis *d);
static inline void diagnosis_freep(Diagnosis **d)
{
        diagnosis_free(*d);
}

/* Takes a fact in. Return: 0 or a negated errno. */
int diagnosis_feed(Diagnosis *d, const Observation *o, const Now *now, Finding *ret);
/*
 * What is no symptom, and worth telling even so: a probe that has become slow. Said once: the text (UTF-8) to
 * @buf, or false if there is nothing new.
 */
bool diagnosis_warning(Diagnosis *d, char *buf, size_t size);
/* What is known of the host; the engine takes requests for looks out of it. */
Conditions *diagnosis_conditions(Diagnosis *d);
/* Time has passed: start_timeout, settle, stall.after, claims that expire. */
int diagnosis_tick(Diagnosis *d, const Now *now, Finding *ret);
/* The monotonic moment of the next useful tick, or USEC_INFINITY. */
usec_t diagnosis_deadline(const Diagnosis *d);

/*
 * unjamd is about to stop or kill the service: that it ends now is no failure, and counts in no crash window.
 * Lasts until diagnosis_reset().
 */
void diagnosis_expect_stop(Diagnosis *d);

/*
 * An incident closed or the service was started by unjamd: forget open symptoms; crash windows are kept, and
 * heal after a healthy time.
 */
void diagnosis_reset(Diagnosis *d, const Now *now);

/*
 * Are the service's processes to be looked at again and again now? So it is while something is suspicious:
 * mail that has not moved for half of stall.after, a probe that fails, a claim that waits for its second
 * fact.
 */
bool diagnosis_wants_look(const Diagnosis *d);
/* What is known of its processes over time. */
const HangWatch *diagnosis_hang(const Diagnosis *d);

/* Is it up as far as the facts go (running, no failing probe)? And for explain: why nothing was done
 * so far. */
bool diagnosis_is_up(const Diagnosis *d);
Reason diagnosis_reason(const Diagnosis *d);
/* Messages waiting in all stores, from the last progress observations. */
uint64_t diagnosis_waiting(const Diagnosis *d);
