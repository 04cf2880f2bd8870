/*
 * Observe mode hands reading on, and answers "observed" to what would act.
 */
#include "act/service_actuator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Real {
        Actuator actuator;
        unsigned performed;
        bool freed;
} Real;

static int perform(Actuator *a, const Action *action, OutcomeHandler done, void *userdata)
{
        const Outcome o = { .kind = action->kind, .result = RESULT_DONE };

        ((Real *)a)->performed++;
        done(userdata, &o);
        return 0;
}

static void progress(Actuator *a, uint64_t *ret_done, uint64_t *ret_total)
{
        (void)a;
        *ret_done = 3;
        *ret_total = 4;
}

static void interrupt(Actuator *a)
{
        (void)a;
        fail(); /* nothing is moved that could be interrupted */
}

static int resolve(Actuator *a, const char *path, size_t *ret_store, const char **ret_id, size_t *ret_len)
{
        (void)a;
        *ret_store = 1;
        *ret_id = path;
        *ret_len = strlen(path);
        return 0;
}

static Actuator *release(Actuator *a)
{
        ((Real *)a)->freed = true;
        return NULL;
}

static const ActuatorOps ops = {
        .perform = perform, .progress = progress, .interrupt = interrupt, .resolve = resolve, .free = release
};

static void take(void *userdata, const Outcome *o)
{
        *(ResultKind *)userdata = o->result;
}

static void only_reading_reaches_the_world(void **state)
{
        Real real = { .actuator.ops = &ops };
        Actuator *a;

        (void)state;
        assert_int_equal(null_actuator_new(&a, &real.actuator), 0);
        for (int k = ACTION_NONE + 1; k < _ACTION_KIND_MAX; k++) {
                Action action = { .kind = (ActionKind)k, .incident = "20260101T000000-000000-0" };
                bool reads = k == ACTION_COLLECT || k == ACTION_CLOSE;
                unsigned before = real.performed;
                ResultKind result = RESULT_UNKNOWN;

                assert_int_equal(actuator_perform(a, &action, take, &result), 0);
                assert_int_equal(result, reads ? RESULT_DONE : RESULT_OBSERVED);
                assert_int_equal(real.performed - before, reads);
        }
        actuator_free(a);
        assert_true(real.freed);
}

static void the_first_start_of_an_embedded_service_is_no_recovery(void **state)
{
        Real real = { .actuator.ops = &ops };
        Action action = { .kind = ACTION_START, .incident = "" };
        ResultKind result = RESULT_UNKNOWN;
        Actuator *a;

        (void)state;
        assert_int_equal(null_actuator_new(&a, &real.actuator), 0);
        assert_int_equal(actuator_perform(a, &action, take, &result), 0);
        assert_int_equal(result, RESULT_DONE);
        actuator_free(a);
}

static void questions_are_handed_on(void **state)
{
        Real real = { .actuator.ops = &ops };
        uint64_t done, total;
        const char *id;
        size_t store, len;
        Actuator *a;

        (void)state;
        assert_int_equal(null_actuator_new(&a, &real.actuator), 0);
        actuator_progress(a, &done, &total);
        assert_int_equal(done, 3);
        assert_int_equal(total, 4);
        assert_int_equal(actuator_resolve(a, "/x", &store, &id, &len), 0);
        assert_int_equal(store, 1);
        actuator_free(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_reading_reaches_the_world),
                cmocka_unit_test(the_first_start_of_an_embedded_service_is_no_recovery),
                cmocka_unit_test(questions_are_handed_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
