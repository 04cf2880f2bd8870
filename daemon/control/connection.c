/*
 * connection - one client of the control socket, as the server sees it
 *
 * Used by server.c. Guarantees: no call waits for the client; memory for one client is bounded (one reply of
 * any size, and CONNECTION_QUEUE_MAX of what comes after); gone() is called once, from the loop or from
 * within a send, and after it nothing is read or sent.
 *
 * Test: tests/unit/test_server.c
 */
#include "control/connection.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "control/packet.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Packets of one client that are taken in one go, so that others get their turn. */
#define PACKETS_A_TURN 16

typedef struct Queued {
        struct Queued *next;
        size_t len;
        char packet[];
} Queued;

struct Connection {
        ConnectionHandler handler;
        int fd;
        sd_event_source *io;
        sd_event_source *timer;
        Queued *first, **last;
        size_t queued; /* bytes */
        bool gone;
};

static void connection_go(Connection *c)
{
        if (c->gone)
                return;
        c->gone = true;
        (void)sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        c->handler.gone(c->handler.userdata, c);
}

static void connection_alive(Connection *c)
{
        (void)sd_event_source_set_time_relative(c->timer, CONNECTION_IDLE);
        (void)sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

/* Return: 0, or a negated errno for which the connection has to go. */
static int connection_flush(Connection *c)
{
        while (c->first) {
                Queued *q = c->first;
                ssize_t n = send(c->fd, q->packet, q->len, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
                        break;
                if (n < 0)
                        return -errno;
                c->first = q->next;
                if (!c->first)
                        c->last = &c->first;
                c->queued -= q->len;
                free(q);
                connection_alive(c);
        }
        return sd_event_source_set_io_events(c->io, EPOLLIN | (c->first ? EPOLLOUT : 0));
}

static void connection_receive(Connection *c)
{
        static char buf[CONTROL_PACKET_MAX]; /* one thread, and nothing is kept in it */

        for (int i = 0; i < PACKETS_A_TURN && !c->gone; i++) {
                struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
                struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
                ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        connection_go(c);
                        return;
                }
                connection_alive(c);
                c->handler.packet(c->handler.userdata, c, buf, (size_t)n, msg.msg_flags & MSG_TRUNC);
        }
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
        Connection *c = userdata;

        (void)s;
        (void)fd;
        if ((events & EPOLLOUT) && connection_flush(c) < 0) {
                connection_go(c);
                return 0;
        }
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                connection_receive(c);
        return 0;
}

static int on_idle(sd_event_source *s, uint64_t usec, void *userdata)
{
        Connection *c = userdata;

        (void)s;
        (void)usec;
        if (!c->first && c->handler.waits(c->handler.userdata, c))
                connection_alive(c);
        else
                connection_go(c);
        return 0;
}

int connection_new(Connection **ret, sd_event *event, int fd, const ConnectionHandler *handler)
{
        Connection *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return err_origin(-ENOMEM);
        c->handler = *handler;
        c->fd = -1;
        c->last = &c->first;
        r = sd_event_add_io(event, &c->io, fd, EPOLLIN, on_io, c);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, CONNECTION_IDLE,
                                               USEC_PER_SEC, on_idle, c);
        if (r < 0) {
                connection_free(c);
                return err_origin(r);
        }
        (void)sd_event_source_set_description(c->io, "control-client");
        (void)sd_event_source_set_description(c->timer, "control-client-idle");
        c->fd = fd;
        *ret = c;
        return 0;
}

Connection *connection_free(Connection *c)
{
        if (!c)
                return NULL;
        sd_event_source_unref(c->io);
        sd_event_source_unref(c->timer);
        while (c->first) {
                Queued *q = c->first;

                c->first = q->next;
                free(q);
        }
        closep(&c->fd);
        free(c);
        return NULL;
}

static int on_packet(void *userdata, const char *packet, size_t len)
{
        Connection *c = userdata;
        Queued *q = malloc(sizeof(*q) + len);

        if (!q)
                return err_origin(-ENOMEM);
        q->next = NULL;
        q->len = len;
        memcpy(q->packet, packet, len);
        *c->last = q;
        c->last = &q->next;
        c->queued += len;
        return 0;
}

int connection_send(Connection *c, int64_t id, bool ok, json_t *body)
{
        int r;

        if (c->gone)
                return -EPIPE;
        if (c->queued > CONNECTION_QUEUE_MAX) {
                connection_go(c);
                return -ENOBUFS;
        }
        r = packet_split(id, ok, body, on_packet, c);
        if (r == 0)
                r = connection_flush(c);
        if (r < 0) {
                /* Half a message would be worse than none. */
                connection_go(c);
                return err_trace(r);
        }
        return 0;
}

void connection_finish(Connection *c)
{
        if (c->gone)
                return;
        (void)connection_flush(c);
        connection_go(c);
}
