/*
 * A service that flaps, on the real engine in virtual time: engine_flap.c, with decide/flap.c and the
 * diagnosis below it. It dies, somebody starts it again, it is healthy for a while, and so on.
 */
#include "fake/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* @n times: dead for a second, then up for @period. */
static void flap(Sim *s, unsigned n, usec_t period)
{
        for (unsigned i = 0; i < n; i++) {
                sim_die(s, NULL);
                sim_run(s, sim_now(s) + USEC_PER_SEC);
                sim_start(s);
                sim_run(s, sim_now(s) + period);
        }
}

static const char *explained(Sim *s, const char *key)
{
        bool ok;
        const char *text = json_string_value(
                json_object_get(sim_ask(s, "explain", json_pack("{s:s}", "service", "imc"), &ok), key));

        assert_true(ok);
        return text ? text : "";
}

/* How many alerts of this kind are on record. */
static unsigned alerts(const Sim *s, const char *kind)
{
        const json_t *record;
        unsigned n = 0;
        size_t i;

        json_array_foreach(sim_records(s), i, record)
        {
                const char *k = json_string_value(json_object_get(json_object_get(record, "data"), "kind"));

                n += k && strcmp(k, kind) == 0;
        }
        return n;
}

static Sim *healthy(Mode mode)
{
        const SimConfig c = { .n_messages = 20, .mode = mode, .max_per_hour = 2 };
        Sim *s = sim_new(&c);

        sim_run(s, USEC_PER_MIN);
        return s;
}

/* What is only observed: one incident, and one more a day as long as it goes on. */
static void one_incident_for_a_service_that_flaps(void **state)
{
        Sim *s = healthy(MODE_OBSERVE);

        (void)state;
        flap(s, 200, 3 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 1);
        assert_int_equal(alerts(s, "general"), 1); /* told once */
        sim_die(s, NULL);
        sim_run(s, sim_now(s) + USEC_PER_SEC);
        assert_string_equal(explained(s, "state"), "suspect");
        assert_string_equal(explained(s, "reason"), "flapping");
        sim_start(s);
        flap(s, 300, 3 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 2); /* the second day has begun */
        assert_int_equal(sim_acts(s), 0);
        sim_free(s);
}

/* A fault that stays is no flapping: it becomes an incident by itself. */
static void what_lasts_is_told_after_all(void **state)
{
        Sim *s = healthy(MODE_OBSERVE);

        (void)state;
        flap(s, 2, 3 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 1);
        sim_die(s, NULL);
        sim_run(s, sim_now(s) + 9 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 1);
        sim_run(s, sim_now(s) + 2 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 2);
        sim_free(s);
}

/* As often as the budget allows the service is started again; then one incident says that it is spent. */
static void recoveries_that_work_are_not_held_back(void **state)
{
        Sim *s = healthy(MODE_ACT);

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                sim_die(s, NULL);
                sim_run(s, sim_now(s) + 3 * USEC_PER_MIN);
                assert_true(sim_running(s));
        }
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_CLOSED), 2);
        flap(s, 10, USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_CLOSED), 3);
        assert_string_equal(json_string_value(json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "reason")),
                            "budget_hour");
        sim_free(s);
}

/* Somebody mended it, or wants a recovery: nothing is held back then. */
static void an_operator_is_not_held_back(void **state)
{
        Sim *s = healthy(MODE_OBSERVE);
        bool ok;

        (void)state;
        flap(s, 3, 3 * USEC_PER_MIN);
        sim_operator_stop(s);
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        sim_start(s);
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 1);
        flap(s, 3, 3 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 2);
        sim_die(s, NULL);
        sim_run(s, sim_now(s) + USEC_PER_SEC);
        (void)sim_ask(s, "recover", json_pack("{s:s}", "service", "imc"), &ok);
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 3);
        sim_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_incident_for_a_service_that_flaps),
                cmocka_unit_test(what_lasts_is_told_after_all),
                cmocka_unit_test(recoveries_that_work_are_not_held_back),
                cmocka_unit_test(an_operator_is_not_held_back),
        };

        return cmocka_run_group_tests_name("flap_scenario", tests, NULL, NULL);
}
