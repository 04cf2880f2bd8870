/*
 * spool_manifest - the list of all that is in hold of a store, and its digest
 *
 * Made after a store was set aside, while the service runs without it: it reads a million files and must not
 * make the outage longer. HOLD/incidents/INCIDENT/STORE.manifest has one line a file, sorted by directory and
 * path:
 *
 *      TYPE SIZE MODE UID GID MTIME INODE DIRECTORY PATH
 *
 * with the name of the directory's tree in hold, and the path percent-encoded. Its digest goes into
 * report->data "stores"; it is the record of mail that is too much to record message by message. It is
 * written in slices, between which it can be cancelled, and takes no more memory than the names. A manifest
 * that cannot be written (a full disk) does not stop a recovery: its digest is there all the same, and the
 * report says "manifest_error". Test:
 * tests/unit/test_spool_manifest.c.
 */
#include "act/spool_private.h"

#include "base/clock.h"
#include "model/json.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Lines between two looks at Job.cancel. */
#define MANIFEST_SLICE 4096

typedef struct Manifest {
        SpoolTrees *trees;
        SpoolList list;
        SpoolReport *report;
        crypto_hash_sha256_state digest;
        int fd;    /* of the temporary file; -1: it cannot be written */
        int error; /* why */
        uint64_t files;
} Manifest;

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

static int manifest_line(FILE *out, const SpoolTree *tree, SpoolSide side, const char *path, uint64_t *files)
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
        (*files)++;
        return 0;
}

/* The lines of a slice of the list, in memory. */
static int slice_make(Manifest *m, size_t begin, size_t end, char **ret, size_t *ret_len)
{
        FILE *out = open_memstream(ret, ret_len);
        int r = 0;

        if (!out)
                return err_origin(-ENOMEM);
        for (size_t i = begin; i < end && r == 0; i++) {
                const SpoolItem *item = m->list.items + i;

                r = manifest_line(out, m->trees->trees + item->dir, (SpoolSide)item->side,
                                  spool_list_path(&m->list, item), &m->files);
        }
        /* A memory stream fails for want of memory only. */
        if (fclose(out) != 0 && r == 0)
                r = err_origin(-ENOMEM);
        return err_trace(r);
}

static int manifest_lines(Manifest *m)
{
        if (m->list.n_items > 0)
                qsort_r(m->list.items, m->list.n_items, sizeof(m->list.items[0]), compare_item, &m->list);
        for (size_t begin = 0, end; begin < m->list.n_items; begin = end) {
                _cleanup_(freep) char *text = NULL;
                size_t len;
                int r;

                if (spool_cancelled(m->report))
                        return err_origin(-ECANCELED);
                end = m->list.n_items - begin > MANIFEST_SLICE ? begin + MANIFEST_SLICE : m->list.n_items;
                r = slice_make(m, begin, end, &text, &len);
                if (r < 0)
                        return err_trace(r);
                crypto_hash_sha256_update(&m->digest, (const uint8_t *)text, len);
                if (m->fd >= 0)
                        m->error = disk_write(m->trees->spool->disk, m->fd, text, len);
                if (m->error < 0)
                        closep(&m->fd);
                if (m->error < 0)
                        m->fd = -1;
        }
        return 0;
}

/* "stores" [{store, messages, files, manifest_sha256}] */
static void manifest_report(Manifest *m, uint64_t messages)
{
        char hex[2 * SHA256_SIZE + 1];
        uint8_t digest[SHA256_SIZE];
        SpoolReport *report = m->report;
        json_t *list, *entry;

        crypto_hash_sha256_final(&m->digest, digest);
        if (!report || !report->data)
                return;
        list = json_object_get(report->data, "stores");
        if (!list && json_set(report->data, "stores", list = json_array()) < 0)
                return;
        entry = json_object();
        if (!entry)
                return;
        (void)json_set(entry, "store", json_from_text(m->trees->store->settings->name));
        (void)json_set(entry, "messages", json_integer((json_int_t)messages));
        (void)json_set(entry, "files", json_integer((json_int_t)m->files));
        (void)json_set(entry, "manifest_sha256", json_string(text_hex(hex, digest, sizeof(digest))));
        (void)json_array_append_new(list, entry);
}

/* The temporary file takes the manifest's place. */
static void manifest_publish(Manifest *m, const char *temporary, const char *name)
{
        Disk *disk = m->trees->spool->disk;

        if (m->error == 0)
                m->error = disk_sync(disk, m->fd);
        if (m->error == 0)
                m->error = disk_rename(disk, m->trees->incident, temporary, m->trees->incident, name, 0);
        if (m->error == 0)
                m->error = disk_sync(disk, m->trees->incident);
        if (m->error < 0) {
                (void)disk_remove(disk, m->trees->incident, temporary, 0);
                spool_note(m->report, "manifest_error", m->trees->store->settings->hold, name, m->error);
        }
}

static int manifest_make(Manifest *m, uint64_t messages)
{
        _cleanup_(freep) char *name = NULL, *temporary = NULL;
        Disk *disk = m->trees->spool->disk;
        int r;

        if (asprintf(&name, "%s.manifest", m->trees->store->folder) < 0)
                return err_origin(-ENOMEM);
        if (asprintf(&temporary, ".%s.tmp", name) < 0)
                return err_origin(-ENOMEM);
        crypto_hash_sha256_init(&m->digest);
        if (m->trees->incident >= 0) {
                /* One that a crash left behind. */
                (void)disk_remove(disk, m->trees->incident, temporary, 0);
                m->fd = disk_create(disk, m->trees->incident, temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
                m->error = m->fd < 0 ? m->fd : 0;
        }
        r = manifest_lines(m);
        if (r < 0) {
                if (m->trees->incident >= 0)
                        (void)disk_remove(disk, m->trees->incident, temporary, 0);
                return spool_fail(m->report, err_trace(r), "cannot list what is held of",
                                  m->trees->store->settings->name, NULL);
        }
        manifest_report(m, messages);
        if (m->trees->incident >= 0)
                manifest_publish(m, temporary, name);
        return 0;
}

int spool_manifest(Spool *s, const char *incident, size_t store, uint64_t messages, SpoolReport *report)
{
        _cleanup_(spool_trees_close) SpoolTrees t = { .incident = -1, .folder = -1 };
        Manifest m = { .trees = &t, .report = report, .fd = -1 };
        const SpoolCollect how = { .store = store, .hold_only = true, .report = report };
        int r;

        if (!spool_name_ok(incident) || store >= s->n_stores)
                return err_origin(-EINVAL);
        r = spool_trees_open(&t, s, store, incident, report);
        if (r == 0)
                r = spool_list_collect(&m.list, &t, &how);
        if (r == 0)
                r = manifest_make(&m, messages);
        spool_list_deinit(&m.list);
        closep(&m.fd);
        return err_trace(r);
}
