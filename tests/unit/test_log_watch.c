/* log_watch - one inotify for all logs: an inode has one watch, dropped with its last user */
#include "observe/log_watch.h"

#include "unit/observe_util.h"

#include <sys/inotify.h>

static int event_read(const LogWatch *w)
{
        char buffer[4096] __attribute__((aligned(8)));
        ssize_t n = read(log_watch_fd(w), buffer, sizeof(buffer));

        return n > 0 ? ((const struct inotify_event *)buffer)->wd : -1;
}

static void test_watch(void **state)
{
        char *dir = temp_new();
        LogWatch *w;
        int fd, a, b;

        (void)state;
        assert_int_equal(log_watch_new(&w), 0);
        assert_true(log_watch_fd(w) >= 0);
        assert_ptr_equal(log_watch_ref(w), w);
        assert_null(log_watch_unref(w));
        fd = open(in(dir, "x"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        a = log_watch_add(w, fd, IN_MODIFY);
        b = log_watch_add(w, fd, IN_MODIFY);
        assert_true(a >= 0);
        assert_int_equal(a, b);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(event_read(w), a);
        log_watch_drop(w, a);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(event_read(w), a);
        log_watch_drop(w, a);
        (void)event_read(w); /* that it is gone */
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(event_read(w), -1);
        log_watch_drop(w, a);
        log_watch_drop(w, -1);
        assert_int_equal(log_watch_add(w, -1, IN_MODIFY), -1);
        close(fd);
        assert_null(log_watch_unref(w));
        assert_null(log_watch_unref(NULL));
        temp_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_watch) };

        return cmocka_run_group_tests_name("observe/log_watch", tests, NULL, NULL);
}
