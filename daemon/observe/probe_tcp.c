/*
 * probe_tcp - does the service accept a connection? (tcp, unix)
 *
 * Started by the scheduler (probe.c). The connection is closed as soon as it stands. A refused or reset
 * connection is a failure with the kernel's words; a service whose accept queue is full lets it run into the
 * deadline.
 *
 * Tests: tests/unit/test_probe.c.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "observe/attempt.h"
#include "observe/dial.h"

#include <string.h>

typedef struct TcpAttempt {
        Attempt attempt;
        AttemptSpec spec;
        Dial *dial;
} TcpAttempt;

static void on_dialled(void *userdata, int r, int fd)
{
        TcpAttempt *t = userdata;

        closep(&fd);
        t->spec.done(t->spec.userdata, r >= 0, r < 0 ? strerror(-r) : "");
}

static const char *tcp_waits_for(const Attempt *a)
{
        (void)a;
        return "the connection";
}

static void tcp_free(Attempt *a)
{
        TcpAttempt *t = (TcpAttempt *)a;

        dial_free(t->dial);
        free(t);
}

static const AttemptOps tcp_ops = { .waits_for = tcp_waits_for, .free = tcp_free };

int probe_tcp_start(Attempt **ret, const AttemptSpec *spec)
{
        TcpAttempt *t = calloc(1, sizeof(*t));

        if (!t)
                return err_origin(-ENOMEM);
        t->attempt.ops = &tcp_ops;
        t->spec = *spec;
        int r = dial_start(&t->dial, spec->event, spec->probe, on_dialled, t);
        if (r < 0) {
                tcp_free(&t->attempt);
                return r;
        }
        *ret = &t->attempt;
        return 0;
}
