/*
 * facts - the symptoms that the service itself shows
 *
 * A plain table for the diagnosis. A fact that closes and opens again within one episode with the same
 * signature is not said again: that is what makes one finding of a flapping service. Cannot fail. Test:
 * tests/unit/test_facts.c.
 */
#include "diagnose/facts.h"

#include "base/cleanup.h"

#include <assert.h>
#include <string.h>

void facts_open(Facts *f, const Symptom *s, bool hard, usec_t clear_after)
{
        Fact *fact = f->of + s->kind;

        if (strcmp(fact->symptom.signature, s->signature) != 0)
                fact->recorded = false;
        fact->hard = hard || (fact->open && fact->hard);
        if (!fact->open || clear_after > fact->clear_after)
                fact->clear_after = clear_after;
        fact->open = true;
        fact->symptom = *s;
}

bool facts_close(Facts *f, SymptomKind kind)
{
        bool open = f->of[kind].open;

        f->of[kind].open = f->of[kind].hard = false;
        return open;
}

Fact *facts_leading(Facts *f, bool hard)
{
        /* A loop says more than its last end, and an end more than what went before it. */
        static const SymptomKind order[] = {
                SYMPTOM_CRASH_LOOP, SYMPTOM_CRASHED,      SYMPTOM_START_FAILED, SYMPTOM_STOP_HUNG,
                SYMPTOM_START_HUNG, SYMPTOM_UNRESPONSIVE, SYMPTOM_STALLED,      SYMPTOM_EVENT,
        };

        static_assert(ELEMENTSOF(order) == _SYMPTOM_KIND_MAX, "a kind is missing");
        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                if (f->of[order[i]].open && f->of[order[i]].hard == hard)
                        return f->of + order[i];
        return NULL;
}
