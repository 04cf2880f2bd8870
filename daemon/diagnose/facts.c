/*
 * facts - the symptoms that the service itself shows
 *
 * A plain table for the diagnosis. A fact that closes and opens again within one episode with the same
 * signature is not said again: that is what makes one finding of a flapping service. One that fails in two
 * or three ways by turns has one finding for each.
 *
 * A symptom is half a kilobyte of text, and there are services by the hundred with none: there is room for
 * one, and memory is taken for more. Cannot fail: without memory the latest symptom takes the room, and the
 * fact that had it tells of the wrong one, but that it is a fact stays known. Test: tests/unit/test_facts.c.
 */
#include "diagnose/facts.h"

#include "base/cleanup.h"
#include "diagnose/symptom.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void symptom_free(Facts *f, Fact *fact)
{
        if (fact->symptom != &f->room)
                free(fact->symptom);
        fact->symptom = NULL;
}

static Symptom *symptom_room(Facts *f)
{
        Symptom *s;

        for (size_t i = 0; i < _SYMPTOM_KIND_MAX; i++)
                if (f->of[i].symptom == &f->room) {
                        s = calloc(1, sizeof(*s));
                        return s ? s : &f->room;
                }
        return &f->room;
}

void facts_clear(Facts *f)
{
        for (size_t i = 0; i < _SYMPTOM_KIND_MAX; i++)
                symptom_free(f, f->of + i);
        *f = (Facts){};
}

static bool was_told(const Fact *fact, uint64_t hash)
{
        for (unsigned i = 0; i < FACT_TOLD_MAX; i++)
                if (fact->told[i] == hash)
                        return true;
        return false;
}

/* Another signature than the last one's takes its place. */
static void signature_change(Fact *fact, const char *signature)
{
        if (fact->recorded && fact->symptom->signature[0])
                fact->told[fact->n_told++ % FACT_TOLD_MAX] = text_hash(fact->symptom->signature);
        fact->recorded = was_told(fact, text_hash(signature));
}

void facts_open(Facts *f, const Symptom *s, bool hard, usec_t clear_after)
{
        Fact *fact = f->of + s->kind;

        if (!fact->symptom)
                fact->symptom = symptom_room(f);
        if (strcmp(fact->symptom->signature, s->signature) != 0)
                signature_change(fact, s->signature);
        fact->hard = hard || (fact->open && fact->hard);
        if (!fact->open || clear_after > fact->clear_after)
                fact->clear_after = clear_after;
        fact->open = true;
        fact->reason = REASON_NONE;
        fact->at = 0;
        *fact->symptom = *s;
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
