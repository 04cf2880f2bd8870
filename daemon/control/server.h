#pragma once

/*
 * Server of the control socket, RUN_DIR/control: requests of unjamctl in, replies and events out. packet.h
 * has the protocol.
 *
 * root may ask for everything; members of the configured group may ask for what only reads (status, explain,
 * watch); anybody else is told so and let go. The socket's mode lets everyone connect: the permission is
 * checked against what the kernel says of the peer, supplementary groups included.
 *
 * `watch` with an optional "service" is dealt with here: after {"watching":true} the client gets every event
 * that is published, until it goes. Events:
 * {"event":"state|trial|message|progress|closed|alert","service","incident", ...}.
 */

#include "control/handler.h"

#include <systemd/sd-event.h>

typedef struct ControlServer ControlServer;

/* Clients at a time, root and readers together; one more is refused politely. */
#define CONTROL_CLIENTS_MAX 64
/* Requests of one client that are not answered yet. */
#define CONTROL_PENDING_MAX 16

/*
 * Listens. @run_dir is made if missing; a stale socket is replaced. @group may be NULL, or unknown: then only
 * root is heard. @handler is copied. Return: 0, -EADDRINUSE if another unjamd listens there, -EEXIST if there
 * is something that is no socket, another errno.
 */
int control_server_new(ControlServer **ret, sd_event *event, const char *run_dir, const char *group,
                       const ControlHandler *handler);
/* Closes all connections; replies that are still owed become no-ops. NULL is fine. */
ControlServer *control_server_free(ControlServer *s);

/* Publishes to those who watch. Valid as long as the server. */
Publisher control_server_publisher(ControlServer *s);
