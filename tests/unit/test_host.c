/*
 * host - shutdown as systemd announces it, on a socket pair. A jump of the clock can't be made without harm
 * to the host the test runs on; that the watch for it is accepted by the kernel is all that is seen of it
 * here.
 */
#include "observe/host.h"

#include "unit/observe_util.h"

#include <sys/socket.h>
#include <systemd/sd-id128.h>

typedef struct Fixture {
        Watcher w;
        sd_bus *server, *client;
        SystemdSignals *signals;
        Source *source;
        const char *system_state;
        unsigned asked;
} Fixture;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;

        (void)error;
        if (sd_bus_message_is_method_call(m, "org.freedesktop.systemd1.Manager", "Subscribe"))
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.AlreadySubscribed", "already");
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get")) {
                f->asked++;
                return sd_bus_reply_method_return(m, "v", "s", f->system_state);
        }
        return 0;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));
        sd_id128_t id;
        int fds[2];

        watcher_init(&f->w);
        f->system_state = "running";
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(sd_id128_randomize(&id), 0);
        assert_true(sd_bus_new(&f->server) >= 0 && sd_bus_new(&f->client) >= 0);
        assert_true(sd_bus_set_fd(f->server, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_set_server(f->server, 1, id) >= 0 && sd_bus_set_anonymous(f->server, 1) >= 0);
        assert_true(sd_bus_add_filter(f->server, NULL, on_call, f) >= 0);
        assert_true(sd_bus_set_fd(f->client, fds[1], fds[1]) >= 0);
        assert_true(sd_bus_start(f->server) >= 0 && sd_bus_start(f->client) >= 0);
        assert_true(sd_bus_attach_event(f->server, f->w.event, 0) >= 0);
        assert_true(sd_bus_attach_event(f->client, f->w.event, 0) >= 0);
        assert_int_equal(systemd_signals_new(&f->signals, f->client, NULL), 0);
        assert_int_equal(host_source_new(&f->source, &f->w.context, f->signals), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        source_free(f->source);
        systemd_signals_free(f->signals);
        sd_bus_detach_event(f->server);
        sd_bus_detach_event(f->client);
        sd_bus_close_unref(f->server);
        sd_bus_close_unref(f->client);
        watcher_deinit(&f->w);
        free(f);
        return 0;
}

static void job(Fixture *f, const char *unit, const char *result)
{
        if (result)
                assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                               "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 5,
                                               "/job/5", unit, result) >= 0);
        else
                assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                               "org.freedesktop.systemd1.Manager", "JobNew", "uos", 5,
                                               "/job/5", unit) >= 0);
}

static void test_shutdown_job(void **state)
{
        Fixture *f = *state;

        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, f->asked == 1);
        job(f, "imc.service", NULL);
        watcher_drain(&f->w);
        assert_int_equal(f->w.n, 0);
        job(f, "shutdown.target", NULL);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(watcher_last(&f->w)->o.kind, OBSERVATION_HOST);
        assert_true(watcher_last(&f->w)->o.host.shutdown);
        assert_false(watcher_last(&f->w)->o.host.clock_jump);
        /* Called off. */
        job(f, "shutdown.target", "canceled");
        watcher_until(&f->w, f->w.n == 2);
        assert_false(watcher_last(&f->w)->o.host.shutdown);
}

static void test_stopping_already(void **state)
{
        Fixture *f = *state;

        f->system_state = "stopping";
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, f->w.n == 1);
        assert_true(watcher_last(&f->w)->o.host.shutdown);
        assert_int_equal(source_refresh(f->source), 0);
        assert_int_equal(f->w.n, 2);
}

static void test_without_bus(void **state)
{
        Fixture *f = *state;

        assert_int_equal(systemd_signals_set_bus(f->signals, NULL), 0);
        assert_int_equal(source_start(f->source), 0);
        watcher_drain(&f->w);
        assert_int_equal(f->w.n, 0);
        assert_int_equal(systemd_signals_set_bus(f->signals, f->client), 0);
        job(f, "shutdown.target", NULL);
        watcher_until(&f->w, f->w.n == 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_shutdown_job),
                TEST(test_stopping_already),
                TEST(test_without_bus),
        };

        return cmocka_run_group_tests_name("observe/host", tests, NULL, NULL);
}
