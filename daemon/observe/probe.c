/*
 * probe - when which probe runs, and what came of it
 *
 * Made by main, one for each service that has probes; read by the engine. Each probe has one timer that is
 * either the pause before the next attempt or the deadline of the one under way, so that two attempts can't
 * overlap and none can last. The jitter keeps many services (and many hosts) from asking in step.
 *
 * Everything that goes wrong, in the world or here (no memory, no descriptors), ends as a failed probe whose
 * detail says what; the next one is tried at its time.
 */
#include "observe/probe.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "observe/attempt.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

typedef struct ProbeSource ProbeSource;

typedef struct Probe {
        ProbeSource *source;
        size_t index;
        const ProbeSettings *settings;
        sd_event_source *timer; /* pause or deadline */
        Attempt *attempt;
        Heartbeat *heartbeat; /* or NULL */
        usec_t begun;
        bool again; /* asked for while one was under way */
} Probe;

struct ProbeSource {
        Source source;
        SourceContext context;
        ProbeSpec spec;
        Worker *worker; /* or NULL: no probe looks at files */
        Probe *probes;
        bool enabled, canaries;
        usec_t pace;
};

static int timer_set(Probe *p, usec_t delay)
{
        int r = sd_event_source_set_time_relative(p->timer, delay);

        return r < 0 ? r : sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static usec_t pause_of(const Probe *p)
{
        usec_t interval = p->settings->interval;

        if (p->source->pace > 0 && p->source->pace < interval && p->settings->kind != PROBE_CANARY)
                interval = p->source->pace;
        uint32_t spread = interval / 5 > UINT32_MAX ? UINT32_MAX : (uint32_t)(interval / 5);
        return interval - interval / 10 + (spread > 1 ? randombytes_uniform(spread) : 0);
}

/* The attempt is over: report, and pause. */
static void attempt_end(Probe *p, bool ok, const char *detail)
{
        usec_t took = usec_sub(now_read().mono, p->begun);
        Observation o = {
                .kind = OBSERVATION_PROBE,
                .probe = {
                        .probe = p->index,
                        .ok = ok,
                        .slow = p->settings->slow > 0 && took > p->settings->slow,
                        .took = took,
                        .detail = detail,
                },
        };

        (void)timer_set(p, p->again ? 0 : pause_of(p));
        p->again = false;
        source_emit(&p->source->context, &o);
}

static void on_attempt(void *userdata, bool ok, const char *detail)
{
        Probe *p = userdata;
        Attempt *attempt = TAKE_PTR(p->attempt);

        /* @detail may live in the attempt. */
        attempt_end(p, ok, detail);
        attempt_free(attempt);
}

static int attempt_start(Probe *p)
{
        const AttemptSpec spec = {
                .event = p->source->context.event,
                .probe = p->settings,
                .service = p->source->context.settings->name,
                .runner = p->source->spec.runner,
                .worker = p->source->worker,
                .canary_key = p->source->spec.canary_key,
                .heartbeat = p->heartbeat,
                .done = on_attempt,
                .userdata = p,
        };

        switch (p->settings->kind) {
        case PROBE_TCP:
        case PROBE_UNIX:
                return probe_tcp_start(&p->attempt, &spec);
        case PROBE_SMTP:
        case PROBE_LMTP:
                return probe_smtp_start(&p->attempt, &spec);
        case PROBE_EXEC:
                return probe_exec_start(&p->attempt, &spec);
        case PROBE_HEARTBEAT:
                return probe_heartbeat_start(&p->attempt, &spec);
        case PROBE_CANARY:
                return probe_canary_start(&p->attempt, &spec);
        case _PROBE_KIND_MAX:
        case _PROBE_KIND_INVALID:
                break;
        }
        return err_origin(-EOPNOTSUPP);
}

/* Does the attempt keep its deadline itself? */
static bool probe_is_timed(const Probe *p)
{
        return p->settings->kind == PROBE_EXEC || p->settings->kind == PROBE_CANARY;
}

static void attempt_begin(Probe *p)
{
        p->begun = now_read().mono;
        int r = attempt_start(p);
        if (r < 0)
                attempt_end(p, false, strerror(-r));
        else if (probe_is_timed(p))
                (void)sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        else
                (void)timer_set(p, p->settings->timeout);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        Probe *p = userdata;
        char took[32], detail[128];

        (void)timer;
        (void)usec;
        if (!p->attempt) {
                attempt_begin(p);
                return 0;
        }
        snprintf(detail, sizeof(detail), "no answer in %s: waiting for %s",
                 usec_format(took, sizeof(took), p->settings->timeout), attempt_waits_for(p->attempt));
        p->attempt = attempt_free(p->attempt);
        attempt_end(p, false, detail);
        return 0;
}

/* Each probe asks now, or again as soon as it has its answer; a canary keeps to its times. */
static void probes_ask(ProbeSource *s)
{
        for (size_t i = 0; s->enabled && i < s->context.settings->n_probes; i++) {
                Probe *p = &s->probes[i];
                if (p->settings->kind == PROBE_CANARY)
                        continue;
                if (p->attempt)
                        p->again = true;
                else
                        (void)timer_set(p, 0);
        }
}

static int probe_refresh(Source *source)
{
        probes_ask((ProbeSource *)source);
        return 0;
}

void probe_source_set_pace(Source *source, usec_t interval)
{
        ProbeSource *s = (ProbeSource *)source;

        s->pace = interval;
        probes_ask(s);
}

static void probe_drop(Probe *p)
{
        p->attempt = attempt_free(p->attempt);
        p->again = false;
        (void)sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}

void probe_source_allow_canaries(Source *source, bool allowed)
{
        ProbeSource *s = (ProbeSource *)source;

        if (s->canaries == allowed)
                return;
        s->canaries = allowed;
        for (size_t i = 0; i < s->context.settings->n_probes; i++) {
                Probe *p = &s->probes[i];
                if (p->settings->kind != PROBE_CANARY)
                        continue;
                if (allowed && s->enabled)
                        (void)timer_set(p, 0);
                else
                        probe_drop(p);
        }
}

void probe_source_enable(Source *source, bool enabled)
{
        ProbeSource *s = (ProbeSource *)source;

        s->enabled = enabled;
        for (size_t i = 0; !enabled && i < s->context.settings->n_probes; i++)
                probe_drop(&s->probes[i]);
        probes_ask(s);
}

static Source *probe_free(Source *source)
{
        ProbeSource *s = (ProbeSource *)source;

        for (size_t i = 0; s->probes && i < s->context.settings->n_probes; i++) {
                attempt_free(s->probes[i].attempt);
                heartbeat_free(s->probes[i].heartbeat);
                sd_event_source_disable_unref(s->probes[i].timer);
        }
        worker_free(s->worker);
        free(s->probes);
        free(s);
        return NULL;
}

static const SourceOps probe_ops = {
        .start = probe_refresh,
        .refresh = probe_refresh,
        .free = probe_free,
};

/* What a probe keeps between its attempts. */
static int memory_make(Probe *p)
{
        ProbeSource *s = p->source;
        const HeartbeatSpec spec = {
                .event = s->context.event,
                .probe = p->settings,
                .service = s->context.settings->name,
                .run_dir = s->spec.run_dir,
                .belongs = s->spec.belongs,
                .userdata = s->spec.userdata,
        };

        bool looks = p->settings->kind == PROBE_CANARY ||
                     (p->settings->kind == PROBE_HEARTBEAT && p->settings->path);
        /* A thread of its own: a scan of a large spool must not make a beat late. */
        int r = looks && !s->worker ? worker_new(&s->worker, s->context.event, "probe") : 0;

        if (r == 0 && p->settings->kind == PROBE_HEARTBEAT)
                r = heartbeat_new(&p->heartbeat, &spec);
        return err_trace(r);
}

static int probe_init(Probe *p, ProbeSource *s, size_t index)
{
        p->source = s;
        p->index = index;
        p->settings = &s->context.settings->probes[index];
        int r = sd_event_add_time_relative(s->context.event, &p->timer, CLOCK_MONOTONIC, 0,
                                           10 * USEC_PER_MSEC, on_timer, p);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(p->timer, "probe");
        r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        return r < 0 ? err_trace(r) : memory_make(p);
}

int probe_source_new(Source **ret, const SourceContext *context, const ProbeSpec *spec)
{
        ProbeSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &probe_ops, .name = "probe" };
        s->context = *context;
        s->spec = *spec;
        s->enabled = true;
        s->probes = calloc(context->settings->n_probes + 1, sizeof(*s->probes));
        if (!s->probes)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < context->settings->n_probes; i++) {
                int r = probe_init(&s->probes[i], s, i);
                if (r < 0)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(source);
        return 0;
}
