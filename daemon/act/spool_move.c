/*
 * spool_move - files between a store and its tree in hold, a slice at a time
 *
 * Called by spool_place with a list in which each file has a side where it is and a side where it is wanted.
 * A slice holds whole messages and goes in four steps: control files out, the other files out, other files
 * back, control files back. Each directory is synced before the next is begun, so at any power cut a server
 * that starts finds no control file whose message is not whole in the store. Between slices the call can be
 * cancelled; what is moved stays moved, and a second call goes on from there.
 *
 * A name that is taken on the other side, a file that somebody is still writing, and a file that the kernel
 * will not rename (immutable, or mounted over) keep their whole message where it is; the report names them
 * under "taken", "busy" and "refused". A file that has gone meanwhile is no error. Test:
 * tests/unit/test_spool_move.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Mover {
        SpoolTrees *trees;
        SpoolList *list;
        SpoolReport *report;
        SpoolItem **items; /* everything that is to be moved, by message */
        size_t n;
        /* The group under way: one step, one directory. */
        const SpoolItem *group;
        SpoolSide side;
        int from, to;
        SpoolMoved moved;
} Mover;

bool spool_file_is_busy(int root, const char *path)
{
        _cleanup_(closep) int fd = -1;
        bool busy;

        fd = file_open_beneath(root, path, O_RDONLY | O_NOFOLLOW);
        if (fd < 0)
                return fd == -EWOULDBLOCK || fd == -ETXTBSY;
        /* Whoever opens the file in this moment makes the kernel send a signal: one that is ignored by
         * default. */
        if (fcntl(fd, F_SETSIG, SIGURG) < 0)
                return false;
        /* A read lease is granted only if nobody has the file open for writing. */
        busy = fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN;
        if (!busy)
                (void)fcntl(fd, F_SETLEASE, F_UNLCK);
        return busy;
}

static unsigned item_step(const SpoolItem *i)
{
        if (i->wanted != SIDE_STORE)
                return i->last ? 0 : 1;
        return i->last ? 3 : 2;
}

static size_t folder_len(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) : 0;
}

static int compare_message(const void *a, const void *b)
{
        const SpoolItem *x = *(SpoolItem *const *)a, *y = *(SpoolItem *const *)b;

        if (x->message != y->message)
                return x->message < y->message ? -1 : 1;
        return x->path < y->path ? -1 : x->path > y->path;
}

static int compare_group(const void *a, const void *b, void *userdata)
{
        const SpoolItem *x = *(SpoolItem *const *)a, *y = *(SpoolItem *const *)b;
        const SpoolList *l = userdata;
        const char *p = spool_list_path(l, x), *q = spool_list_path(l, y);
        size_t n = folder_len(p), m = folder_len(q);
        int c;

        if (item_step(x) != item_step(y))
                return item_step(x) < item_step(y) ? -1 : 1;
        if (x->dir != y->dir)
                return x->dir < y->dir ? -1 : 1;
        /* What came first goes back first. */
        if (x->side != y->side || x->wanted != y->wanted)
                return x->side * _SIDE_MAX + x->wanted < y->side * _SIDE_MAX + y->wanted ? -1 : 1;
        c = memcmp(p, q, n < m ? n : m);
        if (c != 0 || n != m)
                return c != 0 ? c : n < m ? -1 : 1;
        return compare_message(a, b);
}

/* Is @i of the group under way? */
static bool same_group(const Mover *m, const SpoolItem *i)
{
        const SpoolItem *g = m->group;
        const char *p, *q;
        size_t n;

        /* The group's first item is on the other side by now. */
        if (!g || item_step(g) != item_step(i) || g->dir != i->dir || m->side != i->side ||
            g->wanted != i->wanted)
                return false;
        p = spool_list_path(m->list, g);
        q = spool_list_path(m->list, i);
        n = folder_len(p);
        return n == folder_len(q) && memcmp(p, q, n) == 0;
}

/* Says why @i stays and keeps the rest of its message with it: not of the one that came under its
 * name later. */
static void item_stick(Mover *m, SpoolItem **slice, size_t n, SpoolItem *i, const char *key, int error)
{
        const SpoolTree *tree = m->trees->trees + i->dir;

        spool_note(m->report, key, tree->dir->path, spool_list_path(m->list, i), error);
        i->stuck = true;
        for (size_t k = 0; k < n && i->message != SPOOL_NOBODY; k++)
                if (slice[k]->message == i->message && slice[k]->side != slice[k]->wanted &&
                    (slice[k]->side == SIDE_SPARE) == (i->side == SIDE_SPARE))
                        slice[k]->stuck = true;
}

static bool is_taken(const SpoolTree *tree, unsigned side, const char *path)
{
        struct stat st;

        return tree->root[side] >= 0 && fstatat(tree->root[side], path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The folder has changed; has the file? */
static bool was_still(const Mover *m, int root, const char *path)
{
        struct stat st;

        return m->report && m->report->still_at.tv_sec > 0 &&
               fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && spool_was_still(m->report, &st.st_mtim);
}

/* May a name be taken on the other side? Of a message that is one file the rename itself will tell. */
static bool is_to_be_looked_up(SpoolItem **slice, size_t n, size_t k)
{
        uint32_t message = slice[k]->message;

        return message == SPOOL_NOBODY || (k > 0 && slice[k - 1]->message == message) ||
               (k + 1 < n && slice[k + 1]->message == message);
}

/*
 * Looks at the files of a slice before the first is moved, so that no message is split for a reason seen
 * here. What was in a folder that has not changed since nobody had a file of it open is not asked for: a
 * call for each of a million files takes as long as moving it.
 */
static void slice_vet(Mover *m, SpoolItem **slice, size_t n)
{
        /* A lease, however short, is nothing to surprise a server with. */
        bool live = m->report && m->report->live;

        for (size_t k = 0; k < n; k++) {
                SpoolItem *i = slice[k];
                const SpoolTree *tree = m->trees->trees + i->dir;
                const char *path = spool_list_path(m->list, i);

                if (i->stuck)
                        continue;
                if (is_to_be_looked_up(slice, n, k)) {
                        if (i->wanted == SIDE_HOLD && is_taken(tree, SIDE_HOLD, path))
                                i->wanted = SIDE_SPARE;
                        if (is_taken(tree, i->wanted, path)) {
                                item_stick(m, slice, n, i, "taken", -EEXIST);
                                continue;
                        }
                }
                if (i->type == FILE_REGULAR && !i->still && !(live && i->side == SIDE_STORE) &&
                    !was_still(m, tree->root[i->side], path) && spool_file_is_busy(tree->root[i->side], path))
                        item_stick(m, slice, n, i, "busy", -EBUSY);
        }
}

static int group_leave(Mover *m)
{
        int r, k;

        if (!m->group)
                return 0;
        /* The side that gained first: no file is ever on neither. */
        r = disk_sync(m->trees->spool->disk, m->to);
        k = disk_sync(m->trees->spool->disk, m->from);
        if (r == 0)
                r = k;
        closep(&m->from);
        closep(&m->to);
        m->from = m->to = -1;
        if (r < 0)
                return spool_fail(m->report, err_trace(r), "cannot sync",
                                  m->trees->trees[m->group->dir].dir->path, NULL);
        m->group = NULL;
        return 0;
}

static int group_enter(Mover *m, const SpoolItem *i)
{
        SpoolTree *tree = m->trees->trees + i->dir;
        const char *path = spool_list_path(m->list, i);
        _cleanup_(freep) char *folder = strndup(path, folder_len(path));
        int r;

        if (!folder)
                return err_origin(-ENOMEM);
        r = spool_tree_make(m->trees, i->dir, (SpoolSide)i->wanted, m->report);
        if (r < 0)
                return err_trace(r);
        r = dir_open_beneath(tree->root[i->side], folder);
        if (r < 0)
                return spool_fail(m->report, err_trace(r), "cannot open", tree->dir->path, folder);
        m->from = r;
        r = skeleton_folder(m->trees->spool->disk, tree->root[i->side], tree->root[i->wanted], folder);
        if (r < 0) {
                closep(&m->from);
                m->from = -1;
                return spool_fail(m->report, err_trace(r), "cannot make", tree->dir->path, folder);
        }
        m->to = r;
        m->group = i;
        m->side = (SpoolSide)i->side;
        return 0;
}

/* Is @r the kernel's word on this one file, and not on the disk? */
static bool is_refusal(const SpoolItem *i, int r)
{
        return r == -EPERM || r == -EBUSY || (r == -EXDEV && i->type == FILE_DIRECTORY);
}

/* The name came again: to the tree for those. It is one file, and no other waits for it. */
static int item_spare(Mover *m, SpoolItem *i, const char *name)
{
        SpoolTree *tree = m->trees->trees + i->dir;
        const char *path = spool_list_path(m->list, i);
        _cleanup_(freep) char *folder = strndup(path, folder_len(path));
        Disk *disk = m->trees->spool->disk;
        _cleanup_(closep) int to = -1;
        int r;

        if (!folder)
                return err_origin(-ENOMEM);
        r = spool_tree_make(m->trees, i->dir, SIDE_SPARE, m->report);
        if (r < 0)
                return err_trace(r);
        to = skeleton_folder(disk, tree->root[i->side], tree->root[SIDE_SPARE], folder);
        if (to < 0)
                return err_trace(to);
        r = disk_rename(disk, m->from, name, to, name, RENAME_NOREPLACE);
        if (r < 0)
                return r;
        i->wanted = i->side = SIDE_SPARE;
        m->moved.to[SIDE_SPARE]++;
        return err_trace(disk_sync(disk, to));
}

static int item_move(Mover *m, SpoolItem **slice, size_t n, SpoolItem *i)
{
        const char *path = spool_list_path(m->list, i), *slash = strrchr(path, '/'),
                   *name = slash ? slash + 1 : path;
        int r;

        r = disk_rename(m->trees->spool->disk, m->from, name, m->to, name, RENAME_NOREPLACE);
        if (r == 0) {
                i->side = i->wanted;
                m->moved.to[i->wanted]++;
                return 0;
        }
        if (r == -ENOENT) {
                spool_note(m->report, "vanished", m->trees->trees[i->dir].dir->path, path, 0);
                i->stuck = i->gone = true;
                return 0;
        }
        if (r == -EEXIST && i->wanted == SIDE_HOLD) {
                r = item_spare(m, i, name);
                if (r == 0)
                        return 0;
        }
        if (r == -EEXIST) {
                item_stick(m, slice, n, i, "taken", r);
                return 0;
        }
        if (is_refusal(i, r)) {
                m->moved.refusal = r;
                item_stick(m, slice, n, i, "refused", r);
                return 0;
        }
        return spool_fail(m->report, err_trace(r), "cannot move", m->trees->trees[i->dir].dir->path, path);
}

static int slice_run(Mover *m, SpoolItem **slice, size_t n)
{
        int r;

        slice_vet(m, slice, n);
        qsort_r(slice, n, sizeof(SpoolItem *), compare_group, m->list);
        for (size_t k = 0; k < n; k++) {
                SpoolItem *i = slice[k];

                if (i->stuck)
                        continue;
                if (!same_group(m, i)) {
                        r = group_leave(m);
                        if (r < 0)
                                return err_trace(r);
                        r = group_enter(m, i);
                        if (r < 0)
                                return err_trace(r);
                }
                r = item_move(m, slice, n, i);
                if (r < 0)
                        return err_trace(r);
        }
        return err_trace(group_leave(m));
}

static int mover_run(Mover *m)
{
        for (size_t begin = 0, end; begin < m->n; begin = end) {
                int r;

                if (spool_cancelled(m->report))
                        return err_origin(-ECANCELED);
                for (end = begin + 1; end < m->n; end++)
                        if (end - begin >= SPOOL_SLICE &&
                            (m->items[end]->message != m->items[end - 1]->message ||
                             m->items[end]->message == SPOOL_NOBODY))
                                break;
                r = slice_run(m, m->items + begin, end - begin);
                if (r < 0)
                        return err_trace(r);
                spool_progress(m->report, end - begin);
        }
        return 0;
}

int spool_list_move(SpoolTrees *t, SpoolList *l, SpoolReport *report, SpoolMoved *ret)
{
        Mover m = { .trees = t, .list = l, .report = report, .from = -1, .to = -1 };
        int r;

        for (size_t i = 0; i < l->n_items; i++)
                m.n += l->items[i].side != l->items[i].wanted;
        *ret = m.moved;
        if (m.n == 0)
                return 0;
        m.items = calloc(m.n, sizeof(SpoolItem *));
        if (!m.items)
                return err_origin(-ENOMEM);
        m.n = 0;
        for (size_t i = 0; i < l->n_items; i++)
                if (l->items[i].side != l->items[i].wanted)
                        m.items[m.n++] = l->items + i;
        qsort(m.items, m.n, sizeof(SpoolItem *), compare_message);
        spool_expect(report, m.n);
        r = mover_run(&m);
        for (size_t i = 0; i < m.n; i++)
                m.moved.stuck += m.items[i]->stuck;
        closep(&m.from);
        closep(&m.to);
        free(m.items);
        *ret = m.moved;
        return err_trace(r);
}
