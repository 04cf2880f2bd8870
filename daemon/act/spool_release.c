/*
 * spool_release - what an operator does with a quarantined message: back to its store, elsewhere, or deleted
 *
 * spool_release() moves the files back under the names they had, control file last, each rename refusing to
 * replace anything; first it looks whether every name is free, so that a message goes back whole or not at
 * all (-EEXIST). A hash directory that has vanished is made again like its parent. With a target, the files
 * go there instead, under their path below the store's directory (below its number, should two of them be
 * alike). Afterwards the folder, empty but for message.json, becomes the receipt (spool_receipt.c). After a
 * crash the same call goes on: a file that is no longer in quarantine is in the store.
 *
 * spool_delete() is the only place where mail is unlinked. The folder is renamed to QID.del first, so that
 * half a message can never be released. Test: tests/unit/test_spool_release.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- finding it --- */

int shelved_find(Spool *s, const char *id, const char *suffix, Shelved *ret)
{
        _cleanup_(freep) char *name = NULL;

        if (!spool_name_ok(id) || strlen(id) < 5 || strcmp(id + strlen(id) - 4, ".tmp") == 0 ||
            strcmp(id + strlen(id) - 4, ".del") == 0)
                return SHELF_E_NONE;
        if (asprintf(&name, "%s%s", id, suffix) < 0)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < s->n_stores; i++) {
                _cleanup_(closep) int shelf = -1;
                int r;

                shelf = shelf_open(s, s->stores + i, false);
                if (shelf == -ENOENT)
                        continue;
                if (shelf < 0)
                        return err_trace(shelf);
                r = shelf_load(s, shelf, name, ret);
                ret->home = i;
                if (r != SHELF_E_NONE)
                        return err_trace(r);
        }
        return SHELF_E_NONE;
}

/* Nothing is left of it but its record: that becomes the receipt. Mail goes with it only if @files. */
int shelf_finish(Spool *s, const Shelved *q, const char *name, bool files)
{
        int r;

        r = shelf_clear(s->disk, q, files);
        return r < 0 ? err_trace(r) : err_trace(receipt_make(s, q, name));
}

/* --- going back --- */

typedef struct Release {
        Spool *spool;
        const Shelved *shelved;
        SpoolReport *report;
        int *roots;  /* where each directory's files go; -1: none goes there */
        bool number; /* with a target: below the number of the directory */
        int files;   /* QID/files, or -1 if all is out already */
} Release;

const SpoolDir *spool_dir_find(const Spool *s, const char *path)
{
        for (size_t i = 0; i < s->n_stores; i++)
                for (size_t d = 0; d < s->stores[i].n_dirs; d++)
                        if (strcmp(s->stores[i].dirs[d].path, path) == 0)
                                return s->stores[i].dirs + d;
        return NULL;
}

/* Opens where the files of directory @d go. */
static int root_open(Release *l, size_t d, const char *target)
{
        const char *path = l->shelved->dirs[d];
        const SpoolDir *dir;
        int fd;

        if (target) {
                do
                        fd = open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                while (fd < 0 && errno == EINTR);
                return fd < 0 ? spool_fail(l->report, err_origin(-errno), "cannot open", target, NULL) : fd;
        }
        dir = spool_dir_find(l->spool, path);
        if (!dir)
                return spool_fail(l->report, err_origin(-ENOENT),
                                  "no store has this directory any more, give another with --to:", path,
                                  NULL);
        fd = spool_dir_open(dir, NULL);
        return fd < 0 ? spool_fail(l->report, err_trace(fd), "cannot open", path, NULL) : fd;
}

/* "N/PATH" or "PATH". NULL on ENOMEM. */
static char *target_path(const Release *l, size_t dir, const char *path)
{
        char *s = NULL;

        if (!l->number)
                return strdup(path);
        return asprintf(&s, "%zu/%s", dir, path) < 0 ? NULL : s;
}

/* Splits file @i; false if it moves with its directory. */
static int release_split(const Release *l, size_t i, size_t *ret_dir, const char **ret_path)
{
        int r;

        r = shelf_split(l->shelved, i, ret_dir, ret_path);
        if (r < 0)
                return spool_fail(l->report, err_trace(r), "message.json names no directory of", NULL,
                                  l->shelved->message.files[i].path);
        return 0;
}

/* The descriptor of files/N, or -ENOENT. */
static int source_open(const Release *l, size_t dir)
{
        char name[24];

        if (l->files < 0)
                return -ENOENT;
        (void)snprintf(name, sizeof(name), "%zu", dir);
        return dir_open_beneath(l->files, name);
}

/* Return: >0 if it has it, 0 if not, or a negated errno: to take that for a no would part the message. */
static int source_has(const Release *l, size_t dir, const char *path)
{
        _cleanup_(closep) int fd = source_open(l, dir);
        struct stat st;

        if (fd < 0)
                return fd == -ENOENT ? 0 : err_trace(fd);
        if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        return 1;
}

/* Opens the roots that are needed and makes sure that no name is taken. */
static int release_prepare(Release *l, const char *target)
{
        const Message *m = &l->shelved->message;

        for (size_t i = 0; i < m->n_files; i++) {
                _cleanup_(freep) char *to = NULL;
                const char *path;
                struct stat st;
                size_t d;
                int r;

                if (shelf_is_inside(l->shelved, i))
                        continue;
                r = release_split(l, i, &d, &path);
                if (r == 0)
                        r = source_has(l, d, path);
                if (r < 0)
                        return err_trace(r);
                if (r == 0)
                        continue;
                if (l->roots[d] < 0)
                        l->roots[d] = root_open(l, d, target);
                if (l->roots[d] < 0)
                        return err_trace(l->roots[d]);
                to = target_path(l, d, path);
                if (!to)
                        return err_origin(-ENOMEM);
                if (fstatat(l->roots[d], to, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        return spool_fail(l->report, err_origin(-EEXIST),
                                          "the name is taken:", target ?: l->shelved->dirs[d], to);
        }
        return 0;
}

static int file_release(const Release *l, size_t d, const char *path)
{
        _cleanup_(freep) char *to = target_path(l, d, path), *to_parent = NULL, *parent = NULL;
        _cleanup_(closep) int root = -1, from = -1, dest = -1;
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        Disk *disk = l->spool->disk;

        parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        to_parent = to ? strndup(to, strrchr(to, '/') ? (size_t)(strrchr(to, '/') - to) : 0) : NULL;
        if (!parent || !to_parent)
                return err_origin(-ENOMEM);
        root = source_open(l, d);
        if (root < 0)
                return err_trace(root);
        from = dir_open_beneath(root, parent);
        if (from < 0)
                return err_trace(from);
        dest = skeleton_folder(disk, -1, l->roots[d], to_parent);
        if (dest < 0)
                return err_trace(dest);
        return err_trace(spool_file_move(disk, from, dest, name));
}

static bool is_last(const Release *l, const char *path)
{
        size_t store = l->shelved->store;

        return store != SIZE_MAX && layout_is_last(l->spool->stores[store].layout, path, strlen(path));
}

static int release_run(Release *l)
{
        const Message *m = &l->shelved->message;

        for (int last = 0; last <= 1; last++)
                for (size_t i = 0; i < m->n_files; i++) {
                        const char *path;
                        size_t d;
                        int r;

                        if (shelf_is_inside(l->shelved, i))
                                continue;
                        r = release_split(l, i, &d, &path);
                        if (r < 0)
                                return err_trace(r);
                        if (is_last(l, path) != (bool)last)
                                continue;
                        r = source_has(l, d, path);
                        if (r > 0)
                                r = file_release(l, d, path);
                        if (r < 0)
                                return spool_fail(l->report, err_trace(r), "cannot release",
                                                  l->shelved->dirs[d], path);
                }
        return 0;
}

/* With one target for all directories: is a path of one also a path of another? */
static bool paths_collide(const Shelved *q)
{
        if (strv_length(q->dirs) < 2)
                return false;
        for (size_t i = 0; i < q->message.n_files; i++)
                for (size_t k = 0; k < i; k++) {
                        const char *a, *b;
                        size_t d, e;

                        if (shelf_split(q, i, &d, &a) == 0 && shelf_split(q, k, &e, &b) == 0 && d != e &&
                            strcmp(a, b) == 0)
                                return true;
                }
        return false;
}

int shelf_return(Spool *s, const Shelved *q, const char *target, SpoolReport *report)
{
        Release l = { .spool = s, .shelved = q, .report = report, .files = -1 };
        size_t n = strv_length(q->dirs);
        int r = 0;

        l.roots = calloc(n > 0 ? n : 1, sizeof(l.roots[0]));
        if (!l.roots)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++)
                l.roots[i] = -1;
        l.number = target && paths_collide(q);
        l.files = dir_open_beneath(q->fd, "files");
        if (l.files < 0 && l.files != -ENOENT)
                r = err_trace(l.files);
        if (r == 0)
                r = release_prepare(&l, target);
        if (r == 0)
                r = release_run(&l);
        for (size_t i = 0; i < n; i++)
                closep(l.roots + i);
        closep(&l.files);
        free(l.roots);
        return err_trace(r);
}

static int not_there(SpoolReport *report, const char *quarantine)
{
        (void)spool_fail(report, -ENOENT, "nothing is in quarantine as", quarantine, NULL);
        return SPOOL_E_NONE;
}

int spool_release(Spool *s, const char *quarantine, const char *target, Message *ret, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        int r;

        r = shelved_find(s, quarantine, "", &q);
        if (r == SHELF_E_NONE)
                return not_there(report, quarantine);
        if (r < 0)
                return spool_fail(report, err_trace(r), "cannot read the record of", quarantine, NULL);
        if (q.message.native) /* its files are not here: that is spool_native.c's */
                return spool_fail(report, err_origin(-EINVAL), "the server holds", quarantine, NULL);
        receipts_forget(s);
        r = shelf_return(s, &q, target, report);
        if (r < 0)
                return err_trace(r);
        r = shelf_finish(s, &q, q.id, false);
        if (r < 0)
                return spool_fail(report, err_trace(r), "released, but something is left in", quarantine,
                                  NULL);
        *ret = q.message;
        q.message = (Message){};
        return 0;
}

int spool_delete(Spool *s, const char *quarantine, Message *ret, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        _cleanup_(freep) char *name = NULL;
        int r;

        r = shelved_find(s, quarantine, ".del", &q);
        if (r == SHELF_E_NONE)
                r = shelved_find(s, quarantine, "", &q);
        if (r == SHELF_E_NONE)
                return not_there(report, quarantine);
        if (r < 0)
                return spool_fail(report, err_trace(r), "cannot read the record of", quarantine, NULL);
        if (q.message.native)
                return spool_fail(report, err_origin(-EINVAL), "the server holds", quarantine, NULL);
        receipts_forget(s);
        if (asprintf(&name, "%s.del", q.id) < 0)
                return err_origin(-ENOMEM);
        if (q.sealed) {
                r = disk_rename(s->disk, q.shelf, q.id, q.shelf, name, RENAME_NOREPLACE);
                if (r == 0)
                        r = disk_sync(s->disk, q.shelf);
                if (r < 0)
                        return spool_fail(report, err_trace(r), "cannot delete", quarantine, NULL);
        }
        r = shelf_finish(s, &q, name, true);
        if (r < 0)
                return spool_fail(report, err_trace(r), "cannot delete all of", quarantine, NULL);
        *ret = q.message;
        q.message = (Message){};
        return 0;
}
