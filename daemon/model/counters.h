#pragma once

/*
 * Counters: what a service's audit records add up to since unjamd was started, for `unjamctl metrics`. Plain
 * numbers that only ever grow: nothing is done for them while nothing happens.
 */

#include "model/words.h"

#include <jansson.h>
#include <stdint.h>

typedef struct Counters {
        uint64_t incidents[_CLOSE_RESULT_MAX]; /* closed, by result */
        uint64_t opened;
        uint64_t symptoms[_SYMPTOM_KIND_MAX];
        uint64_t trials, trials_healthy, trials_failed, trials_void; /* started; ended like this */
        uint64_t kills;                                              /* times the kill ladder was gone up */
        uint64_t cleared, quarantined, released, deleted;            /* messages */
        uint64_t outage_ms;                                          /* of incidents that have closed */
} Counters;

/* Takes in a record that is on disk. Members that are missing or of another type count nothing. */
void counters_take(Counters *c, AuditEvent event, const json_t *members);
/* An object with a number, or an object of numbers by word, for each of them. NULL on ENOMEM. */
json_t *counters_to_json(const Counters *c);
