/*
 * fan_marks - fanotify on the directories of a service's stores, set up in a worker thread
 *
 * Used by inflight. There is one fanotify group for the life of a source: with a second one beside it,
 * notices of the time between would come twice. A mark that is set again is the same mark; one on a directory
 * that was exchanged away goes on, which does no harm, since that directory's handle has no path any more.
 * The kernel names a file by the file handle of its directory and its name, and by its own handle; only
 * handles work without opening anything, and so without touching the mail or keeping a file system busy.
 *
 * A lack of permission, or a file system without handles or with a zero id, is not an error: the marks say so
 * by a note.
 *
 * Tests: tests/unit/test_inflight.c.
 */
#include "observe/fan_marks.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "observe/walk.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/vfs.h>

struct FanMarksJob {
        Job job;
        FanMarksSpec spec;
        int fd; /* ours: new, or a duplicate */
        bool cancelled;
        FanMarks marks;
};

void fan_marks_deinit(FanMarks *m)
{
        closep(&m->fd);
        keymap_deinit(&m->by_key);
        for (size_t i = 0; i < m->n_paths; i++)
                free(m->paths[i]);
        free(m->paths);
        *m = (FanMarks){ .fd = -1 };
}

uint64_t fan_key(const KeySeed *seed, const void *fsid, int type, const void *handle, size_t len)
{
        uint64_t where;

        static_assert(sizeof(where) == sizeof(fsid_t), "a file system's id is two ints");
        memcpy(&where, fsid, sizeof(where));
        return key_of(seed, where ^ (uint64_t)(unsigned)type << 32, handle, len);
}

/* What refuses a mark on this file system as a whole. */
static const char *refusal(int error)
{
        if (error == EPERM || error == EACCES)
                return "not permitted to watch open files (CAP_SYS_ADMIN is missing): files in flight are "
                       "seen only "
                       "while their process lives";
        if (error == ENOSYS || error == EINVAL)
                return "this kernel cannot watch open files by name (Linux 5.9 can): files in flight are "
                       "seen only while "
                       "their process lives";
        if (error == ENODEV || error == EOPNOTSUPP || error == EXDEV)
                return "a store's file system has no file handles: files in flight are seen only while their "
                       "process "
                       "lives";
        return NULL;
}

static int path_add(FanMarks *m, uint64_t key, const char *root, const char *path)
{
        if (m->n_paths == m->allocated) {
                size_t n = m->allocated ? 2 * m->allocated : 16;
                char **bigger = reallocarray(m->paths, n, sizeof(*bigger));
                if (!bigger)
                        return err_origin(-ENOMEM);
                m->paths = bigger;
                m->allocated = n;
        }
        uint64_t *index = keymap_put(&m->by_key, key);
        if (!index || asprintf(&m->paths[m->n_paths], "%s%s%s", root, *path ? "/" : "", path) < 0)
                return err_origin(-ENOMEM);
        *index = m->n_paths++;
        return 0;
}

static int on_directory(void *userdata, const WalkPlace *place, int fd)
{
        FanMarksJob *j = userdata;
        struct {
                struct file_handle handle;
                unsigned char bytes[MAX_HANDLE_SZ];
        } h = { .handle.handle_bytes = MAX_HANDLE_SZ };
        struct statfs fs;
        int mount_id;

        if (fanotify_mark(j->fd, FAN_MARK_ADD, FAN_OPEN | FAN_CLOSE | FAN_EVENT_ON_CHILD, fd, NULL) < 0 ||
            name_to_handle_at(fd, "", &h.handle, &mount_id, AT_EMPTY_PATH) < 0 || fstatfs(fd, &fs) < 0) {
                const char *note = refusal(errno);
                if (!note)
                        return errno == ENOENT ? 1 : err_origin(-errno);
                j->marks.note = note;
                return 1;
        }
        return path_add(&j->marks,
                        fan_key(&j->spec.seed, &fs.f_fsid, h.handle.handle_type, h.handle.f_handle,
                                h.handle.handle_bytes),
                        j->spec.settings->stores[place->store].dirs[place->dir], place->path);
}

static int marks_run(Job *job)
{
        static const WalkOps ops = { .directory = on_directory };
        FanMarksJob *j = (FanMarksJob *)job; /* the job is its first member */
        Walk walk = { .settings = j->spec.settings, .ops = &ops, .userdata = j, .cancel = &job->cancel };

        if (j->fd < 0)
                /* Unlimited marks need the right to see other users' processes too, which is what matters
                 * here. */
                j->fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS |
                                              FAN_REPORT_DFID_NAME | FAN_REPORT_FID,
                                      O_RDONLY | O_CLOEXEC | O_LARGEFILE);
        if (j->fd < 0) {
                j->marks.note = refusal(errno);
                return j->marks.note ? 0 : err_origin(-errno);
        }
        int r = walk_run(&walk, &(WalkPlace){ .path = NULL });
        if (walk.truncated)
                j->marks.note = "too many directories in a store: some are not watched for open files";
        return r;
}

static void job_free(FanMarksJob *j)
{
        fan_marks_deinit(&j->marks);
        closep(&j->fd);
        settings_unref(j->spec.owner);
        free(j);
}

static void marks_done(Job *job, int r)
{
        FanMarksJob *j = (FanMarksJob *)job;

        if (j->spec.fd < 0)
                j->marks.fd = TAKE_FD(j->fd);
        if (!j->cancelled)
                j->spec.done(j->spec.userdata, r, &j->marks);
        job_free(j);
}

/* The worker goes; who waits for the marks has gone before. */
static void marks_dropped(Job *job)
{
        job_free((FanMarksJob *)job);
}

int fan_marks_start(FanMarksJob **ret, Worker *worker, const FanMarksSpec *spec)
{
        FanMarksJob *j = calloc(1, sizeof(*j));

        if (!j)
                return err_origin(-ENOMEM);
        j->spec = *spec;
        j->spec.owner = spec->owner ? settings_ref(spec->owner) : NULL;
        j->marks.fd = -1;
        j->job.run = marks_run;
        j->job.done = marks_done;
        j->job.dropped = marks_dropped;
        j->fd = spec->fd < 0 ? -1 : fcntl(spec->fd, F_DUPFD_CLOEXEC, 3);
        int r = spec->fd >= 0 && j->fd < 0 ? err_origin(-errno) : worker_submit(worker, &j->job);
        if (r < 0) {
                job_free(j);
                return err_trace(r);
        }
        *ret = j;
        return 0;
}

FanMarksJob *fan_marks_cancel(FanMarksJob *j)
{
        if (!j)
                return NULL;
        j->cancelled = true;
        atomic_store(&j->job.cancel, true);
        return NULL;
}
