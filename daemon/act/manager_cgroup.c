/*
 * manager_cgroup - a control group of its own for an embedded service
 *
 * Used by manager_embedded, from a worker. The group is never unjamd's own, so cgroup.kill on it cannot reach
 * unjamd. Diagnostics: a host without writable groups is no error; the service is then held together by
 * session, process group and descent. Tests: tests/unit/test_manager_cgroup.c.
 */
#include "act/manager_cgroup.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void own_cgroup_remove(const char *path)
{
        _cleanup_(freep) char *parent = strdup(path);
        char *slash = parent ? strrchr(parent, '/') : NULL;

        if (!slash)
                return;
        *slash = '\0';
        _cleanup_(closep) int dir = cgroup_open(parent);
        if (dir >= 0)
                (void)unlinkat(dir, slash + 1, AT_REMOVEDIR);
}

/* Makes the group @name below @parent. Return: true with *@ret set, or false: not here. */
static bool group_make(const char *parent, const char *name, char **ret)
{
        _cleanup_(closep) int dir = cgroup_open(parent);
        _cleanup_(closep) int procs = -1;
        _cleanup_(freep) char *path = NULL, *file = NULL;

        if (dir < 0 || mkdirat(dir, name, 0755) < 0)
                return false;
        /* In a delegated subtree it may be possible to make a group, yet not to move anybody into it. */
        if (asprintf(&file, "%s/cgroup.procs", name) < 0)
                file = NULL;
        procs = file ? openat(dir, file, O_WRONLY | O_CLOEXEC) : -1;
        if (procs < 0 || asprintf(&path, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name) < 0) {
                path = NULL;
                (void)unlinkat(dir, name, AT_REMOVEDIR);
                return false;
        }
        *ret = TAKE_PTR(path);
        return true;
}

int own_cgroup_make(const char *old, const char *name, char **ret)
{
        _cleanup_(closep) int oldfd = -1, procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(freep) char *own = NULL, *parent = NULL;

        *ret = NULL;
        oldfd = old ? cgroup_open(old) : -1;
        if (oldfd >= 0 && cgroup_populated(oldfd) > 0) {
                *ret = strdup(old);
                return *ret ? 0 : err_origin(-ENOMEM);
        }
        if (oldfd >= 0)
                own_cgroup_remove(old);

        /* A path with ".." is outside of what our namespace shows. */
        if (procfd < 0 || cgroup_of(procfd, getpid(), &own) < 0 || strstr(own, "/.."))
                return 0;
        parent = strdup(own);
        if (!parent)
                return err_origin(-ENOMEM);
        char *slash = strrchr(parent, '/');
        slash[slash == parent] = '\0'; /* "/a/b" -> "/a", "/a" -> "/" */
        if (!group_make(parent, name, ret) && strcmp(parent, own) != 0)
                (void)group_make(own, name, ret);
        return 0;
}
