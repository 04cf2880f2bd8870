#pragma once

/*
 * UnitWatch: one systemd unit, followed over D-Bus: its state, and who asked it to start or stop.
 */

#include "base/turns.h"
#include "observe/unit_state.h"

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct UnitWatch UnitWatch;

typedef struct UnitWatchSpec {
        sd_event *event;
        Turns *turns;                    /* for calls to systemd; NULL: no limit */
        const char *name;                /* "postfix@-.service"; borrowed */
        void (*changed)(void *userdata); /* something about it is new */
        void *userdata;
} UnitWatchSpec;

int unit_watch_new(UnitWatch **ret, const UnitWatchSpec *spec);
UnitWatch *unit_watch_free(UnitWatch *u);

/* Follows it on @bus from now on, or (NULL) no more. Its state is unknown until it has been read. */
void unit_watch_attach(UnitWatch *u, sd_bus *bus, const char *destination);
/* Reads all properties anew. */
int unit_watch_fetch(UnitWatch *u);
/* The manager's JobNew and JobRemoved, for any unit; those of others are passed over. */
void unit_watch_job_new(UnitWatch *u, const char *unit, uint32_t id, const char *path);
void unit_watch_job_removed(UnitWatch *u, uint32_t id, const char *result);
/* See SourceOps.expect. @alone: it is the service's only unit, so that @invocation can be no other unit's. */
void unit_watch_expect(UnitWatch *u, bool ours, const char *invocation, bool alone);

/* Has its state been read since it was attached? */
bool unit_watch_is_known(const UnitWatch *u);
/* Has it processes of which nobody tells when they end? */
bool unit_watch_is_blind(const UnitWatch *u);
/* Everything but "since". Strings are the watch's, until the next change. */
void unit_watch_status(const UnitWatch *u, ServiceStatus *ret);
/* When its state changed last, on our monotonic clock. */
usec_t unit_watch_changed(const UnitWatch *u);
