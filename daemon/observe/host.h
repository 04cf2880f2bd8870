#pragma once

/*
 * Host: what concerns all services at once (OBSERVATION_HOST): the host goes down, or its clock was set.
 *
 * One source for each service, so that each is told; they share nothing.
 */

#include "observe/source.h"

#include <systemd/sd-bus.h>

/*
 * @bus: a connection on which systemd's signals arrive, or NULL: then only the clock is watched. @destination
 * as for unit_source_new(); with one, logind is listened to as well.
 */
int host_source_new(Source **ret, const SourceContext *context, sd_bus *bus, const char *destination);
/* A new connection, or NULL. */
int host_source_set_bus(Source *source, sd_bus *bus);
