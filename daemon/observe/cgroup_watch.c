/*
 * cgroup_watch - when has the last process of a control group ended?
 *
 * Used by unit for units that stay active without a process: systemd does not mind when what they left behind
 * dies. The kernel notifies of changes of cgroup.events; on cgroup v1 there is no such file, and who uses it
 * looks now and then. A group that is gone is an empty one.
 */
#include "observe/cgroup_watch.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"

#include <fcntl.h>
#include <sys/inotify.h>

struct CgroupWatch {
        int fd;
        sd_event_source *change;
        bool populated; /* it was, at the last look */
        void (*emptied)(void *userdata);
        void *userdata;
};

void cgroup_watch_look(CgroupWatch *w)
{
        int r = cgroup_populated(w->fd);

        if (r > 0) {
                w->populated = true;
                return;
        }
        if (!w->populated)
                return;
        w->populated = false;
        w->change = sd_event_source_disable_unref(w->change);
        w->emptied(w->userdata);
}

static int on_change(sd_event_source *change, const struct inotify_event *e, void *userdata)
{
        (void)change;
        (void)e;
        cgroup_watch_look(userdata);
        return 0;
}

int cgroup_watch_new(CgroupWatch **ret, sd_event *event, const char *cgroup, void (*emptied)(void *userdata),
                     void *userdata)
{
        CgroupWatch *w = calloc(1, sizeof(*w));
        _cleanup_(closep) int events = -1;

        if (!w)
                return err_origin(-ENOMEM);
        w->emptied = emptied;
        w->userdata = userdata;
        w->fd = cgroup_open(cgroup);
        if (w->fd < 0) {
                int r = w->fd;
                cgroup_watch_free(w);
                return err_trace(r);
        }
        events = openat(w->fd, "cgroup.events", O_PATH | O_CLOEXEC);
        if (events >= 0 && sd_event_add_inotify_fd(event, &w->change, events, IN_MODIFY, on_change, w) < 0)
                w->change = NULL;
        /* After the mark: whoever ends from now on is noticed. */
        w->populated = cgroup_populated(w->fd) > 0;
        *ret = w;
        return 0;
}

bool cgroup_watch_is_blind(const CgroupWatch *w)
{
        return w->populated && !w->change;
}

CgroupWatch *cgroup_watch_free(CgroupWatch *w)
{
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->change);
        closep(&w->fd);
        free(w);
        return NULL;
}
