/* process_look - real children in all the states that a look must tell apart. */
#include "observe/process_look.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/unjam-look-XXXXXX";
static char *dirs[2], *exclude[] = { (char *)"*.lock", NULL };
static StoreSettings store = { .name = (char *)"s", .dirs = dirs, .exclude = exclude };
static ServiceSettings settings = { .name = (char *)"imc", .stores = &store, .n_stores = 1 };
static int procfd;

static int setup(void **state)
{
        char path[128];

        (void)state;
        if (!mkdtemp(root))
                return -1;
        snprintf(path, sizeof(path), "%s/real", root);
        mkdir(path, 0700);
        snprintf(path, sizeof(path), "%s/In", root);
        if (symlink("real", path) < 0) /* the kernel names it otherwise than the configuration */
                return -1;
        dirs[0] = strdup(path);
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return 0;
}

static int teardown(void **state)
{
        pid_t pid = fork();

        (void)state;
        close(procfd);
        free(dirs[0]);
        if (pid == 0) {
                execl("/bin/rm", "rm", "-rf", "--", root, NULL);
                _exit(127);
        }
        return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int open_message(const char *name)
{
        char path[192];

        snprintf(path, sizeof(path), "%s/%s", dirs[0], name);
        return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static pid_t child(void (*run)(void))
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                run();
                for (;;)
                        pause();
        }
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void look(pid_t pid, LookHeld *held, size_t n_held, ProcessLook *ret)
{
        ProcId id;
        LookSpec spec = { .procfd = procfd, .settings = &settings, .held = held, .n_held = n_held };

        assert_int_equal(proc_identify(procfd, pid, &id), 0);
        spec.processes = &id;
        spec.n_processes = 1;
        assert_int_equal(process_look(&spec, ret), 0);
        assert_int_equal(ret->n, ret->status.n);
}

/* Looks again until @done, some seconds at most. */
static void look_until(pid_t pid, bool (*done)(const ProcessSample *p), ProcessLook *ret)
{
        for (unsigned i = 0; i < 500; i++) {
                look(pid, NULL, 0, ret);
                if (ret->n == 1 && done(&ret->list[0]))
                        return;
                process_look_deinit(ret);
                usleep(10000);
        }
        fail_msg("never seen");
}

static void hold_two(void)
{
        (void)open_message("c.lock");
        (void)open_message("b");
        (void)open_message("a");
        (void)open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool has_a(const ProcessSample *p)
{
        return p->state == 'S' && p->file && strcmp(p->file + strlen(dirs[0]), "/a") == 0;
}

static void test_files(void **state)
{
        pid_t pid = child(hold_two);
        char a[192], b[192], x[192];
        LookHeld held[3] = { { .path = b, .since = 50 },
                             { .path = a, .since = 60 },
                             { .path = x, .since = 1 } };
        ProcessLook l;

        (void)state;
        snprintf(a, sizeof(a), "%s/a", dirs[0]);
        snprintf(b, sizeof(b), "%s/b", dirs[0]);
        snprintf(x, sizeof(x), "%s/x", dirs[0]);
        look_until(pid, has_a, &l);
        assert_string_equal(l.list[0].file, a); /* the name that the configuration has for it */
        assert_int_equal(l.list[0].held, 0);
        assert_true(l.list[0].descriptors >= 4);
        assert_string_equal(l.list[0].name, "unit-process_lo");
        assert_null(l.list[0].peer);
        assert_false(l.list[0].frozen);
        process_look_deinit(&l);
        look(pid, held, 3, &l);
        assert_string_equal(l.list[0].file, b); /* the one that has been open for longest */
        assert_int_equal(l.list[0].held, 50);
        assert_true(held[0].found);
        assert_true(held[1].found);
        assert_false(held[2].found);
        process_look_deinit(&l);
        end(pid);
}

/*
 * In a network namespace of its own, with an address that is not loopback's, and a host that never answers.
 */
static bool make_network(void)
{
        return unshare(CLONE_NEWNET) == 0 && system("ip link set lo up && ip addr add 192.0.2.1/32 dev lo && "
                                                    "ip route add 192.0.2.7 dev lo") == 0;
}

/* Nobody answers there: the connection is being set up for minutes. */
static void call_out(void)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(25) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (!make_network())
                _exit(77);
        close(fd);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        inet_pton(AF_INET, "192.0.2.7", &to.sin_addr);
        (void)connect(fd, (struct sockaddr *)&to, sizeof(to));
        _exit(78);
}

static bool has_peer(const ProcessSample *p)
{
        return p->peer != NULL;
}

static void test_another_host(void **state)
{
        pid_t pid = child(call_out);
        ProcessLook l;
        int status;

        (void)state;
        usleep(300000);
        if (waitpid(pid, &status, WNOHANG) == pid) {
                print_message("no network namespace can be made here\n");
                skip();
        }
        look_until(pid, has_peer, &l);
        assert_string_equal(l.list[0].peer, "192.0.2.7:25");
        assert_false(l.list[0].accepted);
        process_look_deinit(&l);
        end(pid);
}

/* A connection to this very host, and a local socket, are no other host. */
static void wait_here(void)
{
        int pair[2];
        struct pollfd p;

        (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
        p = (struct pollfd){ .fd = pair[0], .events = POLLIN };
        (void)poll(&p, 1, -1);
}

static bool sleeps(const ProcessSample *p)
{
        return p->state == 'S';
}

static bool is_stopped(const ProcessSample *p)
{
        return p->state == 'T';
}

static void test_states(void **state)
{
        pid_t pid = child(wait_here);
        ProcId gone = { .pid = pid, .start = 1 };
        LookSpec spec = { .procfd = procfd, .settings = &settings, .processes = &gone, .n_processes = 1 };
        atomic_bool cancel = true;
        ProcessLook l;

        (void)state;
        look_until(pid, sleeps, &l);
        assert_null(l.list[0].peer);
        assert_null(l.list[0].file);
        process_look_deinit(&l);
        kill(pid, SIGSTOP);
        look_until(pid, is_stopped, &l);
        process_look_deinit(&l);
        /* Another process of that number, and a look that is called off. */
        assert_int_equal(process_look(&spec, &l), 0);
        assert_int_equal(l.n, 0);
        process_look_deinit(&l);
        spec.cancel = &cancel;
        assert_int_equal(process_look(&spec, &l), -ECANCELED);
        end(pid);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_files),
                cmocka_unit_test(test_another_host),
                cmocka_unit_test(test_states),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
