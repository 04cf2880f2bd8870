/*
 * live_server - the mail server of live.h: it takes what it finds in the directories of its stores
 *
 * Its own calls are made past calls.c: what the server does to the disk is none of unjamd's doing. It says
 * (Live.wrong) when it meets half a message.
 */
#include "live/live.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_TIME (100 * USEC_PER_MSEC)
#define EACH       (50 * USEC_PER_MSEC)
#define IDLE       (5 * USEC_PER_SEC)

static void path_of(const Live *l, const char *below, char path[PATH_MAX])
{
        snprintf(path, PATH_MAX, "%s/%s", l->root, below);
}

static bool is_there(const Live *l, const char *below)
{
        char path[PATH_MAX];

        path_of(l, below, path);
        return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static void take(const Live *l, const char *below)
{
        char path[PATH_MAX];
        int fd;

        path_of(l, below, path);
        (void)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
        if (!l->config.syncs)
                return;
        *strrchr(path, '/') = '\0';
        fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)syscall(SYS_fsync, fd);
        (void)syscall(SYS_close, fd);
}

void server_start(Live *l)
{
        l->life++;
        l->starts++;
        l->starting = true;
        l->up = l->hung = l->failed = false;
        l->inflight = 0;
        l->server_at = l->now + START_TIME;
}

void server_stop(Live *l)
{
        l->life++;
        l->starting = l->up = l->hung = l->failed = false;
        l->inflight = 0;
        l->server_at = USEC_INFINITY;
}

static void server_die(Live *l)
{
        unsigned inflight = l->inflight;

        server_stop(l);
        l->inflight = inflight; /* evidence */
        l->failed = true;
        l->deaths++;
}

/* The next in an order that is neither by name nor by age. */
static LiveMessage *pick(Live *l)
{
        unsigned start =
                l->n_messages ? (unsigned)(l->now / USEC_PER_MSEC / 7 + l->life * 31) % l->n_messages : 0;

        for (unsigned k = 0; k < l->n_messages; k++) {
                LiveMessage *m = l->messages + (start + k) % l->n_messages;

                if (is_there(l, m->files[0].path))
                        return m;
        }
        return NULL;
}

static bool deliver(Live *l)
{
        LiveMessage *m = pick(l);

        if (!m) {
                l->server_at = l->now + IDLE;
                return false;
        }
        for (unsigned k = 1; k < m->n_files; k++)
                if (!is_there(l, m->files[k].path) && !l->wrong[0])
                        snprintf(l->wrong, sizeof(l->wrong), "the server found half of message %s", m->id);
        if (m->poison != LIVE_GOOD) {
                l->inflight = (unsigned)(m - l->messages) + 1;
                if (m->poison == LIVE_CRASHES) {
                        server_die(l);
                        return true;
                }
                l->hung = true;
                l->server_at = USEC_INFINITY;
                return false;
        }
        for (unsigned k = 0; k < m->n_files; k++)
                take(l, m->files[k].path);
        m->delivered++;
        l->server_at = l->now + EACH;
        return true;
}

/* In its hold a file has the name that it has in its store. */
static void move(const Live *l, const LiveFile *f, bool hold)
{
        const char *name = strrchr(f->path, '/') + 1;
        char stored[PATH_MAX], held[PATH_MAX];

        path_of(l, f->path, stored);
        snprintf(held, PATH_MAX, "%s/spool/held/%s", l->root, name);
        (void)syscall(SYS_renameat2, AT_FDCWD, hold ? stored : held, AT_FDCWD, hold ? held : stored, 0);
}

int server_command(Live *l, char *const *argv)
{
        LiveMessage *m = live_message(l, argv[1]);

        if (!m || l->config.native == LIVE_NATIVE_FAILS)
                return 1;
        for (unsigned k = 0; k < m->n_files; k++)
                if (strcmp(argv[0], "delete") == 0) {
                        char below[PATH_MAX];

                        snprintf(below, sizeof(below), "spool/held/%s", strrchr(m->files[k].path, '/') + 1);
                        take(l, below);
                } else {
                        move(l, m->files + k, strcmp(argv[0], "hold") == 0);
                }
        return 0;
}

bool server_turn(Live *l)
{
        if (!l->starting)
                return deliver(l);
        l->starting = false;
        if (l->config.always_dies || (l->config.dies_at_start && is_there(l, "spool/queue.dat"))) {
                server_die(l);
                return true;
        }
        l->up = true;
        l->server_at = l->now + EACH;
        return true;
}
