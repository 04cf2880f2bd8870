/*
 * client - asks the daemon over the control socket
 *
 * Used by unjamctl. One request at a time. When a wait runs out or the daemon goes, the connection is of no
 * use any more.
 *
 * Test: tests/unit/test_server.c
 */
#include "control/client.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "control/packet.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct ControlClient {
        int fd;
        int64_t id; /* of the last request */
        PacketJoin join;
        char buf[CONTROL_PACKET_MAX];
};

ControlClient *control_client_free(ControlClient *c)
{
        if (!c)
                return NULL;
        packet_join_deinit(&c->join);
        closep(&c->fd);
        free(c);
        return NULL;
}

static int client_connect(int fd, const char *run_dir)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(closep) int dirfd = -1;

        dirfd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dirfd < 0)
                return err_origin(-errno);
        /* See server.c: an address holds 107 bytes. */
        if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", run_dir, CONTROL_SOCKET) >=
            sizeof(address.sun_path))
                snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dirfd,
                         CONTROL_SOCKET);
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return err_origin(-errno);
        return 0;
}

int control_client_new(ControlClient **ret, const char *run_dir)
{
        _cleanup_(control_client_freep) ControlClient *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return err_origin(-ENOMEM);
        c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return err_origin(-errno);
        r = client_connect(c->fd, run_dir);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

/* Waits for one packet. A signal is reported only if @interruptible. */
static int client_receive(ControlClient *c, usec_t deadline, bool interruptible, size_t *ret_len)
{
        for (;;) {
                struct pollfd p = { .fd = c->fd, .events = POLLIN };
                usec_t left = deadline == USEC_INFINITY ? USEC_INFINITY : usec_sub(deadline, now_read().mono);
                usec_t ms = left == USEC_INFINITY ? 0 : left / USEC_PER_MSEC + 1;
                int wait = left == USEC_INFINITY ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
                ssize_t n;

                if (left == 0)
                        return -ETIMEDOUT;
                n = poll(&p, 1, wait);
                if (n < 0 && errno == EINTR && interruptible)
                        return -EINTR;
                if (n < 0 && errno != EINTR)
                        return err_origin(-errno);
                if (n <= 0)
                        continue;
                n = recv(c->fd, c->buf, sizeof(c->buf), MSG_DONTWAIT);
                /* ECONNRESET comes once, before what the daemon said last: it closed without reading our
                 * request. */
                if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET))
                        continue;
                if (n < 0)
                        return err_origin(-errno);
                if (n == 0)
                        return -EPIPE;
                *ret_len = (size_t)n;
                return 0;
        }
}

/* One whole message that belongs to the last request, or to none (the daemon says why it lets go). */
static int client_message(ControlClient *c, usec_t timeout, bool interruptible, bool *ret_ok,
                          json_t **ret_body)
{
        usec_t deadline = timeout == USEC_INFINITY ? USEC_INFINITY : usec_add(now_read().mono, timeout);

        for (;;) {
                json_t *body;
                int64_t id;
                size_t len = 0;
                bool ok;
                int r;

                r = client_receive(c, deadline, interruptible, &len);
                if (r < 0)
                        return r;
                r = packet_join(&c->join, c->buf, len, &id, &ok, &body);
                if (r < 0)
                        return err_trace(r);
                if (r == PACKET_E_MORE)
                        continue;
                if (id == c->id || id == 0) {
                        *ret_ok = ok;
                        *ret_body = body;
                        return 0;
                }
                json_decref(body);
        }
}

int control_client_call(ControlClient *c, const char *verb, json_t *args, usec_t timeout, bool *ret_ok,
                        json_t **ret_body)
{
        _cleanup_(freep) char *text = NULL;
        json_t *request;

        request = json_pack("{s:I, s:s, s:o}", "id", (json_int_t)++c->id, "verb", verb, "args",
                            args ? args : json_object());
        text = request ? json_dumps(request, JSON_COMPACT) : NULL;
        json_decref(request);
        if (!text)
                return err_origin(-ENOMEM);
        if (strlen(text) > CONTROL_PACKET_MAX)
                return err_origin(-EMSGSIZE);
        /* A daemon that refuses us has said why and gone: then the answer is there to be read. */
        if (send(c->fd, text, strlen(text), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
                return err_origin(-errno);
        return client_message(c, timeout, false, ret_ok, ret_body);
}

int control_client_next(ControlClient *c, usec_t timeout, json_t **ret_event)
{
        bool ok;

        return client_message(c, timeout, true, &ok, ret_event);
}
