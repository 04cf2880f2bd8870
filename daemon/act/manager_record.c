/*
 * manager_record - the record of an embedded service
 *
 * Written by manager_embedded; read by it at start, and by observe/child (which reads the file, not this
 * module). See manager_record.h for the members. Diagnostics: a record of an earlier boot, as a run_dir that
 * is no tmpfs keeps it, is no record. Tests: tests/unit/test_manager_record.c.
 */
#include "act/manager_record.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/json.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define RECORD_SIZE_MAX (64 * 1024)

void embedded_record_deinit(EmbeddedRecord *r)
{
        free(r->cgroup);
        free(r->invocation);
        *r = (EmbeddedRecord){ 0 };
}

int embedded_record_copy(EmbeddedRecord *dst, const EmbeddedRecord *src)
{
        EmbeddedRecord r = *src;

        r.cgroup = strdup_null(src->cgroup);
        r.invocation = strdup_null(src->invocation);
        if ((src->cgroup && !r.cgroup) || (src->invocation && !r.invocation)) {
                embedded_record_deinit(&r);
                return err_origin(-ENOMEM);
        }
        *dst = r;
        return 0;
}

static int file_name(const char *service, char **ret)
{
        if (strchr(service, '/') || service[0] == '.')
                return err_origin(-EINVAL);
        return asprintf(ret, "%s.json", service) < 0 ? err_origin(-ENOMEM) : 0;
}

static int boot_id(char ret[SD_ID128_STRING_MAX])
{
        sd_id128_t id;

        int r = sd_id128_get_boot(&id);
        if (r < 0)
                return err_origin(r);
        sd_id128_to_string(id, ret);
        return 0;
}

static int record_parse(const json_t *j, EmbeddedRecord *ret)
{
        const char *boot, *invocation, *cgroup = NULL;
        json_int_t pid = 0, start = 0, started = 0;
        char now[SD_ID128_STRING_MAX];
        int stopping = 0;

        if (json_unpack((json_t *)j, "{s:s, s:s, s?s, s:I, s:I, s:I, s?b}", "boot", &boot, "invocation",
                        &invocation, "cgroup", &cgroup, "pid", &pid, "start", &start, "started", &started,
                        "stopping", &stopping) < 0)
                return err_origin(-EBADMSG);
        if (pid <= 0 || pid > INT32_MAX || start < 0 || started < 0)
                return err_origin(-EBADMSG);

        int r = boot_id(now);
        if (r < 0)
                return err_trace(r);
        if (strcmp(boot, now) != 0)
                return EMBEDDED_RECORD_E_NONE;

        EmbeddedRecord borrowed = {
                .main = { .pid = (pid_t)pid, .start = (uint64_t)start },
                .cgroup = (char *)cgroup,
                .invocation = (char *)invocation,
                .started = (usec_t)started,
                .stopping = stopping,
        };
        return err_trace(embedded_record_copy(ret, &borrowed));
}

int embedded_record_read(const char *run_dir, const char *service, EmbeddedRecord *ret)
{
        _cleanup_(freep) char *path = NULL, *name = NULL, *text = NULL;
        _cleanup_(closep) int dir = -1;
        size_t len;

        int r = file_name(service, &name);
        if (r < 0)
                return err_trace(r);
        if (asprintf(&path, "%s/embedded", run_dir) < 0)
                return err_origin(-ENOMEM);
        dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return errno == ENOENT ? EMBEDDED_RECORD_E_NONE : err_origin(-errno);
        r = file_read(dir, name, RECORD_SIZE_MAX, &text, &len);
        if (r == -ENOENT)
                return EMBEDDED_RECORD_E_NONE;
        if (r < 0)
                return err_trace(r);

        json_t *j = json_parse(text, len);
        r = j ? record_parse(j, ret) : err_origin(errno == ENOMEM ? -ENOMEM : -EBADMSG);
        json_decref(j);
        return r;
}

int embedded_record_write(const char *run_dir, const char *service, const EmbeddedRecord *record)
{
        _cleanup_(freep) char *path = NULL, *name = NULL, *text = NULL;
        _cleanup_(closep) int dir = -1;
        char boot[SD_ID128_STRING_MAX];

        int r = file_name(service, &name);
        if (r == 0)
                r = boot_id(boot);
        if (r < 0)
                return err_trace(r);
        json_t *j = json_pack("{s:s, s:s, s:s*, s:i, s:I, s:I, s:b}", "boot", boot, "invocation",
                              record->invocation, "cgroup", record->cgroup, "pid", (int)record->main.pid,
                              "start", (json_int_t)record->main.start, "started", (json_int_t)record->started,
                              "stopping", record->stopping);
        text = j ? json_text(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(j);
        if (!text || asprintf(&path, "%s/embedded", run_dir) < 0)
                return err_origin(-ENOMEM);

        dir = dir_ensure(disk_posix(), path, 0755);
        if (dir < 0)
                return err_trace(dir);
        return err_trace(file_replace(disk_posix(), dir, name, text, strlen(text), 0644));
}
