#pragma once

/*
 * Heartbeat: when a service last gave a sign of life, by a file that it touches or by datagrams.
 *
 * It must beat at least once in its probe's interval; a beat may be late by the probe's timeout. What counts
 * is when a beat was seen, by the monotonic clock: setting the clock makes nobody look dead.
 */

#include "model/settings.h"

#include <systemd/sd-event.h>
#include <time.h>

typedef struct Heartbeat Heartbeat;

typedef struct HeartbeatSpec {
        sd_event *event;
        const ProbeSettings *probe;
        const char *service; /* the name of the socket, if the probe has no path */
        const char *run_dir; /* the socket is in run_dir/heartbeat */
        /* Is @pid a process of the service? Root may always beat. */
        bool (*belongs)(void *userdata, pid_t pid);
        void *userdata;
} HeartbeatSpec;

/* Everything in @spec is borrowed. Return: 0 or a negated errno. */
int heartbeat_new(Heartbeat **ret, const HeartbeatSpec *spec);
Heartbeat *heartbeat_free(Heartbeat *h);

/* By datagrams: the socket listens. */
bool heartbeat_listens(const Heartbeat *h);
/* The file was looked at: its time of last change. */
void heartbeat_file(Heartbeat *h, const struct timespec *mtime, const Now *now);
/* Is it alive? If not, @detail says since when it has been silent. */
bool heartbeat_judge(const Heartbeat *h, usec_t mono, char *detail, size_t size);
