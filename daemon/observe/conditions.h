#pragma once

/*
 * Conditions: what of the host explains a fault of a service (OBSERVATION_CONDITIONS, all of them at each
 * look).
 *
 * It looks when it is asked to and once at the start, never by itself.
 */

#include "base/worker.h"
#include "observe/host_look.h"
#include "observe/source.h"

#include <systemd/sd-bus.h>

typedef struct ConditionsSpec {
        Worker *worker;     /* waits for the disks; outlives the source */
        HostLook look;      /* taken over */
        char *const *units; /* that the service depends on; borrowed, may be NULL */
        sd_bus *bus;        /* or NULL: then these are not looked at */
        const char *destination;
} ConditionsSpec;

/* Return: 0 or a negated errno; @spec->look is taken over in any case. */
int conditions_source_new(Source **ret, const SourceContext *context, ConditionsSpec *spec);
/* Looks now; one look at a time, and the answer comes later, from the loop. */
void conditions_source_look(Source *source);
