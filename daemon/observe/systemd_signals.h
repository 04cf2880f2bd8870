#pragma once

/*
 * SystemdSignals: systemd's signals about jobs, unit files and the shutdown, for all who listen.
 *
 * One for a connection. A bus allows a connection some hundred matches (512 on Debian), so that each source
 * must not have its own for what is the same for all.
 */

#include "base/turns.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct SystemdSignals SystemdSignals;

/* Embedded in who listens. Members of it that are NULL are not called; none may free the SystemdSignals. */
typedef struct SignalListener SignalListener;
struct SignalListener {
        void *userdata;
        /* Matches are in place on a new connection, or systemd is a new one: whatever is known is old. */
        void (*connected)(void *userdata);
        void (*lost)(void *userdata); /* the connection */
        void (*job_new)(void *userdata, const char *unit, uint32_t id, const char *path);
        void (*job_removed)(void *userdata, uint32_t id, const char *result);
        void (*files)(void *userdata);                 /* unit files have changed, or were read anew */
        void (*shutdown)(void *userdata, bool begins); /* logind's word */

        SystemdSignals *signals; /* NULL: it does not listen; these two are the SystemdSignals' own */
        SignalListener *next;
};

/*
 * @destination: "org.freedesktop.systemd1", or NULL on a connection that leads straight to systemd. @bus is
 * referenced; NULL means that there is none yet. Return: 0 or -ENOMEM.
 */
int systemd_signals_new(SystemdSignals **ret, sd_bus *bus, const char *destination);
/* Nobody may listen any more. */
SystemdSignals *systemd_signals_free(SystemdSignals *s);

/* A new connection after the old one was lost, or NULL. connected() is called. Return: 0 or a
 * negated errno. */
int systemd_signals_set_bus(SystemdSignals *s, sd_bus *bus);
/* The connection, or NULL; and how systemd is called on it. */
sd_bus *systemd_signals_bus(const SystemdSignals *s);
const char *systemd_signals_destination(const SystemdSignals *s);
/* Of whoever calls systemd on the connection for each of many units. */
Turns *systemd_signals_turns(SystemdSignals *s);

/*
 * @l hears of everything from now on. Matches and subscription are sent with the first one, and before
 * anything that the caller sends afterwards. Return: 0 or a negated errno.
 */
int systemd_signals_listen(SystemdSignals *s, SignalListener *l);
/* Does nothing for one that does not listen. */
void systemd_signals_leave(SignalListener *l);
