#pragma once

/*
 * Hang: which processes of a service are hung, and what else explains that one is silent. Pure.
 */

#include "model/observation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One process over time. */
typedef struct HangTrack {
        ProcId id;
        pid_t parent, tracer;
        char name[32];
        char state;
        bool frozen, accepted;
        char wait[48], peer[64];
        char *file; /* a message file that it holds, or NULL */
        usec_t cpu;
        uint64_t io_bytes, switches;
        /* Since when, monotonic; 0: it is not so. */
        usec_t first;   /* seen */
        usec_t still;   /* nothing of it has changed */
        usec_t burning; /* it uses CPU and moves no byte */
        usec_t stopped;
        usec_t disk;        /* it waits for one, and nothing of it has changed */
        usec_t held;        /* it has @file */
        usec_t burning_cpu; /* what it had used by then */
        bool starved;       /* it is ready to run, and got no CPU since the last look */
        bool seen;
} HangTrack;

typedef struct HangWatch {
        usec_t limit; /* silence of this length is a hang */
        HangTrack *tracks;
        size_t n, allocated;
        usec_t at; /* of the last look; 0: there was none */
        Pressure pressure;
} HangWatch;

/* All zero but for the limit is an empty one. */
void hang_init(HangWatch *w, usec_t limit);
void hang_deinit(HangWatch *w);
/* Nothing that was seen so far counts any more: another run, or a clock that jumped. */
void hang_clear(HangWatch *w);
/* Takes a look in. Return: 0 or -ENOMEM (then that look is void). */
int hang_feed(HangWatch *w, const ProcessesStatus *s);

/*
 * A process that has held a message for longer than the limit and is hung for as long; NULL if there is
 * none.
 */
const HangTrack *hang_holder(const HangWatch *w, ProcessVerdict *ret);
/*
 * Why a service is silent whose mail waits and does not move at all: of the processes that hold messages,
 * else of all. @ret: the process that it is about, NULL if it is about none in particular.
 */
ProcessVerdict hang_service(const HangWatch *w, const HangTrack **ret);
/* Is it known which process is hung that holds a message? */
bool hang_has_holder(const HangWatch *w);
/* Does something else explain now why the service's mail does not move? */
bool hang_is_excused(const HangWatch *w);
/* Of one process now. */
ProcessVerdict hang_verdict(const HangWatch *w, const ProcId *id, const HangTrack **ret);

/* Which test said so, with its figures: "pid 4711 (pipe) ...". Always terminated. Yields @buf. */
const char *hang_describe(const HangWatch *w, const HangTrack *t, ProcessVerdict v, char *buf, size_t size);
