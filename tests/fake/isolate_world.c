/*
 * isolate_world - a simulated service for the search
 *
 * Used by tests/unit/test_isolate.c and tests/bench/bench_isolate.c. Deterministic: the seed decides.
 */
#include "fake/isolate_world.h"

#include <stdlib.h>
#include <string.h>

static void *allocate(size_t n, size_t size)
{
        void *p = calloc(n + 64, size);

        if (!p)
                abort();
        return p;
}

uint64_t isolate_world_random(IsolateWorld *w, uint64_t below)
{
        uint64_t x = w->random += UINT64_C(0x9e3779b97f4a7c15);

        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (x ^ (x >> 31)) % below;
}

void isolate_world_init(IsolateWorld *w, size_t n, size_t n_culprits, uint64_t seed)
{
        size_t room = n + n / 4 + 256;

        *w = (IsolateWorld){
                .n = n, .room = room, .n_culprits = n_culprits, .random = seed * 77777, .flaky = 1
        };
        w->culprit = allocate(room, sizeof(bool));
        w->gone = allocate(room, sizeof(bool));
        w->queue = allocate(room, sizeof(uint32_t));
        w->consumed = allocate(room / 64, 8);
        w->flying = allocate(room / 64, 8);
        w->survived = allocate(room / 64, 8);
        for (size_t k = 0; k < n_culprits;) {
                size_t i = isolate_world_random(w, n);

                k += !w->culprit[i];
                w->culprit[i] = true;
        }
}

void isolate_world_deinit(IsolateWorld *w)
{
        free(w->culprit);
        free(w->gone);
        free(w->queue);
        free(w->consumed);
        free(w->flying);
        free(w->survived);
}

void isolate_world_add(IsolateWorld *w, bool culprit)
{
        if (w->n == w->room)
                abort();
        w->culprit[w->n] = culprit;
        w->gone[w->n] = false;
        w->n_culprits += culprit;
        w->n++;
}

static void set(uint64_t *bits, size_t i)
{
        bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool has(const uint64_t *bits, size_t i)
{
        return bits[i / 64] >> (i % 64) & 1;
}

/* Does it fail on this one now? */
static bool hits(IsolateWorld *w, size_t i, size_t present)
{
        if (!w->culprit[i] || (w->pairs && present < w->n_culprits))
                return false;
        return w->flaky >= 1 || (double)isolate_world_random(w, 1000000) < w->flaky * 1000000;
}

/* Takes the queue in random order, so many at once; one of those in flight is done at each step. */
static bool run(IsolateWorld *w, size_t n, size_t present)
{
        size_t slots = w->inflight ? w->inflight : 1;

        for (size_t k = n; k > 1; k--) {
                size_t j = isolate_world_random(w, k);
                uint32_t swap = w->queue[k - 1];

                w->queue[k - 1] = w->queue[j];
                w->queue[j] = swap;
        }
        for (size_t k = 0; k < n; k++) {
                size_t flying = n - k < slots ? n - k : slots, j = k + isolate_world_random(w, flying);
                uint32_t done = w->queue[j];

                if (hits(w, done, present)) {
                        for (size_t f = k; f < k + flying && w->inflight; f++)
                                set(w->flying, w->lies ? isolate_world_random(w, w->n) : w->queue[f]);
                        return true;
                }
                w->queue[j] = w->queue[k];
                w->queue[k] = done;
                if (w->consumes) {
                        set(w->consumed, done);
                        w->gone[done] = true;
                }
        }
        return false;
}

/* Nothing but pass or fail is told: in which order does not matter. */
static bool run_all(IsolateWorld *w, const uint64_t *release)
{
        size_t present = 0;
        bool failed = false;

        for (size_t i = 0; i < w->n; i++)
                present += w->culprit[i] && has(release, i);
        for (size_t i = 0; i < w->n && !failed; i++)
                failed = w->culprit[i] && has(release, i) && hits(w, i, present);
        return failed;
}

static TrialReport try_all(IsolateWorld *w, const uint64_t *release)
{
        bool failed = run_all(w, release);

        w->n_crashes += failed;
        w->n_healthy += !failed;
        memcpy(w->survived, release, (w->n + 63) / 64 * 8);
        return (TrialReport){ .failed = failed, .survived = failed ? NULL : w->survived };
}

TrialReport isolate_world_try(IsolateWorld *w, const uint64_t *release)
{
        size_t n = 0, words = w->n / 64 + 1, present = 0;
        bool failed;

        if (!w->consumes && !w->inflight)
                return try_all(w, release);
        memset(w->consumed, 0, words * 8);
        memset(w->flying, 0, words * 8);
        memset(w->survived, 0, words * 8);
        for (size_t i = 0; i < w->n; i++)
                if (has(release, i) && !w->gone[i]) {
                        w->queue[n++] = (uint32_t)i;
                        present += w->culprit[i];
                        set(w->survived, i);
                }
        failed = run(w, n, present);
        w->n_crashes += failed;
        w->n_healthy += !failed;
        for (size_t k = 0; k < words; k++)
                w->survived[k] &= ~w->consumed[k];
        return (TrialReport){ .failed = failed,
                              .consumption_seen = w->consumes,
                              .consumed = w->consumed,
                              .inflight = w->inflight ? w->flying : NULL,
                              .survived = failed ? NULL : w->survived };
}

void isolate_world_begin(IsolateWorld *w)
{
        uint64_t *all = allocate(w->room / 64, 8);
        size_t n = 0;

        memset(all, 0xff, (w->n / 64 + 1) * 8);
        for (unsigned tries = 0; tries < 1000 && !isolate_world_try(w, all).failed; tries++)
                memset(w->gone, 0, w->n);
        for (size_t i = 0; i < w->n; i++)
                if (!w->gone[i])
                        w->culprit[n++] = w->culprit[i];
        memset(w->gone, 0, w->n);
        w->n = n;
        w->n_crashes = w->n_healthy = 0;
        free(all);
}

void isolate_world_baseline(IsolateWorld *w, double *weights)
{
        uint64_t *all = allocate(w->room / 64, 8);

        memset(all, 0xff, (w->n / 64 + 1) * 8);
        for (unsigned tries = 0; tries < 1000 && !isolate_world_try(w, all).failed; tries++)
                memset(w->gone, 0, w->n);
        memset(w->gone, 0, w->n);
        for (size_t i = 0; i < w->n; i++)
                weights[i] = has(w->flying, i) ? 1000 : 1;
        w->n_crashes = w->n_healthy = 0;
        free(all);
}

IsolateStep isolate_world_search(IsolateWorld *w, Isolate *s)
{
        for (;;) {
                const uint64_t *release;
                IsolateStep step = isolate_next(s, &release);
                TrialReport report;

                if (step != ISOLATE_TRIAL)
                        return step;
                report = isolate_world_try(w, release);
                if (isolate_feed(s, &report) < 0)
                        abort();
        }
}

void isolate_world_judge(const IsolateWorld *w, const Isolate *s, size_t *ret_right, size_t *ret_wrong)
{
        *ret_right = *ret_wrong = 0;
        for (size_t i = 0; i < w->n; i++)
                if (isolate_state(s, i) == CANDIDATE_CONVICTED) {
                        *ret_right += w->culprit[i];
                        *ret_wrong += !w->culprit[i];
                }
}
