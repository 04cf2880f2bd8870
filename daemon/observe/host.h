#pragma once

/*
 * Host: what concerns all services at once (OBSERVATION_HOST): the host goes down, or its clock was set.
 *
 * One source for all services; who makes it hands what it says to each of them.
 */

#include "observe/source.h"
#include "observe/systemd_signals.h"

/* @signals: or NULL, then only the clock is watched; it outlives the source. Return: 0 or a negated errno. */
int host_source_new(Source **ret, const SourceContext *context, SystemdSignals *signals);
