/*
 * calls - see calls.h; the other half is the list of --wrap options in tests/CMakeLists.txt
 *
 * The power cut is an undo log. Each change that no sync has covered since (of the file for its bytes, of one
 * of the directories for a name) is taken back or kept by the throw of a coin, the last one first, so
 * that any subset may be lost; a write may also stay in part. What cannot be taken back any more (a directory
 * that has got entries meanwhile, a file that the server has consumed) stays: the tree is always one that
 * could be. What a rename replaced or an unlink removed is linked to a place of its own beforehand.
 */
#include "live/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

int __real_open64(const char *path, int flags, ...);
int __real_openat64(int dirfd, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __real_read(int fd, void *buf, size_t len);
int __real_fsync(int fd);
int __real_renameat2(int ofd, const char *o, int nfd, const char *n, unsigned flags);
int __real_mkdirat(int dirfd, const char *name, mode_t mode);
int __real_unlinkat(int dirfd, const char *name, int flags);
int __real_fchmod(int fd, mode_t mode);
int __real_fchown(int fd, uid_t uid, gid_t gid);
int __real_ftruncate64(int fd, off_t len);
int __real_futimens(int fd, const struct timespec times[2]);
int __real_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __real_fremovexattr(int fd, const char *name);
int __real_fstat64(int fd, struct stat *st);
int __real_fstatat64(int dirfd, const char *name, struct stat *st, int flags);
int __real_ioctl(int fd, unsigned long request, ...);
long __real_syscall(long number, ...);
void *__real_realloc(void *p, size_t size);

typedef struct Undo {
        enum { UNDO_NAME, UNDO_REPLACED, UNDO_MKDIR, UNDO_RMDIR, UNDO_UNLINK, UNDO_CREATE, UNDO_DATA } kind;
        int from, to; /* own descriptors; UNDO_DATA: of the file */
        char old[256], new[256];
        unsigned flags;
        off_t size, written;
        struct stat st[2]; /* of from and to: which is which */
} Undo;

static struct {
        pthread_mutex_t lock;
        bool armed;
        Calls c;
        unsigned long n;
        bool fired;
        Undo *undo;
        size_t n_undo, allocated;
        int grave; /* directory for what is gone */
        unsigned n_graves;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .grave = -1 };

void calls_arm(const Calls *c)
{
        pthread_mutex_lock(&state.lock);
        state.c = *c;
        state.n = 0;
        state.fired = false;
        state.n_undo = 0;
        state.armed = true;
        if (c->how == CALLS_POWER && c->proc)
                state.grave = __real_open64(c->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pthread_mutex_unlock(&state.lock);
}

void calls_disarm(void)
{
        pthread_mutex_lock(&state.lock);
        state.armed = false;
        pthread_mutex_unlock(&state.lock);
}

unsigned long calls_count(void)
{
        return state.n;
}

bool calls_fired(void)
{
        return state.fired;
}

/* ---- the power cut ---- */

static void take_back(const Undo *u)
{
        switch (u->kind) {
        case UNDO_NAME:
                (void)__real_renameat2(u->to, u->new, u->from, u->old,
                                       u->flags & RENAME_EXCHANGE ? RENAME_EXCHANGE : RENAME_NOREPLACE);
                return;
        case UNDO_REPLACED: /* the new one was a file of ours; the old one is in the grave */
                (void)__real_renameat2(u->to, u->new, u->from, u->old, RENAME_NOREPLACE);
                if (u->flags)
                        (void)__real_renameat2(state.grave, u->old + strlen(u->old) + 1, u->to, u->new, 0);
                return;
        case UNDO_MKDIR:
                (void)__real_unlinkat(u->from, u->old, AT_REMOVEDIR);
                return;
        case UNDO_RMDIR:
                (void)__real_mkdirat(u->from, u->old, 0700);
                return;
        case UNDO_UNLINK:
                (void)__real_renameat2(state.grave, u->new, u->from, u->old, RENAME_NOREPLACE);
                return;
        case UNDO_CREATE:
                (void)__real_unlinkat(u->from, u->old, 0);
                return;
        case UNDO_DATA: /* all of it, or a beginning of it */
                (void)__real_ftruncate64(u->from, u->size + (off_t)((unsigned)rand_r(&state.c.seed) %
                                                                    ((unsigned)u->written + 1)));
                return;
        }
}

static void cut_now(void)
{
        for (size_t i = state.n_undo; i > 0; i--)
                if (rand_r(&state.c.seed) % 2)
                        take_back(state.undo + i - 1);
        _exit(CALLS_EXIT);
}

void calls_power_cut(void)
{
        pthread_mutex_lock(&state.lock);
        cut_now();
}

/* The entry for a change that is about to be made; its descriptors are copied. */
static Undo *remember(Undo u)
{
        if (state.n_undo == state.allocated) {
                state.allocated = state.allocated ? 2 * state.allocated : 64;
                state.undo = __real_realloc(state.undo, state.allocated * sizeof(*state.undo));
        }
        u.from = fcntl(u.from, F_DUPFD_CLOEXEC, 0);
        u.to = u.to < 0 ? -1 : fcntl(u.to, F_DUPFD_CLOEXEC, 0);
        (void)__real_fstat64(u.from, u.st);
        if (u.to >= 0)
                (void)__real_fstat64(u.to, u.st + 1);
        state.undo[state.n_undo] = u;
        return state.undo + state.n_undo++;
}

static bool is_same(int fd, const struct stat *a, const struct stat *b)
{
        return fd >= 0 && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* What a sync covers can't be lost any more: it is forgotten. */
static void synced(int fd)
{
        struct stat st;
        size_t n = 0;

        if (state.c.how != CALLS_POWER || __real_fstat64(fd, &st) < 0)
                return;
        for (size_t i = 0; i < state.n_undo; i++) {
                const Undo *u = state.undo + i;

                if (!is_same(u->from, u->st, &st) && !is_same(u->to, u->st + 1, &st)) {
                        state.undo[n++] = *u;
                        continue;
                }
                close(u->from);
                if (u->to >= 0)
                        close(u->to);
        }
        state.n_undo = n;
}

/* Keeps what a call is about to remove. The name in the grave is written to @ret. */
static bool bury(int dirfd, const char *name, char *ret, size_t size)
{
        snprintf(ret, size, "grave%u", state.n_graves++);
        return linkat(dirfd, name, state.grave, ret, 0) == 0;
}

static void copy_name(char ret[256], const char *name)
{
        snprintf(ret, 256, "%s", name);
}

/* ---- counting, dying, failing ---- */

/* Return: 0 to go on, or the errno of this call. With the lock. */
static int arrive(unsigned kind)
{
        if (!(state.c.kinds & kind) || state.c.how == CALLS_TEAR)
                return 0; /* a tear counts writes alone: __wrap_write() */
        state.n++;
        switch (state.c.how) {
        case CALLS_KILL:
                if (state.n == state.c.at)
                        _exit(CALLS_EXIT);
                return 0;
        case CALLS_POWER:
                if (state.n == state.c.at)
                        cut_now();
                return 0;
        case CALLS_FAIL_ONCE:
        case CALLS_FAIL_ON:
                if (state.n == state.c.at || (state.n > state.c.at && state.c.how == CALLS_FAIL_ON)) {
                        state.fired = true;
                        return state.c.error;
                }
                return 0;
        case CALLS_COUNT:
        case CALLS_TEAR:
        case _CALLS_HOW_MAX:
                return 0;
        }
        return 0;
}

static void tell(const char *call, int dirfd, const char *name)
{
        struct stat st = { 0 };

        if (!state.c.changes)
                return;
        if (name ? __real_fstatat64(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0
                 : __real_fstat64(dirfd, &st) == 0)
                state.c.changes(state.c.userdata, call, dirfd, &st);
}

/* Begins a change; to be followed by leave(). Return: 0 or the errno of the call, lock held either way. */
static int enter(const char *call, unsigned kind, int dirfd, const char *name)
{
        int error;

        pthread_mutex_lock(&state.lock);
        if (!state.armed)
                return 0;
        error = arrive(kind);
        if (error == 0 && kind == CALLS_CHANGING)
                tell(call, dirfd, name);
        return error;
}

static int leave(int r)
{
        int error = errno;

        pthread_mutex_unlock(&state.lock);
        errno = error;
        return r;
}

static int refuse(int error)
{
        pthread_mutex_unlock(&state.lock);
        errno = error;
        return -1;
}

static bool is_power(void)
{
        return state.armed && state.c.how == CALLS_POWER;
}

static bool is_on_disk(int fd)
{
        struct stat st;

        return __real_fstat64(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* ---- what changes the disk ---- */

int __wrap_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
        bool makes = flags & O_CREAT, there;
        mode_t mode = 0;
        va_list ap;
        int error, fd;

        va_start(ap, flags);
        if (makes)
                mode = va_arg(ap, mode_t);
        va_end(ap);
        error = enter("open", makes || (flags & O_ACCMODE) != O_RDONLY ? CALLS_CHANGING : CALLS_READING,
                      dirfd, path);
        if (error)
                return refuse(error);
        there = !makes || faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        fd = __real_openat64(dirfd, path, flags, mode);
        if (fd >= 0 && is_power() && !there) {
                Undo u = { .kind = UNDO_CREATE, .from = dirfd, .to = -1 };

                copy_name(u.old, path);
                remember(u);
        }
        return leave(fd);
}

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
        mode_t mode = 0;
        va_list ap;
        int error;

        va_start(ap, flags);
        if (flags & O_CREAT)
                mode = va_arg(ap, mode_t);
        va_end(ap);
        error = enter("open", flags & O_CREAT ? CALLS_CHANGING : CALLS_READING, AT_FDCWD, path);
        if (error)
                return refuse(error);
        if (state.armed && state.c.proc && strcmp(path, "/proc") == 0)
                path = state.c.proc;
        return leave(__real_open64(path, flags, mode));
}

ssize_t __wrap_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
        struct stat st;
        ssize_t n;
        int error;

        if (__real_fstat64(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return __real_write(fd, buf, len);
        error = enter("write", CALLS_CHANGING, fd, NULL);
        /* A full disk takes what still fits. */
        if (error == ENOSPC && len > 1)
                (void)!__real_write(fd, buf, len / 2);
        if (error)
                return refuse(error);
        if (state.armed && state.c.how == CALLS_TEAR && ++state.n == state.c.at) {
                (void)!__real_write(fd, buf, len / 2);
                _exit(CALLS_EXIT);
        }
        n = __real_write(fd, buf, len);
        if (n > 0 && is_power())
                remember((Undo){
                        .kind = UNDO_DATA, .from = fd, .to = -1, .size = st.st_size, .written = (off_t)n });
        error = errno;
        pthread_mutex_unlock(&state.lock);
        errno = error;
        return n;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
        int error = enter("fsync", CALLS_CHANGING, fd, NULL);

        if (error)
                return refuse(error);
        if (!state.armed || state.c.syncs)
                return leave(__real_fsync(fd));
        synced(fd);
        return leave(0); /* the machine stays up */
}

int __wrap_renameat2(int ofd, const char *o, int nfd, const char *n, unsigned flags);
int __wrap_renameat2(int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        Undo u = { .kind = flags ? UNDO_NAME : UNDO_REPLACED, .from = ofd, .to = nfd, .flags = flags };
        int error = enter("rename", CALLS_CHANGING, ofd, o), r;

        if (error)
                return refuse(error);
        copy_name(u.old, o);
        copy_name(u.new, n);
        if (is_power() && flags == 0)
                u.flags = bury(nfd, n, u.old + strlen(u.old) + 1, 32);
        r = __real_renameat2(ofd, o, nfd, n, flags);
        if (r == 0 && is_power())
                remember(u);
        return leave(r);
}

int __wrap_mkdirat(int dirfd, const char *name, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *name, mode_t mode)
{
        int error = enter("mkdir", CALLS_CHANGING, dirfd, name), r;

        if (error)
                return refuse(error);
        r = __real_mkdirat(dirfd, name, mode);
        if (r == 0 && is_power()) {
                Undo u = { .kind = UNDO_MKDIR, .from = dirfd, .to = -1 };

                copy_name(u.old, name);
                remember(u);
        }
        return leave(r);
}

int __wrap_unlinkat(int dirfd, const char *name, int flags);
int __wrap_unlinkat(int dirfd, const char *name, int flags)
{
        Undo u = { .kind = flags & AT_REMOVEDIR ? UNDO_RMDIR : UNDO_UNLINK, .from = dirfd, .to = -1 };
        int error = enter(flags & AT_REMOVEDIR ? "rmdir" : "unlink", CALLS_CHANGING, dirfd, name), r;
        bool kept = true;

        if (error)
                return refuse(error);
        copy_name(u.old, name);
        if (is_power() && u.kind == UNDO_UNLINK)
                kept = bury(dirfd, name, u.new, sizeof(u.new));
        r = __real_unlinkat(dirfd, name, flags);
        if (r == 0 && is_power() && kept)
                remember(u);
        return leave(r);
}

int __wrap_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len)
{
        int error = enter("truncate", CALLS_CHANGING, fd, NULL);

        return error ? refuse(error) : leave(__real_ftruncate64(fd, len));
}

int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
        int error = enter("chmod", CALLS_CHANGING, fd, NULL);

        return error ? refuse(error) : leave(__real_fchmod(fd, mode));
}

int __wrap_fchown(int fd, uid_t uid, gid_t gid);
int __wrap_fchown(int fd, uid_t uid, gid_t gid)
{
        int error = enter("chown", CALLS_CHANGING, fd, NULL);

        return error ? refuse(error) : leave(__real_fchown(fd, uid, gid));
}

int __wrap_futimens(int fd, const struct timespec times[2]);
int __wrap_futimens(int fd, const struct timespec times[2])
{
        int error = enter("utimens", CALLS_CHANGING, fd, NULL);

        return error ? refuse(error) : leave(__real_futimens(fd, times));
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
        int error = enter("setxattr", CALLS_CHANGING, fd, NULL);

        return error ? refuse(error) : leave(__real_fsetxattr(fd, name, value, size, flags));
}

int __wrap_fremovexattr(int fd, const char *name);
int __wrap_fremovexattr(int fd, const char *name)
{
        int error = enter("removexattr", CALLS_CHANGING, fd, NULL);

        return error ? refuse(error) : leave(__real_fremovexattr(fd, name));
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
        bool changes = request == FS_IOC_SETFLAGS || request == FS_IOC_FSSETXATTR;
        va_list ap;
        void *arg;
        int error;

        va_start(ap, request);
        arg = va_arg(ap, void *);
        va_end(ap);
        error = enter("ioctl", changes ? CALLS_CHANGING : CALLS_READING, fd, NULL);
        return error ? refuse(error) : leave(__real_ioctl(fd, request, arg));
}

/* ---- what reads it ---- */

ssize_t __wrap_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len)
{
        int error;

        if (!state.armed || !is_on_disk(fd))
                return __real_read(fd, buf, len);
        error = enter("read", CALLS_READING, fd, NULL);
        pthread_mutex_unlock(&state.lock);
        if (error == 0)
                return __real_read(fd, buf, len);
        errno = error;
        return -1;
}

int __wrap_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st)
{
        int error = enter("stat", CALLS_READING, fd, NULL);

        return error ? refuse(error) : leave(__real_fstat64(fd, st));
}

int __wrap_fstatat64(int dirfd, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int dirfd, const char *name, struct stat *st, int flags)
{
        int error = enter("stat", CALLS_READING, dirfd, name);

        return error ? refuse(error) : leave(__real_fstatat64(dirfd, name, st, flags));
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
        long a[6];
        va_list ap;
        int error = 0;

        va_start(ap, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(ap, long);
        va_end(ap);
        if (number == SYS_openat2) {
                error = enter("openat2", CALLS_READING, (int)a[0], (const char *)a[1]);
                pthread_mutex_unlock(&state.lock);
        }
        if (error) {
                errno = error;
                return -1;
        }
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

bool calls_out_of_memory(void)
{
        bool out;

        if (!state.armed || !(state.c.kinds & CALLS_MEMORY))
                return false;
        pthread_mutex_lock(&state.lock);
        out = arrive(CALLS_MEMORY) != 0;
        pthread_mutex_unlock(&state.lock);
        if (out)
                errno = ENOMEM;
        return out;
}
