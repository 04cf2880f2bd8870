/*
 * spool_tidy - an incident's empty folders away
 *
 * Called when an incident closes, and harmless beside a live server: rmdir succeeds on empty directories
 * only. A directory's tree in hold goes only if no file at all is in it, for its sub-directories are the way
 * back of those that are. The manifest, which is ours, goes with the store's folder. What stays (mail that is
 * still held, rebuildable files that were purged) is named in the report under "left", and is no error. Test:
 * tests/unit/test_spool_tidy.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int count_visit(void *userdata, const SpoolSeen *seen)
{
        uint64_t *files = userdata;

        *files += seen->kind != KIND_FOLDER;
        return 0;
}

/* Removes @path below @root: its own directory and nothing else. */
static int folder_remove(SpoolTrees *t, int root, const char *path)
{
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        _cleanup_(closep) int fd = -1;

        if (!parent)
                return err_origin(-ENOMEM);
        fd = dir_open_beneath(root, parent);
        if (fd < 0)
                return err_trace(fd);
        return disk_remove(t->spool->disk, fd, slash ? slash + 1 : path, AT_REMOVEDIR);
}

static bool is_left(int r)
{
        return r == -ENOTEMPTY || r == -EEXIST || r == -EBUSY || r == -ENOENT;
}

/* A tree of directory @d in hold. */
static int tree_tidy(SpoolTrees *t, const SpoolList *l, size_t d, SpoolSide side, SpoolReport *report)
{
        SpoolTree *tree = t->trees + d;
        uint64_t files = 0;
        int r;

        if (tree->root[side] < 0)
                return 0;
        r = spool_walk(t->store, tree->dir, tree->root[side], count_visit, &files);
        if (r < 0)
                return err_trace(r);
        if (files > 0) {
                spool_note(report, "left", tree->dir->path, NULL, 0);
                return 0;
        }
        /* The walk named folders from above: backwards, each is empty when its turn comes. */
        for (size_t i = l->n_folders; i > 0; i--) {
                const SpoolItem *f = l->folders + i - 1;

                if (f->dir != d || f->side != side)
                        continue;
                r = folder_remove(t, tree->root[side], spool_list_path(l, f));
                if (r < 0 && !is_left(r))
                        return err_trace(r);
        }
        r = disk_remove(t->spool->disk, t->folder, side == SIDE_HOLD ? tree->name : tree->spare,
                        AT_REMOVEDIR);
        return r < 0 && !is_left(r) ? err_trace(r) : 0;
}

/* Removes an empty folder of ours. Return: >0 if it is gone. */
static int folder_tidy(Disk *disk, int dirfd, const char *name, const char *shown, SpoolReport *report)
{
        int r;

        r = disk_remove(disk, dirfd, name, AT_REMOVEDIR);
        if (r == 0 || r == -ENOENT)
                return 1;
        if (!is_left(r))
                return err_trace(r);
        spool_note(report, "left", shown, name, 0);
        return 0;
}

static int trees_tidy(SpoolTrees *t, size_t store, SpoolReport *report)
{
        _cleanup_(spool_list_deinit) SpoolList l = {};
        Roster none = {};
        SpoolCollect how = { .store = store, .roster = &none, .hold_only = true };
        int r;

        r = spool_list_collect(&l, t, &how);
        roster_deinit(&none);
        for (size_t d = 0; r == 0 && d < t->n; d++)
                for (int side = SIDE_HOLD; r == 0 && side <= SIDE_SPARE; side++)
                        r = tree_tidy(t, &l, d, (SpoolSide)side, report);
        return err_trace(r);
}

static int store_tidy(Spool *s, size_t store, const char *incident, SpoolReport *report)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        _cleanup_(freep) char *manifest = NULL, *temporary = NULL;
        int r;

        r = spool_trees_open(&t, s, store, incident, report);
        if (r < 0 || t.incident < 0)
                return err_trace(r);
        if (t.folder >= 0) {
                r = trees_tidy(&t, store, report);
                if (r < 0)
                        return err_trace(r);
                r = folder_tidy(s->disk, t.incident, t.store->folder, t.store->settings->hold, report);
                if (r <= 0)
                        return err_trace(r);
        }
        if (asprintf(&manifest, "%s.manifest", t.store->folder) < 0)
                return err_origin(-ENOMEM);
        if (asprintf(&temporary, ".%s.tmp", manifest) < 0)
                return err_origin(-ENOMEM);
        r = disk_remove(s->disk, t.incident, temporary, 0);
        if (r == 0 || r == -ENOENT)
                r = disk_remove(s->disk, t.incident, manifest, 0);
        return r < 0 && r != -ENOENT ? err_trace(r) : 0;
}

/* The incident's own folder in one hold, and the one for rebuildable files in it. */
static int incident_tidy(Spool *s, const SpoolStore *store, const char *incident, SpoolReport *report)
{
        _cleanup_(closep) int hold = -1, incidents = -1, folder = -1;
        int r;

        hold = spool_hold_open(s, store, false);
        if (hold >= 0)
                incidents = spool_subdir_open(s->disk, hold, "incidents", false);
        if (incidents >= 0)
                folder = spool_subdir_open(s->disk, incidents, incident, false);
        if (folder < 0) {
                r = hold < 0 ? hold : incidents < 0 ? incidents : folder;
                return r == -ENOENT ? 0 : err_trace(r);
        }
        r = folder_tidy(s->disk, folder, "rebuildable", incident, report);
        if (r < 0)
                return err_trace(r);
        r = disk_remove(s->disk, incidents, incident, AT_REMOVEDIR);
        if (r == 0)
                r = disk_sync(s->disk, incidents);
        return r < 0 && !is_left(r) ? err_trace(r) : 0;
}

int spool_tidy(Spool *s, const char *incident, SpoolReport *report)
{
        if (!spool_name_ok(incident))
                return err_origin(-EINVAL);
        for (size_t i = 0; i < s->n_stores; i++) {
                int r = store_tidy(s, i, incident, report);

                if (r < 0)
                        return spool_fail(report, err_trace(r), "cannot tidy up after", incident, NULL);
        }
        /* Stores may share a hold: only after all of them is its folder empty. */
        for (size_t i = 0; i < s->n_stores; i++) {
                int r = incident_tidy(s, s->stores + i, incident, report);

                if (r < 0)
                        return spool_fail(report, err_trace(r), "cannot tidy up after", incident, NULL);
        }
        return 0;
}
