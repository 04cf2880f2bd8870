/*
 * Tests of ctl/openmetrics.c and ctl/verb_metrics.c, with a checker of the grammar of OpenMetrics 1.0 (its
 * ABNF, and the rules for the types that are used) which refuses what the specification refuses.
 */
#include "ctl_helper.h"

#include "base/text.h"
#include "ctl/openmetrics.h"
#include "model/counters.h"

#include <ctype.h>

/* Checker */

#define SEEN_MAX 512

typedef struct Check {
        const char *at;  /* the rest of the text */
        char family[80]; /* the one that is open */
        char type[16], unit[16];
        bool help, samples;   /* of it */
        char *seen[SEEN_MAX]; /* families (with a blank), and samples with their labels */
        size_t n_seen;
} Check;

/* Remembers @text. Return: it is new. */
static bool is_new(Check *c, const char *text, size_t len)
{
        for (size_t i = 0; i < c->n_seen; i++)
                if (strlen(c->seen[i]) == len && strncmp(c->seen[i], text, len) == 0)
                        return false;
        assert_true(c->n_seen < SEEN_MAX);
        c->seen[c->n_seen++] = strndup(text, len);
        return true;
}

static bool take(Check *c, const char *word)
{
        if (strncmp(c->at, word, strlen(word)) != 0)
                return false;
        c->at += strlen(word);
        return true;
}

/* A metric's name, or a label's, which has no colon. Return: its length, 0 if there is none. */
static size_t take_name(Check *c, bool label)
{
        const char *begin = c->at;

        if (isalpha((unsigned char)*c->at) || *c->at == '_' || (!label && *c->at == ':'))
                while (isalnum((unsigned char)*c->at) || *c->at == '_' || (!label && *c->at == ':'))
                        c->at++;
        return (size_t)(c->at - begin);
}

/* To the closing quote (@end '"') or the end of the line ('\n'), with nothing that ought to be escaped. */
static bool take_escaped(Check *c, char end)
{
        for (; *c->at && *c->at != end; c->at++) {
                if (*c->at == '\n' || *c->at == '"')
                        return false;
                if (*c->at == '\\' && !strchr("n\"\\", *++c->at))
                        return false;
        }
        return *c->at == end;
}

static bool take_labels(Check *c, bool *ret_state)
{
        const char *names[8];
        size_t lens[8], n = 0;

        if (!take(c, "{"))
                return true;
        do {
                names[n] = c->at;
                lens[n] = take_name(c, true);
                for (size_t i = 0; i < n; i++)
                        if (lens[i] == lens[n] && strncmp(names[i], names[n], lens[n]) == 0)
                                return false;
                *ret_state |= lens[n] == strlen(c->family) && strncmp(names[n], c->family, lens[n]) == 0;
                if (lens[n++] == 0 || !take(c, "=\"") || !take_escaped(c, '"') || !take(c, "\"") || n == 8)
                        return false;
        } while (take(c, ","));
        return take(c, "}");
}

/* A decimal number; exponents, signs, Inf and NaN are never written here. */
static bool take_number(Check *c, double *ret)
{
        const char *begin = c->at;

        while (isdigit((unsigned char)*c->at))
                c->at++;
        if (c->at > begin && *c->at == '.')
                for (c->at++; isdigit((unsigned char)*c->at);)
                        c->at++;
        *ret = strtod(begin, NULL);
        return c->at > begin && isdigit((unsigned char)c->at[-1]);
}

static bool value_fits(const Check *c, double value, bool has_state)
{
        if (strcmp(c->type, "info") == 0)
                return value == 1;
        if (strcmp(c->type, "stateset") == 0)
                return has_state && (value == 0 || value == 1);
        return true;
}

static bool take_sample(Check *c)
{
        const char *begin = c->at, *suffix = strcmp(c->type, "counter") == 0 ? "_total"
                                             : strcmp(c->type, "info") == 0  ? "_info"
                                                                             : "";
        char want[100];
        size_t len = take_name(c, false);
        bool has_state = false;
        double value;

        snprintf(want, sizeof(want), "%s%s", c->family, suffix);
        if (len != strlen(want) || strncmp(begin, want, len) != 0)
                return false; /* not of the family that is open: it was interleaved, or has no TYPE */
        if (!take_labels(c, &has_state) || !is_new(c, begin, (size_t)(c->at - begin)) || !take(c, " ") ||
            !take_number(c, &value))
                return false;
        c->samples = true;
        return value_fits(c, value, has_state) && take(c, "\n");
}

/* "# TYPE" begins a family here; the others belong to it and come before its samples. */
static bool take_descriptor(Check *c, const char *keyword)
{
        bool type = strcmp(keyword, "# TYPE ") == 0, help = strcmp(keyword, "# HELP ") == 0;
        const char *name = c->at, *value;
        size_t len = take_name(c, false), n = strcspn(c->at + 1, "\n");

        if (len == 0 || len >= sizeof(c->family) || !take(c, " "))
                return false;
        value = c->at;
        if (type) {
                if (!is_new(c, name, len + 1) || n >= sizeof(c->type))
                        return false;
                snprintf(c->family, sizeof(c->family), "%.*s", (int)len, name);
                snprintf(c->type, sizeof(c->type), "%.*s", (int)n, value);
                c->unit[0] = '\0';
                c->help = c->samples = false;
                c->at += n;
                return (strcmp(c->type, "gauge") == 0 || strcmp(c->type, "counter") == 0 ||
                        strcmp(c->type, "info") == 0 || strcmp(c->type, "stateset") == 0) &&
                       take(c, "\n");
        }
        if (c->samples || strlen(c->family) != len || strncmp(c->family, name, len) != 0)
                return false;
        if (help) {
                bool first = !c->help;

                c->help = true;
                return first && take_escaped(c, '\n') && take(c, "\n");
        }
        if (c->unit[0] || n >= sizeof(c->unit) || strcmp(c->type, "info") == 0 ||
            strcmp(c->type, "stateset") == 0)
                return false;
        snprintf(c->unit, sizeof(c->unit), "%.*s", (int)n, value);
        c->at += n;
        return len > n + 1 && name[len - n - 1] == '_' && strncmp(name + len - n, value, n) == 0 &&
               take(c, "\n");
}

/* Is it an exposition? *@ret_rest: from where on it is none. */
static bool is_openmetrics(const char *text, const char **ret_rest)
{
        Check c = { .at = text };
        bool ok = text_is_utf8(text, strlen(text)), ended = false;

        while (ok && !ended && *c.at) {
                *ret_rest = c.at;
                if (take(&c, "# EOF"))
                        ended = take(&c, "\n") || !*c.at;
                else if (take(&c, "# TYPE "))
                        ok = take_descriptor(&c, "# TYPE ");
                else if (take(&c, "# UNIT "))
                        ok = take_descriptor(&c, "# UNIT ");
                else if (take(&c, "# HELP "))
                        ok = take_descriptor(&c, "# HELP ");
                else
                        ok = take_sample(&c);
        }
        ok = ok && ended && !*c.at;
        for (size_t i = 0; i < c.n_seen; i++)
                free(c.seen[i]);
        return ok;
}

static void expect_openmetrics(const char *text)
{
        const char *rest = text;

        if (!is_openmetrics(text, &rest))
                fail_msg("no OpenMetrics from here: %.200s", rest);
}

/* The checker itself refuses what it should. */
static void test_the_checker(void **state)
{
        static const char *const bad[] = {
                "",
                "# TYPE a gauge\na 1\n",             /* no end */
                "# TYPE a gauge\na 1\n# EOF\na 2\n", /* something after it */
                "a 1\n# EOF\n",                      /* no type */
                "# TYPE a counter\na 1\n# EOF\n",    /* no _total */
                "# TYPE a gauge\na_total 1\n# EOF\n",
                "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",    /* the unit is not in the name */
                "# TYPE a gauge\na 1\n# HELP a h\n# EOF\n",          /* after the samples */
                "# TYPE a gauge\n# TYPE b gauge\na 1\n# EOF\n",      /* interleaved */
                "# TYPE a gauge\na 1\n# TYPE a gauge\na 1\n# EOF\n", /* twice */
                "# TYPE a gauge\na 1\na 2\n# EOF\n",
                "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n",
                "# TYPE a gauge\na{x=\"\"\"} 1\n# EOF\n",
                "# TYPE a gauge\na{x=\"\\t\"} 1\n# EOF\n",
                "# TYPE a gauge\na{x-y=\"1\"} 1\n# EOF\n",
                "# TYPE a gauge\na x\n# EOF\n",
                "# TYPE a gauge\na  1\n# EOF\n",
                "# TYPE a stateset\na{b=\"x\"} 1\n# EOF\n", /* no label of the family's name */
                "# TYPE a stateset\na{a=\"x\"} 2\n# EOF\n",
                "# TYPE a info\na_info 0\n# EOF\n",
                "# TYPE a gauge\n\na 1\n# EOF\n",
        };
        const char *rest;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (is_openmetrics(bad[i], &rest))
                        fail_msg("taken for OpenMetrics: %s", bad[i]);
        expect_openmetrics("# EOF\n");
        expect_openmetrics(
                "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds h \\\" \\\\\n"
                "a_seconds_total{x=\"\\n\",y=\"\"} 1.5\na_seconds_total 0\n# TYPE b stateset\n"
                "b{b=\"on\"} 1\n# EOF\n");
}

/* Writer */

static void test_writing(void **state)
{
        static const MetricFamily gauge = { "a_bytes", METRIC_GAUGE, "bytes", "Say \"\\\"\nand more" },
                                  counter = { "b", METRIC_COUNTER, NULL, "B" },
                                  info = { "c", METRIC_INFO, NULL, "C" };
        const MetricLabel hostile[] = { { "x", "\"} 1\n# EOF\\\xff" }, { "y", NULL }, { "z", "1" }, { 0 } },
                          none[] = { { "y", NULL }, { 0 } };
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        (void)state;
        metric_begin(f, &gauge);
        metric_sample(f, &gauge, hostile, 1.25);
        metric_sample(f, &gauge, none, 4503599627370497.0);
        metric_begin(f, &counter);
        metric_begin(f, &info);
        metric_sample(f, &info, none, 1);
        metric_end(f);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, "# TYPE a_bytes gauge\n"
                                  "# UNIT a_bytes bytes\n"
                                  "# HELP a_bytes Say \\\"\\\\\\\"\\nand more\n"
                                  "a_bytes{x=\"\\\"} 1\\n# EOF\\\\\xef\xbf\xbd\",z=\"1\"} 1.250000\n"
                                  "a_bytes 4503599627370497\n"
                                  "# TYPE b counter\n"
                                  "# HELP b B\n"
                                  "# TYPE c info\n"
                                  "# HELP c C\n"
                                  "c_info 1\n"
                                  "# EOF\n");
        expect_openmetrics(text);
        free(text);
}

/* The verb */

/* A service as the daemon speaks of it. */
static json_t *service(const char *name, const char *word)
{
        Counters c = { .opened = 2, .trials = 5, .trials_failed = 3, .quarantined = 1, .outage_ms = 12500 };

        c.incidents[CLOSE_RECOVERED] = 2;
        c.symptoms[SYMPTOM_STALLED] = 2;
        return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:b, s:b, s:i, s:o}", "service", name, "mode",
                         "act", "state", word, "since_ms", (json_int_t)1795356000250, "mail_waiting", 7,
                         "mail_held", 0, "mail_quarantined", 1, "incident_open", 1, "record_unavailable", 0,
                         "record_failures", 4, "counters", counters_to_json(&c));
}

static void test_metrics(void **state)
{
        static const char *const lines[] = {
                "\nunjam_build_info{version=\"9\\\"9\"} 1\n",
                "\nunjam_resident_memory_bytes 3000000\n",
                "\nunjam_alerts_total{alert=\"recovered\"} 2\n",
                "\nunjam_service_state{service=\"imc\",unjam_service_state=\"isolating\"} 1\n",
                "\nunjam_service_state{service=\"imc\",unjam_service_state=\"healthy\"} 0\n",
                "\nunjam_service_state{service=\"o\\\"ther\",unjam_service_state=\"healthy\"} 1\n",
                "\nunjam_service_mode{service=\"imc\",unjam_service_mode=\"act\"} 1\n",
                "\nunjam_service_state_change_timestamp_seconds{service=\"imc\"} 1795356000.250000\n",
                "\nunjam_incident_open{service=\"imc\"} 1\n",
                "\nunjam_record_unavailable{service=\"imc\"} 0\n",
                "\nunjam_record_failures_total{service=\"imc\"} 4\n",
                "\nunjam_mail_waiting{service=\"imc\"} 7\n",
                "\nunjam_incidents_total{service=\"imc\",result=\"recovered\"} 2\n",
                "\nunjam_incidents_total{service=\"imc\",result=\"escalated\"} 0\n",
                "\nunjam_trials_total{service=\"imc\",outcome=\"failed\"} 3\n",
                "\nunjam_messages_total{service=\"imc\",done=\"quarantined\"} 1\n",
                "\nunjam_symptoms_total{service=\"imc\",symptom=\"stalled\"} 2\n",
                "\nunjam_outage_seconds_total{service=\"imc\"} 12.500000\n",
        };
        World *w = *state;
        json_t *j;

        expect_run(w, 3, "metrics");
        world_serve(w);
        w->answer = json_pack("{s:s, s:I, s:i, s:i, s:{s:i}, s:[o, o]}", "version", "9\"9", "started_ms",
                              (json_int_t)1795350000500, "resident_bytes", 3000000, "cpu_ms", 125, "alerts",
                              "recovered", 2, "services", service("imc", "isolating"),
                              service("o\"ther", "healthy"));
        expect_run(w, 0, "metrics");
        expect_request(w, "metrics", "{}");
        expect_openmetrics(w->text);
        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                expect_text(w->text, lines[i]);
        expect_run(w, 0, "--json", "metrics");
        j = world_json(w);
        assert_true(json_equal(j, w->answer));
        json_decref(j);
        expect_run(w, 2, "metrics", "imc");
}

/* A daemon of another version may say less. */
static void test_figures_that_are_missing(void **state)
{
        World *w = *state;

        world_serve(w);
        w->answer = json_pack("{s:[{s:s}]}", "services", "service", "imc");
        expect_run(w, 0, "metrics");
        expect_openmetrics(w->text);
        expect_no_text(w->text, "imc");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_checker),
                cmocka_unit_test(test_writing),
                TEST(test_metrics),
                TEST(test_figures_that_are_missing),
        };

        return cmocka_run_group_tests_name("openmetrics", tests, NULL, NULL);
}
