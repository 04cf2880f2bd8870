#pragma once

/*
 * Alerts: what somebody should look at, now. Never by mail: mail is what is broken.
 *
 * AlertSink is the port. A sink without a function (all zero) is the null one. The engine also records each
 * alert in the audit trail (event "alert", or the event that the alert is about); a sink only tells people.
 */

#include "model/words.h"

#include <systemd/sd-event.h>

typedef enum AlertKind {
        ALERT_INCIDENT_OPENED,
        ALERT_RECOVERED,
        ALERT_ESCALATED,
        ALERT_OBSERVED, /* observe mode: this is what would have been done */
        ALERT_QUARANTINED,
        ALERT_UNACCOUNTED,        /* the ledger has messages that nobody can account for */
        ALERT_EXPIRY_HALF,        /* held mail has used up half of its lifetime */
        ALERT_EXPIRY_NEAR,        /* four fifths */
        ALERT_RECORD_UNAVAILABLE, /* the record cannot be written: observing only */
        ALERT_AUDIT_DAMAGED,
        ALERT_STATE_DAMAGED,
        ALERT_DISK_STUCK,
        ALERT_CONFIG_REJECTED,
        ALERT_SLOW,    /* a probe is answered, but slowly */
        ALERT_WAITING, /* the service is at fault, and a condition of the host forbids to act */
        ALERT_GENERAL, /* none of these: the text says it all */
        _ALERT_KIND_MAX,
        _ALERT_KIND_INVALID = -EINVAL,
} AlertKind;
/* "incident_opened", "recovered" ...; UNJAM_ALERT, and "kind" in the data of an alert record. */
DECLARE_STRING_TABLE(alert_kind, AlertKind);

typedef struct Alert {
        AlertKind kind;
        const char *service;  /* or NULL */
        const char *incident; /* or NULL */
        const char *text;     /* UTF-8, one line: what happened and, if there is something to do, what */
        int priority;         /* syslog's; 0: that of the kind */
} Alert;

typedef struct AlertSink {
        void *userdata;
        /* From the loop; returns at once. */
        void (*alert)(void *userdata, const Alert *a);
} AlertSink;

static inline void alert_send(const AlertSink *s, const Alert *a)
{
        if (s && s->alert)
                s->alert(s->userdata, a);
}

/* A sink that counts what goes through it. */
typedef struct AlertCounter {
        AlertSink to;
        uint64_t counts[_ALERT_KIND_MAX];
} AlertCounter;

/* @c must outlive it. */
AlertSink alert_counter_sink(AlertCounter *c);

/* The MESSAGE_ID (32 hex digits, as in the catalog), the syslog priority, and UNJAM_EVENT of a kind. */
const char *alert_message_id(AlertKind k);
int alert_priority(AlertKind k);
const char *alert_event(AlertKind k);

/* The real sink: the journal (else stderr), from a thread of its own, since journald may be stuck with the
 * disk. */
typedef struct AlertJournal AlertJournal;

int alert_journal_new(AlertJournal **ret, sd_event *event);
/* Alerts that have not gone out yet are sent before it returns. NULL is fine. */
AlertJournal *alert_journal_free(AlertJournal *j);
AlertSink alert_journal_sink(AlertJournal *j);
/* For whoever knows only which event an alert belongs to, as the engine's port: the kind follows from it. @j
 * is one. */
void alert_journal_tell(void *j, int priority, AuditEvent event, const char *service, const char *incident,
                        const char *text);
/* That kind. */
AlertKind alert_kind_of(AuditEvent event, int priority);
