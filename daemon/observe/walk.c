/*
 * walk - the directories of a service's stores, one after the other
 *
 * Called by progress and inflight, in a worker thread. It holds one directory open at a time and keeps the
 * paths still to visit on a list of its own, so that neither a deep nor a wide tree can exhaust the stack or
 * the descriptors; number and depth are bounded, since who may write to a spool could make directories
 * without end.
 *
 * A directory that vanishes, or is refused because it has become a symbolic link or a mount, is passed over:
 * marks and counts speak of what is there. Anything else (no memory, too many descriptors, an I/O error) ends
 * the walk with that error.
 */
#include "observe/walk.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

/* Not in <linux/magic.h> of all kernels. */
#define MAGIC_CIFS   0xFF534D42
#define MAGIC_SMB2   0xFE534D42
#define MAGIC_FUSE   0x65735546
#define MAGIC_CEPH   0x00C36400
#define MAGIC_GFS2   0x01161970
#define MAGIC_OCFS2  0x7461636F
#define MAGIC_LUSTRE 0x0BD00BD0

static bool is_remote(int fd)
{
        static const unsigned long magics[] = {
                NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, MAGIC_CIFS,  MAGIC_SMB2, MAGIC_FUSE,   MAGIC_CEPH,
                AFS_SUPER_MAGIC, MAGIC_GFS2,      MAGIC_OCFS2, V9FS_MAGIC, MAGIC_LUSTRE,
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(magics); i++)
                if ((unsigned long)(uint32_t)fs.f_type == magics[i])
                        return true;
        return false;
}

/* Errors that mean "it is not there (any more), or not as a directory of ours". */
static bool is_gone(int r)
{
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV || r == -ESTALE;
}

static bool is_directory(int dirfd, const struct dirent *e)
{
        struct stat st;

        if (e->d_type != DT_UNKNOWN)
                return e->d_type == DT_DIR;
        return fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static size_t path_depth(const char *path)
{
        size_t n = *path != 0;

        for (; *path; path++)
                n += *path == '/';
        return n;
}

/* Paths still to visit, the last one first. */
typedef struct Todo {
        char **paths;
        size_t n, allocated;
} Todo;

static void todo_deinit(Todo *t)
{
        while (t->n > 0)
                free(t->paths[--t->n]);
        free(t->paths);
}

/* Takes @path over, also on error; NULL is a copy that could not be made. */
static int todo_push(Todo *t, char *path)
{
        if (!path)
                return err_origin(-ENOMEM);
        if (t->n == t->allocated) {
                size_t n = t->allocated ? 2 * t->allocated : 16;
                char **bigger = reallocarray(t->paths, n, sizeof(*bigger));
                if (!bigger) {
                        free(path);
                        return err_origin(-ENOMEM);
                }
                t->paths = bigger;
                t->allocated = n;
        }
        t->paths[t->n++] = path;
        return 0;
}

static int entry_visit(Walk *w, const WalkPlace *place, int fd, const struct dirent *e, Todo *todo)
{
        _cleanup_(freep) char *path = NULL;
        bool directory = is_directory(fd, e);

        if (asprintf(&path, "%s%s%s", place->path, *place->path ? "/" : "", e->d_name) < 0)
                return err_origin(-ENOMEM);
        int r = w->ops->entry ? w->ops->entry(w->userdata, place, path, directory) : 0;
        if (r != 0 || !directory)
                return r < 0 ? err_trace(r) : 0;
        if (path_depth(path) > WALK_DEPTH_MAX || w->n_directories + todo->n >= WALK_DIRECTORIES_MAX) {
                w->truncated = true;
                return 0;
        }
        return todo_push(todo, TAKE_PTR(path));
}

/* Consumes @fd. */
static int directory_visit(Walk *w, const WalkPlace *place, int fd, Todo *todo)
{
        w->n_directories++;
        int r = w->ops->directory(w->userdata, place, fd);
        _cleanup_(closedirp) DIR *d = NULL;
        int error = dir_stream(fd, &d);

        if (error < 0)
                return err_trace(error);
        if (r != 0)
                return r < 0 ? err_trace(r) : 0;
        for (;;) {
                if (w->cancel && atomic_load(w->cancel))
                        return err_origin(-ECANCELED);
                errno = 0;
                const struct dirent *e = readdir(d);
                if (!e)
                        return is_gone(-errno) ? 0 : err_origin(-errno);
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                r = entry_visit(w, place, fd, e, todo);
                if (r < 0)
                        return err_trace(r);
        }
}

static int place_walk(Walk *w, const WalkPlace *place)
{
        const char *root = w->settings->stores[place->store].dirs[place->dir];
        _cleanup_(todo_deinit) Todo todo = { 0 };
        _cleanup_(closep) int rootfd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (rootfd < 0) {
                w->missing = true;
                return is_gone(-errno) ? 0 : err_origin(-errno);
        }
        w->remote |= is_remote(rootfd);
        int r = todo_push(&todo, strdup(place->path));
        while (r == 0 && todo.n > 0) {
                _cleanup_(freep) char *path = todo.paths[--todo.n];
                int fd = dir_open_beneath(rootfd, path);
                if (fd >= 0)
                        r = directory_visit(w, &(WalkPlace){ place->store, place->dir, path }, fd, &todo);
                else if (!is_gone(fd))
                        r = err_trace(fd);
        }
        return r;
}

int walk_run(Walk *w, const WalkPlace *place)
{
        if (place->path)
                return place_walk(w, place);
        for (size_t i = 0; i < w->settings->n_stores; i++)
                for (size_t k = 0; w->settings->stores[i].dirs[k]; k++) {
                        int r = place_walk(w, &(WalkPlace){ i, k, "" });
                        if (r < 0)
                                return err_trace(r);
                }
        return 0;
}
