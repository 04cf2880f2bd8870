/*
 * spool_walk - reads a store's directory, or its tree in hold, and says what each entry is
 *
 * Inventories, moves and records all see the disk through this one walk, so they agree on what a message is.
 * It opens directories only, and only from their parent without following links: FIFOs, devices and symbolic
 * links are named and never touched. Entries may come and go while a server is at work; what vanishes under
 * the walk is left out.
 *
 * A directory whose path looks like a message's is one of two things: a hash directory under a pattern that
 * takes a part of it for an id (qmail's mess/10/123), or a directory where a file should be. It is the former
 * if a file of its own name in it would belong to a message, too, and it is empty or holds what a hash
 * directory holds. Test: tests/unit/test_spool_walk.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Walk {
        const SpoolStore *store;
        const SpoolDir *dir;
        SpoolVisitor visit;
        void *userdata;
        char *path;
        size_t len, allocated;
} Walk;

FileType spool_file_type(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFREG:
                return FILE_REGULAR;
        case S_IFDIR:
                return FILE_DIRECTORY;
        case S_IFIFO:
                return FILE_FIFO;
        case S_IFSOCK:
                return FILE_SOCKET;
        case S_IFLNK:
                return FILE_SYMLINK;
        case S_IFCHR:
        case S_IFBLK:
                return FILE_DEVICE;
        }
        return _FILE_TYPE_INVALID;
}

/* Return: the type, or a negated errno: -ENOENT if it has gone. */
static int entry_type(int dirfd, const struct dirent *e)
{
        struct stat st;
        FileType type;

        /* d_type has the bits of st_mode. */
        type = e->d_type == DT_UNKNOWN ? _FILE_TYPE_INVALID : spool_file_type(DTTOIF(e->d_type));
        if ((int)type >= 0)
                return (int)type;
        if (fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return (int)spool_file_type(st.st_mode);
}

/* Appends "/NAME" (or NAME at the top). The caller cuts it off again. */
static int path_push(Walk *w, const char *name)
{
        size_t len = strlen(name), need = w->len + 1 + len + 1;

        /* Room for one name more: looks_like_folder() tries some. */
        need += 1 + NAME_MAX;
        if (need > w->allocated) {
                char *p = realloc(w->path, need * 2);

                if (!p)
                        return err_origin(-ENOMEM);
                w->path = p;
                w->allocated = need * 2;
        }
        if (w->len > 0)
                w->path[w->len++] = '/';
        memcpy(w->path + w->len, name, len + 1);
        w->len += len;
        return 0;
}

static bool is_skipped(const Walk *w)
{
        for (char **s = w->dir->skip; s && *s; s++)
                if (strcmp(*s, w->path) == 0)
                        return true;
        return path_is_ignored(w->store->settings->exclude, w->path);
}

/* Would @name in the directory that the path names be a message's? Room was made by path_push(). */
static int would_match(Walk *w, const char *name)
{
        size_t len = strlen(name);
        const char *id;
        size_t id_len;
        int r;

        w->path[w->len] = '/';
        memcpy(w->path + w->len + 1, name, len + 1);
        r = layout_match(w->store->layout, w->path, w->len + 1 + len, &id, &id_len);
        w->path[w->len] = '\0';
        return r < 0 ? err_trace(r) : r == 0;
}

/* Is nothing in the directory that a hash directory would hold, but something else? */
static int holds_other_things(Walk *w, int dirfd, const char *name)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;
        bool other = false;
        int r = dir_stream(dir_open_beneath(dirfd, name), &dir);

        if (r < 0)
                return r == -ENOMEM ? err_trace(r) : 0; /* the walk will find out why */
        while ((e = readdir(dir))) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                r = would_match(w, e->d_name);
                if (r != 0 || e->d_type == DT_DIR)
                        return r < 0 ? err_trace(r) : 0;
                other = true;
        }
        return other;
}

/* A directory whose path is a message's: >0 if it is a hash directory all the same. */
static int looks_like_folder(Walk *w, int dirfd, const char *name)
{
        int r;

        r = would_match(w, name);
        if (r <= 0)
                return r;
        r = holds_other_things(w, dirfd, name);
        return r < 0 ? err_trace(r) : r == 0;
}

/* Sets kind, id and odd of @seen, whose path and type are known. */
static int entry_classify(Walk *w, SpoolSeen *seen)
{
        bool directory = w->store->settings->layout.directory;
        int r;

        seen->kind = KIND_FOREIGN;
        if (is_skipped(w)) {
                seen->kind = KIND_SKIPPED;
                return 0;
        }
        r = layout_match(w->store->layout, w->path, w->len, &seen->id, &seen->id_len);
        if (r < 0)
                return err_trace(r);
        if (r == LAYOUT_E_NONE) {
                if (seen->type == FILE_DIRECTORY)
                        seen->kind = KIND_FOLDER;
                return 0;
        }
        if (seen->type == FILE_DIRECTORY && !directory) {
                r = looks_like_folder(w, seen->dirfd, seen->name);
                if (r < 0)
                        return err_trace(r);
                if (r > 0) {
                        seen->kind = KIND_FOLDER;
                        return 0;
                }
        }
        seen->kind = KIND_MESSAGE;
        seen->odd = seen->type != (directory ? FILE_DIRECTORY : FILE_REGULAR);
        return 0;
}

static int walk_folder(Walk *w, int fd, unsigned depth);

/* The directory under way. */
typedef struct Folder {
        int fd;
        unsigned depth;
        struct timespec mtime;
} Folder;

static int walk_entry(Walk *w, const Folder *in, const struct dirent *e)
{
        _cleanup_(closep) int fd = -1;
        SpoolSeen seen = { .dirfd = in->fd, .name = e->d_name, .folder_mtime = in->mtime };
        int r;

        r = entry_type(in->fd, e);
        if (r < 0)
                return r == -ENOENT ? 0 : err_origin(r);
        seen.type = (FileType)r;
        r = path_push(w, e->d_name);
        if (r < 0)
                return err_trace(r);
        r = entry_classify(w, &seen);
        if (r < 0)
                return err_trace(r);
        if (seen.kind == KIND_FOLDER && (in->depth >= SPOOL_DEPTH_MAX || w->len > SPOOL_PATH_MAX))
                seen.kind = KIND_FOREIGN;
        if (seen.kind == KIND_FOLDER) {
                fd = dir_open_beneath(in->fd, e->d_name);
                if (fd == -EXDEV)
                        seen.kind = KIND_MOUNT;
                else if (fd == -ENOENT || fd == -ENOTDIR ||
                         fd == -ELOOP) /* replaced since the entry was read */
                        return 0;
                else if (fd < 0)
                        return err_trace(fd);
        }
        seen.path = w->path;
        seen.len = w->len;
        r = w->visit(w->userdata, &seen);
        if (r < 0 || fd < 0)
                return r;
        return walk_folder(w, TAKE_FD(fd), in->depth + 1);
}

/* Consumes @fd. */
static int walk_folder(Walk *w, int fd, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        Folder in = { .fd = fd, .depth = depth };
        size_t len = w->len;
        struct stat st;
        int r = dir_stream(fd, &dir);

        if (r < 0)
                return err_trace(r);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        in.mtime = st.st_mtim;
        for (;;) {
                const struct dirent *e;

                errno = 0;
                e = readdir(dir);
                if (!e)
                        return errno > 0 ? err_origin(-errno) : 0;
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                r = walk_entry(w, &in, e);
                w->len = len;
                if (w->path)
                        w->path[len] = '\0';
                if (r < 0)
                        return r;
        }
}

int spool_walk(const SpoolStore *store, const SpoolDir *dir, int root, SpoolVisitor visit, void *userdata)
{
        Walk w = { .store = store, .dir = dir, .visit = visit, .userdata = userdata };
        int fd, r;

        /* A descriptor of its own: one that is shared would share the position in the directory. */
        fd = dir_open_beneath(root, "");
        if (fd < 0)
                return err_trace(fd);
        r = walk_folder(&w, fd, 0);
        free(w.path);
        return err_trace(r);
}
