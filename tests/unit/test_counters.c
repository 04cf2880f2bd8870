/* Tests of model/counters.c: what audit records add up to. */
#include "model/counters.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void take(Counters *c, AuditEvent event, const char *members)
{
        json_t *m = members ? json_loads(members, 0, NULL) : NULL;

        assert_true(!members || m);
        counters_take(c, event, m);
        json_decref(m);
}

static void test_counting(void **state)
{
        Counters c = { 0 };

        (void)state;
        take(&c, AUDIT_INCIDENT_OPENED, "{\"data\":{\"symptom\":\"crashed\"}}");
        take(&c, AUDIT_SYMPTOM, "{\"data\":{\"symptom\":\"stalled\"}}");
        take(&c, AUDIT_TRIAL_STARTED, "{\"data\":{\"trial\":1}}");
        take(&c, AUDIT_TRIAL_FINISHED, "{\"data\":{\"outcome\":\"failed\"}}");
        take(&c, AUDIT_TRIAL_FINISHED, "{\"data\":{\"outcome\":\"healthy\"}}");
        take(&c, AUDIT_TRIAL_FINISHED, "{\"data\":{\"outcome\":\"void\"}}");
        take(&c, AUDIT_OUTCOME, "{\"action\":\"kill\",\"result\":\"done\"}");
        take(&c, AUDIT_OUTCOME, "{\"action\":\"stop\",\"result\":\"done\"}");
        take(&c, AUDIT_MESSAGE_CLEARED, "{\"data\":{\"count\":39}}");
        take(&c, AUDIT_MESSAGE_QUARANTINED, "{\"data\":{\"id\":\"m\"}}");
        take(&c, AUDIT_MESSAGE_RELEASED, "{\"data\":{\"id\":\"m\"}}");
        take(&c, AUDIT_MESSAGE_DELETED, "{\"data\":{\"id\":\"m\"}}");
        take(&c, AUDIT_INCIDENT_CLOSED, "{\"data\":{\"result\":\"recovered\",\"outage_ms\":1500}}");
        take(&c, AUDIT_INCIDENT_CLOSED, "{\"data\":{\"result\":\"escalated\",\"outage_ms\":500}}");
        assert_int_equal(c.opened, 1);
        assert_int_equal(c.symptoms[SYMPTOM_STALLED], 1);
        assert_int_equal(c.symptoms[SYMPTOM_CRASHED], 0);
        assert_int_equal(c.trials, 1);
        assert_int_equal(c.trials_failed, 1);
        assert_int_equal(c.trials_healthy, 1);
        assert_int_equal(c.trials_void, 1);
        assert_int_equal(c.kills, 1);
        assert_int_equal(c.cleared, 39);
        assert_int_equal(c.quarantined, 1);
        assert_int_equal(c.released, 1);
        assert_int_equal(c.deleted, 1);
        assert_int_equal(c.incidents[CLOSE_RECOVERED], 1);
        assert_int_equal(c.incidents[CLOSE_ESCALATED], 1);
        assert_int_equal(c.incidents[CLOSE_OBSERVED], 0);
        assert_int_equal(c.outage_ms, 2000);
}

/* A record of another version, or a damaged one. */
static void test_what_counts_nothing(void **state)
{
        Counters c = { 0 }, none = { 0 };

        (void)state;
        take(&c, AUDIT_SYMPTOM, NULL);
        take(&c, AUDIT_SYMPTOM, "{\"data\":{\"symptom\":\"of another kind\"}}");
        take(&c, AUDIT_INCIDENT_CLOSED, "{\"data\":{\"result\":7,\"outage_ms\":-1}}");
        take(&c, AUDIT_TRIAL_FINISHED, "{\"data\":[]}");
        take(&c, AUDIT_MESSAGE_CLEARED, "{\"data\":{\"count\":-5}}");
        take(&c, AUDIT_ALERT, "{}");
        assert_memory_equal(&c, &none, sizeof(c));
}

static void test_json(void **state)
{
        Counters c = { .opened = 3, .quarantined = 2, .trials_failed = 4 };
        json_t *j;

        (void)state;
        c.incidents[CLOSE_OBSERVED] = 1;
        c.symptoms[SYMPTOM_EVENT] = 9;
        j = counters_to_json(&c);
        assert_int_equal(json_integer_value(json_object_get(j, "incidents_opened")), 3);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "incidents"), "observed")), 1);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "symptoms"), "event")), 9);
        assert_int_equal(json_object_size(json_object_get(j, "symptoms")), _SYMPTOM_KIND_MAX);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "trials"), "failed")), 4);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "messages"), "quarantined")),
                         2);
        json_decref(j);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counting),
                cmocka_unit_test(test_what_counts_nothing),
                cmocka_unit_test(test_json),
        };

        return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
