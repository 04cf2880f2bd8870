/*
 * engine - facts in, time, start and stop
 *
 * Each call from outside is framed by engine_enter(), which reads the clock once, and engine_leave(), which
 * asks for the next wake-up: so everything in one wake-up sees the same moment, and nothing is polled.
 *
 * While no incident is open, findings of diagnose become events. While one is open, facts feed the trial
 * under way; the machine hears of an operator's stop, and of nothing else.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "engine_watch.h"

#include "diagnose/probes.h"
#include "model/json.h"

#include <stdio.h>
#include <string.h>

#define RESUME_WAIT     (3 * USEC_PER_SEC)
#define PROGRESS_PERIOD (500 * USEC_PER_MSEC)
#define BASELINE_PERIOD USEC_PER_HOUR

void engine_enter(Engine *e)
{
        e->now = e->ports.now(e->ports.userdata);
}

static usec_t earlier(usec_t a, usec_t b)
{
        return a < b ? a : b;
}

static usec_t watch_deadline(const Watch *w)
{
        usec_t now = w->engine->now.mono;
        usec_t at = earlier(diagnosis_deadline(w->diagnosis), w->put_off ? w->put_off : USEC_INFINITY);

        if (w->watching)
                at = earlier(at, trial_deadline(&w->trial, now));
        if (state_is_recovering(w->incident.state) && w->incident.state != STATE_PAUSED &&
            w->incident.deadline)
                at = earlier(at, w->incident.deadline);
        if (w->incident.state == STATE_PAUSED)
                at = earlier(at, w->paused_until);
        if (w->pending.active && w->pending.failed && !w->pending.under_way)
                at = earlier(at, w->pending.retry_at);
        if (w->resuming)
                at = earlier(at, w->resume_at);
        if (w->acting)
                at = earlier(at, usec_add(now, PROGRESS_PERIOD));
        if (w->failed_at)
                at = earlier(at, w->look_due);
        return earlier(at, watch_held_until(w));
}

void engine_leave(Engine *e)
{
        usec_t at = USEC_INFINITY;

        for (size_t k = 0; k < e->n_watches; k++) {
                watch_tell_sources(&e->watches[k]);
                at = earlier(at, watch_deadline(&e->watches[k]));
        }
        e->ports.wake_at(e->ports.userdata, at);
}

void watch_incident_id(const Watch *w, char buf[INCIDENT_ID_MAX])
{
        time_t t = (time_t)(w->engine->now.wall / USEC_PER_SEC);
        struct tm tm;
        char stamp[24];

        gmtime_r(&t, &tm);
        strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
        snprintf(buf, INCIDENT_ID_MAX, "%s-%06u-%zu", stamp, (unsigned)(w->engine->now.wall % USEC_PER_SEC),
                 w->index);
}

/* Mail stood still for @since before it was seen; 0: it stands still from now on. */
static void outage_begin(Watch *w, usec_t since)
{
        usec_t start = usec_sub(w->engine->now.wall, since);

        if (!w->down_since)
                w->down_since = start;
}

static void outage_end(Watch *w)
{
        usec_t now = w->engine->now.wall;

        if (w->down_since) {
                w->outage += usec_sub(now, w->down_since);
                w->down_since = 0;
        }
}

/* What diagnose found, as an event of the machine. */
static void take_finding(Watch *w, const Finding *f)
{
        Event ev = { .reason = f->reason, .symptom = f->symptom.kind, .alive = w->run == RUN_RUNNING };

        if (f->verdict == VERDICT_UNCHANGED)
                return;
        w->finding = *f;
        if (f->new_symptom) {
                (void)watch_record_symptom(w, &f->symptom);
                watch_note(w, f->reason, "symptom %s: %s", symptom_kind_to_string(f->symptom.kind),
                           f->symptom.detail);
                watch_explain_symptom(w, &f->symptom);
        }
        switch (f->verdict) {
        case VERDICT_HEALTHY:
                ev.kind = EVENT_HEALTHY;
                w->waits_for = REASON_NONE;
                outage_end(w);
                break;
        case VERDICT_SUSPECT:
                ev.kind = EVENT_SUSPECTED;
                /* In a trial it is the mail that was released. */
                if (w->watching && f->reason == REASON_CHILD_DIED)
                        trial_fault(&w->trial, SYMPTOM_CRASHED, w->engine->now.mono);
                if (f->reason == diagnosis_conditions(w->diagnosis)->held)
                        watch_wait(w, f->reason);
                break;
        case VERDICT_FAULT:
                ev.kind = EVENT_FAULT;
                w->waits_for = REASON_NONE;
                outage_begin(w, f->symptom.kind == SYMPTOM_STALLED ? w->settings->stall.after : 0);
                watch_incident_id(w, ev.id);
                if (w->watching)
                        trial_fault(&w->trial, f->symptom.kind, w->engine->now.mono);
                break;
        case VERDICT_STAND_DOWN:
                ev.kind = EVENT_STAND_DOWN;
                flaps_clear(&w->flaps);
                if (f->reason == REASON_SHUTDOWN)
                        w->shutdown = true;
                break;
        case VERDICT_UNCHANGED:
        case _VERDICT_MAX:
        case _VERDICT_INVALID:
                return;
        }
        if (w->shutdown)
                return;
        if (state_is_recovering(w->incident.state) && (ev.kind != EVENT_STAND_DOWN || !w->watching)) {
                w->missed = !w->watching && (f->verdict == VERDICT_FAULT || f->verdict == VERDICT_HEALTHY);
                return;
        }
        watch_hold_back(w, &ev);
        watch_event(w, &ev);
}

/* unjamd is the parent of an embedded service: it starts it when it finds it stopped. */
static void start_embedded(Watch *w, const Observation *o)
{
        if (o->kind == OBSERVATION_SERVICE && o->service.run == RUN_STOPPED &&
            w->settings->manager == MANAGER_EMBEDDED && !w->first_start) {
                w->first_start = true;
                watch_operate_itself(w, ACTION_START);
        }
}

/* Cause checks while all is well: what fails even now is no veto later. */
static void check_baseline(Watch *w)
{
        usec_t now = w->engine->now.mono;

        if (w->settings->n_causes == 0 || w->finding.verdict != VERDICT_HEALTHY || now < w->check_at)
                return;
        w->check_at = usec_add(now, BASELINE_PERIOD);
        watch_operate_itself(w, ACTION_COLLECT);
}

/* During a trial: what the manager says decides at once. */
static void trial_take_status(Watch *w, const ServiceStatus *s)
{
        usec_t now = w->engine->now.mono;

        switch (s->run) {
        case RUN_RUNNING:
                if (s->started_by_other)
                        trial_void(&w->trial);
                break;
        case RUN_FAILED:
        case RUN_RESTARTING:
                trial_fault(&w->trial, SYMPTOM_CRASHED, now);
                break;
        case RUN_STOPPED:
                if (!s->operator_stop)
                        trial_fault(&w->trial, SYMPTOM_CRASHED, now);
                break;
        case RUN_UNKNOWN:
        case RUN_STARTING:
        case RUN_STOPPING:
        case _RUN_STATE_MAX:
        case _RUN_STATE_INVALID:
                break;
        }
}

/*
 * How many messages have left since the last report. Each store's first report of a trial is a new
 * beginning that knows nothing of what left while the service was starting: that is what was in the stores
 * and is no more.
 */
static uint64_t trial_departures(Watch *w, const ProgressStatus *p)
{
        uint64_t rest = diagnosis_waiting(w->diagnosis) + w->trial.departed + p->departed;
        size_t n = w->settings->n_stores;

        if (p->store >= n || n > 64)
                return p->departed; /* what left earlier is not told, and the trial takes its full time */
        w->reported |= UINT64_C(1) << p->store;
        if (w->reported != UINT64_MAX >> (64 - n) || rest >= w->released)
                return p->departed;
        return p->departed + w->released - rest;
}

void watch_begin_trial(Watch *w)
{
        const ServiceSettings *s = w->settings;
        TrialConfig config = {
                .settle = s->recovery.settle,
                .verify = w->incident.state == STATE_VERIFYING ? s->recovery.verify : 0,
                .failing_after = w->incident.failing_after,
                .notice = w->incident.symptom == SYMPTOM_UNRESPONSIVE ? probes_notice(s->probes, s->n_probes)
                                                                      : 0,
                .stall_after = s->stall.enabled ? s->stall.after : 0,
                .patience = w->patience,
                .hang = w->incident.hang,
        };

        w->missed = false; /* that was about another run */
        trial_begin(&w->trial, &config, w->engine->now.mono);
        trial_up(&w->trial, diagnosis_is_up(w->diagnosis), w->engine->now.mono);
        trial_progress(&w->trial, diagnosis_waiting(w->diagnosis), 0, false, w->engine->now.mono);
        w->reported = 0;
        watch_set_watching(w, true);
        w->ports.refresh(w->ports.userdata, w->index);
}

static void count_open(void *userdata, const SeenFile *f)
{
        Watch *w = userdata;
        const char *id;
        size_t store, len;

        if (f->open && actuator_resolve(w->ports.actuator, f->path, &store, &id, &len) == 0)
                trial_inflight(&w->trial, true);
}

void watch_judge(Watch *w)
{
        Event ev = { .reason = REASON_NONE };
        bool explained;

        watch_gate_again(w);
        if (!w->watching)
                return;
        trial_inflight(&w->trial, false);
        trial_excused(&w->trial, hang_is_excused(diagnosis_hang(w->diagnosis)), w->engine->now.mono);
        if (trial_asks_inflight(&w->trial, w->engine->now.mono))
                w->ports.history(w->ports.userdata, w->index, false, count_open, w);
        switch (trial_judge(&w->trial, w->engine->now.mono)) {
        case TRIAL_RUNNING:
                return;
        case TRIAL_HEALTHY:
                ev.kind = EVENT_TRIAL_HEALTHY;
                outage_end(w);
                break;
        case TRIAL_FAILED:
                if (watch_is_explained(w, &explained))
                        return;
                if (explained) {
                        w->trial.outcome = TRIAL_VOID; /* and so it is on record */
                        w->trial.reason = REASON_TRIAL_VOID;
                        ev.kind = EVENT_TRIAL_VOID;
                        break;
                }
                ev.kind = EVENT_TRIAL_FAILED;
                ev.symptom = w->trial.failure;
                ev.failing_after = w->trial.failed_after;
                outage_begin(w, symptom_is_hang(w->trial.failure) ? w->trial.failed_after : 0);
                break;
        case TRIAL_VOID:
                ev.kind = EVENT_TRIAL_VOID;
                break;
        case _TRIAL_OUTCOME_MAX:
        case _TRIAL_OUTCOME_INVALID:
                return;
        }
        ev.reason = w->trial.reason;
        watch_set_watching(w, false);
        watch_trial_ended(w);
        watch_event(w, &ev);
}

static void watch_resume(Watch *w)
{
        Event ev = { .kind = EVENT_RESUMED, .reason = REASON_RESUMED, .alive = w->run == RUN_RUNNING };

        w->resuming = false;
        if (w->incident.pending) {
                (void)watch_record(w, AUDIT_OUTCOME,
                                   json_pack("{s:s, s:s, s:s, s:{s:I}}", "action",
                                             action_kind_to_string(w->incident.action), "result", "unknown",
                                             "reason", reason_to_string(REASON_RESUMED), "data", "action_seq",
                                             (json_int_t)w->incident.seq));
        }
        watch_event(w, &ev);
}

void engine_observe(Engine *e, size_t service, const Observation *fact)
{
        Watch *w = &e->watches[service];
        Finding finding = { .verdict = VERDICT_UNCHANGED };
        Condition list[CONDITIONS_MAX];
        Observation copy = *fact, *o = &copy;

        engine_enter(e);
        if (o->kind == OBSERVATION_CONDITIONS)
                watch_take_conditions(w, o, list);
        if (o->kind == OBSERVATION_SERVICE)
                w->run = o->service.run;
        if (o->kind == OBSERVATION_HOST && o->host.shutdown)
                w->shutdown = true;
        if (!(o->kind == OBSERVATION_LOG && watch_log_is_late(w, &o->log)) &&
            diagnosis_feed(w->diagnosis, o, &e->now, &finding) < 0)
                watch_note(w, REASON_UNEXPECTED, "an observation of kind %s could not be taken in",
                           observation_kind_to_string(o->kind));
        if (o->kind == OBSERVATION_LOG)
                watch_take_log(w, &o->log);
        if (o->kind == OBSERVATION_ARRIVAL)
                watch_take_arrival(w, o->arrival);
        if (w->watching && o->kind == OBSERVATION_SERVICE)
                trial_take_status(w, &o->service);
        if (w->watching && o->kind == OBSERVATION_PROGRESS)
                trial_progress(&w->trial, diagnosis_waiting(w->diagnosis), trial_departures(w, &o->progress),
                               o->progress.moved, e->now.mono);
        if (w->watching) {
                trial_up(&w->trial, diagnosis_is_up(w->diagnosis), e->now.mono);
                if (diagnosis_is_up(w->diagnosis))
                        outage_end(w);
        }
        if (w->resuming) {
                if (o->kind == OBSERVATION_SERVICE && w->run != RUN_UNKNOWN && w->run != RUN_STARTING)
                        watch_resume(w);
        } else {
                watch_operation_resume(w);
                take_finding(w, &finding);
                watch_take_warning(w);
                watch_judge(w);
                start_embedded(w, o);
                check_baseline(w);
                watch_next_arrival(w);
        }
        engine_leave(e);
}

static void watch_tick(Watch *w)
{
        usec_t now = w->engine->now.mono;
        Finding finding = { .verdict = VERDICT_UNCHANGED };
        Event ev;

        watch_commit_retry(w);
        if (w->resuming) {
                if (now >= w->resume_at)
                        watch_resume(w);
                return;
        }
        if (diagnosis_deadline(w->diagnosis) <= now &&
            diagnosis_tick(w->diagnosis, &w->engine->now, &finding) == 0)
                take_finding(w, &finding);
        watch_tell_held(w);
        watch_judge(w);
        check_baseline(w);
        if (w->incident.state == STATE_PAUSED && now >= w->paused_until) {
                watch_note(w, REASON_OPERATOR, "the pause has ended");
                watch_unpause(w);
        } else if (state_is_recovering(w->incident.state) && w->incident.deadline &&
                   now >= w->incident.deadline) {
                ev = (Event){ .kind = EVENT_OVERDUE, .reason = REASON_BUDGET_TIME };
                w->incident.deadline = USEC_INFINITY; /* said once */
                watch_event(w, &ev);
        }
        if (w->acting) {
                json_t *progress = watch_progress(w);

                if (progress) {
                        (void)json_set(progress, "text",
                                       json_string(action_kind_to_string(w->incident.action)));
                        watch_publish(w, "progress", progress);
                }
        }
}

void engine_tick(Engine *e)
{
        engine_enter(e);
        for (size_t k = 0; k < e->n_watches; k++)
                watch_tick(&e->watches[k]);
        engine_leave(e);
}

/* A lock counts too: each start that ends in a crash may leave one behind for the next. */
static bool has_rebuildable(const ServiceSettings *s)
{
        for (size_t k = 0; k < s->n_stores; k++)
                if (strv_length(s->stores[k].rebuildable) > 0 || s->stores[k].n_rebuild > 0 ||
                    s->stores[k].n_locks > 0)
                        return true;
        return false;
}

static bool has_native(const ServiceSettings *s)
{
        for (size_t k = 0; k < s->n_stores; k++)
                if (s->stores[k].quarantine_native)
                        return true;
        return false;
}

static int watch_init(Watch *w, Engine *e, size_t index, const ServicePorts *ports)
{
        const ServiceSettings *s = &e->settings->services[index];

        *w = (Watch){ .engine = e,
                      .index = index,
                      .settings = s,
                      .ports = *ports,
                      .queue = e->queues + index * QUEUE_MAX };
        w->ladder = (Ladder){ .restarts = s->recovery.restarts,
                              .max_trials = s->recovery.max_trials,
                              .n_stores = s->n_stores,
                              .has_rebuildable = has_rebuildable(s),
                              .native = has_native(s),
                              .max_time = s->recovery.max_time };
        w->since = e->now.wall;
        return diagnosis_new(&w->diagnosis, s);
}

int engine_new(Engine **ret, Settings *settings, const EnginePorts *ports, const ServicePorts *services)
{
        Engine *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->settings = settings_ref(settings);
        e->ports = *ports;
        e->now = ports->now(ports->userdata);
        e->watches = calloc(settings->n_services ? settings->n_services : 1, sizeof(*e->watches));
        e->queues = calloc(settings->n_services ? settings->n_services : 1, QUEUE_MAX * sizeof(*e->queues));
        if (!e->watches || !e->queues) {
                engine_free(e);
                return -ENOMEM;
        }
        for (size_t k = 0; k < settings->n_services; k++) {
                r = watch_init(&e->watches[k], e, k, &services[k]);
                e->n_watches = k + 1;
                if (r < 0) {
                        engine_free(e);
                        return r;
                }
        }
        *ret = e;
        return 0;
}

static void watch_deinit(Watch *w)
{
        watch_forget_search(w);
        roster_deinit(&w->roster);
        message_set_deinit(&w->suspects);
        message_set_deinit(&w->tried);
        message_set_deinit(&w->held);
        memory_deinit(&w->memory);
        json_decref(w->culprits);
        json_decref(w->why);
        json_decref(w->records);
        json_decref(w->pending.records);
        watch_operation_clear(w);
        strv_free(w->arrivals);
        watch_forget_notes(w);
        watch_forget_named(w);
        diagnosis_free(w->diagnosis);
}

Engine *engine_free(Engine *e)
{
        if (!e)
                return NULL;
        for (size_t k = 0; k < e->n_watches; k++)
                watch_deinit(&e->watches[k]);
        free(e->watches);
        free(e->queues);
        settings_unref(e->settings);
        free(e);
        return NULL;
}

int engine_start(Engine *e)
{
        engine_enter(e);
        for (size_t k = 0; k < e->n_watches; k++) {
                Watch *w = &e->watches[k];
                bool resume = false;
                int r = watch_load(w, &resume);

                if (r < 0) {
                        watch_forget_incident(w);
                        w->incident = (Incident){ .state = STATE_ESCALATED, .reason = REASON_INTENT_UNKNOWN };
                        watch_note(w, REASON_INTENT_UNKNOWN, "what was written down cannot be read: %s",
                                   strerror(-r));
                        watch_alert(w, ALERT_STATE_DAMAGED,
                                    "the memory of this service in state_dir cannot be read: look at "
                                    "its hold, then `unjamctl recover`");
                } else if (resume) {
                        w->resuming = true;
                        w->resume_at = usec_add(e->now.mono, RESUME_WAIT);
                } else if (w->incident.state == STATE_SUSPECT) {
                        w->incident.state = STATE_HEALTHY;
                }
        }
        engine_leave(e);
        return 0;
}

void engine_disk_stuck(Engine *e, const char *what, usec_t since)
{
        char text[160], length[32];

        engine_enter(e);
        snprintf(text, sizeof(text), "a disk does not answer: %s has waited for %s", what,
                 usec_format(length, sizeof(length), usec_sub(e->now.mono, since)));
        for (size_t k = 0; k < e->n_watches; k++)
                if (e->watches[k].acting) {
                        watch_note(&e->watches[k], REASON_ACTION_FAILED, "%s", text);
                        watch_alert(&e->watches[k], ALERT_DISK_STUCK, text);
                }
        engine_leave(e);
}

static void daemon_committed(void *userdata, int r)
{
        Engine *e = userdata;

        const Alert alert = { .kind = ALERT_RECORD_UNAVAILABLE, .text = "the audit trail cannot be written" };

        if (r < 0)
                alert_send(&e->ports.alerts, &alert);
}

static int engine_commit(Engine *e, AuditEvent event, json_t *members, CommitDone done, void *userdata)
{
        AuditRecord record = { .event = event,
                               .members = members,
                               .wall = e->ports.now(e->ports.userdata).wall };
        Commit c = { .records = &record, .n_records = 1 };

        return recorder_commit(e->ports.recorder, &c, done, userdata);
}

int engine_record(Engine *e, AuditEvent event, json_t *members)
{
        return engine_commit(e, event, members, daemon_committed, e);
}

int engine_stop(Engine *e, CommitDone done, void *userdata)
{
        for (size_t k = 0; k < e->n_watches; k++)
                e->watches[k].shutdown = true;
        return engine_commit(e, AUDIT_DAEMON_STOPPED, NULL, done, userdata);
}

bool engine_is_idle(const Engine *e)
{
        for (size_t k = 0; k < e->n_watches; k++) {
                const Watch *w = &e->watches[k];

                if (w->pending.active || w->acting || w->put_off || w->resuming || w->recording ||
                    (state_is_recovering(w->incident.state) && w->incident.state != STATE_PAUSED) ||
                    (w->incident.state == STATE_PAUSED && state_is_recovering(w->incident.paused_from)))
                        return false;
        }
        return true;
}
