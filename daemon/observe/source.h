#pragma once

/*
 * Source: where facts come from. One source watches one aspect of one service (unit state, a probe, the
 * journal ...).
 *
 * A source calls its sink from the event loop. It never blocks: what may wait for a disk or a stuck process
 * runs in a worker. It reports facts and no judgement; the engine asks diagnose what they mean.
 */

#include "model/observation.h"
#include "model/settings.h"

#include <systemd/sd-event.h>

typedef struct Source Source;

typedef struct Sink {
        void (*observe)(void *userdata, size_t service, const Observation *o);
        void *userdata;
} Sink;

/* What every source is made with. Event loop and settings are borrowed and outlive the source. */
typedef struct SourceContext {
        sd_event *event;
        Sink sink;
        size_t service; /* index, handed to the sink */
        const ServiceSettings *settings;
        /*
         * Whose part @settings is. A job that still runs in a worker when its source is freed keeps a
         * reference to it. NULL: the caller keeps @settings until the worker is freed.
         */
        Settings *owner;
} SourceContext;

static inline void source_emit(const SourceContext *c, const Observation *o)
{
        c->sink.observe(c->sink.userdata, c->service, o);
}

typedef struct SourceOps {
        /* Begins to watch and reports the present state. Return: 0 or a negated errno. */
        int (*start)(Source *s);
        /*
         * The world has changed under it (a directory was exchanged, the service was started anew): set marks
         * and watches anew, and report. Harmless at any time.
         */
        int (*refresh)(Source *s);
        /*
         * What becomes of the service from now on is unjamd's own doing (@ours), or is no longer; @invocation
         * is then the run that unjamd started, or NULL. NULL for sources to which that makes no difference.
         */
        void (*expect)(Source *s, bool ours, const char *invocation);
        Source *(*free)(Source *s);
} SourceOps;

struct Source {
        const SourceOps *ops;
        const char *name; /* "unit", "journal", "probe" ... */
};

static inline int source_start(Source *s)
{
        return s->ops->start(s);
}
static inline int source_refresh(Source *s)
{
        return s->ops->refresh(s);
}
static inline void source_expect(Source *s, bool ours, const char *invocation)
{
        if (s->ops->expect)
                s->ops->expect(s, ours, invocation);
}
static inline Source *source_free(Source *s)
{
        return s ? s->ops->free(s) : NULL;
}
static inline void source_freep(Source **s)
{
        source_free(*s);
}
