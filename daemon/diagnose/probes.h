#pragma once

/*
 * Probes: what the probes of a service say about its present run.
 */

#include "model/observation.h"
#include "model/settings.h"

typedef struct ProbeWatch {
        const ProbeSettings *settings;
        bool known;        /* it has reported in this run */
        bool ok;           /* its last report was good */
        bool answered;     /* there was a good one in this run */
        unsigned failures; /* bad ones in a row */
        char detail[128];  /* what was wrong with the last, UTF-8 */
        unsigned slow;     /* slow answers in a row */
        unsigned quick;    /* others in a row */
        usec_t took;       /* the last answer */
        bool warned;       /* that it is slow has been said */
} ProbeWatch;

typedef struct Probes {
        ProbeWatch *probes;
        size_t n;
} Probes;

/* @settings must outlive it. Return: 0 or -ENOMEM. */
int probes_init(Probes *p, const ProbeSettings *settings, size_t n);
void probes_deinit(Probes *p);
/* A new run begins: nothing is known. */
void probes_restart(Probes *p);
#define PROBES_E_SLOW 1 /* from now on it counts as slow: to be said once */
/* Return: 0, PROBES_E_SLOW, or -EINVAL if there is no such probe. */
int probes_feed(Probes *p, const ProbeStatus *status);

/*
 * The first probe whose last report was bad, or NULL. One that has never answered in this run counts only
 * with @started: before, the service may still be on its way up.
 */
const ProbeWatch *probes_failing(const Probes *p, bool started);
/* The first that failed as often in a row as its settings ask for. @started as above. */
const ProbeWatch *probes_unresponsive(const Probes *p, bool started);
/* Has every probe but the canaries answered in this run? */
bool probes_answered(const Probes *p);
/* Until when after the start of a run there may be probes that have not reported yet; 0 if all have. */
usec_t probes_pending(const Probes *p);
/* How long it takes at most until a service that answered once, and then does so no more, is unresponsive. */
usec_t probes_notice(const ProbeSettings *settings, size_t n);
/* "tcp 127.0.0.1:2525", to @buf; yields @buf. */
char *probe_describe(const ProbeSettings *s, char *buf, size_t size);
