#pragma once

/*
 * KeyMap: 64-bit keys to 64-bit values, 16 bytes a slot. The keys are keyed hashes of names, so that a spool
 * of a million messages costs no million strings, and nobody who chooses file names can choose collisions.
 */

#include <stddef.h>
#include <stdint.h>

/* All zero is an empty map. */
typedef struct KeyMap {
        struct KeySlot {
                uint64_t key; /* 0: free */
                uint64_t value;
        } * slots;
        size_t n, allocated;
} KeyMap;

/* The secret of the hash; one for all maps whose keys are compared. */
typedef struct KeySeed {
        unsigned char bytes[16];
} KeySeed;

void key_seed_init(KeySeed *seed);
/* Hash of a number and some bytes; never 0. */
uint64_t key_of(const KeySeed *seed, uint64_t number, const void *data, size_t len);

void keymap_deinit(KeyMap *m);
void keymap_clear(KeyMap *m);
/* The value's place, or NULL. It moves with the next put or drop. */
uint64_t *keymap_get(const KeyMap *m, uint64_t key);
/* Finds or adds with value 0. NULL on ENOMEM: the map is then as it was. */
uint64_t *keymap_put(KeyMap *m, uint64_t key);
/* A key that is not there is fine. */
void keymap_drop(KeyMap *m, uint64_t key);
