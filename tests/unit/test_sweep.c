/* Tests of base/sweep.c, on children of our own. */
#include "base/cleanup.h"
#include "base/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int proc_fd(void)
{
        return open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A child that leads a session, with a child in another session; deaf. Both close @gate's end when
 * they die. */
static pid_t family_new(int ready)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        setsid();
        signal(SIGTERM, SIG_IGN);
        if (fork() == 0)
                setsid();
        (void)!write(ready, "x", 1);
        for (;;)
                pause();
}

static void test_session(void **state)
{
        _cleanup_(closep) int proc = proc_fd();
        int ready[2], status;
        char buf[2];
        pid_t pid;

        (void)state;
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = family_new(ready[1]);
        close(ready[1]);
        for (ssize_t n = 0; n < 2;)
                n += read(ready[0], buf, 2);

        assert_int_equal(sweep_session(proc, pid), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WTERMSIG(status), SIGKILL);
        /* The end of the file: the grandchild has gone as well. */
        assert_int_equal(read(ready[0], buf, 1), 0);
        close(ready[0]);
        assert_int_equal(sweep_session(proc, 1), -EINVAL);
        assert_int_equal(sweep_session(proc, 0), -EINVAL);
}

/* A directory that looks like a control group of a kernel without cgroup.kill. */
static void test_cgroup_without_kill(void **state)
{
        _cleanup_(closep) int proc = proc_fd();
        char path[] = "/tmp/unjam-sweep-XXXXXX", text[64];
        int dir, fd, status;
        pid_t pid = fork();

        (void)state;
        if (pid == 0)
                for (;;)
                        pause();
        assert_non_null(mkdtemp(path));
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd = openat(dir, "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        /* We are in it, too, and live on. */
        snprintf(text, sizeof(text), "%d\n%d\n", (int)pid, (int)getpid());
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);

        assert_int_equal(sweep_cgroup(proc, dir), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WTERMSIG(status), SIGKILL);
        unlinkat(dir, "cgroup.procs", 0);
        close(dir);
        rmdir(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_session),
                cmocka_unit_test(test_cgroup_without_kill),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
