/*
 * manager_reload - daemon-reload, unless that is somebody else's to make
 *
 * Used by manager_guard. A reload makes systemd read all unit files, also one that an administrator is in the
 * middle of changing; so first every loaded unit is asked whether it waits for a reload (NeedDaemonReload).
 * Devices and scopes have no files. A few questions are under way at a time: a host has some hundreds of
 * units, and each question costs systemd a few stat calls.
 *
 * Diagnostics: a unit that cannot be asked (it was unloaded meanwhile) does not wait. Tests:
 * tests/integration/test_manager_guard.c.
 */
#include "act/manager_unit.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define QUESTIONS_MAX  32
#define RELOAD_TIMEOUT (90 * USEC_PER_SEC)

typedef struct Question {
        UnitReload *reload;
        char *name;
        char *path;
        sd_bus_slot *slot; /* under way */
} Question;

struct UnitReload {
        SystemdBus bus;
        UnitReloaded done;
        void *userdata;
        char **ours;
        bool make;
        Question *questions;
        size_t n, asked, answered;
        sd_bus_slot *slot;
};

static void reload_fail(UnitReload *r, int error)
{
        BusFailure failure = { .name = "", .message = strerrordesc_np(-error) };

        r->done(r->userdata, NULL, &failure);
}

static int on_reloaded(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        UnitReload *r = userdata;
        BusFailure failure;

        (void)error;
        bool failed = bus_reply_failed(reply, &failure);
        r->done(r->userdata, NULL, failed ? &failure : NULL); /* @r may be gone now */
        return 0;
}

static int reload_call(UnitReload *r)
{
        sd_bus_message *call = NULL;

        int e = sd_bus_message_new_method_call(r->bus.bus, &call, r->bus.destination, SYSTEMD_PATH,
                                               SYSTEMD_MANAGER, "Reload");
        if (e >= 0)
                e = sd_bus_call_async(r->bus.bus, &r->slot, call, on_reloaded, r, RELOAD_TIMEOUT);
        sd_bus_message_unref(call);
        return e < 0 ? err_origin(e) : 0;
}

static int ask_more(UnitReload *r);

/* The first that waits is enough. */
static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Question *q = userdata;
        UnitReload *r = q->reload;
        int waits = 0;

        (void)error;
        q->slot = sd_bus_slot_unref(q->slot);
        r->answered++;
        if (!sd_bus_message_is_method_error(reply, NULL) &&
            sd_bus_message_read(reply, "v", "b", &waits) >= 0 && waits) {
                r->done(r->userdata, q->name, NULL);
                return 0;
        }
        int e = ask_more(r);
        if (e < 0)
                reload_fail(r, e);
        return 0;
}

/* Keeps QUESTIONS_MAX under way; when all are answered, goes on to the reload. */
static int ask_more(UnitReload *r)
{
        while (r->asked < r->n && r->asked - r->answered < QUESTIONS_MAX) {
                Question *q = &r->questions[r->asked];

                int e = sd_bus_call_method_async(r->bus.bus, &q->slot, r->bus.destination, q->path,
                                                 "org.freedesktop.DBus.Properties", "Get", on_answer, q, "ss",
                                                 SYSTEMD_UNIT, "NeedDaemonReload");
                if (e < 0)
                        return err_origin(e);
                r->asked++;
        }
        if (r->answered < r->n)
                return 0;
        if (r->make)
                return err_trace(reload_call(r));
        r->done(r->userdata, NULL, NULL); /* @r may be gone now */
        return 0;
}

/* Devices and scopes are made at run time: no file of theirs could have changed. */
static bool has_files(const char *name)
{
        const char *dot = strrchr(name, '.');

        return dot && strcmp(dot, ".device") != 0 && strcmp(dot, ".scope") != 0;
}

static int question_add(UnitReload *r, const char *name, const char *path)
{
        Question *grown = reallocarray(r->questions, r->n + 1, sizeof(*grown));
        if (!grown)
                return err_origin(-ENOMEM);
        r->questions = grown;
        Question q = { .reload = r, .name = strdup(name), .path = strdup(path) };
        if (!q.name || !q.path) {
                free(q.name);
                free(q.path);
                return err_origin(-ENOMEM);
        }
        r->questions[r->n++] = q;
        return 0;
}

/* ListUnits: name, description, load, active, sub, followed, path, job, its type and path. */
static int read_units(UnitReload *r, sd_bus_message *reply)
{
        int e = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");

        while (e > 0) {
                const char *name, *load, *path, *skip[6];
                uint32_t job;

                e = sd_bus_message_read(reply, "(ssssssouso)", &name, &skip[0], &load, &skip[1], &skip[2],
                                        &skip[3], &path, &job, &skip[4], &skip[5]);
                if (e <= 0)
                        break;
                if (strcmp(load, "loaded") != 0 || !has_files(name) || strv_contains(r->ours, name))
                        continue;
                int a = question_add(r, name, path);
                if (a < 0)
                        return err_trace(a);
        }
        return e < 0 ? err_origin(e) : 0;
}

static int on_units(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        UnitReload *r = userdata;
        BusFailure failure;

        (void)error;
        r->slot = sd_bus_slot_unref(r->slot);
        if (bus_reply_failed(reply, &failure)) {
                r->done(r->userdata, NULL, &failure);
                return 0;
        }
        int e = read_units(r, reply);
        if (e >= 0)
                e = ask_more(r);
        if (e < 0)
                reload_fail(r, e);
        return 0;
}

int unit_reload_new(UnitReload **ret, const SystemdBus *bus, char *const *ours, bool make, UnitReloaded done,
                    void *userdata)
{
        UnitReload *r = calloc(1, sizeof(*r));
        if (!r)
                return err_origin(-ENOMEM);

        r->bus = *bus;
        r->done = done;
        r->userdata = userdata;
        r->make = make;
        r->ours = strv_copy(ours);
        int e = ours && !r->ours ? -ENOMEM : 0;
        if (e == 0)
                e = sd_bus_call_method_async(bus->bus, &r->slot, bus->destination, SYSTEMD_PATH,
                                             SYSTEMD_MANAGER, "ListUnits", on_units, r, NULL);
        if (e < 0) {
                unit_reload_free(r);
                return err_origin(e);
        }
        *ret = r;
        return 0;
}

UnitReload *unit_reload_free(UnitReload *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n; i++) {
                sd_bus_slot_unref(r->questions[i].slot);
                free(r->questions[i].name);
                free(r->questions[i].path);
        }
        free(r->questions);
        sd_bus_slot_unref(r->slot);
        strv_free(r->ours);
        free(r);
        return NULL;
}
