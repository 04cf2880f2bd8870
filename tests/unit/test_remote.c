/* Tests of base/remote.c. */
#include "base/cleanup.h"
#include "base/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define TAIL_OUT " 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0"
#define TAIL     " 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0"

static void test_lines(void **state)
{
        static const struct {
                const char *line;
                uint64_t inode;
        } cases[] = {
                { "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
                  "timeout inode",
                  0 },
                { "", 0 },
                { "garbage", 0 },
                /* 10.0.0.1 -> 192.0.2.7 */
                { "   0: 0100000A:0019 070200C0:D431 01" TAIL, 4711 },
                { " 12345: 0100000A:0019 070200C0:D431 02" TAIL, 4711 },
                /* loopback, listening, our own address at both ends */
                { "   1: 0100007F:0019 0100007F:D431 01" TAIL, 0 },
                { "   1: 0100007F:0019 0200017F:D431 01" TAIL, 0 },
                { "   2: 00000000:0019 00000000:0000 0A" TAIL, 0 },
                { "   3: 0100000A:0019 0100000A:D431 01" TAIL, 0 },
                /* 2001:db8::1 -> 2001:db8::2 */
                { "   0: B80D0120000000000000000001000000:0019 B80D0120000000000000000002000000:D431 01" TAIL,
                  4711 },
                /* ::1, ::ffff:127.0.0.1, :: */
                { "   0: 00000000000000000000000001000000:0019 00000000000000000000000001000000:D431 01" TAIL,
                  0 },
                { "   0: 0000000000000000FFFF00000100007F:0019 0000000000000000FFFF00000200007F:D431 01" TAIL,
                  0 },
                { "   0: 00000000000000000000000000000000:0019 00000000000000000000000000000000:0000 0A" TAIL,
                  0 },
                /* ::ffff:10.0.0.1 -> ::ffff:192.0.2.7 */
                { "   0: 0000000000000000FFFF00000100000A:0019 0000000000000000FFFF0000070200C0:D431 01" TAIL,
                  4711 },
                /* an address of a length that there is not */
                { "   0: 0100000A0:0019 070200C00:D431 01" TAIL, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RemoteSocket s;
                bool peer = remote_line_parse(cases[i].line, &s) == REMOTE_LINE_PEER;

                assert_int_equal(peer ? s.inode : 0, cases[i].inode);
        }
}

/* A client that is waited for is no dependency, and a closing connection is waited for by nobody. */
static void test_directions_and_states(void **state)
{
        RemoteSocket s;

        (void)state;
        assert_int_equal(remote_line_parse("   2: 00000000:0019 00000000:0000 0A" TAIL, &s),
                         REMOTE_LINE_LISTEN);
        assert_int_equal(s.local_port, 25);
        assert_int_equal(remote_line_parse("   0: 0100000A:0019 070200C0:D431 01" TAIL, &s),
                         REMOTE_LINE_PEER);
        assert_true(s.waits);
        assert_string_equal(s.peer, "192.0.2.7:54321");
        assert_int_equal(remote_line_parse("   0: B80D0120000000000000000001000000:0019 "
                                           "B80D0120000000000000000002000000:D431 01" TAIL,
                                           &s),
                         REMOTE_LINE_PEER);
        assert_string_equal(s.peer, "[2001:db8::2]:54321");
        assert_int_equal(remote_line_parse("   0: 0100000A:0019 070200C0:D431 02" TAIL, &s),
                         REMOTE_LINE_PEER);
        assert_true(s.waits);
        assert_int_equal(remote_line_parse("   0: 0100000A:0019 070200C0:D431 08" TAIL, &s),
                         REMOTE_LINE_PEER);
        assert_false(s.waits);
}

static char root[] = "/tmp/unjam-remote-XXXXXX";

static void put(int dir, const char *name, const char *text)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static void test_a_namespace_is_read_once(void **state)
{
        static const uint64_t ours[] = { 5, 4711 }, others[] = { 5, 6 };
        const RemoteSocket *found;
        RemoteSockets s = { 0 };
        int dir, status;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(root));
        dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(remote_sockets_any(&s, dir, ours, 0), 0); /* nothing to ask for */
        assert_int_equal(remote_sockets_any(&s, dir, ours, 2), -ENOENT);
        assert_int_equal(mkdirat(dir, "ns", 0700), 0);
        assert_int_equal(mkdirat(dir, "net", 0700), 0);
        assert_int_equal(symlinkat("net:[1]", dir, "ns/net"), 0);
        put(dir, "net/tcp",
            "head\n   0: 0100000A:0019 070200C0:D431 01" TAIL
            "\n   1: 0100000A:D999 070200C0:0019 01" TAIL_OUT "\n   2: 00000000:0019 00000000:0000 0A" TAIL
            "\n");
        assert_int_equal(remote_sockets_any(&s, dir, ours, 2), 1);
        assert_int_equal(remote_sockets_any(&s, dir, others, 2), 0);
        assert_int_equal(remote_socket_find(&s, dir, 4711, &found), 1);
        assert_true(found->accepted);
        assert_int_equal(remote_socket_find(&s, dir, 4712, &found), 1);
        assert_false(found->accepted);
        assert_string_equal(found->peer, "192.0.2.7:25");
        put(dir, "net/tcp", "");
        assert_int_equal(remote_sockets_any(&s, dir, ours, 2), 1);
        remote_sockets_deinit(&s);
        assert_int_equal(remote_sockets_any(&s, dir, ours, 2), 0);
        remote_sockets_deinit(&s);
        remote_sockets_deinit(&s);
        close(dir);

        pid = fork();
        if (pid == 0) {
                execl("/bin/rm", "rm", "-rf", "--", root, NULL);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_directions_and_states),
                cmocka_unit_test(test_a_namespace_is_read_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
