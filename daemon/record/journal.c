/*
 * journal - entries that unjamd writes to the systemd journal
 *
 * Used by alert.c and recorder_disk.c, from their worker threads. Best effort: the audit trail is the record,
 * the journal is where people and their alerting look. sd_journal_sendv() says nothing if there is no journal
 * at all, so its socket is looked for first.
 */
#include "record/journal.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX     10

static bool field_add(struct iovec *fields, size_t *n, const char *name, const char *value)
{
        char *text;

        if (!value)
                return true;
        if (asprintf(&text, "%s=%s", name, value) < 0)
                return false;
        fields[(*n)++] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
        return true;
}

int journal_fields(const JournalEntry *e, struct iovec **ret, size_t *ret_n)
{
        struct iovec *fields = calloc(FIELDS_MAX, sizeof(*fields));
        char priority[16];
        size_t n = 0;

        if (!fields)
                return err_origin(-ENOMEM);
        snprintf(priority, sizeof(priority), "%d", e->priority);
        if (!field_add(fields, &n, "MESSAGE", e->message) ||
            !field_add(fields, &n, "MESSAGE_ID", e->message_id) ||
            !field_add(fields, &n, "PRIORITY", priority) ||
            !field_add(fields, &n, "SYSLOG_IDENTIFIER", "unjamd") ||
            !field_add(fields, &n, "UNJAM_EVENT", e->event) ||
            !field_add(fields, &n, "UNJAM_ALERT", e->alert) ||
            !field_add(fields, &n, "UNJAM_SERVICE", e->service) ||
            !field_add(fields, &n, "UNJAM_INCIDENT", e->incident) ||
            !field_add(fields, &n, "UNJAM_SEQ", e->seq) || !field_add(fields, &n, "UNJAM_HASH", e->hash)) {
                journal_fields_free(fields, n);
                return err_origin(-ENOMEM);
        }
        *ret = fields;
        *ret_n = n;
        return 0;
}

void journal_fields_free(struct iovec *fields, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(fields[i].iov_base);
        free(fields);
}

void journal_send(const JournalEntry *e)
{
        struct iovec *fields;
        size_t n;

        if (access(JOURNAL_SOCKET, F_OK) == 0 && journal_fields(e, &fields, &n) == 0) {
                int r = sd_journal_sendv(fields, (int)n);

                journal_fields_free(fields, n);
                if (r >= 0)
                        return;
        }
        /* Heads without a journal would only repeat the trail. */
        if (e->priority <= LOG_NOTICE)
                fprintf(stderr, "unjamd: %s%s%s\n", e->service ? e->service : "", e->service ? ": " : "",
                        e->message);
}

static const char *member(const json_t *record, const char *name)
{
        return json_string_value(json_object_get(record, name));
}

/* "imc healthy -> suspect", "imc stop done", "imc"; what of it the record has. NULL on ENOMEM. */
static char *record_subject(const json_t *record)
{
        const char *from = member(record, "from"), *to = member(record, "to");
        const char *words[] = { member(record, "service"), member(record, "action"), member(record, "result"),
                                from && to ? from : NULL,  from && to ? "->" : NULL, from && to ? to : NULL };
        char **list = NULL, *text = NULL;

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (words[i] && strv_append(&list, words[i]) < 0)
                        goto finish;
        text = list ? strv_join(list, " ") : strdup("");
finish:
        strv_free(list);
        return text;
}

void journal_send_record(const json_t *record)
{
        _cleanup_(freep) char *message = NULL, *seq = NULL, *subject = record_subject(record);
        const char *event = member(record, "event");

        if (!subject || !event ||
            asprintf(&seq, "%" PRIi64, (int64_t)json_integer_value(json_object_get(record, "seq"))) < 0)
                return;
        if (asprintf(&message, "audit %s: %s%s%s", seq, event, *subject ? " " : "", subject) < 0)
                return;
        journal_send(&(JournalEntry){
                .message_id = JOURNAL_AUDIT_RECORD,
                .priority = LOG_INFO,
                .message = message,
                .event = event,
                .service = member(record, "service"),
                .incident = member(record, "incident"),
                .seq = seq,
                .hash = member(record, "hash"),
        });
}
