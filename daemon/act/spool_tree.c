/*
 * spool_tree - the directories of a store and of its tree in hold, open
 *
 * Every call on the spool opens what it needs through here and works beneath the descriptors. Nothing stays
 * open between calls: a descriptor would keep a file system from being unmounted, and after an exchange would
 * mean the other directory. A store whose path leads through a symbolic link that was not there when the
 * daemon started is refused with -ENOTDIR or -ELOOP. Test: tests/unit/test_spool_tree.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

bool spool_name_ok(const char *name)
{
        return name && *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* For a kernel or a sandbox without openat2: opened, and then asked where it is. */
static int plain_open_and_ask(const char *path)
{
        _cleanup_(closep) int fd = -1;
        _cleanup_(freep) char *real = NULL;
        char link[64];

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_origin(-errno);
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        real = realpath(link, NULL);
        if (!real)
                return err_origin(-errno);
        return strcmp(real, path) == 0 ? TAKE_FD(fd) : err_origin(-ELOOP);
}

/* Opens an absolute directory path that holds no symbolic link at all. */
static int plain_open(const char *path)
{
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_NO_SYMLINKS,
        };
        long fd;

        do
                fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
        while (fd < 0 && errno == EINTR);
        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
                return plain_open_and_ask(path);
        return fd < 0 ? err_origin(-errno) : (int)fd;
}

int spool_dir_open(const SpoolDir *d, int *ret_parent)
{
        _cleanup_(closep) int parent = -1;
        int fd;

        parent = plain_open(d->parent);
        if (parent < 0)
                return err_trace(parent);
        do
                fd = openat(parent, d->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        while (fd < 0 && errno == EINTR);
        if (fd < 0)
                return err_origin(-errno);
        if (ret_parent)
                *ret_parent = TAKE_FD(parent);
        return fd;
}

/* Made if it is missing; the caller syncs @dirfd before anything is built upon it. */
static int subdir_make(Disk *disk, int dirfd, const char *name)
{
        int fd, r;

        if (!spool_name_ok(name))
                return err_origin(-EINVAL);
        fd = dir_open_beneath(dirfd, name);
        if (fd != -ENOENT)
                return fd;
        r = disk_mkdir(disk, dirfd, name, 0700);
        if (r < 0 && r != -EEXIST)
                return err_trace(r);
        return dir_open_beneath(dirfd, name);
}

int spool_file_move(Disk *disk, int from, int to, const char *name)
{
        int r = disk_rename(disk, from, name, to, name, RENAME_NOREPLACE);

        if (r == 0)
                r = disk_sync(disk, to);
        if (r == 0)
                r = disk_sync(disk, from);
        return err_trace(r);
}

int spool_subdir_open(Disk *disk, int dirfd, const char *name, bool make)
{
        _cleanup_(closep) int fd = -1;
        int r;

        if (!spool_name_ok(name))
                return err_origin(-EINVAL);
        fd = dir_open_beneath(dirfd, name);
        if (fd != -ENOENT || !make)
                return TAKE_FD(fd);
        fd = subdir_make(disk, dirfd, name);
        if (fd < 0)
                return err_trace(fd);
        r = disk_sync(disk, dirfd);
        return r < 0 ? err_trace(r) : TAKE_FD(fd);
}

int spool_hold_open(const Spool *s, const SpoolStore *store, bool make)
{
        int fd;

        if (make)
                return err_trace(dir_ensure(s->disk, store->settings->hold, 0700));
        do
                fd = open(store->settings->hold, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? -errno : fd;
}

/* HOLD/incidents/INCIDENT. Return: the descriptor, -ENOENT. */
static int incident_open(const Spool *s, const SpoolStore *store, const char *incident)
{
        _cleanup_(closep) int hold = -1;
        _cleanup_(closep) int incidents = -1;

        hold = spool_hold_open(s, store, false);
        if (hold < 0)
                return hold;
        incidents = spool_subdir_open(s->disk, hold, "incidents", false);
        if (incidents < 0)
                return incidents;
        return spool_subdir_open(s->disk, incidents, incident, false);
}

static int tree_open_hold(SpoolTrees *t, SpoolTree *tree, SpoolSide side, bool make)
{
        const char *name = side == SIDE_HOLD ? tree->name : tree->spare;
        int fd;

        if (t->folder < 0 || tree->root[side] >= 0)
                return 0;
        fd = make ? subdir_make(t->spool->disk, t->folder, name)
                  : spool_subdir_open(t->spool->disk, t->folder, name, false);
        if (fd == -ENOENT && !make)
                return 0;
        if (fd < 0)
                return err_trace(fd);
        tree->root[side] = fd;
        tree->parent[side] = t->folder;
        return 0;
}

/* The incident's folder and the store's in it; none of them there is fine. */
static int folders_open(SpoolTrees *t, const char *incident)
{
        int fd;

        fd = incident_open(t->spool, t->store, incident);
        if (fd < 0)
                return fd == -ENOENT ? 0 : err_trace(fd);
        t->incident = fd;
        fd = spool_subdir_open(t->spool->disk, t->incident, t->store->folder, false);
        if (fd < 0)
                return fd == -ENOENT ? 0 : err_trace(fd);
        t->folder = fd;
        return 0;
}

/* All of them made, and then all synced: a journal is written once for all. What is there may have been made
 * by one who died before syncing it. */
static int folders_make(SpoolTrees *t, const char *incident)
{
        _cleanup_(closep) int hold = -1, incidents = -1;
        Disk *disk = t->spool->disk;
        int r;

        hold = spool_hold_open(t->spool, t->store, true);
        if (hold < 0)
                return err_trace(hold);
        incidents = subdir_make(disk, hold, "incidents");
        if (incidents < 0)
                return err_trace(incidents);
        if (t->incident < 0)
                t->incident = subdir_make(disk, incidents, incident);
        if (t->incident < 0)
                return err_trace(t->incident);
        if (t->folder < 0)
                t->folder = subdir_make(disk, t->incident, t->store->folder);
        if (t->folder < 0)
                return err_trace(t->folder);
        r = disk_sync(disk, hold);
        if (r == 0)
                r = disk_sync(disk, incidents);
        if (r == 0)
                r = disk_sync(disk, t->incident);
        return err_trace(r);
}

int spool_trees_make(SpoolTrees *t, const char *incident, SpoolReport *report)
{
        int r;

        r = folders_make(t, incident);
        return r < 0 ? spool_fail(report, err_trace(r), "cannot make a folder in", t->store->settings->hold,
                                  NULL)
                     : 0;
}

int spool_tree_make(SpoolTrees *t, size_t d, SpoolSide side, SpoolReport *report)
{
        int r;

        r = side == SIDE_STORE ? 0 : tree_open_hold(t, t->trees + d, side, true);
        /* One that was there may be the clone of an exchange that never came. */
        if (r == 0 && side != SIDE_STORE)
                r = disk_sync(t->spool->disk, t->folder);
        return r < 0 ? spool_fail(report, err_trace(r), "cannot make a folder in", t->store->settings->hold,
                                  NULL)
                     : 0;
}

int spool_clone_make(SpoolTrees *t, size_t d, SpoolReport *report)
{
        int r;

        r = tree_open_hold(t, t->trees + d, SIDE_HOLD, true);
        return r < 0 ? spool_fail(report, err_trace(r), "cannot make a folder in", t->store->settings->hold,
                                  NULL)
                     : 0;
}

int spool_trees_open(SpoolTrees *ret, Spool *s, size_t store, const char *incident, SpoolReport *report)
{
        _cleanup_(spool_trees_close) SpoolTrees t = {
                .spool = s,
                .store = s->stores + store,
                .incident = -1,
                .folder = -1,
        };
        int r;

        t.trees = calloc(t.store->n_dirs, sizeof(t.trees[0]));
        if (!t.trees)
                return err_origin(-ENOMEM);
        if (incident) {
                r = folders_open(&t, incident);
                if (r < 0)
                        return spool_fail(report, r, "cannot open", t.store->settings->hold, NULL);
        }
        for (; t.n < t.store->n_dirs; t.n++) {
                SpoolTree *tree = t.trees + t.n;

                *tree = (SpoolTree){ .dir = t.store->dirs + t.n,
                                     .parent = { -1, -1, -1 },
                                     .root = { -1, -1, -1 } };
                (void)snprintf(tree->name, sizeof(tree->name), "%zu", t.n);
                (void)snprintf(tree->spare, sizeof(tree->spare), "%s.spare", tree->name);
                r = spool_dir_open(tree->dir, &tree->parent[SIDE_STORE]);
                if (r < 0)
                        return spool_fail(report, r, "cannot open the store's directory", tree->dir->path,
                                          NULL);
                tree->root[SIDE_STORE] = r;
                r = tree_open_hold(&t, tree, SIDE_HOLD, false);
                if (r == 0)
                        r = tree_open_hold(&t, tree, SIDE_SPARE, false);
                if (r < 0) {
                        t.n++; /* this one has something to close */
                        return spool_fail(report, r, "cannot open what is held of", tree->dir->path, NULL);
                }
        }
        *ret = t;
        t = (SpoolTrees){ .incident = -1, .folder = -1 };
        return 0;
}

void spool_trees_close(SpoolTrees *t)
{
        for (size_t i = 0; i < t->n; i++) {
                closep(&t->trees[i].root[SIDE_STORE]);
                closep(&t->trees[i].root[SIDE_HOLD]);
                closep(&t->trees[i].root[SIDE_SPARE]);
                closep(&t->trees[i].parent[SIDE_STORE]);
        }
        free(t->trees);
        closep(&t->folder);
        closep(&t->incident);
        *t = (SpoolTrees){ .incident = -1, .folder = -1 };
}
