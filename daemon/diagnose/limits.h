#pragma once

/*
 * Limits: processes that use more CPU, memory or descriptors than the configuration allows, for too long.
 * Pure.
 */

#include "diagnose/facts.h"

/* What there are limits for. */
typedef enum LimitKind {
        LIMIT_CPU,
        LIMIT_MEMORY,
        LIMIT_DESCRIPTORS,
        _LIMIT_KIND_MAX,
        _LIMIT_KIND_INVALID = -EINVAL,
} LimitKind;
DECLARE_STRING_TABLE(limit_kind, LimitKind);

typedef struct LimitTrack {
        ProcId id;
        char name[32];
        usec_t cpu;
        uint64_t used[_LIMIT_KIND_MAX]; /* percent of one CPU, bytes, number: at the last look */
        usec_t since[_LIMIT_KIND_MAX];  /* monotonic: above the limit since then; 0: below */
        bool seen;
} LimitTrack;

typedef struct LimitWatch {
        const ServiceSettings *service;
        LimitTrack *tracks;
        size_t n, allocated;
        usec_t at; /* of the last look; 0: there was none */
} LimitWatch;

/* @service must outlive it. */
void limits_init(LimitWatch *w, const ServiceSettings *service);
void limits_deinit(LimitWatch *w);
/* Nothing that was seen so far counts any more. */
void limits_clear(LimitWatch *w);
/* Takes a look in. Return: 0 or -ENOMEM. */
int limits_feed(LimitWatch *w, const ProcessesStatus *s);
/*
 * Opens the fact "event" if a process has been above a limit for as long as the configuration says. Yields
 * whether one is.
 */
bool limits_refresh(const LimitWatch *w, Facts *facts, const Now *now);
