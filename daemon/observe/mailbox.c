/*
 * mailbox - takes canaries out of where they arrive, and nothing else
 *
 * Called by the canary probe, in a worker. Only what bears a token that this host's key made in its header
 * block is a canary (model/canary.c); a bounce that quotes one is not.
 *
 * MAILDIR. Each file of new/ and cur/ that is small enough is looked at. One that is a canary is unlinked, if
 * the name still leads to the file that was read. Links are not followed, FIFOs wait for nobody.
 *
 * FILE (mbox, or whatever a pipe appends to). Under the locks that servers take (flock, fcntl) the file is
 * cut after the last message that is no canary. A canary counts as one only if it ends as it was made, so
 * that something appended without a "From " line in between is never cut off with it. A canary with other
 * mail behind it stays, since taking it out would mean to write other mail anew.
 *
 * Test: tests/unit/test_mailbox.c.
 */
#include "observe/mailbox.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ENTRIES_MAX 10000
#define FILE_MAX    ((size_t)8 * 1024 * 1024)

typedef struct Take {
        const CanaryKey *key;
        const char *token;
        bool *found;
        MailboxReport *report;
        char *buffer; /* CANARY_LOOK_SIZE */
} Take;

static bool is_canary(const Take *t, const char *message, size_t len, char token[CANARY_TOKEN_SIZE])
{
        if (!canary_find_header(message, len, token) || !canary_is_ours(t->key, token))
                return false;
        if (strcmp(token, t->token) == 0)
                *t->found = true;
        return true;
}

/* As much as fits. Return: the number of bytes, or a negated errno. */
static ssize_t read_whole(int fd, char *buffer, size_t size)
{
        size_t n = 0;

        while (n < size) {
                ssize_t got = pread(fd, buffer + n, size - n, (off_t)n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
        }
        return (ssize_t)n;
}

static int maildir_entry(const Take *t, int dirfd, const char *name)
{
        _cleanup_(closep) int fd =
                openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        char token[CANARY_TOKEN_SIZE];
        struct stat st, now;
        ssize_t n;

        /* What cannot be read is no canary that could be taken out. */
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size >= CANARY_LOOK_SIZE)
                return 0;
        n = read_whole(fd, t->buffer, CANARY_LOOK_SIZE);
        if (n < 0 || !is_canary(t, t->buffer, (size_t)n, token))
                return 0;
        if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != st.st_ino ||
            now.st_dev != st.st_dev)
                return 0; /* a reader of the mailbox has renamed it: the next look finds it */
        if (unlinkat(dirfd, name, 0) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        t->report->removed++;
        return 0;
}

static int maildir_part(const Take *t, int root, const char *part)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        int r = dir_stream_at(root, part, &dir);
        const struct dirent *e;

        if (r < 0)
                return r == -ENOENT ? 0 : err_origin(r);
        for (unsigned i = 0; r == 0 && i < ENTRIES_MAX && (e = readdir(dir)); i++)
                if (e->d_name[0] != '.')
                        r = maildir_entry(t, dirfd(dir), e->d_name);
        return r;
}

/* The beginning of the next message behind @at, or @end. */
static const char *next_message(const char *at, const char *end)
{
        while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
                at++;
                if ((size_t)(end - at) >= 5 && memcmp(at, "From ", 5) == 0)
                        return at;
        }
        return end;
}

/* How much of the file stays: everything up to the last message that is no canary. */
static size_t file_keep(const Take *t, const char *text, size_t len)
{
        const char *end = text + len, *next;
        char token[CANARY_TOKEN_SIZE];
        unsigned trailing = 0;
        size_t keep = 0;

        for (const char *at = text; at < end; at = next) {
                size_t size;

                next = next_message(at, end);
                size = (size_t)(next - at);
                if (is_canary(t, at, size, token) && canary_ends(at, size, token)) {
                        trailing++;
                        continue;
                }
                keep = (size_t)(next - text);
                t->report->left += trailing;
                trailing = 0;
        }
        t->report->removed += trailing;
        return keep;
}

static int file_lock(int fd)
{
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
                return errno == EWOULDBLOCK || errno == EAGAIN || errno == EACCES ? MAILBOX_E_BUSY : -errno;
        return 0;
}

static int file_take(const Take *t, const char *path)
{
        _cleanup_(closep) int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t keep;
        ssize_t n;
        int r;

        if (fd < 0)
                return err_origin(-errno);
        r = file_lock(fd);
        if (r != 0)
                return r;
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return err_origin(-EINVAL);
        if ((size_t)st.st_size > FILE_MAX)
                return err_origin(-EFBIG);
        text = malloc((size_t)st.st_size + 1);
        if (!text)
                return err_origin(-ENOMEM);
        n = read_whole(fd, text, (size_t)st.st_size + 1);
        if (n < 0)
                return err_origin((int)n);
        if (n != st.st_size)
                return MAILBOX_E_BUSY; /* somebody appends without a lock */
        keep = file_keep(t, text, (size_t)n);
        if (keep < (size_t)n && ftruncate(fd, (off_t)keep) < 0)
                return err_origin(-errno);
        return 0;
}

int mailbox_take(const char *path, const CanaryKey *key, const char *token, bool *ret_found,
                 MailboxReport *report)
{
        _cleanup_(closep) int root = -1;
        _cleanup_(freep) char *buffer = NULL;
        Take t = { .key = key, .token = token, .found = ret_found, .report = report };
        struct stat st;
        int r;

        *ret_found = false;
        *report = (MailboxReport){};
        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (!S_ISDIR(st.st_mode))
                return file_take(&t, path);
        root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (root < 0)
                return err_origin(-errno);
        t.buffer = buffer = malloc(CANARY_LOOK_SIZE);
        if (!buffer)
                return err_origin(-ENOMEM);
        r = maildir_part(&t, root, "new");
        return r == 0 ? maildir_part(&t, root, "cur") : r;
}
