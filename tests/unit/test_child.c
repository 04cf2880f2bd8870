/* child - real processes: how they end, restarts, a stop that was asked for, a process that is not ours. */
#include "observe/child.h"

#include "base/proc.h"
#include "unit/observe_util.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

typedef struct Fixture {
        Watcher w;
        Source *source;
        char *dir;
        int procfd;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        f->dir = temp_new();
        f->procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdir(in(f->dir, "embedded"), 0700), 0);
        assert_int_equal(child_source_new(&f->source, &f->w.context, f->dir), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        source_free(f->source);
        watcher_deinit(&f->w);
        close(f->procfd);
        temp_remove(f->dir);
        free(f);
        return 0;
}

/* A child that waits to be killed. */
static pid_t child_make(void)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return pid;
}

static void file_write(const Fixture *f, const ProcId *id, const char *boot, bool stopping)
{
        char text[512], own[SD_ID128_STRING_MAX];
        sd_id128_t this_boot;

        assert_int_equal(sd_id128_get_boot(&this_boot), 0);
        snprintf(text, sizeof(text),
                 "{\"boot\":\"%s\",\"invocation\":\"run-%d\",\"pid\":%d,\"start\":%" PRIu64
                 ",\"stopping\":%s}",
                 boot ? boot : sd_id128_to_string(this_boot, own), id->pid, id->pid, id->start,
                 stopping ? "true" : "false");
        file_make(in(f->dir, "embedded/imc.json.new"), text);
        assert_int_equal(rename(in(f->dir, "embedded/imc.json.new"), in(f->dir, "embedded/imc.json")), 0);
}

static void file_name_process(const Fixture *f, const ProcId *id)
{
        file_write(f, id, NULL, false);
}

static pid_t child_announce(const Fixture *f)
{
        pid_t pid = child_make();
        ProcId id;

        assert_int_equal(proc_identify(f->procfd, pid, &id), 0);
        file_name_process(f, &id);
        return pid;
}

static void test_never_ran(void **state)
{
        Fixture *f = *state;

        assert_int_equal(source_start(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(watcher_last(&f->w)->o.service.exited);
}

static void test_crash_and_restart(void **state)
{
        Fixture *f = *state;
        char invocation[128];

        assert_int_equal(source_start(f->source), 0);
        pid_t pid = child_announce(f); /* no refresh: the source sees the file */
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(watcher_last(&f->w)->o.service.main_pid, pid);
        assert_true(watcher_last(&f->w)->o.service.since > 0);
        snprintf(invocation, sizeof(invocation), "%s", watcher_last(&f->w)->invocation);
        assert_true(*invocation);

        assert_int_equal(kill(pid, SIGKILL), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        const Seen *s = watcher_last(&f->w);
        assert_true(s->o.service.exited);
        assert_int_equal(s->o.service.signal, SIGKILL);
        assert_int_equal(s->o.service.main_pid, 0);
        assert_string_equal(s->text, "signal");
        assert_string_equal(s->invocation, invocation);
        /* It was collected. */
        assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);

        pid = child_announce(f);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_false(watcher_last(&f->w)->o.service.exited);
        assert_string_not_equal(watcher_last(&f->w)->invocation, invocation);
        assert_int_equal(kill(pid, SIGKILL), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
}

static void test_exit_code(void **state)
{
        Fixture *f = *state;
        static const int codes[] = { 0, 75 };

        for (size_t i = 0; i < ELEMENTSOF(codes); i++) {
                int gate[2];
                ProcId id;
                assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
                pid_t pid = fork();
                if (pid == 0) {
                        char byte;
                        close(gate[1]);
                        _exit(read(gate[0], &byte, 1) == 0 ? codes[i] : 99);
                }
                assert_int_equal(proc_identify(f->procfd, pid, &id), 0);
                file_name_process(f, &id);
                assert_int_equal(source_refresh(f->source), 0);
                assert_true(watcher_last_run(&f->w, RUN_RUNNING));
                close(gate[0]);
                close(gate[1]);
                watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
                const Seen *s = watcher_last(&f->w);
                assert_true(s->o.service.exited);
                assert_int_equal(s->o.service.exit_code, codes[i]);
                assert_int_equal(s->o.service.signal, 0);
                assert_string_equal(s->text, codes[i] ? "exit-code" : "success");
        }
}

static void test_asked_for(void **state)
{
        Fixture *f = *state;
        pid_t pid = child_announce(f);

        assert_int_equal(source_start(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        source_expect(f->source, true, NULL);
        assert_int_equal(kill(pid, SIGTERM), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_int_equal(watcher_last(&f->w)->o.service.signal, SIGTERM);
        /* The next start ends the expectation. */
        pid = child_announce(f);
        assert_int_equal(source_refresh(f->source), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(kill(pid, SIGTERM), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
}

/* The manager announces the stop in the file itself. */
static void test_announced_by_file(void **state)
{
        Fixture *f = *state;
        pid_t pid = child_announce(f);
        ProcId id;

        assert_int_equal(proc_identify(f->procfd, pid, &id), 0);
        assert_int_equal(source_start(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        file_write(f, &id, NULL, true);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPING));
        /* The file may go first. */
        assert_int_equal(unlink(in(f->dir, "embedded/imc.json")), 0);
        assert_int_equal(source_refresh(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_STOPPING));
        assert_int_equal(kill(pid, SIGKILL), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_int_equal(source_refresh(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
}

static void test_other_boot(void **state)
{
        Fixture *f = *state;
        ProcId id;

        assert_int_equal(proc_identify(f->procfd, getpid(), &id), 0);
        file_write(f, &id, "00000000000000000000000000000001", false);
        assert_int_equal(source_start(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
}

/* It died before anybody looked: still a zombie of ours, so we know how. */
static void test_dead_before_look(void **state)
{
        Fixture *f = *state;
        pid_t pid = child_announce(f);
        siginfo_t si;

        assert_int_equal(kill(pid, SIGUSR1), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(watcher_last(&f->w)->o.service.signal, SIGUSR1);
}

/* The file names a process that is gone, and its pid belongs to another one now. */
static void test_reused_pid(void **state)
{
        Fixture *f = *state;
        ProcId id;

        assert_int_equal(proc_identify(f->procfd, getpid(), &id), 0);
        id.start--;
        file_name_process(f, &id);
        assert_int_equal(source_start(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_FAILED));
        assert_false(watcher_last(&f->w)->o.service.exited);
        assert_int_equal(watcher_last(&f->w)->o.service.main_pid, 0);
}

/* After a restart of unjamd the process is somebody else's child: it ends, but nobody tells us how. */
static void test_not_our_child(void **state)
{
        Fixture *f = *state;
        int report[2];
        ProcId id;

        assert_int_equal(pipe2(report, O_CLOEXEC), 0);
        pid_t parent = fork();
        if (parent == 0) {
                pid_t pid = child_make();
                assert_int_equal(write(report[1], &pid, sizeof(pid)), sizeof(pid));
                waitpid(pid, NULL, 0);
                _exit(0);
        }
        pid_t pid;
        assert_int_equal(read(report[0], &pid, sizeof(pid)), sizeof(pid));
        assert_int_equal(proc_identify(f->procfd, pid, &id), 0);
        file_name_process(f, &id);
        assert_int_equal(source_start(f->source), 0);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(kill(pid, SIGKILL), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_false(watcher_last(&f->w)->o.service.exited);
        assert_int_equal(waitpid(parent, NULL, 0), parent);
        close(report[0]);
        close(report[1]);
}

static void test_nonsense(void **state)
{
        Fixture *f = *state;
        static const char *const texts[] = { "",
                                             "{",
                                             "[]",
                                             "{\"pid\":1,\"start\":5}",
                                             "{\"pid\":-3,\"start\":5}",
                                             "{\"pid\":99999999999,\"start\":5}",
                                             "{\"pid\":\"12\",\"start\":5}" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                file_make(in(f->dir, "embedded/imc.json"), texts[i]);
                (void)source_refresh(f->source);
                assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_never_ran),     TEST(test_crash_and_restart), TEST(test_exit_code),
                TEST(test_asked_for),     TEST(test_dead_before_look),  TEST(test_reused_pid),
                TEST(test_not_our_child), TEST(test_nonsense),          TEST(test_announced_by_file),
                TEST(test_other_boot),
        };

        return cmocka_run_group_tests_name("observe/child", tests, NULL, NULL);
}
