/*
 * log_state - what survives unjamd of a log that is followed
 *
 * Called by log_turn, in a worker: at the first turn, and whenever something was found. One file for each log
 * of a service, state_dir/log-SERVICE-HASH.json, replaced as a whole: positions and what was found up to them
 * are one commit. A state that can't be understood is reported as damaged and never half taken.
 *
 * Test: tests/unit/test_log_state.c.
 */
#include "observe/log_state.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/json.h"

#include <fcntl.h>
#include <string.h>

#define STATE_MAX ((size_t)64 << 20)

static const char *const kind_words[] = {
        [LOG_MATCHES] = "match", [LOG_CANCELS] = "cancel", [LOG_GAP] = "gap"
};

void log_hits_deinit(LogHits *h)
{
        for (size_t i = 0; i < h->n; i++) {
                free(h->list[i].text);
                free(h->list[i].id);
                free(h->list[i].cursor);
        }
        free(h->list);
        *h = (LogHits){};
}

LogHit *log_hits_add(LogHits *h)
{
        if (h->n == h->allocated) {
                size_t n = h->allocated ? 2 * h->allocated : 16;
                LogHit *bigger = reallocarray(h->list, n, sizeof(*bigger));

                if (!bigger)
                        return NULL;
                h->list = bigger;
                h->allocated = n;
        }
        h->list[h->n] = (LogHit){};
        return &h->list[h->n++];
}

/* The service's name is fit for a file name; a path is not, and may be long. */
static int state_name(const LogStateSpec *spec, char **ret)
{
        uint8_t digest[SHA256_SIZE];
        char hex[2 * 8 + 1];

        sha256(spec->path, strlen(spec->path), digest);
        if (asprintf(ret, "log-%s-%s.json", spec->settings->name, text_hex(hex, digest, 8)) < 0) {
                *ret = NULL;
                return err_origin(-ENOMEM);
        }
        return 0;
}

static int state_open(const LogStateSpec *spec)
{
        int fd = open(spec->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? err_origin(-errno) : fd;
}

static json_t *file_to_json(LogFile *f)
{
        char head[2 * LOG_HEAD + 1], digest[2 * SHA256_SIZE + 1];
        size_t n = log_file_head_len(f);
        json_t *o;

        log_file_seal(f);
        o = json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:s, s:s, s:I, s:I, s:I}", "dev",
                      (json_int_t)f->dev, "inode", (json_int_t)f->inode, "offset", (json_int_t)f->offset,
                      "hole", (json_int_t)f->hole, "middle", f->middle, "base", f->base, "ghost",
                      f->role == LOG_FILE_GHOST, "head", text_hex(head, f->head, n), "digest",
                      text_hex(digest, f->digest, sizeof(f->digest)), "size", (json_int_t)f->size, "mtime",
                      (json_int_t)f->mtime, "ctime", (json_int_t)f->ctime);
        if (o && f->name && json_set_bytes(o, "name", f->name) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}

static json_t *hit_to_json(const LogStateSpec *spec, const LogHit *h)
{
        const char *rule = h->kind == LOG_GAP ? NULL : spec->settings->rules[h->rule].name;
        json_t *o = json_pack("{s:s, s:s?, s:I, s:o, s:s?, s:I, s:I}", "kind", kind_words[h->kind], "rule",
                              rule, "seq", (json_int_t)h->seq, "text", json_from_text(h->text), "cursor",
                              h->cursor, "pid", (json_int_t)h->pid, "wall", (json_int_t)h->wall);

        if (o && h->id && json_set_bytes(o, "id", h->id) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}

static json_t *state_to_json(const LogStateSpec *spec, LogFamily *y, uint64_t seq, const LogHits *pending)
{
        json_t *files = json_array(), *hits = json_array();

        for (size_t i = 0; i < y->n; i++)
                /* A copy is found again by what is in it. */
                if (y->files[i]->role == LOG_FILE_READ || y->files[i]->role == LOG_FILE_GHOST)
                        if (json_array_append_new(files, file_to_json(y->files[i])) < 0)
                                goto fail;
        for (size_t i = 0; i < pending->n; i++)
                if (json_array_append_new(hits, hit_to_json(spec, &pending->list[i])) < 0)
                        goto fail;
        return json_pack("{s:i, s:o, s:I, s:o, s:o}", "v", 1, "path", json_from_text(spec->path), "seq",
                         (json_int_t)seq, "files", files, "pending", hits);
fail:
        json_decref(files);
        json_decref(hits);
        return NULL;
}

int log_state_save(const LogStateSpec *spec, LogFamily *y, uint64_t seq, const LogHits *pending)
{
        _cleanup_(closep) int dirfd = -1;
        _cleanup_(freep) char *name = NULL, *text = NULL;
        json_t *state = state_to_json(spec, y, seq, pending);
        int r = state ? state_name(spec, &name) : err_origin(-ENOMEM);

        if (r == 0) {
                text = json_dumps(state, JSON_COMPACT | JSON_SORT_KEYS);
                r = text ? 0 : err_origin(-ENOMEM);
        }
        json_decref(state);
        if (r < 0)
                return err_trace(r);
        dirfd = state_open(spec);
        if (dirfd < 0)
                return err_trace(dirfd);
        return err_trace(file_replace(spec->disk, dirfd, name, text, strlen(text), 0600));
}

static int file_from_json(const json_t *o, LogFamily *y)
{
        json_int_t dev, inode, offset, hole, size, mtime, ctime;
        int middle, base, ghost, r;
        _cleanup_(freep) char *name = NULL;
        const char *head, *digest;
        LogFile *f;

        if (json_unpack((json_t *)o, "{s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:s, s:s, s:I, s:I, s:I}", "dev",
                        &dev, "inode", &inode, "offset", &offset, "hole", &hole, "middle", &middle, "base",
                        &base, "ghost", &ghost, "head", &head, "digest", &digest, "size", &size, "mtime",
                        &mtime, "ctime", &ctime) < 0 ||
            offset < 0 || hole < 0)
                return LOG_STATE_E_DAMAGED;
        if (json_object_get(o, "name") && json_get_bytes(o, "name", &name) < 0)
                return LOG_STATE_E_DAMAGED;
        r = log_file_new(&f, name ? name : y->base);
        if (r < 0)
                return err_trace(r);
        f->role = ghost ? LOG_FILE_GHOST : LOG_FILE_READ;
        f->dev = (dev_t)dev;
        f->inode = (ino_t)inode;
        f->offset = (uint64_t)offset;
        f->hole = (uint64_t)hole;
        f->middle = middle;
        f->base = base;
        f->size = (uint64_t)size;
        f->mtime = mtime;
        f->ctime = ctime;
        if (text_unhex(head, f->head, log_file_head_len(f)) < 0 ||
            text_unhex(digest, f->digest, sizeof(f->digest)) < 0) {
                log_file_free(f);
                return LOG_STATE_E_DAMAGED;
        }
        return err_trace(log_family_add(y, f));
}

/* The rule of that name now; SIZE_MAX if there is none any more. */
static size_t rule_find(const LogStateSpec *spec, const char *name)
{
        for (size_t i = 0; name && i < spec->settings->n_rules; i++)
                if (streq_null(spec->settings->rules[i].name, name))
                        return i;
        return SIZE_MAX;
}

static int hit_from_json(const LogStateSpec *spec, const json_t *o, LogHits *pending)
{
        const char *cursor = json_string_value(json_object_get(o, "cursor")), *kind, *text;
        json_int_t seq, pid, wall;
        size_t k = 0, index;
        LogHit *h;

        if (json_unpack((json_t *)o, "{s:s, s:I, s:s, s:I, s:I}", "kind", &kind, "seq", &seq, "text", &text,
                        "pid", &pid, "wall", &wall) < 0)
                return LOG_STATE_E_DAMAGED;
        while (k < ELEMENTSOF(kind_words) && strcmp(kind_words[k], kind) != 0)
                k++;
        if (k == ELEMENTSOF(kind_words))
                return LOG_STATE_E_DAMAGED;
        index = k == LOG_GAP ? 0 : rule_find(spec, json_string_value(json_object_get(o, "rule")));
        if (index == SIZE_MAX)
                return 0; /* the configuration has changed: nobody waits for it */
        h = log_hits_add(pending);
        if (!h)
                return err_origin(-ENOMEM);
        *h = (LogHit){ .kind = (LogKind)k,
                       .rule = index,
                       .seq = (uint64_t)seq,
                       .text = strdup(text),
                       .cursor = strdup_null(cursor),
                       .pid = (pid_t)pid,
                       .wall = (usec_t)wall };
        if (!h->text || (cursor && !h->cursor))
                return err_origin(-ENOMEM);
        if (json_object_get(o, "id") && json_get_bytes(o, "id", &h->id) < 0)
                return LOG_STATE_E_DAMAGED;
        return 0;
}

static int state_from_json(const LogStateSpec *spec, const json_t *state, LogFamily *y, LogHits *pending)
{
        const json_t *files = json_object_get(state, "files"), *hits = json_object_get(state, "pending"), *o;
        size_t i;
        int r = 0;

        if (json_integer_value(json_object_get(state, "v")) != 1 || !json_is_array(files) ||
            !json_is_array(hits) || !json_is_integer(json_object_get(state, "seq")))
                return LOG_STATE_E_DAMAGED;
        json_array_foreach((json_t *)files, i, o) if (r == 0) r = file_from_json(o, y);
        json_array_foreach((json_t *)hits, i, o) if (r == 0) r = hit_from_json(spec, o, pending);
        return r;
}

int log_state_load(const LogStateSpec *spec, LogFamily *y, uint64_t *ret_seq, LogHits *pending)
{
        _cleanup_(closep) int dirfd = -1;
        _cleanup_(freep) char *name = NULL, *text = NULL;
        json_t *state;
        size_t len;
        int r = state_name(spec, &name);

        if (r < 0)
                return err_trace(r);
        dirfd = open(spec->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = dirfd < 0 ? -errno : file_read(dirfd, name, STATE_MAX, &text, &len);
        if (r == -ENOENT)
                return LOG_STATE_E_NONE;
        if (r < 0)
                return r == -ENOMEM ? err_trace(r) : LOG_STATE_E_DAMAGED;
        state = json_parse(text, len);
        if (!state && errno == ENOMEM)
                return err_origin(-ENOMEM);
        r = state ? state_from_json(spec, state, y, pending) : LOG_STATE_E_DAMAGED;
        if (r == 0)
                *ret_seq = (uint64_t)json_integer_value(json_object_get(state, "seq"));
        json_decref(state);
        if (r != 0) {
                while (y->n > 0)
                        log_family_remove(y, y->n - 1);
                log_hits_deinit(pending);
        }
        y->begun = r == 0;
        return r;
}
