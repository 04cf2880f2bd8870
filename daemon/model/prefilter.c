/*
 * prefilter - where may one of these patterns match?
 *
 * Called by line_rules for each block of a log file. What a pattern must contain (literal.c) is a set of
 * sequences of up to eight byte classes. All sequences share eight buckets, and one automaton of 64 bits
 * follows all of them: byte lane j of the state tells for each bucket (a bit) whether the last j + 1 bytes
 * do not fit the first j + 1 places of the bucket's sequences. A step is a shift and an OR of a table's row
 * ("shift-or"); lane 7 is the answer. Shorter sequences stand in the last places of the eight, and the
 * places before take any byte.
 *
 * A step waits for the one before, so four parts of a chunk are walked side by side, which keeps the
 * processor busy: about one cycle a byte, in plain C. They note in which groups of 32 bytes something was
 * found; these alone are walked again, to find the place, and what was found is compared with each sequence
 * of its bucket.
 *
 * Sequences are put into buckets so that the sum of what the buckets find by chance is small: the common
 * ones first, each where it adds least.
 *
 * Pure. Fails with ENOMEM only. Test: tests/unit/test_prefilter.c; speed: tests/bench/run logs.
 */
#include "model/prefilter.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "model/literal.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS      8
#define GROUP        32
#define STREAM_BYTES (GROUP * 32) /* a bit of a word for each group */
#define CHUNK        (STREAM_BYTES * PREFILTER_STREAMS)

typedef struct Entry {
        Literal literal;
        uint32_t pattern;
        uint8_t bucket;
        double share;
} Entry;

struct Prefilter {
        uint64_t table[256];
        ClassTable classes;
        Entry *entries; /* by bucket, then by pattern */
        size_t n;
        size_t first[BUCKETS + 1]; /* of each bucket */
        bool *blind;
};

/* --- making it --- */

/* Which bytes may stand in each of the eight places of a bucket. */
typedef struct Bucket {
        bool used;
        ByteClass at[LITERAL_LEN];
        double share;
} Bucket;

static const ByteClass any_byte = { { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

/* The class of place @k of the eight. */
static const ByteClass *entry_class(const Prefilter *p, const Entry *e, size_t k)
{
        size_t pad = LITERAL_LEN - (size_t)e->literal.len;

        return k < pad ? &any_byte : &p->classes.classes[e->literal.at[k - pad]];
}

static Bucket bucket_with(const Prefilter *p, const Bucket *b, const Entry *e)
{
        Bucket sum = *b;

        sum.used = true;
        sum.share = 1;
        for (size_t k = 0; k < LITERAL_LEN; k++) {
                const ByteClass *c = entry_class(p, e, k);

                for (size_t i = 0; i < 4; i++)
                        sum.at[k].bits[i] |= c->bits[i];
                if (memcmp(&sum.at[k], &any_byte, sizeof(any_byte)) != 0)
                        sum.share *= byte_class_share(&sum.at[k]);
        }
        return sum;
}

static int by_share(const void *a, const void *b)
{
        const Entry *x = a, *y = b;

        return (x->share < y->share) - (x->share > y->share);
}

static int by_bucket(const void *a, const void *b)
{
        const Entry *x = a, *y = b;

        if (x->bucket != y->bucket)
                return x->bucket < y->bucket ? -1 : 1;
        return (x->pattern > y->pattern) - (x->pattern < y->pattern);
}

static void entries_place(Prefilter *p, Bucket buckets[BUCKETS])
{
        if (p->n > 0)
                qsort(p->entries, p->n, sizeof(*p->entries), by_share);
        for (size_t i = 0; i < p->n; i++) {
                size_t best = 0;
                double least = 2;

                for (size_t b = 0; b < BUCKETS; b++) {
                        Bucket sum = bucket_with(p, &buckets[b], &p->entries[i]);
                        double more = sum.share - buckets[b].share;

                        if (more < least) {
                                least = more;
                                best = b;
                        }
                }
                buckets[best] = bucket_with(p, &buckets[best], &p->entries[i]);
                p->entries[i].bucket = (uint8_t)best;
        }
        if (p->n > 0)
                qsort(p->entries, p->n, sizeof(*p->entries), by_bucket);
        for (size_t b = 0, i = 0; b <= BUCKETS; b++) {
                while (i < p->n && p->entries[i].bucket < b)
                        i++;
                p->first[b] = i;
        }
}

static void table_make(Prefilter *p)
{
        Bucket buckets[BUCKETS] = {};

        entries_place(p, buckets);
        for (unsigned byte = 0; byte < 256; byte++)
                for (size_t b = 0; b < BUCKETS; b++)
                        for (size_t k = 0; k < LITERAL_LEN; k++)
                                if (!byte_class_has(&buckets[b].at[k], (uint8_t)byte))
                                        p->table[byte] |= UINT64_C(1) << (8 * k + b);
}

static int pattern_add(Prefilter *p, const char *pattern, size_t i)
{
        LiteralSet set, one = { .n = 1 };
        Entry *bigger;

        if (literal_of(pattern, &p->classes, &set) != 0) {
                p->blind[i] = true;
                return 0;
        }
        bigger = reallocarray(p->entries, p->n + set.n, sizeof(*bigger));
        if (!bigger)
                return err_origin(-ENOMEM);
        p->entries = bigger;
        for (size_t k = 0; k < set.n; k++) {
                one.list[0] = set.list[k];
                p->entries[p->n++] = (Entry){ .literal = set.list[k],
                                              .pattern = (uint32_t)i,
                                              .share = literal_set_share(&one, &p->classes) };
        }
        return 0;
}

int prefilter_new(Prefilter **ret, const char *const *patterns, size_t n)
{
        _cleanup_(prefilter_freep) Prefilter *p = calloc(1, sizeof(*p));

        if (!p)
                return err_origin(-ENOMEM);
        p->blind = calloc(n + 1, sizeof(*p->blind));
        if (!p->blind)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++) {
                int r = pattern_add(p, patterns[i], i);

                if (r < 0)
                        return err_trace(r);
        }
        table_make(p);
        *ret = TAKE_PTR(p);
        return 0;
}

Prefilter *prefilter_free(Prefilter *p)
{
        if (!p)
                return NULL;
        free(p->entries);
        free(p->blind);
        free(p);
        return NULL;
}

bool prefilter_is_blind(const Prefilter *p, size_t i)
{
        return p->blind[i];
}

/* --- looking --- */

void prefilter_begin(PrefilterScan *s, const Prefilter *p, const void *data, size_t len)
{
        *s = (PrefilterScan){ .filter = p, .data = data, .len = len };
        if (p->n == 0)
                s->at = len;
}

/* The state before byte @at: what the seven bytes before it make of it. Missing ones fit anything. */
static uint64_t state_before(const PrefilterScan *s, size_t at)
{
        uint64_t state = 0;

        for (size_t i = at < LITERAL_LEN - 1 ? 0 : at - (LITERAL_LEN - 1); i < at; i++)
                state = state << 8 | s->filter->table[s->data[i]];
        return state;
}

/* Notes the groups of the chunk at s->at in which something is found. */
static void chunk_walk(PrefilterScan *s)
{
        const uint64_t *t = s->filter->table;
        const uint8_t *d = s->data + s->at;
        uint64_t s0 = state_before(s, s->at), s1 = state_before(s, s->at + STREAM_BYTES),
                 s2 = state_before(s, s->at + 2 * STREAM_BYTES),
                 s3 = state_before(s, s->at + 3 * STREAM_BYTES);

        memset(s->groups, 0, sizeof(s->groups));
        for (size_t g = 0; g < STREAM_BYTES / GROUP; g++) {
                uint64_t a0 = UINT64_MAX, a1 = a0, a2 = a0, a3 = a0;

                for (size_t i = 0; i < GROUP; i++, d++) {
                        s0 = s0 << 8 | t[d[0]];
                        s1 = s1 << 8 | t[d[STREAM_BYTES]];
                        s2 = s2 << 8 | t[d[2 * STREAM_BYTES]];
                        s3 = s3 << 8 | t[d[3 * STREAM_BYTES]];
                        a0 &= s0;
                        a1 &= s1;
                        a2 &= s2;
                        a3 &= s3;
                }
                s->groups[0] |= (uint32_t)(a0 >> 56 != 0xff) << g;
                s->groups[1] |= (uint32_t)(a1 >> 56 != 0xff) << g;
                s->groups[2] |= (uint32_t)(a2 >> 56 != 0xff) << g;
                s->groups[3] |= (uint32_t)(a3 >> 56 != 0xff) << g;
        }
        s->chunk_end = s->at + CHUNK;
}

/* Goes on to the next group of the chunk that is worth a look; false at its end. */
static bool chunk_skip(PrefilterScan *s)
{
        size_t begin = s->chunk_end - CHUNK, g = (s->at - begin) / GROUP;

        if ((s->at - begin) % GROUP != 0)
                return true; /* in the middle of one */
        while (g < CHUNK / GROUP) {
                uint32_t left = s->groups[g / 32] >> (g % 32);

                if (left) {
                        g += (size_t)__builtin_ctz(left);
                        if (begin + g * GROUP != s->at) {
                                s->at = begin + g * GROUP;
                                s->state = state_before(s, s->at);
                        }
                        return true;
                }
                g = (g / 32 + 1) * 32;
        }
        s->at = s->chunk_end;
        s->state = state_before(s, s->at);
        return false;
}

/* Compares what ends at @end with the sequences of the buckets in @found. Return: is it one? */
static bool place_check(const PrefilterScan *s, size_t end, unsigned found, bool *candidates)
{
        const Prefilter *p = s->filter;
        bool any = false;

        for (; found; found &= found - 1) {
                unsigned b = (unsigned)__builtin_ctz(found);

                for (size_t i = p->first[b]; i < p->first[b + 1]; i++) {
                        const Literal *l = &p->entries[i].literal;
                        size_t k = 0;

                        if (end + 1 < l->len)
                                continue;
                        while (k < l->len &&
                               byte_class_has(&p->classes.classes[l->at[k]], s->data[end + 1 - l->len + k]))
                                k++;
                        if (k == l->len)
                                any = candidates[p->entries[i].pattern] = true;
                }
        }
        return any;
}

size_t prefilter_next(PrefilterScan *s, bool *candidates)
{
        while (s->at < s->len) {
                size_t end;

                if (s->at >= s->chunk_end && s->len - s->at >= CHUNK)
                        chunk_walk(s);
                if (s->at < s->chunk_end && !chunk_skip(s))
                        continue;
                end = s->at + GROUP < s->len ? s->at + GROUP : s->len;
                if (s->at < s->chunk_end) /* to the end of this group */
                        end = s->at + GROUP - (s->at - (s->chunk_end - CHUNK)) % GROUP;
                while (s->at < end) {
                        unsigned found;

                        s->state = s->state << 8 | s->filter->table[s->data[s->at++]];
                        found = ~(unsigned)(s->state >> 56) & 0xff;
                        if (found && place_check(s, s->at - 1, found, candidates))
                                return s->at - 1;
                }
        }
        return s->len;
}
