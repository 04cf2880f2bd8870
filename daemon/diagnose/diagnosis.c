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
 *                 (movement.c); or a process that holds a message has been hung for as long, whatever
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
 *   suspect       the above, and any fault within the settle time after the clock jumped: silence across
 *                 a sleep says nothing, and all times begin anew.
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
#include "diagnose/diagnosis.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "diagnose/claims.h"
#include "diagnose/facts.h"
#include "diagnose/limits.h"
#include "diagnose/movement.h"
#include "diagnose/probes.h"
#include "diagnose/run_watch.h"
#include "diagnose/silence.h"
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
        usec_t base;       /* no time counts from before: the last reset or clock jump */
        usec_t hold_until; /* after a clock jump */
        usec_t quiet;      /* the last symptom went away */
        usec_t excused;    /* the last time that something explained why no mail moves */
        usec_t asked;      /* since when probes have been asked about this run */
        usec_t deadline;
        const ProbeWatch *slow; /* not told yet */
        bool look;              /* the processes are to be looked at */
        Verdict said;           /* the last verdict but UNCHANGED, in this episode */
        Reason said_reason;
        Reason reason; /* of the present */
};

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

/* The symptom is gone. */
static void diagnosis_close(Diagnosis *d, SymptomKind kind, usec_t mono)
{
        if (facts_close(&d->facts, kind))
                d->quiet = mono;
}

/* Asks for a tick at @t. Yields whether it has come. */
static bool diagnosis_due(Diagnosis *d, usec_t t, usec_t mono)
{
        if (t <= mono)
                return true;
        if (t < d->deadline)
                d->deadline = t;
        return false;
}

static usec_t later(usec_t a, usec_t b)
{
        return a > b ? a : b;
}

/* --- what time brings --- */

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

static void refresh_movement(Diagnosis *d, const Now *now)
{
        const Silence silence = { d->service, &d->movement, &d->hang, &d->facts };
        const StallSettings *stall = &d->service->stall;
        usec_t still = movement_still_since(&d->movement), since;
        bool excused;

        if (!stall->enabled || stall->after == 0)
                return;
        if (still != USEC_INFINITY)
                still = later(still, later(d->run.since, d->base));
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

static void diagnosis_refresh(Diagnosis *d, const Now *now)
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
        if (o.verdict == VERDICT_FAULT && !diagnosis_due(d, d->hold_until, now->mono)) {
                o.verdict = VERDICT_SUSPECT;
                o.reason = REASON_CLOCK_JUMP;
        }
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

static int feed_probe(Diagnosis *d, const ProbeStatus *s)
{
        if (s->probe >= d->probes.n)
                return err_origin(-EINVAL);
        /* While it does not run, or is on its way up, nobody needs to answer. */
        if (d->run.run != RUN_RUNNING)
                return 0;
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
        d->hold_until = usec_add(now->mono, d->service->recovery.settle);
        diagnosis_begin(d, now->mono);
}

static int diagnosis_take(Diagnosis *d, const Observation *o, const Now *now)
{
        int r;

        switch (o->kind) {
        case OBSERVATION_SERVICE:
                return feed_service(d, &o->service, now);
        case OBSERVATION_PROBE:
                return feed_probe(d, &o->probe);
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
