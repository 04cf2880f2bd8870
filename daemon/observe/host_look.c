/*
 * host_look - what of this host explains a fault
 *
 * Called by the source of conditions, in a worker. Everything is only looked at:
 *
 *     disk_full        a file system of a store, of hold, of state_dir or of the audit trail is short of
 *                      space or inodes
 *     maintenance      somebody holds a lock of dpkg, apt or rpm (asked of the kernel, which also says who);
 *                      or `systemctl edit` has its temporary file beside a drop-in of one of the units
 *     memory_pressure  for a quarter of the last ten seconds every process that could run waited for memory
 *
 * Test: tests/unit/test_host_look.c.
 */
#include "observe/host_look.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/room.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PRESSURE_MAX 25.0 /* percent of ten seconds in which nothing could run for want of memory */
/* An editor that crashed leaves its temporary file behind: one that is so old is nobody's any more. */
#define EDIT_MAX (2 * USEC_PER_HOUR)

int condition_add(ConditionList *l, Reason reason, const char *id, const char *text)
{
        Condition *bigger = reallocarray(l->list, l->n + 1, sizeof(*bigger));
        Condition c = { .reason = reason };

        if (!bigger)
                return err_origin(-ENOMEM);
        l->list = bigger;
        c.id = strdup(id);
        c.text = text_to_utf8(text, strlen(text), 0);
        if (!c.id || !c.text) {
                free((char *)c.id);
                free((char *)c.text);
                return err_origin(-ENOMEM);
        }
        l->list[l->n++] = c;
        return 0;
}

void condition_list_clear(ConditionList *l)
{
        for (size_t i = 0; i < l->n; i++) {
                free((char *)l->list[i].id);
                free((char *)l->list[i].text);
        }
        free(l->list);
        *l = (ConditionList){};
}

void host_look_deinit(HostLook *h)
{
        strv_free(h->dirs);
        strv_free(h->locks);
        strv_free(h->units);
        free(h->unit_dir);
        free(h->pressure);
        *h = (HostLook){};
}

/* One file system is said once, however many directories are on it. */
static int look_at_room(const HostLook *h, ConditionList *ret)
{
        char id[64], what[128], text[512];
        struct statvfs fs;
        int r = 0;

        for (size_t i = 0; r == 0 && h->dirs && h->dirs[i]; i++) {
                bool known = false;

                if (statvfs(h->dirs[i], &fs) < 0 || !room_is_short(&fs, what, sizeof(what)))
                        continue;
                snprintf(id, sizeof(id), "disk %lx", fs.f_fsid);
                for (size_t k = 0; k < ret->n; k++)
                        known = known || strcmp(ret->list[k].id, id) == 0;
                snprintf(text, sizeof(text), "%s: %s", h->dirs[i], what);
                if (!known)
                        r = condition_add(ret, REASON_DISK_FULL, id, text);
        }
        return r;
}

static int look_at_locks(const HostLook *h, ConditionList *ret)
{
        int r = 0;

        for (size_t i = 0; r == 0 && h->locks && h->locks[i]; i++) {
                _cleanup_(closep) int fd = open(h->locks[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
                struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
                char id[256], text[512];

                if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
                        continue;
                snprintf(id, sizeof(id), "lock %s %d", h->locks[i], (int)lock.l_pid);
                snprintf(text, sizeof(text), "a package manager (process %d) is at work: it holds %s",
                         (int)lock.l_pid, h->locks[i]);
                r = condition_add(ret, REASON_MAINTENANCE, id, text);
        }
        return r;
}

/* @dir/.#NAME is the file that an editor has open; the part behind the name differs with each edit. */
static int look_for_edits(const char *dir, const char *begins, usec_t wall, ConditionList *ret)
{
        DIR *d = opendir(dir);
        const struct dirent *e;
        int r = 0;

        while (d && r == 0 && (e = readdir(d))) {
                char id[512], text[640];
                struct stat st;
                usec_t since;

                if (strncmp(e->d_name, begins, strlen(begins)) != 0 ||
                    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                        continue;
                since = (usec_t)st.st_mtim.tv_sec * USEC_PER_SEC;
                if (usec_add(since, EDIT_MAX) < wall)
                        continue;
                snprintf(id, sizeof(id), "edit %.200s %" PRIu64, e->d_name, (uint64_t)st.st_ino);
                snprintf(text, sizeof(text), "somebody edits the unit: %.200s/%.200s", dir, e->d_name);
                r = condition_add(ret, REASON_MAINTENANCE, id, text);
        }
        if (d)
                closedir(d);
        return r;
}

static int look_at_edits(const HostLook *h, usec_t wall, ConditionList *ret)
{
        int r = 0;

        for (size_t i = 0; r == 0 && h->unit_dir && h->units && h->units[i]; i++) {
                _cleanup_(freep) char *dir = NULL, *whole = NULL;

                if (asprintf(&dir, "%s/%s.d", h->unit_dir, h->units[i]) < 0 ||
                    asprintf(&whole, ".#%s", h->units[i]) < 0)
                        return err_origin(-ENOMEM);
                r = look_for_edits(dir, ".#", wall, ret);
                if (r == 0)
                        r = look_for_edits(h->unit_dir, whole, wall, ret);
        }
        return r;
}

static int look_at_memory(const HostLook *h, ConditionList *ret)
{
        _cleanup_(freep) char *text = NULL;
        const char *full, *average;
        char what[128];
        double percent;

        if (!h->pressure || file_read_virtual(AT_FDCWD, h->pressure, 4096, &text, NULL) < 0)
                return 0;
        full = strstr(text, "full ");
        average = full ? strstr(full, "avg10=") : NULL;
        percent = average ? strtod(average + strlen("avg10="), NULL) : 0;
        if (percent < PRESSURE_MAX)
                return 0;
        snprintf(what, sizeof(what), "for %.0f%% of the last 10 s everything on this host waited for memory",
                 percent);
        return condition_add(ret, REASON_MEMORY_PRESSURE, "memory", what);
}

int host_look(const HostLook *h, usec_t wall, ConditionList *ret)
{
        int r = look_at_room(h, ret);

        if (r == 0)
                r = look_at_locks(h, ret);
        if (r == 0)
                r = look_at_edits(h, wall, ret);
        return r == 0 ? look_at_memory(h, ret) : r;
}
