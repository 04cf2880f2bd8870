/* Tests of act/procinfo.c: on a directory that looks like /proc/7, and on a child with files open. */
#include "act/procinfo.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char root[] = "/tmp/unjam-procinfo-XXXXXX";

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

/* A process 7 that waits in state @letter with @threads threads. */
static void make_process(int dir, char letter, int threads)
{
        char stat[256];

        snprintf(stat, sizeof(stat),
                 "7 (im (c) d) %c 3 7 7 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 %d 0 98765 2 3\n", letter,
                 threads);
        mkdirat(dir, "7", 0700);
        mkdirat(dir, "7/fd", 0700);
        put(dir, "7/stat", stat);
        put(dir, "7/status",
            "Name:\timcd\nState:\tS (sleeping)\nUid:\t10\t11\t12\t13\n"
            "voluntary_ctxt_switches:\t100\nnonvoluntary_ctxt_switches:\t20\n");
        put(dir, "7/wchan", "wait_for_partner");
        put(dir, "7/syscall", "257 0xffffff9c 0x7ffd 0x0 0x0 0x0 0x0 0x7ffd 0x7f\n");
        put(dir, "7/io", "rchar: 1000\nwchar: 234\nsyscr: 5\n");
        put(dir, "7/cmdline", "");
        assert_int_equal(symlinkat("/usr/sbin/imcd", dir, "7/exe"), 0);
}

static void test_numbers(void **state)
{
        int dir = *(int *)*state, fd;
        ProcReader reader = { .procfd = dir, .max_files = 10 };
        const char *missing = NULL;
        ProcessEvidence p;
        char command[] = "imcd\0-c\0some file\0\0";

        make_process(dir, 'S', 1);
        fd = openat(dir, "7/cmdline", O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, command, sizeof(command) - 1), sizeof(command) - 1);
        close(fd);
        fd = process_open(dir, 7);
        assert_true(fd >= 0);
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), 0);
        assert_null(missing);
        assert_int_equal(p.id.pid, 7);
        assert_int_equal(p.id.start, 98765);
        assert_int_equal(p.parent, 3);
        assert_int_equal(p.uid, 11);
        assert_int_equal(p.state, 'S');
        assert_string_equal(p.name, "im (c) d");
        assert_string_equal(p.command, "imcd -c some file");
        assert_string_equal(p.exe, "/usr/sbin/imcd");
        assert_string_equal(p.wchan, "wait_for_partner");
        assert_string_equal(p.syscall, "257");
        assert_int_equal(p.cpu, 200 * USEC_PER_SEC / (usec_t)sysconf(_SC_CLK_TCK));
        assert_int_equal(p.io_bytes, 1234);
        assert_int_equal(p.switches, 120);
        assert_int_equal(p.n_files, 0);
        assert_false(p.remote);
        process_evidence_deinit(&p);
        process_evidence_deinit(&p);
        close(fd);
        proc_reader_deinit(&reader);
}

static void test_zombies_are_counted(void **state)
{
        int dir = *(int *)*state, fd;
        ProcReader reader = { .procfd = dir, .max_files = 10 };
        const char *missing = NULL;
        ProcessEvidence p;

        (void)state;
        make_process(dir, 'S', 1);
        mkdirat(dir, "7/task", 0700);
        mkdirat(dir, "7/task/7", 0700);
        put(dir, "7/task/7/children", "8 9 10 11 ");
        for (const char *const *c = (const char *const[]){ "8 S", "9 Z", "10 Z", NULL }; *c; c++) {
                char name[16], text[64];

                snprintf(name, sizeof(name), "%.*s", (int)strcspn(*c, " "), *c);
                mkdirat(dir, name, 0700);
                snprintf(text, sizeof(text), "%s (a) Z) %s 7 7 7\n", name, strchr(*c, ' ') + 1);
                strcat(name, "/stat");
                put(dir, name, text);
        }
        fd = process_open(dir, 7);
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), 0);
        assert_int_equal(p.zombies, 2);
        process_evidence_deinit(&p);
        close(fd);
        proc_reader_deinit(&reader);
}

static void test_threads_count(void **state)
{
        int dir = *(int *)*state, fd;
        ProcReader reader = { .procfd = dir, .max_files = 10 };
        const char *missing = NULL;
        ProcessEvidence p;

        make_process(dir, 'S', 3);
        put(dir, "7/cmdline", "secret");
        mkdirat(dir, "7/task", 0700);
        mkdirat(dir, "7/task/7", 0700);
        put(dir, "7/task/7/status", "Name:\tx\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t100\n");
        mkdirat(dir, "7/task/8", 0700);
        put(dir, "7/task/8/status",
            "Name:\tx\nState:\tD (disk sleep)\nvoluntary_ctxt_switches:\t5\n"
            "nonvoluntary_ctxt_switches:\t6\n");
        mkdirat(dir, "7/task/9", 0700); /* has just ended */
        fd = process_open(dir, 7);
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), 0);
        assert_int_equal(p.switches, 131);
        assert_int_equal(p.state, 'D');
        assert_null(p.command); /* reading it could wait as long as the thread does */
        process_evidence_deinit(&p);
        close(fd);
        proc_reader_deinit(&reader);
}

static void test_gone_and_garbled(void **state)
{
        int dir = *(int *)*state, fd;
        ProcReader reader = { .procfd = dir, .max_files = 10 };
        const char *missing = NULL;
        ProcessEvidence p;

        assert_int_equal(process_open(dir, 7), -ESRCH);
        make_process(dir, 'S', 1);
        put(dir, "7/wchan", "0");
        put(dir, "7/syscall", "");
        unlinkat(dir, "7/io", 0);
        fd = process_open(dir, 7);
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), PROCESS_E_PARTIAL);
        assert_non_null(missing);
        assert_null(p.wchan);
        assert_null(p.syscall);
        process_evidence_deinit(&p);
        put(dir, "7/stat", "7 (x) S 1");
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), -EBADMSG);
        unlinkat(dir, "7/stat", 0);
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), -ESRCH);
        close(fd);
        proc_reader_deinit(&reader);
}

static void test_sockets(void **state)
{
        int dir = *(int *)*state, fd;
        ProcReader reader = { .procfd = dir, .max_files = 10 };
        const char *missing = NULL;
        ProcessEvidence p;

        make_process(dir, 'S', 1);
        assert_int_equal(symlinkat("socket:[4711]", dir, "7/fd/3"), 0);
        assert_int_equal(symlinkat("socket:[4712]", dir, "7/fd/4"), 0);
        assert_int_equal(symlinkat("pipe:[9]", dir, "7/fd/5"), 0);
        fd = process_open(dir, 7);
        /* The network cannot be looked at. */
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), PROCESS_E_PARTIAL);
        assert_int_equal(p.n_sockets, 2);
        assert_false(p.remote);
        process_evidence_deinit(&p);

        mkdirat(dir, "7/ns", 0700);
        mkdirat(dir, "7/net", 0700);
        assert_int_equal(symlinkat("net:[1]", dir, "7/ns/net"), 0);
        put(dir, "7/net/tcp",
            "   0: 0100000A:0019 070200C0:D431 01 00000000:00000000 00:00000000 00000000 0 0 4712 1 0\n");
        assert_int_equal(process_read(&reader, fd, 7, &p, &missing), 0);
        assert_true(p.remote);
        process_evidence_deinit(&p);
        close(fd);
        proc_reader_deinit(&reader);
}

/* A child that has one of each kind open. */
static pid_t child_with_files(int dir, int *ret_ready)
{
        int ready[2], s[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                (void)openat(dir, "message", O_RDONLY);
                (void)openat(dir, "queue.dat", O_RDWR);
                (void)openat(dir, "fifo", O_RDWR);
                (void)openat(dir, "dir", O_RDONLY | O_DIRECTORY);
                (void)openat(dir, "gone", O_RDONLY);
                (void)openat(dir, "odd (deleted)", O_RDONLY);
                unlinkat(dir, "gone", 0);
                (void)socketpair(AF_UNIX, SOCK_STREAM, 0, s);
                (void)!write(ready[1], "x", 1);
                pause();
                _exit(0);
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        *ret_ready = ready[0];
        return pid;
}

static const OpenFile *find_file(const ProcessEvidence *p, const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", root, name);
        for (size_t i = 0; i < p->n_files; i++)
                if (strcmp(p->files[i].path, path) == 0)
                        return p->files + i;
        return NULL;
}

static bool covers_message(void *userdata, const char *path)
{
        return strstr(path, userdata) != NULL;
}

static void test_a_real_process(void **state)
{
        int dir = *(int *)*state, ready;
        _cleanup_(closep) int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ProcReader reader = { .procfd = proc, .max_files = 100 };
        const char *missing = NULL;
        ProcessEvidence p;
        struct stat st;
        pid_t pid;
        int fd;

        put(dir, "message", "x");
        put(dir, "queue.dat", "x");
        put(dir, "gone", "x");
        put(dir, "odd (deleted)", "x");
        mkfifoat(dir, "fifo", 0600);
        mkdirat(dir, "dir", 0700);
        pid = child_with_files(dir, &ready);
        fd = process_open(proc, pid);
        assert_true(process_read(&reader, fd, pid, &p, &missing) >= 0);

        assert_int_equal(p.parent, getpid());
        assert_int_equal(p.uid, geteuid());
        assert_non_null(p.exe);
        assert_non_null(p.command);
        assert_true(p.switches > 0);
        assert_non_null(find_file(&p, "message"));
        assert_false(find_file(&p, "message")->write);
        assert_false(find_file(&p, "message")->deleted);
        assert_int_equal(fstatat(dir, "message", &st, 0), 0);
        assert_int_equal(find_file(&p, "message")->inode, st.st_ino);
        assert_int_equal(find_file(&p, "message")->dev, st.st_dev);
        assert_true(find_file(&p, "queue.dat")->write);
        assert_non_null(find_file(&p, "fifo"));
        assert_non_null(find_file(&p, "dir"));
        assert_true(find_file(&p, "gone")->deleted);
        assert_false(find_file(&p, "odd (deleted)")->deleted);
        assert_true(p.n_sockets >= 2);
        assert_false(p.remote);

        assert_int_equal(process_holds(fd, covers_message, (char[]){ "/message" }), 1);
        assert_int_equal(process_holds(fd, covers_message, (char[]){ "/fifo" }), 1);
        assert_int_equal(process_holds(fd, covers_message, (char[]){ "/dir" }), 0);
        assert_int_equal(process_holds(fd, covers_message, (char[]){ "/other" }), 0);
        process_evidence_deinit(&p);

        reader.max_files = 2;
        assert_int_equal(process_read(&reader, fd, pid, &p, &missing), PROCESS_E_PARTIAL);
        assert_int_equal(p.n_files, 2);
        process_evidence_deinit(&p);

        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(process_read(&reader, fd, pid, &p, &missing), -ESRCH);
        close(fd);
        close(ready);
        proc_reader_deinit(&reader);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_zombies_are_counted, setup, teardown),
                cmocka_unit_test_setup_teardown(test_threads_count, setup, teardown),
                cmocka_unit_test_setup_teardown(test_gone_and_garbled, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_real_process, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
