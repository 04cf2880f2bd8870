/*
 * capture - the output of a program, bounded
 *
 * Called by runner_fork and runner_systemd. Guarantees: nothing here waits; at most RUN_OUTPUT_MAX bytes are
 * kept, whatever the program writes; one wake-up of the loop reads a bounded amount, so a program that writes
 * without end does not starve the rest of the daemon.
 *
 * Diagnostics: without memory the output stays empty; a run is not failed for that.
 */
#include "base/capture.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/runner.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

/* Reads of this size, so many per wake-up: 1 MiB, the largest pipe there is for users. */
#define CHUNK  (16 * 1024)
#define CHUNKS 64

/* One read. Return: is there perhaps more? */
static bool chunk_read(Capture *c)
{
        char chunk[CHUNK];
        ssize_t n;

        do
                n = read(c->fd, chunk, sizeof(chunk));
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return false;
        if (n <= 0) {
                /* The end; without this the loop would be told of it for ever. */
                c->source = sd_event_source_disable_unref(c->source);
                return false;
        }
        if (!c->data)
                c->data = calloc(1, RUN_OUTPUT_MAX + 1);
        if (c->data) {
                size_t room = RUN_OUTPUT_MAX - c->len, take = (size_t)n < room ? (size_t)n : room;

                memcpy(c->data + c->len, chunk, take);
                c->len += take;
        }
        return true;
}

void capture_drain(Capture *c)
{
        for (int i = 0; c->fd >= 0 && i < CHUNKS; i++)
                if (!chunk_read(c))
                        break;
}

static int capture_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void)source;
        (void)fd;
        (void)revents;
        capture_drain(userdata);
        return 0;
}

int capture_init(Capture *c, sd_event *event, int *ret_fd)
{
        _cleanup_(closep) int ours = -1, theirs = -1;
        int fds[2], r;

        *c = (Capture)CAPTURE_NULL;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_origin(-errno);
        ours = fds[0];
        theirs = fds[1];
        /* Only our end: a program may take EAGAIN on its output for an error. */
        if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
                return err_origin(-errno);
        r = sd_event_add_io(event, &c->source, ours, EPOLLIN, capture_on_io, c);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(c->source, "program output");
        c->fd = TAKE_FD(ours);
        *ret_fd = TAKE_FD(theirs);
        return 0;
}

void capture_deinit(Capture *c)
{
        c->source = sd_event_source_disable_unref(c->source);
        closep(&c->fd);
        free(c->data);
        *c = (Capture)CAPTURE_NULL;
}
