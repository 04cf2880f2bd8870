/*
 * observation - the words of facts
 *
 * An Observation is a plain value that a source fills in and nobody keeps; all there is to define is its
 * vocabulary. Test: tests/unit/test_observation.c.
 */
#include "model/observation.h"

#include <assert.h>

static const char *const run_state_table[] = {
        [RUN_UNKNOWN] = "unknown",       [RUN_STOPPED] = "stopped",   [RUN_STARTING] = "starting",
        [RUN_RUNNING] = "running",       [RUN_STOPPING] = "stopping", [RUN_FAILED] = "failed",
        [RUN_RESTARTING] = "restarting",
};
static_assert(sizeof(run_state_table) / sizeof(run_state_table[0]) == _RUN_STATE_MAX, "a word is missing");
DEFINE_STRING_TABLE(run_state, RunState, run_state_table)

static const char *const observation_kind_table[] = {
        [OBSERVATION_SERVICE] = "service",     [OBSERVATION_PROBE] = "probe",
        [OBSERVATION_PROGRESS] = "progress",   [OBSERVATION_LOG] = "log",
        [OBSERVATION_INFLIGHT] = "inflight",   [OBSERVATION_HOST] = "host",
        [OBSERVATION_PROCESSES] = "processes", [OBSERVATION_CONDITIONS] = "conditions",
        [OBSERVATION_ARRIVAL] = "arrival",
};
static_assert(sizeof(observation_kind_table) / sizeof(observation_kind_table[0]) == _OBSERVATION_KIND_MAX,
              "a word is missing");
DEFINE_STRING_TABLE(observation_kind, ObservationKind, observation_kind_table)
