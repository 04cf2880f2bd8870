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

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Of a command line. More is no help to anybody. */
#define COMMAND_MAX 4096
/* Of a list of children. */
#define CHILDREN_MAX (1024 * 1024)

static const char deleted_suffix[] = " (deleted)";

void proc_reader_deinit(ProcReader *p)
{
        remote_sockets_deinit(&p->remote);
}

/* NULL for nothing; the caller's. *@r becomes -ENOMEM. */
static char *copy_unless_empty(const char *text, int *r)
{
        char *copy = *text ? strdup(text) : NULL;

        if (*text && !copy)
                *r = err_origin(-ENOMEM);
        return copy;
}

static int waits_read(int piddirfd, ProcessEvidence *p)
{
        char number[24];
        ProcWait wait;
        int r = 0;

        proc_wait_read(piddirfd, &wait);
        p->wchan = copy_unless_empty(wait.where, &r);
        snprintf(number, sizeof(number), "%ld", wait.number);
        p->syscall = copy_unless_empty(wait.number < 0 ? "" : number, &r);
        return r;
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
        int r = dir_stream_at(piddirfd, "fd", ret);

        return r == -ENOENT ? err_origin(-ESRCH) : err_trace(r);
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

/* By the list of its main thread's children; a kernel without that list shows none. */
static void zombies_count(int procfd, int piddirfd, ProcessEvidence *p)
{
        _cleanup_(freep) char *text = NULL;
        char name[40], *rest;

        snprintf(name, sizeof(name), "task/%d/children", (int)p->id.pid);
        if (file_read_virtual(piddirfd, name, CHILDREN_MAX, &text, NULL) < 0)
                return;
        for (const char *child = strtok_r(text, " \n", &rest); child; child = strtok_r(NULL, " \n", &rest)) {
                _cleanup_(freep) char *stat = NULL;
                const char *end;

                snprintf(name, sizeof(name), "%.20s/stat", child);
                if (file_read_virtual(procfd, name, 8192, &stat, NULL) == 0 && (end = strrchr(stat, ')')) &&
                    strncmp(end, ") Z", 3) == 0)
                        p->zombies++;
        }
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

/* What procstat reads, in the form of evidence. */
static int counters_take(ProcessEvidence *p, const ProcStat *st)
{
        int r = 0;

        p->id = st->id;
        p->parent = st->parent;
        p->uid = st->uid;
        p->state = st->state;
        p->cpu = st->cpu;
        p->io_bytes = st->io_bytes;
        p->switches = st->switches;
        p->name = strdup(st->name);
        if (!p->name)
                r = err_origin(-ENOMEM);
        return r;
}

int process_read(ProcReader *reader, int piddirfd, pid_t pid, ProcessEvidence *ret, const char **ret_missing)
{
        _cleanup_(process_evidence_deinit) ProcessEvidence p = { .id.pid = pid };
        const char *missing = NULL;
        ProcStat st;
        int r;

        r = procstat_read(piddirfd, pid, &st);
        if (r == 0)
                r = counters_take(&p, &st);
        if (r == 0)
                r = waits_read(piddirfd, &p);
        if (r < 0)
                return err_trace(r);
        r = files_read(reader, piddirfd, &p, &missing);
        /* A zombie has no files any more, but it is there. */
        if (r < 0 && !(r == -ESRCH && p.state == 'Z'))
                return err_trace(r);
        zombies_count(reader->procfd, piddirfd, &p);
        p.exe = link_read(piddirfd, "exe");
        if (!st.io_known)
                missing = "its I/O may not be read";
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
