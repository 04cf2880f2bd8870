/*
 * live - see live.h: the tree, the lives, and what must be true of the tree at any moment
 *
 * A message's file says which one it is, so each is found wherever it lies, and a second one of it as well.
 */
#include "live/live.h"

#include "act/guard.h"
#include "record/verify.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL_SECONDS 300 /* that a life may take on a machine that is busy */

/* ---- the tree ---- */

static void path_of(const Live *l, const char *below, char path[PATH_MAX])
{
        snprintf(path, PATH_MAX, "%s/%s", l->root, below);
}

static void make_dir(const Live *l, const char *below)
{
        char path[PATH_MAX];

        path_of(l, below, path);
        assert(mkdir(path, 0750) == 0);
}

static void make_file(const Live *l, const char *below, const char *text)
{
        char path[PATH_MAX];
        int fd;

        path_of(l, below, path);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

static void message_file(Live *l, LiveMessage *m, unsigned k)
{
        char path[PATH_MAX], text[64];
        const struct timespec times[2] = { { .tv_sec = 1700000000, .tv_nsec = k },
                                           { .tv_sec = 1600000000 + k } };

        snprintf(text, sizeof(text), "live message %s %u\n", m->id, k);
        make_file(l, m->files[k].path, text);
        path_of(l, m->files[k].path, path);
        assert(chmod(path, 0600 + (mode_t)(l->n_messages % 64)) == 0);
        assert(utimensat(AT_FDCWD, path, times, 0) == 0);
        assert(lstat(path, &m->files[k].st) == 0);
        m->n_files = k + 1;
}

static void add_message(Live *l, unsigned store, unsigned number)
{
        LiveMessage *m = l->messages + l->n_messages;

        assert(l->n_messages < LIVE_MESSAGES);
        m->store = store;
        snprintf(m->id, sizeof(m->id), "%s%u", store ? "x" : "q", number);
        if (store == 0) {
                snprintf(m->files[0].path, sizeof(m->files[0].path), "spool/%s/%s", number % 3 ? "In" : "Out",
                         m->id);
                message_file(l, m, 0);
        } else {
                snprintf(m->files[0].path, sizeof(m->files[0].path), "spool/input/%u/%s-H", number % 2,
                         m->id);
                snprintf(m->files[1].path, sizeof(m->files[1].path), "spool/input/%u/%s-D", number % 2,
                         m->id);
                message_file(l, m, 0);
                message_file(l, m, 1);
        }
        l->n_messages++;
}

Live *live_new(const LiveConfig *config, const char *dir)
{
        static const char *const dirs[] = { "spool",         "spool/In",      "spool/Out",  "spool/input",
                                            "spool/input/0", "spool/input/1", "spool/held", "units",
                                            "run",           "proc" };
        Live *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        assert(l != MAP_FAILED);
        l->config = *config;
        snprintf(l->root, sizeof(l->root), "%s/unjam-live.XXXXXX", dir);
        assert(mkdtemp(l->root));
        for (size_t k = 0; k < sizeof(dirs) / sizeof(dirs[0]); k++)
                make_dir(l, dirs[k]);
        make_file(l, "spool/queue.dat", "rebuildable");
        if (config->fallback) {
                make_file(l, "spool/In/.lock", "the server's");
                make_file(l, "spool/input/0/.lock", "the server's");
        }
        for (unsigned k = 0; k < config->n_messages; k++)
                add_message(l, 0, k);
        for (unsigned k = 0; k < config->n_second; k++)
                add_message(l, 1, k);
        l->now = USEC_PER_SEC;
        server_start(l);
        return l;
}

static void remove_tree(int dirfd, const char *name)
{
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

        for (const struct dirent *e; d && (e = readdir(d));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        remove_tree(fd, e->d_name);
        if (d)
                closedir(d);
        (void)unlinkat(dirfd, name, d ? AT_REMOVEDIR : 0);
}

void live_free(Live *l)
{
        remove_tree(AT_FDCWD, l->root);
        munmap(l, sizeof(*l));
}

LiveMessage *live_message(Live *l, const char *id)
{
        for (unsigned k = 0; k < l->n_messages; k++)
                if (strcmp(l->messages[k].id, id) == 0)
                        return l->messages + k;
        return NULL;
}

void live_poison(Live *l, const char *id, LivePoison poison)
{
        LiveMessage *m = live_message(l, id);

        assert(m);
        m->poison = poison;
}

/* ---- lives ---- */

static LiveMessage *message_of(Live *l, const struct stat *st)
{
        for (unsigned k = 0; k < l->n_messages; k++)
                for (unsigned n = 0; n < l->messages[k].n_files; n++)
                        if (l->messages[k].files[n].st.st_ino == st->st_ino &&
                            l->messages[k].delivered == 0 && !l->messages[k].deleted)
                                return l->messages + k;
        return NULL;
}

static bool is_in_store(const Live *l, int dirfd)
{
        char link[64], path[PATH_MAX], spool[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return false;
        path[n] = '\0';
        path_of(l, "spool", spool);
        return strncmp(path, spool, strlen(spool)) == 0;
}

/* Told by calls.c of each change: which of them no promise allows? */
static void on_change(void *userdata, const char *call, int dirfd, const struct stat *st)
{
        Live *l = userdata;
        const LiveMessage *m = message_of(l, st);
        bool lives = l->up || l->starting || l->hung;

        if (l->wrong[0])
                return;
        if (strcmp(call, "rename") == 0) {
                if (lives && (m || S_ISDIR(st->st_mode)) && is_in_store(l, dirfd))
                        snprintf(l->wrong, sizeof(l->wrong),
                                 "%s was taken out of a store while the server lives",
                                 m ? m->id : "a directory");
        } else if (m && S_ISREG(st->st_mode) && strcmp(call, "fsync") != 0) {
                snprintf(l->wrong, sizeof(l->wrong), "%s on a file of message %s", call, m->id);
        }
}

LiveEnd live_run(Live *l, const Calls *calls)
{
        char proc[PATH_MAX];
        Calls with = calls ? *calls : (Calls){ .how = CALLS_COUNT, .kinds = CALLS_CHANGING };
        int status;
        pid_t pid;

        path_of(l, "proc", proc);
        with.proc = proc;
        with.changes = on_change;
        with.userdata = l;
        fflush(NULL);
        pid = fork();
        assert(pid >= 0);
        if (pid == 0) {
                (void)alarm(REAL_SECONDS);
                live_life(l, &with);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        remove_tree(AT_FDCWD, proc); /* what a power cut has taken for good */
        make_dir(l, "proc");
        if (WIFEXITED(status) && WEXITSTATUS(status) == CALLS_EXIT)
                return LIVE_KILLED;
        return WIFEXITED(status) && WEXITSTATUS(status) <= LIVE_OVERDUE ? (LiveEnd)WEXITSTATUS(status)
                                                                        : LIVE_BROKEN;
}

void live_boot(Live *l)
{
        char path[PATH_MAX];

        path_of(l, "run", path);
        remove_tree(AT_FDCWD, path);
        make_dir(l, "run");
        server_stop(l);
        path_of(l, "state/guard/imc", path);
        if (access(path, F_OK) < 0)
                server_start(l);
}

/* ---- every file ---- */

typedef struct Look {
        Live *l;
        LivePlace *places;
        unsigned seen[LIVE_MESSAGES][LIVE_FILES];
        char *wrong;
} Look;

static void look_wrong(Look *k, const char *what, const char *path)
{
        if (!k->wrong[0])
                snprintf(k->wrong, 256, "%s: %s", path + strlen(k->l->root) + 1, what);
}

/* Which message's file is it? Its text says so. */
static bool identify(Look *k, const char *path, LiveMessage **ret, unsigned *ret_file)
{
        char text[64] = "", id[24] = "";
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

        if (fd >= 0)
                close(fd);
        if (n < 0 || sscanf(text, "live message %23s %u", id, ret_file) != 2)
                return false;
        *ret = live_message(k->l, id);
        return *ret && *ret_file < (*ret)->n_files;
}

static LivePlace place_of(const Look *k, const LiveFile *f, const char *path)
{
        const char *below = path + strlen(k->l->root) + 1;

        if (strcmp(below, f->path) == 0)
                return LIVE_STORE;
        if (strncmp(below, "hold/incidents/", 15) == 0)
                return LIVE_HOLD;
        if (strncmp(below, "spool/held/", 11) == 0)
                return LIVE_HELD;
        return strncmp(below, "hold/quarantine/", 16) == 0 ? LIVE_QUARANTINE : LIVE_GONE;
}

static void look_file(Look *k, const char *path, const struct stat *st)
{
        LiveMessage *m;
        unsigned n;
        LivePlace place;
        size_t i;

        if (!identify(k, path, &m, &n)) {
                const char *below = path + strlen(k->l->root) + 1, *name = strrchr(path, '/') + 1;

                if ((strncmp(below, "spool/", 6) == 0 || strncmp(below, "hold/", 5) == 0) &&
                    !strstr(name, "message.json") && !strstr(name, ".manifest") &&
                    strcmp(name, ".lock") != 0 && !strstr(name, "culprits") &&
                    strncmp(name, ".unjam-probe", 12) != 0 && strncmp(name, "queue.dat", 9) != 0)
                        look_wrong(k, "a file that nobody knows", path);
                return;
        }
        i = (size_t)(m - k->l->messages);
        place = place_of(k, &m->files[n], path);
        if (place == LIVE_GONE)
                look_wrong(k, "a message where none may be", path);
        if (st->st_ino != m->files[n].st.st_ino || st->st_mode != m->files[n].st.st_mode ||
            st->st_uid != m->files[n].st.st_uid || st->st_gid != m->files[n].st.st_gid ||
            st->st_size != m->files[n].st.st_size || st->st_nlink != 1 ||
            memcmp(&st->st_mtim, &m->files[n].st.st_mtim, sizeof(st->st_mtim)) != 0)
                look_wrong(k, "it is not what it was", path);
        if (k->seen[i][n]++ > 0)
                look_wrong(k, "it is there twice", path);
        if (m->delivered > 0)
                look_wrong(k, "it was delivered, and is still there", path);
        if (k->places[i] == LIVE_GONE || k->places[i] == place)
                k->places[i] = place;
        else
                k->places[i] = place == LIVE_STORE || k->places[i] == LIVE_STORE ? LIVE_SPLIT : LIVE_HALF;
}

static void look_below(Look *k, const char *path)
{
        DIR *d = opendir(path);

        assert(d);
        for (const struct dirent *e; (e = readdir(d));) {
                char below[PATH_MAX];
                struct stat st;

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) >= (int)sizeof(below))
                        continue;
                assert(lstat(below, &st) == 0);
                if (S_ISDIR(st.st_mode))
                        look_below(k, below);
                else
                        look_file(k, below, &st);
        }
        closedir(d);
}

bool live_look(Live *l, LivePlace places[LIVE_MESSAGES], char wrong[256])
{
        Look k = { .l = l, .places = places, .wrong = wrong };

        memset(places, 0, LIVE_MESSAGES * sizeof(*places));
        snprintf(wrong, 256, "%s", l->wrong);
        look_below(&k, l->root);
        for (unsigned i = 0; i < l->n_messages && !wrong[0]; i++)
                for (unsigned n = 0; n < l->messages[i].n_files; n++)
                        if (!k.seen[i][n] && !l->messages[i].delivered && !l->messages[i].deleted &&
                            !wrong[0])
                                snprintf(wrong, 256, "%s: file %u is nowhere", l->messages[i].id, n);
        return !wrong[0];
}
