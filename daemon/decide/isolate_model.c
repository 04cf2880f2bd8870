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
 * A flaky culprit fails in a share of the trials it is in. That share is unknown too, any is as likely as
 * another; given the numbers of healthy and failing trials it was in, the chance is again a closed form.
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
#define PRIOR_RARE 0.54

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
                double rate = m->rate[k] = rate_of(k), *log_chance = &m->chance[k];

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
                double rate = m->rate[k], p = exp(-rate * others);

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
                mean += m->chance[k] * m->rate[k];
        return mean;
}

double information(double p)
{
        return p <= 0 || p >= 1 ? 0 : -p * log2(p) - (1 - p) * log2(1 - p);
}

/* What was consumed before the failure, in random order, tells about the place of the culprit
 * among @count. */
double gain_consumed(double count)
{
        return count < 1 ? 0 : log2(count) - lgamma(count + 1) / (count * M_LN2);
}

/* A failure names those in flight: a share of all that is released, and the culprit. */
double gain_inflight(double entropy, double share)
{
        return entropy - log2(1 + (exp2(entropy) - 1) * fmin(share, 1));
}

double flakiness(size_t k)
{
        return (double)(k + 1) / MODEL_FLAKINESS;
}

double flaky_joint(size_t k, unsigned fails, unsigned passes)
{
        double p = flakiness(k);

        return pow(p, fails) * pow(1 - p, passes) / MODEL_FLAKINESS;
}

/* The integral over all p; also where p is between the steps of flakiness(). */
double flaky_likelihood(unsigned fails, unsigned passes)
{
        return exp(lgamma(fails + 1.0) + lgamma(passes + 1.0) - lgamma(fails + passes + 2.0));
}

unsigned flaky_controls(double confidence, unsigned fails, unsigned passes)
{
        for (unsigned m = 1; m < 64; m++) {
                double more = 0, none = 0;

                for (size_t k = 0; k < MODEL_FLAKINESS; k++) {
                        double like = flaky_joint(k, fails, passes);

                        more += like * pow(1 - flakiness(k), m);
                        none += like;
                }
                if (ANOTHER * more <= (1 - confidence) * (ANOTHER * more + (1 - ANOTHER) * none))
                        return m;
        }
        return 64;
}
