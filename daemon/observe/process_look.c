/*
 * process_look - one look at the processes of a service
 *
 * Called by processes.c in a worker, some while apart, and only while something is suspicious. Guarantees:
 * no file that a process has open is opened, and nothing is read that needs a stuck process to answer; the
 * number of processes and the time are bounded, and a look that hit a bound says that it is incomplete.
 *
 * What a process waits for: if it is in a call on one descriptor, what that is; if it waits for any of
 * several, or has threads of which only one is seen, any socket of its that is connected to another host.
 * Tables of sockets are read once a look for each network namespace.
 *
 * Diagnostics: -ENOMEM, -ECANCELED. What is refused is left out. Test: tests/unit/test_process_look.c.
 */
#include "observe/process_look.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/procstat.h"
#include "base/remote.h"
#include "base/text.h"
#include "model/layout.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROCESSES_MAX 512
#define BUDGET        USEC_PER_SEC

/* A directory of a store: as the configuration names it, and as the kernel does. */
typedef struct LookDir {
        const StoreSettings *store;
        const char *path;
        char *real;
} LookDir;

typedef struct Look {
        const LookSpec *spec;
        ProcessLook *ret;
        LookDir *dirs;
        size_t n_dirs;
        RemoteSockets remote;
        char *group; /* the control group looked at last */
        bool group_frozen;
} Look;

void process_look_deinit(ProcessLook *l)
{
        for (size_t i = 0; i < l->n_strings; i++)
                free(l->strings[i]);
        free(l->strings);
        free(l->list);
        *l = (ProcessLook){};
}

/* Keeps a string for as long as the look lives; NULL is want of memory. Yields it. */
static const char *keep(Look *l, char *string)
{
        ProcessLook *ret = l->ret;

        if (string && ret->n_strings == ret->n_strings_allocated) {
                size_t n = ret->n_strings_allocated ? 2 * ret->n_strings_allocated : 32;
                char **bigger = reallocarray(ret->strings, n, sizeof(*bigger));

                if (!bigger) {
                        free(string);
                        return NULL;
                }
                ret->strings = bigger;
                ret->n_strings_allocated = n;
        }
        if (string)
                ret->strings[ret->n_strings++] = string;
        return string;
}

static int dirs_find(Look *l)
{
        const ServiceSettings *s = l->spec->settings;
        size_t n = 0;

        for (size_t i = 0; i < s->n_stores; i++)
                n += strv_length(s->stores[i].dirs);
        l->dirs = calloc(n + 1, sizeof(*l->dirs));
        if (!l->dirs)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < s->n_stores; i++)
                for (size_t k = 0; s->stores[i].dirs && s->stores[i].dirs[k]; k++) {
                        const char *path = s->stores[i].dirs[k];

                        l->dirs[l->n_dirs++] = (LookDir){ .store = &s->stores[i],
                                                          .path = path,
                                                          .real = realpath(path, NULL) };
                }
        return 0;
}

/* --- open files --- */

/* The part of @path below one of the stores' directories, or NULL. */
static const char *below_store(const Look *l, const char *path, const LookDir **ret)
{
        for (size_t i = 0; i < l->n_dirs; i++) {
                const char *root = l->dirs[i].real ? l->dirs[i].real : l->dirs[i].path;
                size_t len = strlen(root);

                if (strncmp(path, root, len) != 0 || path[len] != '/' || path[len + 1] == '\0' ||
                    path_is_ignored(l->dirs[i].store->exclude, path + len + 1))
                        continue;
                *ret = &l->dirs[i];
                return path + len + 1;
        }
        return NULL;
}

/* Nothing is asked of a server for it. */
static bool is_message(int fddirfd, const char *fd)
{
        struct statx st;

        return statx(fddirfd, fd, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_NLINK, &st) == 0 &&
               (S_ISREG(st.stx_mode) || S_ISFIFO(st.stx_mode)) && st.stx_nlink > 0;
}

static usec_t held_since(const Look *l, const char *path)
{
        for (size_t i = 0; i < l->spec->n_held; i++)
                if (strcmp(l->spec->held[i].path, path) == 0) {
                        l->spec->held[i].found = true;
                        return l->spec->held[i].since;
                }
        return 0;
}

/*
 * Of several the one that has been open for longest says most; then the first by name, so that looks agree.
 */
static bool says_more(usec_t since, const char *path, const ProcessSample *p)
{
        if (!p->file || (since > 0) != (p->held > 0))
                return !p->file || since > 0;
        return since != p->held ? since < p->held : strcmp(path, p->file) < 0;
}

static int file_take(Look *l, ProcessSample *p, int fddirfd, const char *fd, const char *target)
{
        const LookDir *dir;
        const char *below = below_store(l, target, &dir);
        char *path;

        if (!below || !is_message(fddirfd, fd))
                return 0;
        if (asprintf(&path, "%s/%s", dir->path, below) < 0)
                return err_origin(-ENOMEM);
        usec_t since = held_since(l, path);
        if (!says_more(since, path, p)) {
                free(path);
                return 0;
        }
        p->file = keep(l, path);
        p->held = since;
        return p->file ? 0 : err_origin(-ENOMEM);
}

/* --- sockets --- */

/* Is it one to wait on? A dependency says more than a client. */
static int socket_take(Look *l, ProcessSample *p, int piddirfd, const char *target)
{
        const RemoteSocket *found;
        int r = remote_socket_find(&l->remote, piddirfd, strtoull(target + strlen("socket:["), NULL, 10),
                                   &found);

        if (r == -ENOMEM)
                return err_trace(r);
        if (r <= 0 || !found->waits || (p->peer && found->accepted))
                return 0;
        p->peer = keep(l, strdup(found->peer));
        p->accepted = found->accepted;
        return p->peer ? 0 : err_origin(-ENOMEM);
}

static bool waits_on(const ProcWait *w, unsigned threads, const char *fd)
{
        return w->on_many || threads > 1 || (w->on_fd && strtol(fd, NULL, 10) == w->fd);
}

static int descriptor_take(Look *l, ProcessSample *p, int dirs[2], const char *fd, bool waits)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(dirs[1], fd, target, sizeof(target) - 1);

        if (n <= 0)
                return 0; /* closed meanwhile */
        target[n] = '\0';
        if (target[0] == '/')
                return err_trace(file_take(l, p, dirs[1], fd, target));
        if (waits && strncmp(target, "socket:[", 8) == 0)
                return err_trace(socket_take(l, p, dirs[0], target));
        return 0;
}

static int descriptors_read(Look *l, ProcessSample *p, int piddirfd, const ProcWait *wait, unsigned threads)
{
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *e;
        int r = dir_stream_at(piddirfd, "fd", &d);

        if (r < 0) {
                l->ret->incomplete = l->ret->incomplete || p->state != 'Z';
                return 0;
        }
        while (r == 0 && (e = readdir(d))) {
                if (e->d_name[0] == '.')
                        continue;
                p->descriptors++;
                r = descriptor_take(l, p, (int[2]){ piddirfd, dirfd(d) }, e->d_name,
                                    waits_on(wait, threads, e->d_name));
        }
        return err_trace(r);
}

/* --- control groups --- */

static int group_read(Look *l, pid_t pid)
{
        _cleanup_(freep) char *text = NULL, *path = NULL;
        _cleanup_(closep) int fd = -1;
        int r = cgroup_of(l->spec->procfd, pid, &path);

        if (r < 0)
                return r == -ENOMEM ? err_trace(r) : 0;
        if (l->group && strcmp(l->group, path) == 0)
                return 0;
        free(l->group);
        l->group = TAKE_PTR(path);
        l->group_frozen = false;
        fd = cgroup_open(l->group);
        if (fd < 0)
                return 0;
        pressure_add(fd, ".pressure", &l->ret->status.pressure);
        l->group_frozen =
                file_read_virtual(fd, "cgroup.events", 4096, &text, NULL) == 0 && strstr(text, "frozen 1");
        return 0;
}

/* --- one process, and all --- */

static int sample_take(Look *l, const ProcId *id, int piddirfd)
{
        ProcessSample *p = &l->ret->list[l->ret->n];
        ProcWait wait;
        ProcStat st;
        int r = procstat_read(piddirfd, id->pid, &st);

        if (r < 0 || st.id.start != id->start)
                return r == -ENOMEM ? err_trace(r) : 0;
        proc_wait_read(piddirfd, &wait);
        *p = (ProcessSample){
                .id = st.id,
                .parent = st.parent,
                .tracer = st.tracer,
                .state = st.state,
                .cpu = st.cpu,
                .io_bytes = st.io_bytes,
                .switches = st.switches,
                .memory = st.memory,
                .name = keep(l, text_to_utf8(st.name, strlen(st.name), 0)),
                .wait = keep(l, text_to_utf8(wait.where, strlen(wait.where), 0)),
        };
        if (!p->name || !p->wait)
                return err_origin(-ENOMEM);
        r = group_read(l, id->pid);
        if (r == 0)
                r = descriptors_read(l, p, piddirfd, &wait, st.threads);
        p->frozen = l->group_frozen;
        l->ret->n += r == 0;
        return err_trace(r);
}

static int processes_look(Look *l, usec_t deadline)
{
        const LookSpec *spec = l->spec;
        int r = 0;

        for (size_t i = 0; i < spec->n_processes && r == 0; i++) {
                _cleanup_(closep) int fd = -1;

                if (spec->cancel && atomic_load(spec->cancel))
                        return err_origin(-ECANCELED);
                if (i == PROCESSES_MAX || now_read().mono >= deadline) {
                        l->ret->incomplete = true;
                        break;
                }
                fd = process_open(spec->procfd, spec->processes[i].pid);
                if (fd >= 0)
                        r = sample_take(l, &spec->processes[i], fd);
        }
        return err_trace(r);
}

int process_look(const LookSpec *spec, ProcessLook *ret)
{
        Look l = { .spec = spec, .ret = ret };
        usec_t begin = now_read().mono;
        size_t room = spec->n_processes < PROCESSES_MAX ? spec->n_processes : PROCESSES_MAX;
        _cleanup_(closep) int fd = -1;
        int r;

        *ret = (ProcessLook){ .list = calloc(room + 1, sizeof(ProcessSample)) };
        if (!ret->list)
                return err_origin(-ENOMEM);
        fd = openat(spec->procfd, "pressure", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
                pressure_add(fd, "", &ret->status.pressure);
        r = dirs_find(&l);
        if (r == 0)
                r = processes_look(&l, usec_add(begin, BUDGET));
        ret->status.at = begin;
        ret->status.list = ret->list;
        ret->status.n = ret->n;
        for (size_t i = 0; i < l.n_dirs; i++)
                free(l.dirs[i].real);
        free(l.dirs);
        free(l.group);
        remote_sockets_deinit(&l.remote);
        if (r < 0)
                process_look_deinit(ret);
        return err_trace(r);
}
