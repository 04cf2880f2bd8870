/*
 * probe_heartbeat - has the service given a sign of life lately?
 *
 * Started by the scheduler (probe.c). A file is looked at in a worker, since it may lie on a disk that does
 * not answer; a socket has heard or has not. Either way done() comes from the loop, as of any attempt. A look
 * that is still waiting for its disk when the attempt is freed lives on until the worker gives it back.
 *
 * Test: tests/unit/test_probe_heartbeat.c.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "observe/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Look Look;

typedef struct HeartbeatAttempt {
        Attempt attempt;
        AttemptSpec spec;
        Look *look;             /* file */
        sd_event_source *defer; /* socket */
} HeartbeatAttempt;

struct Look {
        Job job;
        HeartbeatAttempt *owner; /* NULL: nobody waits for it any more */
        char *path;
        struct timespec mtime;
};

static void judge(HeartbeatAttempt *a)
{
        char detail[128];
        bool ok = heartbeat_judge(a->spec.heartbeat, now_read().mono, detail, sizeof(detail));

        a->spec.done(a->spec.userdata, ok, detail);
}

static int look_run(Job *job)
{
        Look *look = (Look *)job;
        struct stat st;

        if (stat(look->path, &st) < 0)
                return -errno;
        look->mtime = st.st_mtim;
        return 0;
}

static void look_free(Job *job)
{
        Look *look = (Look *)job;

        free(look->path);
        free(look);
}

static void look_done(Job *job, int r)
{
        Look *look = (Look *)job;
        HeartbeatAttempt *a = look->owner;
        struct timespec mtime = look->mtime;
        const Now now = now_read();
        char detail[128];

        look_free(job);
        if (!a)
                return;
        a->look = NULL;
        if (r < 0) {
                snprintf(detail, sizeof(detail), "the file cannot be looked at: %s", strerror(-r));
                a->spec.done(a->spec.userdata, false, detail);
                return;
        }
        heartbeat_file(a->spec.heartbeat, &mtime, &now);
        judge(a);
}

static int on_defer(sd_event_source *defer, void *userdata)
{
        (void)defer;
        judge(userdata);
        return 0;
}

static const char *heartbeat_waits_for(const Attempt *a)
{
        (void)a;
        return "the disk with the file";
}

static void heartbeat_attempt_free(Attempt *attempt)
{
        HeartbeatAttempt *a = (HeartbeatAttempt *)attempt;

        if (a->look)
                a->look->owner = NULL;
        sd_event_source_disable_unref(a->defer);
        free(a);
}

static const AttemptOps heartbeat_ops = { .waits_for = heartbeat_waits_for, .free = heartbeat_attempt_free };

static int look_start(HeartbeatAttempt *a)
{
        Look *look = calloc(1, sizeof(*look));
        int r;

        if (!look)
                return err_origin(-ENOMEM);
        look->job = (Job){ .run = look_run, .done = look_done, .dropped = look_free };
        look->owner = a;
        look->path = strdup(a->spec.probe->path);
        r = look->path ? worker_submit(a->spec.worker, &look->job) : -ENOMEM;
        if (r < 0) {
                look_free(&look->job);
                return err_trace(r);
        }
        a->look = look;
        return 0;
}

int probe_heartbeat_start(Attempt **ret, const AttemptSpec *spec)
{
        HeartbeatAttempt *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return err_origin(-ENOMEM);
        a->attempt.ops = &heartbeat_ops;
        a->spec = *spec;
        r = heartbeat_listens(spec->heartbeat) ? sd_event_add_defer(spec->event, &a->defer, on_defer, a)
                                               : look_start(a);
        if (r < 0) {
                heartbeat_attempt_free(&a->attempt);
                return err_trace(r);
        }
        *ret = &a->attempt;
        return 0;
}
