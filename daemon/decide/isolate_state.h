#pragma once

/*
 * What the parts of the search share: isolate.c keeps the facts, isolate_choose.c names the next set,
 * isolate_model.c counts chances, isolate_save.c writes it all down. Nobody else includes this.
 */

#include "decide/isolate.h"

#define MARK_GONE    1u  /* consumed, or an outside fact: not in the store any more, or good for sure */
#define MARK_CAUGHT  2u  /* alone in flight when a trial failed: held back, convicted on that evidence */
#define MARK_STRONG  4u  /* stands out among those in flight: held back until its proof */
#define MARK_INITIAL 8u  /* caught by the evidence before the search only */
#define MARK_ARRIVED 16u /* while the search ran: lies in the store unless it is held back on purpose */
#define MARK_HELD    (MARK_CAUGHT | MARK_STRONG)

#define WEIGHT_CAUGHT   1000.0 /* held open at a failure */
#define WEIGHT_MIN      1e-6
#define WEIGHT_MAX      1e12
#define FACTS_MAX       64
#define NOBODY          SIZE_MAX
#define MODEL_RATES     36
#define MODEL_FLAKINESS 10
#define PASSES_MAX      63
#define DOUBT_CLASSES   (64 * 64)
#define DOUBT_GONE      DOUBT_CLASSES

/* At least one of these is a culprit: they were released and it failed. Marked gone: no more members. */
typedef struct Fact {
        uint64_t *bits;
        double gone;  /* weight of members that are gone since: one of them may have been it */
        size_t named; /* the one that was in flight, or NOBODY */
} Fact;

struct Isolate {
        IsolateConfig config;
        size_t n, room, words; /* words: allocated in each bit vector */
        double *weight;
        uint32_t *order;                        /* a random permutation: in which order equals are taken */
        uint32_t *scratch;                      /* members of the set at hand */
        uint8_t *state, *mark, *passes, *fails; /* healthy and unexplained failing trials it was in */
        uint64_t *release;                      /* of the trial under way, or of the last */
        uint64_t *covered;                      /* released in the last healthy trial */
        uint64_t *tmp, *suspected;              /* scratch: the set at hand, members of any open fact */
        Fact facts[FACTS_MAX];
        size_t n_facts;
        unsigned trials, controls; /* controls: healthy control runs in a row */
        double eaten;              /* share consumed before a failure, summed */
        unsigned n_eaten, inflight;
        bool under_way, failed /* the last trial */, doubt, confirmed, refuted, consumption;
};

/* How many culprits there may be: chances of the rate at which they occur, given what is known. */
typedef struct Model {
        double chance[MODEL_RATES];
} Model;

/*
 * Where a flaky culprit sits: members of a fact by how many failing and healthy trials they were in; the last
 * class is those that are gone.
 */
typedef struct Doubt {
        double mass[DOUBT_CLASSES + 1];
        uint32_t count[DOUBT_CLASSES + 1];
        double joint[DOUBT_CLASSES + 1][MODEL_FLAKINESS]; /* chance to sit there, and to fail so often */
        double each[DOUBT_CLASSES + 1];                   /* of one member of weight 1 */
        uint16_t rank[DOUBT_CLASSES];                     /* classes that have members, likely ones first */
        size_t n_ranks;
} Doubt;

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

/* isolate_model.c: shares are of the weight of all candidates. */
void model_init(Model *m, double convicted, double cleared, double defective);
double model_pass(const Model *m, double released, double defective, double others);
double model_more(const Model *m);
double information(double p);
double gain_consumed(double count);
double gain_inflight(double entropy, double share);
/* From mass and count; @doubt: is it known that there is flakiness? */
void doubt_init(Doubt *d, bool doubt);
/* The most telling part: the first *@ret_rank classes, and *@ret_count members of the next. */
void doubt_split(const Doubt *d, size_t *ret_rank, size_t *ret_count);
static inline size_t doubt_class(unsigned fails, unsigned passes)
{
        return (size_t)fails * 64 + passes;
}
/* Healthy control runs that are needed to believe that there is no other, for a culprit seen @fails, @passes.
 */
unsigned doubt_controls(double confidence, unsigned fails, unsigned passes);

/* isolate.c */
int isolate_reserve(Isolate *s, size_t n);
void isolate_convict(Isolate *s, size_t i);
/* Trials contradict each other: nothing that only a healthy trial cleared is cleared any more. */
void isolate_doubt(Isolate *s);
void isolate_unmark(Isolate *s, size_t i);

/* May it be released without a reason: neither convicted nor held by a mark, and not known to be good? */
static inline bool isolate_is_open(const Isolate *s, size_t i)
{
        return s->state[i] == CANDIDATE_UNKNOWN && !(s->mark[i] & MARK_HELD);
}

/* isolate_facts.c */
bool fact_is_explained(const Isolate *s, const Fact *f);
/* Candidates still unknown in it; with one left, which; and all that are not gone. */
size_t fact_count(const Isolate *s, const Fact *f, size_t *ret_last, bool *ret_convicted, size_t *ret_all);
/* Where in a fact the culprit may sit, if healthy trials are no proof. */
void doubt_weigh(const Isolate *s, const Fact *f, Doubt *d);
/* Return: the newest fact that healthy trials alone cannot settle, or NULL. */
Fact *facts_conclude(Isolate *s);

/* isolate_choose.c: draws the conclusions, fills s->release, and says what to do. */
IsolateStep isolate_choose(Isolate *s);
