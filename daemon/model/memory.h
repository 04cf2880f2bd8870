#pragma once

/*
 * Memory: what an incident knows of each of its messages, as a log of changes.
 *
 * A store has a million messages, and a step changes a few of them, or all of them alike: so what goes to
 * disk before each step is a block with what is different from the block before, in runs. Blocks, read in
 * order, give back what they were made of. A log that holds everything again (a new generation) begins when
 * the old one has grown too long.
 */

#include "model/message.h"

/* What is to be on record; all borrowed. */
typedef struct MemoryView {
        const char *incident;
        const Roster *roster; /* ids and flags; places are read from the disk */
        const MessageSet *held, *tried;
        const uint32_t *candidates; /* of the search: roster indices */
        size_t n_candidates;
        const char *search;   /* what the search knows, as text; NULL: none */
        const char *culprits; /* as text; NULL: none */
} MemoryView;

/* What the blocks so far say. All zero: nothing, the next block holds everything. */
typedef struct Memory {
        bool begun;
        size_t n; /* messages of the roster */
        uint16_t *flags;
        size_t allocated;
        MessageSet held, tried;
        size_t n_candidates;
        bool candidates_changed; /* set by the owner: they are others than before, not only more */
        bool search_changed;     /* set by the owner: @search of the next view is to be written */
} Memory;

void memory_deinit(Memory *m);
/*
 * The block that leads from @m to @v; @m then says what @v says. On error @m is of no use but for
 * memory_deinit(). Return: 0 with the caller's *@ret, or -ENOMEM.
 */
int memory_append(Memory *m, const MemoryView *v, uint8_t **ret, size_t *ret_len);

/* What was read back. All zero at first; the caller's. */
typedef struct Recall {
        char *incident;
        Roster roster;
        MessageSet held, tried;
        uint32_t *candidates;
        size_t n_candidates, allocated;
        char *search, *culprits; /* NULL: none */
} Recall;

void recall_deinit(Recall *c);
/* Adds one block. Return: 0, -EBADMSG if it cannot follow those before, -ENOMEM; @c is then of no use. */
int recall_block(Recall *c, const uint8_t *block, size_t len);
