/* process_end - living, zombie and collected processes. */
#include "observe/process_end.h"

#include "unit/observe_util.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(int status, int signal_number, ProcessEnd expected)
{
        int procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        siginfo_t si;
        ProcId id;

        pid_t pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                raise(SIGSTOP);
                _exit(status);
        }
        assert_int_equal(waitid(P_PID, (id_t)pid, &si, WSTOPPED), 0);
        assert_int_equal(proc_identify(procfd, pid, &id), 0);
        int pidfd = proc_open(procfd, &id);
        assert_true(pidfd >= 0);
        assert_int_equal(process_end(procfd, &id, pidfd), PROCESS_LIVES);
        if (signal_number)
                assert_int_equal(kill(pid, signal_number), 0);
        assert_int_equal(kill(pid, SIGCONT), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
        assert_int_equal(process_end(procfd, &id, pidfd), expected);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        /* Once it has been collected, an older kernel does not tell any more; none tells anything wrong. */
        ProcessEnd end = process_end(procfd, &id, pidfd);
        assert_true(end == expected || end == PROCESS_ENDED);
        assert_int_equal(process_end(procfd, &id, -1), PROCESS_ENDED);
        close(pidfd);
        close(procfd);
}

static void test_ends(void **state)
{
        (void)state;
        run(0, 0, PROCESS_ENDED_WELL);
        run(3, 0, PROCESS_ENDED_BADLY);
        run(0, SIGKILL, PROCESS_ENDED_BADLY);
}

static void test_other_process(void **state)
{
        int procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        ProcId id;

        (void)state;
        assert_int_equal(proc_identify(procfd, getpid(), &id), 0);
        id.start++;
        assert_int_equal(process_end(procfd, &id, -1), PROCESS_ENDED);
        close(procfd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_other_process),
        };

        return cmocka_run_group_tests_name("observe/process_end", tests, NULL, NULL);
}
