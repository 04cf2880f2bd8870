/*
 * engine_condition - what of the host explains a failure
 *
 * While no incident is open, diagnose holds a fault back as long as a condition explains it, and this file
 * only tells people. In an incident, a trial or a start that fails while a condition forbids to act says
 * nothing about the mail: it is void, and repeated when the condition has ended. Nothing is decided on it
 * meanwhile; the incident's deadline goes on.
 *
 * Test: tests/scenario/test_conditions_scenario.c
 */
#include "engine_watch.h"
#include "model/json.h"

#include <stdio.h>
#include <string.h>

static CauseKind cause_of(Reason reason)
{
        return reason == REASON_DISK_FULL         ? CAUSE_DISK_FULL
               : reason == REASON_DEPENDENCY_DOWN ? CAUSE_DEPENDENCY_DOWN
               : reason == REASON_MAINTENANCE     ? CAUSE_MAINTENANCE
               : reason == REASON_MEMORY_PRESSURE ? CAUSE_MEMORY_PRESSURE
                                                  : _CAUSE_KIND_INVALID;
}

static bool is_down(const Watch *w)
{
        return w->run == RUN_STOPPED || w->run == RUN_FAILED || w->run == RUN_RESTARTING ||
               (state_is_recovering(w->incident.state) && w->incident.state != STATE_DIAGNOSING);
}

void watch_take_conditions(Watch *w, Observation *o, Condition *list)
{
        static char text[CONDITIONS_MAX][CONDITION_TEXT_MAX];
        Engine *e = w->engine;
        size_t n = o->conditions.n < CONDITIONS_MAX ? o->conditions.n : CONDITIONS_MAX;

        memcpy(list, o->conditions.list, n * sizeof(*list));
        for (size_t k = 0; w->settings->depends_on && w->settings->depends_on[k] && n < CONDITIONS_MAX; k++)
                for (size_t i = 0; i < e->n_watches && n < CONDITIONS_MAX; i++) {
                        const Watch *other = &e->watches[i];

                        if (other == w || strcmp(other->settings->name, w->settings->depends_on[k]) != 0 ||
                            !is_down(other))
                                continue;
                        snprintf(text[n], sizeof(text[n]), "the service %s, which it depends on, is down",
                                 other->settings->name);
                        list[n] = (Condition){ .reason = REASON_DEPENDENCY_DOWN,
                                               .id = text[n],
                                               .text = text[n] };
                        n++;
                }
        o->conditions = (ConditionsStatus){ .list = list, .n = n };
}

static void record_cause(Watch *w, CauseKind kind, CauseEffect effect, const char *detail)
{
        CauseResult cause = { .kind = kind,
                              .effect = effect,
                              .check = SIZE_MAX,
                              .found = true,
                              .known = true,
                              .detail = (char *)detail };

        (void)watch_record(w, AUDIT_CAUSE, json_pack("{s:o}", "data", cause_result_to_json(&cause)));
}

void watch_explain_symptom(Watch *w, const Symptom *s)
{
        if (!s->out_of_memory)
                return;
        watch_note(w, REASON_EVIDENCE, "the kernel killed it for want of memory");
        record_cause(w, CAUSE_OUT_OF_MEMORY, EFFECT_NOTE, "the kernel killed it for want of memory");
}

void watch_wait(Watch *w, Reason reason)
{
        const char *detail = diagnosis_conditions(w->diagnosis)->text;
        char text[320];

        if (w->waits_for == reason)
                return;
        w->waits_for = reason;
        snprintf(text, sizeof(text), "nothing is done for now: %s", detail);
        watch_note(w, reason, "%s", text);
        watch_alert(w, ALERT_WAITING, text);
        record_cause(w, cause_of(reason), EFFECT_VETO, detail);
}

bool watch_is_explained(Watch *w, bool *ret_explained)
{
        Conditions *c = diagnosis_conditions(w->diagnosis);
        usec_t now = w->engine->now.mono;

        *ret_explained = false;
        if (!w->failed_at)
                w->failed_at = now;
        if (!conditions_known(c, w->failed_at, now, &w->look_due))
                return true;
        if (c->reason != REASON_NONE) {
                watch_wait(w, c->reason);
                if (!w->pending.active && !w->acting && json_array_size(w->records) > 0)
                        watch_commit_operation(w, ACTION_NONE);
                return true;
        }
        *ret_explained = w->waits_for != REASON_NONE;
        w->waits_for = REASON_NONE;
        w->failed_at = 0;
        w->look_due = USEC_INFINITY;
        return false;
}

void watch_gate_again(Watch *w)
{
        Event ev = w->gate;
        bool explained;

        if (!w->gated || w->pending.active || w->acting || watch_is_explained(w, &explained))
                return;
        w->gated = false;
        if (explained)
                ev = (Event){ .kind = EVENT_TRIAL_VOID, .reason = REASON_TRIAL_VOID, .alive = ev.alive };
        watch_event(w, &ev);
}

void watch_gate(Watch *w, const Event *ev)
{
        w->gated = true;
        w->gate = *ev;
        watch_gate_again(w);
}

void watch_take_warning(Watch *w)
{
        char text[320];

        if (!diagnosis_warning(w->diagnosis, text, sizeof(text)))
                return;
        watch_note(w, REASON_SLOW, "%s", text);
        watch_alert(w, ALERT_SLOW, text);
        if (!w->pending.active && !w->acting)
                watch_commit_operation(w, ACTION_NONE);
}
