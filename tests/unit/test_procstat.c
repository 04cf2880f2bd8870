/* procstat - counters and waits, of real children and of files that look like /proc. */
#include "base/cleanup.h"
#include "base/procstat.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int procfd;

static int setup(void **state)
{
        (void)state;
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return procfd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
        (void)state;
        close(procfd);
        return 0;
}

static pid_t child(void (*run)(int fd), int fd)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                run(fd);
                _exit(0);
        }
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Looks until @state is what it is in, for some seconds at most. */
static ProcStat stat_until(int dir, pid_t pid, char letter)
{
        ProcStat st = { 0 };

        for (unsigned i = 0; i < 500 && st.state != letter; i++) {
                if (i > 0)
                        usleep(10000);
                assert_int_equal(procstat_read(dir, pid, &st), 0);
        }
        assert_int_equal(st.state, letter);
        return st;
}

static void wait_in_read(int fd)
{
        char c;

        (void)!read(fd, &c, 1);
}

static void wait_in_pause(int fd)
{
        (void)fd;
        pause();
}

static void test_waits_and_counts(void **state)
{
        int pair[2], dir;
        ProcStat before, after;
        ProcWait w;
        pid_t pid;

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        pid = child(wait_in_read, pair[0]);
        dir = process_open(procfd, pid);
        assert_true(dir >= 0);
        before = stat_until(dir, pid, 'S');
        assert_int_equal(before.id.pid, pid);
        assert_int_equal(before.parent, getpid());
        assert_int_equal(before.threads, 1);
        assert_true(before.memory > 0);
        assert_true(before.switches > 0);
        assert_int_equal(before.tracer, 0);
        proc_wait_read(dir, &w);
        if (w.number >= 0) { /* that may be forbidden */
                assert_int_equal(w.number, SYS_read);
                assert_true(w.on_fd);
                assert_int_equal(w.fd, pair[0]);
        }
        assert_false(w.on_many);
        after = stat_until(dir, pid, 'S');
        assert_int_equal(after.switches, before.switches); /* looking does not wake it */
        assert_int_equal(after.io_bytes, before.io_bytes);
        assert_int_equal(after.id.start, before.id.start);
        kill(pid, SIGSTOP);
        (void)stat_until(dir, pid, 'T');
        end(pid);
        assert_int_equal(procstat_read(dir, pid, &after), -ESRCH);
        assert_int_equal(process_open(procfd, pid), -ESRCH);
        close(dir);
        close(pair[0]);
        close(pair[1]);

        pid = child(wait_in_pause, -1);
        dir = process_open(procfd, pid);
        (void)stat_until(dir, pid, 'S');
        proc_wait_read(dir, &w);
        assert_false(w.on_fd);
        assert_false(w.on_many);
        end(pid);
        close(dir);
}

static void put(int dir, const char *name, const char *text)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

/* What the kernel says where calls may not be read, and what stands in its files otherwise. */
static void test_files(void **state)
{
        static const struct {
                const char *wchan, *call;
                bool many, fd;
                const char *where;
        } cases[] = {
                { "poll_schedule_timeout.constprop.0", "", true, false, "poll_schedule_timeout.constprop.0" },
                { "ep_poll", "", true, false, "ep_poll" },
                { "do_wait", "", false, false, "do_wait" },
                { "0", "running\n", false, false, "" },
                { "0", "-1 0x7ffd 0x7f\n", false, false, "" },
        };
        char root[] = "/tmp/unjam-procstat-XXXXXX", call[64];
        ProcWait w;
        ProcStat st;
        int dir;

        (void)state;
        assert_non_null(mkdtemp(root));
        dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                put(dir, "wchan", cases[i].wchan);
                put(dir, "syscall", cases[i].call);
                proc_wait_read(dir, &w);
                assert_int_equal(w.on_many, cases[i].many);
                assert_int_equal(w.on_fd, cases[i].fd);
                assert_string_equal(w.where, cases[i].where);
        }
        snprintf(call, sizeof(call), "%d 0x7 0x1 0x2 0x0 0x0 0x0 0x1 0x2\n", SYS_recvfrom);
        put(dir, "syscall", call);
        proc_wait_read(dir, &w);
        assert_true(w.on_fd);
        assert_int_equal(w.fd, 7);
        snprintf(call, sizeof(call), "%d 0x7 0x1 0x2 0x0 0x0 0x0 0x1 0x2\n", SYS_ppoll);
        put(dir, "syscall", call);
        proc_wait_read(dir, &w);
        assert_true(w.on_many);
        put(dir, "stat", "7 (x) S 1");
        assert_int_equal(procstat_read(dir, 7, &st), -EBADMSG);
        put(dir, "stat", "7 (a) b) t 3 7 7 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 98765 2 3\n");
        put(dir, "status",
            "Name:\tx\nUid:\t1\t2\t3\t4\nTracerPid:\t55\nVmRSS:\t  12 kB\nvoluntary_ctxt_switches:\t3\n");
        assert_int_equal(procstat_read(dir, 7, &st), 0);
        assert_string_equal(st.name, "a) b");
        assert_int_equal(st.state, 't');
        assert_int_equal(st.tracer, 55);
        assert_int_equal(st.memory, 12 * 1024);
        assert_int_equal(st.uid, 2);
        assert_false(st.io_known);
        put(dir, "io", "rchar: 10\nwchar: 5\n");
        assert_int_equal(procstat_read(dir, 7, &st), 0);
        assert_int_equal(st.io_bytes, 15);
        for (const char *const *f = (const char *const[]){ "wchan", "syscall", "stat", "status", "io", NULL };
             *f; f++)
                unlinkat(dir, *f, 0);
        close(dir);
        rmdir(root);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_waits_and_counts),
                cmocka_unit_test(test_files),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
