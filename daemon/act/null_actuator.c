/*
 * null_actuator - observe mode is a driver, not an if
 *
 * COLLECT and CLOSE only read, so they are handed on, as is the first start of an embedded service;
 * everything else is answered with RESULT_OBSERVED at once: the engine records what would have been done.
 *
 * Test: tests/unit/test_null_actuator.c
 */
#include "act/service_actuator.h"

#include <stdlib.h>

typedef struct NullActuator {
        Actuator actuator;
        Actuator *real;
} NullActuator;

/* The first start of an embedded service is no recovery: it belongs to no incident, and is done in
 * any mode. */
static bool is_harmless(const Action *a)
{
        return a->kind == ACTION_COLLECT || a->kind == ACTION_CLOSE ||
               (a->kind == ACTION_START && !a->incident[0]);
}

static int null_perform(Actuator *a, const Action *action, OutcomeHandler done, void *userdata)
{
        NullActuator *n = (NullActuator *)a;
        Outcome o = { .kind = action->kind,
                      .seq = action->seq,
                      .result = RESULT_OBSERVED,
                      .reason = REASON_OBSERVE_MODE };

        if (is_harmless(action))
                return actuator_perform(n->real, action, done, userdata);
        done(userdata, &o);
        return 0;
}

static void null_progress(Actuator *a, uint64_t *ret_done, uint64_t *ret_total)
{
        actuator_progress(((NullActuator *)a)->real, ret_done, ret_total);
}

static void null_interrupt(Actuator *a)
{
        (void)a; /* nothing is moved */
}

static int null_resolve(Actuator *a, const char *path, size_t *ret_store, const char **ret_id,
                        size_t *ret_len)
{
        return actuator_resolve(((NullActuator *)a)->real, path, ret_store, ret_id, ret_len);
}

static Actuator *null_free(Actuator *a)
{
        NullActuator *n = (NullActuator *)a;

        actuator_free(n->real);
        free(n);
        return NULL;
}

static const ActuatorOps null_ops = {
        .perform = null_perform,
        .progress = null_progress,
        .interrupt = null_interrupt,
        .resolve = null_resolve,
        .free = null_free,
};

int null_actuator_new(Actuator **ret, Actuator *real)
{
        NullActuator *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        n->actuator.ops = &null_ops;
        n->real = real;
        *ret = &n->actuator;
        return 0;
}
