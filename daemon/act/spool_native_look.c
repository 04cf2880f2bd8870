/*
 * spool_native_look - does the server hold this message? The directories tell, no exit status
 *
 * A message is in the server's hold if each of its files is found there exactly once, under whatever name,
 * and no longer where it was: by size and digest, or by size and inode where it has none. A control file may
 * have been written anew by the server (Exim marks it, Sendmail names it otherwise): beside its other files
 * it is enough then that it is not as it was, and that the command ended well. A message of one file must
 * have moved. Only regular files count, no link is followed, and what lies deeper than four directories is
 * not looked at. Test: tests/unit/test_spool_native_look.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 4

typedef struct Look {
        const Message *record; /* as it was in its store */
        Message *found;        /* gains @where */
        unsigned *times;       /* of each file of the record: how often it was found */
        unsigned *still;       /* how often under the path that it had in the store */
} Look;

/* Is it the same file? An inode alone may be another file system's. Return: >0 yes, 0 no, or a negated errno:
 * what could not be read may well be it. */
static int same_file(int dirfd, const char *name, const struct stat *st, const MessageFile *f)
{
        _cleanup_(closep) int fd = -1;
        uint8_t digest[SHA256_SIZE];
        int r;

        if (f->size != (uint64_t)st->st_size)
                return 0;
        if (!f->has_sha256)
                return f->inode == st->st_ino;
        fd = file_open_beneath(dirfd, name, O_RDONLY | O_NOFOLLOW);
        if (fd < 0)
                return fd == -ENOENT ? 0 : err_trace(fd);
        r = file_sha256(fd, digest);
        return r < 0 ? err_trace(r) : memcmp(digest, f->sha256, sizeof(digest)) == 0;
}

/* A name that has the id in it, or the inode of one of its files: one more of its files? */
static int look_file(Look *l, int dirfd, const char *name, const char *path)
{
        bool known = strstr(name, l->record->id) != NULL;
        struct stat st;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return 0;
        for (size_t i = 0; i < l->record->n_files; i++) {
                const MessageFile *f = l->record->files + i;
                int r = same_file(dirfd, name, &st, f);

                if (r < 0)
                        return err_trace(r);
                if (r == 0)
                        continue;
                known = true;
                l->times[i]++;
                l->still[i] += strcmp(f->path, path) == 0;
        }
        return known ? err_trace(message_add_where(l->found, path, st.st_ino)) : 0;
}

static bool is_candidate(const Look *l, const struct dirent *e)
{
        if (strstr(e->d_name, l->record->id))
                return true;
        for (size_t i = 0; i < l->record->n_files; i++)
                if (l->record->files[i].inode == e->d_ino)
                        return true;
        return false;
}

/* @fd is consumed. */
static int look_directory(Look *l, int fd, const char *shown, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;
        int r = dir_stream(fd, &dir);

        if (r < 0)
                return err_trace(r);
        while (errno = 0, (e = readdir(dir)) != NULL) {
                _cleanup_(freep) char *path = NULL;

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (e->d_type != DT_DIR && !is_candidate(l, e))
                        continue;
                if (asprintf(&path, "%s/%s", shown, e->d_name) < 0)
                        return err_origin(-ENOMEM);
                if (e->d_type != DT_DIR) {
                        r = look_file(l, dirfd(dir), e->d_name, path);
                } else if (depth < DEPTH_MAX) {
                        int sub = dir_open_beneath(dirfd(dir), e->d_name);

                        r = sub >= 0 ? look_directory(l, sub, path, depth + 1) : 0;
                }
                if (r < 0)
                        return err_trace(r);
        }
        return errno > 0 ? err_origin(-errno) : 0;
}

/* File @i as it was in its store: same place, same inode? */
static bool is_as_it_was(const MessageFile *f)
{
        struct stat st;

        return lstat(f->path, &st) == 0 && st.st_ino == f->inode;
}

static bool is_control(const Spool *s, const Shelved *q, size_t i)
{
        const char *path;
        size_t d;

        return q->store != SIZE_MAX && shelf_split(q, i, &d, &path) == 0 &&
               layout_is_last(s->stores[q->store].layout, path, strlen(path));
}

static bool is_held(const Spool *s, const Shelved *q, const Look *l, bool well)
{
        const Message *m = l->record;
        size_t others = 0;

        for (size_t i = 0; i < m->n_files; i++)
                others += !is_control(s, q, i);
        for (size_t i = 0; i < m->n_files; i++) {
                bool moved = l->times[i] == 1 && l->still[i] == 0 && !is_as_it_was(m->files + i);

                if (others > 0 && is_control(s, q, i)) {
                        if (!moved && (l->times[i] > 0 || !well || is_as_it_was(m->files + i)))
                                return false;
                } else if (m->n_files > 1 ? l->times[i] != 1 || (l->still[i] == 0 && !moved) : !moved) {
                        return false;
                }
        }
        return m->n_files > 0;
}

static int look(const Spool *s, const Shelved *q, bool well, Message *m, bool *ret_held)
{
        const StoreSettings *store = s->stores[q->store].settings;
        _cleanup_(freep) unsigned *times = calloc(q->message.n_files + 1, sizeof(*times));
        _cleanup_(freep) unsigned *still = calloc(q->message.n_files + 1, sizeof(*still));
        Look l = { .record = &q->message, .found = m, .times = times, .still = still };

        *ret_held = false;
        message_clear_where(m);
        if (!times || !still)
                return err_origin(-ENOMEM);
        for (char *const *dir = store->native.dirs; dir && *dir; dir++) {
                int fd = open(*dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;

                if (fd < 0 && errno == ENOENT)
                        continue;
                r = fd < 0 ? err_origin(-errno) : look_directory(&l, fd, *dir, 0);
                if (r < 0)
                        return err_trace(r);
        }
        *ret_held = is_held(s, q, &l, well);
        m->native = *ret_held;
        return 0;
}

int native_look(const Spool *s, const Shelved *q, bool well, Message *m, bool *ret_held)
{
        int r = look(s, q, well, m, ret_held);

        /* Much follows from it, and what fails once need not fail twice. */
        return r < 0 ? err_trace(look(s, q, well, m, ret_held)) : 0;
}

bool native_is_still(const Message *m)
{
        for (size_t i = 0; i < m->n_where; i++) {
                struct stat st;

                if (lstat(m->where[i].path, &st) < 0 || st.st_ino != m->where[i].inode)
                        return false;
        }
        return m->n_where > 0;
}
