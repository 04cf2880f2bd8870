/*
 * openmetrics - OpenMetrics 1.0 text
 *
 * Used by verb_metrics.c. What is written keeps to the grammar of the specification whatever the label values
 * are: bytes that are no UTF-8 become U+FFFD, backslash, quote and newline are escaped.
 *
 * Test: tests/unit/test_openmetrics.c, which has a checker of that grammar
 */
#include "ctl/openmetrics.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const char *const types[_METRIC_TYPE_MAX] = {
        [METRIC_GAUGE] = "gauge",
        [METRIC_COUNTER] = "counter",
        [METRIC_INFO] = "info",
        [METRIC_STATESET] = "stateset",
};
static const char *const suffixes[_METRIC_TYPE_MAX] = {
        [METRIC_GAUGE] = "",
        [METRIC_COUNTER] = "_total",
        [METRIC_INFO] = "_info",
        [METRIC_STATESET] = "",
};

static void write_escaped(FILE *out, const char *text)
{
        _cleanup_(freep) char *clean = text_to_utf8(text, strlen(text), 0);

        for (const char *c = clean ? clean : "?"; *c; c++)
                if (*c == '\n')
                        fputs("\\n", out);
                else if (*c == '"' || *c == '\\')
                        fprintf(out, "\\%c", *c);
                else
                        fputc(*c, out);
}

void metric_begin(FILE *out, const MetricFamily *f)
{
        fprintf(out, "# TYPE %s %s\n", f->name, types[f->type]);
        if (f->unit)
                fprintf(out, "# UNIT %s %s\n", f->name, f->unit);
        fprintf(out, "# HELP %s ", f->name);
        write_escaped(out, f->help);
        fputc('\n', out);
}

/* Whole numbers as such: counts are exact as far as a double is. */
static void write_number(FILE *out, double value)
{
        if (value >= 0 && value < 9007199254740992.0 && value == (double)(uint64_t)value)
                fprintf(out, "%" PRIu64, (uint64_t)value);
        else
                fprintf(out, "%.6f", value);
}

void metric_sample(FILE *out, const MetricFamily *f, const MetricLabel *labels, double value)
{
        const char *separator = "{";

        fprintf(out, "%s%s", f->name, suffixes[f->type]);
        for (; labels->name; labels++) {
                if (!labels->value)
                        continue;
                fprintf(out, "%s%s=\"", separator, labels->name);
                write_escaped(out, labels->value);
                fputc('"', out);
                separator = ",";
        }
        fprintf(out, "%s ", *separator == ',' ? "}" : "");
        write_number(out, value);
        fputc('\n', out);
}

void metric_end(FILE *out)
{
        fputs("# EOF\n", out);
}
