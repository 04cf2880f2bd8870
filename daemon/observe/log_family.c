/*
 * log_family - the files of one log
 *
 * Called by log_turn, in a worker: at first, when something happens in the log's directory, and when a file
 * turns out to have been truncated. It answers one question: which files hold lines that were not read yet,
 * and from where on? Any number of rotations may have gone by since the last look, with unjamd alive or not,
 * so the answer depends on what is in the files, and not on the order of names or times:
 *
 *   - A file is the one it was if its inode is the same and what was read of it is still there. (An inode is
 *     used again as soon as its file is gone, so it proves nothing alone.)
 *   - A known file whose content is gone from its inode, or whose inode is gone, becomes a ghost: its
 *     position waits for a file that holds the same content. That is what copytruncate makes, and a move
 *     across file systems.
 *   - An unknown file that holds what was read of a ghost goes on from the ghost's position.
 *   - An unknown file that begins like a living one is a copy, finished or in the making (copytruncate before
 *     it truncates): it is left alone until the living one becomes a ghost or the two differ. Only a rotated
 *     name can be a copy; the log's own name never is.
 *   - Any other unknown file is new, and read from its beginning.
 *
 * At the very first look all that is there is history, and read from its end on. A rotated file that was read
 * to its end and is no more was simply removed. Where a ghost finds no file, something may be missing; the
 * caller records a gap, unless a gzip file proves by length and time that all of it was read.
 *
 * A listing of a directory is no snapshot: while files are renamed, one may be missed. So nothing counts as
 * gone before two listings in a row agree. Fails with ENOMEM, or the errno of a directory that cannot be
 * read. Test: tests/unit/test_log_family.c.
 */
#include "observe/log_family.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <string.h>

#define LISTINGS_MAX 8
#define FILES_MAX    256

static const char *const packed[] = { ".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z", ".zip" };
/* What rotated files are called, besides everything with a digit. */
static const char *const old_words[] = { "old", "bak", "prev", "orig", "last" };

int log_family_init(LogFamily *y, const char *path)
{
        const char *slash = strrchr(path, '/');

        *y = (LogFamily){ .dirfd = -1 };
        y->directory = slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
        y->base = strdup(slash ? slash + 1 : path);
        return y->directory && y->base ? 0 : err_origin(-ENOMEM);
}

void log_family_deinit(LogFamily *y)
{
        for (size_t i = 0; i < y->n; i++)
                log_file_free(y->files[i]);
        free(y->files);
        free(y->directory);
        free(y->base);
        closep(&y->dirfd);
        *y = (LogFamily){ .dirfd = -1 };
}

int log_family_add(LogFamily *y, LogFile *f)
{
        LogFile **bigger = reallocarray(y->files, y->n + 1, sizeof(*bigger));

        if (!bigger) {
                log_file_free(f);
                return err_origin(-ENOMEM);
        }
        y->files = bigger;
        y->files[y->n++] = f;
        return 0;
}

void log_family_remove(LogFamily *y, size_t i)
{
        log_file_free(y->files[i]);
        y->n--;
        memmove(y->files + i, y->files + i + 1, (y->n - i) * sizeof(*y->files));
}

/* --- names --- */

static bool ends_with(const char *s, size_t len, const char *end)
{
        size_t n = strlen(end);

        return len > n && memcmp(s + len - n, end, n) == 0;
}

/* The length of @name without what a compressor has added. */
static size_t unpacked_len(const char *name)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < ELEMENTSOF(packed); i++)
                if (ends_with(name, len, packed[i]))
                        return len - strlen(packed[i]);
        return len;
}

static bool is_packed(const char *name)
{
        return unpacked_len(name) != strlen(name);
}

/* Is [@s, @s + @len) what a rotation adds to a name: ".1", "-20261128", ".old"? */
static bool is_suffix(const char *s, size_t len)
{
        if (len < 2 || !strchr(".-_", s[0]))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(old_words); i++)
                if (len == strlen(old_words[i]) + 1 && memcmp(s + 1, old_words[i], len - 1) == 0)
                        return true;
        for (size_t i = 1; i < len; i++)
                if (s[i] >= '0' && s[i] <= '9')
                        return true;
        return false;
}

bool log_family_has(const char *base, const char *name)
{
        size_t n = strlen(base), len = unpacked_len(name);
        const char *dot = strrchr(base, '.');
        size_t stem = dot ? (size_t)(dot - base) : n, extension = n - stem;

        if (strcmp(base, name) == 0)
                return true;
        if (len > n && memcmp(name, base, n) == 0 && is_suffix(name + n, len - n))
                return true;
        /* The date before the extension: mail-20261128.log */
        return dot && stem > 0 && len > n && memcmp(name, base, stem) == 0 &&
               memcmp(name + len - extension, dot, extension) == 0 && is_suffix(name + stem, len - n);
}

/* --- one listing --- */

static LogFile *find_inode(const LogFamily *y, dev_t dev, ino_t inode)
{
        for (size_t i = 0; i < y->n; i++)
                if (y->files[i]->role != LOG_FILE_GHOST && y->files[i]->dev == dev &&
                    y->files[i]->inode == inode)
                        return y->files[i];
        return NULL;
}

static int file_seen(const LogFamily *y, LogFile *f, const char *name)
{
        char *copy = NULL;

        f->found = true;
        f->base = strcmp(name, y->base) == 0;
        if (f->name && strcmp(f->name, name) == 0)
                return 0;
        copy = strdup(name);
        if (!copy)
                return err_origin(-ENOMEM);
        free(f->name);
        f->name = copy;
        return 0;
}

/* Is it over with @f: it was read to its end, and nobody writes to it any more? */
static bool is_finished(const LogFile *f)
{
        return f->role == LOG_FILE_COPY || (!f->base && f->offset >= f->size);
}

/* The past of @f, apart from it. */
static int ghost_new(LogFamily *y, const LogFile *f)
{
        LogFile *ghost;
        int r;

        if (f->offset == 0 || is_finished(f))
                return 0; /* nothing of it is known that another file could go on with */
        r = log_file_new(&ghost, f->name ? f->name : y->base);
        if (r < 0)
                return err_trace(r);
        ghost->role = LOG_FILE_GHOST;
        ghost->base = f->base;
        ghost->size = f->size;
        ghost->mtime = f->mtime;
        r = log_file_adopt(ghost, f);
        if (r < 0) {
                log_file_free(ghost);
                return err_trace(r);
        }
        return err_trace(log_family_add(y, ghost));
}

static void file_forget(LogFile *f)
{
        free(f->tail);
        f->tail = NULL;
        f->offset = f->hole = 0;
        f->middle = false;
        f->role = LOG_FILE_UNKNOWN;
}

int log_family_truncated(LogFamily *y, LogFile *f)
{
        bool base = f->base;
        int r;

        f->base = true; /* it is being written to: what was read may not have been all */
        r = ghost_new(y, f);
        f->base = base;
        if (r < 0)
                return err_trace(r);
        file_forget(f);
        f->role = LOG_FILE_READ;
        return 0;
}

/* A file that was closed, or is known from before: is it the same, and is there more to read? */
static int file_again(LogFamily *y, LogFile *f, const char *name, const struct stat *st)
{
        uint64_t size = f->size;
        int64_t mtime = f->mtime;
        int r;

        if (f->fd >= 0 || (!log_file_look(f, st) && f->trusted))
                return 0;
        r = log_file_open(f, y->dirfd, name);
        if (r != 0)
                return r;
        f->trusted = true;
        r = log_file_check(f);
        if (r != LOG_FILE_E_OTHER)
                return err_trace(r);
        f->size = size; /* of the one that was known */
        f->mtime = mtime;
        r = ghost_new(y, f);
        file_forget(f);
        (void)log_file_look(f, st);
        return err_trace(r);
}

static int file_take(LogFamily *y, const char *name)
{
        struct stat st;
        LogFile *f;
        int r;

        if (fstatat(y->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0; /* gone already */
        if (strcmp(name, y->base) == 0)
                y->odd = !S_ISREG(st.st_mode);
        if (!S_ISREG(st.st_mode))
                return 0;
        f = find_inode(y, st.st_dev, st.st_ino);
        if (f) {
                r = file_again(y, f, name, &st);
                return r == 0 ? err_trace(file_seen(y, f, name)) : err_trace(r < 0 ? r : 0);
        }
        if (y->n >= FILES_MAX)
                return 0;
        r = log_file_new(&f, name);
        if (r < 0)
                return err_trace(r);
        r = log_file_open(f, y->dirfd, name);
        if (r != 0 || find_inode(y, f->dev, f->inode)) { /* renamed under our eyes: the next listing has it */
                log_file_free(f);
                return err_trace(r < 0 ? r : 0);
        }
        f->role = LOG_FILE_UNKNOWN;
        f->trusted = true;
        r = file_seen(y, f, name);
        if (r < 0) {
                log_file_free(f);
                return err_trace(r);
        }
        return err_trace(log_family_add(y, f));
}

/* *@ret_sum is equal for two listings that show the same names and inodes. */
static int listing_take(LogFamily *y, uint64_t *ret_sum)
{
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int r = dir_stream_at(y->dirfd, ".", &d);

        if (r < 0)
                return err_origin(r);
        *ret_sum = 0;
        while (r == 0 && (e = readdir(d))) {
                uint64_t sum = e->d_ino;

                if (!log_family_has(y->base, e->d_name) || is_packed(e->d_name))
                        continue;
                for (const char *c = e->d_name; *c; c++)
                        sum = (sum ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
                *ret_sum += sum;
                r = file_take(y, e->d_name);
        }
        return err_trace(r);
}

/* --- who is who --- */

/* Nothing of @f was judged yet: is what is in it now what is in @u? */
static bool reads_alike(const LogFile *f, const LogFile *u)
{
        uint8_t a[LOG_HEAD], b[LOG_HEAD];
        ssize_t n = pread(u->fd, b, LOG_HEAD, 0);

        return n >= 0 && f->fd >= 0 && pread(f->fd, a, (size_t)n, 0) == n && memcmp(a, b, (size_t)n) == 0;
}

/* Is @u a copy of @f, which is read? One of the log itself may be in the making. */
static bool is_copy_of(const LogFile *u, const LogFile *f)
{
        if (f == u || f->role != LOG_FILE_READ || u->base)
                return false;
        if (u->size >= f->offset && f->offset >= LOG_HEAD)
                return log_file_check_copy(f, u) == 0;
        if (!f->base)
                return false;
        if (f->offset == 0)
                return reads_alike(f, u);
        /* What was read of @f counts, and not what is there now: it may have been truncated a moment ago. */
        return log_file_begins_alike(f, u) && (u->size < f->offset || log_file_check_copy(f, u) == 0);
}

/* The ghost whose rest @u holds, or that was read further than @u goes. SIZE_MAX: none. */
static size_t find_ghost(const LogFamily *y, const LogFile *u)
{
        for (size_t i = 0; i < y->n; i++) {
                const LogFile *g = y->files[i];

                /* Somebody may also put a copy in the place of the log itself: then that one goes on. */
                if (g->role != LOG_FILE_GHOST && !(u->base && g->role == LOG_FILE_READ && !g->name))
                        continue;
                if (u->size >= g->offset) {
                        if (g->offset == 0)
                                continue;
                        if (log_file_check_copy(g, u) == 0)
                                return i;
                        continue;
                }
                /* The copy was made before the last lines that were read came to be. */
                if (u->size > 0 && u->role == LOG_FILE_COPY && log_file_begins_alike(g, u))
                        return i;
        }
        return SIZE_MAX;
}

/* It is read from its end on; from its beginning if it was truncated just now. */
static int place_at_end(LogFile *u)
{
        int r = log_file_skip_to_end(u);

        if (r > 0)
                file_forget(u);
        u->role = LOG_FILE_READ;
        return err_trace(r < 0 ? r : 0);
}

static int file_place(LogFamily *y, LogFile *u)
{
        struct stat st;
        size_t ghost;
        int r;

        if (fstat(u->fd, &st) == 0)
                (void)log_file_look(u, &st);
        if (!y->begun)
                return err_trace(place_at_end(u));
        ghost = find_ghost(y, u);
        if (ghost != SIZE_MAX) {
                r = u->size < y->files[ghost]->offset ? place_at_end(u) : log_file_adopt(u, y->files[ghost]);
                u->role = LOG_FILE_READ;
                log_family_remove(y, ghost);
                return err_trace(r);
        }
        u->role = LOG_FILE_READ;
        for (size_t i = 0; i < y->n; i++)
                if (is_copy_of(u, y->files[i])) {
                        if (!y->files[i]->base) /* of a file that is not truncated any more */
                                return err_trace(place_at_end(u));
                        u->role = LOG_FILE_COPY;
                        break;
                }
        return 0;
}

/* Those that were not found any more. */
static int files_bury(LogFamily *y)
{
        for (size_t i = y->n; i-- > 0;) {
                LogFile *f = y->files[i];
                int r;

                if (f->found || f->role == LOG_FILE_GHOST)
                        continue;
                if (f->fd >= 0 && f->role != LOG_FILE_COPY) { /* unlinked; what it holds can still be read */
                        free(f->name);
                        f->name = NULL;
                        f->base = false;
                        continue;
                }
                r = ghost_new(y, f);
                log_family_remove(y, i);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int directory_open(LogFamily *y)
{
        struct stat now, then;

        if (y->dirfd >= 0 && stat(y->directory, &now) == 0 && fstat(y->dirfd, &then) == 0 &&
            now.st_dev == then.st_dev && now.st_ino == then.st_ino)
                return 0;
        closep(&y->dirfd);
        y->dirfd = open(y->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return y->dirfd >= 0 ? 0 : LOG_FAMILY_E_NONE;
}

/* Before it is said of another file that it is a copy of @f: was @f truncated meanwhile? */
static int file_recheck(LogFamily *y, LogFile *f)
{
        int r;

        if (f->role != LOG_FILE_READ || f->fd < 0)
                return 0;
        r = log_file_check(f);
        if (r != LOG_FILE_E_OTHER)
                return err_trace(r);
        return err_trace(log_family_truncated(y, f));
}

static int files_place(LogFamily *y, bool base)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < y->n;) {
                LogFile *f = y->files[i];
                size_t n = y->n;

                if (f->base == base && (f->role == LOG_FILE_UNKNOWN || f->role == LOG_FILE_COPY))
                        r = file_place(y, f);
                i = y->n < n ? 0 : i + 1; /* a ghost has gone: begin anew */
        }
        return err_trace(r);
}

int log_family_look(LogFamily *y)
{
        uint64_t before = 0, sum = 0;
        bool settled = false;
        int r = directory_open(y);

        if (r != 0)
                return r;
        for (unsigned k = 0; k < LISTINGS_MAX && !settled; k++) {
                for (size_t i = 0; i < y->n; i++)
                        y->files[i]->found = false;
                before = sum;
                y->odd = false;
                r = listing_take(y, &sum);
                if (r < 0)
                        return err_trace(r);
                settled = k > 0 && sum == before;
        }
        if (settled)
                r = files_bury(y);
        for (size_t i = 0; r == 0 && i < y->n; i++)
                r = file_recheck(y, y->files[i]);
        /* The log itself first: others may be copies of it. */
        for (unsigned k = 0; r == 0 && k < 2; k++)
                r = files_place(y, k == 0);
        if (r < 0)
                return err_trace(r);
        y->begun = true;
        return settled ? 0 : LOG_FAMILY_E_AGAIN;
}

/* --- what is missing --- */

/* Does a gzip file of this size and time hold just what was read? Its last four bytes are the length, mod
 * 2^32; gzip and logrotate keep the time of what they compress. */
static bool packed_proves(const LogFamily *y, const char *name, const LogFile *g)
{
        _cleanup_(closep) int fd = openat(y->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        uint8_t end[4];
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 18 &&
               st.st_mtim.tv_sec == g->mtime / INT64_C(1000000000) &&
               pread(fd, end, sizeof(end), st.st_size - 4) == sizeof(end) &&
               (end[0] | end[1] << 8 | end[2] << 16 | (uint32_t)end[3] << 24) == (uint32_t)g->offset;
}

bool log_family_lay(LogFamily *y, size_t i)
{
        _cleanup_(closedirp) DIR *d = NULL;
        bool proven = false;
        struct dirent *e;

        if (y->dirfd >= 0)
                (void)dir_stream_at(y->dirfd, ".", &d);
        while (d && !proven && (e = readdir(d)))
                proven = ends_with(e->d_name, strlen(e->d_name), ".gz") &&
                         log_family_has(y->base, e->d_name) && packed_proves(y, e->d_name, y->files[i]);
        log_family_remove(y, i);
        return !proven;
}
