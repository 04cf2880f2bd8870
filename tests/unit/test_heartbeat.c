/* heartbeat - whose beats count, and when silence is too long. */
#include "observe/heartbeat.h"

#include "unit/observe_util.h"

#include <sys/socket.h>
#include <sys/un.h>

static const ProbeSettings by_socket = { .kind = PROBE_HEARTBEAT, .interval = 10, .timeout = 5 };
static const ProbeSettings by_file = {
        .kind = PROBE_HEARTBEAT, .path = (char *)"/x", .interval = 10, .timeout = 5
};

static bool belongs_none(void *userdata, pid_t pid)
{
        *(pid_t *)userdata = pid;
        return false;
}

static void say(const char *dir, const char *text)
{
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(to.sun_path, sizeof(to.sun_path), "%s/heartbeat/imc", dir);
        assert_int_equal(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to)),
                         (ssize_t)strlen(text));
        close(fd);
}

static Heartbeat *by_socket_new(Watcher *w, const char *dir, pid_t *asked)
{
        const HeartbeatSpec spec = { .event = w->event,
                                     .probe = &by_socket,
                                     .service = "imc",
                                     .run_dir = dir,
                                     .belongs = belongs_none,
                                     .userdata = asked };
        Heartbeat *h;

        assert_int_equal(heartbeat_new(&h, &spec), 0);
        assert_true(heartbeat_listens(h));
        return h;
}

static void test_datagrams(void **state)
{
        static const char *const no_beats[] = { "", "READY=1", "WATCHDOG=10", "XWATCHDOG=1",
                                                "WATCHDOG=trigger\n" };
        char *dir = temp_new(), detail[128];
        pid_t asked = 0;
        Watcher w;

        (void)state;
        watcher_init(&w);
        Heartbeat *h = by_socket_new(&w, dir, &asked);
        assert_false(heartbeat_judge(h, now_read().mono, detail, sizeof(detail)));
        assert_string_equal(detail, "there has been no beat yet");
        for (size_t i = 0; i < ELEMENTSOF(no_beats); i++)
                say(dir, no_beats[i]);
        watcher_drain(&w);
        assert_false(heartbeat_judge(h, now_read().mono, detail, sizeof(detail)));
        say(dir, "STATUS=fine\nWATCHDOG=1");
        usec_t before = now_read().mono;
        if (geteuid() == 0) {
                watcher_until(&w, heartbeat_judge(h, before, detail, sizeof(detail)));
                assert_string_equal(detail, "");
                assert_int_equal(asked, 0); /* root may always */
                assert_false(heartbeat_judge(h, now_read().mono + USEC_PER_MIN, detail, sizeof(detail)));
                assert_non_null(strstr(detail, "the last beat was 1min"));
        } else {
                watcher_until(&w, asked == getpid());
                assert_false(heartbeat_judge(h, before, detail, sizeof(detail)));
        }
        heartbeat_free(h);
        temp_remove(dir);
        watcher_deinit(&w);
}

/* What a killed unjamd left behind is replaced, and another's socket is not taken away. */
static void test_socket_file(void **state)
{
        char *dir = temp_new();
        struct stat st;
        pid_t asked;
        Watcher w;

        (void)state;
        watcher_init(&w);
        Heartbeat *old = by_socket_new(&w, dir, &asked), *fresh = by_socket_new(&w, dir, &asked);
        heartbeat_free(old);
        assert_int_equal(stat(in(dir, "heartbeat/imc"), &st), 0);
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0666);
        heartbeat_free(fresh);
        assert_int_equal(stat(in(dir, "heartbeat/imc"), &st), -1);
        temp_remove(dir);
        watcher_deinit(&w);
}

static bool alive(const Heartbeat *h, usec_t mono)
{
        char detail[128];

        return heartbeat_judge(h, mono, detail, sizeof(detail));
}

/* The file's time against the wall clock counts once; from then on only that it changes. */
static void test_file(void **state)
{
        const HeartbeatSpec spec = { .probe = &by_file };
        struct timespec t = { .tv_sec = 100, .tv_nsec = 0 };
        Heartbeat *h;

        (void)state;
        assert_int_equal(heartbeat_new(&h, &spec), 0);
        assert_false(heartbeat_listens(h));
        heartbeat_file(h, &t, &(Now){ .mono = 1000, .wall = 100 * USEC_PER_SEC + 12 });
        assert_true(alive(h, 1003)); /* 12 old at 1000 */
        assert_false(alive(h, 1004));
        heartbeat_file(h, &t,
                       &(Now){ .mono = 1010, .wall = 100 * USEC_PER_SEC }); /* the clock was set back */
        assert_false(alive(h, 1010));
        t.tv_nsec = 1;
        heartbeat_file(h, &t, &(Now){ .mono = 1020, .wall = USEC_PER_HOUR });
        assert_true(alive(h, 1035));
        assert_false(alive(h, 1036));
        heartbeat_free(h);

        /* Before the host booted. */
        assert_int_equal(heartbeat_new(&h, &spec), 0);
        heartbeat_file(h, &t, &(Now){ .mono = 5, .wall = USEC_PER_HOUR });
        assert_false(alive(h, 5));
        heartbeat_free(h);

        /* A time in the future is no older than now. */
        assert_int_equal(heartbeat_new(&h, &spec), 0);
        heartbeat_file(h, &t, &(Now){ .mono = 1000, .wall = 5 });
        assert_true(alive(h, 1015));
        assert_false(alive(h, 1016));
        heartbeat_free(h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_datagrams),
                cmocka_unit_test(test_socket_file),
                cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests_name("observe/heartbeat", tests, NULL, NULL);
}
