#pragma once

/*
 * Recorder: the durable memory of the daemon.
 *
 * A commit makes, in this order: the snapshot of the service durable in state_dir, then the audit records
 * durable in the audit trail (with seq, time, boot, host, prev and hash added). done(0) means both are on
 * disk: only then may the engine act. Commits are carried out in the order in which they were given, in a
 * worker thread.
 *
 * If a commit fails, nothing of it counts: the audit trail is cut back to the last whole record before the
 * next one.
 */

#include "model/words.h"

#include <jansson.h>
#include <stdint.h>

typedef struct Recorder Recorder;

typedef struct AuditRecord {
        AuditEvent event;
        const char *service;  /* or NULL */
        const char *incident; /* or NULL */
        /*
         * Further top-level members (from, to, reason, action, result, error, data); stolen, may be NULL.
         * "time" is added from @wall.
         */
        json_t *members;
        uint64_t wall;
} AuditRecord;

typedef struct Commit {
        const char *service;  /* whose snapshot; NULL: no snapshot */
        json_t *snapshot;     /* stolen; NULL with a service: the snapshot is removed */
        AuditRecord *records; /* members stolen */
        size_t n_records;
} Commit;

typedef void (*CommitDone)(void *userdata, int r);

typedef struct RecorderOps {
        /* Takes everything marked stolen, also on error. Return: 0 or a negated errno (done is not called
         * then). */
        int (*commit)(Recorder *r, Commit *c, CommitDone done, void *userdata);
        /* At start, before the loop runs: the snapshot of a service, or NULL in *@ret. Blocking. */
        int (*load)(Recorder *r, const char *service, json_t **ret);
        Recorder *(*free)(Recorder *r);
} RecorderOps;

struct Recorder {
        const RecorderOps *ops;
};

static inline int recorder_commit(Recorder *r, Commit *c, CommitDone done, void *userdata)
{
        return r->ops->commit(r, c, done, userdata);
}
static inline int recorder_load(Recorder *r, const char *service, json_t **ret)
{
        return r->ops->load(r, service, ret);
}
static inline Recorder *recorder_free(Recorder *r)
{
        return r ? r->ops->free(r) : NULL;
}
