/*
 * engine_outcome - hands an action to the actuator, and turns what it came to into the next event
 *
 * An outcome is put on record (with the next step's commit), its facts go into roster, suspects and search,
 * and the machine gets DONE, FAILED or OBSERVED. What the machine must know besides (a veto, suspects, what
 * is in hold) is computed here.
 *
 * Test: tests/scenario/test_recovery_scenario.c
 */
#include "base/cleanup.h"
#include "engine_watch.h"
#include "model/json.h"

#include <string.h>

static const char *action_word(ActionKind k)
{
        return action_kind_to_string(k);
}

/* Reads do not leave an outcome of their own: evidence, causes and the ledger are what they leave. */
static bool action_is_read(ActionKind k)
{
        return k == ACTION_COLLECT || k == ACTION_CLOSE;
}

static void record_outcome(Watch *w, const Outcome *o)
{
        json_t *m = json_pack("{s:s, s:s, s:{s:I}}", "action", action_word(o->kind), "result",
                              result_kind_to_string(o->result), "data", "action_seq", (json_int_t)o->seq);

        if (m && o->data)
                (void)json_object_update(json_object_get(m, "data"), o->data);
        if (m && o->has_inventory)
                (void)json_set(json_object_get(m, "data"), "inventory",
                               json_pack("{s:I, s:I, s:I, s:I, s:I}", "in_store",
                                         (json_int_t)o->inventory.in_store, "in_hold",
                                         (json_int_t)o->inventory.in_hold, "in_quarantine",
                                         (json_int_t)o->inventory.in_quarantine, "vanished",
                                         (json_int_t)o->inventory.vanished, "arrived",
                                         (json_int_t)o->inventory.arrived));
        if (m && o->reason != REASON_NONE)
                (void)json_set(m, "reason", json_string(reason_to_string(o->reason)));
        if (m && o->detail)
                (void)json_set(m, "error", json_from_text(o->detail));
        (void)watch_record(w, AUDIT_OUTCOME, m);
}

/*
 * In flight: perhaps repeated by the server, and a suspect, unless it is known that it is another process
 * that is hung.
 */
static void take_in_flight(Watch *w, uint32_t message, bool suspect)
{
        if (suspect)
                watch_suspect(w, message, MESSAGE_SUSPECT | MESSAGE_REPEATED);
        else
                w->roster.entries[message].flags |= MESSAGE_REPEATED;
}

/* What is known over time of the process that was looked at. */
static void take_verdict(Watch *w, ProcessEvidence *p)
{
        const HangWatch *hang = diagnosis_hang(w->diagnosis);
        const HangTrack *t;
        char why[192];

        p->verdict = hang_verdict(hang, &p->id, &t);
        p->why = t ? strdup(hang_describe(hang, t, p->verdict, why, sizeof(why))) : NULL;
}

/* The files that a process of the service holds open are in flight. */
static void take_open_files(Watch *w, const ProcessEvidence *p)
{
        bool suspect = !hang_has_holder(diagnosis_hang(w->diagnosis)) || process_verdict_is_hang(p->verdict);
        uint32_t message;

        if (p->stranger)
                return;
        for (size_t k = 0; k < p->n_files; k++)
                if (!p->files[k].deleted && watch_resolve(w, p->files[k].path, &message) == 0)
                        take_in_flight(w, message, suspect);
}

static void take_seen_file(void *userdata, const SeenFile *f)
{
        Watch *w = userdata;
        uint32_t message;

        /* Of a process that is hung, the evidence has the files. */
        if (f->open && watch_resolve(w, f->path, &message) == 0)
                take_in_flight(w, message, !hang_has_holder(diagnosis_hang(w->diagnosis)));
}

/* What was in flight at the stop or the kill: mail may have moved since the evidence was taken. */
static void take_cut_off(void *userdata, const SeenFile *f)
{
        Watch *w = userdata;
        uint32_t message;

        if (f->open && watch_resolve(w, f->path, &message) == 0)
                take_in_flight(w, message, false);
}

/* Which causes were looked for, whatever came of it: what was ruled out is worth knowing too. */
static json_t *checks_to_json(const Outcome *o)
{
        json_t *list = json_array();

        for (size_t k = 0; k < o->n_causes; k++)
                (void)json_array_append_new(
                        list, json_pack("{s:s?, s:b, s:b}", "cause",
                                        cause_kind_to_string((CauseKind)o->causes[k].kind), "found",
                                        o->causes[k].found, "known", o->causes[k].known));
        return list;
}

static void take_evidence(Watch *w, const Outcome *o)
{
        ServicePorts *ports = &w->ports;
        json_t *data;

        if (w->incident.state != STATE_ISOLATING || w->incident.failing)
                ports->history(ports->userdata, w->index, false, take_seen_file, w);
        if (!o->evidence)
                return;
        for (size_t k = 0; k < o->evidence->n_processes; k++)
                take_verdict(w, &o->evidence->processes[k]);
        /* After a healthy trial of the search nothing is being killed: what is open there is only at work. */
        if (w->incident.state != STATE_ISOLATING || w->incident.failing)
                for (size_t k = 0; k < o->evidence->n_processes; k++)
                        take_open_files(w, &o->evidence->processes[k]);
        data = evidence_to_json(o->evidence);
        if (data && o->n_causes > 0)
                (void)json_set(data, "checks", checks_to_json(o));
        (void)watch_record(w, AUDIT_EVIDENCE, data ? json_pack("{s:o}", "data", data) : NULL);
}

/* Is there anything that purging could put right? */
static bool can_purge(const Watch *w)
{
        bool recreate = false;

        for (size_t k = 0; k < w->settings->n_stores; k++)
                recreate = recreate || w->settings->stores[k].n_recreate > 0;
        return recreate || w->ladder.has_rebuildable;
}

static void take_causes(Watch *w, const Outcome *o, Event *ev)
{
        for (size_t k = 0; k < o->n_causes; k++) {
                const CauseResult *c = &o->causes[k];

                if (!c->found)
                        continue;
                (void)watch_record(w, AUDIT_CAUSE, json_pack("{s:o}", "data", cause_result_to_json(c)));
                if (c->effect == EFFECT_VETO) {
                        ev->veto = true;
                        ev->reason =
                                c->kind == CAUSE_OTHER_SUPERVISOR ? REASON_OTHER_SUPERVISOR : REASON_VETO;
                } else if (c->effect == EFFECT_REMEDY) {
                        if ((c->kind == CAUSE_REBUILDABLE_STATE || c->kind == CAUSE_STALE_LOCK) &&
                            can_purge(w))
                                ev->purge = true;
                        ev->messages = ev->messages || c->kind == CAUSE_STUCK_MESSAGES;
                }
        }
}

/* Budget and circumstances that forbid to act at all. */
static void check_permission(Watch *w, Event *ev)
{
        unsigned spent = 0;

        for (size_t k = 0; k < ELEMENTSOF(w->recoveries); k++)
                if (w->recoveries[k] && usec_add(w->recoveries[k], USEC_PER_HOUR) > w->engine->now.wall)
                        spent++;
        if (ev->veto)
                return;
        if (w->settings->observe_only != REASON_NONE && w->settings->mode == MODE_ACT) {
                ev->veto = true;
                ev->reason = w->settings->observe_only;
        } else if (spent >= w->settings->recovery.max_per_hour && w->incident.reason != REASON_OPERATOR) {
                ev->veto = true;
                ev->reason = REASON_BUDGET_HOUR;
        }
}

static void take_inventory(Watch *w, const Outcome *o, Event *ev)
{
        if (!o->has_inventory)
                return;
        ev->n_hold = o->inventory.in_hold;
        w->n_quarantined = o->inventory.in_quarantine;
        w->fresh = true;
        for (uint32_t k = 0; k < w->roster.n; k++)
                if ((w->roster.entries[k].flags & MESSAGE_SUSPECT) && w->roster.entries[k].place)
                        watch_suspect(w, k, MESSAGE_SUSPECT);
        watch_mark_named(w);
        w->memory_dirty = true;
}

/* Keeps the record of a culprit; one that was quarantined again after a restart of unjamd is the same one. */
static void take_culprit(Watch *w, json_t *m)
{
        json_t *other;
        size_t k;

        if (!w->culprits)
                w->culprits = json_array();
        json_array_foreach(w->culprits, k, other)
        {
                if (json_equal(json_object_get(other, "id"), json_object_get(m, "id")) &&
                    json_equal(json_object_get(other, "store"), json_object_get(m, "store"))) {
                        (void)json_array_set(w->culprits, k, m);
                        return;
                }
        }
        (void)json_array_append(w->culprits, m);
}

/* A message is in quarantine; after a RESTORE it has gone on from there into the server's own hold. */
static void take_quarantined(Watch *w, const Outcome *o, json_t *m)
{
        json_t *why = json_object_get(w->why, json_string_value(json_object_get(m, "id")));

        if (why)
                (void)json_object_update(m, why);
        take_culprit(w, m);
        watch_publish(w, "message", json_pack("{s:s, s:O}", "text", "quarantined", "message", m));
        if (o->kind == ACTION_QUARANTINE)
                watch_alert(w, ALERT_QUARANTINED,
                            "a message was quarantined: see `unjamctl quarantine list`");
        w->memory_dirty = true;
}

/* Full records of messages that were held or quarantined. */
static void take_messages(Watch *w, const Outcome *o)
{
        bool quarantined = o->kind == ACTION_QUARANTINE || o->kind == ACTION_RESTORE;
        AuditEvent event = quarantined ? AUDIT_MESSAGE_QUARANTINED : AUDIT_MESSAGE_HELD;

        if (o->kind == ACTION_RELEASE || o->kind == ACTION_DELETE)
                return; /* engine_control.c records these */
        for (size_t k = 0; k < o->n_messages; k++) {
                json_t *m = message_to_json(&o->messages[k]);

                if (m && o->message_ids && o->message_ids[k])
                        (void)json_set(m, "quarantine", json_string(o->message_ids[k]));
                if (m && quarantined)
                        take_quarantined(w, o, m);
                (void)watch_record(w, event, json_pack("{s:o}", "data", m));
        }
}

/* One record for each store that was set aside: how many messages, and the digest of their manifest. They
 * come with a later outcome: the manifest is made while the service runs. */
static void take_stores(Watch *w, const Outcome *o)
{
        json_t *store;
        size_t k;

        json_array_foreach(o->stores, k, store)(void)
                watch_record(w, AUDIT_STORE_HELD, json_pack("{s:O}", "data", store));
}

static void outcome_start(Watch *w, const Outcome *o)
{
        snprintf(w->invocation, sizeof(w->invocation), "%s", o->invocation ? o->invocation : "");
        w->ports.expect(w->ports.userdata, w->index, false, o->invocation);
        diagnosis_reset(w->diagnosis, &w->engine->now);
        w->ports.refresh(w->ports.userdata, w->index);
}

/* A start that failed is a failed trial: what it failed of, and when. */
static void start_failure(Watch *w, const Outcome *o, Event *ev)
{
        ev->symptom = o->result == RESULT_TIMEOUT ? SYMPTOM_START_HUNG : SYMPTOM_START_FAILED;
        ev->failing_after = usec_sub(w->engine->now.mono, w->started);
        watch_trial_ended(w);
}

static Event outcome_event(const Outcome *o)
{
        Event ev = { .kind = EVENT_FAILED, .reason = o->reason, .alive = o->alive };

        switch (o->result) {
        case RESULT_DONE:
                ev.kind = EVENT_DONE;
                break;
        case RESULT_OBSERVED:
                ev.kind = EVENT_OBSERVED;
                break;
        case RESULT_FAILED:
        case RESULT_TIMEOUT:
        case RESULT_UNKNOWN:
        case _RESULT_KIND_MAX:
        case _RESULT_KIND_INVALID:
                break;
        }
        return ev;
}

/* What an action of this kind leaves besides: facts for the record, the search and the event. */
static void take_facts(Watch *w, const Outcome *o, Event *ev)
{
        if (o->kind == ACTION_COLLECT) {
                take_evidence(w, o);
                take_causes(w, o, ev);
                check_permission(w, ev);
                if (w->incident.state == STATE_ISOLATING && watch_feed(w, w->incident.failing) < 0)
                        watch_alert(w, ALERT_RECORD_UNAVAILABLE, "out of memory: the search forgot a trial");
                ev->n_suspects = watch_fresh_suspects(w);
        } else if ((o->kind == ACTION_STOP || o->kind == ACTION_KILL) && ev->kind == EVENT_DONE) {
                w->ports.history(w->ports.userdata, w->index, false, take_cut_off, w);
        } else if (o->kind == ACTION_START) {
                outcome_start(w, o);
                if (ev->kind == EVENT_FAILED)
                        start_failure(w, o, ev);
        } else if (o->kind == ACTION_UNGUARD) {
                w->ports.expect(w->ports.userdata, w->index, false, NULL);
                if (ev->kind == EVENT_FAILED)
                        watch_alert(w, ALERT_ESCALATED,
                                    "the guard could not be taken away: see `unjamctl explain`");
        } else if (w->incident.rung == RUNG_RETURN &&
                   (o->kind == ACTION_RESTORE || o->kind == ACTION_RELEASE)) {
                watch_operation_ended(w, o);
        }
        if (o->kind == ACTION_QUARANTINE) /* after a reboot it does not, for it is guarded */
                ev->alive = w->run == RUN_RUNNING || w->run == RUN_STARTING;
}

static void on_outcome(void *userdata, const Outcome *o)
{
        Watch *w = userdata;
        Event ev;

        engine_enter(w->engine);
        w->acting = false;
        take_stores(w, o);
        if (w->operation.direct) {
                if (!action_is_read(o->kind))
                        record_outcome(w, o);
                watch_operation_ended(w, o);
                engine_leave(w->engine);
                return;
        }
        ev = outcome_event(o);
        if (w->refreshing) {
                w->refreshing = false;
                take_inventory(w, o, &ev);
                w->fresh = true; /* as good as it gets: the action looks once more */
                watch_run(w, &w->deferred);
                engine_leave(w->engine);
                return;
        }
        if (!action_is_read(o->kind))
                record_outcome(w, o);
        if (o->kind == ACTION_PLACE)
                watch_spare_canaries(w);
        take_inventory(w, o, &ev);
        take_messages(w, o);
        take_facts(w, o, &ev);
        if (o->result == RESULT_FAILED || o->result == RESULT_TIMEOUT || o->reason == REASON_NATIVE_REFUSED)
                watch_note(w, o->reason, "%s: %s%s%s", action_word(o->kind), result_kind_to_string(o->result),
                           o->detail ? ": " : "", o->detail ? o->detail : "");
        /* What it was ended for comes in place of its outcome. */
        if (o->result == RESULT_FAILED && o->reason == REASON_INTERRUPTED)
                (void)watch_take_word(w, &ev);
        if (o->kind == ACTION_START && ev.kind == EVENT_FAILED)
                watch_gate(w, &ev);
        else
                watch_event(w, &ev);
        engine_leave(w->engine);
}

/* What the service is given to work on. */
static uint64_t count_released(const Watch *w)
{
        uint64_t n = 0;

        for (uint32_t k = 0; k < w->roster.n; k++)
                n += (w->roster.entries[k].place & PLACE_STORE) != 0 &&
                     !(w->roster.entries[k].flags & MESSAGE_IGNORED);
        return n;
}

/* Before the action: what the sources must know, and the budgets that it spends. */
static void prepare(Watch *w, ActionKind kind)
{
        if (w->operation.direct)
                return;
        if (kind == ACTION_GUARD && w->incident.rung != RUNG_RETURN &&
            w->recoveries[0] < w->incident.opened) {
                for (size_t k = ELEMENTSOF(w->recoveries) - 1; k > 0; k--)
                        w->recoveries[k] = w->recoveries[k - 1];
                w->recoveries[0] = w->engine->now.wall;
        }
        if (kind == ACTION_SET_ASIDE || (kind == ACTION_PLACE && w->incident.rung == RUNG_SUSPECTS))
                watch_forget_search(w); /* of an earlier round: what it found is quarantined */
        if (kind == ACTION_STOP || kind == ACTION_KILL)
                diagnosis_expect_stop(w->diagnosis);
        if (kind == ACTION_GUARD || kind == ACTION_STOP || kind == ACTION_KILL || kind == ACTION_START)
                w->ports.expect(w->ports.userdata, w->index, true, NULL);
        if (kind == ACTION_START) {
                w->started = w->engine->now.mono;
                w->released = count_released(w);
                w->ports.history(w->ports.userdata, w->index, true, NULL, NULL);
                if (w->incident.rung <= RUNG_ISOLATE) {
                        (void)watch_record(w, AUDIT_TRIAL_STARTED,
                                           json_pack("{s:{s:i, s:s, s:I}}", "data", "trial",
                                                     (int)w->incident.trials, "rung",
                                                     rung_to_string(w->incident.rung), "held",
                                                     (json_int_t)message_set_count(&w->held)));
                        watch_publish(w, "trial",
                                      json_pack("{s:s, s:i, s:I}", "text", "started", "trial",
                                                (int)w->incident.trials, "held",
                                                (json_int_t)message_set_count(&w->held)));
                }
        }
}

/* The set of a RESTORE that is an operator's, or of an action that has none. */
static int action_fill(Watch *w, const Step *step, Action *a)
{
        if (a->kind == ACTION_SET_ASIDE)
                a->store = w->incident.store < w->ladder.n_stores ? w->incident.store : STORE_ALL;
        if (a->kind == ACTION_RESTORE && w->incident.rung == RUNG_RETURN &&
            w->operation.kind == ACTION_RELEASE)
                a->kind = ACTION_RELEASE;
        /* Mail of an earlier incident: it is looked for, and stays if it must, where that one has put it. */
        if (w->returning[0] && a->kind != ACTION_GUARD && a->kind != ACTION_UNGUARD)
                a->incident = w->returning;
        if (a->kind == ACTION_START && w->operation.direct)
                a->incident = ""; /* the first start of an embedded service belongs to none */
        a->again = w->operation.again;
        a->native = a->native || w->operation.native;
        a->quarantine = w->operation.quarantine;
        a->target = w->operation.target;
        if (w->operation.direct || w->incident.rung == RUNG_RETURN)
                return 0;
        if (a->kind == ACTION_QUARANTINE) {
                watch_mark_culprits(w);
                json_decref(w->why);
                w->why = watch_why(w);
                a->data = w->why;
        }
        return watch_who_is_held(w, a->kind, step->keep_open, &a->set);
}

void watch_perform(Watch *w, ActionKind kind, const Step *step)
{
        Action a = { .kind = kind,
                     .seq = w->incident.seq,
                     .incident = w->incident.id,
                     .store = STORE_ALL,
                     .with_causes = step->with_causes,
                     .core = w->finding.symptom.core,
                     .healthy = w->finding.verdict == VERDICT_HEALTHY && w->incident.state == STATE_HEALTHY,
                     .native = kind == ACTION_RESTORE &&
                               (w->incident.rung == RUNG_FINISH || w->incident.rung == RUNG_GIVE_UP),
                     .spare_canaries = kind == ACTION_PLACE && w->incident.rung == RUNG_SUSPECTS,
                     .roster = &w->roster };
        int r;

        prepare(w, kind);
        r = action_fill(w, step, &a);
        w->acting = true;
        w->counted_at = 0;
        if (r == 0)
                r = actuator_perform(w->ports.actuator, &a, on_outcome, w);
        if (r < 0) {
                Outcome o = { .kind = kind,
                              .seq = a.seq,
                              .result = RESULT_FAILED,
                              .reason = REASON_ACTION_FAILED,
                              .detail = strerror(-r) };

                on_outcome(w, &o);
        }
}

/* The trial is over: its record, and what it taught. */
void watch_trial_ended(Watch *w)
{
        Trial *t = &w->trial;
        bool started = t->started >= w->started && t->outcome != TRIAL_RUNNING;
        const char *outcome = started ? trial_outcome_to_string(t->outcome) : "failed";

        if (started && t->longest > w->patience)
                w->patience = t->longest;
        if (w->incident.rung > RUNG_ISOLATE)
                return;
        (void)watch_record(
                w, AUDIT_TRIAL_FINISHED,
                json_pack("{s:{s:i, s:s, s:s, s:I, s:I, s:s?}}", "data", "trial", (int)w->incident.trials,
                          "rung", rung_to_string(w->incident.rung), "outcome", outcome, "departed",
                          (json_int_t)(started ? t->departed : 0), "duration_ms",
                          (json_int_t)(usec_sub(w->engine->now.mono, w->started) / USEC_PER_MSEC), "failure",
                          started && t->outcome == TRIAL_FAILED ? symptom_kind_to_string(t->failure) : NULL));
        watch_publish(w, "trial",
                      json_pack("{s:s, s:i, s:I}", "text", outcome, "trial", (int)w->incident.trials,
                                "departed", (json_int_t)(started ? t->departed : 0)));
}
