#pragma once

/*
 * Recorder: the durable memory of the daemon.
 *
 * A commit makes, in this order: the block of memory and the snapshot of the service durable in state_dir,
 * then the audit records durable in the audit trail (with seq, time, boot, host, prev and hash added).
 * done(0) means all are on disk: only then may the engine act. Commits are carried out in the order in which
 * they were given, in a worker thread.
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

/*
 * What a service remembers besides its snapshot is a log of blocks. The snapshot that is committed with a
 * block says up to where the log counts: generation, and offset + MEMORY_BLOCK_HEADER + len.
 */
#define MEMORY_BLOCK_HEADER 48
typedef struct MemoryWrite {
        uint64_t generation; /* from 1; with the first commit of a new one the old ones go */
        uint64_t offset;     /* where the block begins; what lies there is of a commit that failed */
        uint8_t *block;      /* stolen; NULL: nothing to write */
        size_t len;
} MemoryWrite;
/* Return: 0 to go on, or a negated errno. */
typedef int (*MemoryVisitor)(void *userdata, const uint8_t *block, size_t len);

typedef struct Commit {
        const char *service;  /* whose snapshot; NULL: no snapshot */
        json_t *snapshot;     /* stolen; NULL with a service: it and the memory are removed */
        MemoryWrite memory;   /* of the same service */
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
        /* At start, too: the first @length bytes of a generation of its memory, block by block. -EBADMSG if
         * they are damaged. Blocking. */
        int (*recall)(Recorder *r, const char *service, uint64_t generation, uint64_t length,
                      MemoryVisitor visit, void *userdata);
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
static inline int recorder_recall(Recorder *r, const char *service, uint64_t generation, uint64_t length,
                                  MemoryVisitor visit, void *userdata)
{
        return r->ops->recall(r, service, generation, length, visit, userdata);
}
static inline Recorder *recorder_free(Recorder *r)
{
        return r ? r->ops->free(r) : NULL;
}
