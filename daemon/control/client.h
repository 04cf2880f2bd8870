#pragma once

/*
 * Client of the control socket, for unjamctl. Blocks, up to the time it is given.
 */

#include "base/clock.h"

#include <jansson.h>
#include <stdbool.h>

typedef struct ControlClient ControlClient;

/* Return: 0; -ENOENT, -ECONNREFUSED: no daemon listens there; -EACCES ...: another errno. */
int control_client_new(ControlClient **ret, const char *run_dir);
ControlClient *control_client_free(ControlClient *c);
static inline void control_client_freep(ControlClient **c)
{
        control_client_free(*c);
}

/*
 * Asks (@args is stolen, may be NULL) and waits for the answer, whose body is the caller's. Return: 0,
 * whatever *@ret_ok says; -ETIMEDOUT; -EPIPE if the daemon has gone; -EBADMSG if it speaks otherwise.
 */
int control_client_call(ControlClient *c, const char *verb, json_t *args, usec_t timeout, bool *ret_ok,
                        json_t **ret_body);

/* After `watch`: the next event. Return: as above; -EINTR if a signal came. */
int control_client_next(ControlClient *c, usec_t timeout, json_t **ret_event);
