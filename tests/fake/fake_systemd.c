/* fake_systemd - see fake_systemd.h */
#include "base/text.h"
#include "fake/fake_systemd_unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"
#define UNIT         "org.freedesktop.systemd1.Unit"
#define SERVICE      "org.freedesktop.systemd1.Service"
#define UNIT_PREFIX  MANAGER_PATH "/unit"

/* A job that takes effect with the next turn of the loop. */
typedef struct Pending {
        FakeUnit *unit;
        uint32_t job;
        bool start;
        FakeJob how;
        sd_event_source *source;
        struct Pending *next;
} Pending;

struct FakeSystemd {
        sd_event *event;
        sd_bus *server, *client;
        FakeUnit **units;
        size_t n_units;
        uint32_t jobs;
        Pending *pending;
        char **calls;
        bool mute;
        const char *reload_error;
};

static int note(FakeSystemd *f, const char *method, const char *argument)
{
        char text[640];

        snprintf(text, sizeof(text), "%s%s%s", method, argument ? " " : "", argument ? argument : "");
        assert_int_equal(strv_append(&f->calls, text), 0);
        return f->mute;
}

static char *unit_path(const char *name)
{
        char *path = NULL;

        assert_true(sd_bus_path_encode(UNIT_PREFIX, name, &path) >= 0);
        return path;
}

void fake_systemd_changed(FakeUnit *u)
{
        char *path = unit_path(u->name);

        (void)sd_bus_emit_properties_changed(u->systemd->server, path, UNIT, "ActiveState", "SubState", NULL);
        (void)sd_bus_emit_properties_changed(u->systemd->server, path, SERVICE, "MainPID", NULL);
        free(path);
}

void fake_systemd_state(FakeUnit *u, const char *active, const char *sub)
{
        u->active_state = active;
        u->sub_state = sub;
        u->state_change++;
        fake_systemd_changed(u);
}

static void invocation_new(FakeUnit *u)
{
        u->has_invocation = true;
        for (size_t i = sizeof(u->invocation); i-- > 0;)
                if (++u->invocation[i] != 0)
                        break;
}

static void apply_start(FakeUnit *u, FakeJob how)
{
        switch (how) {
        case FAKE_JOB_DONE:
        case FAKE_JOB_LOST:
        case FAKE_JOB_EARLY:
                u->condition_result = 1;
                u->result = "success";
                invocation_new(u);
                if (u->on_start)
                        u->on_start(u, u->userdata);
                if (strcmp(u->type, "oneshot") == 0)
                        fake_systemd_state(u, "inactive", "dead");
                else
                        fake_systemd_state(u, "active", "running");
                break;
        case FAKE_JOB_FAILED:
        case FAKE_JOB_DIES:
                invocation_new(u);
                u->result = "exit-code";
                u->exec_main_code = 1;
                u->exec_main_status = 1;
                fake_systemd_state(u, "failed", "failed");
                break;
        case FAKE_JOB_ENDS:
                u->result = "success";
                fake_systemd_state(u, "inactive", "dead");
                break;
        case FAKE_JOB_SKIPPED:
                u->condition_result = 0;
                fake_systemd_state(u, "inactive", "dead");
                break;
        case FAKE_JOB_HANG:
        case FAKE_JOB_REFUSED:
                break;
        }
}

static void apply_stop(FakeUnit *u, FakeJob how)
{
        if (how == FAKE_JOB_HANG || how == FAKE_JOB_REFUSED)
                return;
        if (u->on_stop)
                u->on_stop(u, u->userdata);
        if (how == FAKE_JOB_FAILED) {
                u->result = "timeout";
                fake_systemd_state(u, "failed", "failed");
        } else {
                fake_systemd_state(u, "inactive", "dead");
        }
}

static void job_removed(FakeUnit *u, uint32_t job, FakeJob how)
{
        char path[64];

        fake_job_path(job, path);
        if (how != FAKE_JOB_LOST)
                (void)sd_bus_emit_signal(u->systemd->server, MANAGER_PATH, MANAGER, "JobRemoved", "uoss", job,
                                         path, u->name, how == FAKE_JOB_FAILED ? "failed" : "done");
}

static void pending_remove(FakeSystemd *f, Pending *p)
{
        for (Pending **at = &f->pending; *at; at = &(*at)->next)
                if (*at == p) {
                        *at = p->next;
                        break;
                }
        sd_event_source_disable_unref(p->source);
        free(p);
}

static void pending_apply(Pending *p, FakeJob how)
{
        FakeUnit *u = p->unit;

        u->job = 0;
        if (p->start)
                apply_start(u, how);
        else
                apply_stop(u, how);
        if (how != FAKE_JOB_EARLY)
                job_removed(u, p->job, how);
        pending_remove(u->systemd, p);
}

static int on_pending(sd_event_source *s, void *userdata)
{
        Pending *p = userdata;

        (void)s;
        pending_apply(p, p->how);
        return 0;
}

void fake_systemd_finish(FakeUnit *u, FakeJob how)
{
        for (Pending *p = u->systemd->pending; p; p = p->next)
                if (p->unit == u) {
                        pending_apply(p, how);
                        return;
                }
        fail_msg("no job of %s hangs", u->name);
}

/* A new job replaces the old one of the unit, which is then "canceled". */
static void job_cancel(FakeUnit *u)
{
        char path[64];

        for (Pending *p = u->systemd->pending; p; p = p->next) {
                if (p->unit != u)
                        continue;
                fake_job_path(p->job, path);
                (void)sd_bus_emit_signal(u->systemd->server, MANAGER_PATH, MANAGER, "JobRemoved", "uoss",
                                         p->job, path, u->name, "canceled");
                pending_remove(u->systemd, p);
                return;
        }
}

static int job_new(FakeUnit *u, bool start, sd_bus_message *m)
{
        FakeSystemd *f = u->systemd;
        FakeJob how = start ? u->start : u->stop;
        char path[64];

        if (how == FAKE_JOB_REFUSED)
                return sd_bus_reply_method_errorf(m, u->error, "%s was refused", u->name);
        job_cancel(u);
        Pending *p = calloc(1, sizeof(*p));
        assert_non_null(p);
        *p = (Pending){ .unit = u, .job = ++f->jobs, .start = start, .how = how, .next = f->pending };
        f->pending = p;
        u->job = p->job;
        fake_job_path(p->job, path);
        if (how == FAKE_JOB_EARLY)
                job_removed(u, p->job, how);
        fake_systemd_state(u, start ? "activating" : "deactivating", start ? "start" : "stop-sigterm");
        if (how != FAKE_JOB_HANG)
                assert_true(sd_event_add_defer(f->event, &p->source, on_pending, p) >= 0);
        return sd_bus_reply_method_return(m, "o", path);
}

static FakeUnit *unit_find(FakeSystemd *f, const char *name)
{
        for (size_t i = 0; i < f->n_units; i++)
                if (strcmp(f->units[i]->name, name) == 0)
                        return f->units[i];
        return NULL;
}

FakeUnit *fake_systemd_unit(FakeSystemd *f, const char *name)
{
        FakeUnit *u = unit_find(f, name);

        if (u)
                return u;
        u = calloc(1, sizeof(*u));
        f->units = reallocarray(f->units, f->n_units + 1, sizeof(FakeUnit *));
        assert_true(u && f->units && strlen(name) < sizeof(u->name));
        *u = (FakeUnit){
                .load_state = "loaded",
                .active_state = "inactive",
                .sub_state = "dead",
                .result = "success",
                .type = "simple",
                .unit_file_state = "enabled",
                .condition_result = 1,
                .assert_result = 1,
                .systemd = f,
        };
        strcpy(u->name, name);
        f->units[f->n_units++] = u;
        return u;
}

/* Methods of the manager */

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *mode;

        (void)error;
        assert_true(sd_bus_message_read(m, "ss", &name, &mode) >= 0);
        return note(userdata, "StartUnit", name) ? 1 : job_new(fake_systemd_unit(userdata, name), true, m);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *mode;

        (void)error;
        assert_true(sd_bus_message_read(m, "ss", &name, &mode) >= 0);
        return note(userdata, "StopUnit", name) ? 1 : job_new(fake_systemd_unit(userdata, name), false, m);
}

/* The names of all properties are logged behind the unit's. */
static int method_start_transient(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name, *mode, *property, *content;
        char text[512];

        (void)error;
        assert_true(sd_bus_message_read(m, "ss", &name, &mode) >= 0);
        snprintf(text, sizeof(text), "%s:", name);
        assert_true(sd_bus_message_enter_container(m, 'a', "(sv)") > 0);
        while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                char type;

                assert_true(sd_bus_message_read(m, "s", &property) >= 0);
                assert_true(sd_bus_message_peek_type(m, &type, &content) > 0);
                assert_true(sd_bus_message_skip(m, "v") >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                strncat(text, " ", sizeof(text) - strlen(text) - 1);
                strncat(text, property, sizeof(text) - strlen(text) - 1);
        }
        return note(userdata, "StartTransientUnit", text)
                       ? 1
                       : job_new(fake_systemd_unit(userdata, name), true, m);
}

static int method_load(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;

        (void)error;
        assert_true(sd_bus_message_read(m, "s", &name) >= 0);
        if (note(userdata, "LoadUnit", name))
                return 1;
        if (!unit_find(userdata, name))
                fake_systemd_unit(userdata, name)->load_state = "not-found";
        char *path = unit_path(name);
        int r = sd_bus_reply_method_return(m, "o", path);
        free(path);
        return r;
}

static int method_reset(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;

        (void)error;
        assert_true(sd_bus_message_read(m, "s", &name) >= 0);
        if (note(userdata, "ResetFailedUnit", name))
                return 1;
        FakeUnit *u = unit_find(userdata, name);
        if (!u)
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit",
                                                  "%s is not loaded", name);
        if (strcmp(u->active_state, "failed") == 0)
                fake_systemd_state(u, "inactive", "dead");
        return sd_bus_reply_method_return(m, NULL);
}

static int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)error;
        return note(userdata, "Subscribe", NULL) ? 1 : sd_bus_reply_method_return(m, NULL);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        FakeSystemd *f = userdata;

        (void)error;
        if (note(f, "Reload", NULL))
                return 1;
        if (f->reload_error)
                return sd_bus_reply_method_errorf(m, f->reload_error, "the reload was refused");
        for (size_t i = 0; i < f->n_units; i++)
                f->units[i]->need_daemon_reload = 0;
        return sd_bus_reply_method_return(m, NULL);
}

static int method_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        FakeSystemd *f = userdata;
        sd_bus_message *reply = NULL;

        (void)error;
        if (note(f, "ListUnits", NULL))
                return 1;
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_open_container(reply, 'a', "(ssssssouso)") >= 0);
        for (size_t i = 0; i < f->n_units; i++) {
                FakeUnit *u = f->units[i];
                char *path = unit_path(u->name);

                assert_true(sd_bus_message_append(reply, "(ssssssouso)", u->name, "", u->load_state,
                                                  u->active_state, u->sub_state, "", path, u->job, "",
                                                  "/") >= 0);
                free(path);
        }
        assert_true(sd_bus_message_close_container(reply) >= 0);
        int r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("StartUnit", "ss", "o", method_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopUnit", "ss", "o", method_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", method_start_transient,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("LoadUnit", "s", "o", method_load, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetUnit", "s", "o", method_load, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ResetFailedUnit", "s", "", method_reset, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", "", "", method_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reload", "", "", method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ListUnits", "", "a(ssssssouso)", method_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
        SD_BUS_VTABLE_END,
};

static int find_unit(sd_bus *bus, const char *path, const char *interface, void *userdata, void **found,
                     sd_bus_error *error)
{
        char *name = NULL;

        (void)bus, (void)interface, (void)error;
        if (sd_bus_path_decode(path, UNIT_PREFIX, &name) <= 0)
                return 0;
        *found = unit_find(userdata, name);
        free(name);
        return *found ? 1 : 0;
}

static const sd_bus_vtable job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("State", "s", NULL, offsetof(FakeUnit, sub_state), 0),
        SD_BUS_VTABLE_END,
};

static int find_job(sd_bus *bus, const char *path, const char *interface, void *userdata, void **found,
                    sd_bus_error *error)
{
        FakeSystemd *f = userdata;
        char object[64];

        (void)bus, (void)interface, (void)error;
        for (size_t i = 0; i < f->n_units; i++) {
                fake_job_path(f->units[i]->job, object);
                if (f->units[i]->job != 0 && strcmp(path, object) == 0) {
                        *found = f->units[i];
                        return 1;
                }
        }
        return 0;
}

/* The object */

FakeSystemd *fake_systemd_new(sd_event *event)
{
        FakeSystemd *f = calloc(1, sizeof(*f));
        sd_id128_t id;
        int fds[2];

        assert_non_null(f);
        f->event = sd_event_ref(event);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_true(sd_id128_randomize(&id) >= 0);
        assert_true(sd_bus_new(&f->server) >= 0 && sd_bus_set_fd(f->server, fds[0], fds[0]) >= 0 &&
                    sd_bus_set_server(f->server, 1, id) >= 0 && sd_bus_set_anonymous(f->server, 1) >= 0);
        assert_true(sd_bus_add_object_vtable(f->server, NULL, MANAGER_PATH, MANAGER, manager_vtable, f) >= 0);
        assert_true(sd_bus_add_fallback_vtable(f->server, NULL, UNIT_PREFIX, UNIT, fake_unit_vtable,
                                               find_unit, f) >= 0);
        assert_true(sd_bus_add_fallback_vtable(f->server, NULL, UNIT_PREFIX, SERVICE, fake_service_vtable,
                                               find_unit, f) >= 0);
        assert_true(sd_bus_add_fallback_vtable(f->server, NULL, FAKE_JOB_PREFIX,
                                               "org.freedesktop.systemd1.Job", job_vtable, find_job, f) >= 0);
        assert_true(sd_bus_start(f->server) >= 0 && sd_bus_attach_event(f->server, event, 0) >= 0);

        assert_true(sd_bus_new(&f->client) >= 0 && sd_bus_set_fd(f->client, fds[1], fds[1]) >= 0 &&
                    sd_bus_start(f->client) >= 0 && sd_bus_attach_event(f->client, event, 0) >= 0);
        return f;
}

FakeSystemd *fake_systemd_free(FakeSystemd *f)
{
        if (!f)
                return NULL;
        while (f->pending)
                pending_remove(f, f->pending);
        sd_bus_close_unref(f->client);
        sd_bus_close_unref(f->server);
        for (size_t i = 0; i < f->n_units; i++)
                free(f->units[i]);
        free(f->units);
        strv_free(f->calls);
        sd_event_unref(f->event);
        free(f);
        return NULL;
}

sd_bus *fake_systemd_bus(FakeSystemd *f)
{
        return f->client;
}

static bool begins(const char *text, const char *call)
{
        size_t len = strlen(call);

        return strncmp(text, call, len) == 0 && (text[len] == '\0' || text[len] == ' ' || text[len] == ':');
}

unsigned fake_systemd_calls(const FakeSystemd *f, const char *call)
{
        unsigned n = 0;

        for (char **c = f->calls; c && *c; c++)
                n += begins(*c, call);
        return n;
}

int fake_systemd_call_index(const FakeSystemd *f, const char *call)
{
        for (char **c = f->calls; c && *c; c++)
                if (begins(*c, call))
                        return (int)(c - f->calls);
        return -1;
}

void fake_systemd_forget_calls(FakeSystemd *f)
{
        f->calls = strv_free(f->calls);
}

void fake_systemd_mute(FakeSystemd *f)
{
        f->mute = true;
}

void fake_systemd_disconnect(FakeSystemd *f)
{
        sd_bus_close(f->server);
}

void fake_systemd_fail_reload(FakeSystemd *f, const char *error)
{
        f->reload_error = error;
}
