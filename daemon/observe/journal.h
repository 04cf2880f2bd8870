#pragma once

/*
 * Journal: log entries that match a rule (OBSERVATION_LOG, one for each entry and matching rule).
 *
 * One reader follows the journal for all services; each service has a source of its own on it. Only entries
 * that journald itself marks as coming from a unit of the service are looked at.
 */

#include "base/disk.h"
#include "base/worker.h"
#include "observe/source.h"

typedef struct JournalReader JournalReader;

typedef struct JournalSpec {
        sd_event *event;
        Worker *worker;        /* reads the journal; outlives the reader */
        const char *directory; /* of journal files; NULL: the host's journal */
        const char
                *state_dir; /* keeps the cursor, so that a restart misses nothing; NULL: begin at the end */
        Disk *disk;         /* writes it; may be NULL without state_dir */
} JournalSpec;

int journal_reader_new(JournalReader **ret, const JournalSpec *spec);
/* Its sources are freed before. NULL is fine. Yields NULL. */
JournalReader *journal_reader_free(JournalReader *r);

/*
 * @units: NULL-terminated; NULL means the settings' own. Return: 0, -EINVAL for a rule that can't be
 * compiled, or another negated errno.
 */
int journal_source_new(Source **ret, const SourceContext *context, char *const *units, JournalReader *reader);
