/*
 * isolate - which messages are to blame
 *
 * Adaptive group testing by halves: one defective set (known to hold a culprit) is split by weight until one candidate is
 * left; it is convicted; a control run releases all that is still unknown. Messages in flight at a failure gain weight.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INFLIGHT_FACTOR 1000.0

struct Isolate {
        IsolateConfig config;
        size_t n, allocated, n_words;
        double *weight;
        uint8_t *state;
        uint64_t *defective; /* known to hold a culprit */
        uint64_t *release;   /* of the trial under way */
        bool has_defective, under_way, verified;
        unsigned trials;
};

static bool has(const uint64_t *bits, size_t i)
{
        return bits && (bits[i / 64] >> (i % 64) & 1);
}

static void put(uint64_t *bits, size_t i, bool value)
{
        if (value)
                bits[i / 64] |= UINT64_C(1) << (i % 64);
        else
                bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static int reserve(Isolate *s, size_t n)
{
        size_t room = n < 64 ? 64 : n * 2, words = (room + 63) / 64;
        void *p;

        if (n <= s->allocated)
                return 0;
        if (!(p = realloc(s->weight, room * sizeof(double))))
                return -ENOMEM;
        s->weight = p;
        if (!(p = realloc(s->state, room)))
                return -ENOMEM;
        s->state = p;
        if (!(p = realloc(s->defective, words * 8)))
                return -ENOMEM;
        s->defective = p;
        if (!(p = realloc(s->release, words * 8)))
                return -ENOMEM;
        s->release = p;
        memset(s->defective + s->n_words, 0, (words - s->n_words) * 8);
        memset(s->release + s->n_words, 0, (words - s->n_words) * 8);
        s->n_words = words;
        s->allocated = room;
        return 0;
}

int isolate_new(Isolate **ret, const IsolateConfig *config, size_t n, const double *weights)
{
        Isolate *s = calloc(1, sizeof(*s));

        if (!s || reserve(s, n ? n : 1) < 0) {
                isolate_free(s);
                return -ENOMEM;
        }
        s->config = *config;
        for (size_t i = 0; i < n; i++) {
                s->weight[i] = weights ? weights[i] : 1;
                s->state[i] = CANDIDATE_UNKNOWN;
                put(s->defective, i, true);
        }
        s->n = n;
        s->has_defective = n > 0;
        *ret = s;
        return 0;
}

Isolate *isolate_free(Isolate *s)
{
        if (!s)
                return NULL;
        free(s->weight);
        free(s->state);
        free(s->defective);
        free(s->release);
        free(s);
        return NULL;
}

int isolate_add(Isolate *s, double weight)
{
        int r = reserve(s, s->n + 1);

        if (r < 0)
                return r;
        s->weight[s->n] = weight;
        s->state[s->n] = CANDIDATE_UNKNOWN;
        put(s->release, s->n, true);
        s->n++;
        return 0;
}

void isolate_weigh(Isolate *s, size_t i, double factor)
{
        s->weight[i] *= factor;
}

void isolate_clear(Isolate *s, size_t i)
{
        if (s->state[i] == CANDIDATE_UNKNOWN)
                s->state[i] = CANDIDATE_CLEARED;
        put(s->defective, i, false);
}

static size_t defective_count(const Isolate *s, size_t *last, double *mass)
{
        size_t count = 0;

        *mass = 0;
        for (size_t i = 0; i < s->n; i++)
                if (has(s->defective, i) && s->state[i] == CANDIDATE_UNKNOWN) {
                        count++;
                        *last = i;
                        *mass += s->weight[i];
                }
        return count;
}

static int lighter(const void *a, const void *b, void *userdata)
{
        const Isolate *s = userdata;
        size_t x = *(const size_t *)a, y = *(const size_t *)b;

        if (s->weight[x] != s->weight[y])
                return s->weight[x] < s->weight[y] ? -1 : 1;
        return x < y ? -1 : x > y;
}

/* Releases the lighter half (by weight) of the defective set, and everything that is cleared. */
static int split(Isolate *s, size_t count, double mass)
{
        size_t *order = malloc(count * sizeof(*order)), k = 0, taken = 0;
        double sum = 0;

        if (!order)
                return -ENOMEM;
        for (size_t i = 0; i < s->n; i++) {
                bool in = has(s->defective, i) && s->state[i] == CANDIDATE_UNKNOWN;

                if (in)
                        order[k++] = i;
                put(s->release, i, s->state[i] == CANDIDATE_CLEARED);
        }
        qsort_r(order, count, sizeof(*order), lighter, s);
        for (k = 0; k + 1 < count && (taken == 0 || sum + s->weight[order[k]] <= mass / 2); k++, taken++) {
                sum += s->weight[order[k]];
                put(s->release, order[k], true);
        }
        free(order);
        return 0;
}

IsolateStep isolate_next(Isolate *s, const uint64_t **ret_release)
{
        size_t count, last = 0;
        double mass;

        *ret_release = s->release;
        if (s->under_way)
                return ISOLATE_TRIAL;
        count = defective_count(s, &last, &mass);
        if (s->has_defective && count == 1) {
                s->state[last] = CANDIDATE_CONVICTED;
                s->has_defective = false;
                memset(s->defective, 0, s->n_words * 8);
        }
        if (s->verified && !s->has_defective)
                return ISOLATE_DONE;
        if (s->trials >= s->config.max_trials || (s->has_defective && count == 0))
                return ISOLATE_GAVE_UP;
        if (s->has_defective) {
                if (split(s, count, mass) < 0)
                        return ISOLATE_GAVE_UP;
        } else {
                for (size_t i = 0; i < s->n; i++)
                        put(s->release, i, s->state[i] != CANDIDATE_CONVICTED);
        }
        s->trials++;
        s->under_way = true;
        return ISOLATE_TRIAL;
}

int isolate_feed(Isolate *s, const TrialReport *t)
{
        bool all = true;

        s->under_way = false;
        for (size_t i = 0; i < s->n; i++) {
                bool released = has(s->release, i), gone = has(t->consumed, i);
                bool good = gone || has(t->closed, i);

                if (s->state[i] == CANDIDATE_UNKNOWN && !released)
                        all = false;
                if (!t->failed && released && (!t->consumption_seen || !t->survived || has(t->survived, i)))
                        good = true;
                if (good && s->state[i] == CANDIDATE_UNKNOWN)
                        isolate_clear(s, i);
                if (t->failed)
                        put(s->defective, i, released && s->state[i] == CANDIDATE_UNKNOWN);
                if (t->failed && has(t->inflight, i))
                        s->weight[i] *= INFLIGHT_FACTOR;
        }
        if (t->failed)
                s->has_defective = true;
        s->verified = !t->failed && all;
        return 0;
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

double isolate_expected(const Isolate *s)
{
        size_t last, count;
        double mass, expected = 1;

        for (count = defective_count(s, &last, &mass); count > 1; count = (count + 1) / 2)
                expected++;
        return expected;
}

json_t *isolate_save(const Isolate *s)
{
        json_t *list = json_array();

        for (size_t i = 0; i < s->n; i++)
                (void)json_array_append_new(list, json_pack("[i,f,b,b]", s->state[i], s->weight[i],
                                                            has(s->defective, i), has(s->release, i)));
        return json_pack("{s:o, s:i, s:i, s:f, s:I, s:b, s:b, s:b}", "candidates", list, "trials", (int)s->trials,
                         "max_trials", (int)s->config.max_trials, "confidence", s->config.confidence, "seed",
                         (json_int_t)s->config.seed, "has_defective", s->has_defective, "under_way", s->under_way,
                         "verified", s->verified);
}

int isolate_load(Isolate **ret, const json_t *saved)
{
        IsolateConfig config = { 0 };
        json_t *list, *entry;
        json_int_t seed;
        Isolate *s;
        int trials, max_trials, has_defective, under_way, verified, r;
        size_t i;

        if (json_unpack((json_t *)saved, "{s:o, s:i, s:i, s:F, s:I, s:b, s:b, s:b}", "candidates", &list, "trials",
                        &trials, "max_trials", &max_trials, "confidence", &config.confidence, "seed", &seed,
                        "has_defective", &has_defective, "under_way", &under_way, "verified", &verified) < 0)
                return -EINVAL;
        config.max_trials = (unsigned)max_trials;
        config.seed = (uint64_t)seed;
        r = isolate_new(&s, &config, json_array_size(list), NULL);
        if (r < 0)
                return r;
        json_array_foreach(list, i, entry) {
                int state, defective, release;

                if (json_unpack(entry, "[i,F,b,b]", &state, &s->weight[i], &defective, &release) < 0 || state < 0 ||
                    state > CANDIDATE_CONVICTED) {
                        isolate_free(s);
                        return -EINVAL;
                }
                s->state[i] = (uint8_t)state;
                put(s->defective, i, defective);
                put(s->release, i, release);
        }
        s->trials = (unsigned)trials;
        s->has_defective = has_defective;
        s->under_way = under_way;
        s->verified = verified;
        *ret = s;
        return 0;
}
