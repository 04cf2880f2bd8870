/*
 * spool_unshelve - a quarantine that was begun and not sealed, undone
 *
 * A disk that fails in the middle of spool_quarantine() leaves a message with some files in QID.tmp and some
 * in hold. As long as the quarantine is tried again it completes them there; but who puts mail back (a
 * restore, or the end of a recovery that gave up) must not bring back half a message. So before anything is
 * placed, the files of such a folder go back to hold, under the paths that they had, and the folder goes.
 * Then the message is whole, and goes where it is wanted like any other.
 *
 * A file that has to stay (the disk still fails, its names in hold are taken, its directory is configured no
 * more) keeps its folder, is named in the report under "unfinished", and its message is given to the caller,
 * who leaves the rest of it in hold. Beside a live service this is harmless: no store is touched. After a
 * crash the next call goes on. Test: tests/unit/test_spool_unshelve.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Unshelve {
        SpoolTrees *trees;
        const char *incident;
        const Roster *roster;
        MessageSet *stays;
        SpoolReport *report;
        int files; /* QID.tmp/files, or -1 */
} Unshelve;

/* The tree of the directory that was the record's @d-th; -ENOENT: it is configured no more. */
static int tree_find(const Unshelve *u, const Shelved *q, size_t d, size_t *ret)
{
        for (size_t i = 0; i < u->trees->n; i++)
                if (strcmp(u->trees->trees[i].dir->path, q->dirs[d]) == 0) {
                        *ret = i;
                        return 0;
                }
        return err_origin(-ENOENT);
}

/* One file from @from to @side of its tree in hold. */
static int file_to(Unshelve *u, size_t tree, SpoolSide side, int from, const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_(freep) char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        const SpoolTree *t = u->trees->trees + tree;
        Disk *disk = u->trees->spool->disk;
        _cleanup_(closep) int to = -1;
        int r;

        if (!parent)
                return err_origin(-ENOMEM);
        r = spool_tree_make(u->trees, tree, side, u->report);
        if (r < 0)
                return err_trace(r);
        to = skeleton_folder(disk, t->root[SIDE_STORE], t->root[side], parent);
        if (to == -ENOENT) /* the store has lost that folder: like its own parent, then */
                to = skeleton_folder(disk, -1, t->root[side], parent);
        if (to < 0)
                return err_trace(to);
        return err_trace(spool_file_move(disk, from, to, name));
}

/* File @i of the record, if it is in the folder. */
static int file_unshelve(Unshelve *u, const Shelved *q, size_t i)
{
        _cleanup_(closep) int root = -1, from = -1;
        _cleanup_(freep) char *parent = NULL;
        const char *path, *slash;
        struct stat st;
        char number[24];
        size_t d, tree;
        int r;

        r = shelf_split(q, i, &d, &path);
        if (r < 0)
                return err_trace(r);
        (void)snprintf(number, sizeof(number), "%zu", d);
        root = dir_open_beneath(u->files, number);
        if (root < 0)
                return root == -ENOENT ? 0 : err_trace(root);
        slash = strrchr(path, '/');
        parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        if (!parent)
                return err_origin(-ENOMEM);
        from = dir_open_beneath(root, parent);
        if (from < 0)
                return from == -ENOENT ? 0 : err_trace(from);
        if (fstatat(from, slash ? slash + 1 : path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        r = tree_find(u, q, d, &tree);
        if (r == 0)
                r = file_to(u, tree, SIDE_HOLD, from, path);
        if (r == -EEXIST)
                r = file_to(u, tree, SIDE_SPARE, from, path);
        return err_trace(r);
}

static int files_unshelve(Unshelve *u, const Shelved *q)
{
        const Message *m = &q->message;
        int all = 0;

        u->files = dir_open_beneath(q->fd, "files");
        if (u->files < 0)
                return u->files == -ENOENT ? 0 : err_trace(u->files);
        for (size_t i = 0; i < m->n_files; i++) {
                int r = shelf_is_inside(q, i) ? 0 : file_unshelve(u, q, i);

                if (r == 0)
                        continue;
                spool_note(u->report, "unfinished", NULL, m->files[i].path, r);
                all = r;
        }
        closep(&u->files);
        return all;
}

/* Its folder away; what cannot be removed is ours and empty, and harms nobody. */
static void folder_drop(const Unshelve *u, const Shelved *q)
{
        _cleanup_(freep) char *name = NULL;
        Disk *disk = u->trees->spool->disk;

        if (asprintf(&name, "%s.tmp", q->id) < 0) {
                name = NULL;
                return;
        }
        if (shelf_clear(disk, q, false) == 0)
                (void)shelf_drop(disk, q->shelf, q, name);
}

static int unshelve_visit(void *userdata, Shelved *q)
{
        Unshelve *u = userdata;
        const SpoolStore *store = u->trees->store;
        unsigned number = (unsigned)(store - u->trees->spool->stores);
        uint32_t index;
        int r;

        if (q->sealed || q->store != number ||
            strcmp(json_string_value(json_object_get(q->json, "incident")) ?: "", u->incident) != 0)
                return 0;
        r = spool_trees_make(u->trees, u->incident, u->report);
        if (r == 0)
                r = files_unshelve(u, q);
        if (r == 0) {
                folder_drop(u, q);
                return 0;
        }
        if (roster_find(u->roster, number, q->message.id, strlen(q->message.id), &index) != 0)
                return 0;
        return err_trace(message_set_add(u->stays, index));
}

int spool_unshelve(SpoolTrees *t, const char *incident, const Roster *roster, MessageSet *ret,
                   SpoolReport *report)
{
        Unshelve u = {
                .trees = t,
                .incident = incident,
                .roster = roster,
                .stays = ret,
                .report = report,
                .files = -1,
        };
        int r;

        r = shelf_walk(t->spool, t->store, ".tmp", unshelve_visit, &u);
        return r < 0 ? spool_fail(report, err_trace(r), "cannot read the quarantine in",
                                  t->store->settings->hold, NULL)
                     : 0;
}
