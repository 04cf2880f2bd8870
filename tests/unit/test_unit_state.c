/* unit_state - what systemd's states mean for a service, row by row. */
#include "observe/unit_state.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct Row {
        const char *active, *sub, *type;
        UnitFacts facts;
        RunState run;
        const char *result; /* NULL: systemd's own, "success" */
} Row;

static void test_rows(void **state)
{
        static const UnitFacts none, asked = { .stop_asked = true, .ran = true }, ran = { .ran = true },
                                     emptied = { .emptied = true, .ran = true };
        const Row rows[] = {
                { "active", "running", "simple", none, RUN_RUNNING, NULL },
                { "reloading", "reload", "notify", none, RUN_RUNNING, NULL },
                { "active", "exited", "oneshot", ran, RUN_RUNNING, NULL },
                { "active", "exited", "oneshot", emptied, RUN_FAILED, "no-processes" },
                { "active", "exited", "forking", ran, RUN_FAILED, "no-processes" },
                { "activating", "start", "forking", none, RUN_STARTING, NULL },
                { "activating", "start-pre", "simple", none, RUN_STARTING, NULL },
                { "activating", "auto-restart", "simple", ran, RUN_RESTARTING, NULL },
                { "activating", "auto-restart-queued", "simple", ran, RUN_RESTARTING, NULL },
                { "deactivating", "stop-sigterm", "simple", ran, RUN_STOPPING, NULL },
                { "inactive", "dead", "simple", none, RUN_STOPPED, NULL },
                { "inactive", "dead", "simple", ran, RUN_FAILED, NULL },
                { "inactive", "dead", "simple", asked, RUN_STOPPED, NULL },
                { "inactive", "dead", "oneshot", ran, RUN_STOPPED, NULL },
                { "failed", "failed", "oneshot", ran, RUN_FAILED, NULL },
                { "failed", "failed", "simple", none, RUN_FAILED, NULL },
                { "failed", "failed", "simple", asked, RUN_STOPPED, NULL },
                { "", "", "", none, RUN_UNKNOWN, NULL },
                { "of-the-future", "", "", none, RUN_UNKNOWN, NULL },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                UnitState s = { .result = "success", .load = "loaded" };
                const char *result;
                snprintf(s.active, sizeof(s.active), "%s", rows[i].active);
                snprintf(s.sub, sizeof(s.sub), "%s", rows[i].sub);
                snprintf(s.type, sizeof(s.type), "%s", rows[i].type);
                assert_int_equal(unit_state_run(&s, &rows[i].facts, &result), rows[i].run);
                assert_string_equal(result, rows[i].result ? rows[i].result : "success");
                assert_int_equal(unit_state_run(&s, &rows[i].facts, NULL), rows[i].run);
        }
}

/* As seen between two signals of a real systemd: the new main process is known before the new state is. */
static void test_just_forked(void **state)
{
        UnitState s = { .active = "failed", .main_pid = 5 };

        (void)state;
        assert_int_equal(unit_state_run(&s, &(UnitFacts){ .ran = true }, NULL), RUN_STARTING);
}

static void test_not_there(void **state)
{
        UnitState s = { .active = "inactive", .load = "not-found", .result = "success" };
        const char *result;

        (void)state;
        assert_int_equal(unit_state_run(&s, &(UnitFacts){ 0 }, &result), RUN_STOPPED);
        assert_string_equal(result, "not-found");
        assert_false(unit_state_is_masked(&s));
        strcpy(s.load, "masked");
        assert_true(unit_state_is_masked(&s));
        strcpy(s.load, "loaded");
        strcpy(s.file, "masked-runtime");
        assert_true(unit_state_is_masked(&s));
}

static void test_condition(void **state)
{
        UnitState s = { .active = "inactive", .result = "success", .condition_time = 5 };
        const char *result;

        (void)state;
        assert_int_equal(unit_state_run(&s, &(UnitFacts){ 0 }, &result), RUN_STOPPED);
        assert_string_equal(result, "condition");
        s.condition = true;
        assert_int_equal(unit_state_run(&s, &(UnitFacts){ 0 }, &result), RUN_STOPPED);
        assert_string_equal(result, "success");
}

/* The order is total: the worse of two does not depend on which is named first. */
static void test_worse(void **state)
{
        (void)state;
        for (RunState a = 0; a < _RUN_STATE_MAX; a++)
                for (RunState b = 0; b < _RUN_STATE_MAX; b++) {
                        RunState worse = run_state_worse(a, b);
                        assert_int_equal(worse, run_state_worse(b, a));
                        assert_true(worse == a || worse == b);
                }
        assert_int_equal(run_state_worse(RUN_RUNNING, RUN_FAILED), RUN_FAILED);
        assert_int_equal(run_state_worse(RUN_RUNNING, RUN_STOPPED), RUN_STOPPED);
        assert_int_equal(run_state_worse(RUN_STARTING, RUN_STOPPED), RUN_STARTING);
        assert_int_equal(run_state_worse(RUN_UNKNOWN, RUN_RUNNING), RUN_UNKNOWN);
}

static void test_exit(void **state)
{
        UnitState s = { .exit_code = CLD_EXITED, .exit_status = 69 };
        ServiceStatus status = { 0 };

        (void)state;
        unit_state_exit(&s, &status);
        assert_true(status.exited && status.exit_code == 69 && status.signal == 0 && !status.core);
        s = (UnitState){ .exit_code = CLD_KILLED, .exit_status = SIGKILL };
        unit_state_exit(&s, &status);
        assert_true(status.exited && status.exit_code == 0 && status.signal == SIGKILL && !status.core);
        s.exit_code = CLD_DUMPED;
        unit_state_exit(&s, &status);
        assert_true(status.core);
        s.main_pid = 5;
        unit_state_exit(&s, &status);
        assert_false(status.exited || status.core);
        s = (UnitState){ 0 };
        unit_state_exit(&s, &status);
        assert_false(status.exited);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),      cmocka_unit_test(test_not_there),
                cmocka_unit_test(test_condition), cmocka_unit_test(test_worse),
                cmocka_unit_test(test_exit),      cmocka_unit_test(test_just_forked),
        };

        return cmocka_run_group_tests_name("observe/unit_state", tests, NULL, NULL);
}
