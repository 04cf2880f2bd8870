#pragma once

/*
 * Logfile: lines of log files that match a rule, or cancel one, and gaps (OBSERVATION_LOG).
 *
 * One reader for all services, with one worker; each service that has rules on files has a source of its own
 * on it. Not a line is lost or reported twice across rotations of any kind, a restart of unjamd, or its
 * death; log_turn.c says how, and where that ends.
 */

#include "base/disk.h"
#include "base/worker.h"
#include "observe/source.h"

typedef struct LogReader LogReader;

typedef struct LogReaderSpec {
        sd_event *event;
        Worker *worker;        /* reads the files; outlives the reader */
        const char *state_dir; /* keeps positions; NULL: begin at the end each time */
        Disk *disk;            /* writes them; may be NULL without state_dir */
        uint64_t line_max;     /* as much of a line is matched */
        usec_t line_wait;      /* an unfinished line is judged when nothing came for so long; 0: 5 s */
} LogReaderSpec;

int log_reader_new(LogReader **ret, const LogReaderSpec *spec);
/* Its sources are freed before. NULL is fine. Yields NULL. */
LogReader *log_reader_free(LogReader *r);

/* Return: 0, -EINVAL for a rule that can't be compiled, or another negated errno. */
int logfile_source_new(Source **ret, const SourceContext *context, LogReader *reader);
