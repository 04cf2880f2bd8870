#pragma once

/*
 * Return codes, everywhere in the daemon:
 *
 *   < 0   fatal for the caller, always a negated errno. It is forwarded unchanged; nobody interprets it.
 *   0     success.
 *   > 0   a condition that the function documents as MODULE_E_SOMETHING. The caller must handle it, and never
 *         forwards it: the numbers mean something else in the next function.
 *
 * err_origin() marks where a fatal code is born, err_trace() where it passes by, err_fold() turns an
 * unhandled positive code into a fatal one. With UNJAM_TRACE=1 in the environment they print the way an error
 * took.
 */

#include <errno.h>

void error_report(int r, const char *kind, const char *file, int line);

/* Inline, so that whoever reads the caller, a static analyser too, sees that the code passes unchanged. */
static inline int error_pass(int r, const char *kind, const char *file, int line)
{
        if (r < 0)
                error_report(r, kind, file, line);
        return r;
}

/* Both yield @r unchanged. */
#define err_origin(r) error_pass((r), "origin", __FILE__, __LINE__)
#define err_trace(r)  error_pass((r), "trace", __FILE__, __LINE__)
/* A positive code that has no handler here is a bug of ours: -ENOTRECOVERABLE. Others pass. */
#define err_fold(r) error_pass((r) > 0 ? -ENOTRECOVERABLE : (r), "fold", __FILE__, __LINE__)
