/*
 * error - the way an error took, printed on request
 *
 * See error.h for the convention. Nothing is printed unless UNJAM_TRACE is set: library code does not log.
 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int error_report(int r, const char *kind, const char *file, int line)
{
        if (r < 0 && getenv("UNJAM_TRACE"))
                fprintf(stderr, "%s:%d: %s: %s\n", file, line, kind, strerror(-r));
        return r;
}
