#pragma once

/*
 * Audit: the audit trail as it is written. One writer; everything here may wait for a disk (worker thread, or
 * before the loop runs). unjam-audit(7) describes the records, record/chain.h their hashes.
 *
 * An append is one write and one fsync of whole lines, then the head (last seq and hash) replaced durably in
 * state_dir/audit-head.json. Only then it counts. What was appended but does not count is cut away again.
 */

#include "base/disk.h"
#include "record/chain.h"
#include "record/recorder.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Audit Audit;

#define AUDIT_HEAD_FILE "audit-head.json"

typedef struct AuditHead {
        uint64_t seq;             /* of the last record; 0: none yet */
        char hash[CHAIN_HEX + 1]; /* of the last record; CHAIN_ZERO if none */
        uint64_t commit;          /* number of the last commit that was carried out; see record/snapshot.h */
        uint64_t first;           /* seq of the oldest record that rotation has kept; 0: none yet */
} AuditHead;

typedef struct AuditConfig {
        const char *path;      /* absolute; the directory is made if missing */
        const char *state_dir; /* where the head lies */
        uint64_t max_size;     /* rotate before a file would grow past it */
        unsigned keep;         /* rotated files */
        gid_t group;           /* may read the files; (gid_t)-1: nobody but root */
        Disk *disk;
} AuditConfig;

/* What opening found. All zero: nothing to report. */
typedef struct AuditFindings {
        uint64_t cut;          /* bytes of a torn end that were cut off ... */
        char *cut_text;        /* ... and what they said, as far as it goes, UTF-8 */
        uint64_t missing_from; /* records that the head knows and the files have lost; 0: none */
        uint64_t missing_to;
        bool head_lost; /* there are records, but no readable head */
} AuditFindings;

void audit_findings_deinit(AuditFindings *f);

/*
 * Opens the trail for appending and repairs it: a torn end is cut off; whole records that are newer than the
 * head are adopted; if the head knows records which the files have lost, the chain goes on from the head, so
 * that the loss stays visible for ever. @ret_findings must be all zero, and is to be deinited also on error.
 * Return: 0 or a negated errno.
 */
int audit_open(Audit **ret, const AuditConfig *config, AuditFindings *ret_findings);
Audit *audit_free(Audit *a);
static inline void audit_freep(Audit **a)
{
        audit_free(*a);
}

/*
 * Appends @records: objects with every member but "seq", "prev" and "hash", which are added here. With @n 0
 * only the head is written. @commit goes to the head. Return: 0 when all of it is durable; else a negated
 * errno, and nothing of it counts.
 */
int audit_append(Audit *a, json_t *const *records, size_t n, uint64_t commit);

const AuditHead *audit_head(const Audit *a);

/*
 * The object for @record with v, time, boot, host, event, service, incident and its members, which are taken
 * (also on error). NULL on ENOMEM, or if the event is none.
 */
json_t *audit_record_new(AuditRecord *record, const char *boot, const char *host);

#define AUDIT_E_NONE 1

/* The head as it lies in @dirfd. Return: 0, AUDIT_E_NONE if there is none, -EBADMSG if it is damaged, another
 * errno. */
int audit_head_read(int dirfd, AuditHead *ret);
