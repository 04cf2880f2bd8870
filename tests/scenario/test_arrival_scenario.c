/*
 * A culprit of old arrives while all is well: caught beside the machine, on record, and not more often than
 * is allowed. engine_arrival.
 */
#include "fake/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEC USEC_PER_SEC

/* Nothing is delivered within a day but the first. */
static const SimConfig slow = { .n_messages = 8,
                                .each = 3 * USEC_PER_DAY,
                                .start_time = 100 * USEC_PER_MSEC,
                                .n_stores = 1,
                                .mode = MODE_ACT,
                                .arrivals_per_day = 2 };

static size_t count_of(const Sim *s, AuditEvent event, const char *action)
{
        const json_t *r;
        size_t k, n = 0;

        json_array_foreach(sim_records(s), k, r) n +=
                strcmp(json_string_value(json_object_get(r, "event")), audit_event_to_string(event)) == 0 &&
                strcmp(json_string_value(json_object_get(r, "action")) ?: "", action) == 0;
        return n;
}

/* Told by a record of this kind of alert. */
static size_t alerts(const Sim *s, const char *kind)
{
        const json_t *r;
        size_t k, n = 0;

        json_array_foreach(sim_records(s), k, r) n +=
                strcmp(json_string_value(json_object_get(json_object_get(r, "data"), "kind")) ?: "", kind) ==
                0;
        return n;
}

static bool explains(Sim *s, const char *reason)
{
        bool ok, found = false;
        const json_t *body = sim_ask(s, "explain", json_pack("{s:s}", "service", "imc"), &ok), *h;
        size_t k;

        json_array_foreach(json_object_get(body, "history"), k, h) found =
                found || strcmp(json_string_value(json_object_get(h, "reason")), reason) == 0;
        return found;
}

static Sim *healthy(const SimConfig *config)
{
        Sim *s = sim_new(config);

        sim_run(s, 30 * SEC);
        return s;
}

static void test_so_often_a_day(void **state)
{
        Sim *s = healthy(&slow);
        const json_t *data;

        (void)state;
        sim_known_arrives(s, 3);
        sim_known_arrives(s, 4); /* waits for its turn */
        sim_run(s, sim_now(s) + 10 * SEC);
        assert_int_equal(sim_message(s, 3)->place, PLACE_QUARANTINE);
        assert_int_equal(sim_message(s, 4)->place, PLACE_QUARANTINE);
        assert_int_equal(count_of(s, AUDIT_INTENT, "catch"), 2);
        assert_int_equal(count_of(s, AUDIT_OUTCOME, "catch"), 2);
        assert_int_equal(sim_count(s, AUDIT_MESSAGE_QUARANTINED), 2);
        data = json_object_get(sim_last(s, AUDIT_MESSAGE_QUARANTINED), "data");
        assert_true(json_is_true(json_object_get(data, "native")));
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 0);
        assert_int_equal(alerts(s, "general"), 0);
        /* The limit is reached: told once, also after a restart of unjamd. */
        sim_known_arrives(s, 5);
        sim_run(s, sim_now(s) + 10 * SEC);
        assert_int_equal(alerts(s, "general"), 1);
        sim_crash(s);
        sim_run(s, sim_now(s) + 30 * SEC);
        sim_known_arrives(s, 5);
        sim_known_arrives(s, 6);
        sim_run(s, sim_now(s) + 10 * SEC);
        assert_int_equal(sim_message(s, 5)->place, PLACE_STORE);
        assert_int_equal(sim_message(s, 6)->place, PLACE_STORE);
        assert_int_equal(count_of(s, AUDIT_INTENT, "catch"), 2);
        assert_true(explains(s, "arrival_limit"));
        assert_int_equal(alerts(s, "general"), 1);
        sim_free(s);
}

/* Off, or paused: it is mail like any other. */
static void test_left_alone(void **state)
{
        SimConfig config = slow;
        Sim *s;
        bool ok;

        (void)state;
        config.arrivals_per_day = 0;
        s = healthy(&config);
        sim_known_arrives(s, 3);
        sim_run(s, sim_now(s) + 10 * SEC);
        assert_int_equal(sim_message(s, 3)->place, PLACE_STORE);
        sim_free(s);
        s = healthy(&slow);
        (void)sim_ask(s, "pause", json_pack("{s:s}", "service", "imc"), &ok);
        assert_true(ok);
        sim_run(s, sim_now(s) + SEC);
        sim_known_arrives(s, 3);
        sim_run(s, sim_now(s) + 10 * SEC);
        assert_int_equal(sim_message(s, 3)->place, PLACE_STORE);
        assert_int_equal(count_of(s, AUDIT_INTENT, "catch"), 0);
        sim_free(s);
}

/* unjamd dies at each moment of it: the message is caught once, and the record says so. */
static void test_deaths(void **state)
{
        (void)state;
        for (unsigned n = 1; n < 8; n++) {
                Sim *s = healthy(&slow);

                sim_crash_at(s, n);
                sim_known_arrives(s, 3);
                sim_run(s, sim_now(s) + 60 * SEC);
                if (sim_message(s, 3)->place == PLACE_STORE) /* nobody had heard of it */
                        sim_known_arrives(s, 3);
                sim_run(s, sim_now(s) + 20 * SEC);
                assert_int_equal(sim_message(s, 3)->place, PLACE_QUARANTINE);
                assert_in_range(count_of(s, AUDIT_INTENT, "catch"), 1, 2);
                sim_free(s);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_so_often_a_day),
                cmocka_unit_test(test_left_alone),
                cmocka_unit_test(test_deaths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
