/*
 * service_actuator - the Actuator on the real world
 *
 * Holds one Task at a time. Process control goes to the Manager at once; everything about messages runs in
 * the spool worker, everything about /proc in the proc worker. The outcome is reported from the loop, exactly
 * once.
 *
 * `dead` is what the manager proved last; `ran` tells an inventory whether messages that are gone were
 * consumed by the service or have vanished while it was dead.
 *
 * Failure: each errno becomes RESULT_FAILED with a detail that names the path; a stranger that holds a file
 * becomes REASON_STRANGER, a rename that a mount forbids REASON_RENAME_REFUSED.
 *
 * Test: tests/unit/test_service_actuator.c
 */
#include "act/task.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static void task_free(Task *t)
{
        free(t->processes);
        evidence_deinit(&t->evidence);
        for (size_t k = 0; k < t->n_messages; k++) {
                message_deinit(&t->messages[k]);
                if (t->message_ids)
                        free(t->message_ids[k]);
        }
        free(t->messages);
        free(t->message_ids);
        message_set_deinit(&t->sifted);
        spool_native_deinit(&t->native);
        strv_free(t->native_seen);
        strv_free(t->native_command);
        free(t->complaint);
        json_decref(t->data);
        free(t->detail);
        free(t->invocation);
        free(t);
}

static int task_run_job(Job *job)
{
        Task *t = (Task *)job;

        return t->work(t);
}

static void task_job_done(Job *job, int r)
{
        Task *t = (Task *)job;

        t->then(t, r);
}

void task_submit(Task *t, Worker *worker, int (*work)(Task *t), void (*then)(Task *t, int r))
{
        int r;

        t->work = work;
        t->then = then;
        t->job.run = task_run_job;
        t->job.done = task_job_done;
        r = worker_submit(worker, &t->job);
        if (r < 0)
                task_finish_errno(t, r);
}

void task_finish(Task *t, ResultKind result, Reason reason)
{
        ServiceActuator *a = t->owner;
        json_t *stores = manifest_take(a);
        Outcome o = { .kind = t->action.kind,
                      .seq = t->action.seq,
                      .result = result,
                      .reason = reason,
                      .detail = t->detail,
                      .alive = t->n_processes > 0,
                      .invocation = t->invocation,
                      .data = t->data,
                      .evidence = t->has_evidence ? &t->evidence : NULL,
                      .causes = t->causes,
                      .n_causes = t->n_causes,
                      .has_inventory = t->has_inventory,
                      .inventory = t->inventory,
                      .messages = t->messages,
                      .n_messages = t->n_messages,
                      .message_ids = (const char *const *)t->message_ids,
                      .stores = stores };

        a->task = NULL;
        t->done(t->userdata, &o);
        json_decref(stores);
        task_free(t);
}

static Reason reason_of_errno(int r)
{
        if (r == -EXDEV)
                return REASON_RENAME_REFUSED;
        if (r == -ECANCELED)
                return REASON_INTERRUPTED;
        return r == -EBUSY ? REASON_STRANGER : REASON_ACTION_FAILED;
}

void task_finish_errno(Task *t, int r)
{
        if (r >= 0) {
                task_finish(t, RESULT_DONE, REASON_NONE);
                return;
        }
        if (!t->detail)
                t->detail = strdup(strerror(-r));
        task_finish(t, RESULT_FAILED, reason_of_errno(r));
}

int task_open_spool(Task *t)
{
        ServiceActuator *a = t->owner;
        int r;

        if (a->spool)
                return 0;
        r = spool_new(&a->spool, a->config.service, a->config.disk);
        if (r < 0 && asprintf(&t->detail, "the stores cannot be opened: %s", strerror(-r)) < 0)
                t->detail = NULL;
        return r;
}

int task_inventory(Task *t)
{
        ServiceActuator *a = t->owner;
        Roster *roster = t->action.roster;
        SpoolReport report = { .inventory = &t->inventory, .data = t->data, .job = &t->job };
        int r = task_open_spool(t);

        if (r == 0) {
                t->inventory = (Inventory){ 0 };
                r = spool_inventory(a->spool, t->action.incident, roster, roster->n == 0, a->ran, &report);
        }
        if (report.detail) {
                free(t->detail);
                t->detail = report.detail;
        }
        if (r < 0)
                return r;
        t->has_inventory = true;
        a->ran = !a->dead;
        return 0;
}

/* What the manager did becomes the outcome. */
static void manager_done(void *userdata, const ManagerResult *m)
{
        Task *t = userdata;
        ServiceActuator *a = t->owner;
        ActionKind kind = t->action.kind;

        t->detail = strdup_null(m->detail);
        t->invocation = strdup_null(m->invocation);
        if (m->data)
                (void)json_object_update(t->data, m->data);
        if (m->result == RESULT_DONE && (kind == ACTION_STOP || kind == ACTION_KILL))
                a->dead = true;
        if (m->result == RESULT_DONE && kind == ACTION_START && a->returned) {
                a->returned = false;
                task_announce(t);
                return;
        }
        task_finish(t, m->result, m->reason);
}

static int manager_perform(ServiceActuator *a, Task *t)
{
        Manager *m = a->config.manager;

        switch (t->action.kind) {
        case ACTION_GUARD:
                return m->ops->guard(m, true, t->action.incident, manager_done, t);
        case ACTION_UNGUARD:
                return m->ops->guard(m, false, t->action.incident, manager_done, t);
        case ACTION_STOP:
                return m->ops->stop(m, manager_done, t);
        case ACTION_KILL:
                a->dead = false;
                return m->ops->kill(m, manager_done, t);
        case ACTION_START:
                a->dead = false;
                a->ran = true;
                return m->ops->start(m, manager_done, t);
        case ACTION_NONE:
        case ACTION_COLLECT:
        case ACTION_PLACE:
        case ACTION_SET_ASIDE:
        case ACTION_PURGE:
        case ACTION_WATCH:
        case ACTION_PLAN:
        case ACTION_QUARANTINE:
        case ACTION_RESTORE:
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

static int task_begin(ServiceActuator *a, Task *t)
{
        switch (t->action.kind) {
        case ACTION_COLLECT:
                task_collect(t);
                return 0;
        case ACTION_PLACE:
        case ACTION_SET_ASIDE:
        case ACTION_QUARANTINE:
        case ACTION_RESTORE:
                task_move(t);
                return 0;
        case ACTION_PURGE:
                task_purge(t);
                return 0;
        case ACTION_CLOSE:
                task_close(t);
                return 0;
        case ACTION_RELEASE:
        case ACTION_DELETE:
                task_native_operate(t);
                return 0;
        case ACTION_CATCH:
                task_catch(t);
                return 0;
        case ACTION_GUARD:
        case ACTION_STOP:
        case ACTION_KILL:
        case ACTION_START:
        case ACTION_UNGUARD:
                return manager_perform(a, t);
        case ACTION_NONE:
        case ACTION_WATCH:
        case ACTION_PLAN:
        case _ACTION_KIND_MAX:
        case _ACTION_KIND_INVALID:
                break;
        }
        return -EINVAL;
}

static int service_perform(Actuator *actuator, const Action *action, OutcomeHandler done, void *userdata)
{
        ServiceActuator *a = (ServiceActuator *)actuator;
        Task *t;
        int r;

        if (a->task)
                return -EBUSY;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->owner = a;
        t->action = *action;
        t->done = done;
        t->userdata = userdata;
        t->data = json_object();
        a->task = t;
        r = t->data ? task_begin(a, t) : -ENOMEM;
        if (r < 0) {
                a->task = NULL;
                task_free(t);
        }
        return r;
}

static void service_progress(Actuator *actuator, uint64_t *ret_done, uint64_t *ret_total)
{
        ServiceActuator *a = (ServiceActuator *)actuator;

        *ret_done = a->task ? atomic_load(&a->task->job.progress) : 0;
        *ret_total = a->task ? atomic_load(&a->task->job.total) : 0;
}

static void service_interrupt(Actuator *actuator)
{
        ServiceActuator *a = (ServiceActuator *)actuator;

        if (a->task && (a->task->action.kind == ACTION_PLACE || a->task->action.kind == ACTION_SET_ASIDE ||
                        a->task->action.kind == ACTION_RESTORE))
                atomic_store(&a->task->job.cancel, true);
}

static int service_resolve(Actuator *actuator, const char *path, size_t *ret_store, const char **ret_id,
                           size_t *ret_len)
{
        ServiceActuator *a = (ServiceActuator *)actuator;

        return a->spool && spool_resolve(a->spool, path, ret_store, ret_id, ret_len) == 0 ? 0
                                                                                          : ACTUATOR_E_NONE;
}

static Actuator *service_free(Actuator *actuator)
{
        ServiceActuator *a = (ServiceActuator *)actuator;

        if (a->task && a->task->run)
                runner_cancel(a->config.runner, a->task->run);
        if (a->task)
                task_free(a->task);
        manifest_deinit(&a->manifest);
        manager_free(a->config.manager);
        causes_free(a->causes);
        strv_free(a->suspect_state);
        spool_free(a->spool);
        free(a);
        return NULL;
}

static const ActuatorOps service_ops = {
        .perform = service_perform,
        .progress = service_progress,
        .interrupt = service_interrupt,
        .resolve = service_resolve,
        .free = service_free,
};

int service_actuator_new(Actuator **ret, const ServiceActuatorConfig *config)
{
        ServiceActuator *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->actuator.ops = &service_ops;
        a->config = *config;
        a->ran = true;
        r = causes_new(&a->causes, config->service, config->runner, config->spool_worker);
        if (r < 0) {
                free(a);
                return r;
        }
        *ret = &a->actuator;
        return 0;
}
