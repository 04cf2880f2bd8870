/*
 * unit - the systemd units of one service
 *
 * Made by main, one for each service that systemd runs; read by the engine. It listens to systemd's signals
 * (systemd_signals.c) first, then follows each unit (unit_watch.c), and reports when something that the
 * engine can see has changed. Nothing is polled, but for what no signal tells of: while a unit could not be
 * read, or the processes of a wrapper unit can't be watched (cgroup v1), it looks every 30 s.
 *
 * When the connection is lost it reports RUN_UNKNOWN once, and begins anew on the next one, or when systemd's
 * name has changed hands.
 */
#include "observe/unit.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/unit_watch.h"

#include <stdio.h>
#include <string.h>

#define POLL_INTERVAL (30 * USEC_PER_SEC)

typedef struct UnitSource {
        Source source;
        SourceContext context;
        char *const *units;
        UnitWatch **watches;
        size_t n;
        SystemdSignals *signals;
        SignalListener listener;
        sd_event_source *poll; /* off, mostly */
        bool force;            /* report even what is not new */
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

/* Is there a unit of which nobody would tell that it has changed? */
static bool poll_is_needed(const UnitSource *s)
{
        for (size_t i = 0; systemd_signals_bus(s->signals) && i < s->n; i++)
                if (!unit_watch_is_known(s->watches[i]) || unit_watch_is_blind(s->watches[i]))
                        return true;
        return false;
}

static void poll_set(UnitSource *s)
{
        bool on = sd_event_source_get_enabled(s->poll, NULL) > 0, wanted = poll_is_needed(s);

        if (on == wanted)
                return;
        (void)sd_event_source_set_time_relative(s->poll, POLL_INTERVAL);
        (void)sd_event_source_set_enabled(s->poll, wanted ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Something about a unit is new. */
static void on_changed(void *userdata)
{
        UnitSource *s = userdata;
        ServiceStatus now;

        poll_set(s);
        for (size_t i = 0; i < s->n; i++)
                if (!unit_watch_is_known(s->watches[i]))
                        return; /* it reports when it is */
        size_t worst = status_merge(s, &now);
        if (invocation_join(s) == 0)
                now.invocation = s->invocation;
        status_report(s, &now, unit_watch_changed(s->watches[worst]));
}

/* Watching */

static void units_attach(UnitSource *s, sd_bus *bus)
{
        for (size_t i = 0; i < s->n; i++)
                unit_watch_attach(s->watches[i], bus, systemd_signals_destination(s->signals));
        poll_set(s);
}

static void units_fetch(UnitSource *s)
{
        sd_bus *bus = systemd_signals_bus(s->signals);

        for (size_t i = 0; bus && i < s->n; i++)
                if (unit_watch_fetch(s->watches[i]) < 0)
                        unit_watch_attach(s->watches[i], bus, systemd_signals_destination(s->signals));
}

static int on_poll(sd_event_source *timer, uint64_t usec, void *userdata)
{
        UnitSource *s = userdata;

        (void)timer;
        (void)usec;
        units_fetch(s);
        poll_set(s);
        return 0;
}

static void on_job_new(void *userdata, const char *unit, uint32_t id, const char *path)
{
        UnitSource *s = userdata;

        for (size_t i = 0; i < s->n; i++)
                unit_watch_job_new(s->watches[i], unit, id, path);
}

static void on_job_removed(void *userdata, uint32_t id, const char *result)
{
        UnitSource *s = userdata;

        for (size_t i = 0; i < s->n; i++)
                unit_watch_job_removed(s->watches[i], id, result);
}

static void on_files(void *userdata)
{
        units_fetch(userdata);
}

static void on_connected(void *userdata)
{
        UnitSource *s = userdata;

        s->force = true;
        units_attach(s, systemd_signals_bus(s->signals));
}

static void on_lost(void *userdata)
{
        UnitSource *s = userdata;

        units_attach(s, NULL);
        status_report(s, &(ServiceStatus){ .run = RUN_UNKNOWN, .result = "bus-lost" }, now_read().mono);
}

static int unit_start(Source *source)
{
        UnitSource *s = (UnitSource *)source;
        sd_bus *bus = systemd_signals_bus(s->signals);
        int r = systemd_signals_listen(s->signals, &s->listener);

        s->force = true;
        if (r == 0 && bus)
                units_attach(s, bus);
        return err_trace(r);
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

        systemd_signals_leave(&s->listener);
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
                        .turns = systemd_signals_turns(s->signals),
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

int unit_source_new(Source **ret, const SourceContext *context, char *const *units, SystemdSignals *signals)
{
        UnitSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &unit_ops, .name = "unit" };
        s->context = *context;
        s->units = units ? units : context->settings->units;
        s->signals = signals;
        s->listener = (SignalListener){
                .userdata = s,
                .connected = on_connected,
                .lost = on_lost,
                .job_new = on_job_new,
                .job_removed = on_job_removed,
                .files = on_files,
        };
        int r = watches_make(s);
        if (r >= 0)
                r = sd_event_add_time_relative(context->event, &s->poll, CLOCK_MONOTONIC, POLL_INTERVAL,
                                               USEC_PER_SEC, on_poll, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->poll, SD_EVENT_OFF);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(s->poll, "unit-poll");
        *ret = TAKE_PTR(source);
        return 0;
}
