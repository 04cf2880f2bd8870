/* Tests of act/manager_embedded.c with real programs; the observer's part (reaping) is played by
 * the tests. */
#include "act/leftovers.h"
#include "act/manager_record.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "fake/manager_bed.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static ManagerBed bed;
static int procfd;

static int setup(void **state)
{
        (void)state;
        manager_bed_init(&bed);
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return 0;
}

static void reap_all(void)
{
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
}

static int teardown(void **state)
{
        (void)state;
        if (bed.manager) {
                (void)manager_bed_kill(&bed);
                reap_all();
        }
        bed.service.command = strv_free(bed.service.command);
        bed.service.environment = strv_free(bed.service.environment);
        manager_bed_deinit(&bed);
        close(procfd);
        return 0;
}

static void service_is(const char *script)
{
        assert_int_equal(strv_append(&bed.service.command, "/bin/sh"), 0);
        assert_int_equal(strv_append(&bed.service.command, "-c"), 0);
        assert_int_equal(strv_append(&bed.service.command, script), 0);
        assert_int_equal(manager_embedded_new(&bed.manager, &bed.ctx), 0);
}

static EmbeddedRecord record(void)
{
        EmbeddedRecord r = { 0 };

        assert_int_equal(embedded_record_read(bed.run_dir, "imc", &r), 0);
        return r;
}

static ProcStat main_stat(void)
{
        EmbeddedRecord r = record();
        ProcStat s = { 0 };

        (void)proc_stat_read(procfd, r.main.pid, &s);
        assert_true(s.id.pid == 0 || s.id.start == r.main.start);
        embedded_record_deinit(&r);
        return s;
}

static void start_and_stop(void **state)
{
        (void)state;
        service_is("exec sleep 1000");
        assert_int_equal(manager_bed_count(&bed), 0);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(strlen(bed.invocation), 32);
        assert_int_equal(manager_bed_count(&bed), 1);

        ProcStat s = main_stat();
        assert_string_equal(s.name, "sleep");
        assert_int_equal(s.session, s.id.pid);
        EmbeddedRecord r = record();
        assert_string_equal(r.invocation, bed.invocation);
        assert_false(r.stopping);
        embedded_record_deinit(&r);

        assert_int_equal(manager_bed_stop(&bed), RESULT_DONE);
        assert_false(bed.alive);
        assert_int_equal(bed.reason, REASON_STOPPED);
        assert_int_equal(manager_bed_count(&bed), 0);
        assert_int_equal(main_stat().state, 'Z'); /* left for the observer to reap */
        r = record();
        assert_true(r.stopping);
        embedded_record_deinit(&r);
}

static void a_second_start_is_another_run(void **state)
{
        (void)state;
        service_is("exec sleep 1000");
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        _cleanup_(freep) char *first = strdup(bed.invocation);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE); /* it runs: the same */
        assert_string_equal(bed.invocation, first);
        assert_int_equal(manager_bed_stop(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_string_not_equal(bed.invocation, first);
        assert_int_equal(manager_bed_count(&bed), 1);
}

static void stopping_nothing_is_done(void **state)
{
        (void)state;
        service_is("exec sleep 1000");
        assert_int_equal(manager_bed_stop(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_kill(&bed), RESULT_DONE);
}

static void a_program_that_ends_at_once_has_failed(void **state)
{
        (void)state;
        service_is("exit 7");
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        assert_string_equal(bed.detail, "it ended at once with exit code 7");
}

static void a_program_that_crashes_at_once_has_failed(void **state)
{
        (void)state;
        service_is("kill -SEGV $$");
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        assert_string_equal(bed.detail, "it ended at once by signal SIGSEGV");
}

static void what_cannot_be_executed_has_failed(void **state)
{
        (void)state;
        assert_int_equal(strv_append(&bed.service.command, "/nowhere/imcd"), 0);
        assert_int_equal(manager_embedded_new(&bed.manager, &bed.ctx), 0);
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        assert_string_equal(bed.detail, "executing the program: No such file or directory");
}

static void an_unknown_user_is_named(void **state)
{
        (void)state;
        bed.service.user = (char *)"no-such-user-here";
        service_is("exec sleep 1000");
        assert_int_equal(manager_bed_start(&bed), RESULT_FAILED);
        assert_string_equal(bed.detail, "user no-such-user-here: unknown");
}

static void directory_environment_and_signals_are_as_asked(void **state)
{
        char script[512];

        (void)state;
        bed.service.directory = bed.dir;
        assert_int_equal(strv_append(&bed.service.environment, "COLOUR=a b"), 0);
        snprintf(script, sizeof(script),
                 "echo \"$PWD|$COLOUR|$PATH\" > out; grep -E '^Sig(Blk|Ign)' /proc/self/status >> out; ls -l "
                 "/proc/self/fd "
                 "> fds; mv out result; exec sleep 1000");
        service_is(script);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        _cleanup_(freep) char *text = manager_bed_read(bed.dir, "result");
        assert_non_null(text);
        assert_int_equal(strncmp(text, bed.dir, strlen(bed.dir)), 0);
        assert_non_null(strstr(text, "|a b|/usr/local/sbin:"));
        assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
        assert_non_null(strstr(text, "SigIgn:\t0000000000000000"));
        _cleanup_(freep) char *fds = manager_bed_read(bed.dir, "fds");
        assert_non_null(strstr(fds, " 0 -> /dev/null"));
        assert_null(strstr(fds, "eventpoll"));
        assert_null(strstr(fds, " 4 -> "));
}

static void a_hanging_stop_times_out_and_the_kill_ends_it(void **state)
{
        (void)state;
        bed.service.stop_timeout = 80 * USEC_PER_MSEC;
        bed.service.kill_timeout = 5 * USEC_PER_SEC;
        service_is("trap '' TERM; sleep 1000 & while :; do wait; done");
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_stop(&bed), RESULT_TIMEOUT);
        assert_int_equal(bed.reason, REASON_STOP_TIMEOUT);
        assert_true(bed.alive);
        assert_non_null(json_object_get(bed.data, "survivors"));

        bed.service.kill_timeout = 100 * USEC_PER_MSEC;
        assert_int_equal(manager_bed_kill(&bed), RESULT_DONE);
        assert_false(bed.alive);
        assert_int_equal(manager_bed_count(&bed), 0);
}

static void children_that_left_the_session_are_found(void **state)
{
        (void)state;
        bed.service.stop_timeout = 500 * USEC_PER_MSEC; /* the main process is to end before that */
        bed.service.kill_timeout = 100 * USEC_PER_MSEC;
        service_is("setsid sh -c 'trap \"\" TERM; sleep 1000; :' & wait");
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 3);
        /* The main process heeds the SIGTERM; its child in another session does not get one. */
        assert_int_equal(manager_bed_stop(&bed), RESULT_TIMEOUT);
        assert_int_equal(bed.reason, REASON_PROCESSES_LEFT);
        assert_true(bed.alive);
        assert_int_equal(manager_bed_kill(&bed), RESULT_DONE);
        assert_int_equal(manager_bed_count(&bed), 0);
}

static void the_service_outlives_its_manager(void **state)
{
        (void)state;
        service_is("sleep 1000 & wait");
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        _cleanup_(freep) char *first = strdup(bed.invocation);
        assert_int_equal(manager_bed_count(&bed), 2);

        bed.manager = manager_free(bed.manager);
        assert_int_equal(manager_embedded_new(&bed.manager, &bed.ctx), 0);
        assert_int_equal(manager_bed_count(&bed), 2);
        assert_int_equal(manager_bed_start(&bed), RESULT_DONE);
        assert_string_equal(bed.invocation, first);
        assert_int_equal(manager_bed_stop(&bed), RESULT_DONE);
}

static void a_manager_freed_in_the_middle_leaves_nothing_running(void **state)
{
        (void)state;
        service_is("exec sleep 1000");
        assert_int_equal(bed.manager->ops->start(bed.manager, manager_bed_done, &bed), 0);
        bed.manager = manager_free(bed.manager);
        assert_int_equal(bed.n, 0);
}

static void one_call_at_a_time(void **state)
{
        (void)state;
        service_is("exec sleep 1000");
        assert_int_equal(bed.manager->ops->start(bed.manager, manager_bed_done, &bed), 0);
        assert_int_equal(bed.manager->ops->kill(bed.manager, manager_bed_done, &bed), -EBUSY);
        assert_int_equal(bed.n, 0); /* never from inside the call */
        assert_int_equal(manager_bed_wait(&bed), RESULT_DONE);
}

static void the_guard_is_the_marker(void **state)
{
        char path[256];

        (void)state;
        service_is("exec sleep 1000");
        snprintf(path, sizeof(path), "%s/guard", bed.state_dir);
        assert_int_equal(manager_bed_guard(&bed, true), RESULT_DONE);
        _cleanup_(freep) char *text = manager_bed_read(path, "imc");
        assert_non_null(strstr(text, "\"20261122-1-imc\""));
        assert_int_equal(manager_bed_guard(&bed, true), RESULT_DONE);
        assert_int_equal(manager_bed_guard(&bed, false), RESULT_DONE);
        assert_null(manager_bed_read(path, "imc"));
        assert_int_equal(manager_bed_guard(&bed, false), RESULT_DONE);
}

static void another_process_on_the_recorded_pid_is_not_ours(void **state)
{
        EmbeddedRecord r = { .invocation = (char *)"00" };
        ProcId id;

        (void)state;
        pid_t pid = fork();
        if (pid == 0) {
                setsid();
                pause();
                _exit(0);
        }
        assert_int_equal(proc_identify(procfd, pid, &id), 0);
        r.main = (ProcId){ .pid = pid, .start = id.start - 1 };
        assert_int_equal(embedded_record_write(bed.run_dir, "imc", &r), 0);
        service_is("exec sleep 1000");
        assert_int_equal(manager_bed_count(&bed), 0);
        assert_int_equal(manager_bed_kill(&bed), RESULT_DONE);
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Empty groups of starts that failed stay until the next start of the service, which never comes here. */
static int remove_groups(void **state)
{
        _cleanup_(freep) char *own = NULL;
        struct dirent *e;

        (void)state;
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (procfd < 0 || cgroup_of(procfd, getpid(), &own) < 0)
                return 0;
        strrchr(own, '/')[strrchr(own, '/') == own] = '\0';
        int fd = cgroup_open(own);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        while (dir && (e = readdir(dir)))
                if (strncmp(e->d_name, "unjam-imc-", 10) == 0)
                        (void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
        if (dir)
                closedir(dir);
        close(procfd);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(start_and_stop, setup, teardown),
                cmocka_unit_test_setup_teardown(a_second_start_is_another_run, setup, teardown),
                cmocka_unit_test_setup_teardown(stopping_nothing_is_done, setup, teardown),
                cmocka_unit_test_setup_teardown(a_program_that_ends_at_once_has_failed, setup, teardown),
                cmocka_unit_test_setup_teardown(a_program_that_crashes_at_once_has_failed, setup, teardown),
                cmocka_unit_test_setup_teardown(what_cannot_be_executed_has_failed, setup, teardown),
                cmocka_unit_test_setup_teardown(an_unknown_user_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(directory_environment_and_signals_are_as_asked, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_hanging_stop_times_out_and_the_kill_ends_it, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(children_that_left_the_session_are_found, setup, teardown),
                cmocka_unit_test_setup_teardown(the_service_outlives_its_manager, setup, teardown),
                cmocka_unit_test_setup_teardown(a_manager_freed_in_the_middle_leaves_nothing_running, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(one_call_at_a_time, setup, teardown),
                cmocka_unit_test_setup_teardown(the_guard_is_the_marker, setup, teardown),
                cmocka_unit_test_setup_teardown(another_process_on_the_recorded_pid_is_not_ours, setup,
                                                teardown),
        };

        return cmocka_run_group_tests(tests, NULL, remove_groups);
}
