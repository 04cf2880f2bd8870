/*
 * spool_quarantine - culprits into quarantine, sealed
 *
 * For each message: its folder QID.tmp is made, message.json with all digests becomes durable, then the files
 * come (control file first), then the folder is renamed to QID. A crash in between leaves QID.tmp, from which
 * nothing is released; the next call for the same message goes on with it, and one for a message that is
 * sealed already yields its QID. So the call can be repeated at any time, and a message never has two
 * folders. Beside a live service (report->live) only files in hold are taken: what is in the store is left.
 *
 * QID sorts by time and says nothing else: UTC and a few digits of a digest over incident, store and id. A
 * message that is nowhere (the server has consumed it) is left out of what is returned, and reported as
 * "missing". Test: tests/unit/test_spool_quarantine.c.
 */
#include "act/spool_private.h"

#include "base/clock.h"
#include "model/json.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct Quarantine {
        Spool *spool;
        const char *incident;
        const json_t *why;
        Roster *roster;
        SpoolReport *report;
        const SpoolList *list;
        SpoolTrees *trees;
        size_t store;
        int shelf;
        /* What is returned. */
        Message *messages;
        char **ids;
        size_t n;
} Quarantine;

/* --- the record --- */

/* What the engine says of message @index; borrowed, or NULL. */
static json_t *why_of(const Quarantine *q, uint32_t index)
{
        _cleanup_(freep) char *encoded = NULL;
        size_t len;
        const char *id = roster_id(q->roster, index, &len);

        if (text_is_utf8(id, len))
                return json_object_get(q->why, id);
        encoded = text_percent_encode(id, len);
        return encoded ? json_object_get(q->why, encoded) : NULL;
}

/* The record of @m with what the engine adds; what says where the message is cannot be overwritten. NULL on
 * ENOMEM. */
static json_t *record_to_json(const Quarantine *q, uint32_t index, const Message *m)
{
        json_t *j = json_object(), *record = message_to_json(m), *why = why_of(q, index);
        bool ok = j && record;

        if (ok)
                ok = json_object_update(j, record) == 0;
        if (ok && why)
                ok = json_object_update(j, why) == 0;
        if (ok && why) {
                static const char *const facts[] = { "id", "id_b64", "store", "files" };

                for (size_t i = 0; ok && i < ELEMENTSOF(facts); i++) {
                        json_t *fact = json_object_get(record, facts[i]);

                        if (fact)
                                ok = json_object_set(j, facts[i], fact) == 0;
                        else
                                (void)json_object_del(j, facts[i]);
                }
        }
        json_decref(record);
        if (ok)
                ok = json_set(j, "incident", json_from_text(q->incident)) == 0 &&
                     folder_describe(q->spool, q->trees->store, j) == 0;
        if (!ok) {
                json_decref(j);
                return NULL;
        }
        return j;
}

/* --- the folder --- */

/* Is a file of @m now in @l? Then an operator's release of it was interrupted. */
static bool is_partly_out(const Quarantine *q, uint32_t index, const Message *m)
{
        for (size_t i = 0; i < q->list->n_items; i++) {
                const SpoolItem *item = q->list->items + i;
                const SpoolTree *tree = q->trees->trees + item->dir;
                const MessageFile *f;
                struct stat st;

                if (item->message != index)
                        continue;
                f = spool_record_find(m, tree->dir->path, spool_list_path(q->list, item));
                /* The same name alone may be another message of this id. */
                if (f &&
                    fstatat(tree->root[item->side], spool_list_path(q->list, item), &st,
                            AT_SYMLINK_NOFOLLOW) == 0 &&
                    st.st_ino == f->inode)
                        return true;
        }
        return false;
}

typedef struct Lookup {
        const Quarantine *quarantine;
        uint32_t index;
        const char *id;
        Shelved *ret;
} Lookup;

/* >0: found. */
static int lookup_visit(void *userdata, Shelved *found)
{
        Lookup *l = userdata;
        const Quarantine *q = l->quarantine;

        if (found->store != q->store || strcmp(found->message.id, l->id) != 0 ||
            strcmp(json_string_value(json_object_get(found->json, "incident")) ?: "", q->incident) != 0)
                return 0;
        /* A sealed one is left only if nothing else is found: the same id may come, and be guilty, twice. */
        shelved_deinit(l->ret);
        *l->ret = *found;
        *found = (Shelved){ .shelf = -1, .fd = -1 };
        if (l->ret->sealed && !l->ret->message.native)
                l->ret->open = is_partly_out(q, l->index, &l->ret->message);
        return l->ret->open;
}

/* --- the files --- */

/* files/N, made. Return: the descriptor. */
static int files_open(const Quarantine *q, int folder, size_t dir)
{
        _cleanup_(closep) int files = -1;

        files = spool_subdir_open(q->spool->disk, folder, "files", true);
        if (files < 0)
                return err_trace(files);
        return spool_subdir_open(q->spool->disk, files, q->trees->trees[dir].name, true);
}

static int item_shelve(const Quarantine *q, int folder, const SpoolItem *item)
{
        const SpoolTree *tree = q->trees->trees + item->dir;
        const char *path = spool_list_path(q->list, item), *slash = strrchr(path, '/');
        _cleanup_(freep) char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        _cleanup_(closep) int from = -1, files = -1, to = -1;
        const char *name = slash ? slash + 1 : path;
        int r;

        if (!parent)
                return err_origin(-ENOMEM);
        from = dir_open_beneath(tree->root[item->side], parent);
        if (from < 0)
                return err_trace(from);
        files = files_open(q, folder, item->dir);
        if (files < 0)
                return err_trace(files);
        to = skeleton_folder(q->spool->disk, -1, files, parent);
        if (to < 0)
                return err_trace(to);
        r = disk_rename(q->spool->disk, from, name, to, name, RENAME_NOREPLACE);
        if (r == -ENOENT || r == -EEXIST) {
                /* Two files of one name: another message came under the id of this one. It stays where
                 * it is. */
                spool_note(q->report, r == -EEXIST ? "taken" : "vanished", tree->dir->path, path, r);
                return 0;
        }
        if (r < 0)
                return spool_fail(q->report, err_trace(r), "cannot move to quarantine", tree->dir->path,
                                  path);
        r = disk_sync(q->spool->disk, to);
        if (r == 0)
                r = disk_sync(q->spool->disk, from);
        return err_trace(r);
}

static int items_shelve(const Quarantine *q, int folder, uint32_t index)
{
        int r = 0;

        for (int last = 1; last >= 0; last--)
                for (size_t k = 0; k < ELEMENTSOF(spool_sides); k++)
                        for (size_t i = 0; r == 0 && i < q->list->n_items; i++) {
                                const SpoolItem *item = q->list->items + i;

                                if (item->message == index && item->last == (bool)last &&
                                    item->side == spool_sides[k])
                                        r = item_shelve(q, folder, item);
                        }
        return err_trace(r);
}

/* Adds the files that an interrupted call had not recorded yet. Return: >0 if there are any. */
static int record_extend(const Quarantine *q, uint32_t index, Message *m)
{
        int added = 0, r;

        for (size_t i = 0; i < q->list->n_items; i++) {
                const SpoolItem *item = q->list->items + i;
                const SpoolTree *tree = q->trees->trees + item->dir;
                const char *path = spool_list_path(q->list, item);

                if (item->message != index || spool_record_find(m, tree->dir->path, path))
                        continue;
                r = spool_record_add(m, tree->dir->path, tree->root[item->side], path,
                                     item->side != SIDE_STORE);
                if (r < 0 && r != -ENOENT)
                        return err_trace(r);
                added = 1;
        }
        return added;
}

/* --- one message --- */

/* It is known by its files when it comes again. Not to know it is no reason to leave it where it is. */
static void remember(const Quarantine *q, const Message *m)
{
        const SpoolStore *store = q->trees->store;
        SpoolKnown known;
        int r;

        spool_known_load(store, &known);
        for (size_t i = 0; i < m->n_files; i++)
                if (m->files[i].has_sha256)
                        known_add(&known.list, m->files[i].size, m->files[i].sha256);
        r = spool_known_save(q->spool->disk, store, &known);
        if (r < 0)
                spool_note(q->report, "culprits", store->settings->hold, NULL, r);
}

static bool list_has(const SpoolList *l, uint32_t index)
{
        for (size_t i = 0; i < l->n_items; i++)
                if (l->items[i].message == index)
                        return true;
        return false;
}

/* A folder with its record, durable: the one that is there, or a new one. SHELF_E_NONE: the message is
 * nowhere. */
static int shelved_begin(const Quarantine *q, uint32_t index, Shelved *f)
{
        Lookup lookup = {
                .quarantine = q,
                .index = index,
                .id = roster_id(q->roster, index, NULL),
                .ret = f,
        };
        char mark[SHELF_MARK_SIZE];
        bool has = list_has(q->list, index);
        int r;

        if (!shelf_mark(q->incident, q->trees->store, lookup.id, mark))
                return err_origin(-ENOMEM);
        r = shelf_walk(q->spool, q->trees->store, mark, lookup_visit, &lookup);
        if (r < 0)
                return err_trace(r);
        if (!has)
                return f->id ? 0 : SHELF_E_NONE;
        /* The server holds it where it lies. */
        if (f->id && f->message.native && is_partly_out(q, index, &f->message))
                return 0;
        if (f->id && f->open) {
                r = record_extend(q, index, &f->message);
                if (r <= 0)
                        return err_trace(r);
        } else {
                shelved_deinit(f);
                r = spool_record(q->trees, q->list, q->roster, index, &f->message);
                if (r < 0)
                        return err_trace(r);
                r = folder_make(q->spool, q->trees->store, q->shelf, q->incident, lookup.id, &f->id);
                if (r < 0)
                        return err_trace(r);
                f->fd = r;
                f->open = true;
        }
        json_decref(f->json);
        f->json = record_to_json(q, index, &f->message);
        if (!f->json)
                return err_origin(-ENOMEM);
        return err_trace(folder_write(q->spool, f->fd, f->json));
}

/* Hands the message over to the result, as message.json has it. */
static int result_add(Quarantine *q, Shelved *f)
{
        Message m;
        int r;

        r = message_from_json(f->json, &m);
        if (r < 0)
                return spool_fail(q->report, err_trace(r), "message.json is no message record:", f->id, NULL);
        r = strv_append(&q->ids, f->id);
        if (r < 0) {
                message_deinit(&m);
                return err_trace(r);
        }
        q->messages[q->n++] = m;
        return 0;
}

static int message_shelve(Quarantine *q, uint32_t index)
{
        _cleanup_(shelved_deinit) Shelved f = { .shelf = -1, .fd = -1 };
        RosterEntry *e = q->roster->entries + index;
        int r;

        r = shelved_begin(q, index, &f);
        if (r < 0)
                return spool_fail(q->report, r, "cannot quarantine", roster_id(q->roster, index, NULL), NULL);
        if (r == SHELF_E_NONE) {
                spool_note(q->report, "missing", NULL, roster_id(q->roster, index, NULL), 0);
                return 0;
        }
        if (f.open) {
                r = items_shelve(q, f.fd, index);
                if (r == 0 && !f.sealed)
                        r = folder_seal(q->spool, q->shelf, f.id);
                if (r < 0)
                        return spool_fail(q->report, r, "cannot quarantine",
                                          roster_id(q->roster, index, NULL), NULL);
                spool_count(q->report, "quarantined", 1);
                remember(q, &f.message);
        }
        e->place = PLACE_QUARANTINE;
        return err_trace(result_add(q, &f));
}

/* --- all of them --- */

static bool store_has(const Quarantine *q, const MessageSet *set)
{
        for (uint32_t i = 0; i < q->roster->n; i++)
                if (q->roster->entries[i].store == q->store && message_set_has(set, i))
                        return true;
        return false;
}

/* Those of one store. Results are in roster order within it; sorted over all stores by the caller. */
static int store_shelve(Quarantine *q, const MessageSet *set, uint32_t *order)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        _cleanup_(spool_list_deinit) SpoolList l = {};
        SpoolCollect how = { .store = q->store,
                             .roster = q->roster,
                             .only = set,
                             .hold_only = q->report && q->report->live,
                             .report = q->report };
        int r;

        if (!store_has(q, set))
                return 0;
        r = spool_trees_open(&t, q->spool, q->store, q->incident, q->report);
        if (r == 0)
                r = spool_list_collect(&l, &t, &how);
        if (r < 0)
                return err_trace(r);
        q->trees = &t;
        q->list = &l;
        q->shelf = shelf_open(q->spool, t.store, true);
        if (q->shelf < 0)
                r = spool_fail(q->report, err_trace(q->shelf), "cannot make the quarantine in",
                               t.store->settings->hold, NULL);
        for (uint32_t i = 0; r == 0 && i < q->roster->n; i++)
                if (q->roster->entries[i].store == q->store && message_set_has(set, i)) {
                        size_t n = q->n;

                        if (spool_cancelled(q->report)) {
                                r = err_origin(-ECANCELED);
                                break;
                        }
                        r = message_shelve(q, i);
                        if (q->n > n)
                                order[n] = i;
                }
        closep(&q->shelf);
        q->trees = NULL;
        q->list = NULL;
        return err_trace(r);
}

/* Brings the results of several stores into the order of the set. Few, so simple. */
static void results_sort(Quarantine *q, uint32_t *order)
{
        for (size_t i = 1; i < q->n; i++)
                for (size_t k = i; k > 0 && order[k] < order[k - 1]; k--) {
                        Message m = q->messages[k];
                        char *id = q->ids[k];
                        uint32_t o = order[k];

                        q->messages[k] = q->messages[k - 1];
                        q->ids[k] = q->ids[k - 1];
                        order[k] = order[k - 1];
                        q->messages[k - 1] = m;
                        q->ids[k - 1] = id;
                        order[k - 1] = o;
                }
}

int spool_quarantine(Spool *s, SpoolQuarantine *what, SpoolReport *report)
{
        Quarantine q = {
                .spool = s,
                .incident = what->incident,
                .why = what->why,
                .roster = what->roster,
                .report = report,
        };
        _cleanup_(freep) uint32_t *order = NULL;
        size_t n = message_set_count(what->set);
        int r = 0;

        if (!spool_name_ok(what->incident))
                return err_origin(-EINVAL);
        q.messages = calloc(n > 0 ? n : 1, sizeof(q.messages[0]));
        order = calloc(n > 0 ? n : 1, sizeof(order[0]));
        if (!q.messages || !order)
                r = err_origin(-ENOMEM);
        for (; r == 0 && q.store < s->n_stores; q.store++)
                r = store_shelve(&q, what->set, order);
        if (r < 0) {
                for (size_t i = 0; i < q.n; i++)
                        message_deinit(q.messages + i);
                free(q.messages);
                strv_free(q.ids);
                return err_trace(r);
        }
        results_sort(&q, order);
        what->messages = q.messages;
        what->ids = q.ids;
        what->n = q.n;
        return 0;
}
