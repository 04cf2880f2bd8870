/*
 * unit - against a systemd of our own on a socket pair: states, who stopped it, restarts, several units, a
 * lost connection. The server speaks for two units and answers as systemd does, jobs that vanish at once
 * included.
 */
#include "observe/unit.h"

#include "unit/observe_util.h"

#include <signal.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

typedef struct FakeUnit {
        const char *name, *path;
        const char *active, *sub, *load, *file, *type, *result;
        uint8_t invocation[16];
        uint32_t job, n_restarts, main_pid;
        int32_t code, status;
        bool condition;
        uint64_t condition_time;
} FakeUnit;

typedef struct Fixture {
        Watcher w;
        sd_bus *server, *client;
        Source *source;
        FakeUnit units[2];
        const char *job_type; /* NULL: the job has gone */
        unsigned subscribed, fetched;
} Fixture;

static char *names[] = { (char *)"imc.service", (char *)"imc-out.service", NULL };

static FakeUnit *unit_at(Fixture *f, const char *path)
{
        for (size_t i = 0; i < 2; i++)
                if (strcmp(f->units[i].path, path) == 0)
                        return &f->units[i];
        return NULL;
}

static void put(sd_bus_message *m, const char *name, const char *type, const void *value)
{
        assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        assert_true(sd_bus_message_append_basic(m, 's', name) >= 0);
        assert_true(sd_bus_message_open_container(m, 'v', type) >= 0);
        if (strcmp(type, "ay") == 0)
                assert_true(sd_bus_message_append_array(m, 'y', value, 16) >= 0);
        else
                assert_true(sd_bus_message_append_basic(m, type[0], value) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
}

static void put_properties(sd_bus_message *m, const FakeUnit *u, const char *interface)
{
        int condition = u->condition;

        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        if (strcmp(interface, "org.freedesktop.systemd1.Unit") == 0) {
                put(m, "Id", "s", u->name);
                put(m, "ActiveState", "s", u->active);
                put(m, "SubState", "s", u->sub);
                put(m, "LoadState", "s", u->load);
                put(m, "UnitFileState", "s", u->file);
                put(m, "InvocationID", "ay", u->invocation);
                put(m, "ConditionResult", "b", &condition);
                put(m, "ConditionTimestampMonotonic", "t", &u->condition_time);
                put(m, "Unheard", "s", "of");
                assert_true(sd_bus_message_append(m, "{sv}", "Job", "(uo)", u->job, u->job ? "/job" : "/") >=
                            0);
        } else {
                put(m, "Type", "s", u->type);
                put(m, "Result", "s", u->result);
                put(m, "NRestarts", "u", &u->n_restarts);
                put(m, "MainPID", "u", &u->main_pid);
                put(m, "ExecMainCode", "i", &u->code);
                put(m, "ExecMainStatus", "i", &u->status);
        }
        assert_true(sd_bus_message_close_container(m) >= 0);
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *a, *b, *member = sd_bus_message_get_member(m);

        (void)error;
        if (sd_bus_message_is_method_call(m, "org.freedesktop.systemd1.Manager", "Subscribe")) {
                f->subscribed++;
                return sd_bus_reply_method_return(m, NULL);
        }
        if (sd_bus_message_is_method_call(m, "org.freedesktop.systemd1.Manager", "LoadUnit")) {
                assert_true(sd_bus_message_read(m, "s", &a) >= 0);
                for (size_t i = 0; i < 2; i++)
                        if (strcmp(f->units[i].name, a) == 0)
                                return sd_bus_reply_method_return(m, "o", f->units[i].path);
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit", "no");
        }
        if (member && strcmp(member, "Get") == 0) {
                assert_true(sd_bus_message_read(m, "ss", &a, &b) >= 0);
                assert_string_equal(b, "JobType");
                if (!f->job_type)
                        return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "gone");
                return sd_bus_reply_method_return(m, "v", "s", f->job_type);
        }
        if (member && strcmp(member, "GetAll") == 0) {
                assert_true(sd_bus_message_read(m, "s", &a) >= 0);
                f->fetched++;
                assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
                put_properties(reply, unit_at(f, sd_bus_message_get_path(m)), a);
                return sd_bus_send(NULL, reply, NULL);
        }
        return 0;
}

static void connect_bus(Fixture *f)
{
        sd_id128_t id;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(sd_id128_randomize(&id), 0);
        assert_true(sd_bus_new(&f->server) >= 0 && sd_bus_new(&f->client) >= 0);
        assert_true(sd_bus_set_fd(f->server, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_set_server(f->server, 1, id) >= 0);
        assert_true(sd_bus_set_anonymous(f->server, 1) >= 0);
        assert_true(sd_bus_add_filter(f->server, NULL, on_call, f) >= 0);
        assert_true(sd_bus_start(f->server) >= 0);
        assert_true(sd_bus_set_fd(f->client, fds[1], fds[1]) >= 0);
        assert_true(sd_bus_start(f->client) >= 0);
        assert_true(sd_bus_attach_event(f->server, f->w.event, 0) >= 0);
        assert_true(sd_bus_attach_event(f->client, f->w.event, 0) >= 0);
}

static void disconnect_bus(Fixture *f)
{
        sd_bus_detach_event(f->server);
        f->server = sd_bus_close_unref(f->server);
        watcher_drain(&f->w);
        sd_bus_detach_event(f->client);
        f->client = sd_bus_close_unref(f->client);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        for (size_t i = 0; i < 2; i++)
                f->units[i] = (FakeUnit){
                        .name = names[i],
                        .path = i == 0 ? "/org/freedesktop/systemd1/unit/imc_2eservice"
                                       : "/org/freedesktop/systemd1/unit/imc_2dout_2eservice",
                        .active = "active",
                        .sub = "running",
                        .load = "loaded",
                        .file = "enabled",
                        .type = "simple",
                        .result = "success",
                        .invocation = { (uint8_t)(i + 1) },
                        .main_pid = 100 + (uint32_t)i,
                        .condition = true,
                        .condition_time = 1,
                };
        connect_bus(f);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        source_free(f->source);
        if (f->server)
                disconnect_bus(f);
        watcher_deinit(&f->w);
        free(f);
        return 0;
}

/* systemd's order: the service's properties, then the unit's. */
static void emit_changed(Fixture *f, const FakeUnit *u)
{
        static const char *const interfaces[] = { "org.freedesktop.systemd1.Service",
                                                  "org.freedesktop.systemd1.Unit" };

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                assert_true(sd_bus_message_new_signal(f->server, &m, u->path,
                                                      "org.freedesktop.DBus.Properties",
                                                      "PropertiesChanged") >= 0);
                assert_true(sd_bus_message_append_basic(m, 's', interfaces[i]) >= 0);
                put_properties(m, u, interfaces[i]);
                assert_true(sd_bus_message_append(m, "as", 0) >= 0);
                assert_true(sd_bus_send(f->server, m, NULL) >= 0);
        }
}

static void emit_job(Fixture *f, FakeUnit *u, uint32_t id)
{
        u->job = id;
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "JobNew", "uos", id, "/job",
                                       u->name) >= 0);
}

static void emit_job_removed(Fixture *f, FakeUnit *u, const char *result)
{
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", u->job,
                                       "/job", u->name, result) >= 0);
        u->job = 0;
}

static void set_state(Fixture *f, FakeUnit *u, const char *active, const char *sub)
{
        u->active = active;
        u->sub = sub;
        u->main_pid = strcmp(active, "active") == 0 ? 100 : 0;
        if (strcmp(active, "active") == 0)
                u->code = u->status = 0;
        emit_changed(f, u);
}

static void start(Fixture *f, size_t n)
{
        static char *one[] = { (char *)"imc.service", NULL };

        f->w.settings.units = n == 1 ? one : names;
        assert_int_equal(unit_source_new(&f->source, &f->w.context, NULL, f->client, NULL), 0);
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(f->subscribed, 1);
}

static const ServiceStatus *last(const Fixture *f)
{
        return &watcher_last(&f->w)->o.service;
}

static void test_running_then_crash(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        assert_int_equal(last(f)->main_pid, 100);
        assert_string_equal(watcher_last(&f->w)->invocation, "01000000000000000000000000000000");
        u->code = CLD_DUMPED;
        u->status = SIGSEGV;
        u->result = "core-dump";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_true(last(f)->exited && last(f)->core);
        assert_int_equal(last(f)->signal, SIGSEGV);
        assert_int_equal(last(f)->exit_code, 0);
        assert_string_equal(watcher_last(&f->w)->text, "core-dump");
        assert_false(last(f)->operator_stop);
        /* The same again is no news; a refresh asks for it all the same. */
        size_t n = f->w.n;
        emit_changed(f, u);
        watcher_drain(&f->w);
        assert_int_equal(f->w.n, n);
        assert_int_equal(source_refresh(f->source), 0);
        watcher_until(&f->w, f->w.n == n + 1);
        assert_true(watcher_last_run(&f->w, RUN_FAILED));
}

static void test_exit_zero(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        u->code = CLD_EXITED;
        set_state(f, u, "inactive", "dead");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_true(last(f)->exited);
        assert_int_equal(last(f)->exit_code, 0);
        assert_string_equal(watcher_last(&f->w)->text, "success");
        assert_false(last(f)->operator_stop);
}

static void test_operator_stop(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        for (unsigned round = 0; round < 2; round++) {
                f->job_type = round == 0 ? "stop" : NULL; /* gone before it could be asked for */
                if (round == 0) {
                        start(f, 1);
                } else {
                        set_state(f, u, "active", "running");
                        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
                        assert_false(last(f)->operator_stop);
                }
                emit_job(f, u, 7 + round);
                if (round == 0)
                        watcher_until(&f->w, last(f)->operator_stop); /* already while it is under way */
                set_state(f, u, "deactivating", "stop-sigterm");
                u->code = CLD_KILLED;
                u->status = SIGTERM;
                set_state(f, u, "inactive", "dead");
                emit_job_removed(f, u, "done");
                watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED) && last(f)->operator_stop);
        }
}

/* A stop that took a SIGKILL leaves the unit failed; it was asked for all the same. */
static void test_operator_stop_timeout(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "stop";
        start(f, 1);
        emit_job(f, u, 7);
        watcher_drain(&f->w);
        u->result = "timeout";
        set_state(f, u, "failed", "failed");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_true(last(f)->operator_stop);
        assert_string_equal(watcher_last(&f->w)->text, "timeout");
}

static void test_our_stop_and_start(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "stop";
        start(f, 1);
        source_expect(f->source, true, NULL);
        emit_job(f, u, 7);
        set_state(f, u, "deactivating", "stop-sigterm");
        set_state(f, u, "inactive", "dead");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(last(f)->operator_stop);

        source_expect(f->source, true, NULL);
        f->job_type = "start";
        emit_job(f, u, 8);
        u->invocation[0] = 9;
        set_state(f, u, "activating", "start");
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_false(last(f)->started_by_other);
        source_expect(f->source, false, "09000000000000000000000000000000");
        watcher_drain(&f->w);
        assert_false(last(f)->started_by_other);

        /* Somebody else restarts it. */
        u->invocation[0] = 10;
        emit_changed(f, u);
        watcher_until(&f->w, last(f)->started_by_other);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
}

/*
 * A restart by an operator, as a real systemd tells it: when the kind of the job is asked for it is "start"
 * already, and the new run has its name while the unit is still down.
 */
static void test_operator_restart(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        f->job_type = "start";
        start(f, 1);
        emit_job(f, u, 7);
        watcher_drain(&f->w);
        u->code = CLD_KILLED;
        u->status = SIGTERM;
        set_state(f, u, "inactive", "dead");
        u->invocation[0] = 9;
        emit_changed(f, u);
        u->code = 0;
        u->main_pid = 101;
        emit_changed(f, u);
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        emit_changed(f, u);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING) && last(f)->started_by_other &&
                                     !last(f)->operator_stop);
        for (size_t i = 0; i < f->w.n; i++)
                assert_int_not_equal(f->w.seen[i].o.service.run, RUN_FAILED);
}

/* systemctl stop on a unit that has failed: the operator wants it down. */
static void test_operator_stop_of_failed(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        u->code = CLD_EXITED;
        u->status = 1;
        u->result = "exit-code";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        f->job_type = NULL;
        emit_job(f, u, 7);
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_true(last(f)->operator_stop);
        assert_int_equal(last(f)->exit_code, 1);

        /* reset-failed makes systemd forget how it ended; we do not, and it is no news. */
        size_t n = f->w.n;
        u->result = "success";
        u->code = u->status = 0;
        set_state(f, u, "inactive", "dead");
        watcher_drain(&f->w);
        assert_int_equal(f->w.n, n);
}

static void test_start_of_failed(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        size_t n = f->w.n;
        f->job_type = "start";
        emit_job(f, u, 7);
        u->invocation[0] = 9;
        emit_changed(f, u);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STARTING));
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        for (size_t i = n; i < f->w.n; i++)
                assert_int_not_equal(f->w.seen[i].o.service.run, RUN_FAILED);
}

/* The kill ladder works without jobs; a start of ours that dies is a failure though it happens on our watch.
 */
static void test_our_kill(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        source_expect(f->source, true, NULL);
        u->code = CLD_KILLED;
        u->status = SIGKILL;
        u->result = "signal";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STOPPED));
        assert_false(last(f)->operator_stop);

        source_expect(f->source, true, NULL);
        u->invocation[0] = 9;
        set_state(f, u, "activating", "start");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_STARTING));
        u->code = CLD_EXITED;
        u->status = 75;
        u->result = "exit-code";
        set_state(f, u, "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(last(f)->exit_code, 75);
}

static void test_automatic_restart(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        u->code = CLD_KILLED;
        u->status = SIGSEGV;
        u->result = "signal";
        set_state(f, u, "activating", "auto-restart");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RESTARTING));
        assert_true(last(f)->exited);
        assert_int_equal(last(f)->signal, SIGSEGV);
        /* The restart counts before it has a name, and its job is nobody's stop. */
        size_t n = f->w.n;
        f->job_type = "restart";
        u->n_restarts = 1;
        emit_job(f, u, 7);
        emit_changed(f, u);
        u->invocation[0] = 3;
        u->result = "success";
        u->active = "failed";
        u->sub = "failed";
        emit_changed(f, u);
        set_state(f, u, "active", "running");
        emit_job_removed(f, u, "done");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        for (size_t i = n; i < f->w.n; i++) {
                assert_int_not_equal(f->w.seen[i].o.service.run, RUN_FAILED);
                assert_false(f->w.seen[i].o.service.operator_stop);
        }
        assert_int_equal(last(f)->n_restarts, 1);
        assert_false(last(f)->started_by_other);
        assert_false(last(f)->exited);
}

static void test_wrappers(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        u->type = "oneshot";
        u->sub = "exited";
        start(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        /* A SysV script's daemon that is gone is no wrapper. */
        u->type = "forking";
        set_state(f, u, "active", "exited");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_string_equal(watcher_last(&f->w)->text, "no-processes");
}

static void test_several_units(void **state)
{
        Fixture *f = *state;

        start(f, 2);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
        assert_string_equal(watcher_last(&f->w)->invocation,
                            "01000000000000000000000000000000+02000000000000000000000000000000");
        f->units[1].code = CLD_EXITED;
        f->units[1].status = 1;
        f->units[1].result = "exit-code";
        f->units[0].n_restarts = 2;
        emit_changed(f, &f->units[0]);
        set_state(f, &f->units[1], "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
        assert_int_equal(last(f)->exit_code, 1);
        assert_int_equal(last(f)->n_restarts, 2);
        assert_string_equal(watcher_last(&f->w)->text, "exit-code");
}

static void test_masked(void **state)
{
        Fixture *f = *state;
        FakeUnit *u = &f->units[0];

        start(f, 1);
        assert_false(last(f)->masked);
        u->file = "masked-runtime";
        /* A mask changes no property that is signalled: only that unit files have changed. */
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "UnitFilesChanged", NULL) >= 0);
        watcher_until(&f->w, last(f)->masked);
        assert_true(watcher_last_run(&f->w, RUN_RUNNING));
}

static void test_never_ran(void **state)
{
        Fixture *f = *state;

        f->units[0].active = "inactive";
        f->units[0].sub = "dead";
        f->units[0].condition = false;
        f->units[0].main_pid = 0;
        memset(f->units[0].invocation, 0, 16);
        start(f, 1);
        assert_true(watcher_last_run(&f->w, RUN_STOPPED));
        assert_string_equal(watcher_last(&f->w)->text, "condition");
        assert_false(last(f)->operator_stop);
        assert_string_equal(watcher_last(&f->w)->invocation, "");
}

static void test_lost_connection(void **state)
{
        Fixture *f = *state;

        start(f, 1);
        disconnect_bus(f);
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        assert_false(unit_source_is_connected(f->source));
        (void)source_refresh(f->source);
        watcher_drain(&f->w);
        assert_true(watcher_last_run(&f->w, RUN_UNKNOWN));
        connect_bus(f);
        assert_int_equal(unit_source_set_bus(f->source, f->client), 0);
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_RUNNING));
        assert_true(unit_source_is_connected(f->source));
        assert_int_equal(f->subscribed, 2);
        /* And it follows again. */
        set_state(f, &f->units[0], "failed", "failed");
        watcher_until(&f->w, watcher_last_run(&f->w, RUN_FAILED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_running_then_crash), TEST(test_exit_zero),
                TEST(test_operator_stop),      TEST(test_operator_stop_timeout),
                TEST(test_our_stop_and_start), TEST(test_our_kill),
                TEST(test_automatic_restart),  TEST(test_wrappers),
                TEST(test_several_units),      TEST(test_masked),
                TEST(test_never_ran),          TEST(test_lost_connection),
                TEST(test_operator_restart),   TEST(test_operator_stop_of_failed),
                TEST(test_start_of_failed),
        };

        return cmocka_run_group_tests_name("observe/unit", tests, NULL, NULL);
}
