#pragma once

/*
 * Unit: the systemd units of a service (OBSERVATION_SERVICE).
 *
 * Several units are one service: its state is that of the worst of them, in this order: failed, restarting,
 * unknown, stopping, starting, stopped, running. Restarts are summed; masked, operator_stop and
 * started_by_other hold if they hold for one; result, exit and main process are those of the unit that
 * decided.
 */

#include "observe/source.h"

#include <systemd/sd-bus.h>

/*
 * @units: NULL-terminated, borrowed; NULL means the settings' own. @destination: "org.freedesktop.systemd1",
 * or NULL on a connection that leads straight to systemd. @bus is referenced; NULL means that there is none
 * yet.
 */
int unit_source_new(Source **ret, const SourceContext *context, char *const *units, sd_bus *bus,
                    const char *destination);
/*
 * A new connection after the old one was lost (reported as RUN_UNKNOWN), or NULL. Begins to watch on it at
 * once. Return: 0 or a negated errno.
 */
int unit_source_set_bus(Source *source, sd_bus *bus);
/* Is there a connection? */
bool unit_source_is_connected(const Source *source);
