/* pidfile - living, dead, reused and senseless. */
#include "observe/pidfile.h"

#include "unit/observe_util.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Answer {
        PidfileResult result;
        unsigned n;
} Answer;

static void on_look(void *userdata, PidfileResult *result)
{
        Answer *a = userdata;

        a->result = *result;
        result->pidfd = -1; /* taken over */
        a->n++;
}

static Answer look(Watcher *w, Worker *worker, const char *path)
{
        Answer a = { .n = 0 };
        PidfileLook *l;

        assert_int_equal(pidfile_look(&l, worker, path, on_look, &a), 0);
        watcher_until(w, a.n == 1);
        return a;
}

static void test_looks(void **state)
{
        static const char *const nonsense[] = { "", "x", "0", "1", "-7", "99999999999999", "4194999" };
        char *dir = temp_new(), *path = strdup(in(dir, "pid")), text[32];
        Worker *worker;
        Watcher w;

        (void)state;
        watcher_init(&w);
        assert_int_equal(worker_new(&worker, w.event, "pidfile"), 0);
        assert_false(look(&w, worker, path).result.exists);

        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        snprintf(text, sizeof(text), "%30d\n", pid); /* as Postfix writes it */
        file_make(path, text);
        Answer a = look(&w, worker, path);
        assert_true(a.result.exists);
        assert_int_equal(a.result.id.pid, pid);
        assert_true(a.result.id.start > 0 && a.result.pidfd >= 0);
        close(a.result.pidfd);

        /* Dead, though a zombie still bears the number. */
        siginfo_t si;
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
        a = look(&w, worker, path);
        assert_true(a.result.exists);
        assert_int_equal(a.result.id.pid, 0);
        assert_int_equal(a.result.pidfd, -1);
        assert_int_equal(waitpid(pid, NULL, 0), pid);

        for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
                file_make(path, nonsense[i]);
                a = look(&w, worker, path);
                assert_true(a.result.exists);
                assert_int_equal(a.result.id.pid, 0);
                assert_int_equal(a.result.pidfd, -1);
        }

        PidfileLook *l;
        a.n = 0;
        assert_int_equal(pidfile_look(&l, worker, path, on_look, &a), 0);
        assert_null(pidfile_look_cancel(l));
        for (unsigned i = 0; i < 5; i++)
                watcher_turn(&w, 5 * USEC_PER_MSEC);
        assert_int_equal(a.n, 0);
        worker_free(worker);
        watcher_deinit(&w);
        free(path);
        temp_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_looks) };

        return cmocka_run_group_tests_name("observe/pidfile", tests, NULL, NULL);
}
