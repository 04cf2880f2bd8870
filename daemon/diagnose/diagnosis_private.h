#pragma once

/* What diagnosis.c and diagnosis_refresh.c share. Private to them. */

#include "diagnose/claims.h"
#include "diagnose/diagnosis.h"
#include "diagnose/facts.h"
#include "diagnose/limits.h"
#include "diagnose/movement.h"
#include "diagnose/probes.h"
#include "diagnose/run_watch.h"

struct Diagnosis {
        const ServiceSettings *service;
        RunWatch run;
        Probes probes;
        Movement movement;
        HangWatch hang;
        LimitWatch limits;
        Claims claims;
        Facts facts;
        bool shutdown;
        usec_t base;    /* no time counts from before: the last reset or clock jump */
        usec_t quiet;   /* the last symptom went away */
        usec_t excused; /* the last time that something explained why no mail moves */
        usec_t rising;  /* the last time that it was still on its way up */
        usec_t asked;   /* since when probes have been asked about this run */
        usec_t deadline;
        Conditions conditions;
        const ProbeWatch *slow; /* not told yet */
        bool look;              /* the processes are to be looked at */
        Verdict said;           /* the last verdict but UNCHANGED, in this episode */
        Reason said_reason;
        Reason reason; /* of the present */
};

static inline usec_t later(usec_t a, usec_t b)
{
        return a > b ? a : b;
}

/* Asks for a tick at @t. Yields whether it has come. */
bool diagnosis_due(Diagnosis *d, usec_t t, usec_t mono);
/*
 * A service that has not answered yet is not silent: Mailman, say, takes a minute from its start to its first
 * message. To be called before what a probe says is taken in, and with each look.
 */
void diagnosis_note_rise(Diagnosis *d, usec_t mono);
/* Everything that time alone changes: opens and closes facts, looks after claims, sets the deadline anew. */
void diagnosis_refresh(Diagnosis *d, const Now *now);
