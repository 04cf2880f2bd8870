/*
 * spool_shelf - what lies in HOLD/quarantine, read
 *
 * Each message has a folder there, named by its quarantine id:
 *
 *      QID.tmp/  message.json is durable, files are coming; left over by a crash, the next spool_quarantine()
 *                of the same message completes it
 *      QID/      sealed: message.json and files/ are whole
 *      QID.del/  an operator deletes it; left over by a crash, the next spool_delete() goes on
 *
 * files/N/PATH is what was N-th directory/PATH in the store; which directories those were stands in
 * message.json ("origin"), for the configuration may have changed since. A folder that lacks a readable
 * message.json is nobody's: it is left alone and never listed. Used by inventory, quarantine, release and
 * delete. Test: tests/unit/test_spool_shelf.c.
 */
#include "act/spool_private.h"

#include "model/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message that is a directory of many thousand files still fits. */
#define RECORD_MAX (64 * 1024 * 1024)

void shelved_deinit(Shelved *q)
{
        closep(&q->shelf);
        closep(&q->fd);
        free(q->id);
        json_decref(q->json);
        message_deinit(&q->message);
        strv_free(q->dirs);
        *q = (Shelved){ .shelf = -1, .fd = -1 };
}

int shelf_open(const Spool *s, const SpoolStore *store, bool make)
{
        _cleanup_(closep) int hold = -1;

        hold = spool_hold_open(s, store, make);
        if (hold < 0)
                return hold;
        return spool_subdir_open(s->disk, hold, "quarantine", make);
}

static bool has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n > m && strcmp(s + n - m, suffix) == 0;
}

static int dirs_load(const json_t *json, Shelved *q)
{
        const json_t *origin = json_object_get(json, "origin");

        if (!json_is_array(origin))
                return err_origin(-EINVAL);
        for (size_t i = 0; i < json_array_size(origin); i++) {
                _cleanup_(freep) char *path = NULL;
                int r;

                r = json_get_bytes(json_array_get(origin, i), "path", &path);
                if (r == 0)
                        r = strv_append(&q->dirs, path);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int record_load(Spool *s, Shelved *q)
{
        _cleanup_(freep) char *text = NULL;
        const char *service;
        size_t len;
        int r;

        r = file_read(q->fd, "message.json", RECORD_MAX, &text, &len);
        if (r < 0)
                return r == -ENOENT ? SHELF_E_NONE : err_trace(r);
        q->json = json_parse(text, len);
        if (!q->json && errno == ENOMEM)
                return err_origin(-ENOMEM);
        service = json_string_value(json_object_get(q->json, "service"));
        if (!service || strcmp(service, s->service->name) != 0)
                return SHELF_E_NONE;
        r = message_from_json(q->json, &q->message);
        if (r == 0)
                r = dirs_load(q->json, q);
        if (r < 0)
                return r == -EINVAL ? SHELF_E_NONE : err_trace(r);
        q->store = SIZE_MAX;
        for (size_t i = 0; i < s->n_stores; i++)
                if (strcmp(s->stores[i].settings->name, q->message.store) == 0)
                        q->store = i;
        return 0;
}

int shelf_load(Spool *s, int shelf, const char *name, Shelved *ret)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        int r;

        if (!spool_name_ok(name))
                return SHELF_E_NONE;
        q.fd = dir_open_beneath(shelf, name);
        if (q.fd < 0) /* gone, or a file: nothing of ours */
                return q.fd == -ENOENT || q.fd == -ENOTDIR || q.fd == -ELOOP ? SHELF_E_NONE : err_trace(q.fd);
        q.shelf = dir_open_beneath(shelf, "");
        if (q.shelf < 0)
                return err_trace(q.shelf);
        q.sealed = !has_suffix(name, ".tmp") && !has_suffix(name, ".del");
        q.open = !q.sealed;
        q.id = q.sealed ? strdup(name) : strndup(name, strlen(name) - 4);
        if (!q.id)
                return err_origin(-ENOMEM);
        r = record_load(s, &q);
        if (r != 0)
                return err_trace(r);
        *ret = q;
        q = (Shelved){ .shelf = -1, .fd = -1 };
        return 0;
}

char *shelf_mark(const char *incident, const SpoolStore *store, const char *id, char buf[SHELF_MARK_SIZE])
{
        _cleanup_(freep) char *seed = NULL;
        uint8_t digest[SHA256_SIZE];

        if (asprintf(&seed, "%s/%s/%s", incident, store->settings->name, id) < 0)
                return NULL;
        sha256(seed, strlen(seed), digest);
        buf[0] = '-';
        text_hex(buf + 1, digest, (SHELF_MARK_SIZE - 2) / 2);
        return buf;
}

int shelf_walk(Spool *s, const SpoolStore *store, const char *mark, ShelfVisitor visit, void *userdata)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;
        int r = dir_stream(shelf_open(s, store, false), &dir);

        if (r < 0)
                return r == -ENOENT ? 0 : err_trace(r);
        while (errno = 0, (e = readdir(dir)) != NULL) {
                _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };

                /* What is being deleted counts as gone. */
                if (e->d_name[0] == '.' || has_suffix(e->d_name, ".del") ||
                    (mark && !strstr(e->d_name, mark)))
                        continue;
                r = shelf_load(s, dirfd(dir), e->d_name, &q);
                if (r == SHELF_E_NONE)
                        continue;
                if (r == 0)
                        r = visit(userdata, &q);
                if (r != 0)
                        return r;
        }
        return errno > 0 ? err_origin(-errno) : 0;
}

int shelf_split(const Shelved *q, size_t i, size_t *ret_dir, const char **ret_path)
{
        const char *path = q->message.files[i].path;
        size_t best = 0;

        *ret_path = NULL;
        for (size_t d = 0; d < strv_length(q->dirs); d++) {
                size_t len = strlen(q->dirs[d]);

                if (len < best || strncmp(path, q->dirs[d], len) != 0 || path[len] != '/' || !path[len + 1])
                        continue;
                best = len;
                *ret_dir = d;
                *ret_path = path + len + 1;
        }
        return *ret_path ? 0 : err_origin(-EINVAL);
}

bool shelf_is_inside(const Shelved *q, size_t i)
{
        const char *path = q->message.files[i].path;

        for (size_t k = 0; k < q->message.n_files; k++) {
                size_t len;

                if (q->message.files[k].type != FILE_DIRECTORY)
                        continue;
                len = strlen(q->message.files[k].path);
                if (strncmp(path, q->message.files[k].path, len) == 0 && path[len] == '/')
                        return true;
        }
        return false;
}

/* --- taking a folder away --- */

static int tree_remove(Disk *disk, int dirfd, const char *name, bool files, unsigned depth);

/* Everything in @fd, which is consumed; only directories unless @files. */
static int tree_empty(Disk *disk, int fd, bool files, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;
        int r = dir_stream(fd, &dir);

        if (r < 0)
                return err_trace(r);
        while (errno = 0, (e = readdir(dir)) != NULL) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                r = tree_remove(disk, dirfd(dir), e->d_name, files, depth + 1);
                if (r < 0)
                        return err_trace(r);
        }
        return errno > 0 ? err_origin(-errno) : 0;
}

/* Removes @name and all below it. Without @files a file is left and makes its directories -ENOTEMPTY. */
static int tree_remove(Disk *disk, int dirfd, const char *name, bool files, unsigned depth)
{
        int fd, r;

        if (depth > 2 * SPOOL_DEPTH_MAX)
                return err_origin(-ELOOP);
        fd = dir_open_beneath(dirfd, name);
        if (fd == -ENOTDIR || fd == -ELOOP) {
                r = files ? disk_remove(disk, dirfd, name, 0) : 0;
                return r == -ENOENT ? 0 : err_trace(r);
        }
        if (fd < 0)
                return fd == -ENOENT ? 0 : err_trace(fd);
        r = tree_empty(disk, fd, files, depth);
        if (r == 0)
                r = disk_remove(disk, dirfd, name, AT_REMOVEDIR);
        return r == -ENOENT ? 0 : err_trace(r);
}

int shelf_clear(Disk *disk, const Shelved *q, bool files)
{
        int r;

        r = tree_remove(disk, q->fd, "files", files, 0);
        return r < 0 ? err_trace(r) : err_trace(disk_sync(disk, q->fd));
}

int shelf_drop(Disk *disk, int dirfd, const Shelved *q, const char *name)
{
        int r;

        r = disk_remove(disk, q->fd, "message.json", 0);
        if (r == 0)
                r = disk_remove(disk, dirfd, name, AT_REMOVEDIR);
        return r < 0 ? err_trace(r) : err_trace(disk_sync(disk, dirfd));
}
