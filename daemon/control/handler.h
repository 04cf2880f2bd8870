#pragma once

/*
 * Between the control socket's server and whoever answers (the engine): one request, one reply, perhaps
 * later.
 */

#include <jansson.h>
#include <stdbool.h>

typedef struct ControlReply ControlReply;

typedef struct ControlRequest {
        const char *verb;   /* "status", "explain", "pause" ... */
        const json_t *args; /* object; borrowed. Members: service, for_usec, reason, id, incident, target, all
                               ... */
        bool may_act;       /* the peer is root (SO_PEERCRED) */
        const char *peer;   /* "uid 0 pid 123", for the audit */
} ControlRequest;

/*
 * Answers. @ok false: refused, @body is then {"error": what and what to do, "reason": ...}. Exactly one
 * answer ends a request. @body is stolen. May be called after handle() has returned; a client that went away
 * makes it a no-op.
 */
struct ControlReply {
        void (*answer)(ControlReply *reply, bool ok, json_t *body);
};

static inline void control_reply(ControlReply *reply, bool ok, json_t *body)
{
        reply->answer(reply, ok, body);
}

typedef struct ControlHandler {
        void *userdata;
        void (*handle)(void *userdata, const ControlRequest *request, ControlReply *reply);
} ControlHandler;

/* How the engine tells those who `watch`: an object per change (see control/server.h). Stolen. NULL: nobody
 * listens. */
typedef struct Publisher {
        void *userdata;
        void (*publish)(void *userdata, json_t *event);
} Publisher;
