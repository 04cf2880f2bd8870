/*
 * room - is a file system too full for a mail server?
 *
 * Asked by the cause check of the stores and by the look at the host's conditions. Test:
 * tests/unit/test_room.c.
 */
#include "base/room.h"

#include <inttypes.h>
#include <stdio.h>

/* So little is short, unless the file system is so small that it is a good part of it. */
#define GOOD_PART  20 /* one in so many */
#define SPACE_MIN  (UINT64_C(1) << 20)
#define SPACE_MUCH (UINT64_C(1) << 30)
#define INODE_MIN  16
#define INODE_MUCH 10000

bool space_is_short(const struct statvfs *fs)
{
        uint64_t free_bytes = (uint64_t)fs->f_bavail * fs->f_frsize;

        /* No blocks at all: a file system that does not count them. */
        if (fs->f_blocks == 0)
                return false;
        return (free_bytes < SPACE_MIN && fs->f_bavail < fs->f_blocks / GOOD_PART) ||
               (fs->f_bavail < fs->f_blocks / 100 && free_bytes < SPACE_MUCH) || fs->f_bavail == 0;
}

bool inodes_are_short(const struct statvfs *fs)
{
        /* btrfs and others make inodes as they need them. */
        if (fs->f_files == 0)
                return false;
        return (fs->f_favail < INODE_MIN && fs->f_favail < fs->f_files / GOOD_PART) ||
               (fs->f_favail < fs->f_files / 100 && fs->f_favail < INODE_MUCH) || fs->f_favail == 0;
}

bool room_is_short(const struct statvfs *fs, char *what, size_t size)
{
        if (space_is_short(fs))
                snprintf(what, size, "only %" PRIu64 " KiB of %" PRIu64 " KiB are free",
                         (uint64_t)fs->f_bavail * fs->f_frsize / 1024,
                         (uint64_t)fs->f_blocks * fs->f_frsize / 1024);
        else if (inodes_are_short(fs))
                snprintf(what, size, "only %" PRIu64 " of %" PRIu64 " inodes are free",
                         (uint64_t)fs->f_favail, (uint64_t)fs->f_files);
        else
                return false;
        return true;
}
