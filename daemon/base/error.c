/*
 * error - the way an error took, printed on request
 *
 * See error.h for the convention. Nothing is printed unless UNJAM_TRACE is set: library code does not log.
 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void error_report(int r, const char *kind, const char *file, int line)
{
        if (getenv("UNJAM_TRACE"))
                (void)fprintf(stderr, "%s:%d: %s: %s\n", file, line, kind, strerror(-r));
}
