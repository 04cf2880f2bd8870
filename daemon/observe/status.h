#pragma once

/*
 * Status: the service as its own programs see it, for manager "command" (OBSERVATION_SERVICE): the status
 * program on an interval, and the process that the pidfile names, whose end is noticed at once.
 *
 *      status exits with     means
 *      0                     running
 *      3, no pidfile left    stopped, by an operator unless it was unjamd's doing
 *      3, pidfile there      failed: who stops a service in good order removes it
 *      4                     unknown (LSB), or stopping (OpenRC): unknown
 *      8                     starting (OpenRC)
 *      anything else         failed (LSB: 1 and 2, dead with a pid or lock file left; OpenRC: 32, crashed)
 *      no exit in time       unknown
 *
 * When the process of the pidfile ends, and another one has its place at the next look, a supervisor (runit,
 * s6) has restarted it: that is reported as restarting, then running, with one restart more. What tells a
 * stop from a crash is the pidfile, so an end that may be a stop's is looked at STATUS_GRACE later, when
 * whoever stops it has removed the file. One that is known to be a crash (exit status, SIGSEGV; Linux tells
 * from 6.15 on, or while its parent has not collected it) is looked at now, and is one wherever the pidfile
 * is.
 *
 * A service without a pidfile whose status program says 3 after a crash cannot be told from one that was
 * stopped.
 */

#include "base/runner.h"
#include "base/worker.h"
#include "observe/source.h"

#define STATUS_INTERVAL (15 * USEC_PER_SEC)
#define STATUS_TIMEOUT  (10 * USEC_PER_SEC)
#define STATUS_GRACE    (1 * USEC_PER_SEC)

/* @worker reads the pidfile. Without a status program, the pidfile alone decides; without either it is
 * -EINVAL. */
int status_source_new(Source **ret, const SourceContext *context, Runner *runner, Worker *worker);
