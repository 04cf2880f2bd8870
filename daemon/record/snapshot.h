#pragma once

/*
 * Snapshot: the memory of one service in state_dir/services/NAME.json.
 *
 * The file is one line, {"pending":...,"sha256":...,"snapshot":...,"unjam":1}; sha256 is the digest of the
 * line without that member (record/chain.h). A file that fails any check is damaged, never half believed.
 *
 * "pending" closes the gap between the snapshot and the audit trail, which cannot be written in one step: it
 * holds the audit records of the commit that wrote this snapshot, that commit's number, and the seq of the
 * first of them. After a crash, a commit number above the one in audit-head.json means that the trail may
 * lack some of them: those with a seq above the trail's last are appended. One commit is under way at a time,
 * so at most one snapshot is in that position.
 */

#include "base/disk.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Snapshot {
        json_t *state; /* NULL: the service has none (the file only carries @records) */
        uint64_t commit;
        uint64_t seq;    /* of the first of @records */
        json_t *records; /* array of audit records without seq, prev and hash; may be empty */
} Snapshot;

void snapshot_deinit(Snapshot *s);
static inline void snapshot_deinitp(Snapshot *s)
{
        snapshot_deinit(s);
}

/* The file name for a service of any name: "imc.json", "a%2Fb.json". NULL on ENOMEM. */
char *snapshot_file_name(const char *service);

/* Replaces it durably. Borrows everything. Return: 0 or a negated errno; the old one is then intact. */
int snapshot_write(Disk *d, int dirfd, const char *file, const Snapshot *s);

#define SNAPSHOT_E_NONE 1

/* Reads it. Return: 0, SNAPSHOT_E_NONE if there is none, -EBADMSG if it is damaged, another errno. */
int snapshot_read(int dirfd, const char *file, Snapshot *ret);
