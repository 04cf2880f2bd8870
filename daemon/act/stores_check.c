/*
 * stores_check - is the disk full, are the directories there?
 *
 * Called by act/causes, in the spool worker. Guarantees: nothing is changed, not even an access time that
 * matters; a directory that cannot be looked at is a fault to report, not an error of ours.
 *
 * Diagnostics: -ENOMEM. Test: tests/unit/test_stores_check.c.
 */
#include "act/stores_check.h"

#include "act/state_files.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/room.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int recreate_add(StoresCheck *c, const RecreateSettings *r)
{
        RecreateSettings *more = reallocarray(c->recreate, c->n_recreate + 1, sizeof(*more));

        if (!more)
                return err_origin(-ENOMEM);
        c->recreate = more;
        more[c->n_recreate] = (RecreateSettings){ .path = strdup(r->path), .kind = r->kind };
        return more[c->n_recreate++].path ? 0 : err_origin(-ENOMEM);
}

static int lock_add(StoresCheck *c, const LockSettings *lock)
{
        LockSettings *more = reallocarray(c->locks, c->n_locks + 1, sizeof(*more));

        if (!more)
                return err_origin(-ENOMEM);
        c->locks = more;
        more[c->n_locks] = (LockSettings){ .path = strdup(lock->path), .pid = strdup_null(lock->pid) };
        c->n_locks++;
        return more[c->n_locks - 1].path && (!lock->pid || more[c->n_locks - 1].pid) ? 0
                                                                                     : err_origin(-ENOMEM);
}

int stores_check_init(StoresCheck *c, const ServiceSettings *service)
{
        StoresCheck made = { 0 };
        int r = 0;

        for (size_t i = 0; r == 0 && i < service->n_stores; i++) {
                const StoreSettings *s = service->stores + i;

                for (size_t k = 0; r == 0 && s->dirs && s->dirs[k]; k++)
                        r = strv_append(&made.dirs, s->dirs[k]);
                if (r == 0 && s->hold)
                        r = strv_append(&made.holds, s->hold);
                for (size_t k = 0; r == 0 && k < s->n_recreate; k++)
                        r = recreate_add(&made, &s->recreate[k]);
                for (size_t k = 0; r == 0 && k < s->n_locks; k++)
                        r = lock_add(&made, &s->locks[k]);
        }
        if (r < 0) {
                stores_check_deinit(&made);
                return err_trace(r);
        }
        *c = made;
        return 0;
}

void stores_check_deinit(StoresCheck *c)
{
        c->dirs = strv_free(c->dirs);
        c->holds = strv_free(c->holds);
        for (size_t i = 0; c->recreate && i < c->n_recreate; i++)
                free(c->recreate[i].path);
        free(c->recreate);
        for (size_t i = 0; c->locks && i < c->n_locks; i++) {
                free(c->locks[i].path);
                free(c->locks[i].pid);
        }
        free(c->locks);
        c->recreate = NULL;
        c->locks = NULL;
        c->n_recreate = c->n_locks = 0;
}

/* @what is a format for the path, which may be any bytes. */
static int found(char **ret_detail, const char *path, const char *what)
{
        _cleanup_(freep) char *shown = text_percent_encode(path, strlen(path));

        if (!shown || asprintf(ret_detail, "%s: %s", shown, what) < 0)
                return err_origin(-ENOMEM);
        return STORES_E_FOUND;
}

static int check_full(char *const *dirs, char **ret_detail)
{
        for (size_t i = 0; dirs && dirs[i]; i++) {
                struct statvfs fs;
                char what[128];

                /* What is not there is the other check's business. */
                if (statvfs(dirs[i], &fs) < 0)
                        continue;
                if (room_is_short(&fs, what, sizeof(what)))
                        return err_trace(found(ret_detail, dirs[i], what));
        }
        return 0;
}

int stores_check_full(const StoresCheck *c, char **ret_detail)
{
        int r;

        r = check_full(c->dirs, ret_detail);
        return r != 0 ? err_trace(r) : err_trace(check_full(c->holds, ret_detail));
}

int stores_check_permissions(const StoresCheck *c, char **ret_detail)
{
        for (size_t i = 0; c->dirs && c->dirs[i]; i++) {
                _cleanup_(closep) int fd = open(c->dirs[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                struct statvfs fs;

                if (fd < 0)
                        return err_trace(found(ret_detail, c->dirs[i], strerror(errno)));
                if (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_RDONLY))
                        return err_trace(found(ret_detail, c->dirs[i], "its file system is read-only"));
        }
        return 0;
}

int stores_check_state(const StoresCheck *c, char **ret_detail)
{
        for (size_t i = 0; i < c->n_recreate; i++) {
                int r = state_wrong(&c->recreate[i], ret_detail);

                if (r != 0)
                        return r < 0 ? err_trace(r) : STORES_E_FOUND;
        }
        return 0;
}

int stores_check_locks(const StoresCheck *c, char **ret_detail)
{
        _cleanup_(closep) int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; i < c->n_locks; i++) {
                _cleanup_(strv_freep) char **paths = NULL;
                int r = procfd < 0 ? -errno : lock_paths(&c->locks[i], &paths);

                for (char **path = paths; r == 0 && path && *path; path++)
                        r = lock_stale(procfd, *path, &c->locks[i], ret_detail);
                if (r != 0)
                        return r < 0 ? err_trace(r) : STORES_E_FOUND;
        }
        return 0;
}
