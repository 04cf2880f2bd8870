#pragma once

/*
 * Probe: asks a service from outside whether it answers (OBSERVATION_PROBE, one for each finished probe).
 *
 * All probes of one service. Each runs at its interval with a jitter of a tenth, never twice at once, with
 * one deadline over the whole dialogue. Kinds: tcp, smtp, exec.
 */

#include "base/runner.h"
#include "observe/source.h"

/*
 * @runner runs exec probes; it may be NULL if there are none. Return: 0, -EOPNOTSUPP for a kind that is not
 * built, or another negated errno.
 */
int probe_source_new(Source **ret, const SourceContext *context, Runner *runner);
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
