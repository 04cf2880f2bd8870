/*
 * keymap - an open-addressing hash map with linear probing
 *
 * Used by tally (what files a store holds) and inflight (what was opened). It grows at three quarters full,
 * and a dropped key leaves no tombstone: the run behind it is shifted back, so a map through which millions
 * of names pass stays as small as what it holds. A failed allocation changes nothing.
 */
#include "observe/keymap.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void key_seed_init(KeySeed *seed)
{
        static_assert(sizeof(seed->bytes) == crypto_shorthash_siphash24_KEYBYTES,
                      "the seed is the key of SipHash");
        randombytes_buf(seed->bytes, sizeof(seed->bytes));
}

uint64_t key_of(const KeySeed *seed, uint64_t number, const void *data, size_t len)
{
        unsigned char inner[crypto_shorthash_siphash24_BYTES + sizeof(number)];
        uint64_t key;

        /* The number goes in by a second round, not by a buffer of number and data: the data has no bound. */
        crypto_shorthash_siphash24(inner, data, len, seed->bytes);
        memcpy(inner + crypto_shorthash_siphash24_BYTES, &number, sizeof(number));
        crypto_shorthash_siphash24((unsigned char *)&key, inner, sizeof(inner), seed->bytes);
        return key ? key : 1;
}

void keymap_deinit(KeyMap *m)
{
        free(m->slots);
        *m = (KeyMap){ 0 };
}

void keymap_clear(KeyMap *m)
{
        keymap_deinit(m);
}

/* The slot of @key, or the free one where it belongs. There is always a free one. */
static size_t slot_find(const KeyMap *m, uint64_t key)
{
        size_t mask = m->allocated - 1, i = key & mask;

        while (m->slots[i].key && m->slots[i].key != key)
                i = (i + 1) & mask;
        return i;
}

uint64_t *keymap_get(const KeyMap *m, uint64_t key)
{
        if (!m->n)
                return NULL;
        size_t i = slot_find(m, key);
        return m->slots[i].key ? &m->slots[i].value : NULL;
}

static int map_grow(KeyMap *m)
{
        KeyMap bigger = { .n = m->n, .allocated = m->allocated ? 2 * m->allocated : 64 };

        bigger.slots = calloc(bigger.allocated, sizeof(bigger.slots[0]));
        if (!bigger.slots)
                return -1;
        for (size_t i = 0; i < m->allocated; i++)
                if (m->slots[i].key)
                        bigger.slots[slot_find(&bigger, m->slots[i].key)] = m->slots[i];
        free(m->slots);
        *m = bigger;
        return 0;
}

uint64_t *keymap_put(KeyMap *m, uint64_t key)
{
        uint64_t *found = keymap_get(m, key);

        if (found)
                return found;
        if (4 * (m->n + 1) > 3 * m->allocated && map_grow(m) < 0)
                return NULL;
        size_t i = slot_find(m, key);
        m->slots[i] = (struct KeySlot){ .key = key };
        m->n++;
        return &m->slots[i].value;
}

void keymap_drop(KeyMap *m, uint64_t key)
{
        if (!m->n)
                return;
        size_t mask = m->allocated - 1, hole = slot_find(m, key);
        if (!m->slots[hole].key)
                return;
        m->n--;
        for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
                size_t home = m->slots[i].key & mask;
                /* It may fill the hole unless its home lies behind the hole on the way to where it is. */
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        m->slots[hole] = m->slots[i];
                        hole = i;
                }
        }
        m->slots[hole] = (struct KeySlot){ 0 };
}
