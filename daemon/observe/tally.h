#pragma once

/*
 * Tally: which messages one store holds, kept up to date file by file. It knows nothing of inotify: who
 * watches says "this file is there", "this one is gone".
 *
 * A message counts once however many files it has, and a file that moves between the directories of a store
 * between two looks neither arrives nor departs.
 */

#include "model/layout.h"
#include "model/observation.h"
#include "observe/keymap.h"

typedef struct Tally Tally;

/* All tallies that are merged into each other share a @seed. Settings are borrowed. Return: 0 or a negated
 * errno. */
int tally_new(Tally **ret, const StoreSettings *store, const StallSettings *stall, const KeySeed *seed);
Tally *tally_free(Tally *t);
static inline void tally_freep(Tally **t)
{
        tally_free(*t);
}

/* Would @path, below a directory of the store, be (part of) a message? >0 yes, 0 no, or a negated errno. */
int tally_concerns(const Tally *t, const char *path);
/*
 * The file (or, where a message is a directory, that) @path below the store's directory number @dir is there.
 * Saying so twice is fine. Return: 0, or a negated errno (the tally is then as it was).
 */
int tally_add(Tally *t, size_t dir, const char *path);
/* It is there no more. A file that was not known is fine. */
int tally_remove(Tally *t, size_t dir, const char *path);
/* It was written to, or renamed over. Counts as movement if it is known. */
void tally_touch(Tally *t, size_t dir, const char *path);
/* Takes in all files that @other knows. Return: 0 or -ENOMEM. */
int tally_merge(Tally *t, const Tally *other);

/* Messages that differ between two tallies of one store. */
void tally_difference(const Tally *before, const Tally *after, uint64_t *ret_arrived, uint64_t *ret_departed);

/*
 * What is waiting now, and what has come and gone since the last look; the next look counts from here. A
 * message that came and went in between counts as both.
 */
void tally_look(Tally *t, ProgressStatus *ret);
size_t tally_messages(const Tally *t);
