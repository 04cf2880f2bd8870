/*
 * spool_list - the files of a store and of its tree in hold, in one compact list
 *
 * Made by whatever moves or records messages: 16 bytes and the path for each file. A message that the roster
 * does not know yet has arrived since the last inventory and is added to it, so nothing on the disk is ever
 * without an owner when it is moved. Fails with -ENOMEM, or what the disk says; the list is then of no use.
 * Test: tests/unit/test_spool_list.c.
 */
#include "act/spool_private.h"

#include <stdlib.h>
#include <string.h>

void spool_list_deinit(SpoolList *l)
{
        free(l->items);
        free(l->folders);
        free(l->arena);
        free(l->tally);
        *l = (SpoolList){};
}

static int arena_add(SpoolList *l, const char *path, size_t len, uint32_t *ret)
{
        if (l->arena_len + len + 1 > UINT32_MAX)
                return err_origin(-EOVERFLOW);
        if (l->arena_len + len + 1 > l->arena_allocated) {
                size_t n = (l->arena_len + len + 1) * 2;
                char *p = realloc(l->arena, n);

                if (!p)
                        return err_origin(-ENOMEM);
                l->arena = p;
                l->arena_allocated = n;
        }
        *ret = (uint32_t)l->arena_len;
        memcpy(l->arena + l->arena_len, path, len);
        l->arena[l->arena_len + len] = '\0';
        l->arena_len += len + 1;
        return 0;
}

static int items_add(SpoolItem **items, size_t *n, size_t *allocated, const SpoolItem *item)
{
        if (*n >= *allocated) {
                size_t more = *allocated > 0 ? *allocated * 2 : 256;
                SpoolItem *p = reallocarray(*items, more, sizeof(*p));

                if (!p)
                        return err_origin(-ENOMEM);
                *items = p;
                *allocated = more;
        }
        (*items)[(*n)++] = *item;
        return 0;
}

int spool_list_add_folder(SpoolList *l, const SpoolItem *folder, const char *path, size_t len)
{
        SpoolItem item = *folder;
        int r;

        r = arena_add(l, path, len, &item.path);
        if (r < 0)
                return err_trace(r);
        return err_trace(items_add(&l->folders, &l->n_folders, &l->folders_allocated, &item));
}

typedef struct Collector {
        const SpoolCollect *how;
        const SpoolTrees *trees;
        SpoolList *list;
        uint16_t dir;
        SpoolSide side;
} Collector;

/* Return: 0 with the roster index, SPOOL_NOBODY for a message that is not wanted, or a negated errno. */
static int message_index(const Collector *c, const SpoolSeen *seen, uint32_t *ret)
{
        Roster *roster = c->how->roster;
        size_t n = roster ? roster->n : 0;
        int r;

        if (!roster)
                return 0;
        if (c->how->only) {
                r = roster_find(roster, (unsigned)c->how->store, seen->id, seen->id_len, ret);
                if (r != 0 || !message_set_has(c->how->only, *ret))
                        *ret = SPOOL_NOBODY;
                return 0;
        }
        r = roster_add(roster, (unsigned)c->how->store, seen->id, seen->id_len, ret);
        if (r < 0)
                return err_trace(r);
        if (roster->n > n)
                roster->entries[*ret].flags = (uint16_t)(MESSAGE_ARRIVED | (seen->odd ? MESSAGE_SUSPECT : 0));
        return 0;
}

static int collect_item(Collector *c, const SpoolSeen *seen, uint32_t message)
{
        SpoolList *l = c->list;
        SpoolItem item = {
                .message = message,
                .dir = c->dir,
                .side = (uint8_t)c->side,
                .wanted = (uint8_t)c->side,
                .type = (uint8_t)seen->type,
        };
        int r;

        if (seen->kind == KIND_FOLDER)
                return err_trace(spool_list_add_folder(l, &item, seen->path, seen->len));
        r = arena_add(l, seen->path, seen->len, &item.path);
        if (r < 0)
                return err_trace(r);
        if (spool_list_tally(l, c->dir, c->side)->files++ % SPOOL_SLICE == 0 &&
            spool_cancelled(c->how->report))
                return err_origin(-ECANCELED);
        item.still = spool_was_still(c->how->report, &seen->folder_mtime);
        item.last =
                seen->kind == KIND_MESSAGE && layout_is_last(c->trees->store->layout, seen->path, seen->len);
        if (item.last)
                spool_list_tally(l, c->dir, c->side)->last++;
        return err_trace(items_add(&l->items, &l->n_items, &l->items_allocated, &item));
}

static int collect_visit(void *userdata, const SpoolSeen *seen)
{
        Collector *c = userdata;
        uint32_t message = SPOOL_NOBODY;
        int r;

        switch (seen->kind) {
        case KIND_MESSAGE:
                r = message_index(c, seen, &message);
                if (r < 0 || (c->how->only && message == SPOOL_NOBODY))
                        return r;
                return collect_item(c, seen, message);
        case KIND_FOLDER:
                return c->how->only ? 0 : collect_item(c, seen, message);
        case KIND_FOREIGN:
        case KIND_SKIPPED:
        case KIND_MOUNT:
                spool_list_tally(c->list, c->dir, c->side)->strange++;
                if (c->how->only)
                        return 0;
                if (seen->kind == KIND_MOUNT)
                        spool_note(c->how->report, "mounts", c->trees->trees[c->dir].dir->path, seen->path,
                                   -EXDEV);
                /* Only what came into hold with an exchange has to be put back one day. */
                return c->side != SIDE_STORE && seen->kind == KIND_FOREIGN ? collect_item(c, seen, message)
                                                                           : 0;
        }
        return err_origin(-ENOTRECOVERABLE);
}

int spool_list_collect(SpoolList *l, SpoolTrees *t, const SpoolCollect *how)
{
        Collector c = { .how = how, .trees = t, .list = l };
        int r;

        l->tally = calloc(t->n * _SIDE_MAX, sizeof(l->tally[0]));
        if (!l->tally)
                return err_origin(-ENOMEM);
        for (size_t d = 0; d < t->n; d++)
                for (int side = 0; side < _SIDE_MAX; side++) {
                        const SpoolTree *tree = t->trees + d;

                        if (tree->root[side] < 0 || (how->hold_only && side == SIDE_STORE))
                                continue;
                        c.dir = (uint16_t)d;
                        c.side = (SpoolSide)side;
                        r = spool_walk(t->store, tree->dir, tree->root[side], collect_visit, &c);
                        if (r < 0)
                                return spool_fail(how->report, err_trace(r), "cannot read", tree->dir->path,
                                                  NULL);
                }
        return 0;
}
