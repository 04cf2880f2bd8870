/*
 * spool_purge - rebuildable files out of the service's way
 *
 * A server's caches and indices (queue.dat of the articles) go to HOLD/incidents/INCIDENT/rebuildable,
 * under their own path, and stay there: nothing is deleted. Read-only is no obstacle for a rename; the
 * immutable and append-only flags are, and are cleared first. A directory goes as a whole. A file that is
 * missing is fine. What was purged before in the same incident gets a number. A file on another mount than
 * hold cannot go there: it is renamed where it is, to NAME.unjam-INCIDENT. Each is durable before the next
 * is begun, so a repeated call finds the first ones missing, which is fine, too. Locks that outlived their
 * holder go the same way, and so does what is of another kind than it must be, before it is made anew
 * (state_files.c). report->data: "purged" [{path, to, cleared}], "recreated" [{path}]. Test:
 * tests/unit/test_spool_purge.c.
 */
#include "act/spool_private.h"

#include "act/state_files.h"
#include "base/text.h"
#include "model/json.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Purges of one file in one incident; each costs a start of the service. */
#define PURGES_MAX 10000

typedef struct Purge {
        Spool *spool;
        const SpoolStore *store;
        const char *incident;
        char *const *only; /* of the rebuildable files; NULL: all of them */
        int folder;        /* HOLD/incidents/INCIDENT/rebuildable */
        SpoolReport *report;
} Purge;

/* Clears what forbids a rename. Return: >0 if there was anything, 0, or a negated errno. */
static int flags_clear(int dirfd, const char *name)
{
        _cleanup_(closep) int fd = -1;
        int flags = 0;

        fd = file_open_beneath(dirfd, name, O_RDONLY | O_NOFOLLOW);
        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return 0; /* no such flags here: the rename will tell */
        if (!(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
                return 0;
        flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
        return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? err_origin(-errno) : 1;
}

/* The directory of an absolute path, below @folder, made as far as it is missing. */
static int counterpart_open(const Purge *p, const char *path, size_t len)
{
        _cleanup_(freep) char *below = strndup(path + 1, len > 0 ? len - 1 : 0);
        _cleanup_(closep) int fd = -1;
        char *rest = below;

        if (!below)
                return err_origin(-ENOMEM);
        fd = dir_open_beneath(p->folder, "");
        while (fd >= 0 && rest && *rest) {
                int next = spool_subdir_open(p->spool->disk, fd, strsep(&rest, "/"), true);

                close(fd);
                fd = next;
        }
        return fd < 0 ? err_trace(fd) : TAKE_FD(fd);
}

/* Renames with the first number that is free. *@ret is the new name. */
static int rename_numbered(Disk *disk, int from, const char *name, int to, const char *base, char **ret)
{
        for (unsigned n = 0; n < PURGES_MAX; n++) {
                _cleanup_(freep) char *new = NULL;
                int r;

                if (asprintf(&new, n > 0 ? "%s.%u" : "%s", base, n) < 0)
                        return err_origin(-ENOMEM);
                r = disk_rename(disk, from, name, to, new, RENAME_NOREPLACE);
                if (r == -EEXIST)
                        continue;
                if (r == 0)
                        *ret = TAKE_PTR(new);
                return r;
        }
        return err_origin(-EEXIST);
}

static int purge_aside(const Purge *p, int from, const char *name, char **ret)
{
        _cleanup_(freep) char *base = NULL;

        if (asprintf(&base, "%s.unjam-%s", name, p->incident) < 0)
                return err_origin(-ENOMEM);
        return rename_numbered(p->spool->disk, from, name, from, base, ret);
}

/* "purged" [{path, to, cleared}] */
static void purge_record(const Purge *p, const char *path, size_t len, const char *new, bool here,
                         bool cleared)
{
        _cleanup_(freep) char *to = NULL;
        json_t *list, *entry;

        if (!p->report || !p->report->data)
                return;
        list = json_object_get(p->report->data, "purged");
        if (!list && json_set(p->report->data, "purged", list = json_array()) < 0)
                return;
        if (here ? asprintf(&to, "%.*s/%s", (int)len, path, new) < 0
                 : asprintf(&to, "%s/incidents/%s/rebuildable%.*s/%s", p->store->settings->hold, p->incident,
                            (int)len, path, new) < 0)
                return;
        entry = json_object();
        if (!entry)
                return;
        (void)json_set_bytes(entry, "path", path);
        (void)json_set_bytes(entry, "to", to);
        (void)json_set(entry, "cleared", json_boolean(cleared));
        (void)json_array_append_new(list, entry);
}

static int purge_file(const Purge *p, const char *path)
{
        _cleanup_(closep) int from = -1, to = -1;
        _cleanup_(freep) char *parent = NULL, *new = NULL;
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : "";
        size_t len = slash ? (size_t)(slash - path) : 0;
        struct stat st;
        bool here = false;
        int cleared, r;

        if (path[0] != '/' || !spool_name_ok(name))
                return err_origin(-EINVAL);
        parent = len > 0 ? strndup(path, len) : strdup("/");
        if (!parent)
                return err_origin(-ENOMEM);
        from = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (from < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        /* Other kinds have no such flags, and opening a device may do something. */
        cleared = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? flags_clear(from, name) : 0;
        if (cleared < 0)
                return err_trace(cleared);
        to = counterpart_open(p, path, len);
        if (to < 0)
                return err_trace(to);
        r = rename_numbered(p->spool->disk, from, name, to, name, &new);
        if (r == -EXDEV) {
                here = true;
                r = purge_aside(p, from, name, &new);
        }
        if (r == -ENOENT)
                return 0;
        if (r == 0)
                r = disk_sync(p->spool->disk, to);
        if (r == 0)
                r = disk_sync(p->spool->disk, from);
        if (r < 0)
                return err_trace(r);
        purge_record(p, path, len, new, here, cleared > 0);
        spool_count(p->report, "files_purged", 1);
        return 0;
}

static int purge_one(const Purge *p, const char *path)
{
        int r = purge_file(p, path);

        return r < 0 ? spool_fail(p->report, err_trace(r), "cannot purge", path, NULL) : 0;
}

static bool is_meant(const Purge *p, const char *path)
{
        return !p->only || strv_contains(p->only, path);
}

static int purge_files(const Purge *p)
{
        const StoreSettings *settings = p->store->settings;
        int r = 0;

        for (char **f = settings->rebuildable; r == 0 && f && *f; f++)
                if (is_meant(p, *f))
                        r = purge_one(p, *f);
        for (size_t i = 0; r == 0 && i < settings->n_rebuild; i++)
                if (is_meant(p, settings->rebuild[i].path))
                        r = purge_one(p, settings->rebuild[i].path);
        return r;
}

/* Looked at again, now that the service is dead. A lock that cannot be told is left. */
static int purge_locks(const Purge *p)
{
        _cleanup_(closep) int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const StoreSettings *settings = p->store->settings;
        int r = procfd < 0 ? -errno : 0;

        for (size_t i = 0; r == 0 && i < settings->n_locks; i++) {
                _cleanup_(strv_freep) char **paths = NULL;

                r = lock_paths(&settings->locks[i], &paths);
                for (char **path = paths; r == 0 && path && *path; path++) {
                        _cleanup_(freep) char *why = NULL;

                        if (lock_stale(procfd, *path, &settings->locks[i], &why) == STATE_E_FOUND)
                                r = purge_one(p, *path);
                }
        }
        return r;
}

/* What is of the wrong kind goes into the folder like the rest. */
static int recreate(const Purge *p)
{
        const StoreSettings *settings = p->store->settings;

        for (size_t i = 0; i < settings->n_recreate; i++) {
                const RecreateSettings *wanted = &settings->recreate[i];
                _cleanup_(freep) char *why = NULL;
                int r = state_wrong(wanted, &why);

                if (r == 0)
                        continue;
                if (r == STATE_E_FOUND)
                        r = purge_file(p, wanted->path);
                if (r == 0)
                        r = state_make(p->spool->disk, wanted);
                if (r < 0)
                        return spool_fail(p->report, err_trace(r), "cannot make", wanted->path, NULL);
                spool_note(p->report, "recreated", wanted->path, NULL, 0);
        }
        return 0;
}

static int purge_store(Spool *s, size_t store, const char *incident, char *const *only, SpoolReport *report)
{
        _cleanup_(closep) int hold = -1, incidents = -1, folder = -1, rebuildable = -1;
        Purge p = {
                .spool = s, .store = s->stores + store, .incident = incident, .only = only, .report = report
        };
        int r;

        if (strv_length(p.store->settings->rebuildable) == 0 && p.store->settings->n_rebuild == 0 &&
            p.store->settings->n_recreate == 0 && p.store->settings->n_locks == 0)
                return 0;
        hold = spool_hold_open(s, p.store, true);
        if (hold >= 0)
                incidents = spool_subdir_open(s->disk, hold, "incidents", true);
        if (incidents >= 0)
                folder = spool_subdir_open(s->disk, incidents, incident, true);
        if (folder >= 0)
                rebuildable = spool_subdir_open(s->disk, folder, "rebuildable", true);
        if (rebuildable < 0) {
                r = hold < 0 ? hold : incidents < 0 ? incidents : folder < 0 ? folder : rebuildable;

                return spool_fail(report, err_trace(r), "cannot make a folder in", p.store->settings->hold,
                                  NULL);
        }
        p.folder = rebuildable;
        r = purge_files(&p);
        if (r == 0)
                r = purge_locks(&p);
        if (r == 0)
                r = recreate(&p);
        return err_trace(r);
}

int spool_purge(Spool *s, const char *incident, size_t store, char *const *only, SpoolReport *report)
{
        if (!spool_name_ok(incident) || (store != STORE_ALL && store >= s->n_stores))
                return err_origin(-EINVAL);
        for (size_t i = 0; i < s->n_stores; i++) {
                int r;

                if (store != STORE_ALL && store != i)
                        continue;
                r = purge_store(s, i, incident, only, report);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}
