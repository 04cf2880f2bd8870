/* probe_heartbeat - attempts against a real file and a real socket. */
#include "observe/probe.h"

#include "unit/observe_util.h"

#include <sys/socket.h>
#include <sys/un.h>

static Source *source_new(Watcher *w, ProbeSettings *probe, const char *run_dir)
{
        const ProbeSpec spec = { .run_dir = run_dir };
        Source *source;

        w->settings.probes = probe;
        w->settings.n_probes = 1;
        assert_int_equal(probe_source_new(&source, &w->context, &spec), 0);
        assert_int_equal(source_start(source), 0);
        return source;
}

static void test_file(void **state)
{
        char *dir = temp_new(), path[64];
        ProbeSettings probe = {
                .kind = PROBE_HEARTBEAT, .path = path, .interval = USEC_PER_HOUR, .timeout = 5 * USEC_PER_SEC
        };
        struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
        Watcher w;

        (void)state;
        watcher_init(&w);
        snprintf(path, sizeof(path), "%s/alive", dir);
        Source *source = source_new(&w, &probe, dir);
        watcher_until(&w, w.n == 1);
        assert_false(w.seen[0].o.probe.ok);
        assert_string_equal(w.seen[0].text, "the file cannot be looked at: No such file or directory");
        file_make(path, "");
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        source_refresh(source);
        watcher_until(&w, w.n == 2);
        assert_false(w.seen[1].o.probe.ok);
        assert_non_null(strstr(w.seen[1].text, "there has been no beat yet"));
        assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
        source_refresh(source);
        watcher_until(&w, w.n == 3);
        assert_true(w.seen[2].o.probe.ok);
        /* Freed while the worker looks. */
        source_refresh(source);
        watcher_turn(&w, 0);
        source_free(source);
        watcher_drain(&w);
        temp_remove(dir);
        watcher_deinit(&w);
}

static void test_socket(void **state)
{
        char *dir = temp_new();
        ProbeSettings probe = { .kind = PROBE_HEARTBEAT,
                                .interval = USEC_PER_HOUR,
                                .timeout = 5 * USEC_PER_SEC };
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        Watcher w;

        (void)state;
        if (geteuid() != 0)
                skip(); /* nobody says which processes belong to the service */
        watcher_init(&w);
        Source *source = source_new(&w, &probe, dir);
        watcher_until(&w, w.n == 1);
        assert_false(w.seen[0].o.probe.ok);
        assert_string_equal(w.seen[0].text, "there has been no beat yet");
        snprintf(to.sun_path, sizeof(to.sun_path), "%s/heartbeat/imc", dir);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(sendto(fd, "WATCHDOG=1\n", 11, 0, (struct sockaddr *)&to, sizeof(to)), 11);
        close(fd);
        watcher_drain(&w);
        source_refresh(source);
        watcher_until(&w, w.n == 2);
        assert_true(w.seen[1].o.probe.ok);
        source_free(source);
        temp_remove(dir);
        watcher_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_socket),
        };

        return cmocka_run_group_tests_name("observe/probe_heartbeat", tests, NULL, NULL);
}
