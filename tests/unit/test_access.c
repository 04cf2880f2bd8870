/* Tests of control/access.c: who may do what. */
#include "control/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUP  4
#define NOBODY ((gid_t)-1)

static void test_the_decision(void **state)
{
        gid_t groups[] = { 100, GROUP, 200 }, others[] = { 100, 200 };
        Peer p = { .uid = 1000, .gid = 1000, .groups = groups, .n_groups = 3 };

        (void)state;
        assert_int_equal(access_of(&p, GROUP, 0), ACCESS_READ);
        assert_int_equal(access_of(&p, NOBODY, 0), ACCESS_NONE);
        p.groups = others;
        p.n_groups = 2;
        assert_int_equal(access_of(&p, GROUP, 0), ACCESS_NONE);
        p.gid = GROUP;
        assert_int_equal(access_of(&p, GROUP, 0), ACCESS_READ);
        p.uid = 0;
        assert_int_equal(access_of(&p, GROUP, 0), ACCESS_ACT);
        p.uid = 1000;
        assert_int_equal(access_of(&p, NOBODY, 1000), ACCESS_ACT);
}

/* gid -1 is "no group", and must not let in a peer that shows it. */
static void test_no_group_is_no_group(void **state)
{
        gid_t groups[] = { NOBODY };
        const Peer p = { .uid = 1000, .gid = NOBODY, .groups = groups, .n_groups = 1 };

        (void)state;
        assert_int_equal(access_of(&p, NOBODY, 0), ACCESS_NONE);
}

static void test_verbs(void **state)
{
        static const char *const acting[] = {
                "pause",  "resume", "recover",           "restore", "quarantine-release",
                "reload", "",       "quarantine-delete", "statusx"
        };

        (void)state;
        assert_true(access_verb_reads("status"));
        assert_true(access_verb_reads("explain"));
        assert_true(access_verb_reads("watch"));
        assert_true(access_verb_reads("metrics"));
        assert_false(access_verb_reads("check"));
        for (size_t i = 0; i < sizeof(acting) / sizeof(acting[0]); i++)
                assert_false(access_verb_reads(acting[i]));
}

static void test_the_kernel_knows_the_peer(void **state)
{
        gid_t mine[256];
        int fds[2], n;
        Peer p;

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(peer_read(fds[0], &p), 0);
        assert_int_equal(p.uid, geteuid());
        assert_int_equal(p.gid, getegid());
        assert_int_equal(p.pid, getpid());
        n = getgroups(256, mine);
        assert_int_equal(p.n_groups, n);
        peer_deinit(&p);
        close(fds[0]);
        close(fds[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_decision),
                cmocka_unit_test(test_no_group_is_no_group),
                cmocka_unit_test(test_verbs),
                cmocka_unit_test(test_the_kernel_knows_the_peer),
        };

        return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
