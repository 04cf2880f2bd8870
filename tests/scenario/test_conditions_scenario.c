/*
 * Conditions of the host on the real engine, in virtual time: what explains a failure leaves the mail alone,
 * and the recovery goes on when it has ended. engine_condition.
 */
#include "fake/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEC USEC_PER_SEC

static const SimConfig plain = { .n_messages = 100,
                                 .each = 10 * USEC_PER_MSEC,
                                 .start_time = 100 * USEC_PER_MSEC,
                                 .n_stores = 1,
                                 .mode = MODE_ACT,
                                 .looks = true };

static const char *explained(Sim *s, const char *key)
{
        bool ok;
        const json_t *body = sim_ask(s, "explain", json_pack("{s:s}", "service", "imc"), &ok);

        assert_true(ok);
        return json_string_value(json_object_get(body, key));
}

static const char *data_of(const json_t *record, const char *key)
{
        return json_string_value(json_object_get(json_object_get(record, "data"), key));
}

/* A full disk, a package manager, a dependency, memory: nothing is done, and everybody is told why. */
static void test_waits_and_goes_on(void **state)
{
        static const Reason reasons[] = { REASON_DISK_FULL, REASON_DEPENDENCY_DOWN, REASON_MAINTENANCE,
                                          REASON_MEMORY_PRESSURE };

        (void)state;
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
                Sim *s = sim_new(&plain);

                sim_run(s, 30 * SEC);
                sim_condition(s, reasons[i], true);
                sim_run(s, 2 * USEC_PER_HOUR);
                assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 0);
                assert_int_equal(sim_count(s, AUDIT_SYMPTOM), 1);
                assert_int_equal(sim_acts(s), 0);
                assert_string_equal(explained(s, "state"), "suspect");
                assert_string_equal(explained(s, "reason"), reason_to_string(reasons[i]));
                /* Once, however long it lasts. */
                assert_int_equal(sim_count(s, AUDIT_CAUSE), 1);
                assert_string_equal(data_of(sim_last(s, AUDIT_CAUSE), "cause"), reason_to_string(reasons[i]));
                assert_string_equal(data_of(sim_last(s, AUDIT_CAUSE), "effect"), "veto");
                assert_int_equal(sim_count(s, AUDIT_ALERT), 1);
                assert_string_equal(data_of(sim_last(s, AUDIT_ALERT), "kind"), "waiting");
                sim_condition(s, REASON_NONE, false);
                assert_true(sim_run_closed(s, 3 * USEC_PER_HOUR));
                assert_string_equal(data_of(sim_last(s, AUDIT_INCIDENT_CLOSED), "result"), "recovered");
                assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 1);
                assert_true(sim_running(s));
                sim_free(s);
        }
}

/* It was there while all was well, so it is no excuse. */
static void test_there_before(void **state)
{
        Sim *s = sim_new(&plain);

        (void)state;
        sim_condition(s, REASON_DISK_FULL, false);
        sim_run(s, 30 * SEC);
        sim_die(s, NULL);
        assert_true(sim_run_closed(s, 10 * USEC_PER_MIN));
        assert_string_equal(data_of(sim_last(s, AUDIT_INCIDENT_CLOSED), "result"), "recovered");
        assert_int_equal(sim_count(s, AUDIT_CAUSE), 0);
        sim_free(s);
}

/* In the middle of a search: the trials that fail of it convict nobody. */
static void test_in_the_middle(void **state)
{
        SimConfig config = plain;
        size_t k, voids = 0;
        const json_t *r;

        (void)state;
        config.max_trials = 200;
        Sim *s = sim_new(&config);
        sim_poison(s, 57, POISON_CRASH, 0);
        while (sim_count(s, AUDIT_TRIAL_STARTED) < 4)
                sim_run(s, sim_now(s) + 50 * USEC_PER_MSEC);
        sim_condition(s, REASON_DISK_FULL, true);
        sim_run(s, sim_now(s) + 10 * USEC_PER_MIN);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_CLOSED), 0);
        size_t started = sim_count(s, AUDIT_TRIAL_STARTED);
        assert_true(started <= 6); /* and then it waits */
        assert_string_equal(explained(s, "reason"), "disk_full");
        sim_condition(s, REASON_NONE, false);
        assert_true(sim_run_closed(s, sim_now(s) + 20 * USEC_PER_MIN));
        assert_string_equal(data_of(sim_last(s, AUDIT_INCIDENT_CLOSED), "result"), "recovered");
        r = json_object_get(json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data"), "culprits");
        assert_int_equal(json_array_size(r), 1);
        assert_string_equal(json_string_value(json_object_get(json_array_get(r, 0), "id")), "m57");
        json_array_foreach(sim_records(s), k, r) voids +=
                strcmp(json_string_value(json_object_get(r, "event")), "trial.finished") == 0 &&
                strcmp(data_of(r, "outcome"), "void") == 0;
        assert_true(voids >= 1);
        sim_free(s);
}

/* It does not end before the incident's time is over: what was held goes back, and a person is asked. */
static void test_longer_than_the_incident(void **state)
{
        Sim *s = sim_new(&plain);

        (void)state;
        sim_poison(s, 57, POISON_CRASH, 0);
        while (sim_count(s, AUDIT_TRIAL_STARTED) < 3)
                sim_run(s, sim_now(s) + 50 * USEC_PER_MSEC);
        sim_condition(s, REASON_MAINTENANCE, true);
        assert_true(sim_run_closed(s, 3 * USEC_PER_HOUR));
        assert_string_equal(data_of(sim_last(s, AUDIT_INCIDENT_CLOSED), "result"), "escalated");
        sim_free(s);
}

/* The kernel killed it for want of memory: on record, and no reason to wait. */
static void test_out_of_memory(void **state)
{
        Sim *s = sim_new(&plain);

        (void)state;
        sim_run(s, 30 * SEC);
        sim_die(s, "oom-kill");
        assert_true(sim_run_closed(s, 10 * USEC_PER_MIN));
        assert_string_equal(data_of(sim_last(s, AUDIT_INCIDENT_CLOSED), "result"), "recovered");
        assert_int_equal(sim_count(s, AUDIT_CAUSE), 1);
        assert_string_equal(data_of(sim_last(s, AUDIT_CAUSE), "cause"), "out_of_memory");
        assert_string_equal(data_of(sim_last(s, AUDIT_CAUSE), "effect"), "note");
        sim_free(s);
}

/* An idle host is not looked at, but now and then. */
static void test_looks_only_when_asked(void **state)
{
        Sim *s = sim_new(&plain);

        (void)state;
        sim_run(s, 30 * SEC);
        unsigned before = sim_looks(s);
        sim_run(s, 30 * SEC + USEC_PER_HOUR / 2);
        assert_int_equal(sim_looks(s), before);
        sim_run(s, 30 * SEC + 24 * USEC_PER_HOUR);
        assert_in_range(sim_looks(s) - before, 20, 24); /* one an hour */
        sim_free(s);
}

/* No canary is sent in an incident, nor into a service that is down. */
static void test_canaries(void **state)
{
        Sim *s = sim_new(&plain);

        (void)state;
        sim_run(s, 30 * SEC);
        assert_true(sim_canaries(s));
        sim_die(s, NULL);
        assert_false(sim_canaries(s));
        while (sim_count(s, AUDIT_INCIDENT_CLOSED) == 0) {
                sim_run(s, sim_now(s) + 10 * USEC_PER_MSEC);
                assert_false(sim_canaries(s) && sim_count(s, AUDIT_INCIDENT_CLOSED) == 0 &&
                             sim_count(s, AUDIT_INCIDENT_OPENED) > 0);
        }
        sim_run(s, sim_now(s) + SEC);
        assert_true(sim_canaries(s));
        sim_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_waits_and_goes_on), cmocka_unit_test(test_there_before),
                cmocka_unit_test(test_in_the_middle),     cmocka_unit_test(test_longer_than_the_incident),
                cmocka_unit_test(test_out_of_memory),     cmocka_unit_test(test_looks_only_when_asked),
                cmocka_unit_test(test_canaries),
        };

        return cmocka_run_group_tests_name("conditions", tests, NULL, NULL);
}
