/*
 * systemd_signals - systemd's signals about jobs, unit files and the shutdown
 *
 * Made by main, one for the connection to the bus; unit and host listen. Matches are sent first, then the
 * subscription (without it systemd sends nothing), so nothing that happens after a listener has come is lost.
 *
 * When the connection is lost, all are told once, and it waits for systemd_signals_set_bus(). When systemd's
 * name changes hands (a restart of the bus, a re-execution), it subscribes again by itself, because the new
 * owner knows nothing of the subscription, and all are told that what they know is old.
 *
 * Test: tests/unit/test_systemd_signals.c
 */
#include "observe/systemd_signals.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <stdlib.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"
#define SLOTS_MAX    8
#define TURNS_MAX    24 /* of two calls each, where 128 are allowed; others call, too */

struct SystemdSignals {
        sd_bus *bus;
        const char *destination;
        sd_bus_slot *slots[SLOTS_MAX], *subscription;
        size_t n_slots;
        Turns turns;
        SignalListener *listeners, *next; /* next: while all are told */
};

/* Tells all. One that is told may leave, or make others leave. */
#define tell(s, member, ...)                                                                                 \
        do {                                                                                                 \
                for (SignalListener *l = (s)->listeners; l; l = (s)->next) {                                 \
                        (s)->next = l->next;                                                                 \
                        if (l->member)                                                                       \
                                l->member(l->userdata __VA_OPT__(, ) __VA_ARGS__);                           \
                }                                                                                            \
        } while (false)

static int on_job_new(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdSignals *s = userdata;
        const char *path, *unit;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uos", &id, &path, &unit) >= 0)
                tell(s, job_new, unit, id, path);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdSignals *s = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0)
                tell(s, job_removed, id, result);
        return 0;
}

/* Unit files have changed (a mask does that without any signal of the unit itself), or systemd has read them
 * anew. */
static int on_files(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdSignals *s = userdata;

        (void)m;
        (void)error;
        tell(s, files);
        return 0;
}

static int on_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdSignals *s = userdata;
        int begins;

        (void)error;
        if (sd_bus_message_read(m, "b", &begins) >= 0)
                tell(s, shutdown, begins);
        return 0;
}

static void bus_drop(SystemdSignals *s)
{
        s->subscription = sd_bus_slot_unref(s->subscription);
        while (s->n_slots > 0) {
                s->n_slots--;
                s->slots[s->n_slots] = sd_bus_slot_unref(s->slots[s->n_slots]);
        }
        s->bus = sd_bus_unref(s->bus);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdSignals *s = userdata;

        (void)m;
        (void)error;
        bus_drop(s);
        tell(s, lost);
        return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        /* The one error it knows is that this connection has subscribed already. */
        (void)m;
        (void)userdata;
        (void)error;
        return 0;
}

static int subscribe(SystemdSignals *s)
{
        s->subscription = sd_bus_slot_unref(s->subscription);
        return sd_bus_call_method_async(s->bus, &s->subscription, s->destination, MANAGER_PATH, MANAGER,
                                        "Subscribe", on_subscribed, s, NULL);
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdSignals *s = userdata;
        const char *name, *before, *now;

        (void)error;
        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !*now)
                return 0;
        (void)subscribe(s);
        tell(s, connected);
        return 0;
}

static sd_bus_slot **slot_next(SystemdSignals *s)
{
        return &s->slots[s->n_slots++];
}

static int bus_watch(SystemdSignals *s)
{
        static const struct {
                const char *member;
                sd_bus_message_handler_t handler;
        } signals[] = {
                { "JobNew", on_job_new },
                { "JobRemoved", on_job_removed },
                { "UnitFilesChanged", on_files },
                { "Reloading", on_files },
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_bus_match_signal_async(s->bus, slot_next(s), s->destination, MANAGER_PATH, MANAGER,
                                              signals[i].member, signals[i].handler, NULL, s);
        if (r >= 0)
                r = sd_bus_match_signal_async(s->bus, slot_next(s), NULL, "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
                                              NULL, s);
        if (r >= 0 && s->destination)
                r = sd_bus_add_match_async(s->bus, slot_next(s),
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
                                           on_owner, NULL, s);
        if (r >= 0 && s->destination)
                r = sd_bus_match_signal_async(s->bus, slot_next(s), "org.freedesktop.login1",
                                              "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
                                              "PrepareForShutdown", on_prepare, NULL, s);
        if (r >= 0)
                r = subscribe(s);
        return r < 0 ? err_origin(r) : 0;
}

int systemd_signals_set_bus(SystemdSignals *s, sd_bus *bus)
{
        int r = 0;

        bus_drop(s);
        if (!bus)
                return 0;
        s->bus = sd_bus_ref(bus);
        if (s->listeners)
                r = bus_watch(s);
        if (r < 0) {
                bus_drop(s);
                return err_trace(r);
        }
        tell(s, connected);
        return 0;
}

sd_bus *systemd_signals_bus(const SystemdSignals *s)
{
        return s->bus;
}

const char *systemd_signals_destination(const SystemdSignals *s)
{
        return s->destination;
}

Turns *systemd_signals_turns(SystemdSignals *s)
{
        return &s->turns;
}

int systemd_signals_listen(SystemdSignals *s, SignalListener *l)
{
        if (s->bus && s->n_slots == 0) {
                int r = bus_watch(s);
                if (r < 0)
                        return err_trace(r);
        }
        l->signals = s;
        l->next = s->listeners;
        s->listeners = l;
        return 0;
}

void systemd_signals_leave(SignalListener *l)
{
        SystemdSignals *s = l->signals;

        if (!s)
                return;
        if (s->next == l)
                s->next = l->next;
        for (SignalListener **at = &s->listeners; *at; at = &(*at)->next)
                if (*at == l) {
                        *at = l->next;
                        break;
                }
        l->signals = NULL;
}

int systemd_signals_new(SystemdSignals **ret, sd_bus *bus, const char *destination)
{
        SystemdSignals *s = calloc(1, sizeof(*s));

        if (!s)
                return err_origin(-ENOMEM);
        s->bus = bus ? sd_bus_ref(bus) : NULL;
        s->destination = destination;
        s->turns = TURNS(TURNS_MAX);
        *ret = s;
        return 0;
}

SystemdSignals *systemd_signals_free(SystemdSignals *s)
{
        if (!s)
                return NULL;
        bus_drop(s);
        free(s);
        return NULL;
}
