/*
 * isolate_model - the chances behind the search
 *
 * Called by isolate_choose.c. Pure arithmetic; nothing here can fail.
 *
 * How many culprits there are is not known, and is what a search for one culprit gets wrong. Each candidate
 * is taken to be one with a chance that follows from a common rate; the rate itself is unknown and has a
 * heavy tail. Given the rate candidates are independent, so the chance of every outcome has a closed form in
 * the shares of weight that were cleared, are known to hold one, and would be released: it is summed over the
 * rates.
 *
 * A flaky culprit fails in a share of the trials it is in. That share is unknown too; candidates fall into
 * classes by how many healthy and failing trials they were in, and the chance of (share, class) is again a
 * closed form.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <math.h>
#include <stdlib.h>

/*
 * The prior: a part RARE for "hardly ever more than one", the rest spread evenly over the magnitudes of rates
 * up to KNEE, and falling steeply above it. Found by simulation: one culprit is to cost one trial
 * above the bound, five are to cost no more than five above theirs.
 */
#define RATE_RARE  0.02
#define RATE_FIRST 4.0
#define RATE_KNEE  6.5
#define RATE_STEP  1.2968395546510096 /* 2^(3/8) */
#define PRIOR_RARE 0.48

#define FLAKY_PRIOR 2e-5 /* before anything contradicted anything */

static const double flakiness[MODEL_FLAKINESS] = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0 };

static double rate_of(size_t k)
{
        return k == 0 ? RATE_RARE : RATE_FIRST * pow(RATE_STEP, (double)k - 1);
}

void model_init(Model *m, double convicted, double cleared, double defective)
{
        double prior[MODEL_RATES], top = -INFINITY, tail = 0, sum = 0;

        for (size_t k = 1; k < MODEL_RATES; k++)
                tail += prior[k] = 1 / (1 + pow(rate_of(k) / RATE_KNEE, 6));
        for (size_t k = 0; k < MODEL_RATES; k++) {
                double rate = rate_of(k), *log_chance = &m->chance[k];

                /* The prior is given that there is one at all. */
                *log_chance =
                        log(k == 0 ? PRIOR_RARE : (1 - PRIOR_RARE) * prior[k] / tail) - log(-expm1(-rate));
                *log_chance += convicted * log(rate) - rate * cleared;
                if (defective > 0)
                        *log_chance += log(-expm1(-rate * defective));
                top = fmax(top, *log_chance);
        }
        for (size_t k = 0; k < MODEL_RATES; k++)
                sum += m->chance[k] = exp(m->chance[k] - top);
        for (size_t k = 0; k < MODEL_RATES; k++)
                m->chance[k] /= sum;
}

/* @released: the share of the defective set that is released, by weight; @others: what else is released. */
double model_pass(const Model *m, double released, double defective, double others)
{
        double pass = 0;

        for (size_t k = 0; k < MODEL_RATES; k++) {
                double rate = rate_of(k), p = exp(-rate * others);

                if (defective > 0)
                        p *= exp(-rate * defective * released) * expm1(-rate * defective * (1 - released)) /
                             expm1(-rate * defective);
                pass += m->chance[k] * p;
        }
        return fmin(fmax(pass, 0), 1);
}

/* The mean rate: how many more there may be in all the weight. */
double model_more(const Model *m)
{
        double mean = 0;

        for (size_t k = 0; k < MODEL_RATES; k++)
                mean += m->chance[k] * rate_of(k);
        return mean;
}

double information(double p)
{
        return p <= 0 || p >= 1 ? 0 : -p * log2(p) - (1 - p) * log2(1 - p);
}

/* What was consumed before the failure, in random order, tells about the place of the culprit among @count.
 */
double gain_consumed(double count)
{
        return count < 1 ? 0 : log2(count) - lgamma(count + 1) / (count * M_LN2);
}

/* A failure names those in flight: a share of all that is released, and the culprit. */
double gain_inflight(double entropy, double share)
{
        return entropy - log2(1 + (exp2(entropy) - 1) * fmin(share, 1));
}

static int by_chance(const void *a, const void *b, void *userdata)
{
        const Doubt *d = userdata;
        uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;

        if (d->each[x] != d->each[y])
                return d->each[x] > d->each[y] ? -1 : 1;
        return x < y ? -1 : x > y;
}

void doubt_init(Doubt *d, bool doubt)
{
        double sum = 0;

        d->n_ranks = 0;
        for (size_t c = 0; c <= DOUBT_GONE; c++) {
                double fails = (double)(c == DOUBT_GONE ? 1 : c / 64),
                       passes = (double)(c == DOUBT_GONE ? 1 : c % 64);

                d->each[c] = 0;
                if (d->mass[c] <= 0)
                        continue;
                for (size_t p = 0; p < MODEL_FLAKINESS; p++) {
                        double prior = doubt ? 1.0 / MODEL_FLAKINESS : FLAKY_PRIOR / (MODEL_FLAKINESS - 1);
                        double like;

                        if (!doubt && p == MODEL_FLAKINESS - 1)
                                prior = 1 - FLAKY_PRIOR;
                        like = prior * pow(flakiness[p], fails) * pow(1 - flakiness[p], passes);
                        d->each[c] += like;
                        sum += d->joint[c][p] = like * d->mass[c];
                }
                if (c != DOUBT_GONE)
                        d->rank[d->n_ranks++] = (uint16_t)c;
        }
        for (size_t c = 0; sum > 0 && c <= DOUBT_GONE; c++) {
                d->each[c] /= sum;
                for (size_t p = 0; p < MODEL_FLAKINESS && d->mass[c] > 0; p++)
                        d->joint[c][p] /= sum;
        }
        qsort_r(d->rank, d->n_ranks, sizeof(*d->rank), by_chance, d);
}

void doubt_split(const Doubt *d, size_t *ret_rank, size_t *ret_count)
{
        double in[MODEL_FLAKINESS] = { 0 }, best = -1;

        *ret_rank = *ret_count = 0;
        for (size_t k = 0; k < d->n_ranks; k++) {
                size_t c = d->rank[k], count = d->count[c], steps = count < 64 ? count : 64;

                for (size_t j = 1; j <= steps; j++) {
                        size_t take = count * j / steps;
                        double fail = 0, noise = 0;

                        for (size_t p = 0; p < MODEL_FLAKINESS; p++) {
                                double here = in[p] + d->joint[c][p] * (double)take / (double)count;

                                fail += here * flakiness[p];
                                noise += here * information(flakiness[p]);
                        }
                        if (information(fail) - noise > best + 1e-12) {
                                best = information(fail) - noise;
                                *ret_rank = k;
                                *ret_count = take;
                        }
                }
                for (size_t p = 0; p < MODEL_FLAKINESS; p++)
                        in[p] += d->joint[c][p];
        }
}

unsigned doubt_controls(double confidence, unsigned fails, unsigned passes)
{
        for (unsigned m = 1; m < 64; m++) {
                double more = 0, none = 0;

                for (size_t p = 0; p < MODEL_FLAKINESS; p++) {
                        double like = pow(flakiness[p], fails) * pow(1 - flakiness[p], passes);

                        more += like * pow(1 - flakiness[p], m);
                        none += like;
                }
                if (0.3 * more <= (1 - confidence) * (0.3 * more + 0.7 * none))
                        return m;
        }
        return 64;
}
