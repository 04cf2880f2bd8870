#pragma once

/*
 * Connection: one client of the control socket, as the server sees it: packets in, a bounded queue of packets
 * out. Never blocks. A client that does not read, or says nothing, is let go after a while.
 */

#include "base/clock.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct Connection Connection;

/* Let go when what waits to be sent has grown past this. */
#define CONNECTION_QUEUE_MAX (4 * 1024 * 1024)
/* Let go after so long without a packet in either direction, unless it waits for us. */
#define CONNECTION_IDLE (60 * USEC_PER_SEC)

typedef struct ConnectionHandler {
        void *userdata;
        /* A packet came. @truncated: it was larger than CONTROL_PACKET_MAX. The connection may be freed
         * meanwhile. */
        void (*packet)(void *userdata, Connection *c, const char *packet, size_t len, bool truncated);
        /* It is gone, or is to go: free it (now or later). Called once. */
        void (*gone)(void *userdata, Connection *c);
        /* May silence go on? (a reply is still to come, or it watches) */
        bool (*waits)(void *userdata, Connection *c);
} ConnectionHandler;

/* Consumes @fd if it returns 0. @handler is copied. */
int connection_new(Connection **ret, sd_event *event, int fd, const ConnectionHandler *handler);
Connection *connection_free(Connection *c);

/*
 * Queues a message (@body is borrowed). Return: 0; -ENOBUFS if the queue is full (the connection is then on
 * its way out); -EPIPE if it already was; -ENOMEM.
 */
int connection_send(Connection *c, int64_t id, bool ok, json_t *body);
/* Sends what is queued, as far as that goes without waiting, and closes. */
void connection_finish(Connection *c);
