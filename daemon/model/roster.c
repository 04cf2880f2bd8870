/*
 * roster - every message an incident has seen, in few bytes
 *
 * The engine's worker fills it from inventories, the search and the ledger read it. An index, once given,
 * never changes and never goes away: it names the message for the whole incident. Ids are bytes and come from
 * file names that others choose, so the hash is keyed with bytes that the kernel gave this process; the order
 * of entries does not depend on it. A call that fails leaves the roster as it was. Test:
 * tests/unit/test_roster.c.
 */
#include "model/message.h"

#include "base/error.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#define BUCKETS_MIN 64

static uint64_t id_hash(unsigned store, const char *id, size_t len)
{
        static const uint8_t no_key[crypto_shorthash_KEYBYTES];
        /* 16 random bytes that are there for exactly this; 0 only on an odd loader. */
        const uint8_t *key = (const uint8_t *)getauxval(AT_RANDOM);
        uint8_t out[crypto_shorthash_BYTES];
        uint64_t h;

        static_assert(crypto_shorthash_KEYBYTES <= 16, "AT_RANDOM has 16 bytes");
        crypto_shorthash(out, (const uint8_t *)id, len, key ? key : no_key);
        memcpy(&h, out, sizeof(h));
        return h + store * UINT64_C(0x9e3779b97f4a7c15);
}

void roster_deinit(Roster *r)
{
        free(r->entries);
        free(r->arena);
        free(r->buckets);
        *r = (Roster){};
}

static void roster_link(Roster *r, size_t i)
{
        RosterEntry *e = r->entries + i;
        size_t b = id_hash(e->store, r->arena + e->id, e->id_len) & (r->n_buckets - 1);

        e->hash_next = r->buckets[b];
        r->buckets[b] = (uint32_t)(i + 1);
}

/* Keeps at most one entry a bucket on average. */
static int buckets_grow(Roster *r)
{
        size_t n = r->n_buckets > 0 ? r->n_buckets * 2 : BUCKETS_MIN;
        uint32_t *buckets;

        if (r->n < r->n_buckets)
                return 0;
        buckets = calloc(n, sizeof(buckets[0]));
        if (!buckets)
                return err_origin(-ENOMEM);
        free(r->buckets);
        r->buckets = buckets;
        r->n_buckets = n;
        for (size_t i = 0; i < r->n; i++)
                roster_link(r, i);
        return 0;
}

static int entries_grow(Roster *r)
{
        size_t n = r->allocated > 0 ? r->allocated + r->allocated / 2 : BUCKETS_MIN;
        RosterEntry *entries;

        if (r->n < r->allocated)
                return 0;
        entries = reallocarray(r->entries, n, sizeof(entries[0]));
        if (!entries)
                return err_origin(-ENOMEM);
        r->entries = entries;
        r->allocated = n;
        return 0;
}

static int arena_grow(Roster *r, size_t len)
{
        size_t n = r->arena_allocated > 0 ? r->arena_allocated : 1024;
        char *arena;

        if (r->arena_len > UINT32_MAX - len)
                return err_origin(-EOVERFLOW);
        while (n < r->arena_len + len)
                n += n / 2;
        if (n == r->arena_allocated)
                return 0;
        arena = realloc(r->arena, n);
        if (!arena)
                return err_origin(-ENOMEM);
        r->arena = arena;
        r->arena_allocated = n;
        return 0;
}

int roster_find(const Roster *r, unsigned store, const char *id, size_t len, uint32_t *ret)
{
        if (r->n_buckets == 0)
                return ROSTER_E_NONE;
        for (uint32_t i = r->buckets[id_hash(store, id, len) & (r->n_buckets - 1)]; i != 0;
             i = r->entries[i - 1].hash_next) {
                const RosterEntry *e = r->entries + i - 1;

                if (e->store == store && e->id_len == len && memcmp(r->arena + e->id, id, len) == 0) {
                        *ret = i - 1;
                        return 0;
                }
        }
        return ROSTER_E_NONE;
}

int roster_add(Roster *r, unsigned store, const char *id, size_t len, uint32_t *ret)
{
        int k;

        if (roster_find(r, store, id, len, ret) == 0)
                return 0;
        if (len > UINT16_MAX || store > UINT8_MAX || r->n >= UINT32_MAX - 1)
                return err_origin(-EOVERFLOW);
        k = arena_grow(r, len + 1);
        if (k < 0)
                return err_trace(k);
        k = entries_grow(r);
        if (k < 0)
                return err_trace(k);
        k = buckets_grow(r);
        if (k < 0)
                return err_trace(k);

        r->entries[r->n] = (RosterEntry){
                .id = (uint32_t)r->arena_len,
                .id_len = (uint16_t)len,
                .store = (uint8_t)store,
        };
        memcpy(r->arena + r->arena_len, id, len);
        r->arena[r->arena_len + len] = '\0';
        r->arena_len += len + 1;
        roster_link(r, r->n);
        *ret = (uint32_t)r->n++;
        return 0;
}

void message_set_deinit(MessageSet *s)
{
        free(s->bits);
        *s = (MessageSet){};
}

static int message_set_grow(MessageSet *s, size_t n_words)
{
        uint64_t *bits;

        if (n_words <= s->n_words)
                return 0;
        if (n_words < s->n_words * 2)
                n_words = s->n_words * 2;
        bits = reallocarray(s->bits, n_words, sizeof(bits[0]));
        if (!bits)
                return err_origin(-ENOMEM);
        memset(bits + s->n_words, 0, (n_words - s->n_words) * sizeof(bits[0]));
        s->bits = bits;
        s->n_words = n_words;
        return 0;
}

int message_set_add(MessageSet *s, uint32_t i)
{
        int r;

        r = message_set_grow(s, (size_t)i / 64 + 1);
        if (r < 0)
                return err_trace(r);
        s->bits[i / 64] |= UINT64_C(1) << (i % 64);
        return 0;
}

void message_set_remove(MessageSet *s, uint32_t i)
{
        if (i / 64 < s->n_words)
                s->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

bool message_set_has(const MessageSet *s, uint32_t i)
{
        return i / 64 < s->n_words && s->bits[i / 64] >> (i % 64) & 1;
}

size_t message_set_count(const MessageSet *s)
{
        size_t n = 0;

        for (size_t w = 0; w < s->n_words; w++)
                n += (size_t)__builtin_popcountll(s->bits[w]);
        return n;
}

void message_set_clear(MessageSet *s)
{
        if (s->n_words > 0)
                memset(s->bits, 0, s->n_words * sizeof(s->bits[0]));
}

int message_set_copy(MessageSet *dst, const MessageSet *src)
{
        int r;

        if (dst == src)
                return 0;
        r = message_set_grow(dst, src->n_words);
        if (r < 0)
                return err_trace(r);
        message_set_clear(dst);
        if (src->n_words > 0)
                memcpy(dst->bits, src->bits, src->n_words * sizeof(src->bits[0]));
        return 0;
}
