/*
 * spool_exchange - a store's directory and its tree in hold change places
 *
 * One renameat2(RENAME_EXCHANGE) moves any number of messages. Called by spool_place, which has made sure
 * that nothing but messages is in the store's directory. Before it the hold side is made a clone of the store
 * side's skeleton; after it both parents are synced, so a power cut finds the directories here or there,
 * never neither.
 *
 * Where the kernel refuses it (a mount point, an overlay's lower layer, an immutable directory, a sandbox)
 * nothing has changed, the report names the directory and the reason under "fallback", and the caller moves
 * files instead. Test: tests/unit/test_spool_exchange.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>

/* Refusals that a rename of single files may get round. A full or failing disk is none. */
static bool is_refusal(int r)
{
        return r == -EXDEV || r == -EPERM || r == -EACCES || r == -EBUSY || r == -EROFS || r == -EINVAL ||
               r == -EOPNOTSUPP || r == -ENOSYS;
}

static SpoolSide side_opposite(unsigned side)
{
        return side == SIDE_STORE ? SIDE_HOLD : SIDE_STORE;
}

static void items_exchange(SpoolList *l, size_t d)
{
        for (size_t i = 0; i < l->n_items; i++)
                if (l->items[i].dir == d && l->items[i].side != SIDE_SPARE) {
                        l->items[i].side = (uint8_t)side_opposite(l->items[i].side);
                        /* What is no message's goes with its directory: that is where its maker looks
                         * for it. */
                        if (l->items[i].message == SPOOL_NOBODY)
                                l->items[i].wanted = l->items[i].side;
                }
        for (size_t i = 0; i < l->n_folders; i++)
                if (l->folders[i].dir == d && l->folders[i].side != SIDE_SPARE)
                        l->folders[i].side = (uint8_t)side_opposite(l->folders[i].side);
}

int spool_exchange(SpoolTrees *t, SpoolList *l, size_t d, SpoolReport *report)
{
        SpoolTree *tree = t->trees + d;
        SpoolTally tally;
        int fd, r;

        r = spool_clone_make(t, d, report);
        if (r < 0)
                return err_trace(r);
        r = skeleton_sync(t, l, d);
        if (r == 0)
                r = disk_sync(t->spool->disk, t->folder);
        if (r == 0)
                r = disk_rename(t->spool->disk, tree->parent[SIDE_STORE], tree->dir->name,
                                tree->parent[SIDE_HOLD], tree->name, RENAME_EXCHANGE);
        if (is_refusal(r)) {
                spool_note(report, "fallback", tree->dir->path, NULL, r);
                return EXCHANGE_E_REFUSED;
        }
        if (r < 0)
                return spool_fail(report, err_trace(r), "cannot set aside", tree->dir->path, NULL);

        fd = tree->root[SIDE_STORE];
        tree->root[SIDE_STORE] = tree->root[SIDE_HOLD];
        tree->root[SIDE_HOLD] = fd;
        tally = *spool_list_tally(l, d, SIDE_STORE);
        *spool_list_tally(l, d, SIDE_STORE) = *spool_list_tally(l, d, SIDE_HOLD);
        *spool_list_tally(l, d, SIDE_HOLD) = tally;
        items_exchange(l, d);
        spool_count(report, "exchanged", 1);

        for (int side = SIDE_STORE; side <= SIDE_HOLD; side++) {
                r = disk_sync(t->spool->disk, tree->parent[side]);
                if (r < 0)
                        return spool_fail(report, err_trace(r), "cannot sync after an exchange",
                                          tree->dir->path, NULL);
        }
        return 0;
}
