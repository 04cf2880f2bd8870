/*
 * probes - failures in a row
 *
 * The diagnosis feeds it while the service runs, and restarts it with each run: what a probe said of an
 * earlier process means nothing for this one. A slow answer is an answer; as many of them in a row as make a
 * failure are worth a warning, and as many quick ones end it. Fails only for a probe that does not exist.
 * Test: tests/unit/test_probes.c.
 */
#include "diagnose/probes.h"

#include "base/error.h"
#include "diagnose/symptom.h"

#include <stdio.h>
#include <stdlib.h>

int probes_init(Probes *p, const ProbeSettings *settings, size_t n)
{
        *p = (Probes){ .n = n };
        p->probes = calloc(n > 0 ? n : 1, sizeof(p->probes[0]));
        if (!p->probes)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < n; i++)
                p->probes[i].settings = settings + i;
        return 0;
}

void probes_deinit(Probes *p)
{
        free(p->probes);
        *p = (Probes){};
}

void probes_restart(Probes *p)
{
        for (size_t i = 0; i < p->n; i++)
                p->probes[i] = (ProbeWatch){ .settings = p->probes[i].settings };
}

static unsigned one_more(unsigned n)
{
        return n < UINT32_MAX ? n + 1 : n;
}

/* A good answer: is it the one that makes the probe slow? */
static bool pace_take(ProbeWatch *w, const ProbeStatus *status)
{
        unsigned enough = w->settings->failures > 0 ? w->settings->failures : 1;

        w->slow = status->slow ? one_more(w->slow) : 0;
        w->quick = status->slow ? 0 : one_more(w->quick);
        w->took = status->took;
        if (w->quick >= enough)
                w->warned = false;
        if (w->warned || w->slow < enough)
                return false;
        w->warned = true;
        return true;
}

int probes_feed(Probes *p, const ProbeStatus *status)
{
        ProbeWatch *w;

        if (status->probe >= p->n)
                return err_origin(-EINVAL);
        w = p->probes + status->probe;
        w->known = true;
        w->ok = status->ok;
        if (status->ok) {
                w->answered = true;
                w->failures = 0;
                return pace_take(w, status) ? PROBES_E_SLOW : 0;
        }
        w->slow = 0;
        w->failures = one_more(w->failures);
        text_copy(w->detail, sizeof(w->detail), status->detail);
        return 0;
}

const ProbeWatch *probes_failing(const Probes *p, bool started)
{
        for (size_t i = 0; i < p->n; i++) {
                const ProbeWatch *w = p->probes + i;

                if (w->known && !w->ok && (started || w->answered))
                        return w;
        }
        return NULL;
}

const ProbeWatch *probes_unresponsive(const Probes *p, bool started)
{
        for (size_t i = 0; i < p->n; i++) {
                const ProbeWatch *w = p->probes + i;

                if (w->failures > 0 && w->failures >= w->settings->failures && (started || w->answered))
                        return w;
        }
        return NULL;
}

bool probes_answered(const Probes *p)
{
        for (size_t i = 0; i < p->n; i++)
                if (!p->probes[i].answered && p->probes[i].settings->kind != PROBE_CANARY)
                        return false;
        return true;
}

usec_t probes_pending(const Probes *p)
{
        usec_t longest = 0;

        for (size_t i = 0; i < p->n; i++) {
                const ProbeWatch *w = p->probes + i;
                usec_t t = usec_add(w->settings->interval, w->settings->timeout);

                /* Canaries are not sent before it counts as healthy. */
                if (!w->known && w->settings->kind != PROBE_CANARY && t > longest)
                        longest = t;
        }
        return longest;
}

usec_t probes_notice(const ProbeSettings *settings, size_t n)
{
        usec_t longest = 0;

        for (size_t i = 0; i < n; i++) {
                const ProbeSettings *s = settings + i;
                usec_t t = usec_add(s->interval * (s->failures > 0 ? s->failures : 1), s->timeout);

                /* Canaries are sent while all is well. */
                if (s->kind != PROBE_CANARY && t > longest)
                        longest = t;
        }
        return longest;
}

char *probe_describe(const ProbeSettings *s, char *buf, size_t size)
{
        const char *kind = probe_kind_to_string(s->kind);
        const char *where = s->address ? s->address : s->path ? s->path : s->command ? s->command[0] : NULL;

        snprintf(buf, size, "%s%s%s", kind ? kind : "probe", where ? " " : "", where ? where : "");
        return buf;
}
