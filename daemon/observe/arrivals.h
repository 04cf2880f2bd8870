#pragma once

/*
 * Arrivals: is what arrives a culprit of old? A part of the progress source, for services that have
 * recovery.arrival_quarantine; of the stores, for those with a hold of the server's own.
 */

#include "base/worker.h"
#include "observe/source.h"

typedef struct Arrivals Arrivals;

/* @context and @worker outlive it. Return: 0 or a negated errno. */
int arrivals_new(Arrivals **ret, const SourceContext *context, Worker *worker);
Arrivals *arrivals_free(Arrivals *a);
/* The file @path below directory @dir of store @store is there, and written. NULL is fine. */
void arrivals_note(Arrivals *a, size_t store, size_t dir, const char *path);
/* Looks at what was noted; each that is known is an OBSERVATION_ARRIVAL. NULL is fine. */
void arrivals_look(Arrivals *a);
