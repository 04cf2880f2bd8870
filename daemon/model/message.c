/*
 * message - the message record, to JSON and back
 *
 * The record of CONTRACT.md: the engine puts it into the audit trail and the snapshot, the spool into
 * message.json of a quarantined message, unjamctl reads it. message_from_json(message_to_json(m)) restores
 * every field exactly; keys it does not know are skipped, a record that lacks one or has one out of range is
 * refused whole with -EINVAL, and what was built until then is freed. Test: tests/unit/test_message.c.
 */
#include "model/message.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void message_clear_where(Message *m)
{
        for (size_t i = 0; m->where && i < m->n_where; i++)
                free(m->where[i].path);
        free(m->where);
        m->where = NULL;
        m->n_where = 0;
        m->native = false;
}

int message_add_where(Message *m, const char *path, uint64_t inode)
{
        MessageWhere *where = reallocarray(m->where, m->n_where + 1, sizeof(*where));

        if (!where)
                return err_origin(-ENOMEM);
        m->where = where;
        where[m->n_where] = (MessageWhere){ .path = strdup(path), .inode = inode };
        if (!where[m->n_where].path)
                return err_origin(-ENOMEM);
        m->n_where++;
        return 0;
}

void message_deinit(Message *m)
{
        message_clear_where(m);
        for (size_t i = 0; m->files && i < m->n_files; i++)
                free(m->files[i].path);
        free(m->files);
        free(m->id);
        free(m->store);
        free(m->canary);
        strv_free(m->evidence);
        *m = (Message){};
}

static json_t *file_to_json(const MessageFile *f)
{
        char digest[2 * sizeof(f->sha256) + 1], mtime[TIMESPEC_RFC3339_MAX], mode[8];
        json_t *j = json_object();

        if (!j)
                return NULL;
        snprintf(mode, sizeof(mode), "%04o", (unsigned)f->mode & 07777u);
        /*
         * JSON integers are signed here. Some filesystems give inode numbers above 2^63: those wrap, and are
         * wrapped back by file_from_json().
         */
        if (json_set_bytes(j, "path", f->path) < 0 ||
            json_set(j, "type", json_string(file_type_to_string(f->type))) < 0 ||
            json_set(j, "size", json_integer((json_int_t)f->size)) < 0 ||
            json_set(j, "mode", json_string(mode)) < 0 || json_set(j, "uid", json_integer(f->uid)) < 0 ||
            json_set(j, "gid", json_integer(f->gid)) < 0 ||
            json_set(j, "mtime", json_string(timespec_rfc3339(mtime, &f->mtime))) < 0 ||
            json_set(j, "inode", json_integer((json_int_t)f->inode)) < 0 ||
            json_set(j, "sha256",
                     f->has_sha256 ? json_string(text_hex(digest, f->sha256, sizeof(f->sha256)))
                                   : json_null()) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static json_t *files_to_json(const Message *m)
{
        json_t *files = json_array();

        for (size_t i = 0; files && i < m->n_files; i++)
                if (json_array_append_new(files, file_to_json(m->files + i)) < 0) {
                        json_decref(files);
                        return NULL;
                }
        return files;
}

static json_t *evidence_list(char *const *evidence)
{
        json_t *list = json_array();

        for (; list && evidence && *evidence; evidence++)
                if (json_array_append_new(list, json_from_text(*evidence)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

static json_t *where_to_json(const Message *m)
{
        json_t *list = json_array();

        for (size_t i = 0; list && i < m->n_where; i++) {
                json_t *j = json_object();

                if (!j || json_set_bytes(j, "path", m->where[i].path) < 0 ||
                    json_set(j, "inode", json_integer((json_int_t)m->where[i].inode)) < 0 ||
                    json_array_append(list, j) < 0) {
                        json_decref(j);
                        json_decref(list);
                        return NULL;
                }
                json_decref(j);
        }
        return list;
}

json_t *message_to_json(const Message *m)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (json_set_bytes(j, "id", m->id) < 0 || json_set(j, "store", json_from_text(m->store)) < 0 ||
            json_set(j, "files", files_to_json(m)) < 0 ||
            /* JSON has no infinity. */
            json_set(j, "weight", json_real(isfinite(m->weight) ? m->weight : 0)) < 0 ||
            json_set(j, "evidence", evidence_list(m->evidence)) < 0 ||
            json_set(j, "maybe_repeated", json_boolean(m->maybe_repeated)) < 0 ||
            (m->native &&
             (json_set(j, "native", json_true()) < 0 || json_set(j, "where", where_to_json(m)) < 0))) {
                json_decref(j);
                return NULL;
        }
        return j;
}

/* Return: 0, or -EINVAL if it is missing, no integer or out of 0..@max. */
static int get_id(const json_t *j, const char *key, json_int_t max, uint32_t *ret)
{
        const json_t *v = json_object_get(j, key);

        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
                return err_origin(-EINVAL);
        *ret = (uint32_t)json_integer_value(v);
        return 0;
}

static int get_mode(const json_t *j, mode_t *ret)
{
        const char *s = json_string_value(json_object_get(j, "mode"));
        size_t len = s ? strlen(s) : 0;

        if (len == 0 || len > 5 || strspn(s, "01234567") != len || strtoul(s, NULL, 8) > 07777)
                return err_origin(-EINVAL);
        *ret = (mode_t)strtoul(s, NULL, 8);
        return 0;
}

static int get_sha256(const json_t *j, MessageFile *f)
{
        const json_t *v = json_object_get(j, "sha256");

        f->has_sha256 = false;
        if (json_is_null(v))
                return 0;
        if (!json_is_string(v) || text_unhex(json_string_value(v), f->sha256, sizeof(f->sha256)) < 0)
                return err_origin(-EINVAL);
        f->has_sha256 = true;
        return 0;
}

static int file_from_json(const json_t *j, MessageFile *f)
{
        const json_t *size = json_object_get(j, "size"), *inode = json_object_get(j, "inode");
        const char *mtime = json_string_value(json_object_get(j, "mtime"));
        uint32_t uid, gid;
        int r;

        f->type = file_type_from_string(json_string_value(json_object_get(j, "type")));
        if ((int)f->type < 0 || !json_is_integer(size) || !json_is_integer(inode) || !mtime)
                return err_origin(-EINVAL);
        f->size = (uint64_t)json_integer_value(size);
        f->inode = (uint64_t)json_integer_value(inode);
        if (get_id(j, "uid", UINT32_MAX, &uid) < 0 || get_id(j, "gid", UINT32_MAX, &gid) < 0)
                return err_origin(-EINVAL);
        f->uid = uid;
        f->gid = gid;
        r = get_mode(j, &f->mode);
        if (r < 0)
                return err_trace(r);
        r = rfc3339_parse(mtime, &f->mtime);
        if (r < 0)
                return err_trace(r);
        r = get_sha256(j, f);
        if (r < 0)
                return err_trace(r);
        return err_trace(json_get_bytes(j, "path", &f->path));
}

static int files_from_json(const json_t *files, Message *m)
{
        size_t n = json_array_size(files);

        if (!json_is_array(files))
                return err_origin(-EINVAL);
        m->files = calloc(n > 0 ? n : 1, sizeof(m->files[0]));
        if (!m->files)
                return err_origin(-ENOMEM);
        for (; m->n_files < n; m->n_files++) {
                int r = file_from_json(json_array_get(files, m->n_files), m->files + m->n_files);

                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int evidence_from_json(const json_t *list, Message *m)
{
        if (!json_is_array(list))
                return err_origin(-EINVAL);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *s = json_string_value(json_array_get(list, i));

                if (!s)
                        return err_origin(-EINVAL);
                if (strv_append(&m->evidence, s) < 0)
                        return err_origin(-ENOMEM);
        }
        return 0;
}

/* Both are there, or none is. */
static int where_from_json(const json_t *j, Message *m)
{
        const json_t *list = json_object_get(j, "where");

        m->native = json_is_true(json_object_get(j, "native"));
        if (!m->native)
                return list ? err_origin(-EINVAL) : 0;
        if (!json_is_array(list))
                return err_origin(-EINVAL);
        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *at = json_array_get(list, i), *inode = json_object_get(at, "inode");
                _cleanup_(freep) char *path = NULL;
                int r = json_get_bytes(at, "path", &path);

                if (r == 0 && !json_is_integer(inode))
                        r = err_origin(-EINVAL);
                if (r == 0)
                        r = message_add_where(m, path, (uint64_t)json_integer_value(inode));
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static int message_fill(const json_t *j, Message *m)
{
        const json_t *weight = json_object_get(j, "weight"), *repeated = json_object_get(j, "maybe_repeated");
        const char *store = json_string_value(json_object_get(j, "store"));
        int r;

        if (!store || !json_is_number(weight) || !json_is_boolean(repeated))
                return err_origin(-EINVAL);
        m->weight = json_number_value(weight);
        m->maybe_repeated = json_is_true(repeated);
        m->store = strdup(store);
        if (!m->store)
                return err_origin(-ENOMEM);
        r = json_get_bytes(j, "id", &m->id);
        if (r < 0)
                return err_trace(r);
        r = files_from_json(json_object_get(j, "files"), m);
        if (r < 0)
                return err_trace(r);
        r = where_from_json(j, m);
        if (r < 0)
                return err_trace(r);
        return err_trace(evidence_from_json(json_object_get(j, "evidence"), m));
}

int message_from_json(const json_t *j, Message *ret)
{
        Message m = {};
        int r;

        r = message_fill(j, &m);
        if (r < 0) {
                message_deinit(&m);
                return err_trace(r);
        }
        *ret = m;
        return 0;
}
