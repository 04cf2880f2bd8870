/*
 * spool_message - the full record of one message, with digests
 *
 * For suspects and culprits. Files are looked at through descriptors that were opened beneath the store's
 * directory, without following links and without waiting for a FIFO's other end; only regular files are read,
 * and a file that changed while it was read has no digest. A file that cannot be read has none either: that
 * is a fact of the record, no error. A message that is a directory is recorded with everything in it. Fails
 * if the message is nowhere (-ENOENT). Test: tests/unit/test_spool_message.c.
 */
#include "act/spool_private.h"

#include "model/canary.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool same_time(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The digest of the file that @st describes, if it holds still. */
static void file_digest(int root, const char *path, const struct stat *st, MessageFile *f)
{
        _cleanup_(closep) int fd = -1;
        struct stat now;

        fd = file_open_beneath(root, path, O_RDONLY | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &now) < 0 || now.st_ino != st->st_ino || now.st_dev != st->st_dev)
                return;
        if (file_sha256(fd, f->sha256) < 0 || fstat(fd, &now) < 0)
                return;
        f->has_sha256 = now.st_size == st->st_size && same_time(&now.st_mtim, &st->st_mtim) &&
                        same_time(&now.st_ctim, &st->st_ctim);
}

/* A canary's queue file has its header near the beginning, whatever the server's format is. */
static int canary_look(int root, const char *path, Message *m)
{
        _cleanup_(closep) int fd = file_open_beneath(root, path, O_RDONLY | O_NOFOLLOW);
        _cleanup_(freep) char *bytes = NULL;
        char token[CANARY_TOKEN_SIZE];
        ssize_t n;

        if (fd < 0 || m->canary)
                return 0;
        bytes = malloc(CANARY_LOOK_SIZE);
        if (!bytes)
                return err_origin(-ENOMEM);
        n = pread(fd, bytes, CANARY_LOOK_SIZE, 0);
        if (n <= 0 || !canary_find(bytes, (size_t)n, token))
                return 0;
        m->canary = strdup(token);
        return m->canary ? 0 : err_origin(-ENOMEM);
}

static int files_add(Message *m, const MessageFile *f)
{
        MessageFile *p = reallocarray(m->files, m->n_files + 1, sizeof(*p));

        if (!p)
                return err_origin(-ENOMEM);
        m->files = p;
        m->files[m->n_files++] = *f;
        return 0;
}

typedef struct Recorder {
        Message *message;
        const char *shown;
        int root;
        bool still;
} Recorder;

/* One entry. Return: 0 with its type, -ENOENT ... */
static int record_file(const Recorder *rec, const char *path, FileType *ret)
{
        int root = rec->root;
        _cleanup_(closep) int fd = -1;
        MessageFile f = {};
        struct stat st;
        int r;

        fd = file_open_beneath(root, path, O_PATH | O_NOFOLLOW);
        if (fd < 0)
                return err_trace(fd);
        if (fstat(fd, &st) < 0)
                return err_origin(-errno);
        f.type = spool_file_type(st.st_mode);
        f.size = (uint64_t)st.st_size;
        f.mode = st.st_mode & 07777;
        f.uid = st.st_uid;
        f.gid = st.st_gid;
        f.mtime = st.st_mtim;
        f.inode = st.st_ino;
        if (f.type == FILE_REGULAR && !(rec->still && spool_file_is_busy(root, path)))
                file_digest(root, path, &st, &f);
        if (asprintf(&f.path, "%s/%s", rec->shown, path) < 0)
                return err_origin(-ENOMEM);
        r = f.type == FILE_REGULAR ? canary_look(root, path, rec->message) : 0;
        if (r == 0)
                r = files_add(rec->message, &f);
        if (r < 0) {
                free(f.path);
                return err_trace(r);
        }
        *ret = f.type;
        return 0;
}

static int record_add(const Recorder *rec, const char *path, unsigned depth);

static int record_directory(const Recorder *rec, const char *path, unsigned depth)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *e;
        int r = dir_stream(dir_open_beneath(rec->root, path), &dir);

        if (r < 0)
                return r == -EXDEV ? 0 : err_trace(r);
        while (errno = 0, (e = readdir(dir)) != NULL) {
                _cleanup_(freep) char *below = NULL;

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (asprintf(&below, "%s/%s", path, e->d_name) < 0)
                        return err_origin(-ENOMEM);
                r = record_add(rec, below, depth + 1);
                if (r < 0 && r != -ENOENT)
                        return err_trace(r);
        }
        return errno > 0 ? err_origin(-errno) : 0;
}

static int record_add(const Recorder *rec, const char *path, unsigned depth)
{
        FileType type = FILE_REGULAR;
        int r;

        r = record_file(rec, path, &type);
        if (r < 0 || type != FILE_DIRECTORY || depth >= SPOOL_DEPTH_MAX || strlen(path) > SPOOL_PATH_MAX)
                return r;
        return record_directory(rec, path, depth);
}

int spool_record_add(Message *m, const char *shown, int root, const char *path, bool still)
{
        const Recorder rec = { .message = m, .shown = shown, .root = root, .still = still };

        return record_add(&rec, path, 0);
}

const MessageFile *spool_record_find(const Message *m, const char *shown, const char *path)
{
        size_t len = strlen(shown);

        for (size_t i = 0; i < m->n_files; i++)
                if (strncmp(m->files[i].path, shown, len) == 0 && m->files[i].path[len] == '/' &&
                    strcmp(m->files[i].path + len + 1, path) == 0)
                        return m->files + i;
        return NULL;
}

/* The first @n files of @m are of other sides. */
static int record_item(const SpoolTrees *t, const SpoolList *l, const SpoolItem *item, size_t n, Message *m)
{
        const Message others = { .files = m->files, .n_files = n };
        const SpoolTree *tree = t->trees + item->dir;
        const char *path = spool_list_path(l, item);
        int r;

        /* Two files of one name, and so of one id: the record is of the first. */
        if (spool_record_find(&others, tree->dir->path, path))
                return 0;
        r = spool_record_add(m, tree->dir->path, tree->root[item->side], path, item->side != SIDE_STORE);
        return r == -ENOENT ? 0 : err_trace(r);
}

int spool_record(SpoolTrees *t, const SpoolList *l, const Roster *roster, uint32_t index, Message *ret)
{
        Message m = {};
        size_t len;
        int r = 0;

        m.id = strdup(roster_id(roster, index, &len));
        m.store = strdup(t->store->settings->name);
        if (!m.id || !m.store)
                r = err_origin(-ENOMEM);
        m.maybe_repeated = roster->entries[index].flags & MESSAGE_REPEATED;
        for (size_t k = 0; k < ELEMENTSOF(spool_sides); k++) {
                size_t n = m.n_files;

                for (size_t i = 0; r == 0 && i < l->n_items; i++)
                        if (l->items[i].message == index && l->items[i].side == spool_sides[k])
                                r = record_item(t, l, l->items + i, n, &m);
        }
        if (r == 0)
                for (size_t i = 0; i < m.n_files && !m.evidence; i++)
                        if (m.files[i].type != FILE_REGULAR && !t->store->settings->layout.directory)
                                r = strv_append(&m.evidence, "odd_kind");
        if (r < 0) {
                message_deinit(&m);
                return err_trace(r);
        }
        *ret = m;
        return 0;
}

/* --- one, or some --- */

typedef struct Search {
        const char *incident, *id;
        size_t store;
        Message *ret;
} Search;

/* >0: found. */
static int search_shelved(void *userdata, Shelved *q)
{
        Search *s = userdata;

        if (q->store != s->store || strcmp(q->message.id, s->id) != 0 ||
            strcmp(json_string_value(json_object_get(q->json, "incident")) ?: "", s->incident) != 0)
                return 0;
        *s->ret = q->message;
        q->message = (Message){};
        return 1;
}

/* The record of a message that is in quarantine. Return: >0 if it is. */
static int shelved_record(Spool *s, const char *incident, const Roster *roster, uint32_t index, Message *ret)
{
        Search search = {
                .incident = incident,
                .id = roster_id(roster, index, NULL),
                .store = roster->entries[index].store,
                .ret = ret,
        };
        char mark[SHELF_MARK_SIZE];

        if (!incident)
                return 0;
        if (!shelf_mark(incident, s->stores + search.store, search.id, mark))
                return err_origin(-ENOMEM);
        return shelf_walk(s, s->stores + search.store, mark, search_shelved, &search);
}

typedef struct Records {
        Spool *spool;
        const char *incident;
        const Roster *roster;
        const MessageSet *set;
        Message *messages;
        size_t n;
} Records;

static int record_one(Records *rec, SpoolTrees *t, const SpoolList *l, uint32_t index)
{
        Message m = {};
        int r;

        r = spool_record(t, l, rec->roster, index, &m);
        if (r < 0)
                return err_trace(r);
        if (m.n_files == 0) {
                message_deinit(&m);
                r = shelved_record(rec->spool, rec->incident, rec->roster, index, &m);
                if (r <= 0) /* nowhere */
                        return err_trace(r);
        }
        rec->messages[rec->n++] = m;
        return 0;
}

/* Those of one store, found in one walk. */
static int store_records(Records *rec, size_t store)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        _cleanup_(spool_list_deinit) SpoolList l = {};
        /* With a set, nothing is added to the roster. */
        SpoolCollect how = { .store = store, .roster = (Roster *)rec->roster, .only = rec->set };
        int r;

        r = spool_trees_open(&t, rec->spool, store, rec->incident, NULL);
        if (r == 0)
                r = spool_list_collect(&l, &t, &how);
        for (uint32_t i = 0; r == 0 && i < rec->roster->n; i++)
                if (rec->roster->entries[i].store == store && message_set_has(rec->set, i))
                        r = record_one(rec, &t, &l, i);
        return err_trace(r);
}

static bool store_has(const Records *rec, size_t store)
{
        for (uint32_t i = 0; i < rec->roster->n; i++)
                if (rec->roster->entries[i].store == store && message_set_has(rec->set, i))
                        return true;
        return false;
}

int spool_messages(Spool *s, const char *incident, const Roster *roster, const MessageSet *set, Message **ret,
                   size_t *ret_n)
{
        Records rec = { .spool = s, .incident = incident, .roster = roster, .set = set };
        size_t n = message_set_count(set);
        int r = 0;

        if (incident && !spool_name_ok(incident))
                return err_origin(-EINVAL);
        rec.messages = calloc(n > 0 ? n : 1, sizeof(rec.messages[0]));
        if (!rec.messages)
                return err_origin(-ENOMEM);
        for (size_t i = 0; r == 0 && i < s->n_stores; i++)
                if (store_has(&rec, i))
                        r = store_records(&rec, i);
        if (r < 0) {
                for (size_t i = 0; i < rec.n; i++)
                        message_deinit(rec.messages + i);
                free(rec.messages);
                return err_trace(r);
        }
        *ret = rec.messages;
        *ret_n = rec.n;
        return 0;
}

int spool_message(Spool *s, const char *incident, const Roster *roster, uint32_t index, Message *ret)
{
        _cleanup_(freep) Message *messages = NULL;
        MessageSet one = {};
        size_t n = 0;
        int r;

        if (index >= roster->n)
                return err_origin(-EINVAL);
        r = message_set_add(&one, index);
        if (r == 0)
                r = spool_messages(s, incident, roster, &one, &messages, &n);
        message_set_deinit(&one);
        if (r < 0)
                return err_trace(r);
        if (n == 0)
                return err_origin(-ENOENT);
        *ret = messages[0];
        return 0;
}
