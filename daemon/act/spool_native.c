/*
 * spool_native - a culprit into the server's own hold, and out of it again
 *
 * It is in our quarantine, sealed, before this begins; there it comes back to whenever something is not as it
 * should be. In order, each step durable before the next:
 *
 *      message.json says native_intent "hold"; the files go back to their store; the server's command runs
 *      (act/task_native.c); native_look() finds them in the server's hold; message.json says native and
 *      where. Else what is in the store is taken back, and message.json says native_refused and why.
 *
 * After a crash anywhere spool_native_recall() looks first: a message that has arrived is only recorded by
 * the next offer, any other is taken back and begins anew. So a command is run again only if it is seen that
 * it has not done its work. All of it while the service is dead: nobody else sees the message in its store.
 *
 * The way out needs no stop: native_intent "release" or "delete", the server's command, and the message is no
 * longer where it was; then our folder goes. What left the server's hold without us is found out there.
 * Test: tests/unit/test_spool_native.c.
 */
#include "act/spool_private.h"

#include "base/clock.h"
#include "model/json.h"
#include "model/native.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void spool_native_deinit(SpoolNative *n)
{
        free(n->quarantine);
        free(n->id);
        free(n->refusal);
        message_deinit(&n->message);
        *n = (SpoolNative){};
}

/* --- message.json --- */

static const char *intent_of(const Shelved *q)
{
        return json_string_value(json_object_get(q->json, "native_intent")) ?: "";
}

/* NULL: what was intended is over. */
static int intent_set(const Spool *s, const Shelved *q, const char *intent)
{
        if (!intent)
                (void)json_object_del(q->json, "native_intent");
        else if (json_set(q->json, "native_intent", json_string(intent)) < 0)
                return err_origin(-ENOMEM);
        return err_trace(folder_write(s, q->fd, q->json));
}

/* --- taking back --- */

/* QID/files/N, made. */
static int files_open(const Spool *s, const Shelved *q, size_t dir)
{
        _cleanup_(closep) int files = spool_subdir_open(s->disk, q->fd, "files", true);
        char name[24];

        (void)snprintf(name, sizeof(name), "%zu", dir);
        return files < 0 ? files : spool_subdir_open(s->disk, files, name, true);
}

/* The file that is, or was, @path in directory @d of the store. Return: 0, -ENOENT if it is not there. */
static int file_take_back(const Spool *s, const Shelved *q, size_t d, const char *path)
{
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        _cleanup_(freep) char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        const SpoolDir *dir = spool_dir_find(s, q->dirs[d]);
        _cleanup_(closep) int root = -1, from = -1, files = -1, to = -1;

        if (!parent)
                return err_origin(-ENOMEM);
        root = dir ? spool_dir_open(dir, NULL) : -ENOENT;
        from = root >= 0 ? dir_open_beneath(root, parent) : -ENOENT;
        if (from < 0 || faccessat(from, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return -ENOENT;
        files = files_open(s, q, d);
        to = files >= 0 ? skeleton_folder(s->disk, -1, files, parent) : files;
        if (to < 0)
                return err_trace(to);
        return err_trace(spool_file_move(s->disk, from, to, name));
}

static bool files_have(const Shelved *q, size_t d, const char *path)
{
        _cleanup_(freep) char *below = NULL;

        return asprintf(&below, "files/%zu/%s", d, path) >= 0 &&
               faccessat(q->fd, below, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* All that is in the store, control file first. Return: 0, or how many files are nowhere. */
static int take_back(Spool *s, const Shelved *q, SpoolReport *report)
{
        const Layout *layout = q->store == SIZE_MAX ? NULL : s->stores[q->store].layout;
        int gone = 0;

        for (int last = 1; last >= 0; last--)
                for (size_t i = 0; i < q->message.n_files; i++) {
                        const char *path;
                        size_t d;
                        int r = shelf_split(q, i, &d, &path);

                        if (r < 0)
                                return err_trace(r);
                        if ((layout && layout_is_last(layout, path, strlen(path))) != (bool)last ||
                            files_have(q, d, path))
                                continue;
                        r = file_take_back(s, q, d, path);
                        if (r == -ENOENT) {
                                spool_note(report, "vanished", q->dirs[d], path, r);
                                gone++;
                        } else if (r < 0) {
                                return spool_fail(report, err_trace(r), "cannot take back", q->dirs[d], path);
                        }
                }
        return gone;
}

/* --- into the server's hold --- */

/* Hands the record over to @n. */
static void native_take(SpoolNative *n, Shelved *q)
{
        message_deinit(&n->message);
        n->message = q->message;
        q->message = (Message){};
}

/* It stays ours, or is ours again. */
static int refuse(Spool *s, SpoolNative *n, Shelved *q, const char *why, SpoolReport *report)
{
        int gone = take_back(s, q, report);

        if (gone < 0)
                return err_trace(gone);
        if (asprintf(&n->refusal, "%s%s", why,
                     gone > 0 ? "; a part of it is neither in its store nor held" : "") < 0) {
                n->refusal = NULL;
                return err_origin(-ENOMEM);
        }
        if (json_set(q->json, "native_refused", json_from_text(n->refusal)) < 0)
                return err_origin(-ENOMEM);
        n->run = n->held = false;
        return err_trace(intent_set(s, q, NULL));
}

static int conclude(const Spool *s, SpoolNative *n, Shelved *q)
{
        json_t *record = message_to_json(&q->message);
        int r = record && json_object_update(q->json, record) == 0 ? 0 : err_origin(-ENOMEM);

        json_decref(record);
        if (r == 0)
                r = intent_set(s, q, NULL);
        if (r < 0)
                return err_trace(r);
        n->run = false;
        n->held = true;
        return 0;
}

/* Why this message cannot go there at all; NULL: it can. */
static const char *unfit(const Spool *s, const Shelved *q)
{
        if (q->store == SIZE_MAX || !s->stores[q->store].settings->native.dirs)
                return "the configuration knows of no hold of the server any more";
        if (!native_id_is_safe(q->message.id))
                return "its id is not one to put on a command line";
        for (size_t i = 0; i < q->message.n_files; i++)
                if (q->message.files[i].type != FILE_REGULAR)
                        return "it is not made of plain files only";
        return NULL;
}

static int begin(Spool *s, SpoolNative *n, Shelved *q, SpoolReport *report)
{
        bool again = strcmp(intent_of(q), "hold") == 0, held = false;
        const char *why = unfit(s, q);
        int r = 0;

        if (why)
                return refuse(s, n, q, why, report);
        if (again && native_look(s, q, false, &q->message, &held) == 0 && held)
                return conclude(s, n, q);
        message_clear_where(&q->message);
        if (!again)
                r = intent_set(s, q, "hold");
        if (r < 0)
                return err_trace(r);
        r = shelf_return(s, q, NULL, NULL);
        if (r < 0)
                return refuse(s, n, q, "it could not be put back into its store", report);
        n->run = true;
        return 0;
}

typedef struct Offer {
        Spool *spool;
        const char *incident;
        bool begin;
        char *const *seen;
        SpoolNative *ret;
        SpoolReport *report;
} Offer;

/* >0: this one. */
static int offer_visit(void *userdata, Shelved *q)
{
        const Offer *o = userdata;
        SpoolNative *n = o->ret;
        bool begun = strcmp(intent_of(q), "hold") == 0;
        bool wanted = q->store != SIZE_MAX && o->spool->stores[q->store].settings->quarantine_native &&
                      !q->message.native && !json_object_get(q->json, "native_refused");
        int r;

        if (!q->sealed ||
            strcmp(json_string_value(json_object_get(q->json, "incident")) ?: "", o->incident) != 0 ||
            !(begun || (o->begin && wanted)) || strv_contains(o->seen, q->id))
                return 0;
        n->quarantine = strdup(q->id);
        n->id = strdup(q->message.id);
        n->store = q->store;
        if (!n->quarantine || !n->id)
                return err_origin(-ENOMEM);
        r = begin(o->spool, n, q, o->report);
        if (r < 0)
                return spool_fail(o->report, err_trace(r), "cannot hand over", n->quarantine, NULL);
        native_take(n, q);
        return 1;
}

int spool_native_offer(Spool *s, const char *incident, bool begin, char *const *seen, SpoolNative *ret,
                       SpoolReport *report)
{
        Offer o = {
                .spool = s, .incident = incident, .begin = begin, .seen = seen, .ret = ret, .report = report
        };

        *ret = (SpoolNative){};
        for (size_t i = 0; i < s->n_stores; i++) {
                int r = shelf_walk(s, s->stores + i, NULL, offer_visit, &o);

                if (r != 0)
                        return r < 0 ? err_trace(r) : 0;
        }
        return 0;
}

/* One that was on its way when unjamd ended, and has not arrived, begins anew. */
static int recall_visit(void *userdata, Shelved *q)
{
        const Offer *o = userdata;
        bool held = false;
        int r;

        if (!q->sealed || strcmp(intent_of(q), "hold") != 0 ||
            strcmp(json_string_value(json_object_get(q->json, "incident")) ?: "", o->incident) != 0 ||
            (q->store != SIZE_MAX && native_look(o->spool, q, false, &q->message, &held) == 0 && held))
                return 0;
        r = take_back(o->spool, q, o->report);
        if (r == 0)
                r = intent_set(o->spool, q, NULL);
        /* Of what is not whole, spool_native_offer() says why. */
        return r < 0 ? spool_fail(o->report, err_trace(r), "cannot take back", q->id, NULL) : 0;
}

int spool_native_recall(Spool *s, const char *incident, SpoolReport *report)
{
        Offer o = { .spool = s, .incident = incident, .report = report };

        for (size_t i = 0; i < s->n_stores; i++) {
                int r = shelf_walk(s, s->stores + i, NULL, recall_visit, &o);

                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

int spool_native_settle(Spool *s, SpoolNative *n, const char *complaint, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        bool held = false;
        int r;

        r = shelved_find(s, n->quarantine, "", &q);
        if (r != 0)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        /* What cannot be looked at is no proof. */
        if (native_look(s, &q, !complaint, &q.message, &held) < 0)
                complaint = "the directories where the server keeps what it holds could not be read";
        if (held) {
                r = conclude(s, n, &q);
        } else {
                message_clear_where(&q.message);
                r = refuse(s, n, &q, complaint ?: "it was not found where the server keeps what it holds",
                           report);
        }
        if (r == 0)
                native_take(n, &q);
        return err_trace(r);
}

/* --- out of it --- */

/* Nothing of it is left to us but the folder. */
static int forget(Spool *s, SpoolNative *n, Shelved *q, SpoolReport *report)
{
        int r = shelf_finish(s, q, q->id, false);

        if (r < 0)
                return spool_fail(report, err_trace(r),
                                  "it has left the server's hold, but something is left in", q->id, NULL);
        n->run = false;
        native_take(n, q);
        return 0;
}

static int withdraw(Spool *s, SpoolNative *n, Shelved *q, SpoolReport *report)
{
        const char *intent = n->delete ? "delete" : "release";
        bool begun = strcmp(intent_of(q), intent) == 0;

        if (n->elsewhere)
                return spool_fail(report, -EINVAL,
                                  "the server holds it, so it cannot be released --to a directory:", q->id,
                                  NULL);
        receipts_forget(s);
        if (!native_is_still(&q->message)) {
                if (!n->delete || (begun && n->again))
                        return forget(s, n, q, report);
                return spool_fail(
                        report, -ENOENT,
                        "it has left the server's hold without unjamd; `release` takes it off the list:",
                        q->id, NULL);
        }
        if (unfit(s, q))
                return spool_fail(report, -ENOTSUP, unfit(s, q), q->message.where[0].path, NULL);
        n->run = true;
        return err_trace(intent_set(s, q, intent));
}

int spool_native_withdraw(Spool *s, const char *quarantine, SpoolNative *n, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        int r;

        r = shelved_find(s, quarantine, "", &q);
        if (r == SHELF_E_NONE)
                return SPOOL_E_NONE;
        if (r < 0)
                return spool_fail(report, err_trace(r), "cannot read the record of", quarantine, NULL);
        if (!q.message.native)
                return SPOOL_E_OURS;
        n->quarantine = strdup(q.id);
        n->id = strdup(q.message.id);
        n->store = q.store;
        if (!n->quarantine || !n->id)
                return err_origin(-ENOMEM);
        return err_trace(withdraw(s, n, &q, report));
}

int spool_native_withdrawn(Spool *s, SpoolNative *n, const char *complaint, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        int r;

        r = shelved_find(s, n->quarantine, "", &q);
        if (r != 0)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        if (!native_is_still(&q.message))
                return err_trace(forget(s, n, &q, report));
        r = intent_set(s, &q, NULL);
        if (r == 0)
                r = spool_fail(report, err_origin(-EIO),
                               complaint ?: "the server holds it still:", q.message.where[0].path, NULL);
        return err_trace(r);
}

/* --- on arrival --- */

/* Whose mark a message has that no incident put there. */
#define ARRIVAL "arrival"

static bool has_known_file(const SpoolStore *store, const Message *m)
{
        SpoolKnown known;

        spool_known_load(store, &known);
        for (size_t i = 0; i < m->n_files; i++)
                if (m->files[i].has_sha256 && known_has(&known.list, m->files[i].size, m->files[i].sha256))
                        return true;
        return false;
}

/* Its folder, sealed, with the intent in it. The files stay in their store. */
static int catch_begin(Spool *s, SpoolNative *n, Shelved *q)
{
        const SpoolStore *store = s->stores + n->store;
        int r;

        q->shelf = shelf_open(s, store, true);
        if (q->shelf < 0)
                return err_trace(q->shelf);
        q->fd = folder_make(s, store, q->shelf, ARRIVAL, n->id, &q->id);
        if (q->fd < 0)
                return err_trace(q->fd);
        q->json = message_to_json(&q->message);
        if (!q->json)
                return err_origin(-ENOMEM);
        r = folder_describe(s, store, q->json);
        if (r == 0)
                r = intent_set(s, q, "hold");
        if (r == 0)
                r = folder_seal(s, q->shelf, q->id);
        n->quarantine = strdup(q->id);
        return n->quarantine ? err_trace(r) : err_origin(-ENOMEM);
}

/* The record of the message that is under @path in a store. SPOOL_E_NONE: there is none any more. */
static int catch_record(Spool *s, SpoolNative *n, const char *path, Message *ret)
{
        _cleanup_(roster_deinit) Roster roster = {};
        const char *id;
        size_t len;
        uint32_t index;
        int r;

        if (spool_resolve(s, path, &n->store, &id, &len) != 0)
                return SPOOL_E_NONE;
        n->id = strndup(id, len);
        if (!n->id)
                return err_origin(-ENOMEM);
        r = roster_add(&roster, (unsigned)n->store, id, len, &index);
        if (r == 0)
                r = spool_message(s, NULL, &roster, index, ret);
        return r == -ENOENT ? SPOOL_E_NONE : err_trace(r);
}

typedef struct Caught {
        const SpoolNative *native;
        Shelved *ret;
} Caught;

static int caught_visit(void *userdata, Shelved *q)
{
        const Caught *c = userdata;

        if (!q->sealed || strcmp(q->message.id, c->native->id) != 0 || q->store != c->native->store)
                return 0;
        *c->ret = *q;
        *q = (Shelved){ .shelf = -1, .fd = -1 };
        return 1;
}

/* It is no longer ours to say anything of: the folder goes, the message is where it was. */
static int catch_drop(const Spool *s, SpoolNative *n, Shelved *q, const char *why)
{
        n->refusal = strdup(why);
        return n->refusal ? err_trace(shelf_drop(s->disk, q->shelf, q, q->id)) : err_origin(-ENOMEM);
}

static int catch_conclude(Spool *s, SpoolNative *n, Shelved *q, const char *complaint)
{
        bool held = q->message.native;
        int r;

        n->run = false;
        if (!held && native_look(s, q, !complaint, &q->message, &held) < 0)
                complaint = "the directories where the server keeps what it holds could not be read";
        if (!held)
                return catch_drop(s, n, q,
                                  complaint ?: "it was not found where the server keeps what it holds");
        r = conclude(s, n, q);
        if (r == 0)
                native_take(n, q);
        return err_trace(r);
}

/* An unjamd before had begun: what has come of it? SPOOL_E_NONE: nothing is known of it. */
static int catch_again(Spool *s, SpoolNative *n, const char *path)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        Caught c = { .native = n, .ret = &q };
        char mark[SHELF_MARK_SIZE];
        const char *id;
        size_t len;
        int r;

        if (spool_resolve(s, path, &n->store, &id, &len) != 0)
                return SPOOL_E_NONE;
        n->id = strndup(id, len);
        if (!n->id || !shelf_mark(ARRIVAL, s->stores + n->store, n->id, mark))
                return err_origin(-ENOMEM);
        r = shelf_walk(s, s->stores + n->store, mark, caught_visit, &c);
        if (r <= 0)
                return r < 0 ? err_trace(r) : SPOOL_E_NONE;
        n->quarantine = strdup(q.id);
        if (!n->quarantine)
                return err_origin(-ENOMEM);
        return err_trace(catch_conclude(s, n, &q, "unjamd ended before it heard of the command's end"));
}

int spool_native_catch(Spool *s, const char *path, SpoolNative *n, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        int r;

        if (n->again)
                return err_trace(catch_again(s, n, path));
        r = catch_record(s, n, path, &q.message);
        if (r != 0)
                return r < 0 ? spool_fail(report, err_trace(r), "cannot look at", path, NULL) : SPOOL_E_NONE;
        q.store = n->store;
        if (!has_known_file(s->stores + n->store, &q.message))
                return SPOOL_E_NONE;
        if (unfit(s, &q)) {
                n->refusal = strdup(unfit(s, &q));
                return n->refusal ? 0 : err_origin(-ENOMEM);
        }
        r = strv_append(&q.message.evidence, "known_digest");
        if (r == 0)
                r = catch_begin(s, n, &q);
        if (r < 0)
                return spool_fail(report, err_trace(r), "cannot begin the quarantine of", path, NULL);
        n->run = true;
        return 0;
}

int spool_native_caught(Spool *s, SpoolNative *n, const char *complaint, SpoolReport *report)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        int r;

        r = shelved_find(s, n->quarantine, "", &q);
        if (r != 0)
                return r < 0 ? err_trace(r) : err_origin(-ENOENT);
        r = catch_conclude(s, n, &q, complaint);
        return r < 0 ? spool_fail(report, err_trace(r), "cannot end the quarantine of", n->quarantine, NULL)
                     : 0;
}
