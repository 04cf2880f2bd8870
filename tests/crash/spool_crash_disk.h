#pragma once

/*
 * A disk that dies: at the n-th call that changes something it ends the process before or after the call, or
 * takes back what was not synced, as a power cut may, and then ends it; or the call fails, once or from then
 * on.
 *
 * The power cut is worse than any journal: each rename, new directory and removal since the last sync of a
 * directory that it touched is taken back or kept by the throw of a coin, in any combination that leaves a
 * consistent tree.
 */

#include "base/cleanup.h"
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CRASH_EXIT 42

typedef enum CrashHow {
        CRASH_NEVER,
        CRASH_BEFORE,
        CRASH_AFTER,
        CRASH_POWER,
        CRASH_FAIL_ONCE,
        CRASH_FAIL_ON,
        _CRASH_HOW_MAX,
} CrashHow;

typedef struct CrashUndo {
        enum { UNDO_RENAME, UNDO_MKDIR, UNDO_RMDIR, UNDO_UNLINK } kind;
        int from, to; /* directories, own descriptors */
        char *old, *new;
        unsigned flags;
        bool synced;
} CrashUndo;

typedef struct CrashDisk {
        Disk disk;
        CrashHow how;
        unsigned at; /* which call, from 1 */
        int error;
        unsigned seed;
        unsigned n; /* calls so far */
        CrashUndo *undo;
        size_t n_undo;
} CrashDisk;

static inline bool same_dir(int a, int b)
{
        struct stat x, y;

        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static inline void crash_log(CrashDisk *c, CrashUndo u)
{
        if (c->how != CRASH_POWER)
                return;
        u.from = fcntl(u.from, F_DUPFD_CLOEXEC, 0);
        u.to = fcntl(u.to, F_DUPFD_CLOEXEC, 0);
        u.old = strdup(u.old);
        u.new = strdup(u.new);
        c->undo = reallocarray(c->undo, c->n_undo + 1, sizeof(u));
        c->undo[c->n_undo++] = u;
}

static inline void crash_undo(const CrashUndo *u)
{
        switch (u->kind) {
        case UNDO_RENAME:
                (void)renameat2(u->to, u->new, u->from, u->old,
                                u->flags & RENAME_EXCHANGE ? RENAME_EXCHANGE : RENAME_NOREPLACE);
                return;
        case UNDO_MKDIR:
                (void)unlinkat(u->from, u->old, AT_REMOVEDIR);
                return;
        case UNDO_RMDIR:
                (void)mkdirat(u->from, u->old, 0700);
                return;
        case UNDO_UNLINK:
                (void)renameat2(u->from, u->new, u->from, u->old, RENAME_NOREPLACE);
                return;
        }
}

static inline void crash_now(CrashDisk *c)
{
        for (size_t i = c->n_undo; i > 0; i--)
                if (!c->undo[i - 1].synced && rand_r(&c->seed) % 2)
                        crash_undo(c->undo + i - 1);
        _exit(CRASH_EXIT);
}

/* Return: 0 to go on, or the error of this call. */
static inline int crash_before(CrashDisk *c)
{
        c->n++;
        switch (c->how) {
        case CRASH_BEFORE:
        case CRASH_POWER:
                if (c->n == c->at)
                        crash_now(c);
                return 0;
        case CRASH_FAIL_ONCE:
                return c->n == c->at ? c->error : 0;
        case CRASH_FAIL_ON:
                return c->n >= c->at ? c->error : 0;
        case CRASH_NEVER:
        case CRASH_AFTER:
        case _CRASH_HOW_MAX:
                return 0;
        }
        return 0;
}

static inline int crash_after(CrashDisk *c, int r)
{
        if (c->how == CRASH_AFTER && c->n == c->at)
                crash_now(c);
        return r;
}

static inline int crash_create(Disk *d, int dirfd, const char *name, int flags, mode_t mode)
{
        CrashDisk *c = (CrashDisk *)d;
        int r = crash_before(c);

        return r < 0 ? r : crash_after(c, disk_create(disk_posix(), dirfd, name, flags, mode));
}

static inline int crash_write(Disk *d, int fd, const void *buf, size_t len)
{
        CrashDisk *c = (CrashDisk *)d;
        int r = crash_before(c);

        return r < 0 ? r : crash_after(c, disk_write(disk_posix(), fd, buf, len));
}

/* Nothing is really synced: the machine stays up. */
static inline int crash_sync(Disk *d, int fd)
{
        CrashDisk *c = (CrashDisk *)d;
        int r = crash_before(c);

        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_undo; i++)
                if (same_dir(fd, c->undo[i].from) || same_dir(fd, c->undo[i].to))
                        c->undo[i].synced = true;
        return crash_after(c, 0);
}

static inline int crash_rename(Disk *d, int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        CrashDisk *c = (CrashDisk *)d;
        int r = crash_before(c);

        if (r < 0)
                return r;
        r = disk_rename(disk_posix(), ofd, o, nfd, n, flags);
        /* A file of ours that replaces another is whole either way; base/file has its own tests. */
        if (r == 0 && flags != 0)
                crash_log(c, (CrashUndo){ .kind = UNDO_RENAME,
                                          .from = ofd,
                                          .to = nfd,
                                          .old = (char *)o,
                                          .new = (char *)n,
                                          .flags = flags });
        return crash_after(c, r);
}

static inline int crash_mkdir(Disk *d, int dirfd, const char *name, mode_t mode)
{
        CrashDisk *c = (CrashDisk *)d;
        int r = crash_before(c);

        if (r < 0)
                return r;
        r = disk_mkdir(disk_posix(), dirfd, name, mode);
        if (r == 0)
                crash_log(c, (CrashUndo){ .kind = UNDO_MKDIR,
                                          .from = dirfd,
                                          .to = dirfd,
                                          .old = (char *)name,
                                          .new = (char *)"" });
        return crash_after(c, r);
}

static inline int crash_remove(Disk *d, int dirfd, const char *name, int flags)
{
        CrashDisk *c = (CrashDisk *)d;
        int r = crash_before(c);

        if (r < 0)
                return r;
        r = disk_remove(disk_posix(), dirfd, name, flags);
        if (r == 0 && flags & AT_REMOVEDIR)
                crash_log(c, (CrashUndo){ .kind = UNDO_RMDIR,
                                          .from = dirfd,
                                          .to = dirfd,
                                          .old = (char *)name,
                                          .new = (char *)"" });
        return crash_after(c, r);
}

static inline void crash_disk_init(CrashDisk *c, CrashHow how, unsigned at, int error, unsigned seed)
{
        static const DiskOps ops = {
                .create = crash_create,
                .write = crash_write,
                .sync = crash_sync,
                .rename = crash_rename,
                .mkdir = crash_mkdir,
                .remove = crash_remove,
        };

        *c = (CrashDisk){ .disk = { .ops = &ops }, .how = how, .at = at, .error = error, .seed = seed };
}
