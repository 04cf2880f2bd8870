/*
 * isolate_facts - what follows from failing trials
 *
 * Called by isolate_choose.c before each choice. A fact that a conviction explains goes; one that follows
 * from another goes; one whose members are all gone goes; one of which a single candidate is left convicts
 * it, if that is as sure as config.confidence asks; one whose members were all healthy somewhere means doubt.
 *
 * How sure is it? Where every culprit always fails, what one healthy trial released is good, and the last one
 * left is it. But it may be that one of the others, its rivals, is a culprit that fails now and then, and was
 * spared by accident. Only members of the same fact can be rivals, because a trial that splits a fact
 * releases nothing else of what was cleared; so they are few unless many trials in a row were healthy, which
 * is rare where culprits always fail, and the rule where they do not. Then a healthy run of everything but
 * the one left is needed before its conviction, or it has to show that it fails by itself.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <stdlib.h>
#include <string.h>

#define FLAKY_PRIOR 0.1   /* how often a culprit is flaky, before anything told */
#define PAIR_PRIOR  0.005 /* how often one fails only together with another */
#define RIVALS_MAX  3.0   /* times more likely than what is left: time to look there */

bool fact_is_explained(const Isolate *s, size_t k)
{
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->facts & fact_bit(k) && (b->state == CANDIDATE_CONVICTED || b->mark & MARK_HELD))
                        return true;
        return false;
}

void fact_drop(Isolate *s, size_t k)
{
        uint64_t below = fact_bit(k) - 1;

        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                b->facts = (b->facts & below) | (b->facts >> 1 & ~below);
        memmove(&s->facts[k], &s->facts[k + 1], (s->n_facts - k - 1) * sizeof(Fact));
        s->n_facts--;
        if (s->focus != NOBODY && s->focus >= k)
                s->focus = s->focus == k ? NOBODY : s->focus - 1;
}

/* Does @small being true make @big true? As to what is unknown. */
static bool fact_implies(const Isolate *s, size_t small, size_t big)
{
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->facts & fact_bit(small) && !(b->facts & fact_bit(big)) &&
                    b->state == CANDIDATE_UNKNOWN)
                        return false;
        return true;
}

/* Fact @k implies @j, which goes. Rivals are those that would explain both. */
static void fact_absorb(Isolate *s, size_t k, size_t j)
{
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->state == CANDIDATE_CLEARED && !(b->facts & fact_bit(j)))
                        b->facts &= ~fact_bit(k);
        if (s->facts[k].gone > s->facts[j].gone)
                s->facts[k].gone = s->facts[j].gone;
        fact_drop(s, j);
}

/* The members of a fact. */
typedef struct Members {
        size_t unknown, all;
        Block *last; /* an unknown one */
        bool convicted;
        double base, excess, top; /* weight, as in isolate_choose.c */
        /* Chances, not normalised: of those unknown, of their rivals now and after one more healthy run. */
        double own, rivals, rivals_then;
} Members;

static void count_members(const Isolate *s, size_t k, Members *m)
{
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                if (!(b->facts & fact_bit(k)))
                        continue;
                m->all += b->n;
                m->convicted = m->convicted || b->state == CANDIDATE_CONVICTED;
                m->base += base_of(b->weight) * b->n;
                m->excess += b->weight > 1 ? (b->weight - 1) * b->n : 0;
                m->top = b->weight - 1 > m->top ? b->weight - 1 : m->top;
                if (b->state == CANDIDATE_UNKNOWN) {
                        m->unknown += b->n;
                        m->last = b;
                }
        }
        m->base += s->facts[k].gone;
}

/* Culprits of one incident are of one kind: those that are known failed each time they were released. */
static double flaky_prior(const Isolate *s)
{
        double flaky = FLAKY_PRIOR;

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->state == CANDIDATE_CONVICTED)
                        flaky *= flaky_likelihood(b->fails, b->passes);
        return flaky / (flaky + 1 - FLAKY_PRIOR);
}

static void weigh_members(const Isolate *s, size_t k, Members *m)
{
        double prior = flaky_prior(s), trust = s->refuted ? 0 : trust_in(m->top),
               unit = (1 - trust) / m->base;
        double gone = s->facts[k].gone * unit * prior * flaky_likelihood(m->last->fails, 1);

        m->rivals = m->rivals_then = gone; /* a healthy run of the others tells nothing about them */
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                double w = unit * base_of(b->weight) * b->n;

                if (!(b->facts & fact_bit(k)))
                        continue;
                if (b->weight > 1)
                        w += trust * (b->weight - 1) * b->n / m->excess;
                if (b->state == CANDIDATE_UNKNOWN) {
                        m->own += w * (1 - prior + prior * flaky_likelihood(b->fails, b->passes));
                } else {
                        m->rivals += w * prior * flaky_likelihood(b->fails, b->passes);
                        if (!s->facts[k].joint && m->all > m->unknown + 1)
                                m->rivals += w * PAIR_PRIOR;
                        m->rivals_then += w * prior * flaky_likelihood(b->fails, b->passes + 1u);
                }
        }
}

static void convict_last(Isolate *s, size_t k, Block *b)
{
        if (s->facts[k].named == block_one(s, b))
                s->confirmed = true;
        else if (s->facts[k].named != NOBODY) {
                s->refuted = true; /* a message that is good was the only one in flight */
                for (size_t j = 0; j < s->n_blocks; j++)
                        block_unmark(&s->blocks[j]);
        }
        isolate_convict(s, b);
}

/* One or more are left, and healthy trials are taken for proof. */
static Conclusion weigh_rivals(Isolate *s, size_t k, Members *m, bool *ret_again)
{
        double few = 1 - s->config.confidence;

        weigh_members(s, k, m);
        if (m->unknown > 1)
                return m->rivals > RIVALS_MAX * m->own ? CONCLUSION_PROVE : CONCLUSION_NONE;
        if (s->facts[k].named == block_one(s, m->last) || m->rivals <= few * (m->own + m->rivals)) {
                convict_last(s, k, m->last);
                *ret_again = true;
                return CONCLUSION_NONE;
        }
        return m->rivals_then <= few * (m->own + m->rivals_then) ? CONCLUSION_CONTROL : CONCLUSION_PROVE;
}

static Conclusion in_doubt(Isolate *s, size_t k, bool *ret_again)
{
        bool gone = false;
        Block *who;

        if (!doubt_verdict(s, k, &who, &gone))
                return CONCLUSION_DOUBT;
        if (gone)
                fact_drop(s, k);
        else
                convict_last(s, k, who);
        *ret_again = true;
        return CONCLUSION_NONE;
}

/* Is anything but @b open? */
static bool any_open(const Isolate *s, const Block *except)
{
        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b != except && block_is_open(b))
                        return true;
        return false;
}

/*
 * The last one of fact @k waits for runs without it. If such runs fail, and rivals were in them: would there
 * have to be another culprit among ever fewer, or is one of the rivals behind it all?
 */
static bool rivals_explain_more(const Isolate *s, size_t k, const Members *m)
{
        double another = m->own;

        for (size_t j = 0; j < s->n_facts; j++) {
                size_t unknown = 0;
                bool rivals = false;

                for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                        if (!(b->facts & fact_bit(j)))
                                continue;
                        unknown += b->state == CANDIDATE_UNKNOWN ? b->n : 0;
                        rivals = rivals || (b->facts & fact_bit(k) && b->state == CANDIDATE_CLEARED);
                }
                if (j != k && rivals)
                        another *= ANOTHER * (double)unknown / (double)s->n;
        }
        return m->rivals > another;
}

/* Draws what follows from one fact. *@ret_again: something changed, look again. */
static Conclusion conclude_one(Isolate *s, size_t k, bool *ret_again)
{
        Members m = { 0 };
        Conclusion c;

        count_members(s, k, &m);
        if (m.convicted || m.all == 0) {
                fact_drop(s, k);
                *ret_again = true;
                return CONCLUSION_NONE;
        }
        if (m.unknown == 0) {
                doubt_begin(s);
                *ret_again = true;
                return CONCLUSION_NONE;
        }
        for (size_t j = 0; j < s->n_facts; j++)
                if (j != k && fact_implies(s, k, j)) {
                        fact_absorb(s, k, j);
                        *ret_again = true;
                        return CONCLUSION_NONE;
                }
        if (s->doubt)
                return in_doubt(s, k, ret_again);
        c = weigh_rivals(s, k, &m, ret_again);
        if (c == CONCLUSION_NONE || (m.unknown > 1 ? fact_is_explained(s, k) : m.last->mark & MARK_NAMED))
                return CONCLUSION_NONE; /* one that is caught in flight is proved in its own time */
        if (m.unknown > 1 || !any_open(s, m.last))
                return c;
        if (rivals_explain_more(s, k, &m))
                return CONCLUSION_PROVE;
        m.last->mark |= MARK_LEFT; /* there is more to be tried anyway, without it */
        return CONCLUSION_NONE;
}

Conclusion facts_conclude(Isolate *s, size_t *ret_fact)
{
        Conclusion found = CONCLUSION_NONE;
        bool again = true;

        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++)
                if (b->facts == 0) /* its fact was dropped for want of room: a control run finds it again */
                        b->mark &= (uint8_t)~MARK_LEFT;
        while (again) {
                again = false;
                found = CONCLUSION_NONE;
                for (size_t k = s->n_facts; k-- > 0 && !again;) {
                        Conclusion c = conclude_one(s, k, &again);

                        if (c != CONCLUSION_NONE && found == CONCLUSION_NONE) {
                                found = c;
                                *ret_fact = k;
                        }
                }
        }
        return found;
}
