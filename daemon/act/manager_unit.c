/*
 * manager_unit - one unit of systemd with its properties
 *
 * Used by manager_systemd, manager_guard and manager_transient. LoadUnit first: it resolves aliases, and
 * reads in what nobody has asked for yet; then one GetAll over all interfaces. Unknown properties, and known
 * ones of another type (a newer systemd), are skipped.
 *
 * Diagnostics: D-Bus errors go to the callback with name and text. Tests:
 * tests/integration/test_manager_systemd.c.
 */
#include "act/manager_unit.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct UnitFetch {
        SystemdBus bus;
        char *name;
        UnitFetched done;
        void *userdata;
        sd_bus_slot *slot;
        UnitInfo info;
};

typedef enum PropertyKind {
        PROPERTY_STRING,
        PROPERTY_STRINGS,
        PROPERTY_BOOL,
        PROPERTY_JOB,        /* (uo) */
        PROPERTY_ID128,      /* ay */
        PROPERTY_CONDITIONS, /* a(sbbsi) */
} PropertyKind;

static const struct {
        const char *name;
        PropertyKind kind;
        size_t offset; /* in UnitInfo */
} properties[] = {
        { "Id", PROPERTY_STRING, offsetof(UnitInfo, id) },
        { "LoadState", PROPERTY_STRING, offsetof(UnitInfo, load_state) },
        { "ActiveState", PROPERTY_STRING, offsetof(UnitInfo, active_state) },
        { "SubState", PROPERTY_STRING, offsetof(UnitInfo, sub_state) },
        { "Type", PROPERTY_STRING, offsetof(UnitInfo, type) },
        { "Result", PROPERTY_STRING, offsetof(UnitInfo, result) },
        { "ControlGroup", PROPERTY_STRING, offsetof(UnitInfo, control_group) },
        { "TriggeredBy", PROPERTY_STRINGS, offsetof(UnitInfo, triggered_by) },
        { "ConsistsOf", PROPERTY_STRINGS, offsetof(UnitInfo, consists_of) },
        { "ConditionResult", PROPERTY_BOOL, offsetof(UnitInfo, condition_result) },
        { "AssertResult", PROPERTY_BOOL, offsetof(UnitInfo, assert_result) },
        { "NeedDaemonReload", PROPERTY_BOOL, offsetof(UnitInfo, need_daemon_reload) },
        { "Job", PROPERTY_JOB, offsetof(UnitInfo, job) },
        { "InvocationID", PROPERTY_ID128, offsetof(UnitInfo, invocation) },
        { "Conditions", PROPERTY_CONDITIONS, 0 },
        { "Asserts", PROPERTY_CONDITIONS, 0 },
};

void unit_info_deinit(UnitInfo *u)
{
        free(u->name);
        free(u->id);
        free(u->path);
        free(u->load_state);
        free(u->active_state);
        free(u->sub_state);
        free(u->type);
        free(u->result);
        free(u->control_group);
        free(u->invocation);
        free(u->unmet);
        strv_free(u->triggered_by);
        strv_free(u->consists_of);
        *u = (UnitInfo){ 0 };
}

bool unit_is_at_rest(const UnitInfo *u)
{
        return u->job == 0 &&
               (streq_null(u->active_state, "inactive") || streq_null(u->active_state, "failed"));
}

bool bus_reply_failed(sd_bus_message *reply, BusFailure *failure)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (!e)
                return false;
        *failure =
                (BusFailure){ .name = e->name ? e->name : "", .message = e->message ? e->message : e->name };
        if (!failure->message)
                failure->message = "unknown error";
        return true;
}

static int read_string(sd_bus_message *m, char **ret)
{
        const char *s;

        int r = sd_bus_message_read_basic(m, 's', &s);
        if (r < 0)
                return err_origin(r);
        free(*ret);
        *ret = strdup(s);
        return *ret ? 0 : err_origin(-ENOMEM);
}

/* Replaces, as the getters of other interfaces may name a property twice. */
static int read_strings(sd_bus_message *m, char ***ret)
{
        char **strings = NULL;

        int r = sd_bus_message_read_strv(m, &strings);
        if (r < 0)
                return err_origin(r);
        strv_free(*ret);
        *ret = strings;
        return 0;
}

/* Hex, or left alone: an empty array says that the unit has not run yet. */
static int read_id128(sd_bus_message *m, char **ret)
{
        const void *bytes;
        size_t len;

        int r = sd_bus_message_read_array(m, 'y', &bytes, &len);
        if (r < 0)
                return err_origin(r);
        if (len != 16)
                return 0; /* it has not run yet */
        char *text = malloc(33);
        if (!text)
                return err_origin(-ENOMEM);
        free(*ret);
        *ret = text_hex(text, bytes, len);
        return 0;
}

/* Ours end in ".../guard/SERVICE" or ".../permit/SERVICE" and are of this kind; see guard.c. */
static bool is_guards(const char *type, const char *parameter)
{
        return strstr(type, "PathExists") && (strstr(parameter, "/guard/") || strstr(parameter, "/permit/"));
}

/* Whose triggering conditions are there, and which one did not hold. Asserts have the same form. */
static int read_conditions(sd_bus_message *m, UnitInfo *u)
{
        int r = sd_bus_message_enter_container(m, 'a', "(sbbsi)");

        while (r > 0) {
                const char *type, *parameter;
                int trigger, negate, state;

                r = sd_bus_message_read(m, "(sbbsi)", &type, &trigger, &negate, &parameter, &state);
                if (r <= 0)
                        break;
                u->own_triggers |= trigger && !is_guards(type, parameter);
                if (state < 0 && !u->unmet &&
                    asprintf(&u->unmet, "%s=%s%s", type, negate ? "!" : "", parameter) < 0) {
                        u->unmet = NULL;
                        return err_origin(-ENOMEM);
                }
        }
        if (r < 0)
                return err_origin(r);
        r = sd_bus_message_exit_container(m);
        return r < 0 ? err_origin(r) : 0;
}

static int read_property(sd_bus_message *m, PropertyKind kind, void *field, UnitInfo *u)
{
        const char *path;
        int flag, r = 0;

        switch (kind) {
        case PROPERTY_STRING:
                return err_trace(read_string(m, field));
        case PROPERTY_STRINGS:
                return err_trace(read_strings(m, field));
        case PROPERTY_ID128:
                return err_trace(read_id128(m, field));
        case PROPERTY_CONDITIONS:
                return err_trace(read_conditions(m, u));
        case PROPERTY_BOOL:
                r = sd_bus_message_read_basic(m, 'b', &flag);
                if (r >= 0)
                        *(bool *)field = flag;
                break;
        case PROPERTY_JOB:
                r = sd_bus_message_read(m, "(uo)", field, &path);
                break;
        }
        return r < 0 ? err_origin(r) : 0;
}

/* One "{sv}"; the variant is entered only if it is known and of the type that we know. */
static int read_entry(sd_bus_message *m, UnitInfo *u)
{
        static const char *const signatures[] = {
                [PROPERTY_STRING] = "s", [PROPERTY_STRINGS] = "as", [PROPERTY_BOOL] = "b",
                [PROPERTY_JOB] = "(uo)", [PROPERTY_ID128] = "ay",   [PROPERTY_CONDITIONS] = "a(sbbsi)",
        };
        const char *name, *content;
        char type;

        int r = sd_bus_message_read_basic(m, 's', &name);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, &type, &content);
        if (r < 0)
                return err_origin(r);

        for (size_t i = 0; i < ELEMENTSOF(properties); i++) {
                if (strcmp(name, properties[i].name) != 0 ||
                    strcmp(content, signatures[properties[i].kind]) != 0)
                        continue;
                r = sd_bus_message_enter_container(m, 'v', content);
                if (r < 0)
                        return err_origin(r);
                r = read_property(m, properties[i].kind, (char *)u + properties[i].offset, u);
                if (r < 0)
                        return err_trace(r);
                r = sd_bus_message_exit_container(m);
                return r < 0 ? err_origin(r) : 0;
        }
        r = sd_bus_message_skip(m, "v");
        return r < 0 ? err_origin(r) : 0;
}

/* The reply of GetAll, a{sv}. Return: 0, -EBADMSG if what every unit has is missing, or another errno. */
static int read_all(sd_bus_message *m, UnitInfo *u)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0) {
                r = sd_bus_message_enter_container(m, 'e', "sv");
                if (r <= 0)
                        break;
                r = read_entry(m, u);
                if (r < 0)
                        return err_trace(r);
                r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return err_origin(r);
        if (!u->id || !u->load_state || !u->active_state)
                return err_origin(-EBADMSG);
        return 0;
}

static void fetch_fail(UnitFetch *f, const BusFailure *failure)
{
        f->done(f->userdata, NULL, failure);
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        UnitFetch *f = userdata;
        BusFailure failure;

        (void)error;
        f->slot = sd_bus_slot_unref(f->slot);
        if (bus_reply_failed(reply, &failure)) {
                fetch_fail(f, &failure);
                return 0;
        }
        int r = read_all(reply, &f->info);
        if (r < 0) {
                failure = (BusFailure){ .name = "", .message = strerrordesc_np(-r) };
                fetch_fail(f, &failure);
                return 0;
        }
        UnitInfo info = f->info;
        f->info = (UnitInfo){ 0 };
        f->done(f->userdata, &info, NULL); /* @f may be gone now */
        unit_info_deinit(&info);
        return 0;
}

/* The second step: @reply names the object. An empty interface name stands for all interfaces. */
static int fetch_properties(UnitFetch *f, sd_bus_message *reply)
{
        const char *path;

        int r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return err_origin(r);
        f->info.path = strdup(path);
        f->info.name = strdup(f->name);
        if (!f->info.path || !f->info.name)
                return err_origin(-ENOMEM);
        r = sd_bus_call_method_async(f->bus.bus, &f->slot, f->bus.destination, path,
                                     "org.freedesktop.DBus.Properties", "GetAll", on_properties, f, "s", "");
        return r < 0 ? err_origin(r) : 0;
}

static int on_loaded(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        UnitFetch *f = userdata;
        BusFailure failure;

        (void)error;
        f->slot = sd_bus_slot_unref(f->slot);
        if (bus_reply_failed(reply, &failure)) {
                fetch_fail(f, &failure);
                return 0;
        }
        int r = fetch_properties(f, reply);
        if (r < 0) {
                failure = (BusFailure){ .name = "", .message = strerrordesc_np(-r) };
                fetch_fail(f, &failure);
        }
        return 0;
}

int unit_fetch_new(UnitFetch **ret, const SystemdBus *bus, const char *name, UnitFetched done, void *userdata)
{
        UnitFetch *f = calloc(1, sizeof(*f));
        if (!f)
                return err_origin(-ENOMEM);

        f->bus = *bus;
        f->done = done;
        f->userdata = userdata;
        f->name = strdup(name);
        int r = f->name ? 0 : -ENOMEM;
        if (r == 0)
                r = sd_bus_call_method_async(bus->bus, &f->slot, bus->destination, SYSTEMD_PATH,
                                             SYSTEMD_MANAGER, "LoadUnit", on_loaded, f, "s", name);
        if (r < 0) {
                unit_fetch_free(f);
                return err_origin(r);
        }
        *ret = f;
        return 0;
}

UnitFetch *unit_fetch_free(UnitFetch *f)
{
        if (!f)
                return NULL;
        sd_bus_slot_unref(f->slot);
        unit_info_deinit(&f->info);
        free(f->name);
        free(f);
        return NULL;
}
