/*
 * unit, and unit_watch below it - against a systemd of our own on a socket pair: states, who stopped it,
 * restarts, several units, a lost connection. The server speaks for two units and answers as systemd does,
 * jobs that vanish at once included.
 */
#include "observe/unit.h"

#include "unit/observe_units.h"

#include <signal.h>

static void start(Fixture *f, size_t n)
{
        static char *one[] = { (char *)"imc.service", NULL };

        f->w.settings.units = n == 1 ? one : names;
        assert_int_equal(unit_source_new(&f->source, &f->w.context, NULL, f->signals), 0);
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(f->subscribed, 1);
}

static const ServiceStatus *last(const Fixture *f)
{
        return &watcher_last(&f->w)->o.service;
}

static void test_running_then_crash(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(last(f)->main_pid, 100);
        assert_string_equal(watcher_last(&f->w)->invocation, "01000000000000000000000000000000");
        u->code = CLD_DUMPED;
        u->status = SIGSEGV;
        u->result = "core-dump";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_true(last(f)->exited && last(f)->core);
        assert_int_equal(last(f)->signal, SIGSEGV);
        assert_int_equal(last(f)->exit_code, 0);
        assert_string_equal(watcher_last(&f->w)->text, "core-dump");
        assert_false(last(f)->operator_stop);
        /* The same again is no news; a refresh asks for it all the same. */
        size_t n = f->w.n;
        emit_changed(f, u);
        watcher_drain(&f->w);
        assert_int_equal(f->w.n, n);
        assert_int_equal(source_refresh(f->source), 0);
        watcher_until(&f->w, f->w.n == n + 1);
        assert_true(watcher_last_run(&f->w, RUN_FAILED));
}

static void test_exit_zero(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        u->code = CLD_EXITED;
        set_state(f, u, "inactive", "dead");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_true(last(f)->exited);
        assert_int_equal(last(f)->exit_code, 0);
        assert_string_equal(watcher_last(&f->w)->text, "success");
        assert_false(last(f)->operator_stop);
}

static void test_operator_stop(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        for (unsigned round = 0; round < 2; round++) {
                f->job_type = round == 0 ? "stop" : NULL; /* gone before it could be asked for */
                if (round == 0) {
                        start(f, 1);
                } else {
                        set_state(f, u, "active", "running");
                        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
                        assert_false(last(f)->operator_stop);
                }
                emit_job(f, u, 7 + round);
                if (round == 0)
                        watcher_until(&f->w, last(f)->operator_stop); /* already while it is under way */
                set_state(f, u, "deactivating", "stop-sigterm");
                u->code = CLD_KILLED;
                u->status = SIGTERM;
                set_state(f, u, "inactive", "dead");
                emit_job_removed(f, u, "done");
                watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED) && last(f)->operator_stop);
        }
}

/* A stop that took a SIGKILL leaves the unit failed; it was asked for all the same. */
static void test_operator_stop_timeout(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "stop";
        start(f, 1);
        emit_job(f, u, 7);
        watcher_drain(&f->w);
        u->result = "timeout";
        set_state(f, u, "failed", "failed");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_true(last(f)->operator_stop);
        assert_string_equal(watcher_last(&f->w)->text, "timeout");
}

static void test_our_stop_and_start(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "stop";
        start(f, 1);
        source_expect(f->source, true, NULL);
        emit_job(f, u, 7);
        set_state(f, u, "deactivating", "stop-sigterm");
        set_state(f, u, "inactive", "dead");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(last(f)->operator_stop);

        source_expect(f->source, true, NULL);
        f->job_type = "start";
        emit_job(f, u, 8);
        u->invocation[0] = 9;
        set_state(f, u, "activating", "start");
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_false(last(f)->started_by_other);
        source_expect(f->source, false, "09000000000000000000000000000000");
        watcher_drain(&f->w);
        assert_false(last(f)->started_by_other);

        /* Somebody else restarts it. */
        u->invocation[0] = 10;
        emit_changed(f, u);
        watcher_until(&f->w, last(f)->started_by_other);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
}

/*
 * A restart by an operator, as a real systemd tells it: when the kind of the job is asked for it is "start"
 * already, and the new run has its name while the unit is still down.
 */
static void test_operator_restart(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "start";
        start(f, 1);
        emit_job(f, u, 7);
        watcher_drain(&f->w);
        u->code = CLD_KILLED;
        u->status = SIGTERM;
        set_state(f, u, "inactive", "dead");
        u->invocation[0] = 9;
        emit_changed(f, u);
        u->code = 0;
        u->main_pid = 101;
        emit_changed(f, u);
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        emit_changed(f, u);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING) && last(f)->started_by_other &&
                                     !last(f)->operator_stop);
        for (size_t i = 0; i < f->w.n; i++)
                assert_int_not_equal(f->w.seen[i].o.service.run, RUN_FAILED);
}

/* A restart by an operator whose start fails: the operator wanted it up. */
static void test_operator_restart_fails(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "restart";
        start(f, 1);
        emit_job(f, u, 7);
        set_state(f, u, "deactivating", "stop-sigterm");
        watcher_until(&f->w, last(f)->operator_stop);
        u->code = CLD_EXITED;
        u->status = 1;
        u->result = "exit-code";
        set_state(f, u, "failed", "failed");
        emit_job_removed(f, u, "failed");
        emit_changed(f, u);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED) && !last(f)->operator_stop);
}

/* systemctl stop on a unit that has failed: the operator wants it down. */
static void test_operator_stop_of_failed(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        u->code = CLD_EXITED;
        u->status = 1;
        u->result = "exit-code";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        f->job_type = NULL;
        emit_job(f, u, 7);
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_true(last(f)->operator_stop);
        assert_int_equal(last(f)->exit_code, 1);

        /* reset-failed makes systemd forget how it ended; we do not, and it is no news. */
        size_t n = f->w.n;
        u->result = "success";
        u->code = u->status = 0;
        set_state(f, u, "inactive", "dead");
        watcher_drain(&f->w);
        assert_int_equal(f->w.n, n);
}

static void test_start_of_failed(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        size_t n = f->w.n;
        f->job_type = "start";
        emit_job(f, u, 7);
        u->invocation[0] = 9;
        emit_changed(f, u);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STARTING));
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        for (size_t i = n; i < f->w.n; i++)
                assert_int_not_equal(f->w.seen[i].o.service.run, RUN_FAILED);
}

/* The kill ladder works without jobs; a start of ours that dies is a failure though it happens on
 * our watch. */
static void test_our_kill(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        source_expect(f->source, true, NULL);
        u->code = CLD_KILLED;
        u->status = SIGKILL;
        u->result = "signal";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(last(f)->operator_stop);

        source_expect(f->source, true, NULL);
        u->invocation[0] = 9;
        set_state(f, u, "activating", "start");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STARTING));
        u->code = CLD_EXITED;
        u->status = 75;
        u->result = "exit-code";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(last(f)->exit_code, 75);
}

static void test_automatic_restart(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        u->code = CLD_KILLED;
        u->status = SIGSEGV;
        u->result = "signal";
        set_state(f, u, "activating", "auto-restart");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RESTARTING));
        assert_true(last(f)->exited);
        assert_int_equal(last(f)->signal, SIGSEGV);
        /* The restart counts before it has a name, and its job is nobody's stop. */
        size_t n = f->w.n;
        f->job_type = "restart";
        u->n_restarts = 1;
        emit_job(f, u, 7);
        emit_changed(f, u);
        u->invocation[0] = 3;
        u->result = "success";
        u->active = "failed";
        u->sub = "failed";
        emit_changed(f, u);
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        for (size_t i = n; i < f->w.n; i++) {
                assert_int_not_equal(f->w.seen[i].o.service.run, RUN_FAILED);
                assert_false(f->w.seen[i].o.service.operator_stop);
        }
        assert_int_equal(last(f)->n_restarts, 1);
        assert_false(last(f)->started_by_other);
        assert_false(last(f)->exited);
}

static void test_wrappers(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        u->type = "oneshot";
        u->sub = "exited";
        start(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        /* A SysV script's daemon that is gone is no wrapper. */
        u->type = "forking";
        set_state(f, u, "active", "exited");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_string_equal(watcher_last(&f->w)->text, "no-processes");
}

static void test_several_units(void **state)
{
        Fixture *f = *state;

        start(f, 2);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        assert_string_equal(watcher_last(&f->w)->invocation,
                            "01000000000000000000000000000000+02000000000000000000000000000000");
        f->units[1].code = CLD_EXITED;
        f->units[1].status = 1;
        f->units[1].result = "exit-code";
        f->units[0].n_restarts = 2;
        emit_changed(f, &f->units[0]);
        set_state(f, &f->units[1], "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(last(f)->exit_code, 1);
        assert_int_equal(last(f)->n_restarts, 2);
        assert_string_equal(watcher_last(&f->w)->text, "exit-code");
}

static void test_masked(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        assert_false(last(f)->masked);
        u->file = "masked-runtime";
        /* A mask changes no property that is signalled: only that unit files have changed. */
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "UnitFilesChanged", NULL) >= 0);
        watcher_until(&f->w, last(f)->masked);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
}

static void test_never_ran(void **state)
{
        Fixture *f = *state;

        f->units[0].active = "inactive";
        f->units[0].sub = "dead";
        f->units[0].condition = false;
        f->units[0].main_pid = 0;
        memset(f->units[0].invocation, 0, 16);
        start(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_string_equal(watcher_last(&f->w)->text, "condition");
        assert_false(last(f)->operator_stop);
        assert_string_equal(watcher_last(&f->w)->invocation, "");
}

static void test_lost_connection(void **state)
{
        Fixture *f = *state;

        start(f, 1);
        disconnect_bus(f);
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        assert_null(systemd_signals_bus(f->signals));
        (void)source_refresh(f->source);
        watcher_drain(&f->w);
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        connect_bus(f);
        assert_int_equal(systemd_signals_set_bus(f->signals, f->client), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(f->subscribed, 2);
        /* And it follows again. */
        set_state(f, &f->units[0], "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_running_then_crash),
                TEST(test_exit_zero),
                TEST(test_operator_stop),
                TEST(test_operator_stop_timeout),
                TEST(test_our_stop_and_start),
                TEST(test_our_kill),
                TEST(test_automatic_restart),
                TEST(test_wrappers),
                TEST(test_several_units),
                TEST(test_masked),
                TEST(test_never_ran),
                TEST(test_lost_connection),
                TEST(test_operator_restart),
                TEST(test_operator_restart_fails),
                TEST(test_operator_stop_of_failed),
                TEST(test_start_of_failed),
        };

        return cmocka_run_group_tests_name("observe/unit", tests, NULL, NULL);
}
