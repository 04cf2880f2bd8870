/*
 * procinfo - one process, read from /proc
 *
 * Called by act/collect, in a worker: reading /proc of a stuck process may block. Guarantees: no file that a
 * process has open is opened here, only looked at (statx without a round trip to a server), so neither a FIFO
 * nor a dead network mount holds us up more than /proc itself does; everything is read through one descriptor
 * of /proc/PID, so a reused pid never mixes two processes.
 *
 * Diagnostics: -ESRCH when the process has gone; what is refused or garbled is left out and named.
 * Test: tests/unit/test_procinfo.c.
 */
#include "act/procinfo.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Of a command line. More is no help to anybody. */
#define COMMAND_MAX 4096
/* A process with more threads than these is judged by them. */
#define THREADS_MAX 512

static const char deleted_suffix[] = " (deleted)";

void proc_reader_deinit(ProcReader *p)
{
        remote_sockets_deinit(&p->remote);
}

void process_deinit(ProcessEvidence *p)
{
        for (size_t i = 0; i < p->n_files; i++)
                free(p->files[i].path);
        free(p->files);
        free(p->name);
        free(p->command);
        free(p->exe);
        free(p->wchan);
        free(p->syscall);
        *p = (ProcessEvidence){};
}

int process_open(int procfd, pid_t pid)
{
        char name[16];
        int fd;

        snprintf(name, sizeof(name), "%d", (int)pid);
        fd = openat(procfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_origin(errno == ENOENT ? -ESRCH : -errno);
        return fd;
}

/* A file that vanishes is a process that vanishes. */
static int read_text(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len)
{
        int r = file_read_virtual(dirfd, name, max, ret, ret_len);

        return r == -ENOENT ? err_origin(-ESRCH) : err_trace(r);
}

/* Fields 3, 4, 14, 15, 20 and 22 of stat, behind a name that may hold anything. */
static int stat_parse(const char *text, ProcessEvidence *p, unsigned long *ret_threads)
{
        const char *name = strchr(text, '('), *end = strrchr(text, ')');
        unsigned long user, system;
        long ticks = sysconf(_SC_CLK_TCK);
        int parent;

        if (!name || !end || end < name)
                return err_origin(-EBADMSG);
        if (sscanf(end,
                   ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %lu %*d %" SCNu64,
                   &p->state, &parent, &user, &system, ret_threads, &p->id.start) != 6)
                return err_origin(-EBADMSG);
        p->parent = parent;
        p->cpu = (user + system) * (USEC_PER_SEC / (usec_t)(ticks > 0 ? ticks : 100));
        p->name = strndup(name + 1, (size_t)(end - name - 1));
        return p->name ? 0 : err_origin(-ENOMEM);
}

/* The number behind "\nKEY:\t" in a status file, 0 if it is not there. @skip numbers before it are passed
 * over. */
static uint64_t status_number(const char *text, const char *key, unsigned skip)
{
        const char *p = strstr(text, key);
        uint64_t value = 0;
        char *end;

        if (!p)
                return 0;
        p += strlen(key);
        for (unsigned i = 0; i <= skip; i++) {
                value = strtoull(p, &end, 10);
                if (end == p)
                        return 0;
                p = end;
        }
        return value;
}

static uint64_t status_switches(const char *text)
{
        return status_number(text, "\nvoluntary_ctxt_switches:", 0) +
               status_number(text, "\nnonvoluntary_ctxt_switches:", 0);
}

/* One thread beside the main one: its switches count, and a thread in state D makes the process one. */
static void thread_read(int taskfd, const char *tid, ProcessEvidence *p)
{
        _cleanup_(freep) char *status = NULL;
        char name[NAME_MAX];
        const char *state;

        snprintf(name, sizeof(name), "%.16s/status", tid);
        if (file_read_virtual(taskfd, name, 8192, &status, NULL) < 0)
                return;
        p->switches += status_switches(status);
        state = strstr(status, "\nState:\t");
        if (state && state[8] == 'D')
                p->state = 'D';
}

static void threads_read(int piddirfd, ProcessEvidence *p)
{
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;
        int fd;

        fd = openat(piddirfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                closep(&fd);
                return;
        }
        while (n < THREADS_MAX && (entry = readdir(dir)))
                if (entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) != p->id.pid) {
                        thread_read(dirfd(dir), entry->d_name, p);
                        n++;
                }
        closedir(dir);
}

static int status_read(int piddirfd, ProcessEvidence *p, unsigned long threads)
{
        _cleanup_(freep) char *text = NULL;
        int r;

        r = read_text(piddirfd, "status", 8192, &text, NULL);
        if (r < 0)
                return err_trace(r);
        p->uid = (uid_t)status_number(text, "\nUid:", 1);
        p->switches = status_switches(text);
        if (threads > 1)
                threads_read(piddirfd, p);
        return 0;
}

/* The first word of a file that is short and may be refused; NULL for "0" and nothing. */
static char *first_word(int piddirfd, const char *name)
{
        char *text = NULL;

        if (file_read_virtual(piddirfd, name, 256, &text, NULL) < 0)
                return NULL;
        text[strcspn(text, " \n")] = 0;
        if (!*text) {
                free(text);
                return NULL;
        }
        return text;
}

static void waits_read(int piddirfd, ProcessEvidence *p)
{
        p->wchan = first_word(piddirfd, "wchan");
        /* It waits nowhere, or it is a secret. */
        if (p->wchan && strcmp(p->wchan, "0") == 0) {
                free(p->wchan);
                p->wchan = NULL;
        }
        p->syscall = first_word(piddirfd, "syscall");
}

/* readlink of any length. NULL if it cannot be read. */
static char *link_read(int dirfd, const char *name)
{
        char buf[PATH_MAX];
        ssize_t len = readlinkat(dirfd, name, buf, sizeof(buf));

        return len < 0 || len == (ssize_t)sizeof(buf) ? NULL : strndup(buf, (size_t)len);
}

/* Never asks a server, never triggers an automount: what is known here has to do. */
static int look(int dirfd, const char *name, int flags, struct statx *ret)
{
        flags |= AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
        return statx(dirfd, name, flags, STATX_TYPE | STATX_INO | STATX_NLINK, ret) < 0 ? -errno : 0;
}

/*
 * Takes " (deleted)" off the path of a file that has no name any more. A file may really be called so: then
 * it is still to be found under that name.
 */
static bool strip_deleted(char *path, const struct statx *file)
{
        size_t len = strlen(path), suffix = strlen(deleted_suffix);
        struct statx named;

        if (len <= suffix || strcmp(path + len - suffix, deleted_suffix) != 0)
                return false;
        if (file->stx_nlink > 0 && look(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &named) == 0 &&
            named.stx_ino == file->stx_ino && named.stx_dev_major == file->stx_dev_major &&
            named.stx_dev_minor == file->stx_dev_minor)
                return false;
        path[len - suffix] = 0;
        return true;
}

static bool is_of_interest(const struct statx *file)
{
        return S_ISREG(file->stx_mode) || S_ISDIR(file->stx_mode) || S_ISFIFO(file->stx_mode);
}

/* All descriptors of a process. */
typedef struct FileList {
        ProcessEvidence *process;
        size_t allocated, max;
        uint64_t *sockets;
        size_t n_sockets, sockets_allocated;
        bool full;
} FileList;

static int file_list_add(FileList *l, OpenFile file)
{
        ProcessEvidence *p = l->process;

        if (p->n_files == l->allocated) {
                size_t grown = l->allocated == 0 ? 16 : l->allocated * 2;
                OpenFile *files = reallocarray(p->files, grown, sizeof(OpenFile));

                if (!files)
                        return err_origin(-ENOMEM);
                p->files = files;
                l->allocated = grown;
        }
        p->files[p->n_files++] = file;
        return 0;
}

static int file_list_add_socket(FileList *l, const char *target)
{
        l->process->n_sockets++;
        if (l->n_sockets == l->sockets_allocated) {
                size_t grown = l->sockets_allocated == 0 ? 16 : l->sockets_allocated * 2;
                uint64_t *sockets = reallocarray(l->sockets, grown, sizeof(uint64_t));

                if (!sockets)
                        return err_origin(-ENOMEM);
                l->sockets = sockets;
                l->sockets_allocated = grown;
        }
        l->sockets[l->n_sockets++] = strtoull(target + strlen("socket:["), NULL, 10);
        return 0;
}

static int descriptor_read(FileList *l, int fddirfd, const char *name)
{
        _cleanup_(freep) char *path = link_read(fddirfd, name);
        struct statx file;
        struct stat link;
        OpenFile f;
        int r;

        if (!path)
                return 0; /* closed meanwhile */
        if (strncmp(path, "socket:[", 8) == 0)
                return err_trace(file_list_add_socket(l, path));
        /* Pipes, eventfds and their like have no path. */
        if (path[0] != '/' || look(fddirfd, name, 0, &file) < 0 || !is_of_interest(&file))
                return 0;
        if (l->process->n_files == l->max) {
                l->full = true;
                return 0;
        }
        /* The mode of the link itself tells how the file was opened. */
        if (fstatat(fddirfd, name, &link, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        f = (OpenFile){
                .fd = (int)strtol(name, NULL, 10),
                .deleted = strip_deleted(path, &file),
                .write = link.st_mode & S_IWUSR,
                .dev = makedev(file.stx_dev_major, file.stx_dev_minor),
                .inode = file.stx_ino,
                .path = path,
        };
        r = file_list_add(l, f);
        if (r == 0)
                path = NULL;
        return err_trace(r);
}

static int fd_dir_open(int piddirfd, DIR **ret)
{
        int fd = openat(piddirfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return err_origin(errno == ENOENT ? -ESRCH : -errno);
        *ret = fdopendir(fd);
        if (!*ret) {
                int r = -errno;

                close(fd);
                return err_origin(r);
        }
        return 0;
}

static int files_read(ProcReader *reader, int piddirfd, ProcessEvidence *p, const char **ret_missing)
{
        FileList l = { .process = p, .max = reader->max_files };
        struct dirent *entry;
        DIR *dir;
        int r;

        r = fd_dir_open(piddirfd, &dir);
        if (r == -EACCES || r == -EPERM) {
                *ret_missing = "its open files may not be read";
                return 0;
        }
        if (r < 0)
                return err_trace(r);
        while (r == 0 && (entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        r = descriptor_read(&l, dirfd(dir), entry->d_name);
        closedir(dir);
        if (r == 0) {
                r = remote_sockets_any(&reader->remote, piddirfd, l.sockets, l.n_sockets);
                p->remote = r > 0;
                if (r < 0 && r != -ENOMEM)
                        *ret_missing = "its sockets could not be read";
                r = r == -ENOMEM ? r : 0;
        }
        if (l.full)
                *ret_missing = "it has more open files than are listed";
        free(l.sockets);
        return err_trace(r);
}

static void io_read(int piddirfd, ProcessEvidence *p, const char **ret_missing)
{
        _cleanup_(freep) char *text = NULL;

        if (file_read_virtual(piddirfd, "io", 4096, &text, NULL) < 0) {
                *ret_missing = "its I/O may not be read";
                return;
        }
        /* "rchar" is the first line, so without a newline before it. */
        p->io_bytes = status_number(text, "rchar:", 0) + status_number(text, "\nwchar:", 0);
}

/* May wait for the memory of the process. */
static int command_read(int piddirfd, ProcessEvidence *p)
{
        char *text = NULL;
        size_t len;

        if (p->state == 'D' || file_read_virtual(piddirfd, "cmdline", COMMAND_MAX, &text, &len) < 0)
                return 0;
        while (len > 0 && text[len - 1] == 0)
                len--;
        for (size_t i = 0; i < len; i++)
                if (text[i] == 0)
                        text[i] = ' ';
        text[len] = 0;
        p->command = text;
        return 0;
}

int process_read(ProcReader *reader, int piddirfd, pid_t pid, ProcessEvidence *ret, const char **ret_missing)
{
        _cleanup_(process_deinit) ProcessEvidence p = { .id.pid = pid };
        _cleanup_(freep) char *text = NULL;
        const char *missing = NULL;
        unsigned long threads = 1;
        int r;

        r = read_text(piddirfd, "stat", 8192, &text, NULL);
        if (r == 0)
                r = stat_parse(text, &p, &threads);
        if (r == 0)
                r = status_read(piddirfd, &p, threads);
        if (r < 0)
                return err_trace(r);
        waits_read(piddirfd, &p);
        r = files_read(reader, piddirfd, &p, &missing);
        /* A zombie has no files any more, but it is there. */
        if (r < 0 && !(r == -ESRCH && p.state == 'Z'))
                return err_trace(r);
        p.exe = link_read(piddirfd, "exe");
        io_read(piddirfd, &p, &missing);
        r = command_read(piddirfd, &p);
        if (r < 0)
                return err_trace(r);
        *ret = p;
        p = (ProcessEvidence){};
        if (!missing)
                return 0;
        *ret_missing = missing;
        return PROCESS_E_PARTIAL;
}

int process_holds(int piddirfd, bool (*covers)(void *userdata, const char *path), void *userdata)
{
        struct dirent *entry;
        bool holds = false;
        DIR *dir;
        int r;

        r = fd_dir_open(piddirfd, &dir);
        if (r < 0)
                return err_trace(r);
        while (!holds && (entry = readdir(dir))) {
                _cleanup_(freep) char *path = NULL;
                struct statx file;

                if (entry->d_name[0] == '.')
                        continue;
                path = link_read(dirfd(dir), entry->d_name);
                if (!path || path[0] != '/' || !covers(userdata, path))
                        continue;
                /* Somebody's open directory is in nobody's way. */
                if (look(dirfd(dir), entry->d_name, 0, &file) < 0)
                        continue;
                holds = S_ISREG(file.stx_mode) || S_ISFIFO(file.stx_mode);
        }
        closedir(dir);
        return holds;
}
