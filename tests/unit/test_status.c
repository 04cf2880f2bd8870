/* status - exit statuses of status programs, pidfiles, and the end of a process that is noticed at once. */
#include "observe/status.h"

#include "base/proc.h"
#include "unit/observe_runner.h"
#include "unit/observe_util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Fixture {
        Watcher w;
        Worker *worker;
        FakeRunner runner;
        Source *source;
        char *dir, *pidfile;
} Fixture;

static char *status_argv[] = { (char *)"/etc/init.d/imc", (char *)"status", NULL };

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        f->runner.runner.ops = &fake_runner_ops;
        f->dir = temp_new();
        f->pidfile = strdup(in(f->dir, "imc.pid"));
        f->w.settings.status = status_argv;
        assert_int_equal(worker_new(&f->worker, f->w.event, "status"), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        source_free(f->source);
        for (unsigned i = 0; i < 5; i++)
                watcher_turn(&f->w, USEC_PER_MSEC);
        worker_free(f->worker);
        watcher_deinit(&f->w);
        free(f->pidfile);
        temp_remove(f->dir);
        free(f);
        return 0;
}

static void make(Fixture *f)
{
        assert_int_equal(status_source_new(&f->source, &f->w.context, &f->runner.runner, f->worker), 0);
}

/* The next look comes by itself; answers it when it runs the program. */
static void answer_next(Fixture *f, unsigned started, int code)
{
        watcher_until(&f->w, f->runner.started > started);
        f->runner.done(f->runner.userdata, &(RunResult){ .exit_code = code });
}

/* Asks for a look, and answers it when it runs the program. */
static void answer(Fixture *f, const RunResult *result)
{
        unsigned started = f->runner.started;
        size_t n = f->w.n;

        assert_int_equal(source_refresh(f->source), 0);
        watcher_until(&f->w, f->runner.started > started);
        f->runner.done(f->runner.userdata, result);
        assert_int_equal(f->w.n, n + 1);
}

static void answer_exit(Fixture *f, int code)
{
        answer(f, &(RunResult){ .exit_code = code });
}

static const ServiceStatus *last(const Fixture *f)
{
        return &watcher_last(&f->w)->o.service;
}

static void test_exit_statuses(void **state)
{
        Fixture *f = *state;
        static const struct {
                int code;
                RunState run;
        } rows[] = { { 0, RUN_RUNNING },  { 1, RUN_FAILED },  { 2, RUN_FAILED }, { 4, RUN_UNKNOWN },
                     { 8, RUN_STARTING }, { 32, RUN_FAILED }, { 3, RUN_STOPPED } };

        make(f);
        answer_exit(f, 3);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(last(f)->operator_stop); /* it never ran */
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                answer_exit(f, rows[i].code);
                assert_true(watcher_last_run(&f->w, rows[i].run));
                assert_false(last(f)->exited);
        }
        assert_true(last(f)->operator_stop);
        answer(f, &(RunResult){ .timed_out = true });
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        answer(f, &(RunResult){ .error = -ENOENT });
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        f->runner.refuse = -EAGAIN;
        size_t n = f->w.n;
        assert_int_equal(source_refresh(f->source), 0);
        watcher_until(&f->w, f->w.n > n);
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
}

static void test_our_stop(void **state)
{
        Fixture *f = *state;

        make(f);
        answer_exit(f, 0);
        source_expect(f->source, true, NULL);
        answer_exit(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(last(f)->operator_stop);
        source_expect(f->source, false, NULL);
        answer_exit(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_FAILED));
}

static pid_t child_make(Fixture *f)
{
        char text[32];
        sigset_t set;

        /* cmocka's own handler would go on with the tests in the child. */
        sigemptyset(&set);
        sigaddset(&set, SIGSEGV);
        assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGSEGV, SIG_DFL);
                sigprocmask(SIG_UNBLOCK, &set, NULL);
                for (;;)
                        pause();
        }
        assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
        snprintf(text, sizeof(text), "%d\n", pid);
        file_make(f->pidfile, text);
        return pid;
}

/* The process ends between two looks: the program is asked at once, not in 15 s. */
static void test_death(void **state)
{
        Fixture *f = *state;

        f->w.settings.pidfile = f->pidfile;
        pid_t pid = child_make(f);
        make(f);
        answer_exit(f, 0);
        assert_int_equal(last(f)->main_pid, pid);
        assert_true(*watcher_last(&f->w)->invocation);
        unsigned started = f->runner.started;
        assert_int_equal(kill(pid, SIGKILL), 0);
        watcher_until(&f->w, f->runner.started > started);
        f->runner.done(f->runner.userdata, &(RunResult){ .exit_code = 3 });
        /* "Not running", yet the pidfile is still there: nobody stopped it. */
        assert_true(watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(last(f)->main_pid, 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(unlink(f->pidfile), 0);
        answer_exit(f, 3);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_true(last(f)->operator_stop);

        /* Started again by somebody else. */
        pid = child_make(f);
        answer_exit(f, 0);
        assert_true(last(f)->started_by_other);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        source_expect(f->source, true, NULL);
        pid = child_make(f);
        answer_exit(f, 0);
        assert_false(last(f)->started_by_other);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void child_end(pid_t pid, int signal)
{
        assert_int_equal(kill(pid, signal), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What unjamd has started is no start by somebody else, though it is seen when the start is over. */
static void test_our_start(void **state)
{
        Fixture *f = *state;
        char invocation[64];

        f->w.settings.pidfile = f->pidfile;
        pid_t pid = child_make(f);
        make(f);
        answer_exit(f, 0);
        source_expect(f->source, true, NULL);
        child_end(pid, SIGKILL);
        answer_exit(f, 3);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        pid = child_make(f);
        int procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        ProcId id;
        assert_int_equal(proc_identify(procfd, pid, &id), 0);
        close(procfd);
        snprintf(invocation, sizeof(invocation), "%d-%" PRIu64, (int)id.pid, id.start);
        source_expect(f->source, false, invocation);
        answer_exit(f, 0);
        assert_string_equal(watcher_last(&f->w)->invocation, invocation);
        assert_false(last(f)->started_by_other);
        child_end(pid, SIGKILL);
}

/* A supervisor puts another process in the place of one that ended by itself. */
static void test_restart_by_a_supervisor(void **state)
{
        Fixture *f = *state;

        f->w.settings.pidfile = f->pidfile;
        pid_t pid = child_make(f);
        make(f);
        answer_exit(f, 0);
        unsigned started = f->runner.started;
        size_t n = f->w.n;
        assert_int_equal(kill(pid, SIGSEGV), 0);
        pid_t next = child_make(f);
        answer_next(f, started, 0);
        assert_int_equal(f->w.n, n + 2);
        assert_int_equal(f->w.seen[n].o.service.run, RUN_RESTARTING);
        assert_int_equal(f->w.seen[n].o.service.n_restarts, 0);
        assert_true(f->w.seen[n].o.service.exited);
        assert_int_equal(f->w.seen[n].o.service.signal, SIGSEGV);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(last(f)->n_restarts, 1);
        assert_int_equal(last(f)->main_pid, next);
        assert_false(last(f)->started_by_other);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        child_end(next, SIGKILL);
}

/* Whoever stops it removes the pidfile, but only when the process has ended. */
static void test_stop_by_an_operator(void **state)
{
        Fixture *f = *state;

        f->w.settings.pidfile = f->pidfile;
        pid_t pid = child_make(f);
        make(f);
        answer_exit(f, 0);
        unsigned started = f->runner.started;
        child_end(pid, SIGTERM);
        watcher_turn(&f->w, 50 * USEC_PER_MSEC);
        assert_int_equal(f->runner.started, started);
        assert_int_equal(unlink(f->pidfile), 0);
        answer_next(f, started, 3);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_true(last(f)->operator_stop);
}

/* A crash is one though no pidfile is left. */
static void test_crash_without_pidfile(void **state)
{
        Fixture *f = *state;

        f->w.settings.pidfile = f->pidfile;
        pid_t pid = child_make(f);
        make(f);
        answer_exit(f, 0);
        unsigned started = f->runner.started;
        assert_int_equal(kill(pid, SIGSEGV), 0);
        assert_int_equal(unlink(f->pidfile), 0);
        answer_next(f, started, 3);
        assert_true(watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(last(f)->signal, SIGSEGV);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_pidfile_alone(void **state)
{
        Fixture *f = *state;

        f->w.settings.status = NULL;
        assert_int_equal(status_source_new(&f->source, &f->w.context, &f->runner.runner, f->worker), -EINVAL);
        f->w.settings.pidfile = f->pidfile;
        pid_t pid = child_make(f);
        make(f);
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(kill(pid, SIGKILL), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(f->runner.started, 0);
}

static void test_free_early(void **state)
{
        Fixture *f = *state;

        f->w.settings.pidfile = f->pidfile;
        make(f);
        assert_int_equal(source_start(f->source), 0);
        f->source = source_free(f->source);
        make(f);
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, f->runner.started == 1);
        f->source = source_free(f->source);
        assert_int_equal(f->runner.cancelled, 1);
        assert_int_equal(f->w.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_exit_statuses),
                TEST(test_our_stop),
                TEST(test_death),
                TEST(test_pidfile_alone),
                TEST(test_free_early),
                TEST(test_our_start),
                TEST(test_restart_by_a_supervisor),
                TEST(test_stop_by_an_operator),
                TEST(test_crash_without_pidfile),
        };

        return cmocka_run_group_tests_name("observe/status", tests, NULL, NULL);
}
