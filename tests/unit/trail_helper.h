#pragma once

/* A temporary audit trail for tests, and a disk that can be told to fail. */

#include "base/disk.h"
#include "base/file.h"
#include "record/audit.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Forwards to the real disk; the @fail_at-th call from now (1: the next) fails, with half a write
 * done first. */
typedef struct FlakyDisk {
        Disk disk;
        unsigned calls;
        unsigned fail_at; /* 0: never */
        bool persistent;
        int error;
} FlakyDisk;

typedef struct Fixture {
        char dir[64];
        char path[96]; /* of the trail */
        FlakyDisk flaky;
} Fixture;

static inline int flaky_fails(Disk *d)
{
        FlakyDisk *f = (FlakyDisk *)d;

        f->calls++;
        if (f->fail_at == 0 || f->calls < f->fail_at || (f->calls > f->fail_at && !f->persistent))
                return 0;
        return f->error;
}

static inline int flaky_create(Disk *d, int dirfd, const char *name, int flags, mode_t mode)
{
        int r = flaky_fails(d);

        return r < 0 ? r : disk_create(disk_posix(), dirfd, name, flags, mode);
}

static inline int flaky_write(Disk *d, int fd, const void *buf, size_t len)
{
        int r = flaky_fails(d);

        if (r < 0) {
                (void)disk_write(disk_posix(), fd, buf, len / 2);
                return r;
        }
        return disk_write(disk_posix(), fd, buf, len);
}

static inline int flaky_sync(Disk *d, int fd)
{
        int r = flaky_fails(d);

        return r < 0 ? r : disk_sync(disk_posix(), fd);
}

static inline int flaky_rename(Disk *d, int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        int r = flaky_fails(d);

        return r < 0 ? r : disk_rename(disk_posix(), ofd, o, nfd, n, flags);
}

static inline int flaky_mkdir(Disk *d, int dirfd, const char *name, mode_t mode)
{
        int r = flaky_fails(d);

        return r < 0 ? r : disk_mkdir(disk_posix(), dirfd, name, mode);
}

static inline int flaky_remove(Disk *d, int dirfd, const char *name, int flags)
{
        int r = flaky_fails(d);

        return r < 0 ? r : disk_remove(disk_posix(), dirfd, name, flags);
}

static inline int fixture_setup(void **state)
{
        static const DiskOps ops = { .create = flaky_create,
                                     .write = flaky_write,
                                     .sync = flaky_sync,
                                     .rename = flaky_rename,
                                     .mkdir = flaky_mkdir,
                                     .remove = flaky_remove };
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        snprintf(f->dir, sizeof(f->dir), "/tmp/unjam-test.XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/audit.jsonl", f->dir);
        f->flaky = (FlakyDisk){ .disk.ops = &ops, .error = -ENOSPC };
        *state = f;
        return 0;
}

static inline int fixture_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static inline int fixture_teardown(void **state)
{
        Fixture *f = *state;
        int r = nftw(f->dir, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);

        free(f);
        return r;
}

static inline AuditConfig fixture_config(Fixture *f)
{
        return (AuditConfig){ .path = f->path,
                              .state_dir = f->dir,
                              .max_size = 1 << 20,
                              .keep = 3,
                              .group = (gid_t)-1,
                              .disk = &f->flaky.disk };
}

static inline json_t *fixture_record(const char *text)
{
        AuditRecord r = { .event = AUDIT_OPERATOR,
                          .service = "imc",
                          .wall = 1000000,
                          .members = json_pack("{s:{s:s}}", "data", "text", text) };
        json_t *j = audit_record_new(&r, "b", "h");

        assert_non_null(j);
        return j;
}

/* Appends one record. */
static inline int fixture_append(Audit *a, const char *text)
{
        json_t *j = fixture_record(text);
        int r = audit_append(a, &j, 1, audit_head(a)->commit + 1);

        json_decref(j);
        return r;
}

/* A trail of @n records "0", "1" ... in fresh files. */
static inline void fixture_fill(Fixture *f, const AuditConfig *config, unsigned n)
{
        AuditFindings findings = { 0 };
        Audit *a = NULL;

        (void)f;
        assert_int_equal(audit_open(&a, config, &findings), 0);
        audit_findings_deinit(&findings);
        for (unsigned i = 0; i < n; i++) {
                char text[16];

                snprintf(text, sizeof(text), "%u", i);
                assert_int_equal(fixture_append(a, text), 0);
        }
        audit_free(a);
}

static inline char *fixture_read(const char *path)
{
        char *text = NULL;
        size_t len;

        assert_int_equal(file_read(AT_FDCWD, path, 1 << 24, &text, &len), 0);
        return text;
}

static inline void fixture_write(const char *path, const char *text, size_t len)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
}
