#pragma once

/*
 * World: everything real that one configuration needs, put together: engine, managers, actuators, sources,
 * workers. Part of main; nobody else includes it. A reload makes a new one in place of the old.
 */

#include "control/handler.h"
#include "engine.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct World World;

/* What outlives a World; all borrowed. */
typedef struct WorldContext {
        sd_event *event;
        sd_bus *bus; /* NULL: no systemd on this host */
        Recorder *recorder;
        AlertSink alerts;
        Publisher publisher;
        int (*reload)(void *userdata, char **ret_error);
        void (*facts)(void *userdata, DaemonFacts *ret);
        void *userdata;
} WorldContext;

/* @settings is referenced. Return: 0, or a negated errno with *@ret_error (caller frees). */
int world_new(World **ret, const WorldContext *context, Settings *settings, char **ret_error);
World *world_free(World *w);
/* Goes on with what was open, then begins to watch. */
int world_start(World *w);
Engine *world_engine(World *w);

/* Does the service manager know this unit? Blocking; for the check of a configuration. */
bool bus_unit_exists(sd_bus *bus, const char *unit);
