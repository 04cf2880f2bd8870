/*
 * sim - virtual time, the recorder in memory, and the life and death of the engine
 */
#include "fake/sim_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_START (UINT64_C(1767225600) * USEC_PER_SEC) /* 2026-01-01 */

void sim_timer(Sim *s, usec_t delay, unsigned generation, void (*run)(Sim *s, void *data), void *data)
{
        assert(s->n_timers < SIM_TIMERS);
        s->timers[s->n_timers++] =
                (SimTimer){ .at = s->now + delay, .run = run, .data = data, .generation = generation };
}

bool sim_moment(Sim *s)
{
        if (s->dead)
                return true;
        s->moments++;
        if (s->kill_at && --s->kill_at == 0)
                sim_timer(s, 1, 0, service_killed, NULL);
        if (s->crash_at && --s->crash_at == 0) {
                s->dead = true;
                return true;
        }
        return false;
}

/* ---- recorder ---- */

static void commit_done(Sim *s, void *data)
{
        SimCommit *c = data;

        if (!sim_moment(s))
                c->done(c->userdata, c->r);
        free(c);
}

/* As on disk: what is behind the offset goes, the block comes. */
static void memory_write(Sim *s, const MemoryWrite *w)
{
        SimMemory *m = &s->memory[0];

        if (w->generation != m->generation) {
                free(s->memory[1].log);
                s->memory[1] = *m;
                *m = (SimMemory){ .generation = w->generation };
        }
        assert(w->offset <= m->len);
        m->len = w->offset + MEMORY_BLOCK_HEADER + w->len;
        m->log = realloc(m->log, m->len);
        assert(m->log);
        memcpy(m->log + w->offset, &w->len, sizeof(w->len));
        memcpy(m->log + w->offset + MEMORY_BLOCK_HEADER, w->block, w->len);
}

static int recorder_recall_one(Recorder *r, const char *service, uint64_t generation, uint64_t length,
                               MemoryVisitor visit, void *userdata)
{
        const Sim *s = (const Sim *)((char *)r - offsetof(Sim, recorder));
        const SimMemory *m = &s->memory[s->memory[0].generation != generation];
        size_t len;

        (void)service;
        assert(m->generation == generation && length <= m->len);
        for (size_t at = 0; at < length; at += MEMORY_BLOCK_HEADER + len) {
                int k;

                memcpy(&len, m->log + at, sizeof(len));
                k = visit(userdata, m->log + at + MEMORY_BLOCK_HEADER, len);
                if (k < 0)
                        return k;
        }
        return 0;
}

static int commit(Recorder *r, Commit *c, CommitDone done, void *userdata)
{
        Sim *s = (Sim *)((char *)r - offsetof(Sim, recorder));
        SimCommit *pending = calloc(1, sizeof(*pending));
        bool dies = sim_moment(s);

        *pending = (SimCommit){ .done = done, .userdata = userdata, .r = s->commit_error };
        if (c->memory.block && !dies) /* also of a commit that fails afterwards */
                memory_write(s, &c->memory);
        free(c->memory.block);
        if (!dies && s->commit_error == 0) {
                if (c->service && c->snapshot)
                        json_object_set(s->snapshots, c->service, c->snapshot);
                else if (c->service)
                        json_object_del(s->snapshots, c->service);
        }
        for (size_t k = 0; k < c->n_records; k++) {
                json_t *o = c->records[k].members ? json_deep_copy(c->records[k].members) : json_object();

                json_decref(c->records[k].members);
                json_object_set_new(o, "event", json_string(audit_event_to_string(c->records[k].event)));
                if (c->records[k].incident)
                        json_object_set_new(o, "incident", json_string(c->records[k].incident));
                if (!dies && s->commit_error == 0) {
                        json_array_append(s->records, o);
                        s->counts[c->records[k].event]++;
                }
                json_decref(o);
        }
        json_decref(c->snapshot);
        sim_timer(s, 500, s->generation, commit_done, pending);
        return 0;
}

static int recorder_load_one(Recorder *r, const char *service, json_t **ret)
{
        Sim *s = (Sim *)((char *)r - offsetof(Sim, recorder));

        *ret = json_deep_copy(json_object_get(s->snapshots, service));
        return 0;
}

static const RecorderOps recorder_ops = { .commit = commit,
                                          .load = recorder_load_one,
                                          .recall = recorder_recall_one };

/* ---- ports ---- */

static Now port_now(void *userdata)
{
        Sim *s = userdata;

        return (Now){ .mono = s->now, .wall = WALL_START + s->now };
}

static void port_wake_at(void *userdata, usec_t mono)
{
        ((Sim *)userdata)->wake_at = mono;
}

static int port_reload(void *userdata, char **ret_error)
{
        (void)userdata;
        *ret_error = strdup("there is nothing to reload");
        return -EINVAL;
}

static void refresh(Sim *s, void *data)
{
        (void)data;
        s->departed = 0;
        service_report(s);
        service_progress(s);
}

static void port_refresh(void *userdata, size_t service)
{
        Sim *s = userdata;

        (void)service;
        sim_timer(s, 1000, s->generation, refresh, NULL);
}

static void port_expect(void *userdata, size_t service, bool ours, const char *invocation)
{
        (void)userdata;
        (void)service;
        (void)ours;
        (void)invocation;
}

static void port_history(void *userdata, size_t service, bool mark, SeenFileHandler handler, void *data)
{
        const Sim *s = userdata;
        char path[64];
        SeenFile f = { .path = path, .open = true };

        (void)service;
        (void)mark;
        if (!handler || !s->config.sees_inflight || s->inflight == SIZE_MAX)
                return;
        snprintf(path, sizeof(path), "/%u/%s", s->messages[s->inflight].store, s->messages[s->inflight].id);
        handler(data, &f);
}

static void port_canaries(void *userdata, size_t service, bool allowed)
{
        Sim *s = userdata;

        (void)service;
        s->canaries = allowed;
}

static void port_watch(void *userdata, size_t service, bool waiting, bool closely)
{
        Sim *s = userdata;

        (void)service;
        (void)waiting;
        s->looks_closely = closely;
}

static void look_done(Sim *s, void *data)
{
        const Condition c = { .reason = s->condition,
                              .id = reason_to_string(s->condition),
                              .text = "so it is" };
        const Observation o = { .kind = OBSERVATION_CONDITIONS,
                                .conditions = { .list = &c, .n = s->condition != REASON_NONE } };

        (void)data;
        engine_observe(s->engine, 0, &o);
}

static void port_look(void *userdata, size_t service)
{
        Sim *s = userdata;

        (void)service;
        s->looks++;
        sim_timer(s, 1000, s->generation, look_done, NULL);
}

bool sim_canaries(const Sim *s)
{
        return s->canaries;
}

unsigned sim_looks(const Sim *s)
{
        return s->looks;
}

void sim_condition(Sim *s, Reason reason, bool kills)
{
        s->condition = reason;
        s->condition_kills = kills;
        if (kills && s->running)
                sim_die(s, NULL);
}

static void port_hurry(void *userdata, size_t service, bool on)
{
        (void)userdata;
        (void)service;
        (void)on;
}

void sim_engine_start(Sim *s)
{
        EnginePorts ports = { .recorder = &s->recorder,
                              .now = port_now,
                              .wake_at = port_wake_at,
                              .reload = port_reload,
                              .userdata = s };
        ServicePorts service = { .actuator = &s->actuator,
                                 .refresh = port_refresh,
                                 .expect = port_expect,
                                 .history = port_history,
                                 .hurry = port_hurry,
                                 .canaries = port_canaries,
                                 .conditions = port_look,
                                 .look = port_watch,
                                 .userdata = s };

        s->generation++;
        s->dead = false;
        s->wake_at = USEC_INFINITY;
        s->done = NULL;
        assert(engine_new(&s->engine, s->settings, &ports, &service) == 0);
        assert(engine_start(s->engine) == 0);
        if (s->config.looks)
                port_look(s, 0);
        service_report(s);
        service_progress(s);
}

void sim_crash(Sim *s)
{
        s->engine = engine_free(s->engine);
        /* what the dead one had asked for never comes back to it */
        for (size_t k = 0; k < s->n_timers;)
                if (s->timers[k].generation == s->generation) {
                        if (s->timers[k].run == commit_done)
                                free(s->timers[k].data);
                        s->timers[k] = s->timers[--s->n_timers];
                } else {
                        k++;
                }
        s->ran = true;
        sim_engine_start(s);
}

/* ---- time ---- */

static size_t next_timer(const Sim *s)
{
        size_t best = SIZE_MAX;

        for (size_t k = 0; k < s->n_timers; k++)
                if (best == SIZE_MAX || s->timers[k].at < s->timers[best].at)
                        best = k;
        return best;
}

void sim_run(Sim *s, usec_t until)
{
        for (;;) {
                size_t k;

                if (s->dead)
                        sim_crash(s);
                k = next_timer(s);
                if (s->wake_at < (k == SIZE_MAX ? USEC_INFINITY : s->timers[k].at)) {
                        if (s->wake_at > until)
                                break;
                        s->now = s->wake_at > s->now ? s->wake_at : s->now + 1;
                        engine_tick(s->engine);
                } else {
                        SimTimer t;

                        if (k == SIZE_MAX || s->timers[k].at > until)
                                break;
                        t = s->timers[k];
                        s->timers[k] = s->timers[--s->n_timers];
                        s->now = t.at > s->now ? t.at : s->now;
                        t.run(s, t.data);
                }
        }
        if (s->now < until)
                s->now = until;
}

bool sim_run_closed(Sim *s, usec_t limit)
{
        size_t before = sim_count(s, AUDIT_INCIDENT_CLOSED);

        while (s->now < limit && sim_count(s, AUDIT_INCIDENT_CLOSED) == before)
                sim_run(s, s->now + 10 * USEC_PER_MSEC);
        return sim_count(s, AUDIT_INCIDENT_CLOSED) > before;
}

usec_t sim_now(const Sim *s)
{
        return s->now;
}

/* ---- making, asking ---- */

static void make_settings(Sim *s)
{
        const SimConfig *c = &s->config;
        Settings *t = calloc(1, sizeof(*t));
        ServiceSettings *v = calloc(1, sizeof(*v));

        t->n_ref = 1;
        t->services = v;
        t->n_services = 1;
        v->name = strdup("imc");
        v->mode = c->mode;
        v->manager = MANAGER_SYSTEMD;
        v->start_timeout = 30 * USEC_PER_SEC;
        v->stop_timeout = 20 * USEC_PER_SEC;
        v->kill_timeout = 10 * USEC_PER_SEC;
        v->stall = (StallSettings){ .enabled = true, .after = 120 * USEC_PER_SEC };
        v->crash_windows = calloc(1, sizeof(*v->crash_windows));
        v->crash_windows[0] = (CrashWindow){ .count = 3, .within = 2 * USEC_PER_MIN };
        v->n_crash_windows = 1;
        v->n_stores = c->n_stores ? c->n_stores : 1;
        v->stores = calloc(v->n_stores, sizeof(*v->stores));
        for (size_t k = 0; k < v->n_stores; k++) {
                v->stores[k].name = strdup(k ? "mta" : "imcdata");
                v->stores[k].layout.flat = true;
                v->stores[k].queue_lifetime = 5 * USEC_PER_DAY;
        }
        v->rules = calloc(1, sizeof(*v->rules));
        v->rules[0] = (RuleSettings){
                .name = strdup("imc-4037"), .count = 1, .within = USEC_PER_MIN, .symptom = SYMPTOM_CRASHED
        };
        v->n_rules = 1;
        if (c->rebuildable || c->bad_state)
                strv_append(&v->stores[0].rebuildable, "/queue.dat");
        v->recovery = (RecoverySettings){ .restarts = 1,
                                          .confidence = 0.99,
                                          .max_per_hour = c->max_per_hour ? c->max_per_hour : 3,
                                          .max_trials = c->max_trials ? c->max_trials : 128,
                                          .max_time = 30 * USEC_PER_MIN,
                                          .settle = 5 * USEC_PER_SEC,
                                          .verify = 60 * USEC_PER_SEC };
        v->recovery.arrival = c->arrivals_per_day > 0;
        v->recovery.arrival_per_day = c->arrivals_per_day;
        s->settings = t;
}

Sim *sim_new(const SimConfig *config)
{
        Sim *s = calloc(1, sizeof(*s));

        s->config = *config;
        s->config.each = config->each ? config->each : 2000;
        s->config.start_time = config->start_time ? config->start_time : 100 * USEC_PER_MSEC;
        s->recorder.ops = &recorder_ops;
        s->snapshots = json_object();
        s->records = json_array();
        s->inflight = SIZE_MAX;
        s->ran = true;
        make_settings(s);
        sim_actuator_init(s);
        for (size_t k = 0; k < config->n_messages; k++)
                sim_arrive(s, 0);
        for (size_t k = 0; k < s->n_messages; k++)
                s->messages[k].arrived = false;
        service_start(s);
        sim_engine_start(s);
        return s;
}

void sim_free(Sim *s)
{
        for (size_t k = 0; k < s->n_timers; k++)
                if (s->timers[k].run == commit_done)
                        free(s->timers[k].data);
        engine_free(s->engine);
        settings_unref(s->settings);
        json_decref(s->snapshots);
        free(s->memory[0].log);
        free(s->memory[1].log);
        json_decref(s->records);
        json_decref(s->reply);
        free(s->messages);
        free(s);
}

size_t sim_count(const Sim *s, AuditEvent event)
{
        return s->counts[event];
}

const json_t *sim_last(const Sim *s, AuditEvent event)
{
        for (size_t k = json_array_size(s->records); k > 0; k--) {
                json_t *o = json_array_get(s->records, k - 1);

                if (strcmp(json_string_value(json_object_get(o, "event")), audit_event_to_string(event)) == 0)
                        return o;
        }
        return NULL;
}

const json_t *sim_records(const Sim *s)
{
        return s->records;
}

typedef struct SimReply {
        ControlReply port;
        Sim *sim;
} SimReply;

static void answer(ControlReply *port, bool ok, json_t *body)
{
        Sim *s = ((SimReply *)port)->sim;

        json_decref(s->reply);
        s->reply = body;
        s->reply_ok = ok;
}

static SimReply the_reply = { .port = { .answer = answer } };

const json_t *sim_ask(Sim *s, const char *verb, json_t *args, bool *ret_ok)
{
        ControlRequest request = { .verb = verb, .args = args, .may_act = true, .peer = "uid 0 pid 1" };

        json_decref(s->reply);
        s->reply = NULL;
        the_reply.sim = s;
        engine_handle(s->engine, &request, &the_reply.port);
        for (unsigned k = 0; k < 100 && !s->reply; k++)
                sim_run(s, s->now + 10 * USEC_PER_MSEC);
        json_decref(args);
        if (ret_ok)
                *ret_ok = s->reply_ok;
        return s->reply;
}

void sim_crash_at(Sim *s, unsigned n)
{
        s->crash_at = n;
}

void sim_kill_at(Sim *s, unsigned n)
{
        s->kill_at = n;
}

unsigned sim_moments(const Sim *s)
{
        return s->moments;
}

void sim_fail_commits(Sim *s, int error)
{
        s->commit_error = error < 0 ? error : -error;
}

const SimMessage *sim_message(const Sim *s, size_t i)
{
        return &s->messages[i];
}

size_t sim_n_messages(const Sim *s)
{
        return s->n_messages;
}

bool sim_looks_closely(const Sim *s)
{
        return s->looks_closely;
}

bool sim_running(const Sim *s)
{
        return s->running;
}

unsigned sim_acts(const Sim *s)
{
        return s->n_acts;
}
