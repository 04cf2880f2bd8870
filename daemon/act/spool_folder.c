/*
 * spool_folder - a message's folder in quarantine, made, filled in and sealed
 *
 * QID.tmp is made first, named by the time and a mark of the message; with a durable message.json it counts,
 * renamed to QID it is sealed. A folder that a crash left empty is taken again. Used by spool_quarantine.c
 * and spool_native.c.
 * Test: tests/unit/test_spool_quarantine.c.
 */
#include "act/spool_private.h"

#include "base/clock.h"
#include "model/json.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

/* So many messages with one QID in one second: a digest of 32 bits does not do that by chance. */
#define QID_TRIES 1000

/* --- the record --- */

static json_t *origin_to_json(const SpoolStore *store)
{
        json_t *list = json_array();

        for (size_t i = 0; list && i < store->n_dirs; i++) {
                json_t *dir = json_object();

                if (!dir || json_set_bytes(dir, "path", store->dirs[i].path) < 0 ||
                    json_array_append(list, dir) < 0) {
                        json_decref(dir);
                        json_decref(list);
                        return NULL;
                }
                json_decref(dir);
        }
        return list;
}

int folder_describe(const Spool *s, const SpoolStore *store, json_t *j)
{
        char time[USEC_RFC3339_MAX];

        if (json_set(j, "v", json_integer(1)) < 0 ||
            json_set(j, "service", json_string(s->service->name)) < 0 ||
            json_set(j, "quarantined_at", json_string(usec_rfc3339(time, now_read().wall))) < 0 ||
            json_set(j, "origin", origin_to_json(store)) < 0)
                return err_origin(-ENOMEM);
        return 0;
}

int folder_write(const Spool *s, int fd, const json_t *j)
{
        _cleanup_(freep) char *text = json_text(j, JSON_SORT_KEYS | JSON_INDENT(2));

        if (!text)
                return err_origin(-ENOMEM);
        return err_trace(file_replace(s->disk, fd, "message.json", text, strlen(text), 0600));
}

/* --- the folder --- */

/*
 * A folder for the same message that has no record, and thus no file either: a crash came before it. Return:
 * its descriptor, with *@ret_id the caller's, or -ENOENT.
 */
static int folder_reuse(int shelf, const char *mark, char **ret_id)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;

        (void)dir_stream(dir_open_beneath(shelf, ""), &dir);
        while (dir && (e = readdir(dir))) {
                _cleanup_(closep) int fd = -1;
                const char *dot = strrchr(e->d_name, '.');

                if (!dot || !strstr(e->d_name, mark) || strcmp(dot, ".tmp") != 0)
                        continue;
                fd = dir_open_beneath(shelf, e->d_name);
                if (fd < 0 || faccessat(fd, "message.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
                    faccessat(fd, "files", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        continue;
                *ret_id = strndup(e->d_name, (size_t)(dot - e->d_name));
                return *ret_id ? TAKE_FD(fd) : err_origin(-ENOMEM);
        }
        return -ENOENT;
}

/* The first part of a QID that is free. *@ret_id is the caller's. Return: the descriptor of the
 * new QID.tmp. */
static int folder_number(Disk *disk, int shelf, const char *prefix, char **ret_id)
{
        for (unsigned i = 0; i < QID_TRIES; i++) {
                _cleanup_(freep) char *id = NULL, *name = NULL;
                int r;

                if ((i > 0 ? asprintf(&id, "%s-%u", prefix, i + 1) : asprintf(&id, "%s", prefix)) < 0 ||
                    asprintf(&name, "%s.tmp", id) < 0)
                        return err_origin(-ENOMEM);
                if (faccessat(shelf, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        continue;
                r = disk_mkdir(disk, shelf, name, 0700);
                if (r == -EEXIST)
                        continue;
                if (r == 0)
                        r = disk_sync(disk, shelf);
                if (r < 0)
                        return err_trace(r);
                *ret_id = TAKE_PTR(id);
                return dir_open_beneath(shelf, name);
        }
        return err_origin(-EEXIST);
}

int folder_make(const Spool *s, const SpoolStore *store, int shelf, const char *incident, const char *id,
                char **ret_id)
{
        char mark[SHELF_MARK_SIZE], time[USEC_RFC3339_MAX], prefix[32];
        int fd;

        if (!shelf_mark(incident, store, id, mark))
                return err_origin(-ENOMEM);
        fd = folder_reuse(shelf, mark, ret_id);
        if (fd != -ENOENT)
                return fd;
        /* 2026-11-22T14:00:00.123456Z -> 20261122T140000Z */
        usec_rfc3339(time, now_read().wall);
        (void)snprintf(prefix, sizeof(prefix), "%.4s%.2s%.2sT%.2s%.2s%.2sZ%s", time, time + 5, time + 8,
                       time + 11, time + 14, time + 17, mark);
        return folder_number(s->disk, shelf, prefix, ret_id);
}

int folder_seal(const Spool *s, int shelf, const char *id)
{
        _cleanup_(freep) char *name = NULL;
        int r;

        if (asprintf(&name, "%s.tmp", id) < 0)
                return err_origin(-ENOMEM);
        r = disk_rename(s->disk, shelf, name, shelf, id, RENAME_NOREPLACE);
        if (r == 0)
                r = disk_sync(s->disk, shelf);
        return err_trace(r);
}
