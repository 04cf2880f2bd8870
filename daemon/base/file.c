/*
 * file - the durable write, safe opening in hostile directories, digests
 *
 * Called by recorder, spool and managers (writing), and by whoever reads /proc or a spool. Guarantees: after
 * a crash at any instruction file_replace() has left the old or the new content, whole; nothing here blocks
 * on a FIFO or follows a link that a mail service's user could have planted; dir_open_beneath() and
 * file_open_beneath() never leave the directory or the mount they were given, whether or not the kernel and
 * the sandbox have openat2.
 *
 * Diagnostics: negated errnos. What was made for a failed write is removed again as far as the disk allows.
 */
#include "base/file.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

/*
 * The mode that was asked for, whatever the umask is. Only for what was made a moment ago and nobody else has
 * seen, so a crash before or after it changes nothing: no business of the disk port.
 */
static int mode_set(int fd, mode_t mode)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if ((st.st_mode & 07777) == mode)
                return 0;
        return fchmod(fd, mode) < 0 ? err_origin(-errno) : 0;
}

/* ".NAME.tmp": always the same, so what a crash left is found and used up by the next write, and never piles
 * up. */
static char *temporary_name(const char *name)
{
        char *temporary;

        return asprintf(&temporary, ".%s.tmp", name) < 0 ? NULL : temporary;
}

static int temporary_write(Disk *d, int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
        const int flags = O_WRONLY | O_CREAT | O_EXCL;
        _cleanup_(closep) int fd = -1;
        int r;

        fd = disk_create(d, dirfd, name, flags, mode);
        if (fd == -EEXIST) {
                r = disk_remove(d, dirfd, name, 0);
                if (r < 0 && r != -ENOENT)
                        return err_trace(r);
                fd = disk_create(d, dirfd, name, flags, mode);
        }
        if (fd < 0)
                return err_trace(fd);
        r = mode_set(fd, mode);
        if (r == 0)
                r = disk_write(d, fd, data, len);
        if (r == 0)
                r = disk_sync(d, fd);
        return err_trace(r);
}

int file_replace(Disk *d, int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
        _cleanup_(freep) char *temporary = temporary_name(name);
        int r;

        if (!temporary)
                return err_origin(-ENOMEM);
        r = temporary_write(d, dirfd, temporary, data, len, mode);
        if (r == 0)
                r = disk_rename(d, dirfd, temporary, dirfd, name, 0);
        if (r < 0) {
                (void)disk_remove(d, dirfd, temporary, 0);
                return err_trace(r);
        }
        return err_trace(disk_sync(d, dirfd));
}

/*
 * Reads to the end. With @whole more than @max bytes are -EFBIG, else the rest is left out. The size that
 * stat gives is no guide: /proc says 0, and a file may grow meanwhile.
 */
static int read_all(int fd, size_t max, bool whole, char **ret, size_t *ret_len)
{
        _cleanup_(freep) char *buf = NULL;
        size_t allocated = 0, len = 0, limit;

        if (max >= SIZE_MAX - 1)
                return err_origin(-EINVAL);
        /* One byte more than is wanted tells "full" from "larger". */
        limit = whole ? max + 1 : max;
        for (;;) {
                ssize_t n;

                if (len == limit)
                        break;
                if (len == allocated) {
                        size_t grown = allocated == 0 ? 4096 : allocated * 2;
                        char *p;

                        if (grown > limit)
                                grown = limit;
                        p = realloc(buf, grown + 1);
                        if (!p)
                                return err_origin(-ENOMEM);
                        buf = p;
                        allocated = grown;
                }
                n = read(fd, buf + len, allocated - len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        if (whole && len > max)
                return err_origin(-EFBIG);
        if (!buf && !(buf = malloc(1)))
                return err_origin(-ENOMEM);
        buf[len] = 0;
        *ret = TAKE_PTR(buf);
        if (ret_len)
                *ret_len = len;
        return 0;
}

static int open_retry(int dirfd, const char *path, int flags)
{
        int fd;

        do
                fd = openat(dirfd, path, flags | O_CLOEXEC);
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? -errno : fd;
}

static int check_regular(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        return S_ISREG(st.st_mode) ? 0 : err_origin(-EBADF);
}

int file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len)
{
        _cleanup_(closep) int fd = open_retry(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        int r;

        if (fd < 0)
                return err_origin(fd);
        r = check_regular(fd);
        if (r < 0)
                return err_trace(r);
        return err_trace(read_all(fd, max, true, ret, ret_len));
}

int file_read_virtual(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len)
{
        _cleanup_(closep) int fd = open_retry(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);

        if (fd < 0)
                return err_origin(fd);
        return err_trace(read_all(fd, max, false, ret, ret_len));
}

/* Copies the next component of *@path to @name and moves *@path past it. Return: 1, 0 at the end, or an
 * errno. */
static int component_next(const char **path, char name[NAME_MAX + 1])
{
        const char *p = *path + strspn(*path, "/");
        size_t len = strcspn(p, "/");

        *path = p + len;
        if (len == 0)
                return 0;
        if (len > NAME_MAX)
                return err_origin(-ENAMETOOLONG);
        memcpy(name, p, len);
        name[len] = 0;
        return 1;
}

/* Makes @name in @parent, durably, and opens it. Somebody else may have made it first: then it must be no
 * link. */
static int dir_make(Disk *d, int parent, const char *name, mode_t mode)
{
        _cleanup_(closep) int fd = -1;
        bool ours;
        int r;

        r = disk_mkdir(d, parent, name, mode);
        if (r < 0 && r != -EEXIST)
                return err_trace(r);
        ours = r == 0;
        fd = open_retry(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd < 0)
                return err_origin(fd);
        if (ours) {
                r = mode_set(fd, mode);
                if (r < 0)
                        return err_trace(r);
        }
        r = disk_sync(d, parent);
        if (r < 0)
                return err_trace(r);
        return TAKE_FD(fd);
}

/* One step of dir_ensure(). @trusted becomes false behind a link that neither root nor this user made. */
static int dir_step(Disk *d, int parent, const char *name, mode_t mode, bool *trusted)
{
        struct stat st;
        int fd;

        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return err_origin(-errno);
                if (!*trusted)
                        return err_origin(-ELOOP);
                return err_trace(dir_make(d, parent, name, mode));
        }
        if (S_ISLNK(st.st_mode) && st.st_uid != 0 && st.st_uid != geteuid())
                *trusted = false;
        fd = open_retry(parent, name, O_RDONLY | O_DIRECTORY);
        return fd < 0 ? err_origin(fd) : fd;
}

int dir_ensure(Disk *d, const char *path, mode_t mode)
{
        _cleanup_(closep) int fd = -1;
        char name[NAME_MAX + 1];
        bool trusted = true;
        int r;

        if (path[0] != '/')
                return err_origin(-EINVAL);
        fd = open_retry(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return err_origin(fd);
        while ((r = component_next(&path, name)) > 0) {
                int next;

                if (strcmp(name, "..") == 0)
                        return err_origin(-EINVAL);
                next = dir_step(d, fd, name, mode, &trusted);
                if (next < 0)
                        return err_trace(next);
                close(fd);
                fd = next;
        }
        return r < 0 ? err_trace(r) : TAKE_FD(fd);
}

/* What tells one mount from another; where the kernel gives no mount id, the device has to do. */
typedef struct MountId {
        uint64_t id;
        uint32_t major, minor;
        uint32_t mode;
} MountId;

static int mount_id(int fd, MountId *ret)
{
        struct statx sx;

        if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MNT_ID, &sx) < 0)
                return err_origin(-errno);
        *ret = (MountId){
                .id = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : 0,
                .major = sx.stx_dev_major,
                .minor = sx.stx_dev_minor,
                .mode = sx.stx_mode,
        };
        return 0;
}

/* Opens one component for walk_beneath() and makes sure that it is no link and on the same mount. */
static int walk_step(int dirfd, const char *name, int flags, const MountId *home)
{
        _cleanup_(closep) int fd = -1;
        struct stat st;
        MountId id;
        int r;

        fd = open_retry(dirfd, name, flags | O_NOFOLLOW);
        /* O_DIRECTORY complains first, but it is the link that is wrong. */
        if (fd == -ENOTDIR && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
                return err_origin(-ELOOP);
        if (fd < 0)
                return err_origin(fd);
        r = mount_id(fd, &id);
        if (r < 0)
                return err_trace(r);
        if (id.id != home->id || id.major != home->major || id.minor != home->minor)
                return err_origin(-EXDEV);
        /* O_PATH opens a link itself instead of refusing it. */
        if (S_ISLNK(id.mode) && (!(flags & O_PATH) || !(flags & O_NOFOLLOW)))
                return err_origin(-ELOOP);
        return TAKE_FD(fd);
}

/*
 * The same as openat2 with our flags, one component at a time, for kernels and sandboxes without it. Each
 * step holds the directory it looked at, so a rename in between cannot lead it astray.
 */
static int walk_beneath(int dirfd, const char *path, int flags)
{
        _cleanup_(closep) int at = -1;
        char name[NAME_MAX + 1];
        MountId home;
        int r;

        r = mount_id(dirfd, &home);
        if (r < 0)
                return err_trace(r);
        at = open_retry(dirfd, ".", O_PATH | O_DIRECTORY);
        if (at < 0)
                return err_origin(at);
        while ((r = component_next(&path, name)) > 0) {
                bool last = path[strspn(path, "/")] == 0;
                int next;

                /* "x/" asks for a directory. */
                next = walk_step(at, name,
                                 last ? flags | (*path == '/' ? O_DIRECTORY : 0) : O_PATH | O_DIRECTORY,
                                 &home);
                if (next < 0)
                        return err_trace(next);
                if (last)
                        return next;
                close(at);
                at = next;
        }
        if (r < 0)
                return err_trace(r);
        r = open_retry(at, ".", flags);
        return r < 0 ? err_origin(r) : r;
}

/* Neither way accepts "..": openat2 would while it stays beneath, but no path of ours has one. */
static bool has_dot_dot(const char *path)
{
        for (const char *p = path; (p = strstr(p, "..")); p += 2)
                if ((p == path || p[-1] == '/') && (p[2] == 0 || p[2] == '/'))
                        return true;
        return false;
}

static int open_beneath(int dirfd, const char *path, int flags)
{
        struct open_how how = {
                .flags = (uint64_t)(flags | O_CLOEXEC),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        long fd;

        if (path[0] == '/' || has_dot_dot(path))
                return err_origin(-EXDEV);
        if (path[0] == 0)
                path = ".";
        do
                fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        while (fd < 0 && errno == EINTR);
        if (fd >= 0)
                return (int)fd;
        /* EPERM is a seccomp filter more often than the file; if it is the file, the walk says so again. */
        if (errno == ENOSYS || errno == EPERM)
                return err_trace(walk_beneath(dirfd, path, flags));
        return err_origin(-errno);
}

int dir_open_beneath(int dirfd, const char *path)
{
        return err_trace(open_beneath(dirfd, path, O_RDONLY | O_DIRECTORY));
}

int file_open_beneath(int dirfd, const char *path, int flags)
{
        /* openat2 refuses to mix O_PATH with flags that mean nothing to it. */
        if (!(flags & O_PATH))
                flags |= O_NONBLOCK | O_NOCTTY;
        return err_trace(open_beneath(dirfd, path, flags));
}

int dir_stream(int fd, DIR **ret)
{
        int r;

        if (fd < 0)
                return fd;
        *ret = fdopendir(fd);
        if (!*ret) {
                r = -errno;
                close(fd);
                return err_origin(r);
        }
        rewinddir(*ret); /* @fd may share its position with others */
        return 0;
}

int dir_stream_at(int dirfd, const char *name, DIR **ret)
{
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return dir_stream(fd < 0 ? -errno : fd, ret);
}

void sha256(const void *data, size_t len, uint8_t ret[SHA256_SIZE])
{
        static_assert(SHA256_SIZE == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

        crypto_hash_sha256(ret, data, len);
}

int file_sha256(int fd, uint8_t ret[SHA256_SIZE])
{
        enum { CHUNK = 128 * 1024 };
        _cleanup_(freep) uint8_t *buf = NULL;
        crypto_hash_sha256_state hash;
        struct stat st;
        off_t at = 0;
        int r;

        r = check_regular(fd);
        if (r < 0)
                return err_trace(r);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (st.st_size > FILE_SHA256_MAX)
                return err_origin(-EFBIG);
        buf = malloc(CHUNK);
        if (!buf)
                return err_origin(-ENOMEM);
        crypto_hash_sha256_init(&hash);
        for (;;) {
                ssize_t n = pread(fd, buf, CHUNK, at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        break;
                crypto_hash_sha256_update(&hash, buf, (unsigned long long)n);
                at += n;
                /* Whoever appends as fast as we read must not keep us for ever. */
                if (at > st.st_size)
                        return err_origin(-EAGAIN);
        }
        crypto_hash_sha256_final(&hash, ret);
        return 0;
}
