/* Tests of act/manager_cgroup.c; skipped where no group can be made. */
#include "act/manager_cgroup.h"
#include "base/cleanup.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static char *make(const char *old, const char *suffix)
{
        char name[64], *path = NULL;

        snprintf(name, sizeof(name), "unjam-test-%d-%s", (int)getpid(), suffix);
        assert_int_equal(own_cgroup_make(old, name, &path), 0);
        if (!path)
                skip();
        return path;
}

static bool is_there(const char *path)
{
        _cleanup_(closep) int fd = cgroup_open(path);

        return fd >= 0;
}

static void an_empty_old_group_is_replaced(void **state)
{
        (void)state;
        _cleanup_(freep) char *a = make(NULL, "a");
        assert_true(is_there(a));
        _cleanup_(freep) char *b = make(a, "b");
        assert_string_not_equal(a, b);
        assert_false(is_there(a));
        assert_true(is_there(b));
        own_cgroup_remove(b);
        assert_false(is_there(b));
        own_cgroup_remove(b);
}

static void an_old_group_with_members_is_taken_again(void **state)
{
        (void)state;
        _cleanup_(freep) char *a = make(NULL, "c");
        _cleanup_(closep) int fd = cgroup_open(a);
        pid_t pid = fork();
        if (pid == 0) {
                pause();
                _exit(0);
        }
        char text[32];
        _cleanup_(closep) int procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        snprintf(text, sizeof(text), "%d", (int)pid);
        assert_int_equal(write(procs, text, strlen(text)), strlen(text));

        own_cgroup_remove(a); /* not while somebody is in it */
        _cleanup_(freep) char *b = make(a, "d");
        assert_string_equal(a, b);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        own_cgroup_remove(a);
        assert_false(is_there(a));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_old_group_is_replaced),
                cmocka_unit_test(an_old_group_with_members_is_taken_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
