/*
 * task_move - actions on messages: hold, set aside, quarantine, back again
 *
 * Each is one job in the spool worker: an inventory (what has the service consumed?), strangers waited for,
 * the move, an inventory of what came of it. Full records are made of messages while they are few.
 *
 * Called by service_actuator. Test: tests/unit/test_service_actuator.c
 */
#include "act/task.h"

#include "base/text.h"
#include "model/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FULL_RECORDS_MAX 20 /* digests are read from disk: only for the few that are suspected */

void task_take_detail(Task *t, SpoolReport *report)
{
        if (!report->detail)
                return;
        free(t->detail);
        t->detail = report->detail;
        report->detail = NULL;
}

/* Records of the messages that a PLACE of few now holds. */
static int describe_held(Task *t)
{
        const MessageSet *set = t->action.set;
        const Roster *roster = t->action.roster;
        size_t n = set ? message_set_count(set) : 0;
        MessageSet held = {};
        int r = 0;

        if (t->action.kind != ACTION_PLACE || n == 0 || n > FULL_RECORDS_MAX)
                return 0;
        for (uint32_t k = 0; r == 0 && k < roster->n; k++)
                if (message_set_has(set, k) && roster->entries[k].place & PLACE_HOLD)
                        r = message_set_add(&held, k);
        if (r == 0)
                r = spool_messages(t->owner->spool, t->action.incident, roster, &held, &t->messages,
                                   &t->n_messages);
        message_set_deinit(&held);
        /* Records are for people; what was moved is moved. */
        return r == -ENOMEM ? r : 0;
}

static int quarantine(Task *t, SpoolReport *report)
{
        const Action *a = &t->action;
        SpoolQuarantine q = { .incident = a->incident, .roster = a->roster, .set = a->set, .why = a->data };
        int r = spool_quarantine(t->owner->spool, &q, report);

        if (r < 0)
                return r;
        t->messages = q.messages;
        t->message_ids = q.ids;
        t->n_messages = q.n;
        return 0;
}

static int move(Task *t, SpoolReport *report)
{
        static const MessageSet nothing; /* to be held: all of it goes back */
        const Action *a = &t->action;
        Spool *spool = t->owner->spool;

        switch (a->kind) {
        case ACTION_PLACE:
        case ACTION_RESTORE:
                t->moved_back = true;
                return spool_place(spool, a->incident, a->roster, a->set ? a->set : &nothing, STORE_ALL,
                                   report);
        case ACTION_SET_ASIDE:
                return spool_set_aside(spool, a->incident, a->roster, a->store, report);
        case ACTION_QUARANTINE:
                return quarantine(t, report);
        case ACTION_NONE:
        case ACTION_COLLECT:
        case ACTION_GUARD:
        case ACTION_STOP:
        case ACTION_KILL:
        case ACTION_PURGE:
        case ACTION_START:
        case ACTION_WATCH:
        case ACTION_PLAN:
        case ACTION_UNGUARD:
        case ACTION_CLOSE:
        case ACTION_RELEASE:
        case ACTION_DELETE:
        case ACTION_CATCH:
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                break;
        }
        return -EINVAL;
}

/* Suspects are held, but for canaries. */
static int sift(Task *t)
{
        const CanaryKey *key = t->owner->config.canary_key;
        Action *a = &t->action;
        int r;

        if (!a->spare_canaries || !key || !a->set)
                return 0;
        r = sift_canaries(t->owner->spool, key, a->incident, a->roster, a->set, &t->sifted);
        if (r == 0)
                a->set = &t->sifted;
        return r;
}

static int work_move(Task *t)
{
        ServiceActuator *owner = t->owner;
        SpoolReport report = { .data = t->data, .job = &t->job, .live = !owner->dead };
        int r = task_open_spool(t);

        if (r == 0 && t->action.kind == ACTION_RESTORE && owner->dead)
                r = spool_native_recall(owner->spool, t->action.incident, &report);
        task_take_detail(t, &report);
        if (r == 0)
                r = task_inventory(t);
        if (r == 0 && owner->dead)
                r = task_wait_for_strangers(t);
        if (r < 0)
                return r;
        report.still_at = t->still_at;
        r = sift(t);
        if (r == 0)
                r = move(t, &report);
        task_take_detail(t, &report);
        if (r < 0)
                return r;
        r = task_inventory(t);
        return r == 0 ? describe_held(t) : r;
}

static void move_done(Task *t, int r)
{
        ServiceActuator *a = t->owner;

        if (t->action.kind == ACTION_SET_ASIDE && r == 0 && a->config.service->n_stores > 0) {
                r = manifest_begin(t);
                if (r < 0) {
                        a->manifest.under_way = false;
                        task_finish_errno(t, r);
                        return;
                }
        }
        if (t->action.kind == ACTION_RESTORE && r == 0 && a->dead) {
                a->returned = true;
                task_native(t);
                return;
        }
        if (t->moved_back && r == 0) {
                if (!a->dead) {
                        task_announce(t);
                        return;
                }
                a->returned = true; /* the start that follows tells it */
        }
        task_finish_errno(t, r);
}

void task_move(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_move, move_done);
}

static int work_close(Task *t)
{
        SpoolReport report = { .data = t->data, .job = &t->job };
        int r = task_inventory(t);

        if (r == 0 && t->owner->config.service->n_stores > 0)
                r = spool_tidy(t->owner->spool, t->action.incident, &report);
        task_take_detail(t, &report);
        return r;
}

void task_close(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_close, task_finish_errno);
}

static int work_operate(Task *t)
{
        SpoolReport report = { .data = t->data, .job = &t->job };
        const Action *a = &t->action;
        int r = task_open_spool(t);

        if (r < 0)
                return r;
        t->messages = calloc(1, sizeof(*t->messages));
        if (!t->messages)
                return -ENOMEM;
        if (a->kind == ACTION_DELETE)
                r = spool_delete(t->owner->spool, a->quarantine, &t->messages[0], &report);
        else
                r = spool_release(t->owner->spool, a->quarantine, a->target, &t->messages[0], &report);
        if (r == SPOOL_E_NONE && a->again) { /* it was done, and unjamd ended before it could say so */
                free(report.detail);
                r = spool_receipt(t->owner->spool, a->quarantine, &t->messages[0]);
                if (r < 0)
                        return r;
                t->n_messages = r == 0;
                return json_set(t->data, "already", json_true());
        }
        if (r == SPOOL_E_NONE)
                r = -ENOENT;
        task_take_detail(t, &report);
        if (r == 0)
                t->n_messages = 1;
        return r;
}

void task_released(Task *t, int r)
{
        if (r == 0 && t->action.kind == ACTION_RELEASE && !t->action.target) {
                if (!t->owner->dead) {
                        task_announce(t);
                        return;
                }
                t->owner->returned = true;
        }
        task_finish_errno(t, r);
}

void task_operate_ours(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_operate, task_released);
}
