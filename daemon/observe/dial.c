/*
 * dial - a connection, or the kernel's word why there is none
 *
 * Used by the probes that talk to a socket. A connection by TCP goes on in the background; the socket says
 * when it stands. One to a local socket stands at once, or the server's queue of waiting connections is full:
 * the kernel then says EAGAIN and has nothing to wait for, so it is tried again until whoever dials gives up.
 * That makes a hung server with a full queue the same by both: no connection until the deadline.
 *
 * Test: tests/unit/test_dial.c.
 */
#include "observe/dial.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "observe/address.h"

#include <stdlib.h>
#include <sys/epoll.h>

#define AGAIN (50 * USEC_PER_MSEC)

struct Dial {
        Address address;
        int fd;
        sd_event_source *io, *again;
        DialDone done;
        void *userdata;
};

/* The Dial may be freed when this returns. */
static int dial_end(Dial *d, int r)
{
        d->done(d->userdata, r, r < 0 ? -1 : TAKE_FD(d->fd));
        return 0;
}

static int on_writable(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        Dial *d = userdata;
        int error = 0;
        socklen_t len = sizeof(error);

        (void)io;
        (void)revents;
        d->io = sd_event_source_disable_unref(d->io);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
        return dial_end(d, -error);
}

/* Return: 0 with the connection under way, -EAGAIN, or another negated errno. */
static int dial_try(Dial *d, sd_event *event)
{
        int fd = address_connect(&d->address);

        if (fd < 0)
                return fd;
        d->fd = fd;
        return sd_event_add_io(event, &d->io, fd, EPOLLOUT, on_writable, d);
}

static int dial_again(Dial *d)
{
        int r = sd_event_source_set_time_relative(d->again, AGAIN);

        return r < 0 ? r : sd_event_source_set_enabled(d->again, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *timer, uint64_t usec, void *userdata)
{
        Dial *d = userdata;

        (void)usec;
        int r = dial_try(d, sd_event_source_get_event(timer));
        if (r == -EAGAIN)
                r = dial_again(d);
        return r < 0 ? dial_end(d, r) : 0;
}

static int dial_begin(Dial *d, sd_event *event)
{
        int r = dial_try(d, event);

        if (r != -EAGAIN)
                return r < 0 ? r : 0;
        r = sd_event_add_time_relative(event, &d->again, CLOCK_MONOTONIC, AGAIN, USEC_PER_MSEC, on_again, d);
        return r < 0 ? r : 0;
}

int dial_start(Dial **ret, sd_event *event, const ProbeSettings *probe, DialDone done, void *userdata)
{
        Dial *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return err_origin(-ENOMEM);
        *d = (Dial){ .fd = -1, .done = done, .userdata = userdata };
        r = probe->address ? address_parse(probe->address, &d->address)
                           : address_of_path(probe->path, &d->address);
        if (r >= 0)
                r = dial_begin(d, event);
        if (r < 0) {
                dial_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

Dial *dial_free(Dial *d)
{
        if (!d)
                return NULL;
        sd_event_source_disable_unref(d->io);
        sd_event_source_disable_unref(d->again);
        closep(&d->fd);
        free(d);
        return NULL;
}
