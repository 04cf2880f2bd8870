/* Tests of act/manager_command.c with the real runner, and scripts as an init system has them. */
#include "act/leftovers.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "fake/manager_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static ManagerBed bed;

static char **script(const char *text)
{
        char **v = NULL;

        assert_int_equal(strv_append(&v, "/bin/sh"), 0);
        assert_int_equal(strv_append(&v, "-c"), 0);
        assert_int_equal(strv_append(&v, text), 0);
        return v;
}

/* A daemon that runs @body in a session of its own, with imc.pid in the bed's directory. */
static char **daemon_script(const char *body)
{
        char text[1024];

        snprintf(text, sizeof(text),
                 "cd %s; setsid sh -c 'echo $$ > imc.pid; %s' > /dev/null 2>&1 < /dev/null &", bed.dir, body);
        return script(text);
}

static int setup(void **state)
{
        char text[512];

        (void)state;
        manager_bed_init(&bed);
        assert_int_equal(runner_fork_new(&bed.ctx.runner, bed.event), 0);
        assert_true(asprintf(&bed.service.pidfile, "%s/imc.pid", bed.dir) > 0);
        snprintf(text, sizeof(text), "kill $(cat %s/imc.pid)", bed.dir);
        bed.service.stop = script(text);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        if (bed.manager)
                (void)manager_bed_kill(&bed);
        bed.manager = manager_free(bed.manager);
        runner_free(bed.ctx.runner);
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        free(bed.service.pidfile);
        strv_free(bed.service.start);
        strv_free(bed.service.stop);
        strv_free(bed.service.status);
        manager_bed_deinit(&bed);
        return 0;
}

static void manager_is_made(char **start)
{
        bed.service.start = start;
        assert_int_equal(manager_command_new(&bed.manager, &bed.ctx), 0);
}

static void start_and_stop(void **state)
{
        (void)state;
        manager_is_made(daemon_script("exec sleep 1000"));
        bed.service.status = script("exit 0");
        assert_int_equal(manager_bed_count(&bed), 0);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 1);
        char *pid = manager_bed_read(bed.dir, "imc.pid");
        assert_int_equal(strncmp(bed.invocation, pid, strcspn(pid, "\n")), 0);
        free(pid);
        assert_int_equal(manager_bed_stop(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 0);
}

static void programs_that_fail_are_named(void **state)
{
        (void)state;
        manager_is_made(script("echo first; echo no spool >&2; exit 5"));
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        assert_string_equal(bed.detail, "start program: exit code 5: no spool");
}

static void a_start_that_hangs_times_out(void **state)
{
        (void)state;
        bed.service.start_timeout = 80 * USEC_PER_MSEC;
        manager_is_made(script("sleep 1000"));
        assert_int_equal(manager_bed_start(&bed), RESULT_TIMEOUT);
}

static void a_start_without_a_process_has_failed(void **state)
{
        char want[256];

        (void)state;
        bed.service.start_timeout = USEC_PER_SEC; /* the program itself ends long before */
        manager_is_made(script("exit 0"));
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        snprintf(want, sizeof(want), "the start program ended well, but %s names no living process",
                 bed.service.pidfile);
        assert_string_equal(bed.detail, want);
}

static void the_status_program_has_a_say(void **state)
{
        (void)state;
        manager_is_made(daemon_script("exec sleep 1000"));
        bed.service.status = script("echo is dead; exit 1");
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        assert_string_equal(bed.detail, "status program: exit code 1: is dead");
}

static void a_late_pidfile_is_waited_for(void **state)
{
        (void)state;
        manager_is_made(daemon_script("rm -f imc.pid; sleep 0.3; echo $$ > imc.pid; exec sleep 1000"));
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 1);
}

static void a_stop_that_hangs_times_out(void **state)
{
        (void)state;
        manager_is_made(daemon_script("exec sleep 1000"));
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        strv_free(bed.service.stop);
        bed.service.stop = script("sleep 1000");
        bed.service.stop_timeout = 80 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_stop(&bed), RESULT_TIMEOUT);
        assert_int_equal(bed.reason, REASON_STOP_TIMEOUT);
        assert_true(bed.alive);
        assert_int_equal(json_array_size(json_object_get(bed.data, "survivors")), 1);
}

static void who_outlives_the_stop_is_seen_and_killed(void **state)
{
        char text[512];

        (void)state;
        /* No pidfile before the one that outlives it is there: what ignores a signal passes that on. */
        snprintf(text, sizeof(text),
                 "cd %s; setsid sh -c 'trap \"\" TERM; sleep 1000 & trap \"exit 0\" TERM; echo $$ > imc.pid; "
                 "while :; do wait; done' > /dev/null 2>&1 < /dev/null &",
                 bed.dir);
        manager_is_made(script(text));
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 2);
        /* So long that the stop program itself has ended by then, on a busy machine as well. */
        bed.service.stop_timeout = USEC_PER_SEC;
        bed.service.kill_timeout = 200 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_stop(&bed), RESULT_TIMEOUT);
        assert_int_equal(bed.reason, REASON_PROCESSES_LEFT);
        assert_int_equal(manager_bed_count(&bed), 1);
        assert_int_equal(manager_bed_kill(&bed), RESULT_DONE);
        assert_false(bed.alive);
        assert_int_equal(manager_bed_count(&bed), 0);
}

static void a_supervisor_that_starts_it_anew_is_told_to_stop(void **state)
{
        char text[512];

        (void)state;
        /* Like runit: as long as there is no file "down", the service comes back. */
        snprintf(text, sizeof(text),
                 "cd %s; setsid sh -c 'echo $$ > super.pid; while [ ! -e down ]; do setsid sh -c \"echo "
                 "\\$\\$ > imc.pid; exec sleep "
                 "1000\"; done' > /dev/null 2>&1 < /dev/null &",
                 bed.dir);
        manager_is_made(script(text));
        strv_free(bed.service.stop);
        snprintf(text, sizeof(text), "cd %s; touch down; kill $(cat imc.pid)", bed.dir);
        bed.service.stop = script(text);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_kill(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 0);
        assert_int_equal(json_array_size(json_object_get(bed.data, "terminated")), 1);
        assert_null(json_object_get(bed.data, "survivors"));
        char *down = manager_bed_read(bed.dir, "down");
        assert_non_null(down);
        free(down);
}

static void the_manager_finds_a_service_that_runs(void **state)
{
        (void)state;
        manager_is_made(daemon_script("exec sleep 1000"));
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        bed.manager = manager_free(bed.manager);
        assert_int_equal(manager_command_new(&bed.manager, &bed.ctx), 0);
        assert_int_equal(manager_bed_stop(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 0);
}

static void programs_must_be_there(void **state)
{
        Manager *m = NULL;

        (void)state;
        assert_int_equal(manager_command_new(&m, &bed.ctx), -EINVAL);
        assert_null(m);
}

static void a_manager_freed_in_the_middle_says_nothing(void **state)
{
        (void)state;
        manager_is_made(script("sleep 1000"));
        assert_int_equal(bed.manager->ops->start(bed.manager, manager_bed_done, &bed), 0);
        bed.manager = manager_free(bed.manager);
        for (unsigned i = 0; i < 20; i++)
                assert_true(sd_event_run(bed.event, 1000) >= 0);
        assert_int_equal(bed.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(start_and_stop, setup, teardown),
                cmocka_unit_test_setup_teardown(programs_that_fail_are_named, setup, teardown),
                cmocka_unit_test_setup_teardown(a_start_that_hangs_times_out, setup, teardown),
                cmocka_unit_test_setup_teardown(a_start_without_a_process_has_failed, setup, teardown),
                cmocka_unit_test_setup_teardown(the_status_program_has_a_say, setup, teardown),
                cmocka_unit_test_setup_teardown(a_late_pidfile_is_waited_for, setup, teardown),
                cmocka_unit_test_setup_teardown(a_stop_that_hangs_times_out, setup, teardown),
                cmocka_unit_test_setup_teardown(who_outlives_the_stop_is_seen_and_killed, setup, teardown),
                cmocka_unit_test_setup_teardown(a_supervisor_that_starts_it_anew_is_told_to_stop, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(the_manager_finds_a_service_that_runs, setup, teardown),
                cmocka_unit_test_setup_teardown(programs_must_be_there, setup, teardown),
                cmocka_unit_test_setup_teardown(a_manager_freed_in_the_middle_says_nothing, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
