/*
 * isolate_choose - from facts to the next trial
 *
 * Called by isolate_next(). First has the conclusions drawn (isolate_facts.c). Then names the next trial:
 *
 *      a fact unexplained     split it: hold its heaviest members, so many that the outcome tells most
 *      none                   control run: everything but culprits (or a part, when more are likely)
 *      marks left             the proof of one that only evidence names: released with what is cleared
 *      not sure enough        a control run without the one that is left, or those left by themselves
 *      contradictions         isolate_doubt.c
 *
 * A trial that splits a fact releases members of that fact only, so that its failure is a fact about them.
 * Once at most one is held, it may be the last one, and everything else goes along. Always ends: each trial
 * narrows a fact, clears, or spends the budget, after which the search gives up.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CRASH_COST   0.6  /* bits that a failing trial must tell to be worth its harm */
#define FINISH_BONUS 0.45 /* bits: a pass that ends the search saves the control run */
#define CHAIN_MAX    8    /* caught in a row without proof: evidence may lie */
#define CUTS_ALL     16   /* so many first cuts are all tried, then ever fewer */
#define CUTS_AROUND  8

/* A set in the order in which its members are held, and what is known beside it. */
typedef struct Plan {
        Isolate *s;
        uint64_t common;  /* facts that members are in; all: no set */
        uint64_t active;  /* facts unexplained */
        uint32_t *blocks; /* of the members, heavy ones first */
        size_t n_blocks, n_heavy;
        size_t n, n_others, n_cleared, n_caught, n_convicted;
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

/* The chance that one of these is the culprit, given that there is one. */
static double share_of(const Plan *p, const Block *b)
{
        double m = p->unit * base_of(b->weight);

        if (b->weight > 1 && p->excess > 0)
                m += p->trust * (b->weight - 1) / p->excess;
        return m;
}

static int by_weight(const void *a, const void *b, void *userdata)
{
        const Isolate *s = userdata;
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        if (s->blocks[x].weight != s->blocks[y].weight)
                return s->blocks[x].weight > s->blocks[y].weight ? -1 : 1;
        return x < y ? -1 : x > y;
}

static size_t count_open(const Isolate *s, uint64_t facts)
{
        size_t n = 0;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                n += (b->facts & facts) == facts && block_is_open(b) ? b->n : 0;
        return n;
}

/* The set to split: what all unexplained facts share; else the smallest. Return: is there one? */
static bool plan_focus(Plan *p)
{
        const Isolate *s = p->s;
        size_t n_active = 0, least = SIZE_MAX, common;
        uint64_t smallest = 0;

        for (size_t k = 0; k < s->n_facts; k++) {
                size_t n;

                if (fact_is_explained(s, k))
                        continue;
                n = count_open(s, fact_bit(k));
                if (n < least) {
                        least = n;
                        smallest = fact_bit(k);
                }
                p->active |= fact_bit(k);
                n_active++;
        }
        if (n_active == 0)
                return false;
        common = count_open(s, p->active);
        p->common = common > 0 ? p->active : smallest;
        p->sole = n_active == 1;
        p->shared = n_active > 1 && common > 0;
        return true;
}

static bool is_member(const Plan *p, const Block *b)
{
        return block_is_open(b) && (b->facts & p->common) == p->common;
}

static bool is_heavy(const Plan *p, const Block *b)
{
        return b->weight > 1 && !p->blind;
}

static void plan_count(Plan *p, const Block *b)
{
        double base = base_of(b->weight) * b->n;

        p->all += base;
        if (is_member(p, b)) {
                p->n += b->n;
                p->n_blocks++;
                p->n_heavy += is_heavy(p, b);
                p->base += base;
                p->excess += b->weight > 1 ? (b->weight - 1) * b->n : 0;
                p->top = fmax(p->top, b->weight - 1);
        } else if (block_is_open(b)) {
                p->others += base;
                p->n_others += b->n;
                if (b->mark & MARK_ARRIVED && !(b->facts & p->active))
                        p->arrived += base;
        } else if (b->state == CANDIDATE_CLEARED) {
                p->cleared += base;
                p->n_cleared += b->n;
        } else {
                p->n_convicted += b->state == CANDIDATE_CONVICTED ? b->n : 0;
                p->n_caught += b->state == CANDIDATE_UNKNOWN ? b->n : 0;
        }
}

/* Sums up the members, and everything beside them; takes the members: the heavy ones by weight, then the
 * others in the search's order. */
static void plan_sum(Plan *p)
{
        Isolate *s = p->s;
        size_t heavy = 0, plain;

        p->all = p->cleared = s->gone;
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                plan_count(p, b);
        p->blocks = s->scratch;
        plain = p->n_heavy;
        for (uint32_t k = 0; k < s->n_blocks; k++)
                if (is_member(p, &s->blocks[k]))
                        p->blocks[is_heavy(p, &s->blocks[k]) ? heavy++ : plain++] = k;
        qsort_r(p->blocks, p->n_heavy, sizeof(*p->blocks), by_weight, s);
}

/* What the outcome tells when the first @held of the set are held, in bits; and whether the rest
 * goes along. */
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

/* m log2 m, of which most are the same. */
static double neat_of(const Plan *p, double m)
{
        if (m == p->unit)
                return p->unit_neat;
        return m > 0 ? m * log2(m) : 0;
}

/* The chance that the culprit is among the first @held, and the sum of m log2 m over them. */
static void plan_prefix(const Plan *p, size_t held, double *ret_prefix, double *ret_neat)
{
        *ret_prefix = *ret_neat = 0;
        for (size_t k = 0; k < p->n_blocks && held > 0; k++) {
                const Block *b = &p->s->blocks[p->blocks[k]];
                size_t take = held < b->n ? held : b->n;
                double m = share_of(p, b);

                *ret_prefix += m * (double)take;
                *ret_neat += neat_of(p, m) * (double)take;
                held -= take;
        }
}

/* Tries the cut before member @held. */
static void plan_try(Plan *p, size_t held)
{
        double prefix, neat;

        if (held == 0 && p->has_set)
                return;
        plan_prefix(p, held, &prefix, &neat);
        for (int others = 0; others <= 1; others++) {
                double score;

                /* All of what several facts share is held only to see whether it explains them all. */
                if (held == p->n && p->has_set && !others)
                        continue;
                if (others && p->has_set && held < p->n && (!p->sole || p->n_others == 0 || held > 1))
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

/* Cuts that stand for ranges of cuts: ever wider ones, then those around the best. */
static void plan_cut(Plan *p)
{
        size_t width = 1;

        p->best = -1;
        p->unit = p->n > 0 ? (1 - p->trust) / p->base : 0;
        p->unit_neat = p->unit > 0 ? p->unit * log2(p->unit) : 0;
        for (size_t k = 0; k < p->n_blocks; k++) {
                const Block *b = &p->s->blocks[p->blocks[k]];

                p->neat += neat_of(p, share_of(p, b)) * b->n;
        }
        for (size_t held = 0; held < p->n; held += held < CUTS_ALL ? 1 : held / CUTS_AROUND)
                plan_try(p, held);
        if (p->shared)
                plan_try(p, p->n);
        if (p->cut >= CUTS_ALL && p->cut < p->n)
                width = p->cut / CUTS_AROUND;
        while (width > 1) {
                size_t from = p->cut > width ? p->cut - width : 0, to = p->cut + width;

                width = width / (CUTS_AROUND / 2);
                for (size_t held = from; held <= to && held<p->n; held += width> 0 ? width : 1)
                        plan_try(p, held);
        }
}

/*
 * Everything but the first @cut of the set, culprits, and those held by a mark; the rest, and what was
 * cleared, only if it is to go along. What arrived meanwhile lies in the store, unless a fact names it.
 */
static void plan_release(Plan *p)
{
        Isolate *s = p->s;
        bool last = p->cut <= 1 && p->n_others == 0, along = !p->has_set || p->with_others || last;
        size_t held = 0;

        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                bool arrived = b->mark & MARK_ARRIVED && !(b->facts & p->active);

                if (b->state == CANDIDATE_CLEARED)
                        b->wanted = along || arrived;
                else
                        b->wanted = (along || arrived || is_member(p, b)) && block_is_open(b);
        }
        for (size_t k = 0; k < p->n_blocks && held < p->cut; k++) {
                Block *b = &s->blocks[p->blocks[k]];

                if (b->n > p->cut - held) /* the last one: indices are void then */
                        (void)block_split(s, b, b->n - (p->cut - held));
                b->wanted = false;
                held += b->n;
        }
}

static void plan_init(Plan *p, Isolate *s)
{
        *p = (Plan){ .s = s };
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                p->n_caught += b->mark & MARK_CAUGHT && b->state == CANDIDATE_UNKNOWN;
        p->blind = s->refuted || (!s->confirmed && p->n_caught >= CHAIN_MAX);
        p->n_caught = 0;
        p->has_set = plan_focus(p);
        plan_sum(p);
        p->trust = p->blind ? 0 : trust_in(p->top);
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
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->state != CANDIDATE_CONVICTED && !b->covered)
                        return false;
        return true;
}

/* No fact is open, nothing is unknown but those held by marks. Return: was something decided without
 * a trial? */
static bool settle_marks(Isolate *s)
{
        size_t n_culprits = 0, n_caught = 0;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                n_culprits += b->state == CANDIDATE_CONVICTED ? b->n : 0;
                n_caught += b->state == CANDIDATE_UNKNOWN && b->mark & MARK_CAUGHT;
        }
        if (n_caught == 0)
                return false;
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                /* Evidence from before the search, and a culprit that explains it as well: prove it. */
                bool prove = !s->confirmed || (b->mark & MARK_INITIAL && n_culprits + n_caught == 2);

                if (b->state != CANDIDATE_UNKNOWN || !(b->mark & MARK_CAUGHT))
                        continue;
                if (prove)
                        b->mark = (uint8_t)((b->mark & ~MARK_HELD) | MARK_STRONG);
                else
                        isolate_convict(s, b);
        }
        return true;
}

/* Releases one of those that stand out, with everything that is not marked. Return: is there one? */
static bool prove_marked(Isolate *s)
{
        Block *one = NULL;

        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                if (!one && b->state == CANDIDATE_UNKNOWN && b->mark & MARK_STRONG)
                        one = b;
                b->wanted = b->state == CANDIDATE_CLEARED || block_is_open(b);
        }
        if (!one)
                return false;
        one->wanted = true;
        return true;
}

/* What is left of fact @k by itself; or everything else. */
static void prove_left(Isolate *s, size_t k, bool itself)
{
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                bool left = b->facts & fact_bit(k) && b->state == CANDIDATE_UNKNOWN;

                if (itself)
                        b->wanted = left;
                else
                        b->wanted = !left && b->state != CANDIDATE_CONVICTED && !(b->mark & MARK_HELD);
        }
}

static IsolateStep choose_steady(Isolate *s)
{
        bool spent = s->trials >= s->config.max_trials;
        Plan p;

        plan_init(&p, s);
        if (!p.has_set && p.n == 0) {
                if (settle_marks(s))
                        return isolate_choose(s);
                if (is_covered(s))
                        return ISOLATE_DONE;
                if (spent)
                        return ISOLATE_GAVE_UP;
                if (prove_marked(s))
                        return ISOLATE_TRIAL;
        }
        if (!p.has_set && is_covered(s))
                return ISOLATE_DONE;
        if (spent)
                return ISOLATE_GAVE_UP;
        plan_cut(&p);
        plan_release(&p);
        return ISOLATE_TRIAL;
}

IsolateStep isolate_choose(Isolate *s)
{
        size_t fact = NOBODY;
        Conclusion c = facts_conclude(s, &fact);
        bool spent = s->trials >= s->config.max_trials;

        blocks_merge(s);
        s->focus = NOBODY;
        if (blocks_reserve(s, s->n, 8) < 0)
                return ISOLATE_GAVE_UP;
        switch (c) {
        case CONCLUSION_CONTROL:
        case CONCLUSION_PROVE:
                prove_left(s, fact, c == CONCLUSION_PROVE);
                return spent ? ISOLATE_GAVE_UP : ISOLATE_TRIAL;
        case CONCLUSION_DOUBT:
                if (spent)
                        doubt_give_up(s, fact);
                else
                        doubt_choose(s);
                return spent ? ISOLATE_GAVE_UP : ISOLATE_TRIAL;
        case CONCLUSION_NONE:
                break;
        }
        if (!s->doubt)
                return choose_steady(s);
        if (doubt_control(s) == ISOLATE_DONE)
                return ISOLATE_DONE;
        if (!spent)
                return ISOLATE_TRIAL;
        doubt_give_up(s, NOBODY);
        return ISOLATE_GAVE_UP;
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
