/* Tests of base/error.c. */
#include "base/error.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_codes_pass(void **state)
{
        (void)state;
        unsetenv("UNJAM_TRACE");
        assert_int_equal(err_origin(-EIO), -EIO);
        assert_int_equal(err_trace(-EIO), -EIO);
        assert_int_equal(err_trace(0), 0);
        assert_int_equal(err_trace(7), 7);
        assert_int_equal(err_fold(0), 0);
        assert_int_equal(err_fold(-EIO), -EIO);
        assert_int_equal(err_fold(1), -ENOTRECOVERABLE);
}

/* What is printed to stderr by one fatal and one fine code. */
static void trace(char *buf, size_t size)
{
        int pipe_fds[2], old = dup(STDERR_FILENO);
        ssize_t n;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
        dup2(pipe_fds[1], STDERR_FILENO);
        (void)err_origin(-EIO);
        (void)err_trace(0);
        dup2(old, STDERR_FILENO);
        n = read(pipe_fds[0], buf, size - 1);
        buf[n > 0 ? n : 0] = 0;
        close(old);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

static void test_the_way_is_printed_on_request(void **state)
{
        char buf[512];

        (void)state;
        unsetenv("UNJAM_TRACE");
        trace(buf, sizeof(buf));
        assert_string_equal(buf, "");
        setenv("UNJAM_TRACE", "1", 1);
        trace(buf, sizeof(buf));
        assert_non_null(strstr(buf, "test_error.c:"));
        assert_non_null(strstr(buf, "origin: Input/output error\n"));
        unsetenv("UNJAM_TRACE");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_codes_pass),
                cmocka_unit_test(test_the_way_is_printed_on_request),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
