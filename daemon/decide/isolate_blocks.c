/*
 * isolate_blocks - the candidates of a search, in blocks of which the same is known
 *
 * Called by the other parts of the search. Candidates are shuffled once; blocks are intervals of that order,
 * and are split as trials tell their members apart. A block's members never change their order among
 * themselves, so the whole partition can be written down as the block of each candidate. Costs 12 bytes and a
 * bit a candidate; what is done to whole blocks does not depend on the number of candidates.
 *
 * Fails only for want of memory, and then changes nothing.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KINDS_MAX 1024 /* more candidates of uncommon weight, and their weights are rounded */

static int grow(void *array, size_t n, size_t size)
{
        void **p = array, *q = realloc(*p, n * size);

        if (!q)
                return -ENOMEM;
        *p = q;
        return 0;
}

int blocks_reserve(Isolate *s, size_t n, size_t blocks)
{
        size_t room = s->room ? n + n / 4 : n, words;

        if (s->n_blocks + blocks > s->blocks_room) {
                size_t more = (s->n_blocks + blocks) * 2;

                if (grow(&s->blocks, more, sizeof(*s->blocks)) < 0)
                        return -ENOMEM;
                s->blocks_room = more;
        }
        if (n <= s->room && s->room)
                return 0;
        if (room < 64)
                room = 64;
        words = (room + 63) / 64;
        if (room >= GONE || grow(&s->order, room, sizeof(*s->order)) < 0 ||
            grow(&s->place, room, sizeof(*s->place)) < 0 ||
            grow(&s->scratch, room, sizeof(*s->scratch)) < 0 ||
            grow(&s->release, words, sizeof(*s->release)) < 0)
                return -ENOMEM;
        memset(s->release + s->words, 0, (words - s->words) * sizeof(*s->release));
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

double weight_limit(double w)
{
        if (!(w > WEIGHT_MIN)) /* nor a NaN */
                return WEIGHT_MIN;
        return w < WEIGHT_MAX ? w : WEIGHT_MAX;
}

/* Within 2 percent: so few kinds of evidence are told apart when there are very many. */
static double rounded(double w)
{
        uint64_t u;

        memcpy(&u, &w, sizeof(u));
        u = (u + (UINT64_C(1) << 46)) & ~((UINT64_C(1) << 47) - 1);
        memcpy(&w, &u, sizeof(w));
        return w;
}

typedef struct Kinds {
        const double *weights;
        const uint32_t *place; /* in the shuffled order: ties are broken by it */
        bool round;
} Kinds;

static double kind_of(const Kinds *k, size_t i)
{
        double w = k->weights ? weight_limit(k->weights[i]) : 1;

        return k->round ? rounded(w) : w;
}

static int by_kind(const void *a, const void *b, void *userdata)
{
        uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
        const Kinds *kinds = userdata;
        double x = kind_of(kinds, i), y = kind_of(kinds, k);

        if (x != y)
                return x > y ? -1 : 1;
        return kinds->place[i] < kinds->place[k] ? -1 : 1;
}

/* More than so many that are not ordinary are rounded: they may be of as many kinds. */
static bool has_many_kinds(const Isolate *s, const Kinds *k)
{
        size_t odd = 0;

        for (size_t i = 0; i < s->n && odd <= KINDS_MAX; i++)
                odd += kind_of(k, i) != 1;
        return odd > KINDS_MAX;
}

/* The ordinary ones first, in the shuffled order; behind them the others by weight. Return: of how many kinds
 * they are. */
static size_t sort_kinds(Isolate *s, Kinds *k)
{
        size_t plain = 0, odd = 0, kinds = 0;

        for (size_t j = 0; j < s->n; j++) {
                uint32_t i = s->order[j];

                if (kind_of(k, i) == 1)
                        s->order[plain++] = i;
                else
                        s->scratch[odd++] = i;
        }
        for (size_t j = 0; j < odd; j++)
                s->place[s->scratch[j]] = (uint32_t)j;
        qsort_r(s->scratch, odd, sizeof(*s->scratch), by_kind, k);
        memcpy(s->order + plain, s->scratch, odd * sizeof(*s->order));
        for (size_t j = 0; j < s->n; j++) {
                s->place[s->order[j]] = (uint32_t)j;
                kinds += j == 0 || kind_of(k, s->order[j]) != kind_of(k, s->order[j - 1]);
        }
        return kinds;
}

int blocks_init(Isolate *s, const double *weights)
{
        Kinds k = { .weights = weights, .place = s->place };
        size_t kinds;

        for (size_t i = 0; i < s->n; i++) {
                size_t j = mix(s->config.seed ^ mix(i)) % (i + 1);

                s->order[i] = s->order[j];
                s->order[j] = (uint32_t)i;
        }
        k.round = has_many_kinds(s, &k);
        kinds = sort_kinds(s, &k);
        if (blocks_reserve(s, s->n, kinds) < 0)
                return -ENOMEM;
        for (size_t j = 0; j < s->n; j++) {
                double w = kind_of(&k, s->order[j]);

                if (j == 0 || w != s->blocks[s->n_blocks - 1].weight)
                        s->blocks[s->n_blocks++] = (Block){ .first = (uint32_t)j, .weight = w };
                s->blocks[s->n_blocks - 1].n++;
        }
        return 0;
}

void blocks_deinit(Isolate *s)
{
        free(s->order);
        free(s->place);
        free(s->scratch);
        free(s->release);
        free(s->blocks);
}

int blocks_append(Isolate *s, double weight)
{
        if (blocks_reserve(s, s->n + 1, 1) < 0)
                return -ENOMEM;
        s->order[s->n] = (uint32_t)s->n;
        s->place[s->n] = (uint32_t)s->n;
        s->blocks[s->n_blocks++] = (Block){ .first = (uint32_t)s->n, .n = 1, .weight = weight_limit(weight) };
        s->n++;
        return 0;
}

Block *block_of(const Isolate *s, size_t i)
{
        size_t low = 0, high = s->n_blocks;

        if (s->place[i] == GONE)
                return NULL;
        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (s->blocks[middle].first <= s->place[i])
                        low = middle;
                else
                        high = middle;
        }
        return &s->blocks[low];
}

static void put(Isolate *s, size_t place, uint32_t i)
{
        s->order[place] = i;
        s->place[i] = (uint32_t)place;
}

size_t block_partition(Isolate *s, const Block *b, const uint64_t *bits)
{
        size_t end = (size_t)b->first + b->n, k = b->first, keep, out = 0;

        while (k < end && !bits_has(bits, s->order[k]))
                k++;
        for (keep = k; k < end; k++) {
                uint32_t i = s->order[k];

                if (bits_has(bits, i))
                        s->scratch[out++] = i;
                else
                        put(s, keep++, i);
        }
        for (k = 0; k < out; k++)
                put(s, keep + k, s->scratch[k]);
        return out;
}

Block *block_split(Isolate *s, Block *b, size_t n)
{
        size_t k = (size_t)(b - s->blocks) + 1;

        if (n == b->n)
                return b;
        if (n == 0)
                return NULL;
        if (blocks_reserve(s, s->n, 1) < 0)
                return NULL;
        b = &s->blocks[k - 1];
        memmove(b + 2, b + 1, (s->n_blocks - k) * sizeof(*b));
        s->n_blocks++;
        b[1] = *b;
        b->n -= (uint32_t)n;
        b[1].first += b->n;
        b[1].n = (uint32_t)n;
        return b + 1;
}

/* Brings one member to the end. */
static void block_last(Isolate *s, const Block *b, size_t i)
{
        for (size_t k = s->place[i]; k + 1 < (size_t)b->first + b->n; k++)
                put(s, k, s->order[k + 1]);
        put(s, (size_t)b->first + b->n - 1, (uint32_t)i);
}

Block *block_isolate(Isolate *s, size_t i)
{
        Block *b = block_of(s, i);

        if (!b || blocks_reserve(s, s->n, 1) < 0)
                return NULL;
        b = block_of(s, i);
        block_last(s, b, i);
        return block_split(s, b, 1);
}

void block_drop(Isolate *s, Block *b, size_t n)
{
        double gone = base_of(b->weight) * (double)n;

        for (size_t k = 0; k < n; k++) {
                uint32_t i = s->order[b->first + --b->n];

                s->place[i] = GONE;
                bits_put(s->release, i, false);
        }
        s->gone += gone;
        for (uint64_t facts = b->facts; facts; facts &= facts - 1)
                s->facts[__builtin_ctzll(facts)].gone += gone;
}

/* Only arrivals are joined: their order is that of their numbers, so it can be made again. */
static bool are_alike(const Isolate *s, const Block *a, const Block *b)
{
        return a->first + a->n == b->first && s->order[a->first] >= s->n_first &&
               s->order[a->first + a->n - 1] < s->order[b->first] && a->weight == b->weight &&
               a->together == b->together && a->facts == b->facts && a->state == b->state &&
               a->mark == b->mark && a->passes == b->passes && a->fails == b->fails &&
               a->released == b->released && a->covered == b->covered;
}

void blocks_merge(Isolate *s)
{
        size_t to = 0;

        for (size_t k = 0; k < s->n_blocks; k++) {
                if (s->blocks[k].n == 0)
                        continue;
                if (to > 0 && are_alike(s, &s->blocks[to - 1], &s->blocks[k]))
                        s->blocks[to - 1].n += s->blocks[k].n;
                else
                        s->blocks[to++] = s->blocks[k];
        }
        s->n_blocks = to;
}

void blocks_release(Isolate *s)
{
        for (size_t k = 0; k < s->n_blocks; k++) {
                Block *b = &s->blocks[k];

                if (b->released == b->wanted)
                        continue;
                b->released = b->wanted;
                for (size_t j = b->first; j < (size_t)b->first + b->n; j++)
                        bits_put(s->release, s->order[j], b->released);
        }
}
