#pragma once

/*
 * Journal: entries that unjamd writes to the systemd journal, with fields of their own. Where there is no
 * journal they go to stderr as one line of text. Writing may wait for a busy journald: worker threads only,
 * or before the loop runs.
 */

#include <jansson.h>
#include <stddef.h>
#include <sys/uio.h>

/* MESSAGE_ID of an audit record's head. Those of alerts are in alert.c. */
#define JOURNAL_AUDIT_RECORD "ad0076f48e564b82a88c0d60132b7856"

typedef struct JournalEntry {
        const char *message_id;
        int priority;         /* syslog's: LOG_CRIT ... */
        const char *message;  /* any text; a line for people */
        const char *event;    /* UNJAM_EVENT */
        const char *alert;    /* UNJAM_ALERT, or NULL */
        const char *service;  /* UNJAM_SERVICE, or NULL */
        const char *incident; /* UNJAM_INCIDENT, or NULL */
        const char *seq;      /* UNJAM_SEQ, or NULL */
        const char *hash;     /* UNJAM_HASH, or NULL */
} JournalEntry;

/* The entry's fields, "NAME=value" each. Both vector and strings are the caller's: journal_fields_free(). */
int journal_fields(const JournalEntry *e, struct iovec **ret, size_t *ret_n);
void journal_fields_free(struct iovec *fields, size_t n);

void journal_send(const JournalEntry *e);

/* The head of an audit record as it was written: seq, hash, event, and a line that says what it is about. */
void journal_send_record(const json_t *record);
