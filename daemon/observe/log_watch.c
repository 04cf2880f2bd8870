/*
 * log_watch - one inotify instance for all logs
 *
 * Made by logfile. A kernel gives each user 128 instances, so every log has not one of its own. Watches are
 * set through /proc/self/fd on files that are open: the name may mean another file by then.
 *
 * Where no watch can be set, whoever asked polls. Test: tests/unit/test_log_watch.c.
 */
#include "observe/log_watch.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/inotify.h>

typedef struct Watched {
        int wd;
        unsigned n;
} Watched;

struct LogWatch {
        unsigned n_ref;
        int fd;
        Watched *list; /* the worker's */
        size_t n, allocated;
};

int log_watch_new(LogWatch **ret)
{
        LogWatch *w = calloc(1, sizeof(*w));

        if (!w)
                return err_origin(-ENOMEM);
        w->n_ref = 1;
        w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        *ret = w;
        return 0;
}

LogWatch *log_watch_ref(LogWatch *w)
{
        w->n_ref++;
        return w;
}

LogWatch *log_watch_unref(LogWatch *w)
{
        if (!w || --w->n_ref > 0)
                return NULL;
        closep(&w->fd);
        free(w->list);
        free(w);
        return NULL;
}

int log_watch_fd(const LogWatch *w)
{
        return w->fd;
}

static Watched *watched_find(LogWatch *w, int wd)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->list[i].wd == wd)
                        return &w->list[i];
        return NULL;
}

static bool list_reserve(LogWatch *w)
{
        size_t n = w->allocated ? 2 * w->allocated : 16;
        Watched *bigger;

        if (w->n < w->allocated)
                return true;
        bigger = reallocarray(w->list, n, sizeof(*bigger));
        if (!bigger)
                return false;
        w->list = bigger;
        w->allocated = n;
        return true;
}

int log_watch_add(LogWatch *w, int fd, uint32_t mask)
{
        char path[32];
        Watched *known;
        int wd;

        if (w->fd < 0 || !list_reserve(w))
                return -1;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        wd = inotify_add_watch(w->fd, path, mask);
        if (wd < 0)
                return -1;
        known = watched_find(w, wd);
        if (known)
                known->n++;
        else
                w->list[w->n++] = (Watched){ .wd = wd, .n = 1 };
        return wd;
}

void log_watch_drop(LogWatch *w, int wd)
{
        Watched *known = watched_find(w, wd);

        if (!known || --known->n > 0)
                return;
        *known = w->list[--w->n];
        (void)inotify_rm_watch(w->fd, wd); /* gone by itself with its file */
}
