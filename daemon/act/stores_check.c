/*
 * stores_check - is the disk full, are the directories there?
 *
 * Called by act/causes, in the spool worker. Guarantees: nothing is changed, not even an access time that
 * matters; a directory that cannot be looked at is a fault to report, not an error of ours.
 *
 * Diagnostics: -ENOMEM. Test: tests/unit/test_stores_check.c.
 */
#include "act/stores_check.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SPACE_MIN  (UINT64_C(1) << 20)
#define SPACE_MUCH (UINT64_C(1) << 30)
#define INODE_MIN  16
#define INODE_MUCH 10000

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
}

bool space_is_short(const struct statvfs *fs)
{
        uint64_t free_bytes = (uint64_t)fs->f_bavail * fs->f_frsize;

        /* No blocks at all: a file system that does not count them. */
        if (fs->f_blocks == 0)
                return false;
        return free_bytes < SPACE_MIN || (fs->f_bavail < fs->f_blocks / 100 && free_bytes < SPACE_MUCH);
}

bool inodes_are_short(const struct statvfs *fs)
{
        /* btrfs and others make inodes as they need them. */
        if (fs->f_files == 0)
                return false;
        return fs->f_favail < INODE_MIN || (fs->f_favail < fs->f_files / 100 && fs->f_favail < INODE_MUCH);
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
                if (space_is_short(&fs)) {
                        snprintf(what, sizeof(what), "only %" PRIu64 " KiB of %" PRIu64 " KiB are free",
                                 (uint64_t)fs.f_bavail * fs.f_frsize / 1024,
                                 (uint64_t)fs.f_blocks * fs.f_frsize / 1024);
                        return err_trace(found(ret_detail, dirs[i], what));
                }
                if (inodes_are_short(&fs)) {
                        snprintf(what, sizeof(what), "only %" PRIu64 " of %" PRIu64 " inodes are free",
                                 (uint64_t)fs.f_favail, (uint64_t)fs.f_files);
                        return err_trace(found(ret_detail, dirs[i], what));
                }
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
