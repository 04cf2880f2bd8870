/*
 * spool_aside - a whole store into hold, and the manifest of what went
 *
 * Setting aside is placing with every message held (spool_place.c): one exchange a directory where that is
 * possible. Afterwards, before the next start, a manifest of all that is in hold is written beside the tree,
 * HOLD/incidents/INCIDENT/STORE.manifest, one line a file, sorted by directory and path:
 *
 *      TYPE SIZE MODE UID GID MTIME INODE DIRECTORY PATH
 *
 * with the name of the directory's tree in hold, and the path percent-encoded. Its digest goes into
 * report->data "stores"; it is the record of mail that is too much to record message by message. A manifest
 * that cannot be written (a full disk) does not stop a recovery: its digest is there all the same, and the
 * report says "manifest_error". Test: tests/unit/test_spool_aside.c.
 */
#include "act/spool_private.h"

#include "base/clock.h"
#include "model/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Lines between two looks at Job.cancel. */
#define MANIFEST_SLICE 4096

typedef struct Manifest {
        char *text;
        size_t len;
        uint64_t files, messages;
} Manifest;

static void manifest_deinit(Manifest *m)
{
        free(m->text);
        *m = (Manifest){};
}

static int compare_item(const void *a, const void *b, void *userdata)
{
        const SpoolItem *x = a, *y = b;
        const SpoolList *l = userdata;

        if (x->dir != y->dir)
                return x->dir < y->dir ? -1 : 1;
        if (x->side != y->side)
                return x->side < y->side ? -1 : 1;
        return strcmp(spool_list_path(l, x), spool_list_path(l, y));
}

static int manifest_line(FILE *out, const SpoolTree *tree, SpoolSide side, const char *path)
{
        _cleanup_(freep) char *shown = text_percent_encode(path, strlen(path));
        char mtime[TIMESPEC_RFC3339_MAX];
        struct stat st;

        if (!shown)
                return err_origin(-ENOMEM);
        if (fstatat(tree->root[side], path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        (void)fprintf(out, "%s %ju %04o %u %u %s %ju %s %s\n",
                      file_type_to_string(spool_file_type(st.st_mode)), (uintmax_t)st.st_size,
                      (unsigned)st.st_mode & 07777u, st.st_uid, st.st_gid,
                      timespec_rfc3339(mtime, &st.st_mtim), (uintmax_t)st.st_ino,
                      side == SIDE_HOLD ? tree->name : tree->spare, shown);
        return 0;
}

static int manifest_lines(FILE *out, SpoolTrees *t, SpoolList *l, SpoolReport *report, Manifest *m)
{
        if (l->n_items > 0)
                qsort_r(l->items, l->n_items, sizeof(l->items[0]), compare_item, l);
        for (size_t i = 0; i < l->n_items; i++) {
                const SpoolItem *item = l->items + i;
                int r;

                if (i % MANIFEST_SLICE == 0 && spool_cancelled(report))
                        return err_origin(-ECANCELED);
                r = manifest_line(out, t->trees + item->dir, (SpoolSide)item->side, spool_list_path(l, item));
                if (r < 0)
                        return err_trace(r);
                m->files++;
        }
        return 0;
}

static int manifest_make(SpoolTrees *t, SpoolList *l, SpoolReport *report, Manifest *m)
{
        FILE *out = open_memstream(&m->text, &m->len);
        int r;

        if (!out)
                return err_origin(-ENOMEM);
        r = manifest_lines(out, t, l, report, m);
        /* A memory stream fails for want of memory only. */
        if (fclose(out) != 0 && r == 0)
                r = err_origin(-ENOMEM);
        return err_trace(r);
}

/* "stores" [{store, messages, files, manifest_sha256, manifest}] */
static void manifest_report(const SpoolTrees *t, const Manifest *m, SpoolReport *report)
{
        char hex[2 * SHA256_SIZE + 1];
        uint8_t digest[SHA256_SIZE];
        json_t *list, *entry;

        if (!report || !report->data)
                return;
        list = json_object_get(report->data, "stores");
        if (!list && json_set(report->data, "stores", list = json_array()) < 0)
                return;
        sha256(m->text, m->len, digest);
        entry = json_object();
        if (!entry)
                return;
        (void)json_set(entry, "store", json_from_text(t->store->settings->name));
        (void)json_set(entry, "messages", json_integer((json_int_t)m->messages));
        (void)json_set(entry, "files", json_integer((json_int_t)m->files));
        (void)json_set(entry, "manifest_sha256", json_string(text_hex(hex, digest, sizeof(digest))));
        (void)json_array_append_new(list, entry);
}

static void manifest_write(SpoolTrees *t, const Manifest *m, SpoolReport *report)
{
        _cleanup_(freep) char *name = NULL;
        int r;

        if (asprintf(&name, "%s.manifest", t->store->folder) < 0)
                return;
        r = file_replace(t->spool->disk, t->incident, name, m->text, m->len, 0600);
        if (r < 0)
                spool_note(report, "manifest_error", t->store->settings->hold, name, r);
}

static int store_manifest(Spool *s, size_t store, const SpoolPlacement *p)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        _cleanup_(spool_list_deinit) SpoolList l = {};
        SpoolCollect how = { .store = store, .roster = p->roster, .hold_only = true, .report = p->report };
        _cleanup_(manifest_deinit) Manifest m = {};
        int r;

        r = spool_trees_open(&t, s, store, p->incident, p->report);
        if (r == 0)
                r = spool_list_collect(&l, &t, &how);
        if (r < 0)
                return err_trace(r);
        r = manifest_make(&t, &l, p->report, &m);
        if (r < 0)
                return spool_fail(p->report, err_trace(r), "cannot list what is held of",
                                  t.store->settings->name, NULL);
        for (size_t i = 0; i < p->roster->n; i++)
                m.messages += p->roster->entries[i].store == store &&
                              (p->roster->entries[i].place & PLACE_HOLD) != 0;
        manifest_report(&t, &m, p->report);
        if (t.incident >= 0)
                manifest_write(&t, &m, p->report);
        return 0;
}

int spool_set_aside(Spool *s, const char *incident, Roster *roster, size_t store, SpoolReport *report)
{
        const SpoolPlacement p = { .incident = incident, .roster = roster, .report = report };

        if (!spool_name_ok(incident) || (store != STORE_ALL && store >= s->n_stores))
                return err_origin(-EINVAL);
        for (size_t i = 0; i < s->n_stores; i++) {
                int r;

                if (store != STORE_ALL && store != i)
                        continue;
                r = spool_store_place(s, i, &p);
                if (r == 0)
                        r = store_manifest(s, i, &p);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}
