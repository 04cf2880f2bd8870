/*
 * spool_probe - can files be renamed and directories be exchanged between a store's directory and hold?
 *
 * Asked when the configuration is read, inside the daemon's own sandbox. st_dev cannot tell: two bind mounts
 * of one file system have the same, and the kernel refuses a rename between them all the same. Only a rename
 * can.
 *
 * But a server watches its directories: a probe file in one might be taken for mail, and a strange name in a
 * spool's root upsets some start scripts. So nothing is ever made there. Instead:
 *
 *   1. A rename of a name that does not exist, from the store's directory to hold and back. The kernel
 *      compares the two mounts, and asks whether they may be written, before it looks for the name: -ENOENT
 *      means that a file that does exist would get past both, -EXDEV or -EROFS are the refusals.
 *   2. What else refuses a rename inside of one mount: another st_dev (btrfs subvolumes), a project id that
 *      hold hands down (-EXDEV), and an immutable or append-only directory (-EPERM).
 *   3. RENAME_NOREPLACE and RENAME_EXCHANGE for real, with probe files and probe directories inside of hold,
 *      which is then known to be the same file system: it says whether that has them (-EINVAL if not).
 *
 * That a directory can be exchanged is not part of the answer: a mount point or an overlay's lower layer
 * refuses that and lets files go, which is what spool_place falls back to. Test:
 * tests/unit/test_spool_probe.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define PROBE_NAME_MAX 64

/* A name that is nobody's. */
static void probe_name(char buf[PROBE_NAME_MAX])
{
        static atomic_uint counter;

        (void)snprintf(buf, PROBE_NAME_MAX, ".unjam-probe-%ld-%u", (long)getpid(),
                       atomic_fetch_add(&counter, 1));
}

/* Step 1, one way. Return: 0 or the refusal. */
static int absent_rename(Disk *disk, int from, int to)
{
        char name[PROBE_NAME_MAX];
        int r;

        probe_name(name);
        r = disk_rename(disk, from, name, to, name, RENAME_NOREPLACE);
        if (r == -ENOENT)
                return 0;
        return r == 0 ? err_origin(-ENOTRECOVERABLE) : err_trace(r);
}

/* Step 2. */
static int directory_check(int dir, int hold)
{
        struct fsxattr a = {}, b = {};
        struct statx d, h;

        if (statx(dir, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &d) < 0 ||
            statx(hold, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &h) < 0)
                return err_origin(-errno);
        if (d.stx_dev_major != h.stx_dev_major || d.stx_dev_minor != h.stx_dev_minor)
                return err_origin(-EXDEV);
        if (d.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
                return err_origin(-EPERM);
        if (ioctl(dir, FS_IOC_FSGETXATTR, &a) == 0 && ioctl(hold, FS_IOC_FSGETXATTR, &b) == 0 &&
            b.fsx_xflags & FS_XFLAG_PROJINHERIT && a.fsx_projid != b.fsx_projid)
                return err_origin(-EXDEV);
        return 0;
}

static int probe_file(Disk *disk, int hold, const char *name)
{
        _cleanup_(closep) int fd = -1;

        fd = disk_create(disk, hold, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        return fd < 0 ? fd : 0;
}

/* Step 3, for files: a rename to a name that is free works, to one that is taken does not. */
static int files_probe(Disk *disk, int hold)
{
        char a[PROBE_NAME_MAX], b[PROBE_NAME_MAX];
        int r;

        probe_name(a);
        probe_name(b);
        r = probe_file(disk, hold, a);
        if (r < 0)
                return err_trace(r);
        r = disk_rename(disk, hold, a, hold, b, RENAME_NOREPLACE);
        if (r == 0) {
                r = probe_file(disk, hold, a);
                if (r == 0) {
                        r = disk_rename(disk, hold, a, hold, b, RENAME_NOREPLACE);
                        /* Replacing in spite of the flag would lose mail one day. */
                        r = r == -EEXIST ? 0 : r < 0 ? r : err_origin(-EINVAL);
                }
                (void)disk_remove(disk, hold, b, 0);
        }
        (void)disk_remove(disk, hold, a, 0);
        return err_trace(r);
}

/* Step 3, for directories. */
static int exchange_probe(Disk *disk, int hold)
{
        char a[PROBE_NAME_MAX], b[PROBE_NAME_MAX];
        int r;

        probe_name(a);
        probe_name(b);
        r = disk_mkdir(disk, hold, a, 0700);
        if (r < 0)
                return err_trace(r);
        r = disk_mkdir(disk, hold, b, 0700);
        if (r == 0) {
                r = disk_rename(disk, hold, a, hold, b, RENAME_EXCHANGE);
                (void)disk_remove(disk, hold, b, AT_REMOVEDIR);
        }
        (void)disk_remove(disk, hold, a, AT_REMOVEDIR);
        return err_trace(r);
}

int spool_probe_rename(Disk *disk, const char *dir, const char *hold)
{
        _cleanup_(closep) int dir_fd = -1, hold_fd = -1;
        int r;

        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir_fd < 0)
                return err_origin(-errno);
        hold_fd = dir_ensure(disk, hold, 0700);
        if (hold_fd < 0)
                return err_trace(hold_fd);
        r = absent_rename(disk, dir_fd, hold_fd);
        if (r == 0)
                r = absent_rename(disk, hold_fd, dir_fd);
        if (r == 0)
                r = directory_check(dir_fd, hold_fd);
        if (r == 0)
                r = files_probe(disk, hold_fd);
        if (r == 0)
                r = exchange_probe(disk, hold_fd);
        return err_trace(r);
}
