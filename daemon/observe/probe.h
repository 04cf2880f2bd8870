#pragma once

/*
 * Probe: asks a service from outside whether it answers (OBSERVATION_PROBE, one for each finished probe).
 *
 * All probes of one service. Each runs at its interval with a jitter of a tenth, never twice at once, with
 * one deadline over the whole dialogue.
 */

#include "base/runner.h"
#include "observe/source.h"

typedef struct ProbeSpec {
        Runner *runner;      /* for exec probes; may be NULL if there are none */
        const char *run_dir; /* for heartbeats by datagram: run_dir/heartbeat/SERVICE */
        /* Is @pid a process of the service? For heartbeats by datagram. */
        bool (*belongs)(void *userdata, pid_t pid);
        void *userdata;
} ProbeSpec;

/* What @spec points to is borrowed. Return: 0, -EOPNOTSUPP for a kind that is not built, or another negated
 * errno. */
int probe_source_new(Source **ret, const SourceContext *context, const ProbeSpec *spec);
/*
 * While a trial is watched: at most @interval between two probes, whatever the settings say. 0: as the
 * settings say. Begins at once.
 */
void probe_source_set_pace(Source *source, usec_t interval);
/*
 * false: the service is known to be down, asking it would say nothing new and only clutter its log. What is
 * under way is dropped without a report. true: asks at once.
 */
void probe_source_enable(Source *source, bool enabled);
