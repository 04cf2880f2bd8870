#pragma once

/*
 * The disk port: every call that changes a file system on behalf of unjamd goes through it, so that tests can
 * fail the n-th one, lose what was not synced, or kill the process before and after each.
 *
 * Reading (open for reading, stat, getdents) is done directly. Paths are relative to a directory descriptor
 * that the caller holds; no implementation follows a symbolic link in the last component.
 *
 * All functions: 0 (or the descriptor, or the count) on success, a negated errno else; EINTR is retried
 * inside.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Disk Disk;

typedef struct DiskOps {
        /* openat with O_CLOEXEC | O_NOFOLLOW added; for files that are made or written. */
        int (*create)(Disk *d, int dirfd, const char *name, int flags, mode_t mode);
        /* Writes all of @buf. Return: 0 or a negated errno (what was written then is unknown). */
        int (*write)(Disk *d, int fd, const void *buf, size_t len);
        int (*sync)(Disk *d, int fd);
        /* renameat2; @flags are RENAME_NOREPLACE, RENAME_EXCHANGE or 0. */
        int (*rename)(Disk *d, int olddirfd, const char *oldname, int newdirfd, const char *newname,
                      unsigned flags);
        int (*mkdir)(Disk *d, int dirfd, const char *name, mode_t mode);
        /* unlinkat: only for files that unjamd itself made, for empty directories, and for an operator's
         * delete. */
        int (*remove)(Disk *d, int dirfd, const char *name, int flags);
} DiskOps;

struct Disk {
        const DiskOps *ops;
};

/* The real one; static, needs no release. */
Disk *disk_posix(void);

static inline int disk_create(Disk *d, int dirfd, const char *name, int flags, mode_t mode)
{
        return d->ops->create(d, dirfd, name, flags, mode);
}
static inline int disk_write(Disk *d, int fd, const void *buf, size_t len)
{
        return d->ops->write(d, fd, buf, len);
}
static inline int disk_sync(Disk *d, int fd)
{
        return d->ops->sync(d, fd);
}
static inline int disk_rename(Disk *d, int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        return d->ops->rename(d, ofd, o, nfd, n, flags);
}
static inline int disk_mkdir(Disk *d, int dirfd, const char *name, mode_t mode)
{
        return d->ops->mkdir(d, dirfd, name, mode);
}
static inline int disk_remove(Disk *d, int dirfd, const char *name, int flags)
{
        return d->ops->remove(d, dirfd, name, flags);
}
