/* words - every value has a word of its own, every word leads back, and the public ones are as promised */
#include "model/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WALK(name, Type, max)                                                                                \
        do {                                                                                                 \
                for (int i = 0; i < (int)(max); i++) {                                                       \
                        const char *word = name##_to_string((Type)i);                                        \
                                                                                                             \
                        assert_non_null(word);                                                               \
                        assert_true(*word);                                                                  \
                        assert_int_equal(name##_from_string(word), i); /* unique as well */                  \
                }                                                                                            \
                assert_null(name##_to_string((Type)(max)));                                                  \
                assert_null(name##_to_string((Type)-EINVAL));                                                \
                assert_int_equal(name##_from_string("no such word"), -EINVAL);                               \
                assert_int_equal(name##_from_string(""), -EINVAL);                                           \
                assert_int_equal(name##_from_string(NULL), -EINVAL);                                         \
        } while (0)

static void test_every_value(void **state)
{
        (void)state;
        WALK(mode, Mode, _MODE_MAX);
        WALK(state, State, _STATE_MAX);
        WALK(symptom_kind, SymptomKind, _SYMPTOM_KIND_MAX);
        WALK(cause_kind, CauseKind, _CAUSE_KIND_MAX);
        WALK(cause_effect, CauseEffect, _CAUSE_EFFECT_MAX);
        WALK(manager_kind, ManagerKind, _MANAGER_KIND_MAX);
        WALK(probe_kind, ProbeKind, _PROBE_KIND_MAX);
        WALK(rule_source, RuleSource, _RULE_SOURCE_MAX);
        WALK(audit_event, AuditEvent, _AUDIT_EVENT_MAX);
        WALK(action_kind, ActionKind, _ACTION_KIND_MAX);
        WALK(result_kind, ResultKind, _RESULT_KIND_MAX);
        WALK(close_result, CloseResult, _CLOSE_RESULT_MAX);
        WALK(reason, Reason, _REASON_MAX);
        WALK(file_type, FileType, _FILE_TYPE_MAX);
}

/* The list of CONTRACT.md, in its own order. */
static void test_contract(void **state)
{
        static const char *const states[] = { "healthy",   "suspect",    "diagnosing",    "stopping",
                                              "killing",   "restarting", "setting_aside", "purging",
                                              "baseline",  "isolating",  "quarantining",  "restoring",
                                              "verifying", "escalated",  "paused" };
        static const char *const symptoms[] = { "start_failed", "start_hung",   "crashed", "crash_loop",
                                                "stop_hung",    "unresponsive", "stalled", "event" };
        static const char *const causes[] = {
                "not_configured",        "startup_account",   "address_space",    "network_identity",
                "administrator_address", "rebuildable_state", "stuck_messages",   "stale_lock",
                "permissions",           "disk_full",         "disk_stuck",       "dependency_down",
                "operator_stop",         "maintenance",       "other_supervisor", "memory_pressure",
                "out_of_memory"
        };
        static const char *const events[] = { "daemon.started",
                                              "daemon.stopped",
                                              "config.loaded",
                                              "config.rejected",
                                              "incident.opened",
                                              "incident.closed",
                                              "symptom",
                                              "evidence",
                                              "cause",
                                              "state",
                                              "intent",
                                              "outcome",
                                              "trial.started",
                                              "trial.finished",
                                              "store.held",
                                              "message.held",
                                              "message.cleared",
                                              "message.quarantined",
                                              "message.released",
                                              "message.deleted",
                                              "operator",
                                              "alert" };
        static const char *const types[] = { "file", "directory", "fifo", "socket", "symlink", "device" };

        (void)state;
        assert_int_equal(sizeof(states) / sizeof(*states), _STATE_MAX);
        for (size_t i = 0; i < _STATE_MAX; i++)
                assert_string_equal(state_to_string((State)i), states[i]);
        assert_int_equal(sizeof(symptoms) / sizeof(*symptoms), _SYMPTOM_KIND_MAX);
        for (size_t i = 0; i < _SYMPTOM_KIND_MAX; i++)
                assert_string_equal(symptom_kind_to_string((SymptomKind)i), symptoms[i]);
        assert_int_equal(sizeof(causes) / sizeof(*causes), _CAUSE_KIND_MAX);
        for (size_t i = 0; i < _CAUSE_KIND_MAX; i++)
                assert_string_equal(cause_kind_to_string((CauseKind)i), causes[i]);
        assert_int_equal(sizeof(events) / sizeof(*events), _AUDIT_EVENT_MAX);
        for (size_t i = 0; i < _AUDIT_EVENT_MAX; i++)
                assert_string_equal(audit_event_to_string((AuditEvent)i), events[i]);
        assert_int_equal(sizeof(types) / sizeof(*types), _FILE_TYPE_MAX);
        for (size_t i = 0; i < _FILE_TYPE_MAX; i++)
                assert_string_equal(file_type_to_string((FileType)i), types[i]);
        assert_string_equal(mode_to_string(MODE_OBSERVE), "observe");
        assert_string_equal(mode_to_string(MODE_ACT), "act");
        assert_string_equal(close_result_to_string(CLOSE_RECOVERED), "recovered");
        assert_string_equal(close_result_to_string(CLOSE_ESCALATED), "escalated");
        assert_string_equal(close_result_to_string(CLOSE_OBSERVED), "observed");
}

static void test_sentences(void **state)
{
        (void)state;
        for (int i = 0; i < (int)_REASON_MAX; i++) {
                const char *s = reason_describe((Reason)i);

                assert_non_null(s);
                assert_true(strlen(s) > 10);
                assert_int_equal(s[strlen(s) - 1], '.');
        }
        assert_non_null(reason_describe(_REASON_INVALID));
        assert_non_null(reason_describe(_REASON_MAX));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_value),
                cmocka_unit_test(test_contract),
                cmocka_unit_test(test_sentences),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
