/* cgroup_watch - a real control group whose last process ends. Needs a writable unified hierarchy, else
 * skipped. */
#include "observe/cgroup_watch.h"

#include "base/proc.h"
#include "unit/observe_util.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_emptied(void *userdata)
{
        (*(unsigned *)userdata)++;
}

/* Makes a control group in the root of the hierarchy that cgroup_open() uses. */
static bool group_make(char *name, size_t size)
{
        _cleanup_(closep) int root = cgroup_open("/");

        snprintf(name, size, "/unjam-test-%d", getpid());
        return root >= 0 && mkdirat(root, name + 1, 0755) == 0;
}

static void group_write(const char *name, const char *file, const char *text)
{
        _cleanup_(closep) int group = cgroup_open(name);
        _cleanup_(closep) int fd = openat(group, file, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_last_process(void **state)
{
        CgroupWatch *watch;
        unsigned emptied = 0;
        char name[64], pid_text[32];
        Watcher w;

        (void)state;
        if (!group_make(name, sizeof(name))) {
                print_message("no control group can be made here\n");
                skip();
        }
        watcher_init(&w);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        snprintf(pid_text, sizeof(pid_text), "%d", pid);
        group_write(name, "cgroup.procs", pid_text);
        assert_int_equal(cgroup_watch_new(&watch, w.event, name, on_emptied, &emptied), 0);
        cgroup_watch_look(watch);
        watcher_drain(&w);
        assert_int_equal(emptied, 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        for (unsigned i = 0; i < 20 && emptied == 0; i++)
                watcher_turn(&w, 20 * USEC_PER_MSEC);
        cgroup_watch_look(watch); /* on cgroup v1 nobody tells */
        assert_int_equal(emptied, 1);
        cgroup_watch_look(watch);
        assert_int_equal(emptied, 1);
        cgroup_watch_free(watch);

        /* One that never had a process says nothing. */
        assert_int_equal(cgroup_watch_new(&watch, w.event, name, on_emptied, &emptied), 0);
        cgroup_watch_look(watch);
        assert_int_equal(emptied, 1);
        cgroup_watch_free(watch);
        int root = cgroup_open("/");
        assert_int_equal(unlinkat(root, name + 1, AT_REMOVEDIR), 0);
        close(root);
        watcher_deinit(&w);
}

static void test_no_group(void **state)
{
        CgroupWatch *watch = NULL;
        Watcher w;

        (void)state;
        watcher_init(&w);
        assert_true(cgroup_watch_new(&watch, w.event, "/no/such/group", on_emptied, NULL) < 0);
        assert_null(watch);
        watcher_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_last_process),
                cmocka_unit_test(test_no_group),
        };

        return cmocka_run_group_tests_name("observe/cgroup_watch", tests, NULL, NULL);
}
