#pragma once

/*
 * A systemd of two units on a socket pair, for the test of observe/unit: it says what the test makes it say,
 * in the order in which systemd says it.
 */

#include "observe/systemd_signals.h"
#include "unit/observe_util.h"

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
        SystemdSignals *signals;
        Source *source;
        FakeUnit units[2];
        const char *job_type; /* NULL: the job has gone */
        unsigned subscribed, fetched;
} Fixture;

static char *names[] = { (char *)"imc.service", (char *)"imc-out.service", NULL };

static inline FakeUnit *unit_at(Fixture *f, const char *path)
{
        for (size_t i = 0; i < 2; i++)
                if (strcmp(f->units[i].path, path) == 0)
                        return &f->units[i];
        return NULL;
}

static inline void put(sd_bus_message *m, const char *name, const char *type, const void *value)
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

static inline void put_properties(sd_bus_message *m, const FakeUnit *u, const char *interface)
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

static inline int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
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

static inline void connect_bus(Fixture *f)
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

static inline void disconnect_bus(Fixture *f)
{
        sd_bus_detach_event(f->server);
        f->server = sd_bus_close_unref(f->server);
        watcher_drain(&f->w);
        sd_bus_detach_event(f->client);
        f->client = sd_bus_close_unref(f->client);
}

static inline int setup(void **state)
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
        assert_int_equal(systemd_signals_new(&f->signals, f->client, NULL), 0);
        *state = f;
        return 0;
}

static inline int teardown(void **state)
{
        Fixture *f = *state;

        source_free(f->source);
        systemd_signals_free(f->signals);
        if (f->server)
                disconnect_bus(f);
        watcher_deinit(&f->w);
        free(f);
        return 0;
}

/* systemd's order: the service's properties, then the unit's. */
static inline void emit_changed(Fixture *f, const FakeUnit *u)
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

static inline void emit_job(Fixture *f, FakeUnit *u, uint32_t id)
{
        u->job = id;
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "JobNew", "uos", id, "/job",
                                       u->name) >= 0);
}

static inline void emit_job_removed(Fixture *f, FakeUnit *u, const char *result)
{
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", u->job,
                                       "/job", u->name, result) >= 0);
        u->job = 0;
}

static inline void set_state(Fixture *f, FakeUnit *u, const char *active, const char *sub)
{
        u->active = active;
        u->sub = sub;
        u->main_pid = strcmp(active, "active") == 0 ? 100 : 0;
        if (strcmp(active, "active") == 0)
                u->code = u->status = 0;
        emit_changed(f, u);
}
