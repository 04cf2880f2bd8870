/*
 * trial - when has a service passed, when has it failed?
 *
 * The engine feeds it while ACTION_WATCH is under way. A trial
 *
 *  - fails at once when the service dies or diagnose sees a fault;
 *  - fails as a hang when mail waits and none has moved for the hang limit. The limit is learned: eight times
 *    the longest time one delivery took so far (`patience`), within [3 settle, stall_after]: a second hang is
 *    not waited for as long as the first; without stall_after only probes find a hang;
 *  - is healthy when the service has been up for `settle`, and all waiting mail is gone and has been for
 *    `settle`;
 *  - is healthy when mail is left, but nothing has moved for the quiet time: twice the time that the failure
 *    took before (`failing_after`), at least `settle`, and no less than a probe takes to see a failure that
 *    only probes see (`notice`). What is left was survived (deferred mail rightly waits). If a hang is what
 *    is looked for, standing still with mail waiting is the failure, and this rule does not apply;
 *  - silence that something else explains (it waits for another host, a disk, or the host is short of CPU or
 *    memory) is neither a hang nor a failure: what is left then counts as survived after the quiet time;
 *  - in VERIFYING, is healthy after `verify`, whatever moves.
 *
 * The empty store of a baseline is the second case with twice failing_after instead of settle: a crash that
 * comes late must have had its time. Test: tests/unit/test_trial.c.
 */
#include "decide/trial.h"

static const char *const outcomes[_TRIAL_OUTCOME_MAX] = {
        [TRIAL_RUNNING] = "running",
        [TRIAL_HEALTHY] = "healthy",
        [TRIAL_FAILED] = "failed",
        [TRIAL_VOID] = "void",
};
DEFINE_STRING_TABLE(trial_outcome, TrialOutcome, outcomes)

#define PATIENCE_FACTOR 8
#define QUIET_FACTOR    2
#define SETTLE_FACTOR   3 /* a learned limit is never shorter than this many settle times */

static usec_t max_usec(usec_t a, usec_t b)
{
        return a > b ? a : b;
}

/* How long mail may wait without moving before it is a hang; USEC_INFINITY: never. */
static usec_t hang_limit(const Trial *t)
{
        usec_t learned = max_usec(t->longest, t->config.patience) * PATIENCE_FACTOR;

        if (t->config.stall_after == 0 || t->excused)
                return USEC_INFINITY;
        if (learned == 0 || !t->config.hang)
                return t->config.stall_after;
        learned = max_usec(learned, t->config.settle * SETTLE_FACTOR);
        return learned < t->config.stall_after ? learned : t->config.stall_after;
}

/* Is standing still with mail waiting the very failure that is looked for? */
static bool stillness_fails(const Trial *t)
{
        return !t->excused && t->config.stall_after > 0 && (t->config.hang || t->inflight);
}

/* How long nothing must have moved before what is left counts as survived. */
static usec_t quiet_time(const Trial *t)
{
        return max_usec(max_usec(t->config.settle, t->config.notice), t->config.failing_after * QUIET_FACTOR);
}

/* With no mail left: a trial that moved mail has shown it; one on an empty store waits for a late crash as
 * well. */
static usec_t empty_time(const Trial *t)
{
        return t->departed > 0 ? t->config.settle : quiet_time(t);
}

void trial_begin(Trial *t, const TrialConfig *config, usec_t now)
{
        *t = (Trial){ .config = *config, .started = now, .moved = now, .outcome = TRIAL_RUNNING };
}

void trial_up(Trial *t, bool up, usec_t now)
{
        if (up && !t->up) {
                t->up_since = now;
                /* That nothing moved while it was on its way up says nothing. */
                if (t->departed == 0)
                        t->moved = max_usec(t->moved, now);
        }
        t->up = up;
}

static void decide(Trial *t, TrialOutcome outcome, Reason reason)
{
        t->outcome = outcome;
        t->reason = reason;
}

void trial_fault(Trial *t, SymptomKind kind, usec_t now)
{
        if (t->outcome != TRIAL_RUNNING)
                return;
        t->failure = kind;
        t->failed_after = usec_sub(now, t->started);
        decide(t, TRIAL_FAILED, REASON_TRIAL_FAILED);
}

void trial_void(Trial *t)
{
        if (t->outcome == TRIAL_RUNNING)
                decide(t, TRIAL_VOID, REASON_TRIAL_VOID);
}

void trial_progress(Trial *t, uint64_t waiting, uint64_t departed, bool moved, usec_t now)
{
        t->waiting = waiting;
        if (departed > 0) {
                usec_t each = usec_sub(now, t->moved) / departed;

                if (t->departed > 0 && each > t->longest) /* the first includes the service's own start */
                        t->longest = each;
                t->departed += departed;
        }
        if (departed > 0 || moved)
                t->moved = now;
}

/* Has all that is left been left alone for long enough? */
static bool is_survived(const Trial *t, usec_t now)
{
        return usec_sub(now, t->up_since) >= quiet_time(t) && usec_sub(now, t->moved) >= quiet_time(t);
}

bool trial_asks_inflight(const Trial *t, usec_t now)
{
        return t->outcome == TRIAL_RUNNING && t->up && t->waiting > 0 && t->config.verify == 0 &&
               !t->config.hang && is_survived(t, now);
}

void trial_excused(Trial *t, bool excused, usec_t now)
{
        t->excused = excused;
        if (excused)
                t->excused_at = now;
}

void trial_inflight(Trial *t, bool inflight)
{
        t->inflight = inflight;
}

TrialOutcome trial_judge(Trial *t, usec_t now)
{
        usec_t still = usec_sub(now, t->moved), silent = usec_sub(now, max_usec(t->moved, t->excused_at));
        usec_t up;

        if (t->outcome != TRIAL_RUNNING || !t->up)
                return t->outcome;
        up = usec_sub(now, t->up_since);
        if (t->waiting > 0 && silent >= hang_limit(t)) {
                trial_fault(t, SYMPTOM_STALLED, now);
                t->failed_after = silent;
        } else if (t->config.verify > 0) {
                if (up >= t->config.verify)
                        decide(t, TRIAL_HEALTHY, REASON_HEALTHY);
        } else if (t->waiting == 0) {
                if (up >= t->config.settle && up >= empty_time(t) && still >= t->config.settle)
                        decide(t, TRIAL_HEALTHY, REASON_HEALTHY);
        } else if (!stillness_fails(t) && is_survived(t, now)) {
                decide(t, TRIAL_HEALTHY, REASON_HEALTHY);
        }
        return t->outcome;
}

static usec_t min_usec(usec_t a, usec_t b)
{
        return a < b ? a : b;
}

usec_t trial_deadline(const Trial *t, usec_t now)
{
        usec_t at = USEC_INFINITY, quiet = quiet_time(t);

        if (t->outcome != TRIAL_RUNNING || !t->up)
                return USEC_INFINITY;
        if (t->waiting > 0)
                at = usec_add(max_usec(t->moved, t->excused_at), hang_limit(t));
        if (t->config.verify > 0)
                at = min_usec(at, usec_add(t->up_since, t->config.verify));
        else if (t->waiting == 0)
                at = max_usec(usec_add(t->up_since, max_usec(t->config.settle, empty_time(t))),
                              usec_add(t->moved, t->config.settle));
        else if (!stillness_fails(t))
                at = min_usec(at, max_usec(usec_add(t->up_since, quiet), usec_add(t->moved, quiet)));
        return at > now ? at : now;
}
