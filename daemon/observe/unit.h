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
#include "observe/systemd_signals.h"

/*
 * @units: NULL-terminated, borrowed; NULL means the settings' own. @signals outlives the source.
 * Return: 0 or a negated errno.
 */
int unit_source_new(Source **ret, const SourceContext *context, char *const *units, SystemdSignals *signals);
