/*
 * verb_audit - unjamctl audit tail, show, verify
 *
 * Reads the trail's files; works while the daemon is down.
 *
 * Test: tests/unit/test_verbs.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"
#include "ctl/story.h"

#include "base/cleanup.h"
#include "record/verify.h"

#include <inttypes.h>
#include <string.h>

#define TAIL_DEFAULT 20

/* The last @max records. */
typedef struct Tail {
        json_t **ring;
        size_t max, n; /* n: seen in all */
} Tail;

static int tail_record(void *userdata, json_t *record)
{
        Tail *t = userdata;
        json_t **place = &t->ring[t->n++ % t->max];

        json_decref(*place);
        *place = json_incref(record);
        return 0;
}

static const char *word(const json_t *record, const char *name)
{
        const char *s = json_string_value(json_object_get(record, name));

        return s ? s : "";
}

/* What a record is about, for one cell: "healthy -> suspect (confirmed)", "stop done", the symptom, the
 * message. */
static char *record_about(const json_t *record)
{
        static const char *const names[] = { "symptom", "cause", "id",     "outcome",
                                             "text",    "verb",  "result", "store" };
        const char *about = NULL;
        char *text;

        if (*word(record, "to"))
                return asprintf(&text, "%s -> %s (%s)", word(record, "from"), word(record, "to"),
                                word(record, "reason")) < 0
                               ? NULL
                               : text;
        if (*word(record, "action"))
                return asprintf(&text, "%s%s%s%s%s", word(record, "action"),
                                *word(record, "result") ? " " : "", word(record, "result"),
                                *word(record, "error") ? ": " : "", word(record, "error")) < 0
                               ? NULL
                               : text;
        for (size_t i = 0; i < ELEMENTSOF(names) && !about; i++)
                about = record_string(record, names[i]);
        return strdup(about ? about : word(record, "reason"));
}

static void print_records(const Ctl *c, json_t *list)
{
        static const Column columns[] = { { .title = "SEQ", .right = true },
                                          { .title = "TIME (UTC)" },
                                          { .title = "SERVICE" },
                                          { .title = "EVENT" },
                                          { .title = "WHAT" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));
        json_t *record;
        size_t i;

        json_array_foreach(list, i, record)
        {
                _cleanup_(freep) char *about = record_about(record);
                char seq[24], time[24];

                snprintf(seq, sizeof(seq), "%" JSON_INTEGER_FORMAT,
                         json_integer_value(json_object_get(record, "seq")));
                if (!t || table_add(t, (const char *const[]){ seq, print_time(time, word(record, "time")),
                                                              word(record, "service"), word(record, "event"),
                                                              about }) < 0)
                        return;
        }
        table_print(t, c->out, c->colour);
}

int verb_audit_tail(Ctl *c, char **argv)
{
        Tail tail = { .max = c->options.lines ? c->options.lines : TAIL_DEFAULT };
        json_t *list = json_array();
        int r;

        (void)argv;
        tail.ring = calloc(tail.max, sizeof(*tail.ring));
        if (!tail.ring || !list) {
                free(tail.ring);
                json_decref(list);
                return ctl_no_trail(c, -ENOMEM);
        }
        r = records_read(c->audit_path, NULL, tail_record, &tail);
        for (size_t i = 0; i < tail.max; i++) {
                json_t *record = tail.ring[(tail.n + i) % tail.max];

                if (record)
                        (void)json_array_append_new(list, record);
        }
        free(tail.ring);
        if (r < 0)
                r = ctl_no_trail(c, r);
        else if (c->json)
                r = ctl_print_json(c, list);
        else if (json_array_size(list) == 0)
                fputs("The audit trail is empty.\n", c->out);
        else
                print_records(c, list);
        json_decref(list);
        return r;
}

typedef struct Show {
        const char *incident; /* NULL: any */
        json_int_t seq;       /* 0: any */
        json_t *list;
} Show;

static int show_record(void *userdata, json_t *record)
{
        const Show *s = userdata;

        if ((s->incident && strcmp(word(record, "incident"), s->incident) != 0) ||
            (s->seq && json_integer_value(json_object_get(record, "seq")) != s->seq))
                return 0;
        return json_array_append(s->list, record) < 0 ? -ENOMEM : 0;
}

int verb_audit_show(Ctl *c, char **argv)
{
        Show show = { .list = json_array() };
        const char *what = argv[0];
        json_t *record;
        size_t i;
        int r;

        if (what && strspn(what, "0123456789") == strlen(what))
                show.seq = strtoll(what, NULL, 10);
        if (what && show.seq == 0)
                show.incident = what;
        r = show.list ? records_read(c->audit_path, NULL, show_record, &show) : -ENOMEM;
        if (r < 0) {
                r = ctl_no_trail(c, r);
        } else if (json_array_size(show.list) == 0) {
                ctl_error("%s: no such record", what ? what : c->audit_path);
                r = CTL_REFUSED;
        } else if (c->json) {
                r = ctl_print_json(c, show.list);
        } else {
                json_array_foreach(show.list, i, record) r = ctl_print_json(c, record);
        }
        json_decref(show.list);
        return r;
}

static json_t *verify_json(const VerifyResult *v)
{
        return json_pack("{s:s, s:I, s:I, s:I, s:s, s:I, s:s?, s:I, s:s?, s:b}", "fault",
                         verify_fault_to_string(v->fault), "records", (json_int_t)v->records, "first_seq",
                         (json_int_t)v->first_seq, "last_seq", (json_int_t)v->last_seq, "hash", v->hash,
                         "seq", (json_int_t)v->seq, "file", v->file, "line", (json_int_t)v->line, "text",
                         v->text, "head_compared", v->head_error == 0);
}

/* Without the head a missing tail cannot be seen; that must be said. */
static void print_head(const Ctl *c, const VerifyResult *v)
{
        if (v->head_error == -ENOENT && v->records > 0)
                ctl_error("there is no head in %s: whether the end is missing cannot be told", c->state_dir);
        else if (v->head_error == -EACCES)
                ctl_error("the head in %s cannot be read: try again with sudo to see whether the end is "
                          "missing",
                          c->state_dir);
        else if (v->head_error < 0 && v->head_error != -ENOENT)
                ctl_error("the head in %s: %s: whether the end is missing cannot be told", c->state_dir,
                          strerror(-v->head_error));
}

int verb_audit_verify(Ctl *c, char **argv)
{
        VerifyResult v;
        int r;

        (void)argv;
        r = audit_verify(c->audit_path, c->state_dir, &v);
        if (r < 0)
                return ctl_no_trail(c, r);
        if (v.fault == VERIFY_INTACT && v.records == 0 && v.head_error != 0) {
                ctl_error("%s: there is no audit trail", c->audit_path);
                verify_result_deinit(&v);
                return CTL_REFUSED;
        }
        print_head(c, &v);
        r = v.fault == VERIFY_INTACT ? CTL_DONE : CTL_REFUSED;
        if (c->json) {
                json_t *j = verify_json(&v);

                if (ctl_print_json(c, j) != CTL_DONE)
                        r = CTL_REFUSED;
                json_decref(j);
        } else if (v.fault == VERIFY_INTACT) {
                fprintf(c->out, "%" PRIu64 " records, last hash %s\n", v.records, v.hash);
        } else {
                fprintf(c->out, "%s\n", v.text);
        }
        verify_result_deinit(&v);
        return r;
}
