#pragma once

/*
 * Reaper: collects orphans that came to unjamd as the subreaper, and that nobody else waits for.
 */

#include "base/clock.h"

#include <systemd/sd-event.h>

typedef struct Reaper Reaper;

/*
 * SIGCHLD must be blocked in all threads; one reaper for an event loop. A child is reaped once it has been a
 * zombie for @patience, and twice that at most. Return: 0 or a negated errno.
 */
int reaper_new(Reaper **ret, sd_event *event, usec_t patience);
Reaper *reaper_free(Reaper *r);
