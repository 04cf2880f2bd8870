/*
 * engine_log: what log lines can bring about in the real engine, in virtual time, and what they cannot:
 * claims, names, gaps.
 */
#include "fake/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR USEC_PER_HOUR

static const LogEntry claim_4037 = { .source = RULE_SOURCE_JOURNAL, .text = "EVENT_ID=4037", .pid = 4711 };

static json_int_t closed_number(const Sim *s, const char *key)
{
        const json_t *data = json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data");

        return json_integer_value(json_object_get(data, key));
}

/* The evidence records of one kind. */
static size_t evidence_count(const Sim *s, const char *kind, const json_t **ret_last)
{
        const json_t *record;
        size_t k, n = 0;

        json_array_foreach((json_t *)sim_records(s), k, record)
        {
                const json_t *data = json_object_get(record, "data");
                const char *word = json_string_value(json_object_get(data, "kind"));

                if (!word || strcmp(word, kind) != 0)
                        continue;
                n++;
                *ret_last = data;
        }
        return n;
}

/* Promise 9: a line that says "crashed", as often as anybody likes, kills nothing while the service works. */
static void a_claim_alone_does_nothing(void **state)
{
        SimConfig c = { .n_messages = 100, .mode = MODE_ACT };
        Sim *s = sim_new(&c);

        (void)state;
        sim_run(s, USEC_PER_MIN);
        for (unsigned i = 0; i < 600; i++) {
                sim_log(s, &claim_4037);
                sim_run(s, sim_now(s) + 6 * USEC_PER_SEC);
        }
        assert_int_equal(sim_acts(s), 0);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 0);
        assert_int_equal(sim_count(s, AUDIT_SYMPTOM), 1); /* one finding, not six hundred */
        assert_true(json_is_true(
                json_object_get(json_object_get(sim_last(s, AUDIT_SYMPTOM), "data"), "claimed")));
        assert_true(sim_running(s));
        sim_free(s);
}

/* The same line is one of two facts when the mail stands still as well. */
static void a_claim_and_a_hang_are_two_facts(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .sees_inflight = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 20, POISON_HANG, 0);
        sim_run(s, USEC_PER_SEC);
        sim_log(s, &claim_4037);
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(json_string_value(json_object_get(
                                    json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data"), "result")),
                            "recovered");
        assert_int_equal(sim_message(s, 20)->place, PLACE_QUARANTINE);
        sim_free(s);
}

/* What the run before had to say in its last moment is read when the next trial is under way. */
static void a_late_line_is_not_about_this_run(void **state)
{
        const LogEntry late = {
                .source = RULE_SOURCE_JOURNAL, .text = "EVENT_ID=4037", .pid = 4711, .wall = 1
        };
        SimConfig c = { .n_messages = 20, .mode = MODE_ACT, .each = 20 * USEC_PER_SEC };
        Sim *s = sim_new(&c);
        size_t trials = 0;

        (void)state;
        sim_poison(s, 7, POISON_CRASH, 0);
        while (sim_count(s, AUDIT_INCIDENT_CLOSED) == 0 && sim_now(s) < HOUR) {
                sim_run(s, sim_now(s) + 100 * USEC_PER_MSEC);
                if (sim_count(s, AUDIT_TRIAL_STARTED) > trials) {
                        trials = sim_count(s, AUDIT_TRIAL_STARTED);
                        sim_log(s, &late);
                }
        }
        assert_true(trials > 2);
        for (size_t k = 0; k < sim_n_messages(s); k++)
                assert_int_equal(sim_message(s, k)->place == PLACE_QUARANTINE, k == 7);
        sim_free(s);
}

/* Runs a search for one poison among 2,000 after the log has named @named (or nothing). Return:
 * its trials. */
static json_int_t trials_with(const char *named)
{
        SimConfig c = { .n_messages = 2000, .mode = MODE_ACT, .each = 100 * USEC_PER_MSEC };
        const LogEntry entry = { .id = named, .text = "Subject: M777 is to blame", .pid = 4711 };
        const json_t *data = NULL;
        json_int_t trials;
        Sim *s = sim_new(&c);

        sim_poison(s, 1234, POISON_CRASH, 0);
        if (named)
                sim_log(s, &entry);
        assert_true(sim_run_closed(s, 10 * HOUR));
        assert_int_equal(sim_message(s, 1234)->place, PLACE_QUARANTINE);
        /* Whoever else was named is delivered, and never was a suspect. */
        for (size_t k = 0; k < sim_n_messages(s); k++)
                assert_true(k == 1234 || sim_message(s, k)->place != PLACE_QUARANTINE);
        assert_int_equal(evidence_count(s, "named", &data), named != NULL);
        if (named) {
                const json_t *m = json_array_get(json_object_get(data, "messages"), 0);

                assert_string_equal(json_string_value(json_object_get(m, "id")), named);
                assert_int_equal(json_integer_value(json_object_get(m, "pid")), 4711);
        }
        trials = closed_number(s, "trials");
        sim_free(s);
        return trials;
}

static void a_name_orders_trials_and_nothing_else(void **state)
{
        json_int_t plain = trials_with(NULL), right = trials_with("m1234"), wrong = trials_with("m777");

        (void)state;
        print_message("trials: %d without a name, %d with the right one, %d with a wrong one\n", (int)plain,
                      (int)right, (int)wrong);
        assert_true(right < plain);
        assert_true(wrong <= plain + 3);
}

static void a_gap_is_evidence(void **state)
{
        SimConfig c = { .n_messages = 10, .mode = MODE_OBSERVE };
        const LogEntry gap = { .source = RULE_SOURCE_FILE, .kind = LOG_GAP, .text = "x.log: rotated away" };
        const json_t *data = NULL, *reply, *entry = NULL;
        Sim *s = sim_new(&c);
        bool ok;

        (void)state;
        sim_run(s, USEC_PER_MIN);
        sim_log(s, &gap);
        sim_run(s, sim_now(s) + USEC_PER_SEC);
        assert_int_equal(evidence_count(s, "gap", &data), 1);
        assert_string_equal(json_string_value(json_object_get(data, "text")), "x.log: rotated away");
        assert_string_equal(json_string_value(json_object_get(data, "source")), "file");
        assert_int_equal(sim_count(s, AUDIT_SYMPTOM), 0);
        reply = sim_ask(s, "explain", json_pack("{s:s}", "service", "imc"), &ok);
        assert_true(ok);
        for (size_t k = 0; k < json_array_size(json_object_get(reply, "history")); k++)
                entry = json_array_get(json_object_get(reply, "history"), k);
        assert_string_equal(json_string_value(json_object_get(entry, "reason")), "evidence_gap");
        assert_string_equal(json_string_value(json_object_get(entry, "text")), "x.log: rotated away");
        /* A full disk: nothing breaks, and explain says so. */
        sim_fail_commits(s, ENOSPC);
        sim_log(s, &gap);
        sim_run(s, sim_now(s) + USEC_PER_SEC);
        assert_int_equal(evidence_count(s, "gap", &data), 1);
        assert_true(sim_running(s));
        sim_free(s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_claim_alone_does_nothing),
                cmocka_unit_test(a_claim_and_a_hang_are_two_facts),
                cmocka_unit_test(a_late_line_is_not_about_this_run),
                cmocka_unit_test(a_name_orders_trials_and_nothing_else),
                cmocka_unit_test(a_gap_is_evidence),
        };

        return cmocka_run_group_tests_name("engine/logs", tests, NULL, NULL);
}
