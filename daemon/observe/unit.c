/*
 * unit - the systemd units of one service
 *
 * Made by main, one for each service that systemd runs; read by the engine. It subscribes to systemd's
 * signals first, follows each unit (unit_watch.c), and reports when something that the engine can see has
 * changed. A poll every 30 s is the net below the signals.
 *
 * When the connection is lost it reports RUN_UNKNOWN once and waits for unit_source_set_bus(): who owns the
 * connection makes a new one. When systemd's name changes hands (a restart of the bus, a re-execution), it
 * starts over by itself.
 */
#include "observe/unit.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/unit_watch.h"

#include <stdio.h>
#include <string.h>

#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"

#define POLL_INTERVAL (30 * USEC_PER_SEC)

typedef struct UnitSource {
        Source source;
        SourceContext context;
        char *const *units;
        UnitWatch **watches;
        size_t n;
        sd_bus *bus;
        const char *destination;
        sd_bus_slot *slots[7];
        size_t n_slots;
        sd_event_source *poll;
        bool force; /* report even what is not new */
        ServiceStatus last;
        char last_result[UNIT_WORD_MAX];
        char *last_invocation, *invocation;
} UnitSource;

/* Reporting */

/* All invocations as one word: it changes when any of the units is started anew. Kept in the source. */
static int invocation_join(UnitSource *s)
{
        char *joined = NULL;

        for (size_t i = 0; i < s->n; i++) {
                ServiceStatus status;
                unit_watch_status(s->watches[i], &status);
                if (!status.invocation)
                        continue;
                char *longer;
                if (asprintf(&longer, "%s%s%s", joined ? joined : "", joined ? "+" : "", status.invocation) <
                    0) {
                        free(joined);
                        return err_origin(-ENOMEM);
                }
                free(joined);
                joined = longer;
        }
        free(s->invocation);
        s->invocation = joined;
        return 0;
}

/* The service's status from those of its units. Return: index of the unit that decided. */
static size_t status_merge(UnitSource *s, ServiceStatus *ret)
{
        size_t worst = 0;

        unit_watch_status(s->watches[0], ret);
        for (size_t i = 1; i < s->n; i++) {
                ServiceStatus one, both = *ret;
                unit_watch_status(s->watches[i], &one);
                if (run_state_worse(ret->run, one.run) != ret->run) {
                        *ret = one;
                        worst = i;
                }
                ret->n_restarts = both.n_restarts + one.n_restarts;
                ret->main_pid = ret->main_pid ? ret->main_pid : both.main_pid ? both.main_pid : one.main_pid;
                ret->operator_stop = both.operator_stop || one.operator_stop;
                ret->masked = both.masked || one.masked;
                ret->started_by_other = both.started_by_other || one.started_by_other;
        }
        return worst;
}

static bool is_news(const UnitSource *s, const ServiceStatus *now)
{
        const ServiceStatus *last = &s->last;

        return s->force || now->run != last->run || now->n_restarts != last->n_restarts ||
               now->exited != last->exited || now->exit_code != last->exit_code ||
               now->signal != last->signal || now->core != last->core || now->main_pid != last->main_pid ||
               now->operator_stop != last->operator_stop || now->masked != last->masked ||
               now->started_by_other != last->started_by_other ||
               strcmp(now->result ? now->result : "", s->last_result) != 0 ||
               !streq_null(now->invocation, s->last_invocation);
}

static void status_report(UnitSource *s, const ServiceStatus *now, usec_t changed)
{
        Observation o = { .kind = OBSERVATION_SERVICE, .service = *now };

        if (!is_news(s, now))
                return;
        o.service.since = now->run == s->last.run && s->last.since > 0 ? s->last.since : changed;
        s->force = false;
        s->last = o.service;
        snprintf(s->last_result, sizeof(s->last_result), "%s", now->result ? now->result : "");
        free(s->last_invocation);
        s->last_invocation = strdup_null(now->invocation);
        source_emit(&s->context, &o);
}

/* Something about a unit is new. */
static void on_changed(void *userdata)
{
        UnitSource *s = userdata;
        ServiceStatus now;

        for (size_t i = 0; i < s->n; i++)
                if (!unit_watch_is_known(s->watches[i]))
                        return; /* it reports when it is */
        size_t worst = status_merge(s, &now);
        if (invocation_join(s) == 0)
                now.invocation = s->invocation;
        status_report(s, &now, unit_watch_changed(s->watches[worst]));
}

/* Watching */

static void units_fetch(UnitSource *s)
{
        for (size_t i = 0; s->bus && i < s->n; i++)
                if (unit_watch_fetch(s->watches[i]) < 0)
                        (void)unit_watch_attach(s->watches[i], s->bus, s->destination);
}

static int on_poll(sd_event_source *timer, uint64_t usec, void *userdata)
{
        (void)usec;
        units_fetch(userdata);
        (void)sd_event_source_set_time_relative(timer, POLL_INTERVAL);
        return 0;
}

static int on_job_new(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitSource *s = userdata;
        const char *path, *unit;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uos", &id, &path, &unit) < 0)
                return 0;
        for (size_t i = 0; i < s->n; i++)
                unit_watch_job_new(s->watches[i], unit, id, path);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitSource *s = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        (void)error;
        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
                return 0;
        for (size_t i = 0; i < s->n; i++)
                unit_watch_job_removed(s->watches[i], id, result);
        return 0;
}

/* Unit files have changed (a mask does that without any signal of the unit itself), or systemd has read them
 * anew. */
static int on_files(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)m;
        (void)error;
        units_fetch(userdata);
        return 0;
}

static void bus_drop(UnitSource *s)
{
        for (size_t i = 0; i < s->n; i++)
                (void)unit_watch_attach(s->watches[i], NULL, NULL);
        while (s->n_slots > 0) {
                s->n_slots--;
                s->slots[s->n_slots] = sd_bus_slot_unref(s->slots[s->n_slots]);
        }
        s->bus = sd_bus_unref(s->bus);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitSource *s = userdata;

        (void)m;
        (void)error;
        bus_drop(s);
        status_report(s, &(ServiceStatus){ .run = RUN_UNKNOWN, .result = "bus-lost" }, now_read().mono);
        return 0;
}

static int bus_watch(UnitSource *s);

/* systemd's name has a new owner, who knows nothing of our subscription. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        UnitSource *s = userdata;
        const char *name, *before, *now;

        (void)error;
        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !*now)
                return 0;
        _cleanup_(sd_bus_unrefp) sd_bus *bus = sd_bus_ref(s->bus);
        bus_drop(s);
        s->bus = TAKE_PTR(bus);
        (void)bus_watch(s);
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

static sd_bus_slot **slot_next(UnitSource *s)
{
        return &s->slots[s->n_slots++];
}

static int manager_match(UnitSource *s, const char *member, sd_bus_message_handler_t handler)
{
        return sd_bus_match_signal_async(s->bus, slot_next(s), s->destination, MANAGER_PATH, MANAGER, member,
                                         handler, NULL, s);
}

/* Matches first, then the subscription, then the units: nothing that happens in between is lost. */
static int bus_watch(UnitSource *s)
{
        int r = manager_match(s, "JobNew", on_job_new);

        if (r >= 0)
                r = manager_match(s, "JobRemoved", on_job_removed);
        if (r >= 0)
                r = manager_match(s, "UnitFilesChanged", on_files);
        if (r >= 0)
                r = manager_match(s, "Reloading", on_files);
        if (r >= 0)
                r = sd_bus_match_signal_async(s->bus, slot_next(s), NULL, "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
                                              NULL, s);
        if (r >= 0 && s->destination)
                r = sd_bus_add_match_async(s->bus, slot_next(s),
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
                                           on_owner, NULL, s);
        if (r >= 0)
                r = sd_bus_call_method_async(s->bus, slot_next(s), s->destination, MANAGER_PATH, MANAGER,
                                             "Subscribe", on_subscribed, s, NULL);
        for (size_t i = 0; r >= 0 && i < s->n; i++)
                r = unit_watch_attach(s->watches[i], s->bus, s->destination);
        return r < 0 ? err_origin(r) : 0;
}

int unit_source_set_bus(Source *source, sd_bus *bus)
{
        UnitSource *s = (UnitSource *)source;

        bus_drop(s);
        s->force = true;
        if (!bus)
                return 0;
        s->bus = sd_bus_ref(bus);
        int r = bus_watch(s);
        if (r < 0)
                bus_drop(s);
        return r < 0 ? err_trace(r) : 0;
}

bool unit_source_is_connected(const Source *source)
{
        return ((const UnitSource *)source)->bus != NULL;
}

static int unit_start(Source *source)
{
        UnitSource *s = (UnitSource *)source;

        s->force = true;
        (void)sd_event_source_set_enabled(s->poll, SD_EVENT_ON);
        return s->bus ? bus_watch(s) : 0;
}

static int unit_refresh(Source *source)
{
        UnitSource *s = (UnitSource *)source;

        s->force = true;
        units_fetch(s);
        return 0;
}

static void unit_expect(Source *source, bool ours, const char *invocation)
{
        UnitSource *s = (UnitSource *)source;

        for (size_t i = 0; i < s->n; i++)
                unit_watch_expect(s->watches[i], ours, invocation, s->n == 1);
}

static Source *unit_free(Source *source)
{
        UnitSource *s = (UnitSource *)source;

        bus_drop(s);
        for (size_t i = 0; i < s->n; i++)
                unit_watch_free(s->watches[i]);
        free(s->watches);
        sd_event_source_disable_unref(s->poll);
        free(s->last_invocation);
        free(s->invocation);
        free(s);
        return NULL;
}

static const SourceOps unit_ops = {
        .start = unit_start,
        .refresh = unit_refresh,
        .expect = unit_expect,
        .free = unit_free,
};

static int watches_make(UnitSource *s)
{
        size_t n = strv_length(s->units);

        if (n == 0)
                return err_origin(-EINVAL);
        s->watches = calloc(n, sizeof(*s->watches));
        if (!s->watches)
                return err_origin(-ENOMEM);
        for (; s->n < n; s->n++) {
                const UnitWatchSpec spec = {
                        .event = s->context.event,
                        .name = s->units[s->n],
                        .changed = on_changed,
                        .userdata = s,
                };
                int r = unit_watch_new(&s->watches[s->n], &spec);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

int unit_source_new(Source **ret, const SourceContext *context, char *const *units, sd_bus *bus,
                    const char *destination)
{
        UnitSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &unit_ops, .name = "unit" };
        s->context = *context;
        s->units = units ? units : context->settings->units;
        s->destination = destination;
        int r = watches_make(s);
        if (r >= 0)
                r = sd_event_add_time_relative(context->event, &s->poll, CLOCK_MONOTONIC, POLL_INTERVAL,
                                               USEC_PER_SEC, on_poll, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->poll, SD_EVENT_OFF);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(s->poll, "unit-poll");
        s->bus = bus ? sd_bus_ref(bus) : NULL;
        *ret = TAKE_PTR(source);
        return 0;
}
