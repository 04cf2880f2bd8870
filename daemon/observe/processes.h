#pragma once

/*
 * Processes: looks at the processes of a service again and again, but only while something is suspicious: a
 * message file has been open for long, or the engine asks for it.
 *
 * Where nothing tells of opens and closes (inflight.h), the last look is also the only knowledge of what
 * was in flight when a process died.
 */

#include "base/worker.h"
#include "observe/inflight.h"
#include "observe/source.h"

/* How closely the engine wants them looked at. */
typedef enum LookLevel {
        LOOK_NOT,     /* nothing is suspicious */
        LOOK_WAITING, /* mail waits: worth a look only where nothing tells of opens and closes */
        LOOK_CLOSELY, /* something is suspicious */
} LookLevel;

typedef struct ProcessesSpec {
        Worker *worker; /* outlives the source */
        /* Lists the processes of the service; called in the worker. Return: 0 or a negated errno. */
        int (*processes)(void *userdata, ProcId **ret, size_t *ret_n);
        Source *inflight; /* borrowed, or NULL */
        void *userdata;
} ProcessesSpec;

/* Return: 0 or a negated errno. */
int processes_source_new(Source **ret, const SourceContext *context, const ProcessesSpec *spec);
void processes_source_look(Source *s, LookLevel level);
/* A message file has been opened. Costs nothing while a look is due anyway. */
void processes_source_touch(Source *s);

/* What the processes had open at the last look that have died since: @mark begins anew. */
void processes_source_history(Source *s, bool mark, InflightHandler handler, void *userdata);
