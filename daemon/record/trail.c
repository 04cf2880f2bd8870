/*
 * trail - the files of an audit trail on disk
 *
 * audit.c rotates with it; verify.c and unjamctl read with it. The reader holds every file open from the
 * start and tells them apart by inode, so it may run while the daemon appends and rotates. Nothing here
 * judges what a line says.
 */
#include "record/trail.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct TrailFile {
        FILE *stream;
        char *path;
        dev_t dev;
        ino_t ino;
} TrailFile;

struct Trail {
        TrailFile *files; /* newest first; read from the end */
        size_t n_files;
        uint64_t number;
        char *line;
        size_t line_allocated;
};

/* The number in "NAME.123", or 0. */
static unsigned suffix_number(const char *entry, const char *name)
{
        size_t len = strlen(name);
        unsigned long n;
        char *end;

        if (strncmp(entry, name, len) != 0 || entry[len] != '.' || entry[len + 1] < '1' ||
            entry[len + 1] > '9')
                return 0;
        n = strtoul(entry + len + 1, &end, 10);
        return *end || n > UINT_MAX ? 0 : (unsigned)n;
}

static int compare_descending(const void *a, const void *b)
{
        unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

        return x < y ? 1 : x > y ? -1 : 0;
}

int trail_list(int dirfd, const char *name, unsigned **ret, size_t *ret_n)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        _cleanup_(freep) unsigned *numbers = NULL;
        size_t n = 0;
        int r = dir_stream_at(dirfd, ".", &dir);

        if (r < 0)
                return err_origin(r);
        for (;;) {
                struct dirent *e;
                unsigned number, *more;

                errno = 0;
                e = readdir(dir);
                if (!e)
                        break;
                number = suffix_number(e->d_name, name);
                if (number == 0)
                        continue;
                more = reallocarray(numbers, n + 1, sizeof(*numbers));
                if (!more)
                        return err_origin(-ENOMEM);
                numbers = more;
                numbers[n++] = number;
        }
        if (errno != 0)
                return err_origin(-errno);
        if (n > 0)
                qsort(numbers, n, sizeof(*numbers), compare_descending);
        *ret = TAKE_PTR(numbers);
        *ret_n = n;
        return 0;
}

static int rename_number(Disk *d, int dirfd, const char *name, unsigned from, unsigned to)
{
        _cleanup_(freep) char *old = NULL, *new = NULL;

        if ((from == 0 ? asprintf(&old, "%s", name) : asprintf(&old, "%s.%u", name, from)) < 0 ||
            asprintf(&new, "%s.%u", name, to) < 0)
                return err_origin(-ENOMEM);
        return err_trace(disk_rename(d, dirfd, old, dirfd, new, RENAME_NOREPLACE));
}

int trail_rotate(Disk *d, int dirfd, const char *name)
{
        _cleanup_(freep) unsigned *numbers = NULL;
        unsigned gap = 1;
        size_t n;
        int r;

        r = trail_list(dirfd, name, &numbers, &n);
        if (r < 0)
                return r;
        /* The first free number; what is below it moves up, the highest first. */
        for (size_t i = n; i > 0; i--)
                if (numbers[i - 1] == gap)
                        gap++;
        for (unsigned to = gap; to > 0; to--) {
                r = rename_number(d, dirfd, name, to - 1, to);
                if (r < 0)
                        return r;
        }
        return err_trace(disk_sync(d, dirfd));
}

int trail_prune(Disk *d, int dirfd, const char *name, unsigned keep)
{
        _cleanup_(freep) unsigned *numbers = NULL;
        size_t n;
        int r;

        r = trail_list(dirfd, name, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n && numbers[i] > keep; i++) {
                _cleanup_(freep) char *old = NULL;

                if (asprintf(&old, "%s.%u", name, numbers[i]) < 0)
                        return err_origin(-ENOMEM);
                r = disk_remove(d, dirfd, old, 0);
                if (r < 0 && r != -ENOENT)
                        return err_trace(r);
        }
        return 0;
}

static int trail_add(Trail *t, int dirfd, const char *directory, const char *name)
{
        _cleanup_(closep) int fd = -1;
        _cleanup_(freep) char *path = NULL;
        TrailFile *more;
        struct stat st;
        FILE *stream;

        fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return err_origin(-EBADF);
        for (size_t i = 0; i < t->n_files; i++)
                if (t->files[i].dev == st.st_dev && t->files[i].ino == st.st_ino)
                        return 0;
        if (asprintf(&path, "%s%s%s", directory, strcmp(directory, "/") == 0 ? "" : "/", name) < 0)
                return err_origin(-ENOMEM);
        more = reallocarray(t->files, t->n_files + 1, sizeof(*t->files));
        if (!more)
                return err_origin(-ENOMEM);
        t->files = more;
        stream = fdopen(fd, "re");
        if (!stream)
                return err_origin(-ENOMEM);
        (void)TAKE_FD(fd);
        t->files[t->n_files++] =
                (TrailFile){ .stream = stream, .path = TAKE_PTR(path), .dev = st.st_dev, .ino = st.st_ino };
        return 0;
}

/* Newest first: a file that a rotation renames meanwhile is then seen twice, never missed. */
static int trail_open_files(Trail *t, const char *path)
{
        _cleanup_(freep) char *copy_a = strdup(path), *copy_b = strdup(path);
        _cleanup_(freep) unsigned *numbers = NULL;
        _cleanup_(closep) int dirfd = -1;
        const char *directory, *name;
        size_t n;
        int r;

        if (!copy_a || !copy_b)
                return err_origin(-ENOMEM);
        directory = dirname(copy_a);
        name = basename(copy_b);
        dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dirfd < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        r = trail_add(t, dirfd, directory, name);
        if (r < 0)
                return r;
        r = trail_list(dirfd, name, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = n; i > 0; i--) {
                _cleanup_(freep) char *rotated = NULL;

                if (asprintf(&rotated, "%s.%u", name, numbers[i - 1]) < 0)
                        return err_origin(-ENOMEM);
                r = trail_add(t, dirfd, directory, rotated);
                if (r < 0)
                        return r;
        }
        return 0;
}

int trail_open(Trail **ret, const char *path)
{
        _cleanup_(trail_freep) Trail *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return err_origin(-ENOMEM);
        r = trail_open_files(t, path);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

Trail *trail_free(Trail *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_files; i++) {
                fclose(t->files[i].stream);
                free(t->files[i].path);
        }
        free(t->files);
        free(t->line);
        free(t);
        return NULL;
}

int trail_next(Trail *t, TrailLine *ret)
{
        while (t->n_files > 0) {
                TrailFile *f = &t->files[t->n_files - 1];
                ssize_t len;

                errno = 0;
                len = getline(&t->line, &t->line_allocated, f->stream);
                if (len > 0) {
                        bool whole = t->line[len - 1] == '\n';

                        if (whole)
                                t->line[--len] = '\0';
                        *ret = (TrailLine){ .text = t->line,
                                            .len = (size_t)len,
                                            .torn = !whole,
                                            .file = f->path,
                                            .number = ++t->number };
                        return 0;
                }
                if (!feof(f->stream))
                        return err_origin(errno ? -errno : -EIO);
                /* The newest stays, so that its path outlives the last line. */
                if (t->n_files == 1)
                        return TRAIL_E_END;
                fclose(f->stream);
                free(f->path);
                t->n_files--;
                t->number = 0;
        }
        return TRAIL_E_END;
}

int trail_last(int dirfd, const char *name, TrailLast *ret)
{
        _cleanup_(fclosep) FILE *stream = NULL;
        _cleanup_(freep) char *line = NULL;
        TrailLast last = { 0 };
        size_t allocated = 0;
        ssize_t len;
        int fd;

        fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return err_origin(-errno);
        stream = fdopen(fd, "re");
        if (!stream) {
                close(fd);
                return err_origin(-ENOMEM);
        }
        errno = 0;
        while ((len = getline(&line, &allocated, stream)) > 0) {
                ChainLink link;

                last.size += (uint64_t)len;
                last.torn = line[len - 1] != '\n';
                if (!last.torn && chain_check(line, (size_t)len - 1, &link) == 0) {
                        last.found = true;
                        last.link = link;
                        last.end = last.size;
                }
                errno = 0;
        }
        if (!feof(stream))
                return err_origin(errno ? -errno : -EIO);
        *ret = last;
        return 0;
}

int trail_last_rotated(int dirfd, const char *name, TrailLast *ret)
{
        _cleanup_(freep) unsigned *numbers = NULL;
        TrailLast last = { 0 };
        size_t n;
        int r;

        r = trail_list(dirfd, name, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = n; i > 0 && !last.found; i--) {
                _cleanup_(freep) char *rotated = NULL;

                if (asprintf(&rotated, "%s.%u", name, numbers[i - 1]) < 0)
                        return err_origin(-ENOMEM);
                r = trail_last(dirfd, rotated, &last);
                if (r < 0)
                        return r;
        }
        *ret = last;
        return 0;
}
