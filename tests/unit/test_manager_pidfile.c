/* Tests of act/manager_pidfile.c: on real processes, and with ages made up. */
#include "act/manager_pidfile.h"
#include "base/cleanup.h"
#include "fake/manager_bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static ManagerBed bed;
static int procfd;
static char path[128];

static int setup(void **state)
{
        (void)state;
        manager_bed_init(&bed);
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        snprintf(path, sizeof(path), "%s/imc.pid", bed.dir);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        close(procfd);
        manager_bed_deinit(&bed);
        return 0;
}

static int identify(const char *text, ProcId *ret)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        return pidfile_identify(procfd, path, ret);
}

static void the_process_is_found(void **state)
{
        char text[64];
        ProcId id, want;

        (void)state;
        assert_int_equal(pidfile_identify(procfd, path, &id), PIDFILE_E_NONE);
        assert_int_equal(proc_identify(procfd, getpid(), &want), 0);
        snprintf(text, sizeof(text), " %d\n/usr/sbin/sendmail -bd\n", (int)getpid());
        assert_int_equal(identify(text, &id), 0);
        assert_int_equal(id.pid, want.pid);
        assert_int_equal(id.start, want.start);
        snprintf(text, sizeof(text), "%d", (int)getpid());
        assert_int_equal(identify(text, &id), 0);
}

static void what_names_nobody_is_none(void **state)
{
        static const char *const bad[] = { "",    "\n",        "x", "0", "1", "-5", "99999999999999999999",
                                           "12x", "2147483646" };
        ProcId id;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(identify(bad[i], &id), PIDFILE_E_NONE);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(pidfile_identify(procfd, path, &id), PIDFILE_E_NONE); /* and it does not block */
}

static void a_zombie_is_nobody(void **state)
{
        char text[64];
        siginfo_t si;
        ProcId id;

        (void)state;
        pid_t pid = fork();
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
        snprintf(text, sizeof(text), "%d\n", (int)pid);
        assert_int_equal(identify(text, &id), PIDFILE_E_NONE);
        waitpid(pid, NULL, 0);
}

static void a_process_younger_than_the_file_is_another_one(void **state)
{
        struct timespec old[2] = { { .tv_sec = time(NULL) - 3600 }, { .tv_sec = time(NULL) - 3600 } };
        char text[64];
        ProcId id;

        (void)state;
        snprintf(text, sizeof(text), "%d\n", (int)getpid());
        assert_int_equal(identify(text, &id), 0);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        /* On a disk, that is; /tmp may be a tmpfs, on a host that booted a minute ago. */
        if (pidfile_identify(procfd, path, &id) == 0)
                assert_true(now_read().mono < 3600 * USEC_PER_SEC);
}

static void ages_are_compared(void **state)
{
        const usec_t s = USEC_PER_SEC;

        (void)state;
        assert_false(pidfile_is_stale(10 * s, 10 * s, 1000 * s, false));
        assert_false(pidfile_is_stale(11 * s, 10 * s, 1000 * s, false)); /* coarse clocks */
        assert_false(pidfile_is_stale(0, 10 * s, 1000 * s, false));
        assert_true(pidfile_is_stale(100 * s, 10 * s, 1000 * s, false));
        assert_true(pidfile_is_stale(100 * s, 10 * s, 1000 * s, true));
        /* Older than the boot: on a disk it is of an earlier one; in /run the clock was set. */
        assert_true(pidfile_is_stale(5000 * s, 990 * s, 1000 * s, false));
        assert_false(pidfile_is_stale(5000 * s, 990 * s, 1000 * s, true));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_process_is_found, setup, teardown),
                cmocka_unit_test_setup_teardown(what_names_nobody_is_none, setup, teardown),
                cmocka_unit_test_setup_teardown(a_zombie_is_nobody, setup, teardown),
                cmocka_unit_test_setup_teardown(a_process_younger_than_the_file_is_another_one, setup,
                                                teardown),
                cmocka_unit_test(ages_are_compared),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
