/* systemd_signals - several listeners on one connection, against a systemd of our own on a socket pair */
#include "observe/systemd_signals.h"

#include "unit/observe_units.h"

typedef struct Heard {
        SignalListener listener;
        unsigned connected, lost, new, removed, files;
        uint32_t id;
        char unit[32], result[32];
        SignalListener *leaves; /* when a job is new: that one goes */
} Heard;

static void on_connected(void *userdata)
{
        ((Heard *)userdata)->connected++;
}

static void on_lost(void *userdata)
{
        ((Heard *)userdata)->lost++;
}

static void on_new(void *userdata, const char *unit, uint32_t id, const char *path)
{
        Heard *h = userdata;

        assert_string_equal(path, "/job");
        h->new ++;
        h->id = id;
        snprintf(h->unit, sizeof(h->unit), "%s", unit);
        if (h->leaves)
                systemd_signals_leave(h->leaves);
}

static void on_removed(void *userdata, uint32_t id, const char *result)
{
        Heard *h = userdata;

        h->removed++;
        assert_int_equal(id, h->id);
        snprintf(h->result, sizeof(h->result), "%s", result);
}

static void on_files(void *userdata)
{
        ((Heard *)userdata)->files++;
}

static void listen_as(Fixture *f, Heard *h)
{
        *h = (Heard){ .listener = { .userdata = h,
                                    .connected = on_connected,
                                    .lost = on_lost,
                                    .job_new = on_new,
                                    .job_removed = on_removed,
                                    .files = on_files } };
        assert_int_equal(systemd_signals_listen(f->signals, &h->listener), 0);
}

static void files_change(Fixture *f)
{
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "UnitFilesChanged", NULL) >= 0);
}

static void test_all_hear(void **state)
{
        Fixture *f = *state;
        Heard a, b;

        listen_as(f, &a);
        listen_as(f, &b);
        emit_job(f, &f->units[0], 7);
        emit_job_removed(f, &f->units[0], "done");
        files_change(f);
        watcher_until(&f->w, a.files == 1 && b.files == 1);
        assert_int_equal(f->subscribed, 1);
        assert_true(a.new == 1 && b.new == 1 && a.removed == 1 && b.removed == 1);
        assert_string_equal(a.unit, "imc.service");
        assert_string_equal(b.result, "done");
        assert_int_equal(a.connected + a.lost, 0);
        systemd_signals_leave(&a.listener);
        systemd_signals_leave(&a.listener);
        files_change(f);
        watcher_until(&f->w, b.files == 2);
        assert_int_equal(a.files, 1);
        systemd_signals_leave(&b.listener);
}

/* Whoever is told may go, and may take others along that were not told yet. */
static void test_leaving_while_told(void **state)
{
        Fixture *f = *state;
        Heard a, b, c;

        listen_as(f, &a);
        listen_as(f, &b);
        listen_as(f, &c);
        c.leaves = &b.listener; /* the last to come is told first */
        b.leaves = &c.listener;
        emit_job(f, &f->units[0], 7);
        watcher_until(&f->w, a.new == 1);
        assert_int_equal(b.new + c.new, 1);
        systemd_signals_leave(&a.listener);
        systemd_signals_leave(&b.listener);
        systemd_signals_leave(&c.listener);
}

static void test_lost_and_found(void **state)
{
        Fixture *f = *state;
        Heard a;

        listen_as(f, &a);
        watcher_until(&f->w, f->subscribed == 1);
        disconnect_bus(f);
        assert_int_equal(a.lost, 1);
        assert_null(systemd_signals_bus(f->signals));
        connect_bus(f);
        assert_int_equal(systemd_signals_set_bus(f->signals, f->client), 0);
        assert_int_equal(a.connected, 1);
        assert_ptr_equal(systemd_signals_bus(f->signals), f->client);
        emit_job(f, &f->units[0], 8);
        watcher_until(&f->w, a.new == 1);
        assert_int_equal(f->subscribed, 2);
        systemd_signals_leave(&a.listener);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_all_hear),
                TEST(test_leaving_while_told),
                TEST(test_lost_and_found),
        };

        return cmocka_run_group_tests_name("observe/systemd_signals", tests, NULL, NULL);
}
