/*
 * probe_tcp - does the service accept a connection?
 *
 * Started by the scheduler (probe.c). The connection is closed as soon as it stands. A refused or reset
 * connection is a failure with the kernel's words; a service whose accept queue is full lets it run into the
 * deadline.
 *
 * Tests: tests/unit/test_probe.c.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "observe/address.h"
#include "observe/attempt.h"

#include <string.h>
#include <sys/epoll.h>

typedef struct TcpAttempt {
        Attempt attempt;
        AttemptSpec spec;
        int fd;
        sd_event_source *io;
} TcpAttempt;

static int on_connected(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        TcpAttempt *t = userdata;
        int error = 0;
        socklen_t len = sizeof(error);

        (void)revents;
        (void)sd_event_source_set_enabled(io, SD_EVENT_OFF);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        t->spec.done(t->spec.userdata, error == 0, error ? strerror(error) : "");
        return 0;
}

static const char *tcp_waits_for(const Attempt *a)
{
        (void)a;
        return "the connection";
}

static void tcp_free(Attempt *a)
{
        TcpAttempt *t = (TcpAttempt *)a;

        sd_event_source_disable_unref(t->io);
        closep(&t->fd);
        free(t);
}

static const AttemptOps tcp_ops = { .waits_for = tcp_waits_for, .free = tcp_free };

int probe_tcp_start(Attempt **ret, const AttemptSpec *spec)
{
        Address address;
        int r = address_parse(spec->probe->address, &address);

        if (r < 0)
                return err_trace(r);
        TcpAttempt *t = calloc(1, sizeof(*t));
        if (!t)
                return err_origin(-ENOMEM);
        t->attempt.ops = &tcp_ops;
        t->spec = *spec;
        t->fd = address_connect(&address);
        r = t->fd < 0 ? t->fd : sd_event_add_io(spec->event, &t->io, t->fd, EPOLLOUT, on_connected, t);
        if (r < 0) {
                tcp_free(&t->attempt);
                return r;
        }
        *ret = &t->attempt;
        return 0;
}
