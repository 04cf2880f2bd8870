#pragma once

/*
 * Dial: connects to where a probe is aimed at, without ever waiting in the call.
 */

#include "model/settings.h"

#include <systemd/sd-event.h>

typedef struct Dial Dial;

/*
 * From the loop, once. @r: 0 with a connected, non-blocking socket in @fd, which is the callee's; or a
 * negated errno. The callee may free the Dial.
 */
typedef void (*DialDone)(void *userdata, int r, int fd);

/*
 * To @probe's address, or its path if it has none. Whoever dials keeps the deadline. Return: 0, or a negated
 * errno with which it could not begin (a refused connection may be such a one; done() is not called then).
 */
int dial_start(Dial **ret, sd_event *event, const ProbeSettings *probe, DialDone done, void *userdata);
/* Hangs up if it is not done yet. NULL is fine. Yields NULL. */
Dial *dial_free(Dial *d);
