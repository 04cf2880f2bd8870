/*
 * state_files - what must be there, and what must not be there any more
 *
 * Called in the spool worker by stores_check (is it so?) and spool_purge (make it so), and by the
 * collection of evidence. Nothing here removes anything: what is wrong or stale is moved away by
 * spool_purge, into the incident's folder.
 *
 * A lock is called stale only with proof. A holder in another pid namespace cannot be seen in /proc; such a
 * lock names a pid of that namespace, so a lock that the kernel knows to be held is never stale, whoever
 * holds it. Test: tests/unit/test_state_files.c.
 */
#include "act/state_files.h"

#include "act/procinfo.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Locks are small; of what is not, the beginning must do. */
#define LOCK_MAX  4096
#define LOCKS_MAX (1u << 20)
#define PATHS_MAX 1024

/* Formats what was found. Yields STATE_E_FOUND, or -ENOMEM. */
__attribute__((format(printf, 2, 3))) static int found(char **ret_why, const char *format, ...)
{
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(ret_why, format, ap);
        va_end(ap);
        if (n < 0) {
                *ret_why = NULL;
                return err_origin(-ENOMEM);
        }
        return STATE_E_FOUND;
}

/* What must be there */

static mode_t kind_mode(FileType kind)
{
        return kind == FILE_FIFO ? S_IFIFO : kind == FILE_DIRECTORY ? S_IFDIR : S_IFREG;
}

int state_wrong(const RecreateSettings *r, char **ret_why)
{
        const char *kind = file_type_to_string(r->kind);
        struct stat st;

        if (lstat(r->path, &st) < 0) {
                if (errno != ENOENT)
                        return err_origin(-errno);
                return found(ret_why, "%s: there must be a %s, and there is none", r->path, kind);
        }
        if ((st.st_mode & S_IFMT) == kind_mode(r->kind))
                return 0;
        return found(ret_why, "%s: is no %s, as it must be", r->path, kind);
}

/* A new one under the name @name. Return: 0, or a negated errno. */
static int make_as(Disk *disk, int dirfd, const char *name, const RecreateSettings *r)
{
        int fd;

        switch (r->kind) {
        case FILE_FIFO:
                return mkfifoat(dirfd, name, 0600) < 0 ? err_origin(-errno) : 0;
        case FILE_DIRECTORY:
                return err_trace(disk_mkdir(disk, dirfd, name, 0700));
        case FILE_REGULAR:
                fd = disk_create(disk, dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
                if (fd < 0)
                        return err_trace(fd);
                close(fd);
                return 0;
        case FILE_SOCKET:
        case FILE_SYMLINK:
        case FILE_DEVICE:
        case _FILE_TYPE_MAX:
        case _FILE_TYPE_INVALID:
                break;
        }
        return err_origin(-EINVAL);
}

int state_make(Disk *disk, const RecreateSettings *r)
{
        const char *slash = strrchr(r->path, '/');
        _cleanup_(freep) char *parent = strndup(r->path, slash > r->path ? (size_t)(slash - r->path) : 1);
        _cleanup_(freep) char *made = NULL;
        _cleanup_(closep) int dirfd = -1;
        int result;

        if (!parent || asprintf(&made, ".%s.unjam", slash + 1) < 0) {
                made = NULL;
                return err_origin(-ENOMEM);
        }
        dirfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dirfd < 0)
                return err_origin(-errno);
        /* Of an earlier try that was cut short. */
        (void)disk_remove(disk, dirfd, made, r->kind == FILE_DIRECTORY ? AT_REMOVEDIR : 0);
        result = make_as(disk, dirfd, made, r);
        if (result < 0)
                return err_trace(result);
        if (fchownat(dirfd, made, r->uid, r->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            fchmodat(dirfd, made, r->mode, 0) < 0)
                result = err_origin(-errno);
        if (result == 0)
                result = disk_rename(disk, dirfd, made, dirfd, slash + 1, RENAME_NOREPLACE);
        if (result == 0)
                result = disk_sync(disk, dirfd);
        if (result < 0)
                (void)disk_remove(disk, dirfd, made, r->kind == FILE_DIRECTORY ? AT_REMOVEDIR : 0);
        return result == -EEXIST ? 0 : err_trace(result);
}

/* Locks */

int lock_paths(const LockSettings *lock, char ***ret)
{
        const char *slash = strrchr(lock->path, '/');
        _cleanup_(freep) char *parent =
                strndup(lock->path, slash > lock->path ? (size_t)(slash - lock->path) : 1);
        _cleanup_(strv_freep) char **paths = NULL;
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *e;

        if (!parent)
                return err_origin(-ENOMEM);
        *ret = NULL;
        dir = opendir(parent);
        if (!dir)
                return errno == ENOENT || errno == ENOTDIR ? 0 : err_origin(-errno);
        while ((e = readdir(dir)) && strv_length(paths) < PATHS_MAX) {
                _cleanup_(freep) char *path = NULL;

                if (e->d_name[0] == '.' && slash[1] != '.')
                        continue;
                if (fnmatch(slash + 1, e->d_name, 0) != 0)
                        continue;
                if (asprintf(&path, "%s/%s", parent, e->d_name) < 0) {
                        path = NULL;
                        return err_origin(-ENOMEM);
                }
                if (strv_append(&paths, path) < 0)
                        return err_origin(-ENOMEM);
        }
        *ret = TAKE_PTR(paths);
        return 0;
}

static bool is_path(void *userdata, const char *path)
{
        return strcmp(path, userdata) == 0;
}

/* Has any process @path open? Return: >0 yes, 0 no, or a negated errno: it cannot be told. */
static int lock_is_open(int procfd, const char *path)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        _cleanup_(freep) char *real = realpath(path, NULL);
        struct dirent *e;
        int r = dir_stream_at(procfd, ".", &dir);

        if (r < 0)
                return err_origin(r);
        while ((e = readdir(dir))) {
                long pid = strtol(e->d_name, NULL, 10);
                _cleanup_(closep) int process = pid > 0 ? process_open(procfd, (pid_t)pid) : -1;

                r = process >= 0 ? process_holds(process, is_path, real ? real : (char *)path) : 0;

                if (r > 0)
                        return 1;
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        return 0;
}

/* Does /proc/locks have a lock on this file? Numbers of devices are shown in hex, inodes in decimal. */
static int lock_is_held(int procfd, const struct stat *st)
{
        _cleanup_(freep) char *text = NULL;
        char key[64];
        int r = file_read_virtual(procfd, "locks", LOCKS_MAX, &text, NULL);

        if (r < 0)
                return err_trace(r);
        snprintf(key, sizeof(key), " %02x:%02x:%llu ", major(st->st_dev), minor(st->st_dev),
                 (unsigned long long)st->st_ino);
        return strstr(text, key) != NULL;
}

/* The line "btime N" of /proc/stat, as wall clock. Return: seconds, or a negated errno. */
static time_t boot_time(int procfd)
{
        _cleanup_(freep) char *text = NULL;
        int r = file_read_virtual(procfd, "stat", LOCKS_MAX, &text, NULL);
        const char *line = r < 0 ? NULL : strstr(text, "\nbtime ");

        return line ? (time_t)strtoll(line + strlen("\nbtime "), NULL, 10) : r < 0 ? r : -ENODATA;
}

/* The pid that the lock's text names; 0: none. Or a negated errno. */
static pid_t lock_pid(const char *path, const LockSettings *lock)
{
        static const char usual[] = "^\\s*(?<pid>\\d+)\\s*(?:$|\\n)";
        _cleanup_(pattern_freep) Pattern *pattern = NULL;
        _cleanup_(freep) char *text = NULL;
        PatternSpan span;
        size_t len = 0;
        int r;

        r = file_read(AT_FDCWD, path, LOCK_MAX, &text, &len);
        if (r == -EFBIG || r == -EBADF)
                return 0;
        if (r == 0)
                r = pattern_new(&pattern, lock->pid ? lock->pid : usual, PATTERN_TEXT, NULL);
        if (r < 0)
                return (pid_t)r;
        r = pattern_match_group(pattern, text, len, "pid", &span);
        if (r != 0)
                return r < 0 ? (pid_t)r : 0;
        return (pid_t)strtol(text + span.start, NULL, 10);
}

/* Has the process @pid, which wrote a lock at @written, gone? Begun after that, it is another one. */
static int holder_is_gone(int procfd, pid_t pid, time_t written)
{
        time_t boot = boot_time(procfd);
        ProcId id;
        int r;

        if (boot < 0)
                return (int)boot;
        r = proc_identify(procfd, pid, &id);
        if (r == -ESRCH)
                return 1;
        if (r < 0)
                return err_trace(r);
        /* A second of grace: the boot time is rounded. */
        return boot + (time_t)(id.start / (uint64_t)sysconf(_SC_CLK_TCK)) > written + 1;
}

int lock_stale(int procfd, const char *path, const LockSettings *lock, char **ret_why)
{
        struct stat st;
        time_t boot;
        pid_t pid;
        int r;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (!S_ISREG(st.st_mode))
                return 0;
        r = lock_is_held(procfd, &st);
        if (r == 0)
                r = lock_is_open(procfd, path);
        if (r != 0)
                return r < 0 ? err_trace(r) : 0;
        pid = lock_pid(path, lock);
        if (pid < 0)
                return err_trace((int)pid);
        if (pid > 0) {
                r = holder_is_gone(procfd, pid, st.st_mtime);
                return r <= 0 ? err_trace(r)
                              : found(ret_why, "%s: its holder, process %d, has gone", path, (int)pid);
        }
        boot = boot_time(procfd);
        if (boot < 0)
                return err_trace((int)boot);
        return st.st_mtime >= boot ? 0 : found(ret_why, "%s: it is from before the last boot", path);
}

/* Which of them is to blame */

/* Does @line name @path, whole, or something below it? */
static bool line_names(const char *line, const char *path)
{
        size_t len = strlen(path);

        for (const char *p = line; (p = strstr(p, path)); p++) {
                char next = p[len];

                if (next == '\0' || next == '/' ||
                    !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_.-",
                            next))
                        return true;
                /* A full stop that ends a sentence. */
                if (next == '.' && (p[len + 1] == '\0' || p[len + 1] == ' '))
                        return true;
        }
        return false;
}

/* Trouble with what is in a file; a permission or a full disk is none. */
static const char trouble[] = "(?i)corrupt|invalid argument|invalid format|checksum|\\bBDB\\d|magic "
                              "number|bad magic|malformed|damaged"
                              "|not a (?:valid )?database|inappropriate file type|unsupported "
                              "(?:version|format)|truncated|page ?size"
                              "|unexpected (?:file|end|eof)|bad (?:file|format|page|header)|dberror|bogus";

static bool spins(const ServiceSettings *service, const ProcessEvidence *p, const char *path)
{
        bool has_path = false;

        if (p->state != 'R' || p->stranger)
                return false;
        for (size_t i = 0; i < p->n_files; i++) {
                has_path = has_path || line_names(p->files[i].path, path);
                for (size_t k = 0; k < service->n_stores; k++)
                        for (char **dir = service->stores[k].dirs; dir && *dir; dir++)
                                if (line_names(p->files[i].path, *dir))
                                        return false;
        }
        return has_path;
}

/* Why @path is to blame. Return: 0, STATE_E_FOUND with *@ret_why, or -ENOMEM. */
static int path_suspect(const ServiceSettings *service, const Evidence *e, const Pattern *p, const char *path,
                        char **ret_why)
{
        for (size_t i = e->n_lines; i-- > 0;) {
                const char *text = e->lines[i].text;

                if (line_names(text, path) && pattern_match(p, text, strlen(text)) == 0)
                        return found(ret_why, "%s: named in the log: %s", path, text);
        }
        for (size_t i = 0; i < e->n_processes; i++)
                if (spins(service, &e->processes[i], path))
                        return found(ret_why, "%s: process %d spins with it open, and with no message", path,
                                     (int)e->processes[i].id.pid);
        return 0;
}

/* The n-th path of a store that may be made anew; NULL after the last. */
static const char *rebuildable_path(const StoreSettings *s, size_t n)
{
        size_t plain = strv_length(s->rebuildable);

        if (n < plain)
                return s->rebuildable[n];
        return n - plain < s->n_rebuild ? s->rebuild[n - plain].path : NULL;
}

int state_suspect(const ServiceSettings *service, const Evidence *evidence, char ***ret_paths, char **ret_why)
{
        _cleanup_(pattern_freep) Pattern *pattern = NULL;
        _cleanup_(strv_freep) char **paths = NULL;
        _cleanup_(freep) char *first = NULL;
        int r = pattern_new(&pattern, trouble, PATTERN_TEXT, NULL);

        for (size_t k = 0; r == 0 && k < service->n_stores; k++) {
                const char *path;

                for (size_t n = 0; r == 0 && (path = rebuildable_path(&service->stores[k], n)); n++) {
                        _cleanup_(freep) char *why = NULL;

                        r = path_suspect(service, evidence, pattern, path, &why);
                        if (r != STATE_E_FOUND)
                                continue;
                        r = strv_append(&paths, path);
                        if (!first)
                                first = TAKE_PTR(why);
                }
        }
        if (r < 0)
                return err_trace(r);
        if (!paths)
                return 0;
        *ret_paths = TAKE_PTR(paths);
        *ret_why = TAKE_PTR(first);
        return STATE_E_FOUND;
}
