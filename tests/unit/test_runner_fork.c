/* Tests of base/runner_fork.c, on real programs. */
#include "base/cleanup.h"
#include "base/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

typedef struct Answer {
        sd_event *event;
        int calls;
        RunResult result;
        char *output;
        Runner **free_runner;
        int wait_for; /* the loop ends after so many calls */
} Answer;

static void on_done(void *userdata, const RunResult *result)
{
        Answer *a = userdata;

        a->calls++;
        a->result = *result;
        free(a->output);
        a->output = malloc(result->output_len + 1);
        memcpy(a->output, result->output, result->output_len + 1);
        if (a->free_runner)
                *a->free_runner = runner_free(*a->free_runner);
        if (a->calls == a->wait_for)
                sd_event_exit(a->event, 0);
}

typedef struct Fixture {
        sd_event *event;
        Runner *runner;
        Answer answer;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        if (!f || sd_event_new(&f->event) < 0 || runner_fork_new(&f->runner, f->event) < 0)
                return -1;
        f->answer = (Answer){ .event = f->event, .wait_for = 1 };
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        runner_free(f->runner);
        sd_event_unref(f->event);
        free(f->answer.output);
        free(f);
        return 0;
}

static RunSpec shell(char **argv, char *script)
{
        argv[0] = "sh";
        argv[1] = "-c";
        argv[2] = script;
        argv[3] = NULL;
        return (RunSpec){ .name = "test", .argv = argv, .timeout = 20 * USEC_PER_SEC };
}

static const Answer *run(Fixture *f, const RunSpec *spec)
{
        Run *handle;

        assert_int_equal(runner_start(f->runner, spec, on_done, &f->answer, &handle), 0);
        assert_int_equal(f->answer.calls, 0); /* never from start */
        assert_int_equal(sd_event_loop(f->event), 0);
        assert_int_equal(f->answer.calls, 1);
        return &f->answer;
}

static void test_output_and_exit_code(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "echo out; echo err >&2; exit 3");
        const Answer *a = run(*state, &spec);

        assert_int_equal(a->result.error, 0);
        assert_int_equal(a->result.exit_code, 3);
        assert_int_equal(a->result.signal, 0);
        assert_false(a->result.timed_out);
        assert_string_equal(a->output, "out\nerr\n");
        assert_int_equal(a->result.output_len, 8);
}

static void test_no_output(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "exit 0");
        const Answer *a = run(*state, &spec);

        assert_int_equal(a->result.exit_code, 0);
        assert_string_equal(a->output, "");
}

static void test_signal(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "kill -SEGV $$");
        const Answer *a = run(*state, &spec);

        assert_int_equal(a->result.signal, SIGSEGV);
}

static void test_input_directory_environment(void **state)
{
        char *argv[4], *environment[] = { "A=b c", NULL };
        RunSpec spec = shell(argv, "cat; pwd; echo $A; echo ${PATH_FROM_US-none}; umask");

        setenv("PATH_FROM_US", "leaked", 1);
        spec.input = "line\n";
        spec.directory = "/usr";
        spec.environment = environment;
        assert_string_equal(run(*state, &spec)->output, "line\n/usr\nb c\nnone\n0022\n");
}

static void test_nothing_of_ours_reaches_it(void **state)
{
        char *argv[4];
        /* Descriptors 0, 1, 2, and the one that ls itself has open. */
        RunSpec spec = shell(argv, "ls /proc/self/fd | wc -l; grep -c '^SigBlk:.*[1-9a-f]' /proc/self/status;"
                                   "grep '^SigIgn:' /proc/self/status");
        int leak = open("/dev/null", O_RDONLY); /* without CLOEXEC, as a careless library does */
        sigset_t mask, old;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, &old);
        signal(SIGPIPE, SIG_IGN);
        assert_string_equal(run(*state, &spec)->output, "4\n0\nSigIgn:\t0000000000000000\n");
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &old, NULL);
        close(leak);
}

static void test_much_output_is_cut_and_does_not_block(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "head -c 3000000 /dev/zero; echo end >&2; exit 5");
        const Answer *a = run(*state, &spec);

        assert_int_equal(a->result.exit_code, 5);
        assert_int_equal(a->result.output_len, RUN_OUTPUT_MAX);
}

static bool is_alive(pid_t pid)
{
        char path[64], text[512] = "";
        int fd;
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        return n > 0 && !strstr(text, ") Z ") && !strstr(text, ") X ");
}

static void test_a_grandchild_holds_the_pipe(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "sleep 600 & echo $!; exit 0");
        const Answer *a = run(*state, &spec);
        pid_t left = atoi(a->output);

        assert_int_equal(a->result.exit_code, 0);
        assert_true(left > 1);
        for (int i = 0; i < 1000 && is_alive(left); i++)
                usleep(1000);
        assert_false(is_alive(left));
}

static void test_detached_ones_stay(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "sleep 600 >/dev/null 2>&1 & echo $!");
        pid_t left;

        spec.detach = true;
        left = atoi(run(*state, &spec)->output);
        assert_true(left > 1);
        assert_int_equal(kill(left, 0), 0);
        kill(left, SIGKILL);
}

static void test_deadline_kills_all(void **state)
{
        char *argv[4];
        /* One child in the group, one that made its own session; all of them deaf to SIGTERM. */
        RunSpec spec = shell(argv, "trap '' TERM; sleep 600 & a=$!; setsid sleep 600 & echo $a $!; wait");
        const Answer *a;
        int x = 0, y = 0;

        spec.timeout = 80 * USEC_PER_MSEC;
        a = run(*state, &spec);
        assert_true(a->result.timed_out);
        assert_int_equal(a->result.error, 0);
        if (sscanf(a->output, "%d %d", &x, &y) != 2)
                skip(); /* a machine too busy to begin in time */
        for (int i = 0; i < 1000 && (is_alive(x) || is_alive(y)); i++)
                usleep(1000);
        assert_false(is_alive(x));
        assert_false(is_alive(y));
}

static void test_cannot_start(void **state)
{
        char *argv[4], *missing[] = { "no-such-program-of-anybody", NULL };
        Fixture *f = *state;
        RunSpec spec = shell(argv, "exit 0");
        Run *handle;

        spec.argv = missing;
        assert_int_equal(runner_start(f->runner, &spec, on_done, &f->answer, &handle), -ENOENT);
        spec.argv = argv;
        spec.user = "no-such-user-of-anybody";
        assert_int_equal(runner_start(f->runner, &spec, on_done, &f->answer, &handle), -ENOENT);
        assert_int_equal(f->answer.calls, 0);

        /* What only the child can find out. */
        spec.user = NULL;
        spec.directory = "/no/such/directory";
        assert_int_equal(run(f, &spec)->result.error, -ENOENT);
}

static void test_user(void **state)
{
        char *argv[4];
        RunSpec spec = shell(argv, "id -u; id -g; id -G");
        struct passwd *pw = getpwnam("nobody");
        char want[64];

        if (geteuid() != 0 || !pw)
                skip();
        spec.user = "nobody";
        snprintf(want, sizeof(want), "%u\n%u\n%u\n", pw->pw_uid, pw->pw_gid, pw->pw_gid);
        assert_string_equal(run(*state, &spec)->output, want);
}

static void test_cancel(void **state)
{
        char *argv[4], *other[4];
        Fixture *f = *state;
        RunSpec spec = shell(argv, "sleep 600"), last = shell(other, "exit 0");
        Run *handle;

        assert_int_equal(runner_start(f->runner, &spec, on_done, &f->answer, &handle), 0);
        runner_cancel(f->runner, handle);
        /* The loop sees its end, and says nothing of it. */
        assert_int_equal(run(f, &last)->calls, 1);
        assert_int_equal(f->answer.result.signal, 0);
}

static void test_free_under_way_and_in_done(void **state)
{
        char *argv[4], *other[4];
        Fixture *f = *state;
        RunSpec slow = shell(argv, "sleep 600"), quick = shell(other, "exit 0");
        Run *handle;

        assert_int_equal(runner_start(f->runner, &slow, on_done, &f->answer, &handle), 0);
        f->answer.free_runner = &f->runner;
        run(f, &quick);
        assert_null(f->runner);
}

static void test_many_at_once(void **state)
{
        char *argv[4];
        Fixture *f = *state;
        RunSpec spec = shell(argv, "echo x");

        f->answer.wait_for = 10;
        for (int i = 0; i < 10; i++)
                assert_int_equal(runner_start(f->runner, &spec, on_done, &f->answer, NULL), 0);
        assert_int_equal(sd_event_loop(f->event), 0);
        assert_int_equal(f->answer.calls, 10);
        assert_string_equal(f->answer.output, "x\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_output_and_exit_code),
                TEST(test_no_output),
                TEST(test_signal),
                TEST(test_input_directory_environment),
                TEST(test_nothing_of_ours_reaches_it),
                TEST(test_much_output_is_cut_and_does_not_block),
                TEST(test_a_grandchild_holds_the_pipe),
                TEST(test_detached_ones_stay),
                TEST(test_deadline_kills_all),
                TEST(test_cannot_start),
                TEST(test_user),
                TEST(test_cancel),
                TEST(test_free_under_way_and_in_done),
                TEST(test_many_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
