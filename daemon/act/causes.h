#pragma once

/*
 * Causes: is it the configuration rather than a message? The checks of one service: its own programs
 * (ServiceSettings.causes), and those that unjamd makes itself: disk_full, permissions and disk_stuck of
 * its stores, rebuildable_state and stale_lock of what is configured there, other_supervisor.
 *
 * A veto counts only if its check passed while the service was last healthy: run with @healthy now and
 * then, and what failed even then is a note from then on; what had passed before, only once it has failed
 * for longer than it takes to miss waiting mail. Without such a baseline a veto is a veto. The baseline is
 * kept in memory.
 */

#include "base/runner.h"
#include "base/worker.h"
#include "model/evidence.h"
#include "model/settings.h"

typedef struct Causes Causes;

/*
 * @results are of the Causes until the next causes_run() or causes_free(); one for each configured check in
 * their order, then unjamd's own, found or not.
 */
typedef void (*CausesDone)(void *userdata, const CauseResult *results, size_t n);

/*
 * Everything is borrowed and outlives the Causes; @worker is one that may wait for the stores' disk.
 * Return: 0, -EINVAL for a pattern that does not compile, or another negated errno.
 */
int causes_new(Causes **ret, const ServiceSettings *service, Runner *runner, Worker *worker);
/* Cancels what is under way; done() is not called then. NULL is fine. */
Causes *causes_free(Causes *c);
/*
 * What evidence says of rebuildable state, for the next round: it is the cause rebuildable_state. Takes
 * @why; NULL: nothing.
 */
void causes_set_state(Causes *c, char *why);
/*
 * Runs all checks, four at a time. done() is called once, from the loop. @healthy: the service is healthy
 * now, so this is the baseline. Return: 0, -EBUSY while one is under way, or another negated errno.
 */
int causes_run(Causes *c, bool healthy, CausesDone done, void *userdata);
