#pragma once

/*
 * Child: the main process of an embedded service (OBSERVATION_SERVICE), as run_dir/embedded/NAME.json names
 * it. The manager writes that file (act/manager_record.h says what is in it) before the program is executed,
 * and again, with "stopping", before it asks it to end; the source notices both by itself.
 *
 * The source reaps the main process: whoever else waits for it does so by pidfd and without reaping
 * (WNOWAIT).
 */

#include "observe/source.h"

int child_source_new(Source **ret, const SourceContext *context, const char *run_dir);
/*
 * @stopping: from now on the end of the process is asked for, and is reported as RUN_STOPPED and not as
 * RUN_FAILED, whatever the file says. It holds until the next start, or until it is taken back.
 */
void child_source_expect(Source *source, bool stopping);
