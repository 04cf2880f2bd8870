#pragma once

/* Run words: what became of a program that a probe has started, in words. */

#include "base/runner.h"

/* Exit status 0, in time. */
bool run_is_good(const RunResult *result);
/* Why it is not, with the end of what it said, UTF-8. NULL on ENOMEM. */
char *run_failure(const char *program, const RunResult *result);
/* "KIND-SERVICE" with what the name of a run may hold. NULL on ENOMEM. */
char *run_name(const char *kind, const char *service);
