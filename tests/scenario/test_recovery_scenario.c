/*
 * Whole recoveries on the real engine, in virtual time: engine, engine_step, engine_outcome, engine_search,
 * engine_memory, engine_record, engine_sources, engine_metrics and engine_control, with everything that is
 * pure below them.
 */
#include "fake/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR USEC_PER_HOUR

static const char *closed(const Sim *s, const char *key)
{
        return json_string_value(
                json_object_get(json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data"), key));
}

static size_t n_culprits(const Sim *s)
{
        const json_t *data = json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data");

        return json_array_size(json_object_get(data, "culprits"));
}

static json_int_t ledger(const Sim *s, const char *key)
{
        const json_t *data = json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data");

        return json_integer_value(json_object_get(json_object_get(data, "ledger"), key));
}

/*
 * Every message is where it should be: culprits quarantined, all others delivered; and the ledger agrees.
 */
static void check_outcome(const Sim *s)
{
        size_t culprits = 0, delivered = 0;

        for (size_t k = 0; k < sim_n_messages(s); k++) {
                const SimMessage *m = sim_message(s, k);

                if (m->poison == POISON_CRASH || m->poison == POISON_HANG) {
                        assert_int_equal(m->place, PLACE_QUARANTINE);
                        assert_int_equal(m->delivered, 0);
                        culprits++;
                } else if (m->place == 0) {
                        assert_int_equal(m->delivered, 1);
                        delivered++;
                } else {
                        fail_msg("message %s is left in place %d", m->id, m->place);
                }
        }
        assert_string_equal(closed(s, "result"), "recovered");
        assert_int_equal(ledger(s, "quarantined"), culprits);
        assert_int_equal(ledger(s, "unaccounted"), 0);
        assert_int_equal(ledger(s, "held"), 0);
        assert_int_equal(ledger(s, "before") + ledger(s, "arrived"),
                         ledger(s, "untouched") + ledger(s, "restored") + ledger(s, "quarantined") +
                                 ledger(s, "consumed") + ledger(s, "held") + ledger(s, "unaccounted"));
        assert_true(sim_running(s));
}

static void a_hang_with_the_file_held_open(void **state)
{
        SimConfig c = { .n_messages = 200, .sees_inflight = true, .mode = MODE_ACT, .rebuildable = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 77, POISON_HANG, 0);
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        assert_int_equal(json_integer_value(json_object_get(
                                 json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data"), "trials")),
                         2); /* the plain restart, and the one without it */
        sim_free(s);
}

static void crashes_without_any_evidence(void **state)
{
        SimConfig c = { .n_messages = 200, .mode = MODE_ACT, .rebuildable = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 3, POISON_CRASH, 0);
        sim_poison(s, 150, POISON_CRASH, 0);
        sim_poison(s, 199, POISON_CRASH, 0);
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        sim_free(s);
}

/* One crashes the service at once, the other hangs it: each hides the other. */
static void culprits_of_two_kinds(void **state)
{
        SimConfig c = { .n_messages = 200, .mode = MODE_ACT, .rebuildable = true };
        Sim *s;

        (void)state;
        for (unsigned sees = 0; sees < 2; sees++) {
                c.sees_inflight = sees;
                s = sim_new(&c);
                sim_poison(s, 20, POISON_CRASH, 0);
                sim_poison(s, 130, POISON_HANG, 0);
                assert_true(sim_run_closed(s, HOUR));
                sim_run(s, sim_now(s) + USEC_PER_MIN);
                if (sees)
                        check_outcome(s);
                else
                        assert_int_equal(ledger(s, "unaccounted"), 0);
                sim_free(s);
        }
}

/*
 * Whatever is tried fails, as with a relay that is down: no message is to blame, and all of them are put
 * back.
 */
static void each_message_fails(void **state)
{
        SimConfig c = { .n_messages = 12, .mode = MODE_ACT };
        Sim *s = sim_new(&c);
        const json_t *data;

        (void)state;
        for (size_t k = 0; k < 12; k++)
                sim_poison(s, k, POISON_HANG, 0);
        assert_true(sim_run_closed(s, 2 * HOUR));
        data = json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data");
        assert_string_equal(json_string_value(json_object_get(data, "result")), "escalated");
        assert_int_equal(n_culprits(s), 0);
        assert_int_equal(ledger(s, "quarantined"), 0);
        assert_int_equal(ledger(s, "held"), 0);
        assert_int_equal(ledger(s, "unaccounted"), 0);
        sim_free(s);
}

static void the_second_store(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .n_stores = 2 };
        Sim *s = sim_new(&c);

        (void)state;
        for (size_t k = 40; k < 50; k++)
                sim_poison(s, k, POISON_NONE, 1);
        sim_poison(s, 44, POISON_CRASH, 1);
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        sim_free(s);
}

static void mail_that_arrives_meanwhile(void **state)
{
        SimConfig c = { .n_messages = 100, .mode = MODE_ACT };
        Sim *s = sim_new(&c);
        size_t arrivals = 0;

        (void)state;
        sim_poison(s, 10, POISON_CRASH, 0);
        while (sim_count(s, AUDIT_INCIDENT_CLOSED) == 0 && sim_now(s) < HOUR) {
                sim_run(s, sim_now(s) + USEC_PER_SEC);
                if (arrivals++ < 40)
                        (void)sim_arrive(s, 0);
        }
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        sim_free(s);
}

static void corrupt_rebuildable_state_moves_no_mail(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .bad_state = true };
        Sim *s = sim_new(&c);

        (void)state;
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(closed(s, "result"), "recovered");
        assert_int_equal(sim_count(s, AUDIT_MESSAGE_QUARANTINED), 0);
        assert_int_equal(ledger(s, "restored"), 0);
        sim_free(s);
}

static void no_culprit_at_all(void **state)
{
        SimConfig c = {
                .n_messages = 50, .mode = MODE_ACT, .dies_at_start = true, .rebuildable = true, .n_stores = 2
        };
        Sim *s = sim_new(&c);

        (void)state;
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(closed(s, "result"), "escalated");
        for (size_t k = 0; k < 50; k++) {
                assert_int_equal(sim_message(s, k)->place, PLACE_STORE);
                assert_int_equal(sim_message(s, k)->delivered, 0);
        }
        assert_int_equal(ledger(s, "held"), 0);
        assert_int_equal(ledger(s, "unaccounted"), 0);
        sim_free(s);
}

static void observe_mode_changes_nothing(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_OBSERVE, .sees_inflight = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 5, POISON_HANG, 0);
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(closed(s, "result"), "observed");
        assert_int_equal(sim_acts(s), 0);
        assert_true(json_array_size(json_object_get(
                            json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "data"), "would_have")) > 0);
        sim_run(s, sim_now(s) + HOUR);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 1); /* one incident, not hundreds */
        sim_free(s);
}

static void a_veto_touches_nothing(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .veto = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 5, POISON_CRASH, 0);
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(closed(s, "result"), "escalated");
        assert_int_equal(sim_acts(s), 0);
        assert_int_equal(sim_count(s, AUDIT_CAUSE), 1);
        sim_free(s);
}

/* Processes are looked at while mail stands still and in trials, and not while all is well. */
static void looks_are_asked_for_while_something_is_suspicious(void **state)
{
        SimConfig c = { .n_messages = 50, .sees_inflight = true, .mode = MODE_ACT };
        Sim *s = sim_new(&c);
        bool before = false;

        (void)state;
        sim_poison(s, 20, POISON_HANG, 0);
        while (sim_count(s, AUDIT_INCIDENT_OPENED) == 0 && sim_now(s) < HOUR) {
                before = before || sim_looks_closely(s);
                sim_run(s, sim_now(s) + USEC_PER_SEC);
        }
        assert_true(before); /* so that it is known what they did by the time it is a stall */
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        assert_false(sim_looks_closely(s));
        sim_free(s);
}

static void what_ignores_sigterm_is_killed(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .stop_hangs = true, .sees_inflight = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 5, POISON_HANG, 0);
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        sim_free(s);
}

static void what_cannot_be_killed_escalates(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .stop_hangs = true, .unkillable = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 5, POISON_HANG, 0);
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(closed(s, "result"), "escalated");
        assert_string_equal(json_string_value(json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "reason")),
                            "unkillable");
        sim_free(s);
}

static void an_operators_stop_is_no_failure(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT };
        Sim *s = sim_new(&c);

        (void)state;
        sim_run(s, 20 * USEC_PER_SEC);
        sim_operator_stop(s);
        sim_run(s, HOUR);
        assert_int_equal(sim_count(s, AUDIT_INCIDENT_OPENED), 0);
        assert_int_equal(sim_acts(s), 0);
        sim_free(s);
}

/* The figure of the one service, or of its counters, as `unjamctl metrics` gets it; of a word in it. */
static json_int_t metric(Sim *s, const char *name, const char *word)
{
        bool ok;
        const json_t *body = sim_ask(s, "metrics", NULL, &ok),
                     *service = json_array_get(json_object_get(body, "services"), 0), *value;

        assert_true(ok);
        value = json_object_get(service, name);
        if (!value)
                value = json_object_get(json_object_get(service, "counters"), name);
        if (word)
                value = json_object_get(value, word);
        assert_non_null(value);
        return json_is_true(value) ? 1 : json_integer_value(value);
}

static void without_a_record_nothing_is_done(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .sees_inflight = true };
        Sim *s = sim_new(&c);

        (void)state;
        sim_poison(s, 5, POISON_HANG, 0);
        sim_fail_commits(s, ENOSPC);
        sim_run(s, 10 * USEC_PER_MIN);
        assert_int_equal(sim_acts(s), 0);
        assert_int_equal(metric(s, "record_unavailable", NULL), 1);
        assert_true(metric(s, "record_failures", NULL) > 10);
        assert_int_equal(metric(s, "incidents_opened", NULL), 0); /* it is on no disk */
        sim_fail_commits(s, 0);
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        assert_int_equal(metric(s, "record_unavailable", NULL), 0);
        assert_int_equal(metric(s, "incidents_opened", NULL), 1);
        assert_int_equal(metric(s, "incidents", "recovered"), 1);
        assert_int_equal(metric(s, "incident_open", NULL), 0);
        assert_int_equal(metric(s, "trials", "failed"), 1);
        assert_int_equal(metric(s, "trials", "healthy"), 1);
        assert_int_equal(metric(s, "messages", "quarantined"), 1);
        assert_int_equal(metric(s, "mail_quarantined", NULL), 1);
        assert_int_equal(metric(s, "mail_waiting", NULL), 0);
        sim_free(s);
}

static void pause_keeps_hands_off(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .sees_inflight = true };
        Sim *s = sim_new(&c);
        bool ok = false;

        (void)state;
        sim_poison(s, 5, POISON_HANG, 0);
        sim_run(s, USEC_PER_SEC);
        assert_non_null(
                sim_ask(s, "pause", json_pack("{s:s, s:s}", "service", "imc", "reason", "maintenance"), &ok));
        assert_true(ok);
        sim_run(s, 50 * USEC_PER_MIN);
        assert_int_equal(sim_acts(s), 0);
        assert_non_null(sim_ask(s, "resume", json_pack("{s:s}", "service", "imc"), &ok));
        assert_true(ok);
        assert_true(sim_run_closed(s, 2 * HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        assert_true(sim_count(s, AUDIT_OPERATOR) >= 2);
        sim_free(s);
}

static void run_until_acting(Sim *s, ActionKind kind)
{
        for (unsigned k = 0; sim_acting(s) != kind; k++) {
                if (k > 200000)
                        fail_msg("no %s", action_kind_to_string(kind));
                sim_run(s, sim_now(s) + 5 * USEC_PER_MSEC);
        }
}

static size_t count_place(const Sim *s, uint8_t place)
{
        size_t n = 0;

        for (size_t k = 0; k < sim_n_messages(s); k++)
                n += sim_message(s, k)->place == place;
        return n;
}

/* In the middle of a move: it ends between two slices, and goes on from there. */
static void pause_ends_a_move(void **state)
{
        static const ActionKind kinds[] = { ACTION_SET_ASIDE, ACTION_PLACE, ACTION_RESTORE };

        (void)state;
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
                /* With a budget that is spent at once it gives up, and restores. */
                SimConfig c = { .n_messages = 50,
                                .mode = MODE_ACT,
                                .max_trials = kinds[k] == ACTION_RESTORE ? 3 : 0 };
                Sim *s = sim_new(&c);
                size_t held;
                bool ok = false;

                sim_poison(s, 31, POISON_CRASH, 0);
                run_until_acting(s, kinds[k]);
                held = count_place(s, PLACE_HOLD);
                (void)sim_ask(s, "pause", json_pack("{s:s}", "service", "imc"), &ok);
                sim_run(s, sim_now(s) + USEC_PER_MIN);
                assert_true(ok);
                assert_int_equal(sim_acting(s), ACTION_NONE);
                assert_false(sim_running(s));
                if (kinds[k] != ACTION_RESTORE)
                        assert_int_not_equal(count_place(s, PLACE_HOLD), held);
                assert_true(count_place(s, PLACE_HOLD) > 0 || kinds[k] == ACTION_RESTORE);
                (void)sim_ask(s, "resume", json_pack("{s:s}", "service", "imc"), &ok);
                assert_true(sim_run_closed(s, 3 * HOUR));
                sim_run(s, sim_now(s) + USEC_PER_MIN);
                if (kinds[k] != ACTION_RESTORE)
                        check_outcome(s);
                sim_free(s);
        }
}

static void an_operator_releases_and_deletes(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .sees_inflight = true };
        Sim *s = sim_new(&c);
        bool ok = false;

        (void)state;
        sim_poison(s, 5, POISON_HANG, 0);
        assert_true(sim_run_closed(s, HOUR));
        sim_run(s, sim_now(s) + USEC_PER_MIN);
        check_outcome(s);
        sim_poison(s, 5, POISON_NONE, 0); /* somebody has mended the server */
        (void)sim_ask(s, "quarantine-release", json_pack("{s:s, s:s}", "service", "imc", "id", "m5"), &ok);
        sim_run(s, sim_now(s) + 5 * USEC_PER_MIN);
        assert_true(ok);
        assert_int_equal(sim_count(s, AUDIT_MESSAGE_RELEASED), 1);
        assert_int_equal(count_place(s, PLACE_QUARANTINE), 0);
        assert_int_equal(sim_message(s, 5)->delivered, 1);
        assert_true(sim_running(s)); /* it was stopped for it, and started again */
        assert_null(
                sim_ask(s, "quarantine-delete", json_pack("{s:s, s:s}", "service", "imc", "id", "m5"), &ok)
                        ? NULL
                        : s);
        assert_false(ok);
        sim_free(s);
}

static void an_operator_restores_what_is_held(void **state)
{
        SimConfig c = { .n_messages = 50, .mode = MODE_ACT, .max_trials = 4 };
        Sim *s = sim_new(&c);
        const char *id;
        bool ok = false;

        (void)state;
        sim_poison(s, 49, POISON_CRASH, 0);
        sim_poison(s, 1, POISON_CRASH, 0);
        sim_poison(s, 24, POISON_CRASH, 0);
        assert_true(sim_run_closed(s, HOUR));
        assert_string_equal(closed(s, "result"), "escalated");
        assert_true(ledger(s, "held") > 0);
        assert_int_equal(ledger(s, "held"), count_place(s, PLACE_HOLD));
        assert_int_equal(ledger(s, "unaccounted"), 0);
        for (size_t k = 0; k < sim_n_messages(s); k++)
                sim_poison(s, k, POISON_NONE, 0);
        id = json_string_value(json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "incident"));
        (void)sim_ask(s, "restore", json_pack("{s:s, s:s}", "service", "imc", "incident", id), &ok);
        assert_true(ok);
        sim_run(s, sim_now(s) + 10 * USEC_PER_MIN);
        assert_int_equal(count_place(s, PLACE_HOLD), 0);
        assert_int_equal(count_place(s, 0), 50);
        sim_free(s);
}

static void the_hourly_budget(void **state)
{
        SimConfig c = { .n_messages = 20, .mode = MODE_ACT, .sees_inflight = true, .max_per_hour = 2 };
        Sim *s = sim_new(&c);

        (void)state;
        for (unsigned k = 0; k < 3; k++) {
                size_t m = sim_arrive(s, 0);

                sim_poison(s, m, POISON_HANG, 0);
                assert_true(sim_run_closed(s, sim_now(s) + HOUR / 4));
        }
        assert_string_equal(closed(s, "result"), "escalated");
        assert_string_equal(json_string_value(json_object_get(sim_last(s, AUDIT_INCIDENT_CLOSED), "reason")),
                            "budget_hour");
        sim_free(s);
}

/* unjamd dies at the k-th moment of a recovery, for every k, and once more while it resumes. */
static void dying_at_any_moment(void **state)
{
        const SimConfig c = { .n_messages = 30, .mode = MODE_ACT, .rebuildable = true };
        Sim *s = sim_new(&c);
        unsigned total;

        (void)state;
        sim_poison(s, 11, POISON_CRASH, 0);
        sim_poison(s, 21, POISON_CRASH, 0);
        assert_true(sim_run_closed(s, HOUR));
        total = sim_moments(s);
        sim_free(s);
        assert_true(total > 50);
        for (unsigned k = 1; k <= total; k++) {
                s = sim_new(&c);
                sim_poison(s, 11, POISON_CRASH, 0);
                sim_poison(s, 21, POISON_CRASH, 0);
                sim_crash_at(s, k);
                if (!sim_run_closed(s, 2 * HOUR))
                        fail_msg("killed at moment %u of %u: it never closed", k, total);
                sim_crash_at(s, k % 7 + 1);
                sim_run(s, sim_now(s) + 5 * USEC_PER_MIN);
                sim_crash_at(s, 0);
                for (size_t m = 0; m < sim_n_messages(s); m++) {
                        const SimMessage *x = sim_message(s, m);

                        if (x->poison != POISON_NONE)
                                assert_int_equal(x->place, PLACE_QUARANTINE);
                        else if (x->place != 0 || x->delivered != 1)
                                fail_msg("killed at moment %u: %s in place %d, delivered %u", k, x->id,
                                         x->place, x->delivered);
                }
                assert_int_equal(ledger(s, "unaccounted"), 0);
                assert_int_equal(n_culprits(s), 2);
                sim_free(s);
        }
}

/* Whenever somebody kills the service, in a recovery or while its incident is being closed: it does not stay
 * dead. */
static void killed_at_any_moment(void **state)
{
        (void)state;
        for (unsigned k = 1, moments = 1; k <= moments; k++) {
                SimConfig c = { .n_messages = 10, .mode = MODE_ACT, .max_per_hour = 50 };
                Sim *s = sim_new(&c);

                sim_poison(s, 4, POISON_HANG, 0);
                sim_kill_at(s, k);
                assert_true(sim_run_closed(s, HOUR));
                moments = sim_moments(s) + 3; /* the close is on disk, and a little later */
                sim_run(s, sim_now(s) + HOUR);
                if (!sim_running(s))
                        fail_msg("killed at moment %u, and never started again", k);
                sim_free(s);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hang_with_the_file_held_open),
                cmocka_unit_test(crashes_without_any_evidence),
                cmocka_unit_test(culprits_of_two_kinds),
                cmocka_unit_test(each_message_fails),
                cmocka_unit_test(the_second_store),
                cmocka_unit_test(mail_that_arrives_meanwhile),
                cmocka_unit_test(corrupt_rebuildable_state_moves_no_mail),
                cmocka_unit_test(no_culprit_at_all),
                cmocka_unit_test(observe_mode_changes_nothing),
                cmocka_unit_test(a_veto_touches_nothing),
                cmocka_unit_test(looks_are_asked_for_while_something_is_suspicious),
                cmocka_unit_test(what_ignores_sigterm_is_killed),
                cmocka_unit_test(what_cannot_be_killed_escalates),
                cmocka_unit_test(an_operators_stop_is_no_failure),
                cmocka_unit_test(without_a_record_nothing_is_done),
                cmocka_unit_test(pause_keeps_hands_off),
                cmocka_unit_test(pause_ends_a_move),
                cmocka_unit_test(an_operator_releases_and_deletes),
                cmocka_unit_test(an_operator_restores_what_is_held),
                cmocka_unit_test(the_hourly_budget),
                cmocka_unit_test(dying_at_any_moment),
                cmocka_unit_test(killed_at_any_moment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
