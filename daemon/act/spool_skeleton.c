/*
 * spool_skeleton - empty directories that are like others
 *
 * A store's directory can be exchanged with an empty one in constant time only if the server cannot tell the
 * two apart: owner, mode, ACL, other extended attributes with the security label, inode flags and project id,
 * for the directory and each (hash) sub-directory. Made by spool_exchange, and for single sub-directories by
 * spool_move and spool_release. What is already alike is not touched, so that a call that is repeated after a
 * crash, or before the exchange back, writes nothing it need not.
 *
 * Owner, mode and attributes are set directly, not through the disk port: the directories are ours, empty,
 * and not in the store yet. The immutable and append-only flags are not cloned: such a directory cannot be
 * exchanged anyway. Diagnostics: a negated errno; the caller then moves files one by one. Test:
 * tests/unit/test_spool_skeleton.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* A directory's attributes are small; this only bounds the tries against one that grows as we read. */
#define XATTR_TRIES 8

/* Reads one attribute (or, with NULL @name, their names). *@ret is NULL with length 0 if there is nothing. */
static int xattr_read(int fd, const char *name, char **ret, size_t *ret_len)
{
        for (unsigned i = 0; i < XATTR_TRIES; i++) {
                _cleanup_(freep) char *value = NULL;
                ssize_t n = name ? fgetxattr(fd, name, NULL, 0) : flistxattr(fd, NULL, 0);

                if (n < 0)
                        return errno == ENOTSUP ? -ENODATA : -errno;
                /* Room for one byte more than there was: with none at all, only its length would be told. */
                value = malloc((size_t)n + 2);
                if (!value)
                        return err_origin(-ENOMEM);
                n = name ? fgetxattr(fd, name, value, (size_t)n + 1) : flistxattr(fd, value, (size_t)n + 1);
                if (n < 0 && errno == ERANGE)
                        continue;
                if (n < 0)
                        return -errno;
                value[n] = '\0';
                *ret_len = (size_t)n;
                *ret = TAKE_PTR(value);
                return 0;
        }
        return err_origin(-EAGAIN);
}

/* Digests that the kernel keeps of one inode; it makes them itself. */
static bool xattr_is_of_inode(const char *name)
{
        return strcmp(name, "security.evm") == 0 || strcmp(name, "security.ima") == 0;
}

static int xattr_copy(int from, int to, const char *name)
{
        _cleanup_(freep) char *want = NULL, *have = NULL;
        size_t want_len = 0, have_len = 0;
        int r;

        r = xattr_read(from, name, &want, &want_len);
        if (r < 0)
                return r == -ENODATA ? 0 : err_trace(r);
        r = xattr_read(to, name, &have, &have_len);
        if (r < 0 && r != -ENODATA)
                return err_trace(r);
        if (have && want && have_len == want_len && memcmp(have, want, want_len) == 0)
                return 0;
        return fsetxattr(to, name, want, want_len, 0) < 0 ? err_origin(-errno) : 0;
}

/* Takes away what @to has and @from has not: an ACL that it inherited from hold, say. */
static int xattr_drop(int from, int to, const char *name)
{
        if (fgetxattr(from, name, NULL, 0) >= 0 || (errno != ENODATA && errno != ENOTSUP))
                return 0;
        if (fremovexattr(to, name) < 0 && errno != ENODATA && errno != ENOTSUP)
                return err_origin(-errno);
        return 0;
}

static int xattrs_each(int listed, int from, int to, int (*what)(int from, int to, const char *name))
{
        _cleanup_(freep) char *names = NULL;
        size_t len = 0;
        int r;

        r = xattr_read(listed, NULL, &names, &len);
        if (r < 0)
                return r == -ENODATA ? 0 : err_trace(r);
        for (const char *n = names; n < names + len; n += strlen(n) + 1) {
                if (xattr_is_of_inode(n))
                        continue;
                r = what(from, to, n);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static bool is_unsupported(int error)
{
        return error == ENOTTY || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS;
}

static int flags_copy(int from, int to)
{
        const int mask = FS_FL_USER_MODIFIABLE & ~(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_EXTENT_FL);
        int want = 0, have = 0;

        if (ioctl(from, FS_IOC_GETFLAGS, &want) < 0 || ioctl(to, FS_IOC_GETFLAGS, &have) < 0)
                return is_unsupported(errno) ? 0 : err_origin(-errno);
        if ((want & mask) == (have & mask))
                return 0;
        have = (have & ~mask) | (want & mask);
        return ioctl(to, FS_IOC_SETFLAGS, &have) < 0 ? err_origin(-errno) : 0;
}

static int project_copy(int from, int to)
{
        struct fsxattr want = {}, have = {};

        if (ioctl(from, FS_IOC_FSGETXATTR, &want) < 0 || ioctl(to, FS_IOC_FSGETXATTR, &have) < 0)
                return is_unsupported(errno) ? 0 : err_origin(-errno);
        if (want.fsx_projid == have.fsx_projid &&
            ((want.fsx_xflags ^ have.fsx_xflags) & FS_XFLAG_PROJINHERIT) == 0)
                return 0;
        have.fsx_projid = want.fsx_projid;
        have.fsx_xflags = (have.fsx_xflags & ~(uint32_t)FS_XFLAG_PROJINHERIT) |
                          (want.fsx_xflags & FS_XFLAG_PROJINHERIT);
        return ioctl(to, FS_IOC_FSSETXATTR, &have) < 0 ? err_origin(-errno) : 0;
}

int skeleton_copy_attributes(int from, int to)
{
        struct stat want, have;
        int r;

        if (fstat(from, &want) < 0 || fstat(to, &have) < 0)
                return err_origin(-errno);
        if ((want.st_uid != have.st_uid || want.st_gid != have.st_gid) &&
            fchown(to, want.st_uid, want.st_gid) < 0)
                return err_origin(-errno);
        r = xattrs_each(from, from, to, xattr_copy);
        if (r < 0)
                return err_trace(r);
        r = xattrs_each(to, from, to, xattr_drop);
        if (r < 0)
                return err_trace(r);
        /* After the ACL, which sets mode bits, too. */
        if (fstat(to, &have) < 0)
                return err_origin(-errno);
        if ((want.st_mode & 07777) != (have.st_mode & 07777) && fchmod(to, want.st_mode & 07777) < 0)
                return err_origin(-errno);
        r = flags_copy(from, to);
        if (r < 0)
                return err_trace(r);
        return err_trace(project_copy(from, to));
}

/* One component of skeleton_folder(). Return: the descriptor below @to. */
static int folder_step(Disk *disk, int from, int to, const char *name, bool sync)
{
        _cleanup_(closep) int fd = -1, model = -1;
        int r;

        fd = dir_open_beneath(to, name);
        if (fd != -ENOENT)
                return fd < 0 ? err_trace(fd) : TAKE_FD(fd);
        r = disk_mkdir(disk, to, name, 0700);
        if (r < 0 && r != -EEXIST)
                return err_trace(r);
        fd = dir_open_beneath(to, name);
        if (fd < 0)
                return err_trace(fd);
        if (from >= 0) {
                model = dir_open_beneath(from, name);
                if (model < 0)
                        return err_trace(model);
        }
        r = skeleton_copy_attributes(model >= 0 ? model : to, fd);
        if (r < 0)
                return err_trace(r);
        r = sync ? disk_sync(disk, fd) : 0;
        if (r == 0 && sync)
                r = disk_sync(disk, to);
        return r < 0 ? err_trace(r) : TAKE_FD(fd);
}

/* skeleton_folder(); without @sync, the caller syncs every folder that may have been made. */
static int folder_like(Disk *disk, int from, int to, const char *path, bool sync)
{
        _cleanup_(closep) int fd = -1, model = -1;
        _cleanup_(freep) char *copy = strdup(path);
        char *rest = copy;

        if (!copy)
                return err_origin(-ENOMEM);
        fd = dir_open_beneath(to, "");
        for (const char *name; fd >= 0 && rest && *rest;) {
                int next;

                name = strsep(&rest, "/");
                next = folder_step(disk, from >= 0 ? (model >= 0 ? model : from) : -1, fd, name, sync);
                close(fd);
                fd = next;
                if (fd >= 0 && from >= 0) {
                        next = dir_open_beneath(model >= 0 ? model : from, name);
                        closep(&model);
                        model = next;
                        if (model < 0)
                                return err_trace(model);
                }
        }
        return fd < 0 ? err_trace(fd) : TAKE_FD(fd);
}

int skeleton_folder(Disk *disk, int from, int to, const char *path)
{
        return folder_like(disk, from, to, path, true);
}

/* Copies attributes to a counterpart that is there, or makes it. The time is set by the caller, once all is
 * made. */
static int folder_sync(SpoolTrees *t, const SpoolTree *tree, const char *path)
{
        _cleanup_(closep) int from = -1, to = -1;

        from = dir_open_beneath(tree->root[SIDE_STORE], path);
        if (from < 0)
                return err_trace(from);
        to = folder_like(t->spool->disk, tree->root[SIDE_STORE], tree->root[SIDE_HOLD], path, false);
        if (to < 0)
                return err_trace(to);
        return err_trace(skeleton_copy_attributes(from, to));
}

/* Makes the modification time of a clone that no file has been in that of its model. */
static int folder_time(const SpoolTree *tree, const char *path)
{
        _cleanup_(closep) int from = -1, to = -1;
        struct timespec times[2];
        struct stat st;

        from = dir_open_beneath(tree->root[SIDE_STORE], path);
        if (from < 0)
                return err_trace(from);
        to = dir_open_beneath(tree->root[SIDE_HOLD], path);
        if (to < 0)
                return err_trace(to);
        if (fstat(from, &st) < 0)
                return err_origin(-errno);
        times[0] = st.st_atim;
        times[1] = st.st_mtim;
        return futimens(to, times) < 0 ? err_origin(-errno) : 0;
}

static int folder_durable(SpoolTrees *t, const SpoolTree *tree, const char *path)
{
        _cleanup_(closep) int fd = -1;

        fd = dir_open_beneath(tree->root[SIDE_HOLD], path);
        return fd < 0 ? err_trace(fd) : err_trace(disk_sync(t->spool->disk, fd));
}

/* Is nothing on the hold side but folders that this call or an interrupted one made? */
static bool hold_is_new(const SpoolTrees *t, const SpoolList *l, size_t d)
{
        struct statx from, to;
        const SpoolTree *tree = t->trees + d;

        for (size_t i = 0; i < l->n_items; i++)
                if (l->items[i].dir == d && l->items[i].side == SIDE_HOLD)
                        return false;
        if (statx(tree->root[SIDE_STORE], "", AT_EMPTY_PATH, STATX_BTIME, &from) < 0 ||
            statx(tree->root[SIDE_HOLD], "", AT_EMPTY_PATH, STATX_BTIME, &to) < 0)
                return false;
        /* The original is older than its clone; its own time is not to be touched. */
        return (from.stx_mask & to.stx_mask & STATX_BTIME) == 0 ||
               to.stx_btime.tv_sec > from.stx_btime.tv_sec ||
               (to.stx_btime.tv_sec == from.stx_btime.tv_sec &&
                to.stx_btime.tv_nsec > from.stx_btime.tv_nsec);
}

/* The next sub-folder of directory @d's store side from *@i on, in the order of the walk. */
static const SpoolItem *folder_next(const SpoolList *l, size_t d, size_t *i)
{
        while (*i < l->n_folders) {
                const SpoolItem *f = l->folders + (*i)++;

                if (f->dir == d && f->side == SIDE_STORE && *spool_list_path(l, f))
                        return f;
        }
        return NULL;
}

/* Everything is made first and synced at the end: so a journal is written once, and not for each folder. */
int skeleton_sync(SpoolTrees *t, const SpoolList *l, size_t d)
{
        const SpoolTree *tree = t->trees + d;
        bool set_time = hold_is_new(t, l, d);
        const SpoolItem *f;
        size_t i = 0;
        int r;

        r = skeleton_copy_attributes(tree->root[SIDE_STORE], tree->root[SIDE_HOLD]);
        while (r == 0 && (f = folder_next(l, d, &i)))
                r = folder_sync(t, tree, spool_list_path(l, f));
        for (i = 0; r == 0 && set_time && (f = folder_next(l, d, &i));)
                r = folder_time(tree, spool_list_path(l, f));
        if (r == 0 && set_time)
                r = folder_time(tree, "");
        for (i = 0; r == 0 && (f = folder_next(l, d, &i));)
                r = folder_durable(t, tree, spool_list_path(l, f));
        if (r == 0)
                r = folder_durable(t, tree, "");
        return err_trace(r);
}
