/*
 * sim_service - the mail service of the simulation
 */
#include "fake/sim_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void deliver_next(Sim *s, void *data);

void service_report(Sim *s)
{
        Observation o = { .kind = OBSERVATION_SERVICE };

        o.service.since = s->now;
        o.service.invocation = "run";
        o.service.main_pid = s->running ? 100 : 0;
        if (s->running || s->hung)
                o.service.run = RUN_RUNNING;
        else if (s->starting)
                o.service.run = RUN_STARTING;
        else if (s->failed) {
                o.service.run = RUN_FAILED;
                o.service.exited = true;
                o.service.signal = 11;
                o.service.result = s->result ? s->result : "signal";
        } else {
                o.service.run = RUN_STOPPED;
                o.service.operator_stop = s->stopped_by_operator;
        }
        if (s->engine && !s->dead)
                engine_observe(s->engine, 0, &o);
}

void service_progress(Sim *s)
{
        for (size_t store = 0; store < s->settings->services[0].n_stores; store++) {
                Observation o = { .kind = OBSERVATION_PROGRESS };

                o.progress.store = store;
                for (size_t k = 0; k < s->n_messages; k++)
                        if (s->messages[k].store == store && (s->messages[k].place & PLACE_STORE))
                                o.progress.waiting++;
                o.progress.departed = store == 0 ? s->departed : 0;
                o.progress.moved = o.progress.departed > 0;
                if (s->engine && !s->dead)
                        engine_observe(s->engine, 0, &o);
        }
        s->departed = 0;
}

static void service_die(Sim *s)
{
        s->running = s->starting = s->hung = false;
        s->failed = true;
        s->life++;
        service_report(s);
}

void service_killed(Sim *s, void *data)
{
        (void)data;
        if (s->running)
                service_die(s);
}

void sim_die(Sim *s, const char *result)
{
        s->result = result;
        service_die(s);
}

static void started(Sim *s, void *data)
{
        if ((uintptr_t)data != s->life)
                return;
        s->starting = false;
        if (s->config.dies_at_start || s->condition_kills || (s->config.bad_state && !s->purged)) {
                service_die(s);
                return;
        }
        s->running = true;
        service_report(s);
        sim_timer(s, s->config.each, 0, deliver_next, (void *)(uintptr_t)s->life);
}

void service_start(Sim *s)
{
        s->life++;
        s->starting = true;
        s->failed = s->stopped_by_operator = false;
        s->inflight = SIZE_MAX;
        if (!s->config.starts_never_end)
                sim_timer(s, s->config.start_time, 0, started, (void *)(uintptr_t)s->life);
}

void service_kill(Sim *s)
{
        s->life++;
        s->running = s->starting = s->hung = s->failed = false;
        s->inflight = SIZE_MAX;
        service_report(s);
}

static bool is_poisonous(const Sim *s, size_t message)
{
        if (s->messages[message].poison != POISON_PAIR)
                return s->messages[message].poison != POISON_NONE;
        for (size_t k = 0; k < s->n_messages; k++)
                if (k != message && s->messages[k].poison == POISON_PAIR &&
                    (s->messages[k].place & PLACE_STORE))
                        return true;
        return false;
}

/* The next one in an order that is neither by name nor by age. */
static size_t pick(const Sim *s)
{
        size_t n = s->n_messages, start = n ? (size_t)(s->now / 7 + s->life * 31) % n : 0;

        for (size_t k = 0; k < n; k++)
                if (s->messages[(start + k) % n].place & PLACE_STORE)
                        return (start + k) % n;
        return SIZE_MAX;
}

static void deliver_next(Sim *s, void *data)
{
        size_t m = pick(s);

        if ((uintptr_t)data != s->life || !s->running)
                return;
        if (m == SIZE_MAX) {
                if (s->departed > 0)
                        service_progress(s);
                sim_timer(s, 50 * USEC_PER_MSEC, 0, deliver_next, data);
                return;
        }
        if (is_poisonous(s, m)) {
                s->inflight = m;
                service_progress(s);
                if (s->messages[m].poison == POISON_HANG)
                        s->hung = true, s->running = false;
                else
                        service_die(s);
                return;
        }
        s->messages[m].place = 0;
        s->messages[m].delivered++;
        if (++s->departed >= 20)
                service_progress(s);
        sim_timer(s, s->config.each, 0, deliver_next, data);
}

void sim_poison(Sim *s, size_t message, Poison poison, unsigned store)
{
        s->messages[message].poison = poison;
        s->messages[message].store = store;
}

size_t sim_arrive(Sim *s, unsigned store)
{
        SimMessage *m = realloc(s->messages, (s->n_messages + 1) * sizeof(*m));

        s->messages = m;
        m += s->n_messages;
        *m = (SimMessage){ .store = store, .place = PLACE_STORE, .arrived = true };
        snprintf(m->id, sizeof(m->id), "m%zu", s->n_messages);
        return s->n_messages++;
}

void sim_log(Sim *s, const LogEntry *entry)
{
        const Observation o = { .kind = OBSERVATION_LOG, .log = *entry };

        if (s->engine && !s->dead)
                engine_observe(s->engine, 0, &o);
}

void sim_start(Sim *s)
{
        if (!s->running && !s->starting)
                service_start(s);
}

void sim_known_arrives(Sim *s, size_t message)
{
        const SimMessage *m = &s->messages[message];
        char path[40];
        const Observation o = { .kind = OBSERVATION_ARRIVAL, .arrival = path };

        snprintf(path, sizeof(path), "/%u/%s", m->store, m->id);
        if (s->engine && !s->dead)
                engine_observe(s->engine, 0, &o);
}

void sim_operator_stop(Sim *s)
{
        s->stopped_by_operator = true;
        service_kill(s);
}
