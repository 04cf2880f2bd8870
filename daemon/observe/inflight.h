#pragma once

/*
 * Inflight: which message files the processes of a service have open, known even when one dies without
 * warning.
 *
 * Who wants to know asks for the history; all it reports by itself is that a process which opened messages
 * was killed by a signal (child_ends.h). Where the kernel or the file system does not let it watch, it does
 * nothing and says so (inflight_source_note()).
 */

#include "base/worker.h"
#include "observe/source.h"

typedef struct InflightSpec {
        Worker *worker; /* sets the marks; outlives the source */
        /* Is @pid, which may be dying, a process of the service? Asked once for each process; must
         * not block. */
        bool (*belongs)(void *userdata, pid_t pid);
        /* See child_ends.h. Must not block. NULL: nobody knows. */
        bool (*out_of_memory)(void *userdata);
        void *userdata;
        /* Files of the service were opened or closed: called once for many. NULL: nobody wants to know. */
        void (*touched)(void *userdata);
        void *touched_data;
} InflightSpec;

/*
 * Directories that come later are watched from the next refresh on. Return: 0 or a negated errno (not for a
 * lack of permission).
 */
int inflight_source_new(Source **ret, const SourceContext *context, const InflightSpec *spec);

typedef struct InflightSeen {
        const char *path; /* absolute, bytes: its last known name */
        bool open;        /* now, or when its process died (not by an exit with status 0) */
        bool closed;      /* opened and closed in good order, at least once */
} InflightSeen;
typedef void (*InflightHandler)(void *userdata, const InflightSeen *file);

/*
 * "closed" says that a process read the file and went on. It clears a message only where the process that
 * reads it is the one that works on it: a queue manager (Postfix, Exim's queue runner) opens and closes every
 * file of the queue long before any is delivered.
 *
 * Everything since the last mark; before the first one (and an hour after the last), what is open and what
 * was open when its process died in the last ten minutes.
 */
void inflight_source_history(Source *source, InflightHandler handler, void *userdata);
/* Begins anew: only what is open stays known. */
void inflight_source_mark(Source *source);

/* What is open: since when (monotonic) the one that has been for longest; USEC_INFINITY if none is. */
usec_t inflight_source_oldest(const Source *source);
/* Those that have been open since @before or longer. */
void inflight_source_held(const Source *source, usec_t before,
                          void (*handler)(void *userdata, const char *path, usec_t since), void *userdata);
/* No process has it open (its close was not heard of), as far as it is the one that was opened at @since. */
void inflight_source_forget(Source *source, const char *path, usec_t since);

/* Is the history whole? Notices may have been lost since the last mark: then "closed" and silence prove
 * nothing. */
bool inflight_source_is_complete(const Source *source);
/* Why nothing is watched, or less than all; NULL if all is well. UTF-8, static. */
const char *inflight_source_note(const Source *source);
