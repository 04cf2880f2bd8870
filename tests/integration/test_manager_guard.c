/* The real guard of the systemd manager (manager_guard, manager_reload) on a fake systemd and real files. */
#include "act/guard.h"
#include "base/text.h"
#include "fake/systemd_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *sockets[] = { (char *)"imc.socket", (char *)"imc.timer", NULL };

/* The unit has a socket that is up and a timer that is not. */
static void add_triggers(SystemdBed *b)
{
        b->unit->triggered_by = sockets;
        b->unit->active_state = "active";
        fake_systemd_unit(b->systemd, "imc.socket")->active_state = "active";
        fake_systemd_unit(b->systemd, "imc.timer");
}

static bool has_dropin(const char *dir, const char *unit, const char *name)
{
        char *text = systemd_bed_dropin(dir, unit, name);
        bool has = text;

        free(text);
        return has;
}

static bool files_are_there(SystemdBed *b)
{
        bool guard = has_dropin(b->bed.unit_dir, "imc.service", GUARD_DROPIN);

        assert_int_equal(guard, has_dropin(b->bed.runtime_unit_dir, "imc.service", GUARD_RESTART_DROPIN));
        assert_int_equal(guard, systemd_bed_marker(b));
        return guard;
}

static void on_and_off(void **state)
{
        static char *units[] = { (char *)"imc.service", NULL };
        SystemdBed *b = *state;

        add_triggers(b);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        assert_true(files_are_there(b));
        assert_true(has_dropin(b->bed.unit_dir, "imc.socket", GUARD_DROPIN));
        assert_true(has_dropin(b->bed.unit_dir, "imc.timer", GUARD_DROPIN));
        assert_false(has_dropin(b->bed.runtime_unit_dir, "imc.socket", GUARD_RESTART_DROPIN));
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 1);
        int stop = fake_systemd_call_index(b->systemd, "StopUnit imc.socket");
        assert_true(stop >= 0 && stop < fake_systemd_call_index(b->systemd, "Reload"));
        assert_string_equal(b->unit->active_state, "active"); /* the service is not touched */
        assert_int_equal(json_array_size(json_object_get(b->bed.data, "guarded")), 3);

        /* After a restart of unjamd, from the marker alone. */
        systemd_bed_units(b, units);
        fake_systemd_forget_calls(b->systemd);
        b->unit->triggered_by = NULL;
        assert_int_equal(manager_bed_guard(&b->bed, false), RESULT_DONE);
        assert_false(files_are_there(b));
        assert_false(has_dropin(b->bed.unit_dir, "imc.socket", GUARD_DROPIN));
        assert_false(has_dropin(b->bed.unit_dir, "imc.timer", GUARD_DROPIN));
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 1);
        int start = fake_systemd_call_index(b->systemd, "StartUnit imc.socket");
        assert_true(start > fake_systemd_call_index(b->systemd, "Reload"));
        assert_int_equal(fake_systemd_calls(b->systemd, "StartUnit"),
                         1); /* neither the timer nor the service */
        assert_false(systemd_bed_permit(b));
}

static void on_again_changes_nothing(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        /* Another unit waits now: that is of no interest, for no reload is needed. */
        fake_systemd_unit(b->systemd, "other.service")->need_daemon_reload = 1;
        fake_systemd_forget_calls(b->systemd);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 0);
        assert_true(files_are_there(b));

        /* The socket, which is down since the first time, is still remembered. */
        fake_systemd_unit(b->systemd, "other.service")->need_daemon_reload = 0;
        assert_int_equal(manager_bed_guard(&b->bed, false), RESULT_DONE);
        assert_string_equal(fake_systemd_unit(b->systemd, "imc.socket")->active_state, "active");
}

static void on_again_makes_the_reload_that_was_missed(void **state)
{
        SystemdBed *b = *state;

        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        b->unit->need_daemon_reload = 1; /* as if unjamd had ended before its reload */
        fake_systemd_forget_calls(b->systemd);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 1);
}

static void another_unit_that_waits_for_a_reload_forbids_it(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        for (unsigned i = 0; i < 100; i++) {
                char name[64];

                snprintf(name, sizeof(name), "unit-%u.service", i);
                fake_systemd_unit(b->systemd, name)->need_daemon_reload = i == 77;
        }
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_FAILED);
        assert_int_equal(b->bed.reason, REASON_NEED_DAEMON_RELOAD);
        assert_string_equal(b->bed.detail, "unit-77.service: waits for a daemon-reload of others");
        assert_false(files_are_there(b));
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 0);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit"), 0);
        assert_string_equal(fake_systemd_unit(b->systemd, "imc.socket")->active_state, "active");
}

static void devices_and_our_own_units_may_wait(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        b->unit->need_daemon_reload = 1;
        fake_systemd_unit(b->systemd, "imc.socket")->need_daemon_reload = 1;
        fake_systemd_unit(b->systemd, "dev-sda.device")->need_daemon_reload = 1;
        FakeUnit *gone = fake_systemd_unit(b->systemd, "gone.service");
        gone->need_daemon_reload = 1;
        gone->load_state = "not-found";
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 1);
}

static void a_reload_that_fails_is_taken_back(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        fake_systemd_fail_reload(b->systemd, "org.freedesktop.DBus.Error.LimitsExceeded");
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_FAILED);
        assert_int_equal(b->bed.reason, REASON_ACTION_FAILED);
        assert_string_equal(b->bed.detail, "daemon-reload: the reload was refused");
        assert_false(files_are_there(b));
        assert_string_equal(fake_systemd_unit(b->systemd, "imc.socket")->active_state, "active");
        /* And it can be tried again. */
        fake_systemd_fail_reload(b->systemd, NULL);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        assert_true(files_are_there(b));
}

static void off_does_not_make_a_reload_that_is_somebody_elses(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        fake_systemd_unit(b->systemd, "other.service")->need_daemon_reload = 1;
        fake_systemd_forget_calls(b->systemd);
        assert_int_equal(manager_bed_guard(&b->bed, false), RESULT_DONE);
        assert_int_equal(b->bed.reason, REASON_NEED_DAEMON_RELOAD);
        assert_non_null(strstr(b->bed.detail, "other.service waits"));
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 0);
        assert_false(files_are_there(b));
        assert_string_equal(fake_systemd_unit(b->systemd, "imc.socket")->active_state, "active");
}

static void off_without_on_is_nothing(void **state)
{
        SystemdBed *b = *state;

        assert_int_equal(manager_bed_guard(&b->bed, false), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "Reload"), 0);
        assert_int_equal(fake_systemd_calls(b->systemd, "ListUnits"), 0);
}

static void a_unit_with_triggering_conditions_gets_assertions(void **state)
{
        SystemdBed *b = *state;

        b->unit->own_triggers = true;
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        char *text = systemd_bed_dropin(b->bed.unit_dir, "imc.service", GUARD_DROPIN);
        assert_non_null(strstr(text, "AssertPathExists=|!"));
        free(text);
}

static void while_it_is_on_sockets_go_with_the_service(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        b->unit->active_state = "inactive";
        fake_systemd_forget_calls(b->systemd);
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        int socket = fake_systemd_call_index(b->systemd, "StartUnit imc.socket");
        assert_true(socket >= 0 && socket < fake_systemd_call_index(b->systemd, "StartUnit imc.service"));
        assert_int_equal(fake_systemd_calls(b->systemd, "StartUnit imc.timer"), 0);

        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        socket = fake_systemd_call_index(b->systemd, "StopUnit imc.socket");
        assert_true(socket >= 0 && socket < fake_systemd_call_index(b->systemd, "StopUnit imc.service"));
        assert_string_equal(fake_systemd_unit(b->systemd, "imc.socket")->active_state, "inactive");

        /* Without a guard a start and a stop leave them alone. */
        assert_int_equal(manager_bed_guard(&b->bed, false), RESULT_DONE);
        fake_systemd_forget_calls(b->systemd);
        assert_int_equal(manager_bed_start(&b->bed), RESULT_DONE);
        assert_int_equal(manager_bed_stop(&b->bed), RESULT_DONE);
        assert_int_equal(fake_systemd_calls(b->systemd, "StartUnit imc.socket"), 0);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit imc.socket"), 0);
}

static void a_trigger_that_does_not_come_up_is_told(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        fake_systemd_unit(b->systemd, "imc.socket")->start = FAKE_JOB_FAILED;
        assert_int_equal(manager_bed_guard(&b->bed, false), RESULT_DONE);
        assert_string_equal(b->bed.detail, "imc.socket: failed");
        assert_false(files_are_there(b));
}

static void a_bus_that_goes_leaves_the_marker_for_later(void **state)
{
        SystemdBed *b = *state;

        add_triggers(b);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_DONE);
        fake_systemd_mute(b->systemd);
        assert_int_equal(b->bed.manager->ops->guard(b->bed.manager, false, NULL, manager_bed_done, &b->bed),
                         0);
        assert_true(sd_event_run(b->bed.event, 100000) >= 0);
        fake_systemd_disconnect(b->systemd);
        assert_int_equal(manager_bed_wait(&b->bed), RESULT_FAILED);
        assert_true(systemd_bed_marker(b));
}

static void files_that_cannot_be_written_fail_it(void **state)
{
        SystemdBed *b = *state;
        char *text;

        add_triggers(b);
        b->bed.manager = manager_free(b->bed.manager);
        b->bed.ctx.unit_dir = "/proc/no-such-place";
        systemd_bed_units(b, b->bed.service.units);
        assert_int_equal(manager_bed_guard(&b->bed, true), RESULT_FAILED);
        assert_non_null(strstr(b->bed.detail, "guard files: "));
        assert_false(systemd_bed_marker(b));
        text = systemd_bed_dropin(b->bed.runtime_unit_dir, "imc.service", GUARD_RESTART_DROPIN);
        assert_null(text);
        assert_int_equal(fake_systemd_calls(b->systemd, "StopUnit"), 0);
}

static void a_guard_needs_an_incident(void **state)
{
        SystemdBed *b = *state;

        assert_int_equal(b->bed.manager->ops->guard(b->bed.manager, true, NULL, manager_bed_done, &b->bed),
                         -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, systemd_bed_setup, systemd_bed_teardown)
        const struct CMUnitTest tests[] = {
                TEST(on_and_off),
                TEST(on_again_changes_nothing),
                TEST(on_again_makes_the_reload_that_was_missed),
                TEST(another_unit_that_waits_for_a_reload_forbids_it),
                TEST(devices_and_our_own_units_may_wait),
                TEST(a_reload_that_fails_is_taken_back),
                TEST(off_does_not_make_a_reload_that_is_somebody_elses),
                TEST(off_without_on_is_nothing),
                TEST(a_unit_with_triggering_conditions_gets_assertions),
                TEST(while_it_is_on_sockets_go_with_the_service),
                TEST(a_trigger_that_does_not_come_up_is_told),
                TEST(a_bus_that_goes_leaves_the_marker_for_later),
                TEST(files_that_cannot_be_written_fail_it),
                TEST(a_guard_needs_an_incident),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
