/* address - literals that are taken, and what is refused without asking a resolver. */
#include "observe/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void test_parse(void **state)
{
        Address a;

        (void)state;
        assert_int_equal(address_parse("127.0.0.1:25", &a), 0);
        assert_int_equal(a.storage.ss_family, AF_INET);
        assert_int_equal(ntohs(((struct sockaddr_in *)&a.storage)->sin_port), 25);
        assert_int_equal(address_parse("[::1]:2525", &a), 0);
        assert_int_equal(a.storage.ss_family, AF_INET6);
        assert_int_equal(ntohs(((struct sockaddr_in6 *)&a.storage)->sin6_port), 2525);
}

static void test_refuse(void **state)
{
        static const char *const texts[] = {
                "",       "localhost:25",   "127.0.0.1", "127.0.0.1:",     ":25",          "::1:25", "[::1]",
                "[::1]:", "[127.0.0.1]:25", "[:25",      "127.0.0.1:smtp", "127.0.0.1:-1", "]:25",   "[]:25",
        };
        Address a;

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_int_equal(address_parse(texts[i], &a), -EINVAL);
}

static void test_path(void **state)
{
        char path[109];
        Address a;

        (void)state;
        memset(path, 'x', sizeof(path));
        path[108] = '\0';
        assert_int_equal(address_of_path(path, &a), -ENAMETOOLONG);
        path[107] = '\0';
        assert_int_equal(address_of_path(path, &a), 0);
        assert_int_equal(a.storage.ss_family, AF_UNIX);
        assert_string_equal(((struct sockaddr_un *)&a.storage)->sun_path, path);
        assert_int_equal(address_connect(&a), -ENOENT);
}

static void test_connect(void **state)
{
        struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(local);
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        Address a = { .len = sizeof(local) };

        (void)state;
        assert_int_equal(bind(server, (struct sockaddr *)&local, sizeof(local)), 0);
        assert_int_equal(listen(server, 1), 0);
        assert_int_equal(getsockname(server, (struct sockaddr *)&local, &len), 0);
        *(struct sockaddr_in *)&a.storage = local;
        int client = address_connect(&a);
        assert_true(client >= 0);
        close(client);
        close(server);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_refuse),
                cmocka_unit_test(test_path),
                cmocka_unit_test(test_connect),
        };

        return cmocka_run_group_tests_name("observe/address", tests, NULL, NULL);
}
