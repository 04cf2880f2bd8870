/*
 * recorder_disk - snapshots and audit trail, durably, in one worker thread
 *
 * Made by main.c; the engine speaks to it through recorder.h. commit() copies what it is given in the loop,
 * so that the thread shares no JSON value with the engine; everything else runs in the thread, one commit
 * after the other:
 *
 *   1. the block of memory is durable; it counts only when 2 is done  (memory_file.h)
 *   2. the snapshot with the commit's records in it is durable        (snapshot.h says why they are in it)
 *   3. the records are durable in the trail, then the head with the commit's number
 *   4. a service without a snapshot loses its files; memory of older generations goes
 *
 * A crash after 2 is mended at the next open: what the trail lacks is appended. A failure in 3 takes the
 * snapshot back to what it was; while that fails too, no other commit is tried.
 */
#include "record/recorder_disk.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/worker.h"
#include "record/journal.h"
#include "record/memory_file.h"
#include "record/snapshot.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

#define SERVICES_DIR  "services"
#define ROLLBACK_MAX  (UINT64_C(1) << 30)
#define SNAPSHOT_MODE 0600

typedef struct CommitJob CommitJob;

/* A snapshot that belongs to a failed commit, and what was there before. */
typedef struct Rollback {
        char *file; /* NULL: nothing to do */
        char *text; /* NULL: there was no file */
        size_t len;
} Rollback;

typedef struct RecorderDisk {
        Recorder recorder;
        Worker *worker;
        CommitJob *jobs; /* all that were given to the worker; the loop's */
        /* Written by new() and then by the thread alone. */
        char *state_dir, *audit_path;
        uint64_t max_size;
        unsigned keep;
        bool journal;
        gid_t group;
        Disk *disk;
        char boot[SD_ID128_STRING_MAX];
        char host[256];
        int servicesfd;
        Audit *audit; /* NULL: not open */
        uint64_t last_commit;
        Rollback rollback;
} RecorderDisk;

struct CommitJob {
        Job job;
        RecorderDisk *recorder;
        CommitJob *next, **link;
        char *service, *file; /* of the snapshot; NULL: none */
        json_t *state;
        MemoryWrite memory;
        json_t *records; /* array */
        CommitDone done;
        void *userdata;
};

static void rollback_deinit(Rollback *b)
{
        free(b->file);
        free(b->text);
        *b = (Rollback){ 0 };
}

/* Opening, in new() or in the thread */

typedef int (*SnapshotVisitor)(void *userdata, const char *file, const Snapshot *s, int r);

/* Every snapshot file, with what reading it gave. */
static int snapshots_visit(const RecorderDisk *rd, SnapshotVisitor visit, void *userdata)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *e;
        int r = dir_stream_at(rd->servicesfd, ".", &dir);

        if (r < 0)
                return err_origin(r);
        while ((errno = 0, e = readdir(dir))) {
                _cleanup_(snapshot_deinitp) Snapshot s = { 0 };
                size_t len = strlen(e->d_name);

                if (len <= 5 || e->d_name[0] == '.' || strcmp(e->d_name + len - 5, ".json") != 0)
                        continue;
                r = snapshot_read(rd->servicesfd, e->d_name, &s);
                if (r == -ENOMEM)
                        return r;
                if (r == SNAPSHOT_E_NONE)
                        continue;
                r = visit(userdata, e->d_name, &s, r);
                if (r < 0)
                        return r;
        }
        return err_origin(-errno);
}

/* The oldest commit above @after whose records the trail may lack. */
typedef struct Unsettled {
        uint64_t after;
        uint64_t highest; /* of all commits seen */
        char *file;
        Snapshot snapshot;
        RecorderFindings *findings;
} Unsettled;

static int visit_unsettled(void *userdata, const char *file, const Snapshot *s, int r)
{
        Unsettled *u = userdata;
        char *copy;

        if (r < 0) {
                if (strv_contains(u->findings->damaged, file))
                        return 0;
                return err_trace(strv_append(&u->findings->damaged, file));
        }
        if (s->commit > u->highest)
                u->highest = s->commit;
        if (s->commit <= u->after || json_array_size(s->records) == 0 ||
            (u->file && u->snapshot.commit <= s->commit))
                return 0;
        copy = strdup(file);
        if (!copy)
                return err_origin(-ENOMEM);
        free(u->file);
        u->file = copy;
        snapshot_deinit(&u->snapshot);
        u->snapshot = *s;
        json_incref(s->state);
        json_incref(s->records);
        return 0;
}

/* Appends those of @s->records that the trail has not got. */
static int settle(RecorderDisk *rd, const Snapshot *s, RecorderFindings *f)
{
        size_t n = json_array_size(s->records), have = 0;
        uint64_t last = audit_head(rd->audit)->seq;
        json_t **missing;
        int r;

        if (last >= s->seq)
                have = last - s->seq + 1 > n ? n : (size_t)(last - s->seq + 1);
        missing = calloc(n - have + 1, sizeof(*missing));
        if (!missing)
                return err_origin(-ENOMEM);
        for (size_t i = have; i < n; i++)
                missing[i - have] = json_array_get(s->records, i);
        r = audit_append(rd->audit, missing, n - have, s->commit);
        free(missing);
        if (r < 0)
                return r;
        f->replayed += n - have;
        return 0;
}

static int settle_all(RecorderDisk *rd, RecorderFindings *f)
{
        for (;;) {
                Unsettled u = { .after = audit_head(rd->audit)->commit, .findings = f };
                int r;

                r = snapshots_visit(rd, visit_unsettled, &u);
                if (r == 0 && u.file)
                        r = settle(rd, &u.snapshot, f);
                if (r == 0 && u.file && !u.snapshot.state)
                        (void)disk_remove(rd->disk, rd->servicesfd, u.file, 0);
                if (u.highest > rd->last_commit)
                        rd->last_commit = u.highest;
                if (!u.file)
                        return r;
                free(u.file);
                snapshot_deinit(&u.snapshot);
                if (r < 0)
                        return err_trace(r);
        }
}

/* What was found goes into the trail itself. */
static int findings_record(RecorderDisk *rd, const RecorderFindings *f)
{
        _cleanup_(freep) char *text = recorder_findings_describe(f);
        AuditRecord record = { .event = AUDIT_ALERT, .wall = now_read().wall };
        json_t *damaged, *j;
        int r = 0;

        if (!text)
                return 0;
        damaged = json_array();
        for (size_t i = 0; f->damaged && f->damaged[i]; i++)
                json_array_append_new(damaged, json_string(f->damaged[i]));
        record.members = json_pack(
                "{s:{s:s, s:s, s:I, s:s*, s:I, s:I, s:b, s:I, s:o}}", "data", "kind",
                f->audit.cut == 0 && f->audit.missing_to == 0 && !f->audit.head_lost ? "state_damaged"
                                                                                     : "audit_damaged",
                "text", text, "cut_bytes", (json_int_t)f->audit.cut, "cut_text", f->audit.cut_text,
                "missing_from", (json_int_t)f->audit.missing_from, "missing_to",
                (json_int_t)f->audit.missing_to, "head_lost", f->audit.head_lost, "replayed",
                (json_int_t)f->replayed, "damaged", damaged);
        j = record.members ? audit_record_new(&record, rd->boot, rd->host) : NULL;
        if (!j)
                return err_origin(-ENOMEM);
        r = audit_append(rd->audit, &j, 1, ++rd->last_commit);
        json_decref(j);
        return r;
}

static int recorder_open_services(RecorderDisk *rd)
{
        _cleanup_(freep) char *path = NULL;
        int fd;

        if (asprintf(&path, "%s/%s", rd->state_dir, SERVICES_DIR) < 0)
                return err_origin(-ENOMEM);
        fd = dir_ensure(rd->disk, path, 0700);
        if (fd < 0)
                return err_trace(fd);
        closep(&rd->servicesfd);
        rd->servicesfd = fd;
        return 0;
}

static int recorder_open(RecorderDisk *rd, RecorderFindings *f)
{
        const AuditConfig config = {
                .path = rd->audit_path,
                .state_dir = rd->state_dir,
                .max_size = rd->max_size,
                .keep = rd->keep,
                .group = rd->group,
                .disk = rd->disk,
        };
        int r;

        r = recorder_open_services(rd);
        if (r < 0)
                return r;
        r = audit_open(&rd->audit, &config, &f->audit);
        if (r < 0)
                return r;
        rd->last_commit = audit_head(rd->audit)->commit;
        r = settle_all(rd, f);
        if (r == 0)
                r = findings_record(rd, f);
        if (r < 0)
                rd->audit = audit_free(rd->audit);
        return r;
}

/* Commits, in the thread */

static int rollback_do(RecorderDisk *rd)
{
        Rollback *b = &rd->rollback;
        int r;

        if (!b->file)
                return 0;
        if (b->text)
                r = file_replace(rd->disk, rd->servicesfd, b->file, b->text, b->len, SNAPSHOT_MODE);
        else
                r = disk_remove(rd->disk, rd->servicesfd, b->file, 0);
        if (r < 0 && !(r == -ENOENT && !b->text))
                return err_trace(r);
        rollback_deinit(b);
        return 0;
}

/* Remembers what @file says now. */
static int rollback_prepare(RecorderDisk *rd, const char *file)
{
        Rollback b = { .file = strdup(file) };
        int r;

        if (!b.file)
                return err_origin(-ENOMEM);
        r = file_read(rd->servicesfd, file, ROLLBACK_MAX, &b.text, &b.len);
        if (r < 0 && r != -ENOENT) {
                rollback_deinit(&b);
                return err_trace(r);
        }
        rd->rollback = b;
        return 0;
}

static int commit_snapshot(CommitJob *c, uint64_t commit)
{
        RecorderDisk *rd = c->recorder;
        const Snapshot s = {
                .state = c->state,
                .commit = commit,
                .seq = audit_head(rd->audit)->seq + 1,
                .records = c->records,
        };
        int r;

        r = rollback_prepare(rd, c->file);
        if (r < 0)
                return r;
        r = snapshot_write(rd->disk, rd->servicesfd, c->file, &s);
        if (r < 0)
                (void)rollback_do(
                        rd); /* the rename may have been done, and only the sync after it have failed */
        return r;
}

static int commit_records(CommitJob *c, uint64_t commit)
{
        RecorderDisk *rd = c->recorder;
        size_t n = json_array_size(c->records);
        json_t **records;
        int r;

        records = calloc(n + 1, sizeof(*records));
        if (!records)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++)
                records[i] = json_array_get(c->records, i);
        r = audit_append(rd->audit, records, n, commit);
        free(records);
        return r;
}

/* What no snapshot speaks of any more. If this fails, a file without a state is read as none, and memory of
 * another generation is not read. */
static void commit_sweep(const CommitJob *c)
{
        const RecorderDisk *rd = c->recorder;

        if (c->file && !c->state)
                (void)disk_remove(rd->disk, rd->servicesfd, c->file, 0);
        if (c->file && (!c->state || (c->memory.block && c->memory.offset == 0)))
                (void)memory_file_sweep(rd->disk, rd->servicesfd, c->service,
                                        c->state ? c->memory.generation : 0);
}

static int commit_run(Job *job)
{
        CommitJob *c = (CommitJob *)job;
        RecorderDisk *rd = c->recorder;
        RecorderFindings findings = { 0 };
        uint64_t commit;
        int r = 0;

        if (!rd->audit)
                r = recorder_open(rd, &findings);
        recorder_findings_deinit(&findings);
        if (r == 0)
                r = rollback_do(rd);
        if (r < 0)
                return r;
        if (c->memory.block)
                r = memory_file_write(rd->disk, rd->servicesfd, c->service, &c->memory);
        if (r < 0)
                return r;
        commit = ++rd->last_commit;
        if (c->file) {
                r = commit_snapshot(c, commit);
                if (r < 0)
                        return r;
        }
        r = commit_records(c, commit);
        if (r < 0) {
                (void)rollback_do(rd);
                return r;
        }
        rollback_deinit(&rd->rollback);
        commit_sweep(c);
        if (rd->journal) {
                size_t i;
                json_t *record;

                json_array_foreach(c->records, i, record) journal_send_record(record);
        }
        return 0;
}

/* The port, in the loop */

static void commit_job_free(CommitJob *c)
{
        *c->link = c->next;
        if (c->next)
                c->next->link = c->link;
        free(c->service);
        free(c->file);
        free(c->memory.block);
        json_decref(c->state);
        json_decref(c->records);
        free(c);
}

static void commit_done(Job *job, int r)
{
        CommitJob *c = (CommitJob *)job;
        CommitDone done = c->done;
        void *userdata = c->userdata;

        commit_job_free(c);
        if (done)
                done(userdata, r);
}

/* Takes the records' members; the copies share nothing with what the engine may still hold. */
static int commit_copy(CommitJob *c, const RecorderDisk *rd, Commit *commit)
{
        bool complete = true;

        c->memory = commit->memory;
        commit->memory.block = NULL;
        c->records = json_array();
        for (size_t i = 0; i < commit->n_records; i++) {
                json_t *record = audit_record_new(&commit->records[i], rd->boot, rd->host);
                json_t *copy = record ? json_deep_copy(record) : NULL;

                json_decref(record);
                if (!copy || json_array_append_new(c->records, copy) < 0)
                        complete = false;
        }
        if (commit->service) {
                c->service = strdup(commit->service);
                c->file = snapshot_file_name(commit->service);
                c->state = json_deep_copy(commit->snapshot);
                if (!c->service || !c->file || (commit->snapshot && !c->state))
                        complete = false;
        }
        json_decref(commit->snapshot);
        commit->snapshot = NULL;
        return c->records && complete ? 0 : err_origin(-ENOMEM);
}

static int recorder_disk_commit(Recorder *recorder, Commit *commit, CommitDone done, void *userdata)
{
        RecorderDisk *rd = (RecorderDisk *)recorder;
        CommitJob *c = calloc(1, sizeof(*c));
        int r;

        if (!c) {
                json_decref(commit->snapshot);
                free(commit->memory.block);
                for (size_t i = 0; i < commit->n_records; i++)
                        json_decref(commit->records[i].members);
                return err_origin(-ENOMEM);
        }
        c->job.run = commit_run;
        c->job.done = commit_done;
        c->recorder = rd;
        c->done = done;
        c->userdata = userdata;
        c->next = rd->jobs;
        c->link = &rd->jobs;
        if (c->next)
                c->next->link = &c->next;
        rd->jobs = c;
        r = commit_copy(c, rd, commit);
        if (r == 0)
                r = worker_submit(rd->worker, &c->job);
        if (r < 0)
                commit_job_free(c);
        return err_trace(r);
}

static int recorder_disk_load(Recorder *recorder, const char *service, json_t **ret)
{
        RecorderDisk *rd = (RecorderDisk *)recorder;
        _cleanup_(snapshot_deinitp) Snapshot s = { 0 };
        _cleanup_(freep) char *file = snapshot_file_name(service);
        int r;

        if (!file)
                return err_origin(-ENOMEM);
        if (rd->servicesfd < 0)
                return err_origin(-EIO); /* nobody knows whether there is one */
        r = snapshot_read(rd->servicesfd, file, &s);
        if (r < 0)
                return r;
        *ret = r == SNAPSHOT_E_NONE ? NULL : TAKE_PTR(s.state);
        return 0;
}

static int recorder_disk_recall(Recorder *recorder, const char *service, uint64_t generation, uint64_t length,
                                MemoryVisitor visit, void *userdata)
{
        RecorderDisk *rd = (RecorderDisk *)recorder;

        if (rd->servicesfd < 0)
                return err_origin(-EIO);
        return err_trace(memory_file_read(rd->servicesfd, service, generation, length, visit, userdata));
}

static Recorder *recorder_disk_free(Recorder *recorder)
{
        RecorderDisk *rd = (RecorderDisk *)recorder;

        worker_free(rd->worker);
        while (rd->jobs)
                commit_job_free(rd->jobs);
        audit_free(rd->audit);
        rollback_deinit(&rd->rollback);
        closep(&rd->servicesfd);
        free(rd->state_dir);
        free(rd->audit_path);
        free(rd);
        return NULL;
}

static const RecorderOps recorder_disk_ops = {
        .commit = recorder_disk_commit,
        .load = recorder_disk_load,
        .recall = recorder_disk_recall,
        .free = recorder_disk_free,
};

int recorder_disk_new(Recorder **ret, sd_event *event, const RecorderConfig *config,
                      RecorderFindings *ret_findings)
{
        RecorderDisk *rd = calloc(1, sizeof(*rd));
        sd_id128_t boot;
        int r = -ENOMEM;

        if (!rd)
                return err_origin(-ENOMEM);
        rd->recorder.ops = &recorder_disk_ops;
        rd->servicesfd = -1;
        rd->max_size = config->audit_max_size;
        rd->keep = config->audit_keep;
        rd->journal = config->audit_journal;
        rd->group = config->group;
        rd->disk = config->disk;
        rd->state_dir = strdup(config->state_dir);
        rd->audit_path = strdup(config->audit_path);
        if (!rd->state_dir || !rd->audit_path)
                goto fail;
        if (sd_id128_get_boot(&boot) < 0)
                boot = SD_ID128_NULL; /* a container that hides it */
        sd_id128_to_string(boot, rd->boot);
        if (gethostname(rd->host, sizeof(rd->host) - 1) < 0 || !text_is_utf8(rd->host, strlen(rd->host)))
                memcpy(rd->host, "localhost", sizeof("localhost"));
        r = worker_new(&rd->worker, event, "record");
        if (r < 0)
                goto fail;
        /* Before the loop runs; the thread has nothing to do yet. */
        ret_findings->error = recorder_open(rd, ret_findings);
        if (ret_findings->error == -ENOMEM) {
                r = -ENOMEM;
                goto fail;
        }
        *ret = &rd->recorder;
        return 0;
fail:
        recorder_disk_free(&rd->recorder);
        return err_trace(r);
}
