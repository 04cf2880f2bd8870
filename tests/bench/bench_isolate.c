/*
 * bench_isolate - how many starts does a search take
 *
 *      bench-isolate [SEED [SEEDS]]      or UNJAM_BENCH_SEED, UNJAM_BENCH_SEEDS
 *
 * The table of DESIGN.md, section 6, on simulated services: means over worlds with culprits at random places,
 * their number unknown to the search. Counted is every start after the baseline, the last control run
 * included. Beside it: the articles' halving on the same worlds (half goes back; after a failure the other
 * half is tried too), and the bound log2 C(n,d) of what a trial that says pass or fail can tell. What went
 * wrong (a culprit not found, a good message convicted, a search that gave up) is on stderr.
 */
#include "fake/isolate_world.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUDGET 2000

typedef struct Row {
        const char *what;
        size_t n, d;
        bool consumes, pairs, wrong, lies;
        unsigned inflight;
        double flaky, goal, crash_goal; /* 0: none */
} Row;

typedef struct Result {
        double trials, crashes, seconds, bytes, halving, halving_crashes;
        size_t missed, wrong, gave_up;
} Result;

/* The articles' way, by hand: is one half to blame, is the other? The set is known to hold one. */
static void halve(const bool *culprit, size_t from, size_t to, Result *r)
{
        size_t middle = from + (to - from) / 2;
        bool low = false, high = false;

        if (to - from < 2)
                return;
        for (size_t i = from; i < middle; i++)
                low = low || culprit[i];
        for (size_t i = middle; i < to; i++)
                high = high || culprit[i];
        r->halving++;
        if (!low) {
                halve(culprit, middle, to, r);
                return;
        }
        r->halving_crashes++;
        halve(culprit, from, middle, r);
        r->halving++;
        r->halving_crashes += high;
        if (high)
                halve(culprit, middle, to, r);
}

static double cpu_seconds(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Drives the search, and counts the time that it takes itself. */
static IsolateStep drive(IsolateWorld *w, Isolate *s, Result *r)
{
        for (;;) {
                double before = cpu_seconds();
                const uint64_t *release;
                IsolateStep step = isolate_next(s, &release);
                TrialReport report;

                r->seconds += cpu_seconds() - before;
                if (step != ISOLATE_TRIAL)
                        return step;
                report = isolate_world_try(w, release);
                before = cpu_seconds();
                if (isolate_feed(s, &report) < 0)
                        abort();
                r->seconds += cpu_seconds() - before;
        }
}

static double *evidence(IsolateWorld *w, const Row *row)
{
        double *weights = malloc(w->room * sizeof(*weights));
        size_t i;

        if (!weights)
                abort();
        for (i = 0; i < w->room; i++)
                weights[i] = 1;
        if (w->inflight && !row->wrong)
                isolate_world_baseline(w, weights);
        if (row->wrong) {
                do
                        i = isolate_world_random(w, w->n);
                while (w->culprit[i]);
                weights[i] = 1000;
        }
        return weights;
}

static void run_one(const Row *row, uint64_t seed, Result *r)
{
        IsolateConfig config = { .max_trials = BUDGET, .confidence = 0.99, .seed = seed };
        size_t right, wrong, wanted = row->pairs ? 1 : row->d, before;
        IsolateWorld w;
        double *weights;
        Isolate *s;

        isolate_world_init(&w, row->n, row->d, seed);
        w.consumes = row->consumes;
        w.inflight = row->inflight;
        w.pairs = row->pairs;
        w.lies = row->lies;
        w.flaky = row->flaky > 0 ? row->flaky : 1;
        weights = evidence(&w, row);
        before = mallinfo2().uordblks + mallinfo2().hblkhd;
        if (isolate_new(&s, &config, row->n, weights) < 0)
                abort();
        r->gave_up += drive(&w, s, r) == ISOLATE_GAVE_UP;
        r->bytes += (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / (double)row->n;
        isolate_world_judge(&w, s, &right, &wrong);
        r->missed += right < wanted ? wanted - right : 0;
        r->wrong += wrong;
        r->trials += isolate_trials(s);
        r->crashes += (double)w.n_crashes;
        if (!row->pairs)
                halve(w.culprit, 0, row->n, r);
        free(weights);
        isolate_free(s);
        isolate_world_deinit(&w);
}

/* @peer < 0: none. */
static void print_row(const char *name, double value, const char *unit, double goal, double peer)
{
        printf("{\"bench\":\"isolate\",\"row\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"", name, value, unit);
        if (goal > 0)
                printf(",\"goal\":%g,\"pass\":%s", goal, value <= goal ? "true" : "false");
        if (peer > 0)
                printf(",\"peer\":\"halving\",\"peer_value\":%.3f,\"ratio\":%.3f", peer, value / peer);
        printf("}\n");
        fflush(stdout);
}

static void run_row(const Row *row, uint64_t seed, unsigned seeds)
{
        double n = (double)row->n, d = (double)row->d;
        double bound = (lgamma(n + 1) - lgamma(n - d + 1) - lgamma(d + 1)) / M_LN2;
        Result r = { 0 };
        char name[128];

        for (unsigned k = 0; k < seeds; k++)
                run_one(row, seed + k, &r);
        snprintf(name, sizeof(name), "%s n=%zu d=%zu trials (bound %.1f)", row->what, row->n, row->d, bound);
        print_row(name, r.trials / seeds, "starts", row->goal, r.halving / seeds);
        snprintf(name, sizeof(name), "%s n=%zu d=%zu crashes", row->what, row->n, row->d);
        print_row(name, r.crashes / seeds, "crashes", row->crash_goal, r.halving_crashes / seeds);
        if (row->n == 1000000) {
                snprintf(name, sizeof(name), "%s n=%zu d=%zu processor", row->what, row->n, row->d);
                print_row(name, r.seconds / seeds, "s", 1, -1);
                snprintf(name, sizeof(name), "%s n=%zu d=%zu memory", row->what, row->n, row->d);
                print_row(name, r.bytes / seeds, "bytes/message", 64, -1);
        }
        if (r.missed || r.wrong || r.gave_up)
                fprintf(stderr,
                        "%s n=%zu d=%zu, %u worlds: %zu culprits not found, %zu good messages convicted, "
                        "%zu searches gave up\n",
                        row->what, row->n, row->d, seeds, r.missed, r.wrong, r.gave_up);
}

static const Row figures[] = {
        { .what = "pass or fail", .n = 10000, .d = 1, .goal = 14.4 },
        { .what = "pass or fail", .n = 10000, .d = 5, .goal = 64 },
        { .what = "consumed", .n = 10000, .d = 1, .consumes = true, .goal = 8.5, .crash_goal = 4.2 },
        { .what = "consumed", .n = 10000, .d = 5, .consumes = true, .goal = 36 },
        { .what = "in flight, 1", .n = 10000, .d = 1, .consumes = true, .inflight = 1, .goal = 1 },
        { .what = "in flight, 1",
          .n = 10000,
          .d = 5,
          .consumes = true,
          .inflight = 1,
          .goal = 5,
          .crash_goal = 4 },
        { .what = "in flight, 20", .n = 10000, .d = 1, .consumes = true, .inflight = 20, .goal = 5 },
        { .what = "in flight, 20", .n = 10000, .d = 5, .consumes = true, .inflight = 20, .goal = 24 },
        { .what = "pass or fail, wrong message named", .n = 10000, .d = 1, .wrong = true, .goal = 15.4 },
        { .what = "pass or fail, wrong message named", .n = 10000, .d = 5, .wrong = true, .goal = 65 },
        { .what = "consumed, wrong message named",
          .n = 10000,
          .d = 1,
          .consumes = true,
          .wrong = true,
          .goal = 9.5 },
        { .what = "consumed, wrong message named",
          .n = 10000,
          .d = 5,
          .consumes = true,
          .wrong = true,
          .goal = 37 },
        { .what = "consumed, in flight always wrong",
          .n = 10000,
          .d = 1,
          .consumes = true,
          .inflight = 1,
          .lies = true },
        { .what = "pair that fails only together", .n = 10000, .d = 2, .pairs = true },
        { .what = "flaky 0.7", .n = 10000, .d = 1, .flaky = 0.7 },
        { .what = "flaky 0.3", .n = 10000, .d = 1, .flaky = 0.3 },
};

int main(int argc, char **argv)
{
        static const size_t sizes[] = { 100, 10000, 1000000 }, culprits[] = { 1, 2, 5, 10, 20 };
        const char *from = argc > 1 ? argv[1] : getenv("UNJAM_BENCH_SEED");
        const char *many = argc > 2 ? argv[2] : getenv("UNJAM_BENCH_SEEDS");
        uint64_t seed = from ? strtoull(from, NULL, 10) : 1;
        unsigned seeds = many ? (unsigned)strtoul(many, NULL, 10) : 200;

        for (size_t k = 0; k < sizeof(figures) / sizeof(figures[0]); k++)
                run_row(&figures[k], seed, seeds);
        for (size_t i = 0; i < 3; i++)
                for (size_t k = 0; k < 5; k++)
                        for (int consumes = 0; consumes <= 1; consumes++) {
                                Row row = { .what = consumes ? "consumed" : "pass or fail",
                                            .n = sizes[i],
                                            .d = culprits[k],
                                            .consumes = consumes };

                                if (row.n == 10000 && (row.d == 1 || row.d == 5))
                                        continue; /* above */
                                run_row(&row, seed, row.n < 1000000 ? seeds : (seeds + 99) / 100);
                        }
        return 0;
}
