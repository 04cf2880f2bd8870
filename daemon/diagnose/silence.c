/*
 * silence - the fact "stalled" and what excuses it
 *
 * Called by the diagnosis each time it looks. A stall with an excuse (another host, a disk, pressure, a
 * frozen control group) is a soft fact with that reason: it is told, and leads to nothing. When the excuse
 * goes, the time begins anew; a fault stays one until mail moves. Cannot fail.
 * Test: tests/unit/test_silence.c.
 */
#include "diagnose/silence.h"

#include "diagnose/symptom.h"

static bool is_fault(const Fact *f)
{
        return f->open && f->hard;
}

bool silence_of_holder(const Silence *s, const Now *now)
{
        Fact *fact = s->facts->of + SYMPTOM_STALLED;
        ProcessVerdict verdict;
        const HangTrack *t = hang_holder(s->hang, &verdict);
        char text[192];
        Symptom symptom;

        if (!t)
                return false;
        if (is_fault(fact))
                return true;
        symptom = symptom_make(s->service, SYMPTOM_STALLED, "stalled/process", now->wall);
        symptom.verdict = verdict;
        symptom_detail(&symptom, "%s; it holds a message",
                       hang_describe(s->hang, t, verdict, text, sizeof(text)));
        facts_open(s->facts, &symptom, true, 0);
        return true;
}

bool silence_stays_excused(const Silence *s)
{
        const Fact *fact = s->facts->of + SYMPTOM_STALLED;

        return fact->open && fact->reason != REASON_NONE && hang_is_excused(s->hang);
}

bool silence_of_service(const Silence *s, usec_t still, const Now *now)
{
        Fact *fact = s->facts->of + SYMPTOM_STALLED;
        const HangTrack *t;
        ProcessVerdict verdict = hang_service(s->hang, &t);
        Reason excuse = process_verdict_excuse(verdict);
        char took[32], text[192];
        Symptom symptom;
        usec_t since;
        size_t store;

        if (is_fault(fact))
                return false;
        if (fact->open && fact->reason == excuse)
                return true; /* it is told; a soft one always has an excuse */
        store = movement_longest(s->movement, &since);
        symptom = symptom_make(s->service, SYMPTOM_STALLED, "stalled", now->wall);
        symptom.verdict = verdict;
        symptom_detail(&symptom, "%llu messages wait in %s, and none has moved for %s",
                       (unsigned long long)s->movement->stores[store].waiting, s->service->stores[store].name,
                       usec_format(took, sizeof(took), usec_sub(now->mono, still)));
        if (verdict != PROCESS_WORKING)
                symptom_add_detail(&symptom, "; %s", hang_describe(s->hang, t, verdict, text, sizeof(text)));
        /* An excuse that gives way to another one, or to a fault, is to be told. */
        fact->recorded = fact->recorded && !fact->open;
        facts_open(s->facts, &symptom, excuse == REASON_NONE, 0);
        fact->reason = excuse;
        return excuse != REASON_NONE;
}
