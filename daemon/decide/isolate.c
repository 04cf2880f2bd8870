/*
 * isolate - which messages are to blame
 *
 * Called by the engine. Keeps what trials have proven, and is told and asked by the functions of isolate.h; a
 * call that fails for want of memory changes nothing that it cannot do without.
 *
 * Method: adaptive group testing. A failing trial is a fact: "one of these is a culprit". A healthy one
 * clears what it released. A fact of which one candidate is left convicts it (isolate_facts.c), so in a world
 * where culprits always fail nobody is convicted without proof. Facts are split as in Hwang's generalized
 * binary splitting (1972), but by weight of evidence and at the chance of failure that tells most (Bayesian
 * halving; isolate_choose.c, isolate_model.c), because how many culprits there are is unknown. A trial that
 * splits a fact releases members of that fact only: so what it says is about them, even if a culprit was
 * cleared by accident. When facts contradict (each member of one was healthy in some trial) culprits are
 * flaky, or fail only together: then nothing is cleared but what is gone, each trial makes candidates more or
 * less likely, and trials are repeated until config.confidence is reached (isolate_doubt.c; noisy Bayesian
 * search; for messages that fail only together, what is taken out of the failing set is varied, as in
 * Zeller's and Hildebrandt's ddmin, 2002).
 *
 * Bound: a trial that says healthy or failed tells at most one bit; C(n,d) possible sets of culprits need
 * log2 C(n,d) bits. Splits near one half waste less than 0.1 bits a culprit; not to know d costs -log2 of its
 * prior chance, one trial or two, the last control run included. If consumption shows (in random order), a
 * failure also places the culprit behind what was consumed: 1.44 bits more, so at most log2(1 + e) = 1.90
 * bits a trial, when three of four trials fail; at equal crashes 1.72. What that leaves possible for one
 * culprit is computed exactly by tests/bench/bench_isolate.c. If messages in flight are known, a failure out
 * of many names the culprit. A culprit that fails with chance p in each trial: the capacity of the Z-channel,
 * log2(1 + p (1-p)^((1-p)/p)) bits a trial, 0.50 for p = 0.7 and 0.18 for p = 0.3; then control runs until a
 * second one like it would have shown.
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

/* Everything failed: the fact that every search begins with. */
static void first_fact(Isolate *s)
{
        Block *caught = NULL;
        size_t n_caught = 0;

        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                b->facts = fact_bit(0);
                b->fails = 1;
                if (b->weight >= WEIGHT_CAUGHT) {
                        n_caught += b->n;
                        caught = b;
                }
        }
        s->inflight = (unsigned)n_caught;
        s->n_facts = s->n > 0;
        s->facts[0] = (Fact){ .named = NOBODY };
        if (n_caught == 1) {
                s->facts[0].named = block_one(s, caught);
                caught->mark = MARK_CAUGHT | MARK_INITIAL;
        }
}

int isolate_new(Isolate **ret, const IsolateConfig *config, size_t n, const double *weights)
{
        Isolate *s;

        if (!(config->confidence >= 0.5 && config->confidence < 1))
                return -EINVAL;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->config = *config;
        s->focus = NOBODY;
        if (blocks_reserve(s, n, 64) < 0) {
                isolate_free(s);
                return -ENOMEM;
        }
        s->n = s->n_first = n;
        if (blocks_init(s, weights) < 0) {
                isolate_free(s);
                return -ENOMEM;
        }
        first_fact(s);
        *ret = s;
        return 0;
}

Isolate *isolate_free(Isolate *s)
{
        if (!s)
                return NULL;
        blocks_deinit(s);
        free(s);
        return NULL;
}

int isolate_add(Isolate *s, double weight)
{
        Block *b;
        int r = blocks_append(s, weight);

        if (r < 0)
                return r;
        b = &s->blocks[s->n_blocks - 1];
        b->mark = MARK_ARRIVED;
        b->released = b->covered = b->wanted = true;
        bits_put(s->release, s->n - 1, true);
        blocks_merge(s);
        return 0;
}

void isolate_weigh(Isolate *s, size_t i, double factor)
{
        Block *b = block_isolate(s, i);

        if (b)
                b->weight = weight_limit(b->weight * factor);
}

void isolate_clear(Isolate *s, size_t i)
{
        Block *b = block_of(s, i);

        if (!b || b->state == CANDIDATE_CONVICTED)
                return;
        b = block_isolate(s, i);
        if (b)
                block_drop(s, b, 1);
        blocks_merge(s);
}

void isolate_convict(Isolate *s, Block *b)
{
        b->state = CANDIDATE_CONVICTED;
        block_unmark(b);
        s->controls = 0;
        for (Block *o = s->blocks; o < s->blocks + s->n_blocks;
             o++) /* the facts that it is in, it explains */
                if (o->state != CANDIDATE_CONVICTED && !(o->facts & ~b->facts)) {
                        o->fails = 0;
                        o->together = 0;
                }
}

/* A healthy trial that these were in. */
static void passed(const Isolate *s, Block *b, unsigned times)
{
        b->passes = (uint8_t)(b->passes + times < PASSES_MAX ? b->passes + times : PASSES_MAX);
        if (s->doubt || b->state != CANDIDATE_UNKNOWN)
                return;
        b->state = CANDIDATE_CLEARED;
        block_unmark(b);
}

/* How much of what was released is consumed before a failure; and how many are in flight. */
static void learn(Isolate *s, const TrialReport *t)
{
        size_t there = 0, eaten = 0, inflight = 0;
        bool told = t->consumed || t->inflight;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                for (size_t k = b->first; told && b->released && k < (size_t)b->first + b->n; k++) {
                        there++;
                        eaten += bits_has(t->consumed, s->order[k]);
                        inflight += bits_has(t->inflight, s->order[k]);
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

/* Splits off those in @bits. Return: their block, or NULL. */
static Block *apart(Isolate *s, Block *b, const uint64_t *bits)
{
        size_t n = bits && b->n > 0 ? block_partition(s, b, bits) : 0;

        return n > 0 ? block_split(s, b, n) : NULL;
}

/* Those in flight at a failure gain weight, and one may stand out. Return: the only one, or NOBODY. */
static size_t take_inflight(Isolate *s, const TrialReport *t)
{
        Block *top = NULL;
        size_t n = 0, one;
        double sum = 0;

        for (size_t k = s->n_blocks; k-- > 0;) {
                Block *b = &s->blocks[k];

                if (s->inflight == 0 && b->mark & MARK_INITIAL) {
                        block_unmark(b); /* nothing confirms what the first evidence said */
                        b->weight = 1;
                }
                if (s->refuted || !b->released || b->state != CANDIDATE_UNKNOWN)
                        continue;
                b = apart(s, b, t->inflight);
                if (!b)
                        continue;
                b->weight = weight_limit(b->weight * EVIDENCE_FACTOR);
                sum += b->weight * b->n;
                n += b->n;
        }
        for (size_t k = 0; n > 0 && k < s->n_blocks; k++) {
                Block *b = &s->blocks[k];

                if (b->n > 0 && b->released && b->state == CANDIDATE_UNKNOWN &&
                    bits_has(t->inflight, s->order[b->first]) && (!top || b->weight > top->weight))
                        top = b;
        }
        if (!top || top->n > 1 || s->doubt || top->weight < STRONG_SHARE * sum)
                return NOBODY;
        one = n == 1 && s->inflight == 1 ? block_one(s, top) : NOBODY;
        top->mark |= one != NOBODY ? MARK_CAUGHT : MARK_STRONG;
        return one;
}

/* What was opened and closed before did not make it fail. */
static bool is_spared(const Isolate *s, const Block *b, const TrialReport *t)
{
        size_t i = block_one(s, b); /* as all of them */

        return bits_has(t->closed, i) && !bits_has(t->inflight, i);
}

static void add_fact(Isolate *s, const TrialReport *t, size_t named)
{
        if (s->n_facts == FACTS_MAX) /* a control run finds again what this one knew */
                fact_drop(s, 0);
        s->facts[s->n_facts] = (Fact){ .named = named };
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->n > 0 && b->released && b->state != CANDIDATE_CONVICTED && !is_spared(s, b, t)) {
                        b->facts |= fact_bit(s->n_facts);
                        if (b->mark & MARK_ARRIVED) /* it may be the one: a healthy trial is to show */
                                b->covered = false;
                        b->fails = (uint8_t)(b->fails + (b->fails < PASSES_MAX));
                }
        s->n_facts++;
}

/* Those that were opened and closed. Return: are these all of the block? */
static bool take_closed(Isolate *s, Block *b, const TrialReport *t)
{
        Block *part = apart(s, b, t->closed);
        size_t open = part && t->inflight ? block_partition(s, part, t->inflight) : 0;

        if (part && open < part->n) {
                (void)block_split(s, part, open);
                passed(s, part, 2);
        }
        return part == b;
}

/* Tells apart what the trial told apart, and what follows for each. From the end: what a block leaves behind
 * it is done. */
static void take_parts(Isolate *s, const TrialReport *t)
{
        for (size_t k = s->n_blocks; k-- > 0;) {
                Block *b = &s->blocks[k], *part = b;

                if (t->consumed && b->state != CANDIDATE_CONVICTED)
                        block_drop(s, b, block_partition(s, b, t->consumed));
                if (b->n == 0 || take_closed(s, b, t) || t->failed || !b->released)
                        continue;
                if (t->consumption_seen)
                        part = apart(s, b, t->survived);
                if (part != b && b->state == CANDIDATE_UNKNOWN)
                        b->weight = weight_limit(b->weight * UNREACHED);
                if (part)
                        passed(s, part, 1);
        }
}

/* After a healthy trial: which facts had all members at once that are cleared? */
static void note_joint(Isolate *s)
{
        for (size_t k = 0; k < s->n_facts; k++)
                s->facts[k].joint = true;
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                for (uint64_t f = b->facts; f && b->state == CANDIDATE_CLEARED && !b->released; f &= f - 1)
                        s->facts[__builtin_ctzll(f)].joint = false;
}

int isolate_feed(Isolate *s, const TrialReport *t)
{
        bool control = true;

        if (!s->under_way)
                return -EINVAL;
        /* Each block may fall into four: closed, in flight, survived, and the rest. */
        if (blocks_reserve(s, s->n, s->n_blocks * 4 + 8) < 0)
                return -ENOMEM;
        s->under_way = false;
        s->failed = t->failed;
        s->healthy = t->failed ? 0 : s->healthy + 1;
        learn(s, t);
        if (s->doubt)
                doubt_learn(s, t->failed);
        take_parts(s, t);
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                if (!t->failed)
                        b->covered = b->released;
                if (b->n > 0 && !b->released && b->state == CANDIDATE_UNKNOWN)
                        control = false;
        }
        if (t->failed) {
                s->controls = 0;
                for (size_t k = 0; k < s->n_facts;
                     k++) /* what is gone does not explain this failure as well */
                        s->facts[k].gone = 0;
                add_fact(s, t, take_inflight(s, t));
        } else {
                s->controls += control;
                note_joint(s);
        }
        blocks_merge(s);
        return 0;
}

IsolateStep isolate_next(Isolate *s, const uint64_t **ret_release)
{
        IsolateStep step = ISOLATE_TRIAL;

        if (!s->under_way) {
                step = isolate_choose(s);
                s->under_way = step == ISOLATE_TRIAL;
                s->trials += s->under_way;
                for (Block *b = s->blocks; b < s->blocks + s->n_blocks && !s->under_way; b++)
                        b->wanted = b->state == CANDIDATE_CLEARED || /* the outcome: what may be released */
                                    (step == ISOLATE_DONE && b->state == CANDIDATE_UNKNOWN);
                blocks_release(s);
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
        const Block *b = block_of(s, i);

        return b ? (CandidateState)b->state : CANDIDATE_CLEARED;
}

double isolate_weight(const Isolate *s, size_t i)
{
        const Block *b = block_of(s, i);

        return b ? b->weight : 1;
}

unsigned isolate_trials(const Isolate *s)
{
        return s->trials;
}

size_t isolate_open(const Isolate *s)
{
        size_t open = 0;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                open += b->state == CANDIDATE_UNKNOWN ? b->n : 0;
        return open;
}
