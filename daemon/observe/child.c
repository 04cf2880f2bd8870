/*
 * child - the main process of an embedded service, by pidfd
 *
 * Made by main, one for each embedded service; read by the engine. Nothing is polled: an inotify mark tells
 * when the file that names the process is replaced, the pidfd tells when the process has ended.
 *
 *     no file, or of an earlier boot   stopped: it never ran since the host booted
 *     file, the process lives          running; stopping, once a stop was announced
 *     file, no such process            failed; stopped, if a stop was announced
 *
 * If the process is a child of ours, its exit status is collected, and the zombie with it. After a restart of
 * unjamd it is somebody else's child: then it is known to have ended, but not how. A file that can't be read
 * or makes no sense is reported as RUN_UNKNOWN; the next replacement of it, or a refresh, looks again.
 */
#include "observe/child.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/text.h"
#include "model/json.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <systemd/sd-id128.h>

#define FILE_MAX ((size_t)64 * 1024)

typedef struct ChildSource {
        Source source;
        SourceContext context;
        char *directory, *name; /* of the file */
        int procfd, pidfd;
        ProcId id; /* pid 0: none */
        char *invocation;
        sd_event_source *death, *change;
        bool stopping;        /* a stop was announced for this process */
        bool ours;            /* what happens to it is our doing */
        ServiceStatus status; /* as last reported */
} ChildSource;

static void status_report(ChildSource *c)
{
        Observation o = { .kind = OBSERVATION_SERVICE, .service = c->status };

        source_emit(&c->context, &o);
}

/* Enters @run and reports; how the last process ended stays known. */
static void run_enter(ChildSource *c, RunState run)
{
        if (c->status.run != run)
                c->status.since = now_read().mono;
        c->status.run = run;
        c->status.main_pid = c->pidfd >= 0 ? c->id.pid : 0;
        c->status.invocation = c->invocation;
        status_report(c);
}

/* How the process behind the pidfd ended, if it is ours to know. */
static void exit_collect(ChildSource *c)
{
        siginfo_t si = { 0 };

        c->status.exited = false;
        c->status.exit_code = c->status.signal = 0;
        c->status.core = false;
        c->status.result = NULL;
        if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
                return;
        c->status.exited = true;
        if (si.si_code == CLD_EXITED) {
                c->status.exit_code = si.si_status;
                c->status.result = si.si_status == 0 ? "success" : "exit-code";
                return;
        }
        c->status.signal = si.si_status;
        c->status.core = si.si_code == CLD_DUMPED;
        c->status.result = c->status.core ? "core-dump" : "signal";
}

static void child_forget(ChildSource *c)
{
        c->death = sd_event_source_disable_unref(c->death);
        closep(&c->pidfd);
        c->pidfd = -1;
}

static int on_death(sd_event_source *death, int fd, uint32_t revents, void *userdata)
{
        ChildSource *c = userdata;

        (void)death;
        (void)fd;
        (void)revents;
        exit_collect(c);
        child_forget(c);
        run_enter(c, c->stopping || c->ours ? RUN_STOPPED : RUN_FAILED);
        return 0;
}

typedef struct ChildRecord {
        ProcId id;
        char *invocation;
        bool stopping;
} ChildRecord;

static void record_deinit(ChildRecord *record)
{
        free(record->invocation);
}

/* Follows another process from now on. */
static int child_follow(ChildSource *c, ChildRecord *record)
{
        child_forget(c);
        free(c->invocation);
        c->id = record->id;
        c->invocation = TAKE_PTR(record->invocation);
        c->stopping = record->stopping;
        c->ours = false; /* that was about the one before: if this one ends, it has failed */
        c->status = (ServiceStatus){ .run = c->status.run, .since = c->status.since };
        c->pidfd = proc_open(c->procfd, &c->id);
        if (c->pidfd == -ESRCH) {
                c->pidfd = -1;
                run_enter(c, c->stopping ? RUN_STOPPED : RUN_FAILED);
                return 0;
        }
        int r = c->pidfd;
        if (r < 0)
                c->pidfd = -1;
        else
                r = sd_event_add_io(c->context.event, &c->death, c->pidfd, EPOLLIN, on_death, c);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(c->death, "child-death");
        run_enter(c, c->stopping ? RUN_STOPPING : RUN_RUNNING);
        return 0;
}

/* Return: 0, -ENOENT if it is of another boot, -EBADMSG if it makes no sense, or -ENOMEM. */
static int record_parse(const json_t *j, ChildRecord *ret)
{
        const char *boot = json_string_value(json_object_get(j, "boot"));
        const char *invocation = json_string_value(json_object_get(j, "invocation"));
        json_int_t pid = json_integer_value(json_object_get(j, "pid"));
        json_int_t start = json_integer_value(json_object_get(j, "start"));
        sd_id128_t now, then;

        if (boot && (sd_id128_from_string(boot, &then) < 0 || sd_id128_get_boot(&now) < 0))
                return err_origin(-EBADMSG);
        if (boot && !sd_id128_equal(now, then))
                return -ENOENT;
        if (pid <= 1 || pid > INT32_MAX || start <= 0)
                return err_origin(-EBADMSG);
        *ret = (ChildRecord){
                .id = { .pid = (pid_t)pid, .start = (uint64_t)start },
                .invocation = strdup_null(invocation),
                .stopping = json_is_true(json_object_get(j, "stopping")),
        };
        return invocation && !ret->invocation ? err_origin(-ENOMEM) : 0;
}

/* Return: as record_parse(), and -ENOENT if there is no file, or another errno of reading it. */
static int record_load(const ChildSource *c, ChildRecord *ret)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int dirfd = open(c->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        size_t len;

        if (dirfd < 0)
                return -errno;
        int r = file_read(dirfd, c->name, FILE_MAX, &text, &len);
        if (r < 0)
                return r;
        json_t *j = json_parse(text, len);
        if (!j && errno == ENOMEM)
                return err_origin(-ENOMEM);
        r = record_parse(j, ret);
        json_decref(j);
        return r;
}

/* What the source knows of its process, which is also the one that the file names: has a stop
 * been announced? */
static void child_same(ChildSource *c, bool stopping)
{
        c->stopping |= stopping;
        if (c->pidfd >= 0 && c->stopping)
                run_enter(c, RUN_STOPPING);
        else
                status_report(c);
}

/* Looks at the file and reports what is so now. */
static int child_look(ChildSource *c)
{
        _cleanup_(record_deinit) ChildRecord record = { 0 };
        int r = record_load(c, &record);

        if (r == -ENOENT && c->id.pid == 0) {
                run_enter(c, RUN_STOPPED);
                return 0;
        }
        /* A process that is, or was, followed is believed more than a file that is gone. */
        if (r == -ENOENT)
                record.id = c->id;
        if (r >= 0 || r == -ENOENT) {
                bool same = record.id.pid == c->id.pid && record.id.start == c->id.start;
                if (same)
                        child_same(c, record.stopping);
                r = same ? 0 : child_follow(c, &record);
        }
        if (r < 0 && c->pidfd < 0)
                run_enter(c, RUN_UNKNOWN);
        return r < 0 ? err_trace(r) : 0;
}

static int on_change(sd_event_source *change, const struct inotify_event *e, void *userdata)
{
        ChildSource *c = userdata;

        (void)change;
        if ((e->mask & IN_Q_OVERFLOW) || (e->len > 0 && strcmp(e->name, c->name) == 0))
                (void)child_look(c);
        if (e->mask & IN_IGNORED)
                c->change = sd_event_source_disable_unref(c->change);
        return 0;
}

/* The directory may come later than this source does; then each refresh tries again. */
static void change_watch(ChildSource *c)
{
        if (c->change)
                return;
        if (sd_event_add_inotify(c->context.event, &c->change, c->directory,
                                 IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR, on_change, c) < 0)
                c->change = NULL;
        else
                (void)sd_event_source_set_description(c->change, "child-file");
}

static int child_refresh(Source *source)
{
        ChildSource *c = (ChildSource *)source;

        change_watch(c);
        (void)child_look(c);
        return 0;
}

static void child_expect(Source *source, bool ours, const char *invocation)
{
        (void)invocation; /* nobody else starts an embedded service */
        ((ChildSource *)source)->ours = ours;
}

static Source *child_free(Source *source)
{
        ChildSource *c = (ChildSource *)source;

        child_forget(c);
        sd_event_source_disable_unref(c->change);
        closep(&c->procfd);
        free(c->invocation);
        free(c->directory);
        free(c->name);
        free(c);
        return NULL;
}

static const SourceOps child_ops = {
        .start = child_refresh,
        .refresh = child_refresh,
        .expect = child_expect,
        .free = child_free,
};

int child_source_new(Source **ret, const SourceContext *context, const char *run_dir)
{
        ChildSource *c = calloc(1, sizeof(*c));
        _cleanup_(source_freep) Source *source = (Source *)c;

        if (!c)
                return err_origin(-ENOMEM);
        c->source = (Source){ .ops = &child_ops, .name = "child" };
        c->context = *context;
        c->pidfd = -1;
        c->procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c->procfd < 0)
                return err_origin(-errno);
        if (asprintf(&c->directory, "%s/embedded", run_dir) < 0) {
                c->directory = NULL;
                return err_origin(-ENOMEM);
        }
        if (asprintf(&c->name, "%s.json", context->settings->name) < 0) {
                c->name = NULL;
                return err_origin(-ENOMEM);
        }
        *ret = TAKE_PTR(source);
        return 0;
}
