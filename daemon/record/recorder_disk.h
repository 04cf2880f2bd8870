#pragma once

/*
 * The real Recorder: snapshots in state_dir/services, the audit trail, one worker thread for both.
 *
 * A disk that cannot be written does not keep the daemon from starting: commits then fail (the engine
 * observes and says so), and each tries anew, so that recording goes on as soon as the disk is back.
 */

#include "base/disk.h"
#include "record/audit.h"
#include "record/recorder.h"

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

typedef struct RecorderConfig {
        const char *state_dir;
        const char *audit_path;
        uint64_t audit_max_size;
        unsigned audit_keep;
        bool audit_journal; /* each record has its head in the journal too */
        gid_t group;        /* may read the audit trail; (gid_t)-1: nobody but root */
        Disk *disk;
} RecorderConfig;

/* What was found at start. It is in the audit trail too, as an alert record, but for @error. */
typedef struct RecorderFindings {
        int error; /* the record cannot be opened now: negated errno */
        AuditFindings audit;
        uint64_t replayed; /* records of a commit in whose middle unjamd died, appended now */
        char **damaged;    /* snapshot files that fail their checks; recorder_load() says -EBADMSG for them */
} RecorderFindings;

void recorder_findings_deinit(RecorderFindings *f);
/* A sentence for an alert, or NULL if there is nothing to report (or on ENOMEM). The caller frees it. */
char *recorder_findings_describe(const RecorderFindings *f);

/* Everything in @config is copied but the disk. @ret_findings must be all zero. Return: 0, -ENOMEM, or a
 * worker's errno. */
int recorder_disk_new(Recorder **ret, sd_event *event, const RecorderConfig *config,
                      RecorderFindings *ret_findings);
