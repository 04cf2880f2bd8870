/*
 * isolate - which messages are to blame
 *
 * Called by the engine. Keeps what trials have proven, and is told and asked by the functions of isolate.h; a
 * call that fails for want of memory changes nothing.
 *
 * Method: adaptive group testing. A failing trial is a fact: "one of these is a culprit". A healthy one
 * clears what it released. A fact of which one candidate is left convicts it, so in a world where culprits
 * always fail nobody is convicted without proof. Facts are split as in Hwang's generalized binary splitting
 * (1972), but by weight of evidence and at the chance of failure that tells most (Bayesian halving;
 * isolate_choose.c, isolate_model.c), because how many culprits there are is unknown. What was cleared is
 * released along with every later trial, so a pair that fails only together is found as by ddmin (Zeller and
 * Hildebrandt, 2002): the other half is present when the one is sought, and one of the two suffices.
 *
 * Bound: a trial that says healthy or failed tells at most one bit; C(n,d) possible sets of culprits need
 * log2 C(n,d) bits. Splits near one half waste less than 0.1 bits a culprit; not to know d costs -log2 of its
 * prior chance, one trial or two, the last control run included. If consumption shows (in random order), a
 * failure also places the culprit behind what was consumed: 1.44 bits more, so 1.8 bits a trial at equal
 * crashes. If messages in flight are known, a failure out of many names the culprit.
 *
 * When facts contradict (each member of one was healthy in some trial) culprits are flaky: then nothing is
 * cleared but what is gone, each healthy trial only makes its members less likely, and trials are repeated
 * until config.confidence is reached.
 *
 * Test: tests/unit/test_isolate.c, tests/bench/bench_isolate.c
 */
#include "decide/isolate_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVIDENCE_FACTOR 1000.0
#define STRONG_SHARE    0.9
#define UNREACHED       0.5 /* it survived without being reached: others first */

static int grow(void *array, size_t n, size_t size)
{
        void **p = array, *q = realloc(*p, n * size);

        if (!q)
                return -ENOMEM;
        *p = q;
        return 0;
}

static int grow_bits(uint64_t **bits, size_t from, size_t to)
{
        if (grow(bits, to, sizeof(**bits)) < 0)
                return -ENOMEM;
        memset(*bits + from, 0, (to - from) * sizeof(**bits));
        return 0;
}

int isolate_reserve(Isolate *s, size_t n)
{
        size_t room = s->room ? n + n / 2 : n, words;
        int r = 0;

        if (n <= s->room && s->room)
                return 0;
        if (room < 64)
                room = 64;
        words = (room + 63) / 64;
        if (room > UINT32_MAX || grow(&s->weight, room, sizeof(*s->weight)) < 0 ||
            grow(&s->order, room, sizeof(*s->order)) < 0 ||
            grow(&s->scratch, room, sizeof(*s->scratch)) < 0 || grow(&s->state, room, 1) < 0 ||
            grow(&s->mark, room, 1) < 0 || grow(&s->passes, room, 1) < 0 || grow(&s->fails, room, 1) < 0 ||
            grow_bits(&s->release, s->words, words) < 0 || grow_bits(&s->covered, s->words, words) < 0 ||
            grow_bits(&s->tmp, s->words, words) < 0 || grow_bits(&s->suspected, s->words, words) < 0)
                return -ENOMEM;
        for (size_t k = 0; k < s->n_facts && r == 0; k++)
                r = grow_bits(&s->facts[k].bits, s->words, words);
        if (r < 0)
                return r;
        s->room = room;
        s->words = words;
        return 0;
}

/* splitmix64: the same number for the same candidate of the same search. */
static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

static double weight_limit(double w)
{
        if (!(w > WEIGHT_MIN)) /* nor a NaN */
                return WEIGHT_MIN;
        return w < WEIGHT_MAX ? w : WEIGHT_MAX;
}

/* The permutation grows by one, so that it can be made again from seed and number. */
static void append(Isolate *s, double weight)
{
        size_t i = s->n++, j = mix(s->config.seed ^ mix(i)) % (i + 1);

        s->order[i] = s->order[j];
        s->order[j] = (uint32_t)i;
        s->weight[i] = weight_limit(weight);
        s->state[i] = CANDIDATE_UNKNOWN;
        s->mark[i] = 0;
        s->passes[i] = s->fails[i] = 0;
}

int isolate_new(Isolate **ret, const IsolateConfig *config, size_t n, const double *weights)
{
        size_t caught = 0, n_caught = 0;
        Isolate *s;

        if (config->confidence < 0 || config->confidence >= 1)
                return -EINVAL;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->config = *config;
        if (isolate_reserve(s, n) < 0) {
                isolate_free(s);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++) {
                append(s, weights ? weights[i] : 1);
                if (s->weight[i] >= WEIGHT_CAUGHT) {
                        caught = i;
                        n_caught++;
                }
        }
        s->inflight = (unsigned)n_caught;
        if (n > 0) {
                Fact *f = &s->facts[0];

                f->bits = calloc(s->words, sizeof(*f->bits));
                if (!f->bits) {
                        isolate_free(s);
                        return -ENOMEM;
                }
                for (size_t i = 0; i < n; i++)
                        bits_put(f->bits, i, true);
                memset(s->fails, 1, n);
                f->named = n_caught == 1 ? caught : NOBODY;
                s->n_facts = 1;
        }
        if (n_caught == 1)
                s->mark[caught] = MARK_CAUGHT | MARK_INITIAL;
        *ret = s;
        return 0;
}

Isolate *isolate_free(Isolate *s)
{
        if (!s)
                return NULL;
        for (size_t k = 0; k < s->n_facts; k++)
                free(s->facts[k].bits);
        free(s->weight);
        free(s->order);
        free(s->scratch);
        free(s->state);
        free(s->mark);
        free(s->passes);
        free(s->fails);
        free(s->release);
        free(s->covered);
        free(s->tmp);
        free(s->suspected);
        free(s);
        return NULL;
}

int isolate_add(Isolate *s, double weight)
{
        int r = isolate_reserve(s, s->n + 1);

        if (r < 0)
                return r;
        append(s, weight);
        s->mark[s->n - 1] = MARK_ARRIVED;
        bits_put(s->release, s->n - 1, true);
        bits_put(s->covered, s->n - 1, true);
        return 0;
}

void isolate_weigh(Isolate *s, size_t i, double factor)
{
        s->weight[i] = weight_limit(s->weight[i] * factor);
}

void isolate_unmark(Isolate *s, size_t i)
{
        s->mark[i] &= (uint8_t) ~(MARK_HELD | MARK_INITIAL);
}

void isolate_clear(Isolate *s, size_t i)
{
        if (s->state[i] == CANDIDATE_CONVICTED)
                return;
        s->state[i] = CANDIDATE_CLEARED;
        isolate_unmark(s, i);
        s->mark[i] |= MARK_GONE;
        for (size_t k = 0; k < s->n_facts; k++)
                if (bits_has(s->facts[k].bits, i)) {
                        s->facts[k].gone += s->weight[i] < 1 ? s->weight[i] : 1;
                        bits_put(s->facts[k].bits, i, false);
                }
}

void isolate_convict(Isolate *s, size_t i)
{
        s->state[i] = CANDIDATE_CONVICTED;
        isolate_unmark(s, i);
        s->controls = 0;
        for (size_t k = 0; k < s->n; k++) /* what failed so far, it explains */
                if (k != i && s->state[k] != CANDIDATE_CONVICTED)
                        s->fails[k] = 0;
}

void isolate_doubt(Isolate *s)
{
        s->doubt = true;
        s->controls = 0;
        for (size_t i = 0; i < s->n; i++)
                if (!(s->mark[i] & MARK_GONE)) {
                        if (s->state[i] == CANDIDATE_CONVICTED)
                                isolate_weigh(s, i, 10);
                        s->state[i] = CANDIDATE_UNKNOWN;
                        isolate_unmark(s, i);
                }
}

/* A healthy trial that this one was in. */
static void passed(Isolate *s, size_t i, unsigned times)
{
        s->passes[i] = (uint8_t)(s->passes[i] + times < PASSES_MAX ? s->passes[i] + times : PASSES_MAX);
        if (s->doubt || s->state[i] != CANDIDATE_UNKNOWN)
                return;
        s->state[i] = CANDIDATE_CLEARED;
        isolate_unmark(s, i);
}

/* How much of what was released is consumed before a failure; and how many are in flight. */
static void learn(Isolate *s, const TrialReport *t)
{
        size_t there = 0, eaten = 0, inflight = 0;

        for (size_t i = 0; i < s->n; i++)
                if (bits_has(s->release, i) && !(s->mark[i] & MARK_GONE)) {
                        there++;
                        eaten += bits_has(t->consumed, i);
                        inflight += bits_has(t->inflight, i);
                }
        if (t->consumption_seen && eaten > 0)
                s->consumption = true;
        if (!t->failed)
                return;
        s->inflight = (unsigned)inflight;
        if (t->consumption_seen && there > inflight + 3) {
                s->eaten += (double)eaten / (double)(there - inflight);
                s->n_eaten++;
        }
}

/* Those in flight at a failure gain weight, and one may stand out. Return: the only one, or NOBODY. */
static size_t take_inflight(Isolate *s, const TrialReport *t)
{
        size_t top = NOBODY, n = 0;
        double sum = 0;

        for (size_t i = 0; i < s->n; i++) {
                if (s->inflight == 0 && s->mark[i] & MARK_INITIAL) {
                        isolate_unmark(s, i); /* nothing confirms what the first evidence said */
                        s->weight[i] = 1;
                }
                if (!t->inflight || s->refuted || !bits_has(t->inflight, i) || !bits_has(s->release, i) ||
                    s->state[i] != CANDIDATE_UNKNOWN)
                        continue;
                isolate_weigh(s, i, EVIDENCE_FACTOR);
                sum += s->weight[i];
                n++;
                if (top == NOBODY || s->weight[i] > s->weight[top])
                        top = i;
        }
        if (top == NOBODY || s->doubt || s->weight[top] < STRONG_SHARE * sum)
                return NOBODY;
        s->mark[top] |= n == 1 && s->inflight == 1 ? MARK_CAUGHT : MARK_STRONG;
        return n == 1 && s->inflight == 1 ? top : NOBODY;
}

/* @bits becomes the fact's. */
static void add_fact(Isolate *s, uint64_t *bits, size_t named)
{
        for (size_t i = 0; i < s->n; i++)
                if (bits_has(s->release, i) && !(s->mark[i] & MARK_GONE) &&
                    s->state[i] != CANDIDATE_CONVICTED) {
                        bits_put(bits, i, true);
                        if (s->mark[i] & MARK_ARRIVED) /* it may be the one: a healthy trial is to show */
                                bits_put(s->covered, i, false);
                        s->fails[i] = (uint8_t)(s->fails[i] + (s->fails[i] < PASSES_MAX));
                }
        if (s->n_facts == FACTS_MAX) { /* a control run finds again what this one knew */
                free(s->facts[0].bits);
                memmove(&s->facts[0], &s->facts[1], (FACTS_MAX - 1) * sizeof(Fact));
                s->n_facts--;
        }
        s->facts[s->n_facts++] = (Fact){ .bits = bits, .named = named };
}

int isolate_feed(Isolate *s, const TrialReport *t)
{
        uint64_t *bits = NULL;
        bool control = true;

        if (!s->under_way)
                return -EINVAL;
        if (t->failed && !(bits = calloc(s->words, sizeof(*bits))))
                return -ENOMEM;
        s->under_way = false;
        s->failed = t->failed;
        learn(s, t);
        for (size_t i = 0; i < s->n; i++) {
                bool released = bits_has(s->release, i);

                if (bits_has(t->consumed, i))
                        isolate_clear(s, i);
                else if (bits_has(t->closed, i) && !bits_has(t->inflight, i))
                        passed(s, i, 2);
                else if (!t->failed && released && (!t->consumption_seen || bits_has(t->survived, i)))
                        passed(s, i, 1);
                else if (!t->failed && released && s->state[i] == CANDIDATE_UNKNOWN)
                        isolate_weigh(s, i, UNREACHED);
                if (!released && s->state[i] == CANDIDATE_UNKNOWN)
                        control = false;
        }
        if (t->failed) {
                s->controls = 0;
                add_fact(s, bits, take_inflight(s, t));
        } else {
                memcpy(s->covered, s->release, s->words * sizeof(*s->covered));
                s->controls += control;
        }
        return 0;
}

IsolateStep isolate_next(Isolate *s, const uint64_t **ret_release)
{
        IsolateStep step = ISOLATE_TRIAL;

        if (!s->under_way) {
                step = isolate_choose(s);
                s->under_way = step == ISOLATE_TRIAL;
                s->trials += s->under_way;
                for (size_t i = 0; i < s->n && !s->under_way; i++) /* the outcome: what may be released */
                        bits_put(s->release, i,
                                 s->state[i] == CANDIDATE_CLEARED ||
                                         (step == ISOLATE_DONE && s->state[i] == CANDIDATE_UNKNOWN));
        }
        *ret_release = s->release;
        return step;
}

void isolate_void(Isolate *s)
{
        (void)s; /* the trial stays the one under way */
}

size_t isolate_n(const Isolate *s)
{
        return s->n;
}

CandidateState isolate_state(const Isolate *s, size_t i)
{
        return (CandidateState)s->state[i];
}

double isolate_weight(const Isolate *s, size_t i)
{
        return s->weight[i];
}

unsigned isolate_trials(const Isolate *s)
{
        return s->trials;
}

size_t isolate_open(const Isolate *s)
{
        size_t open = 0;

        for (size_t i = 0; i < s->n; i++)
                open += s->state[i] == CANDIDATE_UNKNOWN;
        return open;
}
