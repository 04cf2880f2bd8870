/*
 * disk_posix - the disk port on the real file system
 *
 * Made once in main.c and handed to whoever changes files: spool, recorder, managers. Tests wrap it or
 * replace it. Guarantees: each call is one system call (a write is as many as it takes), EINTR never comes
 * out, no descriptor leaks into a program that is started meanwhile, and a symbolic link in the last
 * component is never followed.
 *
 * Diagnostics: the negated errno of the call; nothing is undone and nothing is logged.
 */
#include "base/disk.h"

#include "base/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int posix_create(Disk *d, int dirfd, const char *name, int flags, mode_t mode)
{
        int fd;

        (void)d;
        do
                fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, mode);
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? err_origin(-errno) : fd;
}

static int posix_write(Disk *d, int fd, const void *buf, size_t len)
{
        const char *p = buf;

        (void)d;
        while (len > 0) {
                ssize_t n = write(fd, p, len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return err_origin(-errno);
                }
                /* No file system does this; a loop that never ends would be worse than the error. */
                if (n == 0)
                        return err_origin(-EIO);
                p += n;
                len -= (size_t)n;
        }
        return 0;
}

static int posix_sync(Disk *d, int fd)
{
        int r;

        (void)d;
        do
                r = fsync(fd);
        while (r < 0 && errno == EINTR);
        return r < 0 ? err_origin(-errno) : 0;
}

static int posix_rename(Disk *d, int olddirfd, const char *oldname, int newdirfd, const char *newname,
                        unsigned flags)
{
        int r;

        (void)d;
        do
                r = renameat2(olddirfd, oldname, newdirfd, newname, flags);
        while (r < 0 && errno == EINTR);
        return r < 0 ? err_origin(-errno) : 0;
}

static int posix_mkdir(Disk *d, int dirfd, const char *name, mode_t mode)
{
        int r;

        (void)d;
        do
                r = mkdirat(dirfd, name, mode);
        while (r < 0 && errno == EINTR);
        return r < 0 ? err_origin(-errno) : 0;
}

static int posix_remove(Disk *d, int dirfd, const char *name, int flags)
{
        int r;

        (void)d;
        do
                r = unlinkat(dirfd, name, flags);
        while (r < 0 && errno == EINTR);
        return r < 0 ? err_origin(-errno) : 0;
}

Disk *disk_posix(void)
{
        static const DiskOps ops = {
                .create = posix_create,
                .write = posix_write,
                .sync = posix_sync,
                .rename = posix_rename,
                .mkdir = posix_mkdir,
                .remove = posix_remove,
        };
        static Disk disk = { .ops = &ops };

        return &disk;
}
