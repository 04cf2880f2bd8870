/*
 * alert - what somebody should look at, now
 *
 * The sink is made by main.c and used by the engine. Entries are written by a worker thread, in order; when
 * there is no memory for that, or no thread, the text goes to stderr at once. conf/unjamd.catalog has a text
 * for each MESSAGE_ID.
 */
#include "record/alert.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "base/worker.h"
#include "record/journal.h"

#include <stdatomic.h>
#include <syslog.h>

static const char *const alert_kind_table[_ALERT_KIND_MAX] = {
        [ALERT_INCIDENT_OPENED] = "incident_opened",
        [ALERT_RECOVERED] = "recovered",
        [ALERT_ESCALATED] = "escalated",
        [ALERT_OBSERVED] = "observed",
        [ALERT_QUARANTINED] = "quarantined",
        [ALERT_UNACCOUNTED] = "unaccounted",
        [ALERT_EXPIRY_HALF] = "expiry_half",
        [ALERT_EXPIRY_NEAR] = "expiry_near",
        [ALERT_RECORD_UNAVAILABLE] = "record_unavailable",
        [ALERT_AUDIT_DAMAGED] = "audit_damaged",
        [ALERT_STATE_DAMAGED] = "state_damaged",
        [ALERT_DISK_STUCK] = "disk_stuck",
        [ALERT_CONFIG_REJECTED] = "config_rejected",
        [ALERT_SLOW] = "slow",
        [ALERT_WAITING] = "waiting",
        [ALERT_GENERAL] = "general",
};
DEFINE_STRING_TABLE(alert_kind, AlertKind, alert_kind_table)

static const struct {
        const char *message_id;
        int priority;
        const char *event;
} alert_table[_ALERT_KIND_MAX] = {
        [ALERT_INCIDENT_OPENED] = { "96acedbd58c84e19bcf150db63ed0976", LOG_WARNING, "incident.opened" },
        [ALERT_RECOVERED] = { "a2b2a89255804f20be43627b9b2cbb11", LOG_NOTICE, "incident.closed" },
        [ALERT_ESCALATED] = { "3aa8a9187e1642fcb5dc3345d4acc011", LOG_CRIT, "incident.closed" },
        [ALERT_OBSERVED] = { "c588b70d8a704dc080625a35d606adfc", LOG_WARNING, "incident.closed" },
        [ALERT_QUARANTINED] = { "395c8e88c6264ddd935c47ef113d4455", LOG_WARNING, "message.quarantined" },
        [ALERT_UNACCOUNTED] = { "ddf3ce11e2aa405fbeced89097a1ee34", LOG_CRIT, "alert" },
        [ALERT_EXPIRY_HALF] = { "e8636a3be12c4bf8a9b9885e647c3ea9", LOG_WARNING, "alert" },
        [ALERT_EXPIRY_NEAR] = { "2c8f5b09483a4a43baf66c7c8ee3c0c8", LOG_CRIT, "alert" },
        [ALERT_RECORD_UNAVAILABLE] = { "bfe6c668f43a4505924b8f8a7c229fa2", LOG_CRIT, "alert" },
        [ALERT_AUDIT_DAMAGED] = { "65481b4b2feb425f8f80f53a2dd4fe71", LOG_ERR, "alert" },
        [ALERT_STATE_DAMAGED] = { "45a28b54d6f4494a8865a5d1fb968c23", LOG_ERR, "alert" },
        [ALERT_DISK_STUCK] = { "2d170146411343f083a0c0c13ed52587", LOG_CRIT, "alert" },
        [ALERT_CONFIG_REJECTED] = { "b37e96463d964db1b8975e1bda034a13", LOG_ERR, "config.rejected" },
        [ALERT_SLOW] = { "a21f4e438dfa4fe1882928c2604a6e89", LOG_WARNING, "alert" },
        [ALERT_WAITING] = { "3034ae160f3140c5ae07bafde17376dc", LOG_ERR, "alert" },
        [ALERT_GENERAL] = { "ff61acf7496e4ad9a8d6fef203a69775", LOG_ERR, "alert" },
};

const char *alert_message_id(AlertKind k)
{
        return (unsigned)k < _ALERT_KIND_MAX ? alert_table[k].message_id : NULL;
}

int alert_priority(AlertKind k)
{
        return (unsigned)k < _ALERT_KIND_MAX ? alert_table[k].priority : LOG_ERR;
}

const char *alert_event(AlertKind k)
{
        return (unsigned)k < _ALERT_KIND_MAX ? alert_table[k].event : NULL;
}

AlertKind alert_kind_of(AuditEvent event, int priority)
{
        switch (event) {
        case AUDIT_INCIDENT_OPENED:
                return ALERT_INCIDENT_OPENED;
        case AUDIT_INCIDENT_CLOSED:
                return priority >= LOG_NOTICE    ? ALERT_RECOVERED
                       : priority == LOG_WARNING ? ALERT_OBSERVED
                                                 : ALERT_ESCALATED;
        case AUDIT_MESSAGE_QUARANTINED:
                return ALERT_QUARANTINED;
        case AUDIT_CONFIG_REJECTED:
                return ALERT_CONFIG_REJECTED;
        case AUDIT_DAEMON_STARTED:
        case AUDIT_DAEMON_STOPPED:
        case AUDIT_CONFIG_LOADED:
        case AUDIT_SYMPTOM:
        case AUDIT_EVIDENCE:
        case AUDIT_CAUSE:
        case AUDIT_STATE:
        case AUDIT_INTENT:
        case AUDIT_OUTCOME:
        case AUDIT_TRIAL_STARTED:
        case AUDIT_TRIAL_FINISHED:
        case AUDIT_STORE_HELD:
        case AUDIT_MESSAGE_HELD:
        case AUDIT_MESSAGE_CLEARED:
        case AUDIT_MESSAGE_RELEASED:
        case AUDIT_MESSAGE_DELETED:
        case AUDIT_OPERATOR:
        case AUDIT_ALERT:
        case _AUDIT_EVENT_MAX:
        case _AUDIT_EVENT_INVALID:
                break;
        }
        return ALERT_GENERAL;
}

/* The real sink */

typedef struct AlertJob {
        Job job;
        struct AlertJob *next, **link;
        AlertKind kind;
        int priority;
        char *service, *incident, *text;
        atomic_bool sent;
} AlertJob;

struct AlertJournal {
        Worker *worker;
        AlertJob *jobs; /* newest first */
};

static void alert_job_free(AlertJob *a)
{
        *a->link = a->next;
        if (a->next)
                a->next->link = a->link;
        free(a->service);
        free(a->incident);
        free(a->text);
        free(a);
}

static int alert_run(Job *job)
{
        AlertJob *a = (AlertJob *)job;

        journal_send(&(JournalEntry){
                .message_id = alert_message_id(a->kind),
                .priority = a->priority,
                .message = a->text,
                .event = alert_event(a->kind),
                .alert = alert_kind_to_string(a->kind),
                .service = a->service,
                .incident = a->incident,
        });
        a->sent = true;
        return 0;
}

static void alert_done(Job *job, int r)
{
        (void)r; /* journal_send() has told stderr if nothing else would do */
        alert_job_free((AlertJob *)job);
}

static void alert_journal(void *userdata, const Alert *alert)
{
        AlertJournal *j = userdata;
        AlertJob *a = calloc(1, sizeof(*a));

        if (!a) {
                fprintf(stderr, "unjamd: %s\n", alert->text);
                return;
        }
        a->job.run = alert_run;
        a->job.done = alert_done;
        a->kind = alert->kind;
        a->priority = alert->priority ? alert->priority : alert_priority(alert->kind);
        a->service = strdup_null(alert->service);
        a->incident = strdup_null(alert->incident);
        a->text = strdup_null(alert->text);
        a->next = j->jobs;
        a->link = &j->jobs;
        if (a->next)
                a->next->link = &a->next;
        j->jobs = a;
        if (!a->text || worker_submit(j->worker, &a->job) < 0) {
                fprintf(stderr, "unjamd: %s\n", alert->text);
                alert_job_free(a);
        }
}

int alert_journal_new(AlertJournal **ret, sd_event *event)
{
        AlertJournal *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return err_origin(-ENOMEM);
        r = worker_new(&j->worker, event, "alert");
        if (r < 0) {
                free(j);
                return err_trace(r);
        }
        *ret = j;
        return 0;
}

AlertJournal *alert_journal_free(AlertJournal *j)
{
        if (!j)
                return NULL;
        j->worker = worker_free(j->worker);
        /* What the thread did not get round to, oldest first. */
        for (;;) {
                AlertJob *a = j->jobs;

                while (a && a->next)
                        a = a->next;
                if (!a)
                        break;
                if (!a->sent)
                        (void)alert_run(&a->job);
                alert_job_free(a);
        }
        free(j);
        return NULL;
}

static void count_alert(void *userdata, const Alert *a)
{
        AlertCounter *c = userdata;

        c->counts[a->kind]++;
        alert_send(&c->to, a);
}

AlertSink alert_counter_sink(AlertCounter *c)
{
        return (AlertSink){ .userdata = c, .alert = count_alert };
}

AlertSink alert_journal_sink(AlertJournal *j)
{
        return (AlertSink){ .userdata = j, .alert = alert_journal };
}

void alert_journal_tell(void *j, int priority, AuditEvent event, const char *service, const char *incident,
                        const char *text)
{
        alert_journal(j, &(Alert){ .kind = alert_kind_of(event, priority),
                                   .service = service,
                                   .incident = incident,
                                   .text = text,
                                   .priority = priority });
}
