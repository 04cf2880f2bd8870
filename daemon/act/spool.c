/*
 * spool - the stores of one service: what is where, and which path is whose
 *
 * Made by the service actuator for each service; this file opens and closes it and maps paths. The work is in
 *
 *      spool_walk        reads a tree and says what each entry is
 *      spool_scan        inventory                     spool_list       files of many messages
 *      spool_survey      what an inventory saw, and whether it is still true
 *      spool_place       who belongs where             spool_exchange   a directory at once
 *      spool_aside       a whole store                 spool_manifest   what is in hold, listed
 *                                                      spool_skeleton   clones of empty directories
 *      spool_message     full records                  spool_move       files, in slices
 *      spool_quarantine  culprits, sealed              spool_shelf      quarantine, read
 *      spool_release     an operator's release, delete spool_purge      rebuildable files
 *      spool_receipt     what those two did            spool_unshelve   a half done quarantine, undone
 *      spool_tidy        empty folders away            spool_probe      can this be renamed?
 *      spool_native      the server's own hold         spool_native_look  is it there?
 *
 * On disk, below a store's HOLD (0700, on the store's mount, outside of every directory that a server scans):
 *
 *      incidents/INCIDENT/STORE/N/PATH        what was PATH in the store's N-th directory
 *      incidents/INCIDENT/STORE/N.spare/PATH  the same, if that name was held already
 *      incidents/INCIDENT/STORE.manifest      what went with the last set-aside
 *      incidents/INCIDENT/rebuildable/PATH    purged, under its own absolute path
 *      quarantine/QID/message.json, files/N/PATH
 *      receipts/QID/message.json              released or deleted last
 *
 * Several stores, and services, may share a HOLD.
 *
 * Promises. Mail is only ever moved by renameat2 with RENAME_NOREPLACE, or with its directory by
 * RENAME_EXCHANGE, inside of one mount: inode, owner, mode, times and content stay. Nothing is copied;
 * nothing is removed but our own files and empty folders in HOLD, and what an operator deletes. Every rename
 * is followed by an fsync of both directories before anything is built upon it.
 *
 * Table of places. S is the store's directory, H its tree in hold, Q a message's folder in quarantine; a
 * message has one or more files. After a crash or a power cut at any instant, what can be seen is one of
 * these rows, and the next call leaves it as its column says ("as wanted": by the set that it is given).
 *
 *   seen                         how it comes about       place, set_aside   quarantine     inventory
 *   ---------------------------- ------------------------ ------------------ -------------- ------------
 *   all in S                     never moved, or back     as wanted          to Q           store
 *   all in H                     held                     as wanted          to Q           hold
 *   some in S, some in H         crash inside a slice     all as wanted      all to Q       both
 *   same name in S and in H      the name came again      out: S's to spare  H's to Q       both
 *                                                         back: H's "taken"
 *   same name in H and spare     the name came again      back: H's, spare's H's to Q       hold
 *                                                         stays, "taken"
 *   two names of one file        hard links               each as wanted     each           by its name
 *   no H                         nothing was held yet     made when needed   -              store
 *   H partial skeleton, empty    crash while cloning      completed          -              store
 *   H the original, S its clone  set aside                exchanged back if  to Q           hold
 *                                                         that is less work
 *   nobody's file in H           a submitter finished in  goes back last, or stays          "foreign_held"
 *                                the exchanged directory  with an exchange
 *   Q.tmp without message.json   crash before the record  stays, is empty    a new one      -
 *   Q.tmp, files in S or H       crash while moving,      its files to H,    completed      quarantine too
 *                                or a disk that fails     then as wanted
 *   Q                            sealed                   stays              its QID        quarantine
 *   Q, some files in S           crash in a release       stays              completed      both
 *   Q.del                        crash in a delete        stays              -              -
 *   none of these                consumed, or lost        -                  "missing"      consumed, lost
 *
 * Release and delete, called again, go on from their rows. Purged files are missing from where they were,
 * which is how it should be.
 *
 * Failures: a negated errno and report->detail; what was moved until then stays moved, and the call can be
 * repeated. No call logs. A Spool may be used by one worker at a time, but spool_resolve() and spool_covers()
 * by anyone at any time: they look at what never changes. Test: tests/unit/test_spool.c,
 * tests/crash/test_spool_crash.c.
 */
#include "act/spool_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- making it --- */

/* What follows "@dir/" in @path, or NULL. */
static const char *path_below(const char *path, const char *dir)
{
        size_t len = strlen(dir);

        while (len > 0 && dir[len - 1] == '/')
                len--;
        if (strncmp(path, dir, len) != 0 || path[len] != '/')
                return NULL;
        path += len + 1;
        return *path ? path : NULL;
}

/* @path with the links in its parent resolved, if that exists; else as it is. NULL on ENOMEM. */
static char *path_resolve_parent(const char *path)
{
        _cleanup_(freep) char *parent = NULL, *real = NULL;
        const char *slash = strrchr(path, '/');
        char *s = NULL;

        parent = slash && slash > path ? strndup(path, (size_t)(slash - path)) : strdup("/");
        if (!parent)
                return NULL;
        real = realpath(parent, NULL);
        if (!real || !slash)
                return strdup(path);
        return asprintf(&s, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash + 1) < 0 ? NULL : s;
}

/* A store's name as the name of a folder that is no other. NULL on ENOMEM. */
static char *folder_name(const char *name)
{
        static const char hex[] = "0123456789abcdef";
        char *s = malloc(3 * strlen(name) + 1), *p = s;

        for (const char *c = name; s && *c; c++) {
                bool plain = *c != '/' && *c != '%' && !(c == name && *c == '.');

                /* That is another folder's name, beside it. */
                if (c == name && strcmp(name, "rebuildable") == 0)
                        plain = false;
                if (plain) {
                        *p++ = *c;
                        continue;
                }
                *p++ = '%';
                *p++ = hex[(unsigned char)*c >> 4];
                *p++ = hex[*c & 15];
        }
        if (s)
                *p = '\0';
        return s;
}

static int dir_init(SpoolDir *d, const char *path)
{
        char *slash;

        d->path = strdup(path);
        d->real = path_resolve_parent(path);
        if (!d->path || !d->real)
                return err_origin(-ENOMEM);
        slash = strrchr(d->real, '/');
        if (!slash || !slash[1])
                return err_origin(-EINVAL);
        d->name = slash + 1;
        d->parent = slash > d->real ? strndup(d->real, (size_t)(slash - d->real)) : strdup("/");
        return d->parent ? 0 : err_origin(-ENOMEM);
}

static int dir_skip(SpoolDir *d, const char *path)
{
        const char *below = path_below(path, d->path) ?: path_below(path, d->real);

        return below && !strv_contains(d->skip, below) ? err_trace(strv_append(&d->skip, below)) : 0;
}

/* What else lies below @d and is not its: other directories, holds, rebuildable files. */
static int dir_skip_all(const Spool *s, SpoolDir *d)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < s->n_stores; i++) {
                const SpoolStore *store = s->stores + i;

                for (size_t k = 0; r == 0 && k < store->n_dirs; k++) {
                        r = dir_skip(d, store->dirs[k].path);
                        if (r == 0)
                                r = dir_skip(d, store->dirs[k].real);
                }
                if (r == 0)
                        r = dir_skip(d, store->settings->hold);
                if (r == 0)
                        r = dir_skip(d, store->real_hold);
                for (char **f = store->settings->rebuildable; r == 0 && f && *f; f++)
                        r = dir_skip(d, *f);
                for (size_t k = 0; r == 0 && k < store->settings->n_rebuild; k++)
                        r = dir_skip(d, store->settings->rebuild[k].path);
        }
        return err_trace(r);
}

static int store_init(SpoolStore *store, const StoreSettings *settings)
{
        int r;

        store->settings = settings;
        r = layout_new(&store->layout, &settings->layout, NULL);
        if (r < 0)
                return err_trace(r);
        store->folder = folder_name(settings->name);
        store->real_hold = path_resolve_parent(settings->hold);
        store->dirs = calloc(strv_length(settings->dirs) + 1, sizeof(store->dirs[0]));
        if (!store->folder || !store->real_hold || !store->dirs)
                return err_origin(-ENOMEM);
        for (char **path = settings->dirs; path && *path; path++) {
                r = dir_init(store->dirs + store->n_dirs++, *path);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

/* Is each directory there, and no symbolic link? */
static int store_check(const Spool *s, const SpoolStore *store)
{
        for (size_t i = 0; i < store->n_dirs; i++) {
                int fd, r;

                fd = spool_dir_open(store->dirs + i, NULL);
                if (fd == -ENOENT || fd == -ELOOP)
                        return err_origin(-ENOTDIR);
                if (fd < 0)
                        return err_trace(fd);
                close(fd);
                r = dir_skip_all(s, store->dirs + i);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

int spool_new(Spool **ret, const ServiceSettings *service, Disk *disk)
{
        _cleanup_(spool_freep) Spool *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return err_origin(-ENOMEM);
        s->service = service;
        s->disk = disk;
        s->stores = calloc(service->n_stores + 1, sizeof(s->stores[0]));
        s->surveys = calloc(service->n_stores + 1, sizeof(s->surveys[0]));
        if (!s->stores || !s->surveys)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < service->n_stores; i++) {
                r = store_init(s->stores + s->n_stores++, service->stores + i);
                if (r < 0)
                        return err_trace(r);
        }
        for (size_t i = 0; i < s->n_stores; i++) {
                r = store_check(s, s->stores + i);
                if (r < 0)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(s);
        return 0;
}

const ServiceSettings *spool_service(const Spool *s)
{
        return s->service;
}

Spool *spool_free(Spool *s)
{
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_stores; i++) {
                SpoolStore *store = s->stores + i;

                for (size_t k = 0; store->dirs && k < store->n_dirs; k++) {
                        free(store->dirs[k].path);
                        free(store->dirs[k].real);
                        free(store->dirs[k].parent);
                        strv_free(store->dirs[k].skip);
                }
                free(store->dirs);
                free(store->folder);
                free(store->real_hold);
                layout_free(store->layout);
        }
        for (size_t i = 0; s->surveys && i < s->n_stores; i++)
                survey_deinit(s->surveys + i);
        free(s->surveys);
        free(s->stores);
        free(s);
        return NULL;
}

/* --- which path is whose --- */

/* "incidents/INCIDENT/STORE/N[.spare]/PATH" below a hold: is it @store's? Then the path below the directory
 * and its number. */
static const char *held_path(const SpoolStore *store, const char *path, size_t *ret_dir)
{
        size_t len = strlen(store->folder), n = 0;
        const char *digits;

        path = path_below(path, "incidents");
        path = path ? strchr(path, '/') : NULL;
        if (!path || strncmp(path + 1, store->folder, len) != 0 || path[1 + len] != '/')
                return NULL;
        digits = path + 1 + len + 1;
        for (path = digits; *path >= '0' && *path <= '9' && n < store->n_dirs; path++)
                n = n * 10 + (size_t)(*path - '0');
        if (strncmp(path, ".spare", 6) == 0)
                path += 6;
        if (path == digits || n >= store->n_dirs || (*path != '/' && *path))
                return NULL;
        *ret_dir = n;
        return *path ? path + 1 : path;
}

typedef struct Spot {
        size_t store, dir;
        const char *below; /* what follows the directory; "" is the directory itself */
} Spot;

/* Which directory of which store is @path in? Of several that hold it, the innermost. */
static bool path_locate(const Spool *s, const char *path, Spot *ret)
{
        size_t best = SIZE_MAX;

        for (size_t i = 0; i < s->n_stores; i++) {
                const SpoolStore *store = s->stores + i;
                const char *in_hold =
                        path_below(path, store->settings->hold) ?: path_below(path, store->real_hold);
                const char *below;
                size_t d;

                for (d = 0; d < store->n_dirs; d++) {
                        const SpoolDir *dir = store->dirs + d;

                        below = path_below(path, dir->path) ?: path_below(path, dir->real);
                        if (!below && (strcmp(path, dir->path) == 0 || strcmp(path, dir->real) == 0))
                                below = path + strlen(path);
                        if (below && strlen(below) < best) {
                                best = strlen(below);
                                *ret = (Spot){ .store = i, .dir = d, .below = below };
                        }
                }
                below = in_hold ? held_path(store, in_hold, &d) : NULL;
                if (below && strlen(below) < best) {
                        best = strlen(below);
                        *ret = (Spot){ .store = i, .dir = d, .below = below };
                }
        }
        return best != SIZE_MAX;
}

/* Is it, or what it is in, something else's? */
static bool spot_is_skipped(const SpoolStore *store, const Spot *spot)
{
        for (char **skip = store->dirs[spot->dir].skip; skip && *skip; skip++)
                if (strcmp(spot->below, *skip) == 0 || path_below(spot->below, *skip))
                        return true;
        return path_is_ignored(store->settings->exclude, spot->below);
}

int spool_resolve(const Spool *s, const char *path, size_t *ret_store, const char **ret_id, size_t *ret_len)
{
        const SpoolStore *store;
        Spot spot;
        int r;

        if (!path_locate(s, path, &spot))
                return SPOOL_E_NONE;
        store = s->stores + spot.store;
        if (spot_is_skipped(store, &spot))
                return SPOOL_E_NONE;
        r = layout_match(store->layout, spot.below, strlen(spot.below), ret_id, ret_len);
        if (r < 0)
                return err_trace(r);
        if (r == LAYOUT_E_NONE)
                return SPOOL_E_NONE;
        *ret_store = spot.store;
        return 0;
}

bool spool_covers(const Spool *s, const char *path)
{
        Spot spot;

        return path_locate(s, path, &spot);
}
