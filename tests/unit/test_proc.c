/* Tests of base/proc.c: on real children, and on directories made to look like /proc and control groups. */
#include "base/cleanup.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char root[] = "/tmp/unjam-proc-XXXXXX";

static int setup(void **state)
{
        static int fd;

        strcpy(root + strlen(root) - 6, "XXXXXX");
        if (!mkdtemp(root))
                return -1;
        fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &fd;
        return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
        pid_t pid = fork();
        int status;

        close(*(int *)*state);
        if (pid == 0) {
                execl("/bin/rm", "rm", "-rf", "--", root, NULL);
                _exit(127);
        }
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void put(int dir, const char *name, const char *text)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static int proc_fd(void)
{
        static int fd = -1;

        if (fd < 0)
                fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd;
}

static pid_t child_new(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                pause();
                _exit(0);
        }
        return pid;
}

static void test_identify_and_signal(void **state)
{
        pid_t pid = child_new();
        ProcId id, self;
        int fd, status;

        (void)state;
        assert_int_equal(proc_identify(proc_fd(), pid, &id), 0);
        assert_int_equal(id.pid, pid);
        assert_int_equal(proc_identify(proc_fd(), getpid(), &self), 0);
        assert_true(self.start > 0 && id.start >= self.start);

        fd = proc_open(proc_fd(), &id);
        assert_true(fd >= 0);
        assert_int_equal(proc_signal(fd, 0), 0);
        assert_int_equal(proc_signal(fd, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WTERMSIG(status), SIGKILL);
        assert_int_equal(proc_signal(fd, SIGKILL), -ESRCH);
        close(fd);
        assert_int_equal(proc_identify(proc_fd(), pid, &id), -ESRCH);
        assert_int_equal(proc_open(proc_fd(), &id), -ESRCH);
}

static void test_a_reused_pid_is_another_process(void **state)
{
        pid_t pid = child_new();
        ProcId id;

        (void)state;
        assert_int_equal(proc_identify(proc_fd(), pid, &id), 0);
        id.start--;
        assert_int_equal(proc_open(proc_fd(), &id), -ESRCH);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void test_never_ourselves(void **state)
{
        int fd = pidfd_open(getpid(), 0);

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(proc_signal(fd, 0), -EPERM);
        assert_int_equal(proc_signal(fd, SIGKILL), -EPERM);
        close(fd);
        assert_int_equal(proc_signal(-1, SIGKILL), -EBADF);
        assert_int_equal(proc_signal(proc_fd(), SIGKILL), -EBADF);
}

static void test_identify_hostile_names(void **state)
{
        int dir = *(int *)*state;
        ProcId id;

        mkdirat(dir, "7", 0700);
        put(dir, "7/stat",
            "7 (a) S 9 (b)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654321012 2 3 "
            "18446744073709551615\n");
        assert_int_equal(proc_identify(dir, 7, &id), 0);
        assert_true(id.start == UINT64_C(987654321012));
        put(dir, "7/stat", "7 (cut) S 1 7");
        assert_int_equal(proc_identify(dir, 7, &id), -EBADMSG);
        put(dir, "7/stat", "");
        assert_int_equal(proc_identify(dir, 7, &id), -EBADMSG);
        assert_int_equal(proc_identify(dir, 8, &id), -ESRCH);
        assert_int_equal(proc_identify(dir, 0, &id), -ESRCH);
        assert_int_equal(proc_identify(dir, -1, &id), -ESRCH);
}

static void test_cgroup_tree(void **state)
{
        int dir = *(int *)*state;
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;

        put(dir, "cgroup.procs", "");
        assert_int_equal(cgroup_pids(dir, &pids, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(cgroup_populated(dir), 0);

        put(dir, "cgroup.procs", "30\n10\n0\n");
        mkdirat(dir, "sub", 0700);
        put(dir, "sub/cgroup.procs", "20\n10\n");
        mkdirat(dir, "sub/deep", 0700);
        put(dir, "sub/deep/cgroup.procs", "40\n");
        mkdirat(dir, "vanished", 0700); /* has no cgroup.procs any more */
        free(pids);
        assert_int_equal(cgroup_pids(dir, &pids, &n), 0);
        assert_int_equal(n, 4);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(pids[i], 10 * (int)(i + 1));
        assert_int_equal(cgroup_populated(dir), 1);
}

static void test_populated(void **state)
{
        int dir = *(int *)*state;
        uint64_t kills;

        put(dir, "cgroup.events", "populated 0\nfrozen 0\n");
        put(dir, "cgroup.procs", "1\n"); /* events is the word that counts */
        assert_int_equal(cgroup_populated(dir), 0);
        put(dir, "cgroup.events", "frozen 0\npopulated 1\n");
        assert_int_equal(cgroup_populated(dir), 1);
        assert_int_equal(cgroup_oom_kills(dir, &kills), -ENOENT);
        put(dir, "memory.events", "low 0\nhigh 3\noom 2\noom_kill 17\noom_group_kill 5\n");
        assert_int_equal(cgroup_oom_kills(dir, &kills), 0);
        assert_int_equal(kills, 17);
        put(dir, "memory.events", "low 0\n");
        assert_int_equal(cgroup_oom_kills(dir, &kills), -EBADMSG);
        unlinkat(dir, "memory.events", 0);
        put(dir, "cgroup.events", "");
        assert_int_equal(cgroup_populated(dir), -EBADMSG);

        /* v1, where a process of another namespace shows as 0: alive all the same. */
        unlinkat(dir, "cgroup.events", 0);
        put(dir, "cgroup.procs", "0\n");
        assert_int_equal(cgroup_populated(dir), 1);
}

static void test_cgroup_of(void **state)
{
        int dir = *(int *)*state;
        _cleanup_(freep) char *path = NULL;

        mkdirat(dir, "5", 0700);
        put(dir, "5/cgroup", "9:name=systemd:/a:b/c.service\n8:cpu,cpuacct:/other\n0::/a:b/c.service\n");
        assert_int_equal(cgroup_of(dir, 5, &path), 0);
        assert_string_equal(path, "/a:b/c.service");
        free(TAKE_PTR(path));
        put(dir, "5/cgroup", "9:name=systemd:/x (deleted)\n0::/x (deleted)\n");
        assert_int_equal(cgroup_of(dir, 5, &path), -ESRCH);
        put(dir, "5/cgroup", "8:cpu,cpuacct:/other\n");
        assert_int_equal(cgroup_of(dir, 5, &path), -ENODATA);
        assert_int_equal(cgroup_of(dir, 6, &path), -ESRCH);
}

static void test_our_own_cgroup(void **state)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(freep) pid_t *pids = NULL;
        _cleanup_(closep) int fd = -1;
        bool found = false;
        size_t n;
        int r;

        (void)state;
        r = cgroup_of(proc_fd(), getpid(), &path);
        if (r < 0)
                skip(); /* a host without control groups */
        assert_int_equal(path[0], '/');
        fd = cgroup_open(path);
        if (fd < 0)
                skip(); /* not mounted here */
        assert_int_equal(cgroup_populated(fd), 1);
        assert_int_equal(cgroup_pids(fd, &pids, &n), 0);
        for (size_t i = 0; i < n; i++)
                found = found || pids[i] == getpid();
        assert_true(found);
        assert_int_equal(cgroup_open("/no-such-group-of-anybody"), -ENOENT);
        assert_int_equal(cgroup_open("/../etc"), -EXDEV);
}

static void test_a_cgroup_comes_and_goes(void **state)
{
        _cleanup_(freep) char *path = NULL, *of_child = NULL;
        _cleanup_(freep) pid_t *pids = NULL;
        _cleanup_(closep) int parent = -1, fd = -1, procs = -1;
        char name[48], pid_text[16];
        pid_t child;
        size_t n;

        (void)state;
        snprintf(name, sizeof(name), "unjam-test-%d", (int)getpid());
        if (cgroup_of(proc_fd(), getpid(), &path) < 0 || (parent = cgroup_open(path)) < 0 ||
            mkdirat(parent, name, 0755) < 0)
                skip(); /* none can be made here */
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        assert_int_equal(cgroup_populated(fd), 0);
        child = child_new();
        snprintf(pid_text, sizeof(pid_text), "%d", (int)child);
        if (write(procs, pid_text, strlen(pid_text)) < 0) {
                kill(child, SIGKILL);
                waitpid(child, NULL, 0);
                unlinkat(parent, name, AT_REMOVEDIR);
                skip(); /* nobody may be moved into it */
        }
        assert_int_equal(cgroup_populated(fd), 1);
        assert_int_equal(cgroup_pids(fd, &pids, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(pids[0], child);
        assert_int_equal(cgroup_of(proc_fd(), child, &of_child), 0);
        assert_non_null(strstr(of_child, name));

        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        for (int i = 0; i < 1000 && unlinkat(parent, name, AT_REMOVEDIR) < 0; i++)
                usleep(1000);
        /* Removed, but still held open here: empty, not an error. */
        assert_int_equal(cgroup_populated(fd), 0);
        free(TAKE_PTR(pids));
        assert_int_equal(cgroup_pids(fd, &pids, &n), 0);
        assert_int_equal(n, 0);
}

static void find_path(void *userdata, const char *path)
{
        if (strcmp(path, "/proc/self/status") == 0 || strstr(path, "/status"))
                *(unsigned *)userdata += 1;
}

static void test_open_paths(void **state)
{
        int procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        unsigned found = 0;

        (void)state;
        assert_true(procfd >= 0 && fd >= 0);
        proc_open_paths(procfd, getpid(), find_path, &found);
        assert_int_equal(found, 1);
        close(fd);
        found = 0;
        proc_open_paths(procfd, getpid(), find_path, &found);
        assert_int_equal(found, 0);
        proc_open_paths(procfd, INT_MAX, find_path, &found); /* there is no such process */
        assert_int_equal(found, 0);
        close(procfd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_open_paths),
                cmocka_unit_test(test_identify_and_signal),
                cmocka_unit_test(test_a_reused_pid_is_another_process),
                cmocka_unit_test(test_never_ourselves),
                cmocka_unit_test_setup_teardown(test_identify_hostile_names, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cgroup_tree, setup, teardown),
                cmocka_unit_test_setup_teardown(test_populated, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cgroup_of, setup, teardown),
                cmocka_unit_test(test_our_own_cgroup),
                cmocka_unit_test(test_a_cgroup_comes_and_goes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
