/*
 * task_manifest - what was set aside is listed while the service runs without it
 *
 * The list of a million files takes longer than setting them aside, and nobody waits for it: it is a job of
 * its own in the spool worker, begun when the store is in hold, and its digest goes with the first outcome
 * after its end. An action on messages that comes before waits its turn behind it, so hold is not changed
 * meanwhile. A manifest that could not be made is on record with its error in place of the digest.
 *
 * Called by task_move. Test: tests/unit/test_service_actuator.c
 */
#include "act/task.h"

#include "base/cleanup.h"
#include "model/json.h"

#include <errno.h>
#include <string.h>

/* An entry without a digest, and why. */
static int note_failure(const ManifestTask *m, size_t store, const SpoolReport *report, int r)
{
        json_t *list = json_object_get(m->data, "stores");

        if (!list && json_set(m->data, "stores", list = json_array()) < 0)
                return -ENOMEM;
        return json_array_append_new(
                list, json_pack("{s:o, s:I, s:n, s:n, s:o}", "store",
                                json_from_text(m->owner->config.service->stores[store].name), "messages",
                                (json_int_t)m->messages[store], "files", "manifest_sha256", "error",
                                json_from_text(report->detail ? report->detail : strerror(-r))));
}

static int work_manifest(Job *job)
{
        ManifestTask *m = (ManifestTask *)job;
        size_t n = m->owner->config.service->n_stores;
        int r = 0;

        for (size_t k = 0; k < n && r == 0; k++) {
                SpoolReport report = { .data = m->data, .job = job };

                if (m->store != STORE_ALL && m->store != k)
                        continue;
                r = spool_manifest(m->owner->spool, m->incident, k, m->messages[k], &report);
                if (r < 0 && r != -ECANCELED)
                        r = note_failure(m, k, &report, r);
                free(report.detail);
        }
        return r;
}

static void manifest_done(Job *job, int r)
{
        ManifestTask *m = (ManifestTask *)job;

        (void)r; /* what it came to is in the data */
        m->under_way = false;
}

void manifest_deinit(ManifestTask *m)
{
        json_decref(m->data);
        free(m->incident);
        free(m->messages);
        *m = (ManifestTask){ .owner = m->owner };
}

int manifest_begin(Task *t)
{
        ServiceActuator *a = t->owner;
        ManifestTask *m = &a->manifest;
        const Roster *roster = t->action.roster;

        if (m->under_way)
                return 0; /* not before its end can anything be moved */
        manifest_deinit(m);
        m->owner = a;
        m->store = t->action.store;
        m->data = json_object();
        m->incident = strdup(t->action.incident);
        m->messages = calloc(a->config.service->n_stores + 1, sizeof(*m->messages));
        if (!m->data || !m->incident || !m->messages)
                return -ENOMEM;
        for (size_t k = 0; k < roster->n; k++)
                if (roster->entries[k].place & PLACE_HOLD)
                        m->messages[roster->entries[k].store]++;
        m->job = (Job){ .run = work_manifest, .done = manifest_done };
        m->under_way = true;
        return worker_submit(a->config.spool_worker, &m->job);
}

json_t *manifest_take(ServiceActuator *a)
{
        json_t *stores = NULL;

        if (a->manifest.under_way || !a->manifest.data)
                return NULL;
        stores = json_incref(json_object_get(a->manifest.data, "stores"));
        manifest_deinit(&a->manifest);
        return stores;
}
