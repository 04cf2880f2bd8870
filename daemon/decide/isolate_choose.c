/*
 * isolate_choose - from facts to the next trial
 *
 * Called by isolate_next(). First draws the conclusions: facts that a conviction explains go, a fact that
 * follows from another goes, a fact of which one candidate is left convicts it. Then names the next trial:
 *
 *      a fact unexplained     split it: hold its heaviest members, so many that the outcome tells most
 *      none                   control run: everything but culprits (or a part, when more are likely)
 *      marks left             the proof of one that only evidence names: released alone with what is cleared
 *      flaky                  the part of the newest fact that tells most; trials are repeated
 *
 * Everything that was cleared is always released along, outside doubt. Always ends: each trial narrows a
 * fact, clears, or spends the budget, after which the search gives up.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRUST_HALF   50.0 /* excess weight at which evidence is as good as none */
#define CRASH_COST   0.9  /* bits that a failing trial must tell to be worth its harm */
#define FINISH_BONUS 0.3  /* bits: a pass that ends the search saves the control run */
#define OTHERS_MAX   0.2  /* release the rest along with a part while it hardly can fail */
#define CHAIN_MAX    8    /* caught in a row without proof: evidence may lie */
#define CUTS         256

/* Members of a set in the order in which they are held, and what is known beside it. */
typedef struct Plan {
        Isolate *s;
        size_t n, n_heavy, n_others, n_cleared, n_caught, n_convicted;
        double base, excess, top;    /* sums over the members: ordinary weight, weight above it */
        double unit, unit_neat;      /* the share of a member of weight 1; m log2 m of it */
        double trust, neat;          /* in the excess; sum of m log2 m */
        double all, cleared, others; /* ordinary weight of everything, of what is good, of the rest */
        double arrived;              /* of the rest, what lies in the store anyway */
        double best, consumed;       /* the best cut's worth; gain by consumption */
        size_t cut;                  /* the number to hold */
        bool has_set, sole, shared, with_others, blind;
        Model model;
} Plan;

static double base_of(double w)
{
        return w < 1 ? w : 1;
}

/* The chance that member @i is the culprit, given that there is one. */
static double share_of(const Plan *p, size_t i)
{
        double w = p->s->weight[i], m = p->unit * base_of(w);

        if (w > 1 && p->excess > 0)
                m += p->trust * (w - 1) / p->excess;
        return m;
}

static int by_weight(const void *a, const void *b, void *userdata)
{
        const Isolate *s = userdata;
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        if (s->weight[x] != s->weight[y])
                return s->weight[x] > s->weight[y] ? -1 : 1;
        return x < y ? -1 : x > y;
}

/* The set to split: what all unexplained facts share; else the smallest. Return: is there one? */
static bool plan_focus(Plan *p)
{
        Isolate *s = p->s;
        size_t n_active = 0, smallest = 0, least = SIZE_MAX, common = 0;

        memset(s->tmp, 0xff, s->words * sizeof(*s->tmp));
        memset(s->suspected, 0, s->words * sizeof(*s->suspected));
        for (size_t k = 0; k < s->n_facts; k++) {
                size_t last, all, n;
                bool convicted;

                if (fact_is_explained(s, &s->facts[k]))
                        continue;
                n = fact_count(s, &s->facts[k], &last, &convicted, &all);
                if (n < least) {
                        least = n;
                        smallest = k;
                }
                for (size_t w = 0; w < s->words; w++)
                        s->tmp[w] &= s->facts[k].bits[w], s->suspected[w] |= s->facts[k].bits[w];
                n_active++;
        }
        if (n_active == 0)
                return false;
        for (size_t i = 0; i < s->n; i++)
                common += bits_has(s->tmp, i) && isolate_is_open(s, i);
        if (common == 0)
                memcpy(s->tmp, s->facts[smallest].bits, s->words * sizeof(*s->tmp));
        p->sole = n_active == 1;
        p->shared = n_active > 1 && common > 0;
        return true;
}

static bool is_member(const Plan *p, size_t i)
{
        return isolate_is_open(p->s, i) && (!p->has_set || bits_has(p->s->tmp, i));
}

static bool is_heavy(const Plan *p, size_t i)
{
        return p->s->weight[i] > 1 && !p->blind;
}

/* Sums up the members, and everything beside them. */
static void plan_sum(Plan *p)
{
        const Isolate *s = p->s;

        for (size_t i = 0; i < s->n; i++) {
                double w = s->weight[i], base = base_of(w);

                p->all += base;
                if (is_member(p, i)) {
                        p->n++;
                        p->n_heavy += is_heavy(p, i);
                        p->base += base;
                        p->excess += w > 1 ? w - 1 : 0;
                        p->top = fmax(p->top, w - 1);
                } else if (isolate_is_open(s, i)) {
                        p->others += base;
                        p->n_others++;
                        if (s->mark[i] & MARK_ARRIVED && !bits_has(s->suspected, i))
                                p->arrived += base;
                } else if (s->state[i] == CANDIDATE_CLEARED) {
                        p->cleared += base;
                        p->n_cleared += !(s->mark[i] & MARK_GONE);
                } else {
                        p->n_convicted += s->state[i] == CANDIDATE_CONVICTED;
                        p->n_caught += s->state[i] == CANDIDATE_UNKNOWN;
                }
        }
}

/* Takes the members: the heavy ones by weight, then the others in the search's order. */
static void plan_gather(Plan *p)
{
        Isolate *s = p->s;
        size_t heavy = 0, plain = p->n_heavy;

        for (size_t k = 0; k < s->n; k++) {
                uint32_t i = s->order[k];

                if (is_member(p, i))
                        s->scratch[is_heavy(p, i) ? heavy++ : plain++] = i;
        }
        qsort_r(s->scratch, p->n_heavy, sizeof(*s->scratch), by_weight, s);
}

/* What the outcome tells when the first @held of the set are held, in bits; and whether the rest goes along.
 */
static double plan_score(const Plan *p, size_t held, double prefix, double neat, bool others)
{
        const Isolate *s = p->s;
        double left = 1 - prefix, entropy, gain, pass, fail, there;
        bool ends = held <= p->has_set && (others || p->n_others == 0);

        pass = p->has_set ? model_pass(&p->model, left, p->base / p->all,
                                       (others ? p->others : p->arrived) / p->all)
                          : model_pass(&p->model, 0, 0, left * p->base / p->all);
        fail = 1 - pass;
        entropy = left > 1e-12 ? fmax(0, log2(left) - (p->neat - neat) / left) : 0;
        gain = p->consumed * gain_consumed((double)(p->n - held));
        there = (double)(p->n - held + p->n_cleared + (others ? p->n_others : 0));
        if (s->inflight > 0 && !s->refuted)
                gain = fmax(gain, gain_inflight(entropy, s->inflight / fmax(there, 1)));
        gain = fmax(0, gain - CRASH_COST);
        return information(fail) + fail * gain + (ends ? FINISH_BONUS * pass : 0);
}

/* Tries the cut before member @held. */
static void plan_try(Plan *p, size_t held, double prefix, double neat)
{
        double q = p->has_set ? 1 - model_pass(&p->model, 0, 0, p->others / p->all) : 0;

        for (int others = 0; others <= 1; others++) {
                double score;

                /* All of what several facts share is held only to see whether it explains them all. */
                if (held == p->n && p->has_set && !others)
                        continue;
                if (others && p->has_set && held < p->n &&
                    (!p->sole || p->n_others == 0 || (held > 1 && q > OTHERS_MAX)))
                        continue;
                if (others && !p->has_set)
                        continue;
                score = plan_score(p, held, prefix, neat, others);
                if (score > p->best + 1e-9) {
                        p->best = score;
                        p->cut = held;
                        p->with_others = others;
                }
        }
}

/* m log2 m, of which most are the same. */
static double neat_of(const Plan *p, double m)
{
        if (m == p->unit)
                return p->unit_neat;
        return m > 0 ? m * log2(m) : 0;
}

/* Walks over the cuts: the first ones and every @step-th between @from and @to. */
static void plan_walk(Plan *p, size_t from, size_t to, size_t step)
{
        double prefix = 0, neat = 0;

        for (size_t held = 0; held < p->n && held <= to; held++) {
                double m;

                if ((held > 0 || !p->has_set) && held >= from && (held < 64 || held % step == 0))
                        plan_try(p, held, prefix, neat);
                m = share_of(p, p->s->scratch[held]);
                prefix += m;
                neat += neat_of(p, m);
        }
        if (p->shared && to >= p->n)
                plan_try(p, p->n, 1, neat);
}

static void plan_cut(Plan *p)
{
        size_t step = p->n / CUTS + 1, from;

        p->best = -1;
        p->unit = p->n > 0 ? (1 - p->trust) / p->base : 0;
        p->unit_neat = p->unit > 0 ? p->unit * log2(p->unit) : 0;
        for (size_t k = 0; k < p->n; k++) {
                double m = share_of(p, p->s->scratch[k]);

                p->neat += neat_of(p, m);
        }
        plan_walk(p, 0, p->n, step);
        from = p->cut > step ? p->cut - step : 0;
        if (step > 1 && p->cut >= 64)
                plan_walk(p, from, p->cut + step, step / 64 + 1);
}

/*
 * Everything but the first @cut of the set, culprits, and those held by a mark; the rest only if it is to.
 * What was cleared goes along, for a pair is found only if its other half is there; but once a control run
 * failed after a conviction a flaky culprit may be among the cleared, and its failures would be blamed on
 * others.
 */
static void plan_release(Plan *p)
{
        Isolate *s = p->s;
        bool strict = p->has_set && p->n_convicted > 0 && !p->with_others;

        for (size_t i = 0; i < s->n; i++) {
                bool arrived = s->mark[i] & MARK_ARRIVED && !bits_has(s->suspected, i);
                bool in = !p->has_set || p->with_others || arrived || bits_has(s->tmp, i);

                if (s->state[i] == CANDIDATE_CLEARED)
                        bits_put(s->release, i, !strict || arrived);
                else
                        bits_put(s->release, i, in && isolate_is_open(s, i));
        }
        for (size_t k = 0; k < p->cut; k++)
                bits_put(s->release, s->scratch[k], false);
}

static void plan_init(Plan *p, Isolate *s)
{
        *p = (Plan){ .s = s };
        for (size_t i = 0; i < s->n; i++)
                p->n_caught += s->mark[i] & MARK_CAUGHT && s->state[i] == CANDIDATE_UNKNOWN;
        p->blind = s->refuted || (!s->confirmed && p->n_caught >= CHAIN_MAX);
        p->n_caught = 0;
        p->has_set = plan_focus(p);
        plan_sum(p);
        plan_gather(p);
        p->trust = p->blind ? 0 : p->top / (p->top + TRUST_HALF);
        if (s->n_eaten > 0)
                p->consumed = fmin(1, 2 * s->eaten / s->n_eaten);
        else if (s->consumption || s->trials == 0) /* before the first trial it costs little to hope */
                p->consumed = 1;
        if (p->all <= 0)
                p->all = 1;
        model_init(&p->model, (double)(p->n_convicted + p->n_caught), p->cleared / p->all,
                   p->has_set ? p->base / p->all : 0);
}

/* Was the last trial healthy, and everything released in it that is not a culprit? */
static bool is_covered(const Isolate *s)
{
        if (s->failed)
                return false;
        for (size_t i = 0; i < s->n; i++)
                if (s->state[i] != CANDIDATE_CONVICTED && !(s->mark[i] & MARK_GONE) &&
                    !bits_has(s->covered, i))
                        return false;
        return true;
}

/* No fact is open, nothing is unknown but those held by marks. Return: was something decided without a trial?
 */
static bool settle_marks(Isolate *s)
{
        size_t n_culprits = 0, n_caught = 0;

        for (size_t i = 0; i < s->n; i++) {
                n_culprits += s->state[i] == CANDIDATE_CONVICTED;
                n_caught += s->state[i] == CANDIDATE_UNKNOWN && s->mark[i] & MARK_CAUGHT;
        }
        if (n_caught == 0)
                return false;
        for (size_t i = 0; i < s->n; i++) {
                /* Evidence from before the search, and a culprit that explains it as well: prove it. */
                bool prove = !s->confirmed || (s->mark[i] & MARK_INITIAL && n_culprits + n_caught == 2);

                if (s->state[i] != CANDIDATE_UNKNOWN || !(s->mark[i] & MARK_CAUGHT))
                        continue;
                if (prove)
                        s->mark[i] = (uint8_t)((s->mark[i] & ~MARK_HELD) | MARK_STRONG);
                else
                        isolate_convict(s, i);
        }
        return true;
}

/* Releases one of those that stand out, with everything that is not marked. Return: is there one? */
static bool prove_one(Isolate *s)
{
        size_t one = NOBODY;

        for (size_t i = 0; i < s->n; i++) {
                bool strong = s->state[i] == CANDIDATE_UNKNOWN && s->mark[i] & MARK_STRONG;

                if (strong && one == NOBODY)
                        one = i;
                bits_put(s->release, i, s->state[i] == CANDIDATE_CLEARED || isolate_is_open(s, i));
        }
        if (one == NOBODY)
                return false;
        bits_put(s->release, one, true);
        return true;
}

/*
 * One candidate is left in @f, but so many others were healthy only once that one of them may be flaky: a
 * healthy trial of theirs without it will tell. If they are gone, only its own failure can.
 */
static void release_rivals(Isolate *s, const Fact *f, const Doubt *d)
{
        double left = 0, gone = d->each[DOUBT_GONE] * d->mass[DOUBT_GONE];
        bool itself;

        for (size_t i = 0; i < s->n; i++)
                if (bits_has(f->bits, i) && s->state[i] == CANDIDATE_CLEARED)
                        left += d->each[doubt_class(s->fails[i], s->passes[i])];
        itself = gone > left;
        for (size_t i = 0; i < s->n; i++)
                bits_put(s->release, i,
                         s->state[i] == CANDIDATE_CLEARED ||
                                 (itself && s->state[i] == CANDIDATE_UNKNOWN && bits_has(f->bits, i)));
}

/* The part of @f that tells most; everything else is held, but for what is gone. */
static int release_doubtful(Isolate *s, const Fact *f)
{
        Doubt *d = malloc(sizeof(*d));
        size_t rank, take, class;

        if (!d)
                return -1;
        doubt_weigh(s, f, d);
        if (!s->doubt) {
                release_rivals(s, f, d);
                free(d);
                return 0;
        }
        doubt_split(d, &rank, &take);
        class = d->rank[rank];
        for (size_t k = 0; k < s->n; k++) {
                uint32_t i = s->order[k];
                size_t c = doubt_class(s->fails[i], s->passes[i]);
                bool in = bits_has(f->bits, i) && s->state[i] != CANDIDATE_CONVICTED;

                if (in && c == class)
                        in = take > 0 && take-- > 0;
                else if (in)
                        in = d->each[c] > d->each[class] || (d->each[c] == d->each[class] && c < class);
                bits_put(s->release, i, in);
        }
        free(d);
        return 0;
}

static IsolateStep control_in_doubt(Isolate *s)
{
        unsigned fails = 1, passes = 0;

        for (size_t i = 0; i < s->n; i++) /* the flakiest of those that are known */
                if (s->state[i] == CANDIDATE_CONVICTED && s->passes[i] * fails >= passes * s->fails[i]) {
                        passes = s->passes[i];
                        fails = s->fails[i];
                }
        if (s->controls >= doubt_controls(s->config.confidence, fails, passes)) {
                for (size_t i = 0; i < s->n; i++)
                        if (s->state[i] == CANDIDATE_UNKNOWN)
                                s->state[i] = CANDIDATE_CLEARED;
                return ISOLATE_DONE;
        }
        for (size_t i = 0; i < s->n; i++)
                bits_put(s->release, i, s->state[i] != CANDIDATE_CONVICTED);
        return ISOLATE_TRIAL;
}

IsolateStep isolate_choose(Isolate *s)
{
        const Fact *uncertain = facts_conclude(s);
        IsolateStep step = ISOLATE_TRIAL;
        Plan p;

        if (uncertain) {
                if (s->trials >= s->config.max_trials || release_doubtful(s, uncertain) < 0)
                        step = ISOLATE_GAVE_UP;
                return step;
        }
        if (s->doubt) {
                step = control_in_doubt(s);
                return step == ISOLATE_TRIAL && s->trials >= s->config.max_trials ? ISOLATE_GAVE_UP : step;
        }
        plan_init(&p, s);
        if (!p.has_set && p.n == 0) {
                if (settle_marks(s))
                        return isolate_choose(s);
                if (is_covered(s))
                        return ISOLATE_DONE;
                if (s->trials >= s->config.max_trials)
                        return ISOLATE_GAVE_UP;
                if (prove_one(s))
                        return ISOLATE_TRIAL;
        }
        if (!p.has_set && is_covered(s))
                return ISOLATE_DONE;
        if (s->trials >= s->config.max_trials)
                return ISOLATE_GAVE_UP;
        plan_cut(&p);
        plan_release(&p);
        return ISOLATE_TRIAL;
}

/* For people: bits that are missing, at what a trial tells; the control run; more culprits, if they are
 * likely. */
double isolate_expected(const Isolate *s)
{
        double open = (double)isolate_open(s), rate = s->n_eaten > 0 && s->eaten > 0 ? 1.75 : 0.95;

        if (open < 1)
                return 0;
        if (s->inflight > 0 && !s->refuted)
                return 1 + log2(fmax(1, s->inflight));
        return 1 + (s->n_facts > 0 ? log2(open) / rate : 0);
}
