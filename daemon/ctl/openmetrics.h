#pragma once

/*
 * OpenMetrics 1.0 text. A family is begun, gets all of its samples, and the next one begins; at last comes
 * the end. Label values are bytes from anywhere.
 */

#include <stdbool.h>
#include <stdio.h>

typedef enum MetricType {
        METRIC_GAUGE,
        METRIC_COUNTER,  /* its samples end in _total */
        METRIC_INFO,     /* ... in _info */
        METRIC_STATESET, /* one label is the family's own name */
        _METRIC_TYPE_MAX,
} MetricType;

typedef struct MetricFamily {
        const char *name; /* ends with _UNIT if there is one */
        MetricType type;
        const char *unit; /* a base unit, or NULL */
        const char *help; /* one sentence */
} MetricFamily;

typedef struct MetricLabel {
        const char *name, *value;
} MetricLabel;

/* TYPE, UNIT and HELP. */
void metric_begin(FILE *out, const MetricFamily *f);
/* One sample; labels without a value are left out, and the list ends with one without a name. */
void metric_sample(FILE *out, const MetricFamily *f, const MetricLabel *labels, double value);
void metric_end(FILE *out);
