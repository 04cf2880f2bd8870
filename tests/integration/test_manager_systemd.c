/*
 * The real systemd manager on a fake systemd: manager_start, manager_stop, manager_settle and
 * manager_transient, with manager_unit, manager_job and manager_watch below them.
 */
#include "base/text.h"
#include "fake/systemd_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool permit_was_there;

static void look_for_permit(FakeUnit *u, void *userdata)
{
        (void)u;
        permit_was_there = systemd_bed_permit(userdata);
}

static void a_start_resets_starts_and_tells_the_invocation(void **state)
{
        SystemdBed *b = *state;

        b->unit->active_state = "failed"; /* a start limit was hit */
        b->unit->on_start = look_for_permit;
        b->unit->userdata = b;
        permit_was_there = false;
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        assert_string_equal(b->bed.invocation, "00000000000000000000000000000001");
        assert_true(permit_was_there);
        assert_false(systemd_bed_permit(b));
        assert_true(fake_systemd_call_index(b->systemd, "Subscribe") <
                    fake_systemd_call_index(b->systemd, "StartUnit"));
        assert_true(fake_systemd_call_index(b->systemd, "ResetFailedUnit imc.service") <
                    fake_systemd_call_index(b->systemd, "StartUnit imc.service"));

        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        assert_string_equal(b->bed.invocation, "00000000000000000000000000000002");
}

static void several_units_start_in_reverse_and_stop_in_order(void **state)
{
        char *units[] = { (char *)"a.service", (char *)"b.service", (char *)"c.service", NULL };
        SystemdBed *b = *state;

        for (char **u = units; *u; u++)
                fake_systemd_unit(b->systemd, *u);
        systemd_bed_units(b, units);
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        int a = fake_systemd_call_index(b->systemd, "StartUnit a.service");
        int c = fake_systemd_call_index(b->systemd, "StartUnit c.service");
        assert_true(c >= 0 && c < fake_systemd_call_index(b->systemd, "StartUnit b.service") && c < a);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        assert_int_equal(b->bed.reason, REASON_STOPPED);
        a = fake_systemd_call_index(b->systemd, "StopUnit a.service");
        assert_true(a >= 0 && a < fake_systemd_call_index(b->systemd, "StopUnit b.service"));
        assert_true(a < fake_systemd_call_index(b->systemd, "StopUnit c.service"));
}

static void a_wrapper_stands_for_its_instances(void **state)
{
        static char *instances[] = { (char *)"mail@-.service", (char *)"mailman.service", NULL };
        char *units[] = { (char *)"mail.service", NULL };
        SystemdBed *b = *state;

        FakeUnit *wrapper = fake_systemd_unit(b->systemd, "mail.service");
        FakeUnit *instance = fake_systemd_unit(b->systemd, "mail@-.service");
        FakeUnit *other = fake_systemd_unit(b->systemd, "mailman.service");
        wrapper->type = "oneshot";
        wrapper->consists_of = instances;
        instance->active_state = other->active_state = "active";
        systemd_bed_units(b, units);
        /* They are known, and watched, before anything is done. */
        while (fake_systemd_calls(b->systemd, "LoadUnit mail@-.service") == 0)
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit mail@-.service"), 1);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit mailman.service"), 0);

        /* The start of the wrapper has started it, and it failed. */
        instance->active_state = "failed";
        instance->result = "exit-code";
        assert_int_equal(manager_bed_start(&b->bed), RESULT_FAILED);
        assert_string_equal(b->bed.detail, "mail@-.service: it failed (exit-code)");
        /* One that is not enabled stays down, and that is well. */
        instance->active_state = "inactive";
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StartUnit mail@-.service"), 0);
}

static void what_becomes_of_a_start(void **state)
{
        static const struct {
                FakeJob start;
                const char *load_state, *error, *detail;
                Reason reason;
        } cases[] = {
                { FAKE_JOB_FAILED, "loaded", NULL, "imc.service: it failed (exit-code)",
                  REASON_ACTION_FAILED },
                { FAKE_JOB_DIES, "loaded", NULL, "imc.service: it failed (exit-code)", REASON_ACTION_FAILED },
                { FAKE_JOB_SKIPPED, "loaded", NULL,
                  "imc.service: a condition of the unit does not hold (ConditionPathExists=!/etc/no-imc)",
                  REASON_ACTION_FAILED },
                { FAKE_JOB_DONE, "masked", NULL, "the unit is masked", REASON_MASKED },
                { FAKE_JOB_DONE, "not-found", NULL, "there is no such unit", REASON_ACTION_FAILED },
                { FAKE_JOB_REFUSED, "loaded", "org.freedesktop.systemd1.UnitMasked",
                  "imc.service: imc.service was refused", REASON_MASKED },
                { FAKE_JOB_REFUSED, "loaded", "org.freedesktop.systemd1.TransactionIsDestructive",
                  "imc.service: imc.service was refused", REASON_SHUTDOWN },
                { FAKE_JOB_REFUSED, "loaded", "org.freedesktop.DBus.Error.AccessDenied",
                  "imc.service: imc.service was refused", REASON_ACTION_FAILED },
        };
        SystemdBed *b = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                b->unit->start = cases[i].start;
                b->unit->load_state = cases[i].load_state;
                b->unit->error = cases[i].error;
                b->unit->active_state = "inactive";
                assert_int_equal(manager_bed_start(&b->bed), RESULT_FAILED);
                assert_string_equal(b->bed.detail, cases[i].detail);
                assert_int_equal(b->bed.reason, cases[i].reason);
                assert_false(systemd_bed_permit(b));
        }
}

static void a_oneshot_may_have_ended_well(void **state)
{
        SystemdBed *b = *state;

        b->unit->type = "oneshot";
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
}

static void a_simple_service_may_not(void **state)
{
        SystemdBed *b = *state;

        b->unit->start = FAKE_JOB_ENDS;
        assert_int_equal(manager_bed_start(&b->bed), RESULT_FAILED);
        assert_string_equal(b->bed.detail, "imc.service: it ended at once (success)");
}

static void active_with_nobody_in_it_is_failed(void **state)
{
        SystemdBed *b = *state;

        b->unit->type = "forking";
        b->unit->start = FAKE_JOB_HANG;
        assert_int_equal(b->bed.manager->ops->start(b->bed.manager, manager_bed_done, &b->bed), 0);
        while (fake_systemd_calls(b->systemd, "StartUnit") == 0)
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        fake_systemd_finish(b->unit, FAKE_JOB_DONE);
        b->unit->sub_state = "exited";
        assert_int_equal(manager_bed_wait(&b->bed), RESULT_FAILED);
        assert_string_equal(b->bed.detail,
                            "imc.service: the unit is active, but no process of it lives (success)");

        systemd_bed_process(b, false);
        b->unit->start = FAKE_JOB_HANG;
        assert_int_equal(b->bed.manager->ops->start(b->bed.manager, manager_bed_done, &b->bed), 0);
        fake_systemd_forget_calls(b->systemd);
        while (fake_systemd_calls(b->systemd, "StartUnit") == 0)
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        fake_systemd_finish(b->unit, FAKE_JOB_DONE);
        b->unit->sub_state = "exited";
        assert_int_equal(manager_bed_wait(&b->bed), RESULT_DONE);
}

static void a_start_that_hangs_times_out_and_its_job_stays(void **state)
{
        SystemdBed *b = *state;

        b->unit->start = FAKE_JOB_HANG;
        b->bed.service.start_timeout = 80 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_start(&b->bed), RESULT_TIMEOUT);
        assert_true(b->unit->job != 0);
        assert_string_equal(b->unit->active_state, "activating");
        assert_false(systemd_bed_permit(b));
        /* The stop replaces it. */
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        assert_int_equal(b->unit->job, 0);
}

static void signals_that_come_early_or_never_are_made_up_for(void **state)
{
        SystemdBed *b = *state;

        b->unit->start = FAKE_JOB_EARLY;
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        b->unit->stop = FAKE_JOB_LOST;
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
}

static void a_unit_at_rest_is_not_stopped(void **state)
{
        SystemdBed *b = *state;

        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit"), 0);
        b->unit->active_state = "failed";
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit"), 0);
}

static void a_stop_that_hangs_times_out(void **state)
{
        SystemdBed *b = *state;

        b->unit->active_state = "active";
        b->unit->stop = FAKE_JOB_HANG;
        b->bed.service.stop_timeout = 80 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_TIMEOUT);
        assert_int_equal(b->bed.reason, REASON_STOP_TIMEOUT);
        assert_false(b->bed.alive); /* a hanging job without a process */
        assert_int_equal(json_array_size(json_object_get(b->bed.data, "survivors")), 0);

        systemd_bed_process(b, true);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_TIMEOUT);
        assert_int_equal(b->bed.reason, REASON_STOP_TIMEOUT);
        assert_true(b->bed.alive);
        assert_int_equal(json_array_size(json_object_get(b->bed.data, "survivors")), 1);
}

static void processes_that_outlive_the_stop_are_seen_and_killed(void **state)
{
        SystemdBed *b = *state;
        pid_t pid = systemd_bed_process(b, true);

        b->unit->active_state = "active";
        b->bed.service.stop_timeout = 80 * USEC_PER_MSEC;
        b->bed.service.kill_timeout = 100 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_count(&b->bed), 1);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_TIMEOUT);
        assert_int_equal(b->bed.reason, REASON_PROCESSES_LEFT);
        assert_true(b->bed.alive);
        json_t *survivors = json_object_get(b->bed.data, "survivors");
        assert_int_equal(json_integer_value(json_object_get(json_array_get(survivors, 0), "pid")), pid);

        b->bed.service.kill_timeout = 400 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_kill(&b->bed), RESULT_DONE);
        assert_int_equal(b->bed.reason, REASON_STOPPED);
        assert_false(b->bed.alive);
        assert_int_equal(json_integer_value(json_array_get(json_object_get(b->bed.data, "killed"), 0)), pid);
        assert_int_equal(manager_bed_count(&b->bed), 0);
}

static void a_kill_brings_the_unit_to_rest(void **state)
{
        SystemdBed *b = *state;

        b->unit->active_state = "active"; /* RemainAfterExit: nobody in it */
        b->unit->sub_state = "exited";
        assert_int_equal(manager_bed_kill(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit imc.service"), 1);
        assert_string_equal(b->unit->active_state, "inactive");
}

static void end_the_stop_job(SystemdBed *b)
{
        fake_systemd_finish(b->unit, FAKE_JOB_FAILED);
}

static void a_kill_waits_for_the_stop_job_to_end(void **state)
{
        SystemdBed *b = *state;

        b->unit->active_state = "active";
        b->unit->stop = FAKE_JOB_HANG;
        b->bed.service.stop_timeout = 50 * USEC_PER_MSEC;
        systemd_bed_process(b, false);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_TIMEOUT);
        systemd_bed_later(b, 250, end_the_stop_job);
        assert_int_equal(manager_bed_kill(&b->bed), RESULT_DONE);
        assert_string_equal(b->unit->active_state, "failed");
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit"), 1); /* not another one on top */
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
}

static void a_mute_systemd_does_not_save_the_processes(void **state)
{
        SystemdBed *b = *state;
        pid_t pid = systemd_bed_process(b, false);
        siginfo_t si = { 0 };

        fake_systemd_mute(b->systemd);
        assert_int_equal(b->bed.manager->ops->kill(b->bed.manager, manager_bed_done, &b->bed), 0);
        for (unsigned i = 0; i < 100 && si.si_pid == 0; i++) {
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
                assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | WNOHANG), 0);
        }
        assert_int_equal(si.si_status, SIGTERM);
        fake_systemd_disconnect(b->systemd);
        assert_int_equal(manager_bed_wait(&b->bed), RESULT_FAILED);
}

static void a_lost_bus_fails_the_call_under_way_and_all_later_ones(void **state)
{
        SystemdBed *b = *state;

        b->unit->start = FAKE_JOB_HANG;
        assert_int_equal(b->bed.manager->ops->start(b->bed.manager, manager_bed_done, &b->bed), 0);
        while (fake_systemd_calls(b->systemd, "StartUnit") == 0)
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        fake_systemd_disconnect(b->systemd);
        assert_int_equal(manager_bed_wait(&b->bed), RESULT_FAILED);
        assert_string_equal(b->bed.detail, "systemd: the bus connection was lost");
        assert_int_equal(b->bed.manager->ops->start(b->bed.manager, manager_bed_done, &b->bed), -ENOTCONN);
        assert_int_equal(b->bed.manager->ops->stop(b->bed.manager, manager_bed_done, &b->bed), -ENOTCONN);
        assert_int_equal(manager_bed_count(&b->bed), 0);
}

/* As in unjamd itself: no failure is heard of, which would end the recovery, before it ends. */
static void a_lost_bus_that_ends_unjamd_fails_nothing(void **state)
{
        SystemdBed *b = *state;
        unsigned n;

        assert_true(sd_bus_set_exit_on_disconnect(fake_systemd_bus(b->systemd), true) >= 0);
        b->unit->start = FAKE_JOB_HANG;
        assert_int_equal(b->bed.manager->ops->start(b->bed.manager, manager_bed_done, &b->bed), 0);
        while (fake_systemd_calls(b->systemd, "StartUnit") == 0)
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        n = b->bed.n;
        fake_systemd_disconnect(b->systemd);
        while (sd_event_get_state(b->bed.event) != SD_EVENT_FINISHED)
                assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        assert_int_equal(b->bed.n, n);
}

static void a_systemd_that_does_not_answer_times_out(void **state)
{
        SystemdBed *b = *state;

        fake_systemd_mute(b->systemd);
        b->bed.service.start_timeout = b->bed.service.stop_timeout = 50 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_start(&b->bed), RESULT_TIMEOUT);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_TIMEOUT);
}

static void a_manager_freed_in_the_middle_says_nothing(void **state)
{
        SystemdBed *b = *state;

        assert_int_equal(b->bed.manager->ops->start(b->bed.manager, manager_bed_done, &b->bed), 0);
        assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        b->bed.manager = manager_free(b->bed.manager);
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_event_run(b->bed.event, 1000) >= 0);
        assert_int_equal(b->bed.n, 0);
}

static void an_embedded_service_is_a_transient_unit(void **state)
{
        char *command[] = { (char *)"/usr/bin/imcd", (char *)"-f", NULL };
        char *environment[] = { (char *)"A=1", NULL };
        SystemdBed *b = *state;

        b->bed.manager = manager_free(b->bed.manager);
        b->bed.service.units = NULL;
        b->bed.service.command = command;
        b->bed.service.environment = environment;
        b->bed.service.user = (char *)"imc";
        assert_int_equal(manager_embedded_new(&b->bed.manager, &b->bed.ctx), 0);
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        assert_string_equal(fake_systemd_unit(b->systemd, "unjam-imc.service")->active_state, "active");
        assert_int_equal(
                fake_systemd_calls(b->systemd,
                                   "StartTransientUnit unjam-imc.service: Description Type TimeoutStopUSec "
                                   "WorkingDirectory User Environment ExecStart"),
                1);
        /* It runs: not made again. */
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StartTransientUnit"), 1);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 0);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        b->bed.service.command = b->bed.service.environment = NULL;
        b->bed.service.user = NULL;
}

static void names_of_transient_units_are_escaped(void **state)
{
        (void)state;
        char *unit = manager_embedded_unit("a b/c-1");
        assert_string_equal(unit, "unjam-a\\x20b\\x2fc-1.service");
        free(unit);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, systemd_bed_setup, systemd_bed_teardown)
        const struct CMUnitTest tests[] = {
                TEST(a_start_resets_starts_and_tells_the_invocation),
                TEST(several_units_start_in_reverse_and_stop_in_order),
                TEST(a_wrapper_stands_for_its_instances),
                TEST(what_becomes_of_a_start),
                TEST(a_oneshot_may_have_ended_well),
                TEST(a_simple_service_may_not),
                TEST(active_with_nobody_in_it_is_failed),
                TEST(a_start_that_hangs_times_out_and_its_job_stays),
                TEST(signals_that_come_early_or_never_are_made_up_for),
                TEST(a_unit_at_rest_is_not_stopped),
                TEST(a_stop_that_hangs_times_out),
                TEST(processes_that_outlive_the_stop_are_seen_and_killed),
                TEST(a_kill_brings_the_unit_to_rest),
                TEST(a_kill_waits_for_the_stop_job_to_end),
                TEST(a_mute_systemd_does_not_save_the_processes),
                TEST(a_lost_bus_fails_the_call_under_way_and_all_later_ones),
                TEST(a_lost_bus_that_ends_unjamd_fails_nothing),
                TEST(a_systemd_that_does_not_answer_times_out),
                TEST(a_manager_freed_in_the_middle_says_nothing),
                TEST(an_embedded_service_is_a_transient_unit),
                cmocka_unit_test(names_of_transient_units_are_escaped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
