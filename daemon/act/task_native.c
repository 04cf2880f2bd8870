/*
 * task_native - the server's own hold: its commands, run between two looks at the disk
 *
 *      spool worker: offer, withdraw    what is to be done, the intent on disk
 *      runner:       the command        without a shell, at most native.timeout long
 *      spool worker: settle, withdrawn  where is the message now? (act/spool_native.c)
 *
 * How the command ended is a hint; where the message is, decides. A command that could not be started, that
 * failed, or that was killed at its limit leaves the culprit in our own quarantine, with
 * REASON_NATIVE_REFUSED on record, and ends no recovery. An operator's release or delete that does not
 * succeed has failed, and the message is where it was.
 *
 * Called by service_actuator. Test: tests/unit/test_service_actuator.c
 */
#include "act/task.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/json.h"
#include "model/native.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How it ended, in words; NULL: well. The caller's. */
static char *complaint_of(const RunResult *r)
{
        char *text = NULL;
        int n = 0;

        if (r->error < 0)
                n = asprintf(&text, "the command could not be started: %s", strerror(-r->error));
        else if (r->timed_out)
                n = asprintf(&text, "the command did not end in time, and was killed");
        else if (r->signal)
                n = asprintf(&text, "the command was ended by signal %d", r->signal);
        else if (r->exit_code != 0)
                n = asprintf(&text, "the command ended with status %d", r->exit_code);
        return n < 0 ? NULL : text;
}

static void ran(void *userdata, const RunResult *result);

/* Runs the command of t->native that @argv is the template of; ran() hears of it in any case. */
static void command_run(Task *t, char *const *argv)
{
        const StoreSettings *store = t->owner->config.service->stores + t->native.store;
        RunResult failed = { .output = "" };
        int r;

        strv_free(t->native_command);
        t->native_command = NULL;
        r = native_command(argv, t->native.id, &t->native_command);
        if (r == 0)
                r = task_run(t, "native", t->native_command, store->native.timeout, ran);
        if (r == 0)
                return;
        failed.error = r;
        ran(t, &failed);
}

static const NativeSettings *native_settings(const Task *t)
{
        return &t->owner->config.service->stores[t->native.store].native;
}

/* --- into it --- */

static void next(Task *t);

/* The record of one that the server holds now. */
static int message_add(Task *t)
{
        Message *messages = reallocarray(t->messages, t->n_messages + 1, sizeof(*messages));

        if (!messages)
                return -ENOMEM;
        t->messages = messages;
        if (strv_append(&t->message_ids, t->native.quarantine) < 0)
                return -ENOMEM;
        messages[t->n_messages++] = t->native.message;
        t->native.message = (Message){};
        return 0;
}

/* Why one is in our quarantine still, on record. */
static int refusal_add(Task *t)
{
        json_t *list = json_object_get(t->data, "native_refused");

        t->refused = true;
        if (!t->detail && asprintf(&t->detail, "%s stays in unjamd's own quarantine: %s",
                                   t->native.quarantine, t->native.refusal) < 0)
                t->detail = NULL;
        if (!list) {
                list = json_array();
                if (json_set(t->data, "native_refused", list) < 0)
                        return -ENOMEM;
        }
        return json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "quarantine",
                                                     json_from_text(t->native.quarantine), "id",
                                                     json_from_text(t->native.id), "why",
                                                     json_from_text(t->native.refusal))) < 0
                       ? -ENOMEM
                       : 0;
}

static void settled(Task *t, int r)
{
        if (r == 0)
                r = t->native.held ? message_add(t) : refusal_add(t);
        if (r == 0)
                r = strv_append(&t->native_seen, t->native.quarantine);
        spool_native_deinit(&t->native);
        if (r < 0)
                task_finish_errno(t, r);
        else
                next(t);
}

static int work_settle(Task *t)
{
        SpoolReport report = { .data = t->data };
        int r = spool_native_settle(t->owner->spool, &t->native, t->complaint, &report);

        task_take_detail(t, &report);
        return r;
}

static void finished(Task *t, int r)
{
        if (r == 0 && t->refused)
                task_finish(t, RESULT_DONE, REASON_NATIVE_REFUSED);
        else
                task_finish_errno(t, r);
}

static void offered(Task *t, int r)
{
        if (r < 0)
                task_finish_errno(t, r);
        else if (!t->native.quarantine)
                finished(t, 0);
        else if (t->native.run)
                command_run(t, native_settings(t)->hold);
        else
                settled(t, 0);
}

/* When there is no more of them, the places are looked at once more: that is what the ledger counts. */
static int work_offer(Task *t)
{
        SpoolReport report = { .data = t->data };
        int r = spool_native_offer(t->owner->spool, t->action.incident, t->action.native, t->native_seen,
                                   &t->native, &report);

        task_take_detail(t, &report);
        return r == 0 && !t->native.quarantine && t->native_seen ? task_inventory(t) : r;
}

static void next(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_offer, offered);
}

void task_native(Task *t)
{
        if (t->owner->config.service->n_stores > 0)
                next(t);
        else
                finished(t, 0);
}

/* --- out of it --- */

static int work_withdrawn(Task *t)
{
        SpoolReport report = { .data = t->data };
        int r = spool_native_withdrawn(t->owner->spool, &t->native, t->complaint, &report);

        task_take_detail(t, &report);
        return r == 0 ? message_add(t) : r;
}

static int work_withdraw(Task *t)
{
        SpoolReport report = { .data = t->data };
        int r = task_open_spool(t);

        t->native.delete = t->action.kind == ACTION_DELETE;
        t->native.again = t->action.again;
        t->native.elsewhere = t->action.target != NULL;
        if (r == 0)
                r = spool_native_withdraw(t->owner->spool, t->action.quarantine, &t->native, &report);
        task_take_detail(t, &report);
        if (r == 0 && !t->native.run) {
                r = json_set(t->data, "already", json_true());
                return r == 0 ? message_add(t) : r;
        }
        return r;
}

/* It is ours after all, and does not go back beside a server that runs. */
static bool is_mistaken(const Task *t)
{
        return t->action.kind == ACTION_RELEASE && t->action.native && !t->owner->dead;
}

static void withdrawing(Task *t, int r)
{
        if (r == SPOOL_E_OURS && is_mistaken(t)) {
                t->detail = strdup("the server does not hold it");
                task_finish(t, RESULT_FAILED, REASON_ACTION_FAILED);
                return;
        }
        if (r == SPOOL_E_OURS || r == SPOOL_E_NONE) /* who says that there is none, says so there */
                task_operate_ours(t);
        else if (r == 0 && t->native.run)
                command_run(t, t->action.kind == ACTION_DELETE ? native_settings(t)->remove
                                                               : native_settings(t)->release);
        else
                task_released(t, r);
}

void task_native_operate(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_withdraw, withdrawing);
}

/* --- on arrival --- */

static void caught(Task *t, int r)
{
        if (r == SPOOL_E_NONE) { /* the server was faster */
                task_finish(t, RESULT_DONE, REASON_NONE);
                return;
        }
        if (r == 0 && t->native.run) {
                command_run(t, native_settings(t)->hold);
                return;
        }
        if (r == 0 && t->native.held)
                r = message_add(t);
        if (r == 0 && t->native.refusal) {
                t->detail = t->native.refusal;
                t->native.refusal = NULL;
                task_finish(t, RESULT_FAILED, REASON_NATIVE_REFUSED);
                return;
        }
        task_finish_errno(t, r);
}

static int work_catch(Task *t)
{
        SpoolReport report = { .data = t->data };
        int r = task_open_spool(t);

        t->native.again = t->action.again;
        if (r == 0)
                r = spool_native_catch(t->owner->spool, t->action.target, &t->native, &report);
        task_take_detail(t, &report);
        return r;
}

static int work_caught(Task *t)
{
        SpoolReport report = { .data = t->data };
        int r = spool_native_caught(t->owner->spool, &t->native, t->complaint, &report);

        task_take_detail(t, &report);
        return r;
}

void task_catch(Task *t)
{
        task_submit(t, t->owner->config.spool_worker, work_catch, caught);
}

static void ran(void *userdata, const RunResult *result)
{
        Task *t = userdata;

        t->run = NULL;
        if (t->native_command)
                task_record_run(t, "native", t->native_command, result);
        free(t->complaint);
        t->complaint = complaint_of(result);
        if (t->action.kind == ACTION_RESTORE)
                task_submit(t, t->owner->config.spool_worker, work_settle, settled);
        else if (t->action.kind == ACTION_CATCH)
                task_submit(t, t->owner->config.spool_worker, work_caught, caught);
        else
                task_submit(t, t->owner->config.spool_worker, work_withdrawn, task_released);
}
