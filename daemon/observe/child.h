#pragma once

/*
 * Child: the main process of an embedded service (OBSERVATION_SERVICE), as run_dir/embedded/NAME.json names
 * it. The manager writes that file (act/manager_record.h says what is in it) before the program is executed,
 * and again, with "stopping", before it asks it to end; the source notices both by itself. After
 * source_expect() with ours, and until the next process, an end counts as asked for too.
 *
 * The source reaps the main process: whoever else waits for it does so by pidfd and without reaping
 * (WNOWAIT).
 */

#include "observe/source.h"

int child_source_new(Source **ret, const SourceContext *context, const char *run_dir);
