/* Tests of base/capture.c. */
#include "base/capture.h"
#include "base/cleanup.h"
#include "base/runner.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_reads_from_the_loop(void **state)
{
        Capture c = CAPTURE_NULL;
        sd_event *event;
        int fd;

        (void)state;
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(capture_init(&c, event, &fd), 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(write(fd, "hello", 5), 5);
        assert_true(sd_event_run(event, 1000000) > 0);
        assert_int_equal(c.len, 5);
        assert_string_equal(c.data, "hello");
        capture_drain(&c); /* nothing there, nobody waits */
        assert_int_equal(c.len, 5);

        /* After the end the loop has nothing more to do. */
        close(fd);
        assert_true(sd_event_run(event, 1000000) > 0);
        assert_int_equal(sd_event_run(event, 0), 0);
        capture_drain(&c);
        capture_deinit(&c);
        capture_deinit(&c);
        assert_null(c.data);
        sd_event_unref(event);
}

static void test_keeps_no_more_than_the_limit(void **state)
{
        Capture c = CAPTURE_NULL;
        sd_event *event;
        char block[4096];
        int fd;

        (void)state;
        memset(block, 'x', sizeof(block));
        assert_true(sd_event_new(&event) >= 0);
        assert_int_equal(capture_init(&c, event, &fd), 0);
        for (int i = 0; i < 40; i++) {
                assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
                capture_drain(&c);
        }
        assert_int_equal(c.len, RUN_OUTPUT_MAX);
        assert_int_equal(c.data[RUN_OUTPUT_MAX], 0);
        assert_int_equal(c.data[RUN_OUTPUT_MAX - 1], 'x');
        close(fd);
        capture_deinit(&c);
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reads_from_the_loop),
                cmocka_unit_test(test_keeps_no_more_than_the_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
