/*
 * tally - the messages of one store, as a set of files that changes
 *
 * Used by progress: the worker fills one while it scans, the loop keeps it up to date by inotify. Two maps:
 * file (hash of directory number and path) to message, and message (hash of its id) to how many of its files
 * are there. That a file is known by its path and not by a count makes every notice harmless when it is
 * repeated, or when it speaks of something that a scan has already seen; a rename over an existing file needs
 * no special case.
 *
 * When memory runs out, the call returns -ENOMEM and nothing has changed; the caller scans again later.
 */
#include "observe/tally.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A message's value in the map. */
typedef struct Count {
        uint32_t files;   /* the lowest bit is CHANGED, the rest the number of files */
        uint32_t ignored; /* of these, in places where mail waits rightly */
} Count;
#define CHANGED 1u
#define ONE     2u

static_assert(sizeof(Count) == sizeof(uint64_t), "a count is a value of the map");

/* A file's value in the map is its message's key with the lowest bit telling whether its place is an ignored
 * one. */
#define IGNORED UINT64_C(1)

typedef struct Change {
        uint64_t message;
        bool was_there; /* at the last look */
} Change;

struct Tally {
        const StoreSettings *store;
        const StallSettings *stall;
        KeySeed seed;
        Layout *layout;
        KeyMap files, messages;
        Change *changes; /* messages that changed since the last look */
        size_t n_changes, allocated;
        uint64_t there, waiting;
        bool moved;
};

int tally_new(Tally **ret, const StoreSettings *store, const StallSettings *stall, const KeySeed *seed)
{
        _cleanup_(tally_freep) Tally *t = calloc(1, sizeof(*t));

        if (!t)
                return err_origin(-ENOMEM);
        t->store = store;
        t->stall = stall;
        t->seed = *seed;
        int r = layout_new(&t->layout, &store->layout, NULL);
        if (r < 0)
                return err_trace(r);
        *ret = TAKE_PTR(t);
        return 0;
}

Tally *tally_free(Tally *t)
{
        if (!t)
                return NULL;
        layout_free(t->layout);
        keymap_deinit(&t->files);
        keymap_deinit(&t->messages);
        free(t->changes);
        free(t);
        return NULL;
}

static Count count_of(uint64_t value)
{
        Count c;

        memcpy(&c, &value, sizeof(c));
        return c;
}

static bool count_waits(Count c)
{
        return c.files / ONE > c.ignored;
}

/* Return: 0 with the key of the message that @path belongs to, LAYOUT_E_NONE, or a negated errno. */
static int message_key(const Tally *t, const char *path, uint64_t *ret)
{
        const char *id;
        size_t len;

        if (path_is_ignored(t->store->exclude, path))
                return LAYOUT_E_NONE;
        int r = layout_match(t->layout, path, strlen(path), &id, &len);
        if (r == 0)
                *ret = (key_of(&t->seed, 0, id, len) & ~IGNORED) | 2; /* a key is never 0 */
        return r;
}

int tally_concerns(const Tally *t, const char *path)
{
        uint64_t key;
        int r = message_key(t, path, &key);

        return r < 0 ? err_trace(r) : r == 0;
}

static int changes_reserve(Tally *t)
{
        if (t->n_changes < t->allocated)
                return 0;
        size_t n = t->allocated ? 2 * t->allocated : 64;
        Change *bigger = reallocarray(t->changes, n, sizeof(*bigger));
        if (!bigger)
                return err_origin(-ENOMEM);
        t->changes = bigger;
        t->allocated = n;
        return 0;
}

/* The number of files of a message changes; everything that can fail has been done before. */
static void message_change(Tally *t, uint64_t message, uint64_t *value, int files, int ignored)
{
        Count c = count_of(*value);
        bool was_there = c.files >= ONE, waited = count_waits(c);

        if (!(c.files & CHANGED)) {
                t->changes[t->n_changes++] = (Change){ .message = message, .was_there = was_there };
                c.files |= CHANGED;
        }
        c.files += (uint32_t)files * ONE;
        c.ignored += (uint32_t)ignored;
        t->there += (uint64_t)(c.files >= ONE) - (uint64_t)was_there;
        t->waiting += (uint64_t)count_waits(c) - (uint64_t)waited;
        t->moved = true;
        memcpy(value, &c, sizeof(c));
}

static int file_add(Tally *t, uint64_t file, uint64_t value)
{
        if (keymap_get(&t->files, file)) {
                /* Said before, or replaced by a rename: the same message, and something did move. */
                t->moved = true;
                return 0;
        }
        int r = changes_reserve(t);
        if (r < 0)
                return err_trace(r);
        uint64_t *count = keymap_put(&t->messages, value & ~IGNORED);
        if (!count)
                return err_origin(-ENOMEM);
        uint64_t *slot = keymap_put(&t->files, file);
        if (!slot) {
                if (*count == 0)
                        keymap_drop(&t->messages, value & ~IGNORED);
                return err_origin(-ENOMEM);
        }
        *slot = value;
        message_change(t, value & ~IGNORED, count, 1, (int)(value & IGNORED));
        return 0;
}

int tally_add(Tally *t, size_t dir, const char *path)
{
        uint64_t message;
        int r = message_key(t, path, &message);

        if (r != 0)
                return r < 0 ? err_trace(r) : 0;
        bool ignored = t->stall->enabled && path_is_ignored_in(t->stall->ignore, t->store->dirs[dir], path);
        return file_add(t, key_of(&t->seed, dir + 1, path, strlen(path)), message | (ignored ? IGNORED : 0));
}

int tally_remove(Tally *t, size_t dir, const char *path)
{
        uint64_t file = key_of(&t->seed, dir + 1, path, strlen(path));
        uint64_t *slot = keymap_get(&t->files, file);

        if (!slot)
                return 0;
        uint64_t value = *slot;
        uint64_t *count = keymap_get(&t->messages, value & ~IGNORED);
        int r = changes_reserve(t);
        if (r < 0)
                return err_trace(r);
        message_change(t, value & ~IGNORED, count, -1, -(int)(value & IGNORED));
        keymap_drop(&t->files, file);
        return 0;
}

void tally_touch(Tally *t, size_t dir, const char *path)
{
        if (keymap_get(&t->files, key_of(&t->seed, dir + 1, path, strlen(path))))
                t->moved = true;
}

int tally_merge(Tally *t, const Tally *other)
{
        for (size_t i = 0; i < other->files.allocated; i++) {
                const struct KeySlot *slot = &other->files.slots[i];
                int r = slot->key ? file_add(t, slot->key, slot->value) : 0;
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

/* How many messages of @a are not in @b. */
static uint64_t messages_missing(const Tally *a, const Tally *b)
{
        uint64_t n = 0;

        for (size_t i = 0; i < a->messages.allocated; i++) {
                const struct KeySlot *slot = &a->messages.slots[i];
                if (!slot->key || count_of(slot->value).files < ONE)
                        continue;
                const uint64_t *there = keymap_get(&b->messages, slot->key);
                if (!there || count_of(*there).files < ONE)
                        n++;
        }
        return n;
}

void tally_difference(const Tally *before, const Tally *after, uint64_t *ret_arrived, uint64_t *ret_departed)
{
        *ret_arrived = messages_missing(after, before);
        *ret_departed = messages_missing(before, after);
}

void tally_look(Tally *t, ProgressStatus *ret)
{
        *ret = (ProgressStatus){ .moved = t->moved };
        for (size_t i = 0; i < t->n_changes; i++) {
                const Change *change = &t->changes[i];
                uint64_t *value = keymap_get(&t->messages, change->message);
                Count c = count_of(*value);

                c.files &= ~CHANGED;
                memcpy(value, &c, sizeof(c));
                ret->arrived += !change->was_there;
                ret->departed += c.files == 0;
                if (c.files == 0)
                        keymap_drop(&t->messages, change->message);
        }
        ret->waiting = t->waiting;
        ret->ignored = t->there - t->waiting;
        t->n_changes = 0;
        t->moved = false;
}

size_t tally_messages(const Tally *t)
{
        return t->there;
}
