/*
 * isolate_facts - what follows from failing trials
 *
 * Called by isolate_choose.c before each choice. A fact that a conviction explains goes; one that follows
 * from another goes; one whose members are all gone goes; one of which a single candidate is left convicts
 * it, if that is as sure as config.confidence asks; one whose members were all healthy somewhere means doubt.
 * For want of memory nothing is convicted.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool fact_is_explained(const Isolate *s, const Fact *f)
{
        for (size_t k = 0; k < (s->n + 63) / 64; k++)
                for (uint64_t word = f->bits[k]; word; word &= word - 1) {
                        size_t i = k * 64 + (size_t)__builtin_ctzll(word);

                        if (s->state[i] == CANDIDATE_CONVICTED || s->mark[i] & MARK_HELD)
                                return true;
                }
        return false;
}

size_t fact_count(const Isolate *s, const Fact *f, size_t *ret_last, bool *ret_convicted, size_t *ret_all)
{
        size_t n = 0;

        *ret_convicted = false;
        *ret_all = 0;
        for (size_t k = 0; k < (s->n + 63) / 64; k++)
                for (uint64_t word = f->bits[k]; word; word &= word - 1) {
                        size_t i = k * 64 + (size_t)__builtin_ctzll(word);

                        ++*ret_all;
                        if (s->state[i] == CANDIDATE_CONVICTED)
                                *ret_convicted = true;
                        else if (s->state[i] == CANDIDATE_UNKNOWN) {
                                *ret_last = i;
                                n++;
                        }
                }
        return n;
}

static void fact_drop(Isolate *s, size_t k)
{
        free(s->facts[k].bits);
        memmove(&s->facts[k], &s->facts[k + 1], (s->n_facts - k - 1) * sizeof(Fact));
        s->n_facts--;
}

/* Does @small being true make @big true? As to what is unknown; in doubt, as to everything. */
static bool fact_implies(const Isolate *s, const Fact *small, const Fact *big)
{
        for (size_t k = 0; k < (s->n + 63) / 64; k++)
                for (uint64_t word = small->bits[k] & ~big->bits[k]; word; word &= word - 1)
                        if (s->state[k * 64 + (size_t)__builtin_ctzll(word)] == CANDIDATE_UNKNOWN)
                                return false;
        return true;
}

void doubt_weigh(const Isolate *s, const Fact *f, Doubt *d)
{
        memset(d, 0, sizeof(*d));
        for (size_t i = 0; i < s->n; i++)
                if (bits_has(f->bits, i) && s->state[i] != CANDIDATE_CONVICTED) {
                        size_t class = doubt_class(s->fails[i], s->passes[i]);

                        d->mass[class] += fmin(s->weight[i], WEIGHT_CAUGHT);
                        d->count[class]++;
                }
        d->mass[DOUBT_GONE] = f->gone;
        doubt_init(d, s->doubt);
}

typedef enum Verdict {
        VERDICT_OPEN,
        VERDICT_GUILTY, /* one of them */
        VERDICT_GONE,   /* whoever it was is gone */
} Verdict;

/* Is it as sure as it has to be who the culprit of a fact is? */
static Verdict fact_verdict(const Isolate *s, const Fact *f, size_t *ret_who)
{
        Doubt *d = malloc(sizeof(*d));
        Verdict verdict = VERDICT_OPEN;
        double most = 0;

        if (!d)
                return VERDICT_OPEN;
        doubt_weigh(s, f, d);
        for (size_t i = 0; i < s->n; i++)
                if (bits_has(f->bits, i) && s->state[i] != CANDIDATE_CONVICTED) {
                        double chance = fmin(s->weight[i], WEIGHT_CAUGHT) *
                                        d->each[doubt_class(s->fails[i], s->passes[i])];

                        if (chance > most) {
                                most = chance;
                                *ret_who = i;
                        }
                }
        if (most >= s->config.confidence)
                verdict = VERDICT_GUILTY;
        else if (d->each[DOUBT_GONE] * d->mass[DOUBT_GONE] >= s->config.confidence)
                verdict = VERDICT_GONE;
        free(d);
        return verdict;
}

static void convict_last(Isolate *s, const Fact *f, size_t i)
{
        if (f->named == i)
                s->confirmed = true;
        else if (f->named != NOBODY) {
                s->refuted = true; /* a message that is good was the only one in flight */
                for (size_t k = 0; k < s->n; k++)
                        isolate_unmark(s, k);
        }
        isolate_convict(s, i);
}

/* Draws what follows from one fact. Return: did anything change? *@ret_doubtful: nothing follows for sure. */
static bool conclude_one(Isolate *s, size_t k, bool *ret_doubtful)
{
        Fact *f = &s->facts[k];
        size_t last = 0, all, n;
        bool convicted;

        n = fact_count(s, f, &last, &convicted, &all);
        if (convicted || all == 0) {
                fact_drop(s, k);
                return true;
        }
        if (n == 0) {
                isolate_doubt(s);
                return true;
        }
        if (n == 1 || s->doubt) {
                switch (fact_verdict(s, f, &last)) {
                case VERDICT_GUILTY:
                        convict_last(s, f, last);
                        return true;
                case VERDICT_GONE:
                        fact_drop(s, k);
                        return true;
                case VERDICT_OPEN:
                        *ret_doubtful = true;
                        break;
                }
        }
        for (size_t j = 0; j < s->n_facts; j++)
                if (j != k && fact_implies(s, f, &s->facts[j])) {
                        fact_drop(s, j);
                        return true;
                }
        return false;
}

Fact *facts_conclude(Isolate *s)
{
        Fact *doubtful = NULL;
        bool again = true;

        while (again) {
                again = false;
                doubtful = NULL;
                for (size_t k = s->n_facts; k-- > 0 && !again;) {
                        bool is_doubtful = false;

                        again = conclude_one(s, k, &is_doubtful);
                        if (is_doubtful && !doubtful)
                                doubtful = &s->facts[k];
                }
        }
        return doubtful;
}
