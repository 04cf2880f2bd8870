#pragma once

/*
 * Progress: how mail moves through the stores of a service (OBSERVATION_PROGRESS, one for each store).
 *
 * Each store is reported once when it has been counted, then, while something moves, at most every 250 ms,
 * and never while nothing does. After start and refresh the first report is a new beginning: what was set
 * aside or put back by unjamd counts as neither arrived nor departed.
 */

#include "base/worker.h"
#include "observe/source.h"

/* @worker waits for the stores' disk; it outlives the source. Return: 0 or a negated errno. */
int progress_source_new(Source **ret, const SourceContext *context, Worker *worker);
/* Why mail is only counted every 30 s (no inotify marks left, a network file system), or NULL.
 * UTF-8, static. */
const char *progress_source_note(const Source *source);
