/*
 * diagnosis_refresh - what time brings: phases that last too long, ends that are past, silence, claims
 *
 * Called by the diagnosis before each verdict. What a fact is, and when it counts, stands at the top of
 * diagnosis.c. Test: tests/unit/test_diagnosis.c, whose every case passes time by the deadlines set here.
 */
#include "diagnose/diagnosis_private.h"

#include "base/cleanup.h"
#include "diagnose/silence.h"
#include "diagnose/symptom.h"

#include <string.h>

#define BASELINE USEC_PER_HOUR /* between two looks at the host while all is well */

/* The symptom is gone. */
static void diagnosis_close(Diagnosis *d, SymptomKind kind, usec_t mono)
{
        if (facts_close(&d->facts, kind))
                d->quiet = mono;
}

bool diagnosis_due(Diagnosis *d, usec_t t, usec_t mono)
{
        if (t <= mono)
                return true;
        if (t < d->deadline)
                d->deadline = t;
        return false;
}

/* A phase of the run that has a limit; 0 is none. */
static void refresh_hung(Diagnosis *d, SymptomKind kind, RunState run, usec_t timeout, const Now *now)
{
        usec_t start = later(d->run.since, d->base);
        char took[32];
        Symptom s;

        if (d->run.run != run || d->run.expected) {
                diagnosis_close(d, kind, now->mono);
                return;
        }
        if (timeout == 0 || !diagnosis_due(d, usec_add(start, timeout), now->mono) || d->facts.of[kind].open)
                return;
        s = symptom_make(d->service, kind, symptom_kind_to_string(kind), now->wall);
        symptom_detail(&s, "%s for %s", run_state_to_string(run),
                       usec_format(took, sizeof(took), usec_sub(now->mono, start)));
        facts_open(&d->facts, &s, true, 0);
}

/* An end is past when the service has been up for long enough. */
static void refresh_ends(Diagnosis *d, const Now *now)
{
        static const SymptomKind kinds[] = { SYMPTOM_CRASHED, SYMPTOM_START_FAILED, SYMPTOM_CRASH_LOOP };
        usec_t up = later(d->run.since, d->base);

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                const Fact *f = d->facts.of + kinds[i];
                usec_t quiet = later(d->service->recovery.settle, f->clear_after);

                /* It has been quiet since it came up, so d->quiet stays. */
                if (f->open && diagnosis_due(d, usec_add(later(up, f->at), quiet), now->mono))
                        facts_close(&d->facts, kinds[i]);
        }
}

/* Until when a probe that has not answered yet says nothing: the service may be on its way up. */
static usec_t diagnosis_grace(const Diagnosis *d)
{
        return usec_add(later(d->run.since, d->base), d->service->start_timeout);
}

static void refresh_probes(Diagnosis *d, const Now *now)
{
        usec_t grace = diagnosis_grace(d);
        bool started = grace <= now->mono;
        const ProbeWatch *bad = probes_unresponsive(&d->probes, started);
        char what[128];
        Symptom s;

        if (!bad) {
                if (!started && probes_failing(&d->probes, true))
                        diagnosis_due(d, grace, now->mono);
                diagnosis_close(d, SYMPTOM_UNRESPONSIVE, now->mono);
                return;
        }
        if (d->facts.of[SYMPTOM_UNRESPONSIVE].open)
                return;
        s = symptom_make(d->service, SYMPTOM_UNRESPONSIVE, "unresponsive", now->wall);
        symptom_detail(&s, "probe %s failed %u times in a row: %s",
                       probe_describe(bad->settings, what, sizeof(what)), bad->failures, bad->detail);
        facts_open(&d->facts, &s, true, 0);
}

void diagnosis_note_rise(Diagnosis *d, usec_t mono)
{
        if (diagnosis_grace(d) > mono && !probes_answered(&d->probes))
                d->rising = mono;
}

static void refresh_movement(Diagnosis *d, const Now *now)
{
        const Silence silence = { d->service, &d->movement, &d->hang, &d->facts };
        const StallSettings *stall = &d->service->stall;
        usec_t still = movement_still_since(&d->movement), since;
        bool excused;

        if (!stall->enabled || stall->after == 0)
                return;
        diagnosis_note_rise(d, now->mono);
        if (still != USEC_INFINITY)
                still = later(still, later(d->run.since, later(d->base, d->rising)));
        since = later(still, d->excused);
        excused = still != USEC_INFINITY && silence_stays_excused(&silence);
        /* So that by the time it counts as a stall, it is known what the processes did meanwhile. */
        d->look = diagnosis_due(d, usec_add(since, stall->after / 2), now->mono) || excused;
        if (silence_of_holder(&silence, now))
                return;
        if (excused || diagnosis_due(d, usec_add(since, stall->after), now->mono))
                d->excused = silence_of_service(&silence, still, now) ? now->mono : d->excused;
        else
                diagnosis_close(d, SYMPTOM_STALLED, now->mono);
}

/* Looks for the second fact of one claim that comes from the service's work. */
static void claim_check(Diagnosis *d, Claim *c, usec_t mono)
{
        const ProbeWatch *failing = probes_failing(&d->probes, diagnosis_grace(d) <= mono);
        usec_t since;
        char what[128];

        if (!c->open || c->confirmed || d->run.run != RUN_RUNNING)
                return;
        if (failing) {
                symptom_add_detail(&c->symptom, "; probe %s fails",
                                   probe_describe(failing->settings, what, sizeof(what)));
        } else {
                if (movement_longest(&d->movement, &since) == SIZE_MAX || d->movement.moved >= c->since ||
                    hang_is_excused(&d->hang))
                        return;
                if (!diagnosis_due(
                            d, usec_add(later(since, later(c->since, d->base)), d->service->recovery.settle),
                            mono))
                        return;
                symptom_add_detail(&c->symptom, "; %llu messages wait, and none has moved since",
                                   (unsigned long long)movement_waiting(&d->movement));
        }
        c->confirmed = true;
        c->recorded = false; /* with the second fact it is to be told again */
}

static void refresh_claims(Diagnosis *d, const Now *now)
{
        bool closed;

        diagnosis_due(d, claims_expire(&d->claims, now->mono, &closed), now->mono);
        if (closed)
                d->quiet = now->mono;
        for (size_t i = 0; i < d->claims.n; i++)
                claim_check(d, d->claims.claims + i, now->mono);
}

void diagnosis_refresh(Diagnosis *d, const Now *now)
{
        d->deadline = USEC_INFINITY;
        d->look = false;
        refresh_hung(d, SYMPTOM_START_HUNG, RUN_STARTING, d->service->start_timeout, now);
        refresh_hung(d, SYMPTOM_STOP_HUNG, RUN_STOPPING, d->service->stop_timeout, now);
        if (d->run.run == RUN_RUNNING) {
                refresh_ends(d, now);
                refresh_probes(d, now);
                refresh_movement(d, now);
                if (!limits_refresh(&d->limits, &d->facts, now))
                        diagnosis_close(d, SYMPTOM_EVENT, now->mono);
        } else {
                diagnosis_close(d, SYMPTOM_UNRESPONSIVE, now->mono);
                diagnosis_close(d, SYMPTOM_STALLED, now->mono);
                diagnosis_close(d, SYMPTOM_EVENT, now->mono);
        }
        refresh_claims(d, now);
        if (d->said == VERDICT_HEALTHY && d->conditions.looked_after &&
            diagnosis_due(d, usec_add(later(d->conditions.seen, d->conditions.asked), BASELINE), now->mono))
                conditions_want(&d->conditions, now->mono);
}
