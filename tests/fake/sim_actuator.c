/*
 * sim_actuator - the actuator of the simulation: what the real one promises, done in memory
 *
 * It asserts the promises as it goes: nothing is moved while the service lives, nobody starts it unguarded.
 */
#include "fake/sim_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACT_TIME (10 * USEC_PER_MSEC)

static bool alive(const Sim *s)
{
        return s->running || s->starting || s->hung;
}

static Inventory inventory(Sim *s, Roster *roster)
{
        bool first = roster->n == 0;
        Inventory v = { 0 };

        roster->pass++;
        for (size_t k = 0; k < s->n_messages; k++) {
                SimMessage *m = &s->messages[k];
                uint32_t i;
                int r = roster_find(roster, m->store, m->id, strlen(m->id), &i);

                if (r != 0 && m->place == 0)
                        continue;
                if (r != 0) {
                        assert(roster_add(roster, m->store, m->id, strlen(m->id), &i) == 0);
                        roster->entries[i].flags |= first ? MESSAGE_BEFORE : MESSAGE_ARRIVED;
                        v.arrived += !first;
                }
                roster->entries[i].place = m->place;
                if (m->place & PLACE_HOLD)
                        roster->entries[i].flags |= MESSAGE_WAS_HELD;
                if (m->place == 0 && !(roster->entries[i].flags & (MESSAGE_CONSUMED | MESSAGE_LOST)))
                        roster->entries[i].flags |= s->ran ? MESSAGE_CONSUMED : MESSAGE_LOST;
                v.in_store += !!(m->place & PLACE_STORE);
                v.in_hold += !!(m->place & PLACE_HOLD);
                v.in_quarantine += !!(m->place & PLACE_QUARANTINE);
                v.vanished += m->place == 0;
        }
        s->ran = alive(s);
        return v;
}

static bool in_set(const Sim *s, const SimMessage *m)
{
        uint32_t i;

        return s->action.set && roster_find(s->action.roster, m->store, m->id, strlen(m->id), &i) == 0 &&
               message_set_has(s->action.set, i);
}

static void place(Sim *s)
{
        for (size_t k = 0; k < s->n_messages; k++) {
                SimMessage *m = &s->messages[k];
                bool held = in_set(s, m);

                if (held && (m->place & PLACE_STORE)) {
                        assert(!alive(s));
                        m->place = PLACE_HOLD;
                } else if (!held && (m->place & PLACE_HOLD)) {
                        assert(!alive(s));
                        m->place = PLACE_STORE;
                }
        }
}

static void set_aside(Sim *s)
{
        assert(!alive(s));
        for (size_t k = 0; k < s->n_messages; k++)
                if ((s->messages[k].place & PLACE_STORE) &&
                    (s->action.store == STORE_ALL || s->messages[k].store == s->action.store))
                        s->messages[k].place = PLACE_HOLD;
}

/* Ended between two slices: the first half has been moved. */
static void move_in_part(Sim *s, Outcome *o)
{
        size_t n = s->n_messages;

        s->n_messages = n / 2;
        if (s->action.kind == ACTION_SET_ASIDE)
                set_aside(s);
        else
                place(s);
        s->n_messages = n;
        s->interrupted = false;
        o->result = RESULT_FAILED;
        o->reason = REASON_INTERRUPTED;
}

static void quarantine(Sim *s, Outcome *o, Message *messages)
{
        size_t n = 0;

        for (size_t k = 0; k < s->n_messages && n < 32; k++) {
                SimMessage *m = &s->messages[k];

                if (!in_set(s, m))
                        continue;
                if (m->place == PLACE_STORE && alive(s))
                        continue; /* nothing is taken from under a live service */
                m->place = PLACE_QUARANTINE;
                messages[n++] =
                        (Message){ .id = m->id, .store = s->settings->services[0].stores[m->store].name };
        }
        o->messages = messages;
        o->n_messages = n;
}

/* The quarantine id of the simulation is the message's own. */
static void operate(Sim *s, Outcome *o, Message *messages)
{
        for (size_t k = 0; k < s->n_messages; k++) {
                SimMessage *m = &s->messages[k];

                if (strcmp(m->id, s->action.quarantine) != 0 || !(m->place & PLACE_QUARANTINE))
                        continue;
                m->place = o->kind == ACTION_RELEASE ? PLACE_STORE : 0;
                messages[0] =
                        (Message){ .id = m->id, .store = s->settings->services[0].stores[m->store].name };
                o->messages = messages;
                o->n_messages = 1;
                return;
        }
        o->result = RESULT_FAILED;
        o->detail = "no such message in quarantine";
}

/* A known culprit that has arrived, if it is still there. */
static void catch (Sim *s, Outcome *o, Message *messages)
{
        for (size_t k = 0; k < s->n_messages; k++) {
                SimMessage *m = &s->messages[k];

                if (strcmp(m->id, strrchr(s->action.target, '/') + 1) != 0 || !(m->place & PLACE_STORE))
                        continue;
                m->place = PLACE_QUARANTINE;
                messages[0] = (Message){ .id = m->id,
                                         .store = s->settings->services[0].stores[m->store].name,
                                         .native = true };
                o->messages = messages;
                o->n_messages = 1;
        }
}

/* The evidence of a process that holds the message open. */
static void fill_evidence(Sim *s, Evidence *e, ProcessEvidence *p, OpenFile *f, char *path)
{
        *e = (Evidence){ .processes = p, .n_processes = 1 };
        *p = (ProcessEvidence){
                .id = { .pid = 100, .start = 1 }, .state = 'S', .name = "imcd", .command = "imcd"
        };
        if (s->config.sees_inflight && s->inflight != SIZE_MAX) {
                sprintf(path, "/%u/%s", s->messages[s->inflight].store, s->messages[s->inflight].id);
                *f = (OpenFile){ .fd = 3, .path = path, .inode = s->inflight };
                p->files = f;
                p->n_files = 1;
        }
}

static void act(Sim *s, Outcome *o, Message *messages)
{
        switch (s->action.kind) {
        case ACTION_GUARD:
        case ACTION_UNGUARD:
                s->guarded = s->action.kind == ACTION_GUARD;
                break;
        case ACTION_STOP:
                if (s->config.stop_hangs && alive(s)) {
                        o->result = RESULT_TIMEOUT;
                        o->reason = REASON_STOP_TIMEOUT;
                } else {
                        service_kill(s);
                }
                break;
        case ACTION_KILL:
                if (s->config.unkillable) {
                        o->result = RESULT_FAILED;
                        o->reason = REASON_UNKILLABLE;
                } else {
                        service_kill(s);
                }
                break;
        case ACTION_PLACE:
        case ACTION_RESTORE:
                place(s);
                break;
        case ACTION_SET_ASIDE:
                set_aside(s);
                break;
        case ACTION_PURGE:
                assert(!alive(s));
                s->purged = true;
                break;
        case ACTION_QUARANTINE:
                quarantine(s, o, messages);
                break;
        case ACTION_CATCH:
                catch (s, o, messages);
                break;
        case ACTION_RELEASE:
        case ACTION_DELETE:
                operate(s, o, messages);
                break;
        case ACTION_START:
                assert(s->action.incident[0] == '\0' || s->guarded);
                s->ran = true;
                if (!alive(s))
                        service_start(s);
                o->invocation = "run";
                if (s->config.starts_never_end)
                        o->result = RESULT_TIMEOUT;
                break;
        case ACTION_NONE:
        case ACTION_COLLECT:
        case ACTION_WATCH:
        case ACTION_PLAN:
        case ACTION_CLOSE:
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                break;
        }
}

static void perform_end(Sim *s, void *data)
{
        Outcome o = { .kind = s->action.kind, .seq = s->action.seq, .result = RESULT_DONE };
        OutcomeHandler done = s->done;
        Message messages[32];
        CauseResult cause = {
                .kind = CAUSE_NOT_CONFIGURED, .effect = EFFECT_VETO, .found = true, .known = true
        };
        Evidence evidence;
        ProcessEvidence process;
        OpenFile file;
        char path[64];

        (void)data;
        if (sim_moment(s))
                return;
        if (s->config.stranger &&
            (o.kind == ACTION_PLACE || o.kind == ACTION_SET_ASIDE || o.kind == ACTION_PURGE)) {
                o.result = RESULT_FAILED;
                o.reason = REASON_STRANGER;
        } else if (s->interrupted) {
                move_in_part(s, &o);
        } else {
                act(s, &o, messages);
        }
        if (o.kind == ACTION_COLLECT) {
                fill_evidence(s, &evidence, &process, &file, path);
                o.evidence = &evidence;
                o.alive = alive(s);
                o.causes = s->config.veto && s->action.with_causes ? &cause : NULL;
                o.n_causes = o.causes ? 1 : 0;
        }
        if (o.kind != ACTION_GUARD && o.kind != ACTION_UNGUARD && o.kind != ACTION_STOP &&
            o.kind != ACTION_KILL && o.kind != ACTION_START && o.kind != ACTION_PURGE) {
                o.inventory = inventory(s, s->action.roster);
                o.has_inventory = true;
        }
        if (sim_moment(s))
                return;
        s->done = NULL;
        done(s->userdata, &o);
}

static int perform(Actuator *a, const Action *action, OutcomeHandler done, void *userdata)
{
        Sim *s = (Sim *)((char *)a - offsetof(Sim, actuator));

        if (sim_moment(s))
                return 0;
        assert(!s->done);
        s->action = *action;
        s->done = done;
        s->userdata = userdata;
        if (action->kind != ACTION_COLLECT && action->kind != ACTION_CLOSE) {
                if (s->config.mode == MODE_OBSERVE) {
                        Outcome o = { .kind = action->kind, .seq = action->seq, .result = RESULT_OBSERVED };

                        s->done = NULL;
                        done(userdata, &o);
                        return 0;
                }
                s->n_acts++;
        }
        sim_timer(s, ACT_TIME, s->generation, perform_end, NULL);
        return 0;
}

static void progress(Actuator *a, uint64_t *ret_done, uint64_t *ret_total)
{
        (void)a;
        *ret_done = *ret_total = 0;
}

static void interrupt(Actuator *a)
{
        Sim *s = (Sim *)((char *)a - offsetof(Sim, actuator));

        assert(s->done);
        s->interrupted = true;
}

static int resolve(Actuator *a, const char *path, size_t *ret_store, const char **ret_id, size_t *ret_len)
{
        (void)a;
        *ret_store = (size_t)(path[1] - '0');
        *ret_id = path + 3;
        *ret_len = strlen(path + 3);
        return 0;
}

static const ActuatorOps ops = {
        .perform = perform, .progress = progress, .interrupt = interrupt, .resolve = resolve
};

ActionKind sim_acting(const Sim *s)
{
        return s->done ? s->action.kind : ACTION_NONE;
}

void sim_actuator_init(Sim *s)
{
        s->actuator.ops = &ops;
}
