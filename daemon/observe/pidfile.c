/*
 * pidfile - which process does a pidfile name?
 *
 * Used by status. A number in a file is no proof: the process is opened by pidfd together with its start
 * time, and from then on it is that process and no later one with the same number. A file that can't be read,
 * or holds no number, names nobody.
 */
#include "observe/pidfile.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#define PIDFILE_MAX ((size_t)4096)

struct PidfileLook {
        Job job;
        char *path;
        PidfileResult result;
        PidfileDone done; /* NULL once cancelled */
        void *userdata;
};

/* A zombie is still to be found in /proc. */
static bool has_ended(int pidfd)
{
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

static int look_run(Job *job)
{
        PidfileLook *l = (PidfileLook *)job; /* the job is its first member */
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int procfd = -1;
        size_t len;
        int r = file_read(AT_FDCWD, l->path, PIDFILE_MAX, &text, &len);

        l->result.exists = r != -ENOENT && r != -ENOTDIR;
        if (r < 0)
                return 0;
        long pid = strtol(text, NULL, 10);
        procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (pid <= 1 || pid > INT32_MAX || procfd < 0 || proc_identify(procfd, (pid_t)pid, &l->result.id) < 0)
                return 0;
        l->result.pidfd = proc_open(procfd, &l->result.id);
        if (l->result.pidfd < 0 || has_ended(l->result.pidfd)) {
                closep(&l->result.pidfd);
                l->result.pidfd = -1;
                l->result.id.pid = 0;
        }
        return 0;
}

/* Also when the worker goes; who waits for the look has gone before. */
static void look_free(Job *job)
{
        PidfileLook *l = (PidfileLook *)job;

        closep(&l->result.pidfd);
        free(l->path);
        free(l);
}

static void look_done(Job *job, int r)
{
        PidfileLook *l = (PidfileLook *)job;

        (void)r;
        if (l->done)
                l->done(l->userdata, &l->result);
        look_free(job);
}

int pidfile_look(PidfileLook **ret, Worker *worker, const char *path, PidfileDone done, void *userdata)
{
        PidfileLook *l = calloc(1, sizeof(*l));
        char *copy = strdup(path);

        if (!l || !copy) {
                free(l);
                free(copy);
                return err_origin(-ENOMEM);
        }
        *l = (PidfileLook){ .path = copy, .result.pidfd = -1, .done = done, .userdata = userdata };
        l->job.run = look_run;
        l->job.done = look_done;
        l->job.dropped = look_free;
        int r = worker_submit(worker, &l->job);
        if (r < 0) {
                free(copy);
                free(l);
                return err_trace(r);
        }
        *ret = l;
        return 0;
}

PidfileLook *pidfile_look_cancel(PidfileLook *l)
{
        if (l)
                l->done = NULL;
        return NULL;
}
