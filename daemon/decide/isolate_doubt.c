/*
 * isolate_doubt - the search when trials contradict each other
 *
 * Called by the other parts of the search once each member of a failing set was healthy in some trial. Two
 * things can be behind that, and both are weighed for each member of the smallest failing set:
 *
 *      flaky      it fails by itself, in a share p of the trials it is in; any p is as likely as another
 *      together   it fails, always, but only along with one other member of the set
 *
 * Trials release the likeliest members by themselves, or all of the set but the likeliest ones, whatever
 * tells most about who it is (mutual information). A failing trial is a fact even here: the set shrinks to
 * what was released. A healthy one only makes its members less likely. Convicted is who holds
 * config.confidence of all the chance; so is "whoever it was is gone". Control runs are repeated until
 * another culprit as flaky as those that are known would have shown.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <math.h>
#include <stdlib.h>

#define TOGETHER_PRIOR 0.2
#define BY_ANOTHER     1e-3 /* a failure without it, if it is the culprit */
#define BY_ACCIDENT    1e-6 /* a healthy run with both of a pair */
#define LEAST          1e-290
#define HEALTHY_MAX    16 /* in a row: does the whole set still fail? It does if any pair in it does */
#define CUTS           48

void doubt_begin(Isolate *s)
{
        s->doubt = true;
        s->controls = 0;
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                if (b->state == CANDIDATE_CONVICTED)
                        b->weight = weight_limit(b->weight * 10);
                b->state = CANDIDATE_UNKNOWN;
                b->together = 0;
                block_unmark(b);
        }
}

static bool is_member(const Block *b, size_t k)
{
        return b->facts & fact_bit(k) && b->state != CANDIDATE_CONVICTED;
}

static double flaky_chance(const Block *b)
{
        double sum = 0;

        for (size_t j = 0; j < MODEL_FLAKINESS; j++)
                sum += flaky_joint(j, b->fails, b->passes);
        return sum;
}

/* The chances of all members of a fact, not normalised. */
typedef struct Doubt {
        size_t n;
        double flaky[MODEL_FLAKINESS], together, all; /* all: with the chance that it is gone */
        double gone;
        double another[FACTS_MAX]; /* the chance that this fact is about somebody else */
} Doubt;

/* How likely one member is compared to others, by evidence and by the facts that it explains. */
static double prior_of(const Doubt *d, const Isolate *s, const Block *b)
{
        double prior = fmin(b->weight, WEIGHT_CAUGHT);

        for (size_t k = 0; k < s->n_facts; k++)
                if (!(b->facts & fact_bit(k)))
                        prior *= d->another[k];
        return prior;
}

/* The chance that one member is the culprit, not normalised. */
static double chance_of(const Doubt *d, const Isolate *s, const Block *b)
{
        return prior_of(d, s, b) * (flaky_chance(b) + b->together);
}

/* Nothing is known yet of how they fail together: as the prior has it. */
static void init_together(const Doubt *d, const Isolate *s, size_t k)
{
        double flaky = 0, weight = 0;
        bool known = true;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (is_member(b, k)) {
                        flaky += prior_of(d, s, b) * b->n * flaky_chance(b);
                        weight += prior_of(d, s, b) * b->n;
                        known = known && b->together > 0;
                }
        for (Block *b = s->blocks; !known && b < s->blocks + s->n_blocks; b++)
                if (is_member(b, k))
                        b->together = flaky / weight * TOGETHER_PRIOR / (1 - TOGETHER_PRIOR);
}

static size_t count(const Isolate *s, size_t k)
{
        size_t n = 0;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                n += is_member(b, k) ? b->n : 0;
        return n;
}

static void doubt_init(Doubt *d, const Isolate *s, size_t k)
{
        unsigned fails = 1;

        *d = (Doubt){ .n = count(s, k) };
        for (size_t j = 0; j < s->n_facts; j++)
                d->another[j] = ANOTHER * (double)count(s, j) / (double)s->n;
        init_together(d, s, k);
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (is_member(b, k)) {
                        double w = prior_of(d, s, b) * b->n;

                        d->all += chance_of(d, s, b) * b->n;
                        d->together += w * b->together;
                        for (size_t j = 0; j < MODEL_FLAKINESS; j++)
                                d->flaky[j] += w * flaky_joint(j, b->fails, b->passes);
                        fails = b->fails;
                }
        d->gone = s->facts[k].gone * flaky_likelihood(fails, 1);
        d->all += d->gone;
}

/* That it is one to take out: either of a pair is. */
static double guilt_of(const Doubt *d, const Isolate *s, const Block *b)
{
        double w = prior_of(d, s, b);

        return w * flaky_chance(b) + fmin(2 * w * b->together, d->together);
}

int doubt_verdict(const Isolate *s, size_t k, Block **ret_who, bool *ret_gone)
{
        Doubt d;

        doubt_init(&d, s, k);
        *ret_gone = d.gone >= s->config.confidence * d.all;
        if (*ret_gone)
                return 1;
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (is_member(b, k) && b->n == 1 && guilt_of(&d, s, b) >= s->config.confidence * d.all) {
                        if (b->together > flaky_chance(b))
                                b->passes = 0; /* it was alone then */
                        *ret_who = b;
                        return 1;
                }
        return 0;
}

typedef struct Ranking {
        const Doubt *d;
        const Isolate *s;
} Ranking;

static int by_chance(const void *a, const void *b, void *userdata)
{
        const Ranking *r = userdata;
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
        double p = chance_of(r->d, r->s, &r->s->blocks[x]), q = chance_of(r->d, r->s, &r->s->blocks[y]);

        if (p != q)
                return p > q ? -1 : 1;
        return x < y ? -1 : x > y;
}

/* The blocks of fact @k, the likeliest first, in s->scratch. */
static size_t rank(const Doubt *d, const Isolate *s, size_t k)
{
        Ranking r = { d, s };
        size_t n = 0;

        for (uint32_t j = 0; j < s->n_blocks; j++)
                if (is_member(&s->blocks[j], k))
                        s->scratch[n++] = j;
        qsort_r(s->scratch, n, sizeof(*s->scratch), by_chance, &r);
        return n;
}

/* What a trial tells that releases @n members, of which the chances are these; the others are held. */
static double telling(const Doubt *d, size_t n, const double *flaky, double together)
{
        double q = n > 1 ? (double)(n - 1) / (double)(d->n - 1) : 0; /* the other one is released too */
        double fail = together * q, noise = together * information(q);

        for (size_t j = 0; j < MODEL_FLAKINESS; j++) {
                fail += flaky[j] * flakiness(j);
                noise += flaky[j] * information(flakiness(j));
        }
        return information(fail / d->all) - noise / d->all;
}

/* A trial: so many whole blocks of the ranking, and so many members of the next, or all but these. */
typedef struct Part {
        size_t blocks, members;
        bool rest;
        double best;
} Part;

static void try_part(Part *best, const Doubt *d, const Part *p, const double *flaky, double together)
{
        double rest[MODEL_FLAKINESS], tells;

        for (size_t j = 0; j < MODEL_FLAKINESS; j++)
                rest[j] = fmax(0, d->flaky[j] - flaky[j]);
        for (int r = 0; r <= 1; r++) {
                size_t n = r ? d->n - p->members : p->members;

                tells = r ? telling(d, n, rest, fmax(0, d->together - together))
                          : telling(d, n, flaky, together);
                if (n > 0 && tells > best->best + 1e-12)
                        *best = (Part){ p->blocks, p->members, r, tells };
        }
}

/* Walks over the ranking. @ret->members counts from the first block on. */
static void best_part(const Isolate *s, const Doubt *d, size_t n_ranks, Part *ret)
{
        double flaky[MODEL_FLAKINESS] = { 0 }, together = 0;
        size_t before = 0;

        *ret = (Part){ .best = -1 };
        try_part(ret, d, &(Part){ 0 }, flaky, 0);
        for (size_t k = 0; k < n_ranks; k++) {
                const Block *b = &s->blocks[s->scratch[k]];
                size_t cuts = b->n < CUTS ? b->n : CUTS, taken = 0;

                for (size_t c = 1; c <= cuts; c++) {
                        size_t take = b->n * c / cuts;
                        double w = prior_of(d, s, b) * (double)(take - taken);

                        for (size_t j = 0; j < MODEL_FLAKINESS; j++)
                                flaky[j] += w * flaky_joint(j, b->fails, b->passes);
                        together += w * b->together;
                        taken = take;
                        try_part(ret, d, &(Part){ .blocks = k, .members = before + take }, flaky, together);
                }
                before += b->n;
        }
}

void doubt_choose(Isolate *s)
{
        size_t n_ranks, left, k = 0;
        Doubt d;
        Part p;

        for (size_t j = 1; j < s->n_facts; j++) /* the smallest, of equals the newest */
                if (count(s, j) <= count(s, k))
                        k = j;
        doubt_init(&d, s, k);
        n_ranks = rank(&d, s, k);
        if (s->healthy > 0 && s->healthy % HEALTHY_MAX == 0)
                p = (Part){ .rest = true };
        else
                best_part(s, &d, n_ranks, &p);
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                b->wanted = p.rest && is_member(b, k);
        left = p.members;
        for (size_t j = 0; j < n_ranks && left > 0; j++) {
                Block *b = &s->blocks[s->scratch[j]];

                if (b->n > left) /* the last one: indices are void then */
                        (void)block_split(s, b, b->n - left);
                b->wanted = !p.rest;
                left -= b->n;
        }
        s->focus = k;
}

void doubt_learn(Isolate *s, bool failed)
{
        double n = 0, released = 0, q;

        if (s->focus == NOBODY)
                return;
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (is_member(b, s->focus)) {
                        n += b->n;
                        released += b->released ? b->n : 0;
                }
        q = n > 1 && released > 1 ? (released - 1) / (n - 1) : 0;
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                if (!is_member(b, s->focus))
                        continue;
                if (b->released)
                        b->together *= failed ? fmax(q, BY_ANOTHER) : fmax(1 - q, BY_ACCIDENT);
                else if (failed)
                        b->together *= BY_ANOTHER;
                b->together = fmax(b->together, LEAST);
        }
}

IsolateStep doubt_control(Isolate *s)
{
        unsigned fails = 1, passes = 0;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) /* the flakiest known */
                if (b->state == CANDIDATE_CONVICTED && b->passes * fails >= passes * b->fails) {
                        passes = b->passes;
                        fails = b->fails;
                }
        if (s->controls >= flaky_controls(s->config.confidence, fails, passes)) {
                for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                        if (b->state == CANDIDATE_UNKNOWN)
                                b->state = CANDIDATE_CLEARED;
                return ISOLATE_DONE;
        }
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                b->wanted = b->state != CANDIDATE_CONVICTED;
        return ISOLATE_TRIAL;
}

void doubt_give_up(Isolate *s, size_t k)
{
        double sum = 0;
        size_t n = 0;
        Doubt d;

        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->state == CANDIDATE_UNKNOWN && b->facts == 0)
                        b->state = CANDIDATE_CLEARED;
        if (k == NOBODY)
                return;
        doubt_init(&d, s, k);
        n = rank(&d, s, k);
        for (size_t j = 0; j < n; j++) {
                Block *b = &s->blocks[s->scratch[j]];

                if (sum >= s->config.confidence * (d.all - d.gone) && b->facts == fact_bit(k))
                        b->state = CANDIDATE_CLEARED;
                sum += chance_of(&d, s, b) * b->n;
        }
}
