#pragma once

/*
 * What the parts of the search share: isolate.c keeps the facts, isolate_blocks.c the candidates,
 * isolate_facts.c concludes, isolate_choose.c and isolate_doubt.c name the next set, isolate_model.c counts
 * chances, isolate_save.c writes it all down. Nobody else includes this.
 */

#include "decide/isolate.h"

#define MARK_LEFT    1u  /* the last of a fact, but not sure enough: held, runs of all others are to tell */
#define MARK_CAUGHT  2u  /* alone in flight when a trial failed: held back, convicted on that evidence */
#define MARK_STRONG  4u  /* stands out among those in flight: held back until its proof */
#define MARK_INITIAL 8u  /* caught by the evidence before the search only */
#define MARK_ARRIVED 16u /* while the search ran: lies in the store unless it is held back on purpose */
#define MARK_NAMED   (MARK_CAUGHT | MARK_STRONG)
#define MARK_HELD    (MARK_NAMED | MARK_LEFT)

#define WEIGHT_CAUGHT   1000.0 /* held open at a failure */
#define WEIGHT_MIN      1e-6
#define WEIGHT_MAX      1e12
#define TRUST_HALF      50.0 /* excess weight at which evidence is as good as none */
#define ANOTHER         0.3  /* the chance that one culprit has company */
#define FACTS_MAX       64
#define NOBODY          SIZE_MAX
#define GONE            UINT32_MAX /* the place of a candidate that is consumed, or good for sure */
#define MODEL_RATES     36
#define MODEL_FLAKINESS 10
#define PASSES_MAX      250

/*
 * Candidates of which exactly the same is known. Trials tell candidates apart, so there are about as many
 * blocks as there were trials, whatever the number of candidates: nearly all the work is on blocks.
 */
typedef struct Block {
        uint32_t first, n;     /* members: order[first] and the n - 1 behind it */
        double weight;         /* of each member */
        double together;       /* in doubt: the chance of what was seen if it fails only along with others */
        uint64_t facts;        /* bit k: members of fact k */
        uint8_t state, mark;   /* CandidateState; MARK_ */
        uint8_t passes, fails; /* healthy and unexplained failing trials they were in */
        bool released;         /* in the trial under way, or in the last */
        bool covered;          /* released in the last healthy trial */
        bool wanted;           /* to be released next */
} Block;

/* At least one of its members is a culprit: they were released and it failed. */
typedef struct Fact {
        double gone;  /* weight of members that are gone since: one of them may have been it */
        size_t named; /* the one that was in flight, or NOBODY */
        bool joint;   /* the last healthy trial had all that are cleared of it at once */
} Fact;

struct Isolate {
        IsolateConfig config;
        size_t n, n_first; /* candidates, and those of the beginning: they are shuffled */
        size_t room, words;
        uint32_t *order;   /* members, block by block; a block's own keep their order for ever */
        uint32_t *place;   /* of each candidate in @order, or GONE */
        uint32_t *scratch; /* as long as @order */
        uint64_t *release; /* bits: the blocks' @released, for the caller */
        Block *blocks;     /* by @first */
        size_t n_blocks, blocks_room;
        Fact facts[FACTS_MAX];
        size_t n_facts;
        size_t focus;              /* in doubt: the fact that the trial under way is about, or NOBODY */
        double gone;               /* weight that is gone */
        unsigned trials, controls; /* controls: healthy control runs in a row */
        unsigned healthy;          /* healthy trials in a row */
        double eaten;              /* share consumed before a failure, summed */
        unsigned n_eaten, inflight;
        bool under_way, failed /* the last trial */, doubt, confirmed, refuted, consumption;
};

/* How many culprits there may be: chances of the rate at which they occur, given what is known. */
typedef struct Model {
        double chance[MODEL_RATES], rate[MODEL_RATES];
} Model;

static inline bool bits_has(const uint64_t *bits, size_t i)
{
        return bits && (bits[i / 64] >> (i % 64) & 1);
}

static inline void bits_put(uint64_t *bits, size_t i, bool value)
{
        if (value)
                bits[i / 64] |= UINT64_C(1) << (i % 64);
        else
                bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline uint64_t fact_bit(size_t k)
{
        return UINT64_C(1) << k;
}

/* The chance that evidence is right, whose heaviest weighs so much more than others. */
static inline double trust_in(double top)
{
        return top / (top + TRUST_HALF);
}

/* How much a member weighs as one among many: evidence counts apart. */
static inline double base_of(double w)
{
        return w < 1 ? w : 1;
}

/* isolate_model.c: shares are of the weight of all candidates. */
void model_init(Model *m, double convicted, double cleared, double defective);
double model_pass(const Model *m, double released, double defective, double others);
double model_more(const Model *m);
double information(double p);
double gain_consumed(double count);
double gain_inflight(double entropy, double share);
/* The chance that a culprit which fails now and then did so @fails times and not @passes times. */
double flaky_likelihood(unsigned fails, unsigned passes);
/* How often it fails, the k-th possibility of MODEL_FLAKINESS; and the chance of that and of what
 * was seen. */
double flakiness(size_t k);
double flaky_joint(size_t k, unsigned fails, unsigned passes);
/* Healthy control runs that are needed to believe that there is no other, for a culprit seen
 * @fails, @passes. */
unsigned flaky_controls(double confidence, unsigned fails, unsigned passes);

/* isolate_blocks.c */
int blocks_init(Isolate *s, const double *weights);
void blocks_deinit(Isolate *s);
/* Room for @n candidates, and for @blocks more blocks. */
int blocks_reserve(Isolate *s, size_t n, size_t blocks);
int blocks_append(Isolate *s, double weight);
/* The block of a candidate, or NULL if it is gone. */
Block *block_of(const Isolate *s, size_t i);
/* The only member. */
static inline size_t block_one(const Isolate *s, const Block *b)
{
        return s->order[b->first];
}
/* Brings the members that are in @bits to the end. Return: their number. */
size_t block_partition(Isolate *s, const Block *b, const uint64_t *bits);
/* The last @n members become a block of their own behind it, which is returned (@b itself if it is all). */
Block *block_split(Isolate *s, Block *b, size_t n);
/* A candidate becomes a block of its own. Return: NULL if it is gone, or for want of memory. */
Block *block_isolate(Isolate *s, size_t i);
/* The last @n members are gone. An empty block stays until the next merge. */
void block_drop(Isolate *s, Block *b, size_t n);
/* Arrivals that are alike become one, empty blocks go. Pointers and indices become void. */
void blocks_merge(Isolate *s);
/* Makes @released and the bits what is wanted. */
void blocks_release(Isolate *s);
double weight_limit(double w);

/* isolate.c */
void isolate_convict(Isolate *s, Block *b);

static inline void block_unmark(Block *b)
{
        b->mark &= (uint8_t) ~(MARK_HELD | MARK_INITIAL);
}

/* May it be released without a reason: neither convicted nor held by a mark, and not known to be good? */
static inline bool block_is_open(const Block *b)
{
        return b->state == CANDIDATE_UNKNOWN && !(b->mark & MARK_HELD);
}

/* isolate_facts.c */
typedef enum Conclusion {
        CONCLUSION_NONE,
        CONCLUSION_CONTROL, /* one is left, and a healthy run of all others makes it sure enough */
        CONCLUSION_PROVE, /* those left are so few, or so often spared, that they must show that they fail */
        CONCLUSION_DOUBT, /* healthy trials are no proof */
} Conclusion;

bool fact_is_explained(const Isolate *s, size_t k);
void fact_drop(Isolate *s, size_t k);
/* Draws what follows. *@ret_fact: which one the conclusion is about. */
Conclusion facts_conclude(Isolate *s, size_t *ret_fact);

/* isolate_doubt.c */
/* Trials contradict each other: nothing that only a healthy trial cleared is cleared any more. */
void doubt_begin(Isolate *s);
/* Is it as sure as it has to be who the culprit of fact @k is, or that it is gone? Else 0. */
int doubt_verdict(const Isolate *s, size_t k, Block **ret_who, bool *ret_gone);
/* Wants the most telling part of a fact. */
void doubt_choose(Isolate *s);
/* What the trial under way tells about those that fail only together. Before anything else is changed. */
void doubt_learn(Isolate *s, bool failed);
IsolateStep doubt_control(Isolate *s);
/* The budget is spent: all are cleared but those that the culprit of fact @k (or NOBODY) is most probably
 * among. */
void doubt_give_up(Isolate *s, size_t k);

/* isolate_choose.c: draws the conclusions, fills `wanted`, and says what to do. */
IsolateStep isolate_choose(Isolate *s);
