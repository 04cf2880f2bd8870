/* Tests of act/manager_spawn.c: what is looked up, and what the child waits for. */
#include "act/manager_spawn.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static SpawnPlan plan_for(char *const *command, const char *user, char *const *environment)
{
        ServiceSettings service = {
                .command = (char **)command,
                .user = (char *)user,
                .environment = (char **)environment,
        };
        SpawnPlan p;

        assert_int_equal(spawn_plan_init(&p, &service), 0);
        return p;
}

static void the_environment_is_small_and_the_settings_win(void **state)
{
        char *command[] = { (char *)"sh", NULL };
        char *environment[] = { (char *)"LANG=de_DE", (char *)"X=", (char *)"X=2", NULL };
        SpawnPlan p = plan_for(command, NULL, environment);

        (void)state;
        assert_int_equal(spawn_plan_resolve(&p), 0);
        assert_int_equal(strv_length(p.environment), 3);
        assert_true(strv_contains(p.environment, "LANG=de_DE"));
        assert_true(strv_contains(p.environment, "X=2"));
        assert_int_equal(p.path[0], '/');
        assert_string_equal(p.path + strlen(p.path) - 3, "/sh");
        assert_string_equal(p.directory, "/");
        assert_false(p.has_user);
        spawn_plan_deinit(&p);
}

static void users_are_found_by_name_and_number(void **state)
{
        char *command[] = { (char *)"/bin/sh", NULL };
        SpawnPlan p = plan_for(command, "root", NULL);

        (void)state;
        assert_int_equal(spawn_plan_resolve(&p), 0);
        assert_true(p.has_user);
        assert_int_equal(p.uid, 0);
        assert_true(p.n_groups >= 1);
        assert_true(strv_contains(p.environment, "USER=root"));
        spawn_plan_deinit(&p);

        p = plan_for(command, "0", NULL);
        assert_int_equal(spawn_plan_resolve(&p), 0);
        assert_true(strv_contains(p.environment, "USER=root"));
        spawn_plan_deinit(&p);
}

static void what_is_missing_is_named(void **state)
{
        char *none[] = { NULL }, *unknown[] = { (char *)"no-such-program-here", NULL },
             *sh[] = { (char *)"sh", NULL };
        SpawnPlan p = plan_for(none, NULL, NULL);

        (void)state;
        assert_int_equal(spawn_plan_resolve(&p), -EINVAL);
        assert_string_equal(p.error, "no command");
        spawn_plan_deinit(&p);
        p = plan_for(unknown, NULL, NULL);
        assert_int_equal(spawn_plan_resolve(&p), -ENOENT);
        assert_string_equal(p.error, "no-such-program-here: no such program");
        spawn_plan_deinit(&p);
        p = plan_for(sh, "no-such-user-here", NULL);
        assert_int_equal(spawn_plan_resolve(&p), -ESRCH);
        assert_string_equal(p.error, "user no-such-user-here: unknown");
        spawn_plan_deinit(&p);
}

static int exit_code(pid_t pid)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static Spawned fork_one(const char *program)
{
        char *command[] = { (char *)program, (char *)"-c", (char *)"exit 3", NULL };
        SpawnPlan p = plan_for(command, NULL, NULL);
        Spawned s;

        assert_int_equal(spawn_plan_resolve(&p), 0);
        assert_int_equal(spawn_fork(&p, -1, STDERR_FILENO, &s), 0);
        spawn_plan_deinit(&p);
        return s;
}

static void the_child_waits_for_its_go(void **state)
{
        Spawned s = fork_one("/bin/sh");
        struct pollfd pfd = { .fd = s.pidfd, .events = POLLIN };
        SpawnFailure f;

        (void)state;
        assert_int_equal(poll(&pfd, 1, 50), 0);
        assert_int_equal(write(s.go_fd, "g", 1), 1);
        assert_int_equal(read(s.status_fd, &f, sizeof(f)), 0);
        assert_int_equal(exit_code(s.pid), 3);
        spawned_deinit(&s);
}

static void without_a_go_it_ends(void **state)
{
        Spawned s = fork_one("/bin/sh");
        pid_t pid = s.pid;

        (void)state;
        spawned_deinit(&s);
        assert_int_equal(exit_code(pid), 127);
}

static void a_failed_exec_says_why(void **state)
{
        Spawned s = fork_one("/dev/null");
        SpawnFailure f = { 0 };

        (void)state;
        assert_int_equal(write(s.go_fd, "g", 1), 1);
        assert_int_equal(read(s.status_fd, &f, sizeof(f)), sizeof(f));
        assert_int_equal(f.stage, SPAWN_EXEC);
        assert_int_equal(f.error, EACCES);
        assert_string_equal(spawn_stage_describe(f.stage), "executing the program");
        assert_int_equal(exit_code(s.pid), 127);
        spawned_deinit(&s);
}

static void a_group_that_cannot_be_joined_says_so(void **state)
{
        char *command[] = { (char *)"/bin/sh", NULL };
        SpawnPlan p = plan_for(command, NULL, NULL);
        _cleanup_(closep) int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        SpawnFailure f = { 0 };
        Spawned s;

        (void)state;
        assert_int_equal(spawn_plan_resolve(&p), 0);
        assert_int_equal(spawn_fork(&p, dir, STDERR_FILENO, &s), 0);
        assert_int_equal(read(s.status_fd, &f, sizeof(f)), sizeof(f));
        assert_int_equal(f.stage, SPAWN_CGROUP);
        assert_int_equal(f.error, ENOENT);
        assert_int_equal(exit_code(s.pid), 127);
        spawned_deinit(&s);
        spawn_plan_deinit(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_environment_is_small_and_the_settings_win),
                cmocka_unit_test(users_are_found_by_name_and_number),
                cmocka_unit_test(what_is_missing_is_named),
                cmocka_unit_test(the_child_waits_for_its_go),
                cmocka_unit_test(without_a_go_it_ends),
                cmocka_unit_test(a_failed_exec_says_why),
                cmocka_unit_test(a_group_that_cannot_be_joined_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
