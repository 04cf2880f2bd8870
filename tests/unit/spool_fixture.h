#pragma once

/*
 * A service with stores in a temporary directory, for the tests of the spool: two stores of the same two
 * directories' shape. "q" is flat in In and Out; "x" has messages of two files, NAME-H (last) and NAME-D, in
 * hashed sub-directories.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "act/spool_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INCIDENT "20261122T140000Z-1"

enum { STORE_Q, STORE_X };

typedef struct Fixture {
        char root[64];
        char paths[8][128];
        char *q_dirs[3], *x_dirs[2];
        char *exclude[2], *rebuildable[2], *ignore[2];
        StoreSettings stores[2];
        ServiceSettings service;
        Spool *spool;
        Roster roster;
        SpoolReport report;
        Inventory inventory;
} Fixture;

static inline char *fixture_path(Fixture *f, size_t slot, const char *below)
{
        snprintf(f->paths[slot], sizeof(f->paths[slot]), "%s/%s", f->root, below);
        return f->paths[slot];
}

/* The whole path of something in the fixture; good until the next call but three. */
static inline const char *at(const Fixture *f, const char *below)
{
        static char buf[4][PATH_MAX];
        static unsigned i;
        char *p = buf[i++ % 4];

        snprintf(p, PATH_MAX, "%s/%s", f->root, below);
        return p;
}

static inline void put(const Fixture *f, const char *below, const char *text)
{
        int fd = open(at(f, below), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static inline bool is_there(const Fixture *f, const char *below)
{
        struct stat st;

        return lstat(at(f, below), &st) == 0;
}

/* One more name of an empty file: some file systems need a millisecond for each new inode. */
static inline void put_again(const Fixture *f, const char *below)
{
        if (!is_there(f, "empty"))
                put(f, "empty", "");
        assert_int_equal(link(at(f, "empty"), at(f, below)), 0);
}

static inline void put_dir(const Fixture *f, const char *below)
{
        assert_int_equal(mkdir(at(f, below), 0750), 0);
}

static inline ino_t inode_of(const Fixture *f, const char *below)
{
        struct stat st;

        assert_int_equal(lstat(at(f, below), &st), 0);
        return st.st_ino;
}

/* Entries of a directory, without "." and "..". */
static inline size_t count_in(const Fixture *f, const char *below)
{
        DIR *d = opendir(at(f, below));
        size_t n = 0;

        if (!d)
                return 0;
        for (const struct dirent *e; (e = readdir(d));)
                n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        closedir(d);
        return n;
}

static inline void report_reset(Fixture *f)
{
        json_decref(f->report.data);
        free(f->report.detail);
        f->report = (SpoolReport){ .data = json_object(), .inventory = &f->inventory };
        f->inventory = (Inventory){};
}

/* report.data[key].count, or the number under key. */
static inline json_int_t reported(const Fixture *f, const char *key)
{
        const json_t *j = json_object_get(f->report.data, key);

        return json_is_integer(j) ? json_integer_value(j) : json_integer_value(json_object_get(j, "count"));
}

/* Opens the spool for the settings as they are now. */
static inline void fixture_open(Fixture *f)
{
        f->spool = spool_free(f->spool);
        assert_int_equal(spool_new(&f->spool, &f->service, disk_posix()), 0);
}

static inline int fixture_setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        snprintf(f->root, sizeof(f->root), "%s/unjam-spool.XXXXXX", getenv("TMPDIR") ?: "/tmp");
        assert_non_null(mkdtemp(f->root));
        put_dir(f, "spool");
        put_dir(f, "spool/In");
        put_dir(f, "spool/Out");
        put_dir(f, "spool/input");
        f->q_dirs[0] = fixture_path(f, 0, "spool/In");
        f->q_dirs[1] = fixture_path(f, 1, "spool/Out");
        f->x_dirs[0] = fixture_path(f, 2, "spool/input");
        f->stores[STORE_Q] = (StoreSettings){
                .name = (char *)"q",
                .dirs = f->q_dirs,
                .layout = { .flat = true },
                .hold = fixture_path(f, 3, "hold"),
        };
        f->stores[STORE_X] = (StoreSettings){
                .name = (char *)"x",
                .dirs = f->x_dirs,
                .layout = { .match = (char *)"^(?:[^/]+/)?(?<id>[^/]+)-[HD]$", .last = (char *)"-H$" },
                .hold = f->paths[3],
        };
        f->service = (ServiceSettings){ .name = (char *)"imc", .stores = f->stores, .n_stores = 2 };
        report_reset(f);
        fixture_open(f);
        *state = f;
        return 0;
}

/* Removes a tree; the fixture's own only. */
static inline void remove_tree(int dirfd, const char *name)
{
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0) {
                DIR *d = fdopendir(fd);

                assert_non_null(d);
                for (const struct dirent *e; (e = readdir(d));)
                        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                                remove_tree(fd, e->d_name);
                closedir(d);
                (void)unlinkat(dirfd, name, AT_REMOVEDIR);
                return;
        }
        (void)unlinkat(dirfd, name, 0);
}

static inline int fixture_teardown(void **state)
{
        Fixture *f = *state;

        spool_free(f->spool);
        roster_deinit(&f->roster);
        json_decref(f->report.data);
        free(f->report.detail);
        remove_tree(AT_FDCWD, f->root);
        free(f);
        return 0;
}

static inline void inventory(Fixture *f, bool first, bool ran)
{
        report_reset(f);
        assert_int_equal(spool_inventory(f->spool, INCIDENT, &f->roster, first, ran, &f->report), 0);
        assert_null(f->report.detail);
}

static inline uint32_t index_of(const Fixture *f, unsigned store, const char *id)
{
        uint32_t i;

        assert_int_equal(roster_find(&f->roster, store, id, strlen(id), &i), 0);
        return i;
}

static inline const RosterEntry *entry_of(const Fixture *f, unsigned store, const char *id)
{
        return f->roster.entries + index_of(f, store, id);
}

static inline void place_held(Fixture *f, const MessageSet *held)
{
        report_reset(f);
        assert_int_equal(spool_place(f->spool, INCIDENT, &f->roster, held, STORE_ALL, &f->report), 0);
        assert_null(f->report.detail);
}

/* Everything back. */
static inline void place_none(Fixture *f)
{
        MessageSet none = {};

        place_held(f, &none);
}

/* As if nothing had happened in this directory for a while. */
static inline void grow_old(const Fixture *f, const char *below)
{
        const struct timespec times[2] = { { .tv_sec = 1700000000 }, { .tv_sec = 1700000000 } };

        assert_int_equal(utimensat(AT_FDCWD, at(f, below), times, 0), 0);
}

/* With the manifests that are made afterwards. */
static inline void set_aside(Fixture *f, size_t store)
{
        report_reset(f);
        assert_int_equal(spool_set_aside(f->spool, INCIDENT, &f->roster, store, &f->report), 0);
        for (size_t k = 0; k < f->service.n_stores; k++) {
                uint64_t n = 0;

                for (size_t i = 0; i < f->roster.n; i++)
                        n += f->roster.entries[i].store == k && f->roster.entries[i].place & PLACE_HOLD;
                if (store == STORE_ALL || store == k)
                        assert_int_equal(spool_manifest(f->spool, INCIDENT, k, n, &f->report), 0);
        }
        assert_null(f->report.detail);
}

/* Quarantines these; the result is the caller's. */
static inline SpoolQuarantine quarantine_set(Fixture *f, const MessageSet *set, const json_t *why)
{
        SpoolQuarantine q = { .incident = INCIDENT, .roster = &f->roster, .set = set, .why = why };

        report_reset(f);
        assert_int_equal(spool_quarantine(f->spool, &q, &f->report), 0);
        assert_null(f->report.detail);
        assert_int_equal(strv_length(q.ids), q.n);
        return q;
}

static inline void quarantine_forget(SpoolQuarantine *q)
{
        for (size_t i = 0; i < q->n; i++)
                message_deinit(q->messages + i);
        free(q->messages);
        strv_free(q->ids);
        *q = (SpoolQuarantine){};
}

/* A disk whose renames and new files of one name fail. */
typedef struct NameDisk {
        Disk disk;
        const char *name;
        int error;
} NameDisk;

static inline int name_rename(Disk *d, int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        const NameDisk *h = (const NameDisk *)d;

        return strcmp(o, h->name) == 0 ? h->error : disk_rename(disk_posix(), ofd, o, nfd, n, flags);
}

static inline int name_create(Disk *d, int dirfd, const char *name, int flags, mode_t mode)
{
        const NameDisk *h = (const NameDisk *)d;

        return strstr(name, h->name) ? h->error : disk_create(disk_posix(), dirfd, name, flags, mode);
}

/* The spool works on a disk on which @name fails with @error. */
static inline void fixture_fail(Fixture *f, NameDisk *d, const char *name, int error)
{
        static DiskOps ops;

        ops = *disk_posix()->ops;
        ops.rename = name_rename;
        ops.create = name_create;
        *d = (NameDisk){ .disk = { .ops = &ops }, .name = name, .error = error };
        f->spool->disk = &d->disk;
}
