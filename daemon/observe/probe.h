#pragma once

/*
 * Probe: asks a service from outside whether it answers (OBSERVATION_PROBE, one for each finished probe).
 *
 * All probes of one service. Each runs at its interval with a jitter of a tenth, never twice at once, with
 * one deadline over the whole dialogue.
 */

#include "base/runner.h"
#include "model/canary.h"
#include "observe/source.h"

typedef struct ProbeSpec {
        Runner *runner;              /* for exec and canary probes; may be NULL if there are none */
        const CanaryKey *canary_key; /* likewise for canaries */
        const char *run_dir;         /* for heartbeats by datagram: run_dir/heartbeat/SERVICE */
        /* Is @pid a process of the service? For heartbeats by datagram. */
        bool (*belongs)(void *userdata, pid_t pid);
        void *userdata;
} ProbeSpec;

/* What @spec points to is borrowed. Return: 0 or a negated errno. */
int probe_source_new(Source **ret, const SourceContext *context, const ProbeSpec *spec);
/*
 * While a trial is watched: at most @interval between two probes, whatever the settings say. 0: as the
 * settings say. Begins at once.
 */
void probe_source_set_pace(Source *source, usec_t interval);
/*
 * May canaries be sent? Not while an incident is open or the service is down: they would only wait with the
 * other mail. At first they may not. One that is under way when they may no longer is forgotten without a
 * report.
 */
void probe_source_allow_canaries(Source *source, bool allowed);
/*
 * false: the service is known to be down, asking it would say nothing new and only clutter its log. What is
 * under way is dropped without a report. true: asks at once.
 */
void probe_source_enable(Source *source, bool enabled);
