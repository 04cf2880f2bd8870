#pragma once

/*
 * Capture: what a program writes to its standard output and error, up to RUN_OUTPUT_MAX bytes; the rest is
 * read and thrown away, so that the program never waits for us. Used by the runners.
 */

#include <stddef.h>
#include <systemd/sd-event.h>

typedef struct Capture {
        int fd; /* the pipe's end that we read, or -1 */
        sd_event_source *source;
        char *data; /* NUL-terminated once anything came */
        size_t len;
} Capture;

#define CAPTURE_NULL                                                                                         \
        {                                                                                                    \
                .fd = -1                                                                                     \
        }

/*
 * Begins to read. *@ret_fd is the end for the program (CLOEXEC, blocking): the caller's, to be closed once
 * the program has it. @c must stay where it is until capture_deinit().
 */
int capture_init(Capture *c, sd_event *event, int *ret_fd);
/*
 * Takes what is in the pipe now, without waiting for its end: a program that has exited may have left
 * somebody behind who holds the pipe open.
 */
void capture_drain(Capture *c);
/* Twice is fine. The data goes, too. */
void capture_deinit(Capture *c);
