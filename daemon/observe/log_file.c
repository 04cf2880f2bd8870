/*
 * log_file - one file of a log, and how far it has been read
 *
 * Called by log_family and log_turn, in a worker. /var/log may belong to somebody hostile, so only regular
 * files are opened, never through a symbolic link, and nothing can block: a FIFO does not.
 *
 * Guarantees: log_file_check() after a read proves what was read. Whoever truncates a file and writes again
 * changes the bytes before the offset, or the file is too short; so if they are still there after the read,
 * the file was the same one during the read. (A log that repeats the very same 4 KiB at the same place
 * defeats that; lines with a time in them do not.)
 *
 * Fails with ENOMEM or the errno of a read. Test: tests/unit/test_log_file.c.
 */
#include "observe/log_file.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <string.h>

size_t log_file_head_len(const LogFile *f)
{
        uint64_t n = f->offset > f->hole ? f->offset - f->hole : 0;

        return n < LOG_HEAD ? (size_t)n : LOG_HEAD;
}

static size_t tail_len(const LogFile *f)
{
        return f->offset < LOG_TAIL ? (size_t)f->offset : LOG_TAIL;
}

int log_file_new(LogFile **ret, const char *name)
{
        LogFile *f = calloc(1, sizeof(*f));

        if (!f)
                return err_origin(-ENOMEM);
        f->fd = f->wd = -1;
        f->name = strdup(name);
        if (!f->name) {
                free(f);
                return err_origin(-ENOMEM);
        }
        *ret = f;
        return 0;
}

LogFile *log_file_free(LogFile *f)
{
        if (!f)
                return NULL;
        log_file_close(f);
        free(f->name);
        free(f);
        return NULL;
}

void log_file_close(LogFile *f)
{
        log_file_seal(f);
        free(f->tail);
        f->tail = NULL;
        closep(&f->fd);
        f->fd = -1;
}

int log_file_open(LogFile *f, int dirfd, const char *name)
{
        _cleanup_(closep) int fd =
                openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? err_origin(-errno)
                                                                             : LOG_FILE_E_NONE;
        if (!S_ISREG(st.st_mode))
                return LOG_FILE_E_NONE;
        log_file_close(f);
        f->fd = TAKE_FD(fd);
        f->dev = st.st_dev;
        f->inode = st.st_ino;
        (void)log_file_look(f, &st);
        f->grown = now_read().mono; /* when it has is not known */
        return 0;
}

bool log_file_look(LogFile *f, const struct stat *st)
{
        int64_t mtime = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
        int64_t ctime = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec;
        bool changed = f->size != (uint64_t)st->st_size || f->mtime != mtime || f->ctime != ctime;

        if ((uint64_t)st->st_size > f->size)
                f->grown = now_read().mono;
        f->size = (uint64_t)st->st_size;
        f->mtime = mtime;
        f->ctime = ctime;
        return changed;
}

/* Reads exactly @len bytes. Return: 0, LOG_FILE_E_OTHER if there are fewer, or a negated errno. */
static int read_at(int fd, void *buffer, size_t len, uint64_t offset)
{
        size_t done = 0;

        while (done < len) {
                ssize_t n = pread(fd, (char *)buffer + done, len - done, (off_t)(offset + done));

                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        return LOG_FILE_E_OTHER;
                done += (size_t)n;
        }
        return 0;
}

/* Does the file behind @fd hold what was read of @f? Fills @tail, of LOG_TAIL bytes. */
static int content_check(const LogFile *f, int fd, uint8_t *tail)
{
        uint8_t head[LOG_HEAD], digest[SHA256_SIZE];
        size_t n = tail_len(f);
        int r;

        if (f->offset == 0)
                return 0;
        r = read_at(fd, head, log_file_head_len(f), f->hole);
        if (r == 0 && memcmp(head, f->head, log_file_head_len(f)) != 0)
                return LOG_FILE_E_OTHER;
        if (r == 0)
                r = read_at(fd, tail, n, f->offset - n);
        if (r != 0)
                return r;
        if (f->tail)
                return memcmp(tail, f->tail, n) == 0 ? 0 : LOG_FILE_E_OTHER;
        sha256(tail, n, digest);
        return memcmp(digest, f->digest, sizeof(digest)) == 0 ? 0 : LOG_FILE_E_OTHER;
}

int log_file_check(LogFile *f)
{
        _cleanup_(freep) uint8_t *tail = NULL;
        uint8_t room[LOG_TAIL];
        int r;

        if (f->offset == 0)
                return 0;
        if (f->tail)
                return content_check(f, f->fd, room);
        tail = malloc(LOG_TAIL);
        if (!tail)
                return err_origin(-ENOMEM);
        r = content_check(f, f->fd, tail);
        if (r == 0)
                f->tail = TAKE_PTR(tail);
        return r;
}

int log_file_check_copy(const LogFile *f, const LogFile *copy)
{
        uint8_t tail[LOG_TAIL];

        return content_check(f, copy->fd, tail);
}

/* How many NULs stand at the beginning of the file behind @fd; holes are passed by, not read. */
static int hole_measure(int fd, void *buffer, size_t room, uint64_t *ret)
{
        off_t data = lseek(fd, 0, SEEK_DATA);
        uint64_t at = data > 0 ? (uint64_t)data : 0;

        for (;;) {
                ssize_t n = pread(fd, buffer, room, (off_t)at), k = 0;

                if (n < 0)
                        return err_origin(-errno);
                while (k < n && ((char *)buffer)[k] == '\0')
                        k++;
                at += (uint64_t)k;
                if (k < n || n == 0) {
                        *ret = at;
                        return 0;
                }
        }
}

int log_file_find_hole(LogFile *f, void *buffer, size_t room)
{
        return err_trace(hole_measure(f->fd, buffer, room, &f->hole));
}

bool log_file_begins_alike(const LogFile *f, const LogFile *other)
{
        uint8_t bytes[LOG_TAIL];
        size_t len = log_file_head_len(f);
        uint64_t hole;
        ssize_t n;

        if (len == 0)
                return true;
        if (hole_measure(other->fd, bytes, sizeof(bytes), &hole) < 0)
                return false;
        if (hole != f->hole)
                return hole >= other->size && hole < f->hole;
        n = pread(other->fd, bytes, len, (off_t)hole);
        return n >= 0 && memcmp(f->head, bytes, (size_t)n) == 0;
}

int log_file_advance(LogFile *f, const void *data, size_t len)
{
        size_t n, keep, head;

        if (len == 0)
                return 0;
        if (!f->tail && !(f->tail = malloc(LOG_TAIL)))
                return err_origin(-ENOMEM);
        if (f->offset == 0) {
                f->offset = f->hole;
                memset(f->tail, 0, LOG_TAIL);
        }
        n = tail_len(f);
        head = log_file_head_len(f);
        if (head < LOG_HEAD)
                memcpy(f->head + head, data, len < LOG_HEAD - head ? len : LOG_HEAD - head);
        if (len >= LOG_TAIL) {
                memcpy(f->tail, (const char *)data + len - LOG_TAIL, LOG_TAIL);
        } else {
                keep = n + len > LOG_TAIL ? LOG_TAIL - len : n;
                memmove(f->tail, f->tail + n - keep, keep);
                memcpy(f->tail + keep, data, len);
        }
        f->offset += len;
        return 0;
}

int log_file_skip_to_end(LogFile *f)
{
        uint8_t last = '\n';
        struct stat st;
        int r;

        if (!f->tail && !(f->tail = malloc(LOG_TAIL)))
                return err_origin(-ENOMEM);
        r = log_file_find_hole(f, f->tail, LOG_TAIL);
        if (r < 0)
                return err_trace(r);
        if (fstat(f->fd, &st) < 0)
                return err_origin(-errno);
        f->offset = (uint64_t)st.st_size;
        if (f->offset == 0)
                return 0;
        r = read_at(f->fd, f->head, log_file_head_len(f), f->hole);
        if (r == 0)
                r = read_at(f->fd, f->tail, tail_len(f), f->offset - tail_len(f));
        if (r == 0)
                last = f->tail[tail_len(f) - 1];
        f->middle = last != '\n';
        return r;
}

int log_file_adopt(LogFile *f, const LogFile *from)
{
        f->offset = from->offset;
        f->hole = from->hole;
        f->middle = from->middle;
        memcpy(f->head, from->head, sizeof(f->head));
        memcpy(f->digest, from->digest, sizeof(f->digest));
        free(f->tail);
        f->tail = NULL;
        if (!from->tail)
                return 0;
        f->tail = malloc(LOG_TAIL);
        if (!f->tail)
                return err_origin(-ENOMEM);
        memcpy(f->tail, from->tail, LOG_TAIL);
        return 0;
}

void log_file_seal(LogFile *f)
{
        if (f->tail)
                sha256(f->tail, tail_len(f), f->digest);
}
