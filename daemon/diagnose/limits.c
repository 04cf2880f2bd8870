/*
 * limits - processes that use more than the configuration allows
 *
 * Fed with the same looks as hang.c. Each process counts by itself: what it used of one CPU since the last
 * look, its resident memory, its open descriptors. Above a limit at every look for as long as `for` says,
 * it is a symptom "event" named after the limit; the counts are the kernel's, so nobody's word is needed
 * besides. A limit of 0 is none.
 *
 * Fails only for want of memory. Test: tests/unit/test_limits.c.
 */
#include "diagnose/limits.h"

#include "base/error.h"
#include "diagnose/symptom.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const limit_kind_table[] = {
        [LIMIT_CPU] = "cpu",
        [LIMIT_MEMORY] = "memory",
        [LIMIT_DESCRIPTORS] = "descriptors",
};
static_assert(sizeof(limit_kind_table) / sizeof(limit_kind_table[0]) == _LIMIT_KIND_MAX, "a word is missing");
DEFINE_STRING_TABLE(limit_kind, LimitKind, limit_kind_table)

void limits_init(LimitWatch *w, const ServiceSettings *service)
{
        *w = (LimitWatch){ .service = service };
}

void limits_clear(LimitWatch *w)
{
        w->n = 0;
        w->at = 0;
}

void limits_deinit(LimitWatch *w)
{
        free(w->tracks);
        *w = (LimitWatch){};
}

static uint64_t limit_of(const LimitSettings *l, LimitKind kind)
{
        switch (kind) {
        case LIMIT_CPU:
                return l->cpu;
        case LIMIT_MEMORY:
                return l->memory;
        case LIMIT_DESCRIPTORS:
                return l->descriptors;
        case _LIMIT_KIND_MAX:
        case _LIMIT_KIND_INVALID:
                break;
        }
        return 0;
}

static LimitTrack *track_take(LimitWatch *w, const ProcessSample *s)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->tracks[i].id.pid == s->id.pid && w->tracks[i].id.start == s->id.start)
                        return &w->tracks[i];
        if (w->n == w->allocated) {
                size_t n = w->allocated ? 2 * w->allocated : 16;
                LimitTrack *bigger = reallocarray(w->tracks, n, sizeof(*bigger));

                if (!bigger)
                        return NULL;
                w->tracks = bigger;
                w->allocated = n;
        }
        w->tracks[w->n] = (LimitTrack){ .id = s->id, .cpu = s->cpu };
        return &w->tracks[w->n++];
}

static void track_update(LimitWatch *w, LimitTrack *t, const ProcessSample *s, usec_t at)
{
        usec_t took = usec_sub(at, w->at);

        t->seen = true;
        text_copy(t->name, sizeof(t->name), s->name);
        t->used[LIMIT_CPU] = w->at > 0 && took > 0 ? usec_sub(s->cpu, t->cpu) * 100 / took : 0;
        t->used[LIMIT_MEMORY] = s->memory;
        t->used[LIMIT_DESCRIPTORS] = s->descriptors;
        t->cpu = s->cpu;
        for (LimitKind k = 0; k < _LIMIT_KIND_MAX; k++) {
                uint64_t limit = limit_of(&w->service->limits, k);

                if (limit == 0 || t->used[k] < limit)
                        t->since[k] = 0;
                else if (t->since[k] == 0)
                        t->since[k] = k == LIMIT_CPU ? w->at : at; /* CPU was used since the look before */
        }
}

int limits_feed(LimitWatch *w, const ProcessesStatus *s)
{
        for (size_t i = 0; i < w->n; i++)
                w->tracks[i].seen = false;
        for (size_t i = 0; i < s->n; i++) {
                LimitTrack *t = track_take(w, &s->list[i]);

                if (!t)
                        return err_origin(-ENOMEM);
                track_update(w, t, &s->list[i], s->at);
        }
        for (size_t i = w->n; i > 0; i--)
                if (!w->tracks[i - 1].seen)
                        w->tracks[i - 1] = w->tracks[--w->n];
        w->at = s->at;
        return 0;
}

/* The process and the kind that has been above its limit for longest, and for long enough. */
static const LimitTrack *limits_exceeded(const LimitWatch *w, LimitKind *ret)
{
        const LimitTrack *found = NULL;

        for (size_t i = 0; i < w->n; i++)
                for (LimitKind k = 0; k < _LIMIT_KIND_MAX; k++) {
                        const LimitTrack *t = &w->tracks[i];

                        if (t->since[k] == 0 || usec_sub(w->at, t->since[k]) < w->service->limits.lasting ||
                            (found && found->since[*ret] <= t->since[k]))
                                continue;
                        found = t;
                        *ret = k;
                }
        return found;
}

static void limit_describe(const LimitWatch *w, const LimitTrack *t, LimitKind kind, Symptom *s)
{
        uint64_t used = t->used[kind], limit = limit_of(&w->service->limits, kind);
        char took[32];

        symptom_detail(s, "pid %d (%s) has been above limits.%s for %s: ", (int)t->id.pid, t->name,
                       limit_kind_to_string(kind),
                       usec_format(took, sizeof(took), usec_sub(w->at, t->since[kind])));
        switch (kind) {
        case LIMIT_CPU:
                symptom_add_detail(s, "%" PRIu64 "%% of a CPU, limit %" PRIu64 "%%", used, limit);
                break;
        case LIMIT_MEMORY:
                symptom_add_detail(s, "%" PRIu64 " MiB, limit %" PRIu64 " MiB", used >> 20, limit >> 20);
                break;
        case LIMIT_DESCRIPTORS:
                symptom_add_detail(s, "%" PRIu64 " descriptors, limit %" PRIu64, used, limit);
                break;
        case _LIMIT_KIND_MAX:
        case _LIMIT_KIND_INVALID:
                break;
        }
}

bool limits_refresh(const LimitWatch *w, Facts *facts, const Now *now)
{
        LimitKind kind = LIMIT_CPU;
        const LimitTrack *t = limits_exceeded(w, &kind);
        char tail[32];
        Symptom s;

        if (!t || facts->of[SYMPTOM_EVENT].open)
                return t != NULL;
        snprintf(tail, sizeof(tail), "limits/%s", limit_kind_to_string(kind));
        s = symptom_make(w->service, SYMPTOM_EVENT, tail, now->wall);
        snprintf(s.rule, sizeof(s.rule), "limits.%s", limit_kind_to_string(kind));
        limit_describe(w, t, kind, &s);
        facts_open(facts, &s, true, 0);
        return true;
}
