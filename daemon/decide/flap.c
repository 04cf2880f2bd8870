/*
 * flap - the same trouble again
 *
 * Asked by the engine before a fault opens an incident. A recovery that worked wipes the slate of its kind:
 * the next fault is acted upon, as often as recovery.max_per_hour allows. Where nothing was recovered,
 * quiet is what counts: a fault within it is held back and begins it anew, but never beyond a day from the
 * close, so that what flaps for ever is on record once a day. The time of quiet doubles with each incident
 * that follows trouble of the day before, and heals when a day brings none.
 *
 * An operator's word, a stand-down or a new configuration forgets all of it. So does a restart of unjamd.
 *
 * Test: tests/unit/test_flap.c
 */
#include "decide/flap.h"

static FlapKind kind_of(SymptomKind symptom)
{
        switch (symptom) {
        case SYMPTOM_START_FAILED:
        case SYMPTOM_CRASHED:
        case SYMPTOM_CRASH_LOOP:
                return FLAP_END;
        case SYMPTOM_START_HUNG:
        case SYMPTOM_STOP_HUNG:
        case SYMPTOM_UNRESPONSIVE:
        case SYMPTOM_STALLED:
                return FLAP_SILENCE;
        case SYMPTOM_EVENT:
        case _SYMPTOM_KIND_MAX:
        case _SYMPTOM_KIND_INVALID:
                break;
        }
        return FLAP_EVENT;
}

static usec_t earlier(usec_t a, usec_t b)
{
        return a < b ? a : b;
}

void flaps_closed(Flaps *f, CloseResult result, SymptomKind symptom, usec_t mono)
{
        Flap *flap = &f->of[kind_of(symptom)];
        bool again = flap->closed && usec_add(flap->last, FLAP_QUIET_MAX) > mono;
        usec_t quiet = again ? earlier(2 * flap->quiet, FLAP_QUIET_MAX) : FLAP_QUIET_MIN;

        if (result == CLOSE_RECOVERED)
                *flap = (Flap){ 0 };
        else
                *flap = (Flap){
                        .closed = mono, .last = mono, .quiet = quiet, .until = usec_add(mono, quiet)
                };
}

bool flaps_hold(Flaps *f, SymptomKind symptom, usec_t mono)
{
        Flap *flap = &f->of[kind_of(symptom)];

        if (!flap->closed || flap->until <= mono)
                return false;
        flap->held++;
        flap->last = mono;
        flap->until = earlier(usec_add(mono, flap->quiet), usec_add(flap->closed, FLAP_QUIET_MAX));
        return true;
}

usec_t flaps_until(const Flaps *f, SymptomKind symptom)
{
        const Flap *flap = &f->of[kind_of(symptom)];

        return flap->held > 0 ? flap->until : USEC_INFINITY;
}

unsigned flaps_held(const Flaps *f, SymptomKind symptom)
{
        return f->of[kind_of(symptom)].held;
}

void flaps_clear(Flaps *f)
{
        *f = (Flaps){ 0 };
}
