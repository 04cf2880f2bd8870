/*
 * verb_metrics - unjamctl metrics
 *
 * Asks the daemon for its figures and prints them as OpenMetrics text (with --json, as they came). A table
 * says which figure is which metric; what the daemon does not know of is left out.
 *
 * Test: tests/unit/test_openmetrics.c
 */
#include "ctl/ctl.h"
#include "ctl/openmetrics.h"

#include "base/cleanup.h"
#include "model/words.h"

#include <locale.h>
#include <string.h>

/* How the member of an answer becomes samples. */
typedef enum Form {
        FORM_NUMBER, /* one sample; true is 1 */
        FORM_MILLI,  /* the same, a thousandth of it */
        FORM_WORDS,  /* an object of numbers: a sample for each, with @label */
        FORM_STATE,  /* a word: one of those that @word knows is 1, the others 0 */
        FORM_TEXT,   /* a word: 1, with @label */
} Form;

typedef struct Metric {
        MetricFamily family;
        Form form;
        const char *member; /* of the answer */
        const char *label;
        const char *(*word)(int n); /* FORM_STATE; NULL from a certain number on */
} Metric;

static const char *state_word(int n)
{
        return n < _STATE_MAX ? state_to_string((State)n) : NULL;
}

static const char *mode_word(int n)
{
        return n < _MODE_MAX ? mode_to_string((Mode)n) : NULL;
}

/* One sample; one for each word; one for each state that there is. */
#define NUMBER(name, type, unit, form, member, help)                                                         \
        {                                                                                                    \
                { name, METRIC_##type, unit, help }, FORM_##form, member, NULL, NULL                         \
        }
#define WORDS(name, member, label, help)                                                                     \
        {                                                                                                    \
                { name, METRIC_COUNTER, NULL, help }, FORM_WORDS, member, label, NULL                        \
        }
#define STATES(name, member, words, help)                                                                    \
        {                                                                                                    \
                { name, METRIC_STATESET, NULL, help }, FORM_STATE, member, name, words                       \
        }

static const Metric daemon_metrics[] = {
        { { "unjam_build", METRIC_INFO, NULL, "Version of unjamd." }, FORM_TEXT, "version", "version", NULL },
        NUMBER("unjam_start_time_seconds", GAUGE, "seconds", MILLI, "started_ms",
               "When unjamd was started, since the epoch; counters began at 0 then."),
        NUMBER("unjam_resident_memory_bytes", GAUGE, "bytes", NUMBER, "resident_bytes",
               "Resident memory of unjamd."),
        NUMBER("unjam_cpu_seconds", COUNTER, "seconds", MILLI, "cpu_ms", "Processor time that unjamd used."),
        WORDS("unjam_alerts", "alerts", "alert", "Alerts that were told."),
};

static const Metric service_metrics[] = {
        STATES("unjam_service_state", "state", state_word, "State of the service."),
        STATES("unjam_service_mode", "mode", mode_word, "Whether unjamd acts or only observes."),
        NUMBER("unjam_service_state_change_timestamp_seconds", GAUGE, "seconds", MILLI, "since_ms",
               "When the state changed last, since the epoch."),
        NUMBER("unjam_incident_open", GAUGE, NULL, NUMBER, "incident_open", "1 while an incident is open."),
        NUMBER("unjam_mail_waiting", GAUGE, NULL, NUMBER, "mail_waiting",
               "Messages that wait in the stores."),
        NUMBER("unjam_mail_held", GAUGE, NULL, NUMBER, "mail_held",
               "Messages that the open or last incident holds."),
        NUMBER("unjam_mail_quarantined", GAUGE, NULL, NUMBER, "mail_quarantined", "Messages in quarantine."),
        NUMBER("unjam_record_unavailable", GAUGE, NULL, NUMBER, "record_unavailable",
               "1 while the record cannot be written, and so nothing is done."),
        NUMBER("unjam_record_failures", COUNTER, NULL, NUMBER, "record_failures",
               "Commits of the record that failed."),
        NUMBER("unjam_incidents_opened", COUNTER, NULL, NUMBER, "incidents_opened",
               "Incidents that were opened."),
        WORDS("unjam_incidents", "incidents", "result", "Incidents that were closed, by result."),
        WORDS("unjam_symptoms", "symptoms", "symptom", "Symptoms that were seen."),
        NUMBER("unjam_trials_started", COUNTER, NULL, NUMBER, "trials_started", "Trials that were started."),
        WORDS("unjam_trials", "trials", "outcome", "Trials that have ended, by outcome."),
        NUMBER("unjam_kills", COUNTER, NULL, NUMBER, "kills", "Times that the service was killed."),
        WORDS("unjam_messages", "messages", "done", "Messages, by what was done with them."),
        NUMBER("unjam_outage_seconds", COUNTER, "seconds", MILLI, "outage_ms",
               "Outage of incidents that have closed."),
};

/* Of the daemon or a service, or among the counters of one. */
static const json_t *find_member(const json_t *j, const char *name)
{
        const json_t *value = json_object_get(j, name);

        return value ? value : json_object_get(json_object_get(j, "counters"), name);
}

/* @service NULL: of the daemon. */
static void write_samples(FILE *out, const Metric *m, const json_t *j, const char *service)
{
        const json_t *value = find_member(j, m->member), *n;
        MetricLabel labels[] = { { "service", service }, { m->label, NULL }, { NULL, NULL } };
        const char *key, *word = json_string_value(value);
        double number = json_is_true(value) ? 1 : json_number_value(value);

        switch (m->form) {
        case FORM_NUMBER:
        case FORM_MILLI:
                if (json_is_number(value) || json_is_boolean(value))
                        metric_sample(out, &m->family, labels,
                                      m->form == FORM_MILLI ? number / 1000 : number);
                break;
        case FORM_WORDS:
                json_object_foreach((json_t *)value, key, n)
                {
                        labels[1].value = key;
                        metric_sample(out, &m->family, labels, json_number_value(n));
                }
                break;
        case FORM_STATE:
                for (int k = 0; word && m->word(k); k++) {
                        labels[1].value = m->word(k);
                        metric_sample(out, &m->family, labels, strcmp(word, labels[1].value) == 0);
                }
                break;
        case FORM_TEXT:
                labels[1].value = word;
                if (word)
                        metric_sample(out, &m->family, labels, 1);
                break;
        }
}

static void write_metrics(FILE *out, const json_t *body)
{
        const json_t *services = json_object_get(body, "services"), *s;
        size_t i;

        for (size_t k = 0; k < ELEMENTSOF(daemon_metrics); k++) {
                metric_begin(out, &daemon_metrics[k].family);
                write_samples(out, &daemon_metrics[k], body, NULL);
        }
        for (size_t k = 0; k < ELEMENTSOF(service_metrics); k++) {
                metric_begin(out, &service_metrics[k].family);
                json_array_foreach(services, i, s) write_samples(
                        out, &service_metrics[k], s, json_string_value(json_object_get(s, "service")));
        }
        metric_end(out);
}

int verb_metrics(Ctl *c, char **argv)
{
        json_t *body = NULL;
        int r;

        (void)argv;
        r = ctl_ask(c, "metrics", NULL, &body);
        if (r != CTL_DONE)
                return r;
        if (c->json) {
                r = ctl_print_json(c, body);
        } else {
                /* A decimal point, whatever people here write. */
                (void)setlocale(LC_NUMERIC, "C");
                write_metrics(c->out, body);
        }
        json_decref(body);
        return r;
}
