#pragma once

/*
 * Durable files. The recipe for each kind of write exists once, here.
 */

#include "base/cleanup.h"
#include "base/disk.h"

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * Replaces @name in @dirfd durably: temporary file beside it (O_EXCL), write, fsync, rename, fsync of the
 * directory. After a crash, and after an error, the old or the new content is there, whole. Return: 0 or a
 * negated errno. One writer per name: the temporary file is always ".NAME.tmp". The mode is exact, whatever
 * the umask is.
 */
int file_replace(Disk *d, int dirfd, const char *name, const void *data, size_t len, mode_t mode);

/*
 * Reads a whole regular file of at most @max bytes; *@ret is NUL-terminated and the caller's. -EFBIG if
 * larger, -EBADF if it is no regular file, -ELOOP if it is a symbolic link. @ret_len may be NULL.
 */
int file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len);

/* Reads what a /proc or /sys file gives now, at most @max bytes. Same ownership. */
int file_read_virtual(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len);

/*
 * Opens the directory @path (absolute, no ".."), making missing ones with @mode, fsyncing each parent that
 * gained one. Nothing is made behind a symbolic link that somebody other than root or this user owns: -ELOOP.
 * Return: the descriptor (O_PATH is not set), or a negated errno.
 */
int dir_ensure(Disk *d, const char *path, mode_t mode);

/*
 * Opens @path relative to @dirfd for O_RDONLY | O_DIRECTORY without leaving @dirfd and without following any
 * symbolic link (openat2: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV). "" opens @dirfd itself
 * again. -EXDEV for a path that is absolute, has "..", or enters another mount (a bind mount too); -ELOOP for
 * a symbolic link.
 */
int dir_open_beneath(int dirfd, const char *path);
/*
 * The same for any file, with @flags (O_PATH, O_RDONLY ...); O_NONBLOCK | O_NOCTTY are added: a FIFO cannot
 * block it. O_PATH | O_NOFOLLOW opens a symbolic link itself.
 */
int file_open_beneath(int dirfd, const char *path, int flags);

/*
 * *@ret lists the directory @fd, from its start. @fd is consumed, also by a failure; a negative one is taken
 * for the errno of whoever opened it, and returned.
 */
int dir_stream(int fd, DIR **ret);
/* The same for @name in @dirfd ("." is @dirfd itself), without following a link. */
int dir_stream_at(int dirfd, const char *name, DIR **ret);
DEFINE_CLEANUP(DIR, closedir)

/*
 * SHA-256 of the regular file behind @fd from its start. Return: 0, -EBADF if not regular, -EFBIG if larger
 * than any mail (a hole of a terabyte takes an hour to read), -EAGAIN if it grew meanwhile, or a negated
 * errno.
 */
#define SHA256_SIZE     32
#define FILE_SHA256_MAX (INT64_C(1) << 30)
int file_sha256(int fd, uint8_t ret[SHA256_SIZE]);
void sha256(const void *data, size_t len, uint8_t ret[SHA256_SIZE]);
