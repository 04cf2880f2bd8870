/*
 * diagnosis - from facts to at most one fault of a service
 *
 * The engine feeds every observation of a service, and calls diagnosis_tick() at diagnosis_deadline(). Each
 * call yields at most one Finding; VERDICT_UNCHANGED means that there is nothing that was not said before.
 * There is no clock here, no file and no log: the same facts at the same times give the same findings.
 *
 * FACTS AND SYMPTOMS
 *
 *   crashed       the run ended by itself: exit code, signal, core; also exit 0 without a stop
 *                 (run_watch.c)
 *   start_failed  it ended before it ever was running
 *   crash_loop    equal ends fill one of the crash windows, or the manager's start limit was hit
 *   start_hung    starting for longer than start_timeout
 *   stop_hung     stopping for longer than stop_timeout, whoever asked for the stop
 *   unresponsive  a probe failed as often in a row as its settings ask for while the service was running;
 *                 one that has not answered in this run yet counts only from start_timeout after the
 *                 start on
 *   stalled       mail has been waiting for stall.after while running, and none has moved anywhere
 *                 (movement.c), counted from when every probe has answered, or start_timeout after
 *                 the start; or a process that holds a message has been hung for as long, whatever
 *                 else moves (hang.c)
 *   event         a process is above one of its limits (limits.c)
 *   and whatever a rule names as its symptom: a claim (claims.c)
 *
 * VERDICTS
 *
 *   stand_down    the host goes down, the unit is masked, an operator stops or has stopped the service,
 *                 or nothing ran when it was looked at first. Everything but the crash windows is
 *                 forgotten. A stop that hangs is a fault even so, until it ends.
 *   fault         a symptom that needs nobody's further word. An end after which the manager itself
 *                 starts the service again (restarting) is none: it is suspect (unit_restarts) until a
 *                 crash window is full. A claim is suspect (claim_only) until there is a second fact: an
 *                 end of the run, a probe that fails now, or mail that waits and has not moved at all
 *                 since the claim, for the settle time. So is a stall that something else explains:
 *                 another host, a disk, pressure, a frozen control group (hang.c); no claim makes a fault
 *                 of that.
 *   suspect       the above, and any fault that the host explains (conditions.c), or within the settle
 *                 time after the clock jumped or a condition ended: silence until then says nothing, and all
 *                 times begin anew.
 *   healthy       running, no symptom open, no probe failing, every probe has reported (or had the time
 *                 to), all of it for the settle time. Said once.
 *
 * A symptom that vanishes does not change the verdict; only healthy ends an episode. Until then the same
 * symptom (kind, signature, rule) is said once, and a fault does not fall back to suspect: a flapping service
 * is one finding. An end is past when the service has been running for the settle time, a crash loop when it
 * has for as long as the window that it filled.
 *
 * After a reset, what was known at it (a failed unit, say) is not said again until it happens again, and all
 * times begin anew. unjamd's own stops are announced by diagnosis_expect_stop().
 *
 * DIAGNOSTICS: -ENOMEM from diagnosis_new() and from a status with a new invocation; -EINVAL for an
 * observation that names a probe, store or rule that the settings do not have. Nothing was taken in then.
 * Test: tests/unit/test_diagnosis.c.
 */
#include "diagnose/diagnosis_private.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "diagnose/symptom.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_table[] = {
        [VERDICT_UNCHANGED] = "unchanged", [VERDICT_HEALTHY] = "healthy",       [VERDICT_SUSPECT] = "suspect",
        [VERDICT_FAULT] = "fault",         [VERDICT_STAND_DOWN] = "stand_down",
};
static_assert(sizeof(verdict_table) / sizeof(verdict_table[0]) == _VERDICT_MAX, "a word is missing");
DEFINE_STRING_TABLE(verdict, Verdict, verdict_table)

/* What probes and stores said is of another run, or of a time that does not count. */
static void diagnosis_begin(Diagnosis *d, usec_t mono)
{
        probes_restart(&d->probes);
        movement_restart(&d->movement, mono);
        hang_clear(&d->hang);
        limits_clear(&d->limits);
        d->asked = mono;
}

/* All but the crash windows; the episode ends. */
static void diagnosis_forget(Diagnosis *d, usec_t mono)
{
        facts_clear(&d->facts);
        claims_clear(&d->claims);
        diagnosis_begin(d, mono);
        d->quiet = mono;
}

/* --- the verdict --- */

static Reason stand_down_reason(const Diagnosis *d)
{
        if (d->shutdown)
                return REASON_SHUTDOWN;
        if (d->run.masked)
                return REASON_MASKED;
        if (run_watch_is_operators(&d->run) && !d->facts.of[SYMPTOM_STOP_HUNG].open)
                return REASON_OPERATOR_STOP;
        return REASON_NONE;
}

typedef struct Opinion {
        Verdict verdict;
        Reason reason;
        Symptom *symptom;
        bool *recorded;
} Opinion;

/* The present in one verdict; UNCHANGED if there is no symptom. */
static Opinion diagnosis_opinion(Diagnosis *d)
{
        Fact *hard = facts_leading(&d->facts, true), *soft = facts_leading(&d->facts, false);
        Claim *claim = claims_first(&d->claims);

        if (hard)
                return (Opinion){ VERDICT_FAULT, REASON_CONFIRMED, hard->symptom, &hard->recorded };
        if (soft && claim && (soft->reason == REASON_NONE || soft->reason == REASON_CHILD_DIED)) {
                /* Two facts: the end, and what the service said of it. */
                if (!soft->symptom->rule[0]) {
                        text_copy(soft->symptom->rule, sizeof(soft->symptom->rule), claim->symptom.rule);
                        symptom_add_detail(soft->symptom, "; %s", claim->symptom.detail);
                        soft->recorded = false;
                }
                soft->hard = true;
                return (Opinion){ VERDICT_FAULT, REASON_CONFIRMED, soft->symptom, &soft->recorded };
        }
        if (claim && claim->confirmed)
                return (Opinion){ VERDICT_FAULT, REASON_CONFIRMED, &claim->symptom, &claim->recorded };
        if (soft)
                return (Opinion){ VERDICT_SUSPECT,
                                  soft->reason != REASON_NONE ? soft->reason : REASON_UNIT_RESTARTS,
                                  soft->symptom, &soft->recorded };
        if (claim)
                return (Opinion){ VERDICT_SUSPECT, REASON_CLAIM_ONLY, &claim->symptom, &claim->recorded };
        return (Opinion){ .verdict = VERDICT_UNCHANGED };
}

/* Is it healthy, and for long enough? */
static bool diagnosis_settled(Diagnosis *d, usec_t mono)
{
        usec_t pending, up = later(d->run.since, d->base);

        if (!diagnosis_is_up(d))
                return false;
        pending = probes_pending(&d->probes);
        if (pending > 0 && !diagnosis_due(d, usec_add(later(up, d->asked), pending), mono))
                return false;
        return diagnosis_due(d, usec_add(later(up, d->quiet), d->service->recovery.settle), mono);
}

/* Says a verdict. */
static void diagnosis_say(Diagnosis *d, Finding *f, Verdict verdict, Reason reason)
{
        *f = (Finding){ .verdict = verdict, .reason = reason };
        d->said = verdict;
        d->said_reason = reason;
        d->reason = reason;
}

static void say_symptom(Diagnosis *d, const Opinion *o, Finding *f)
{
        bool worse = o->verdict == VERDICT_FAULT || d->said != VERDICT_FAULT;
        bool changed = worse && (d->said != o->verdict || d->said_reason != o->reason);

        d->reason = o->reason;
        if (!changed && *o->recorded)
                return;
        *f = (Finding){ .verdict = o->verdict,
                        .reason = o->reason,
                        .new_symptom = !*o->recorded,
                        .symptom = *o->symptom };
        *o->recorded = true;
        if (worse) {
                d->said = o->verdict;
                d->said_reason = o->reason;
        }
}

/* Does the host explain the fault? Then a symptom it stays. Return: false while that is being looked at. */
static bool fault_check(Diagnosis *d, Opinion *o, const Now *now)
{
        usec_t due;
        Reason reason;
        Explains held =
                conditions_hold(&d->conditions, d->service->recovery.settle, now->mono, &reason, &due);

        if (held == EXPLAINS_NOTHING)
                return true;
        diagnosis_due(d, due, now->mono);
        if (held == EXPLAINS_NO_MORE)
                diagnosis_begin(d, now->mono); /* silence that was explained begins anew */
        o->verdict = VERDICT_SUSPECT;
        o->reason = reason;
        return held != EXPLAINS_LOOKING;
}

static void diagnosis_conclude(Diagnosis *d, const Now *now, Finding *f)
{
        Reason down = stand_down_reason(d);
        Opinion o;

        *f = (Finding){ .verdict = VERDICT_UNCHANGED, .reason = d->reason };
        if (down != REASON_NONE) {
                diagnosis_forget(d, now->mono);
                if (d->said != VERDICT_STAND_DOWN || d->said_reason != down)
                        diagnosis_say(d, f, VERDICT_STAND_DOWN, down);
                return;
        }
        o = diagnosis_opinion(d);
        if (o.verdict != VERDICT_FAULT)
                conditions_no_fault(&d->conditions);
        else if (d->said != VERDICT_FAULT && !fault_check(d, &o, now))
                return;
        if (o.verdict != VERDICT_UNCHANGED) {
                say_symptom(d, &o, f);
                return;
        }
        if (d->said == VERDICT_HEALTHY || !diagnosis_settled(d, now->mono))
                return;
        diagnosis_say(d, f, VERDICT_HEALTHY,
                      d->said == VERDICT_SUSPECT || d->said == VERDICT_FAULT ? REASON_SYMPTOM_CLEARED
                                                                             : REASON_HEALTHY);
        facts_clear(&d->facts);
        conditions_want(&d->conditions, now->mono); /* what is there now explains nothing later */
}

/* --- the outside --- */

int diagnosis_new(Diagnosis **ret, const ServiceSettings *service)
{
        _cleanup_(diagnosis_freep) Diagnosis *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return err_origin(-ENOMEM);
        d->service = service;
        d->deadline = USEC_INFINITY;
        d->quiet = d->asked = USEC_INFINITY; /* nothing was fed yet */
        r = run_watch_init(&d->run, service);
        if (r < 0)
                return err_trace(r);
        r = probes_init(&d->probes, service->probes, service->n_probes);
        if (r < 0)
                return err_trace(r);
        r = movement_init(&d->movement, service->n_stores);
        if (r < 0)
                return err_trace(r);
        r = claims_init(&d->claims, service);
        if (r < 0)
                return err_trace(r);
        hang_init(&d->hang, service->stall.after);
        limits_init(&d->limits, service);
        *ret = TAKE_PTR(d);
        return 0;
}

Diagnosis *diagnosis_free(Diagnosis *d)
{
        if (!d)
                return NULL;
        facts_clear(&d->facts);
        run_watch_deinit(&d->run);
        probes_deinit(&d->probes);
        movement_deinit(&d->movement);
        hang_deinit(&d->hang);
        limits_deinit(&d->limits);
        claims_deinit(&d->claims);
        free(d);
        return NULL;
}

static int feed_service(Diagnosis *d, const ServiceStatus *s, const Now *now)
{
        RunNews news;
        int r;

        r = run_watch_feed(&d->run, s, now, &news);
        if (r < 0)
                return err_trace(r);
        if (news.began)
                diagnosis_begin(d, now->mono);
        if (news.failed)
                facts_open(&d->facts, &news.symptom, news.gave_up, news.clear_after);
        return 0;
}

static int feed_probe(Diagnosis *d, const ProbeStatus *s, usec_t mono)
{
        if (s->probe >= d->probes.n)
                return err_origin(-EINVAL);
        /* While it does not run, or is on its way up, nobody needs to answer. */
        if (d->run.run != RUN_RUNNING)
                return 0;
        diagnosis_note_rise(d, mono);
        if (probes_feed(&d->probes, s) == PROBES_E_SLOW)
                d->slow = &d->probes.probes[s->probe];
        return 0;
}

static void feed_host(Diagnosis *d, const HostStatus *s, const Now *now)
{
        d->shutdown = s->shutdown;
        if (!s->clock_jump)
                return;
        d->base = now->mono;
        conditions_pause(&d->conditions, REASON_CLOCK_JUMP, usec_add(now->mono, d->service->recovery.settle));
        diagnosis_begin(d, now->mono);
}

/*
 * Nothing whatever is wrong: what the host is like now explains nothing later. While a probe fails, the fault
 * that this will be is in the making.
 */
static bool is_at_ease(Diagnosis *d)
{
        return d->said == VERDICT_HEALTHY && diagnosis_is_up(d) && !d->look &&
               !facts_leading(&d->facts, true) && !facts_leading(&d->facts, false) &&
               !claims_first(&d->claims);
}

static int diagnosis_take(Diagnosis *d, const Observation *o, const Now *now)
{
        int r;

        switch (o->kind) {
        case OBSERVATION_SERVICE:
                return feed_service(d, &o->service, now);
        case OBSERVATION_PROBE:
                return feed_probe(d, &o->probe, now->mono);
        case OBSERVATION_PROGRESS:
                return movement_feed(&d->movement, &o->progress, now->mono);
        case OBSERVATION_LOG:
                return claims_feed(&d->claims, &o->log, d->movement.moved, now, &d->quiet);
        case OBSERVATION_INFLIGHT:
                run_watch_child(&d->run, &o->inflight, now, &d->facts);
                return 0;
        case OBSERVATION_HOST:
                feed_host(d, &o->host, now);
                return 0;
        case OBSERVATION_PROCESSES:
                r = hang_feed(&d->hang, &o->processes);
                return err_trace(r < 0 ? r : limits_feed(&d->limits, &o->processes));
        case OBSERVATION_ARRIVAL:
                return 0; /* no symptom; the engine's */
        case OBSERVATION_CONDITIONS:
                conditions_feed(&d->conditions, &o->conditions, is_at_ease(d), now->mono);
                return 0;
        case _OBSERVATION_KIND_MAX:
        case _OBSERVATION_KIND_INVALID:
                break;
        }
        return err_origin(-EINVAL);
}

int diagnosis_feed(Diagnosis *d, const Observation *o, const Now *now, Finding *ret)
{
        int r;

        if (d->quiet == USEC_INFINITY)
                d->quiet = d->asked = now->mono;
        r = diagnosis_take(d, o, now);
        if (r < 0)
                return err_trace(r);
        return diagnosis_tick(d, now, ret);
}

Conditions *diagnosis_conditions(Diagnosis *d)
{
        return &d->conditions;
}

bool diagnosis_warning(Diagnosis *d, char *buf, size_t size)
{
        const ProbeWatch *w = d->slow;
        char what[128], took[32], limit[32];

        d->slow = NULL;
        if (!w)
                return false;
        snprintf(buf, size, "probe %s is answered slowly: %s, for %u times in a row longer than %s",
                 probe_describe(w->settings, what, sizeof(what)),
                 usec_format(took, sizeof(took), w->took / USEC_PER_MSEC * USEC_PER_MSEC), w->slow,
                 usec_format(limit, sizeof(limit), w->settings->slow));
        return true;
}

int diagnosis_tick(Diagnosis *d, const Now *now, Finding *ret)
{
        diagnosis_refresh(d, now);
        diagnosis_conclude(d, now, ret);
        return 0;
}

usec_t diagnosis_deadline(const Diagnosis *d)
{
        return d->deadline;
}

void diagnosis_expect_stop(Diagnosis *d)
{
        d->run.expected = true;
}

void diagnosis_reset(Diagnosis *d, const Now *now)
{
        diagnosis_forget(d, now->mono);
        d->base = now->mono;
        d->run.expected = d->run.found_stopped = false;
        d->said = VERDICT_UNCHANGED;
        d->said_reason = d->reason = REASON_NONE;
        diagnosis_refresh(d, now);
        if (diagnosis_settled(d, now->mono))
                d->deadline = now->mono;
}

bool diagnosis_is_up(const Diagnosis *d)
{
        return d->run.run == RUN_RUNNING && !probes_failing(&d->probes, true);
}

bool diagnosis_wants_look(const Diagnosis *d)
{
        return d->run.run == RUN_RUNNING &&
               (d->look || (d->service->stall.enabled &&
                            (probes_failing(&d->probes, true) || claims_first(&d->claims))));
}

const HangWatch *diagnosis_hang(const Diagnosis *d)
{
        return &d->hang;
}

Reason diagnosis_reason(const Diagnosis *d)
{
        return d->reason;
}

uint64_t diagnosis_waiting(const Diagnosis *d)
{
        return movement_waiting(&d->movement);
}
