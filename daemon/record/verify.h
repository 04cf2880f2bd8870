#pragma once

/*
 * Verify: is the audit trail what was written? Reads every record once, line by line, over all rotated files.
 *
 * What it can see: a record that was changed, dropped, inserted or moved, by the chain; a missing end, by the
 * head in state_dir. What no chain can see is somebody who is root and makes chain and head anew; for him
 * there are the heads in the journal (MESSAGE_ID of ALERT_AUDIT_RECORD, UNJAM_SEQ and UNJAM_HASH).
 */

#include "record/chain.h"

#include <stdint.h>

typedef enum VerifyFault {
        VERIFY_INTACT,
        VERIFY_CHANGED,
        VERIFY_DROPPED,
        VERIFY_INSERTED,
        VERIFY_REORDERED,
        VERIFY_TAIL_MISSING,
        VERIFY_TORN,        /* the last line has no end: unjamd died in the middle of a write */
        VERIFY_NOT_IN_HEAD, /* whole records after the head: unjamd died between the two, or somebody appended
                             */
        _VERIFY_FAULT_MAX,
} VerifyFault;

typedef struct VerifyResult {
        VerifyFault fault;
        uint64_t records;             /* good ones, up to the fault */
        uint64_t first_seq, last_seq; /* of those; 0: none */
        char hash[CHAIN_HEX + 1];     /* of the last of those */
        uint64_t seq;                 /* the first record that is concerned; 0: cannot be told */
        char *file;                   /* where, or NULL */
        uint64_t line;
        char *text;     /* one sentence for people: what, where. NULL if intact */
        int head_error; /* 0: compared with the head; else why not (-ENOENT, -EACCES, -EBADMSG ...) */
} VerifyResult;

void verify_result_deinit(VerifyResult *r);

/* "intact", "changed", "dropped" ... */
const char *verify_fault_to_string(VerifyFault f);

/*
 * @path is the trail's current file; @state_dir has the head. Return: 0 if the question could be answered,
 * whatever the answer; else a negated errno. @ret is to be deinited if 0 was returned.
 */
int audit_verify(const char *path, const char *state_dir, VerifyResult *ret);
