/*
 * bench_isolate - how many starts does a search take
 *
 *      bench-isolate [SEED [SEEDS]]      or UNJAM_BENCH_SEED, UNJAM_BENCH_SEEDS
 *
 * The table of DESIGN.md, section 6, on simulated services: means over worlds with culprits at random places,
 * their number unknown to the search. Counted is every start after the baseline, the last control run
 * included. Beside it: the articles' halving on the same worlds (half goes back; after a failure the other
 * half is tried too), and the bound log2 C(n,d) of what a trial that says pass or fail can tell.
 *
 * "consumed" begins with n candidates. "consumed, as in a recovery" lets the failure that opened the incident
 * consume as well: n messages waited then, fewer are candidates. The rows "bound" are computed, not
 * simulated: a dynamic program over the size of the set that is known to hold the only culprit gives the
 * least mean of starts + price * crashes that any search can have in these worlds, even one that knows that
 * there is one culprit. For a price that makes crashes dear enough it says what 4.2 crashes cost, for another
 * what 8.5 starts cost.
 *
 * Flaky culprits are searched within the shipped budget of 128 trials. What else went wrong (a culprit not
 * found, a good message convicted, a search that gave up) is on stderr.
 */
#include "fake/isolate_world.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUDGET         2000
#define BUDGET_SHIPPED 128

typedef struct Row {
        const char *what;
        size_t n, d;
        bool consumes, pairs, wrong, lies;
        bool first; /* the first failure consumes */
        unsigned inflight;
        double flaky, confidence, goal, crash_goal; /* 0: none */
} Row;

typedef struct Result {
        double trials, crashes, seconds, bytes, halving, halving_crashes;
        size_t missed, wrong, gave_up, halving_missed, halving_wrong;
} Result;

/* Does it fail with these released? */
static bool fails(IsolateWorld *w, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                if (w->culprit[i] &&
                    (w->flaky >= 1 || (double)isolate_world_random(w, 1000000) < w->flaky * 1000000))
                        return true;
        return false;
}

/* The articles' way, by hand: is one half to blame, is the other? The set is known to hold one. */
static void halve(IsolateWorld *w, size_t from, size_t to, Result *r)
{
        size_t middle = from + (to - from) / 2;

        if (to - from < 2) {
                r->halving_missed -= w->culprit[from];
                r->halving_wrong += !w->culprit[from];
                return;
        }
        r->halving++;
        if (!fails(w, from, middle)) {
                halve(w, middle, to, r);
                return;
        }
        r->halving_crashes++;
        halve(w, from, middle, r);
        r->halving++;
        if (fails(w, middle, to)) {
                r->halving_crashes++;
                halve(w, middle, to, r);
        }
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
        if (row->first)
                isolate_world_begin(w);
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
        IsolateConfig config = { .max_trials = row->flaky > 0 ? BUDGET_SHIPPED : BUDGET,
                                 .confidence = row->confidence > 0 ? row->confidence : 0.99,
                                 .seed = seed };
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
        r->seconds -= cpu_seconds();
        if (isolate_new(&s, &config, w.n, weights) < 0)
                abort();
        r->seconds += cpu_seconds();
        r->gave_up += drive(&w, s, r) == ISOLATE_GAVE_UP;
        r->bytes += (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / (double)row->n;
        isolate_world_judge(&w, s, &right, &wrong);
        r->missed += right < wanted ? wanted - right : 0;
        r->wrong += wrong;
        r->trials += isolate_trials(s);
        r->crashes += (double)w.n_crashes;
        if (!row->pairs) {
                r->halving_missed += row->d;
                halve(&w, 0, w.n, r);
        }
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

/* In a hundred searches. */
static void print_share(const Row *row, const char *what, size_t count, size_t peer, double goal,
                        unsigned seeds)
{
        char name[128];

        snprintf(name, sizeof(name), "%s n=%zu d=%zu %s", row->what, row->n, row->d, what);
        print_row(name, 100.0 * (double)count / seeds, "of 100 searches", goal, 100.0 * (double)peer / seeds);
}

static void run_row(const Row *row, uint64_t seed, unsigned seeds)
{
        double n = (double)row->n, d = (double)row->d;
        double bound = (lgamma(n + 1) - lgamma(n - d + 1) - lgamma(d + 1)) / M_LN2;
        static double right[2][32]; /* means of the same searches with no wrong evidence */
        double *same = &right[row->consumes][row->d], goal = row->goal;
        Result r = { 0 };
        char name[128];

        for (unsigned k = 0; k < seeds; k++)
                run_one(row, seed + k, &r);
        if (row->wrong)
                goal = *same + 1;
        else if (*same <= 0)
                *same = r.trials / seeds;
        snprintf(name, sizeof(name), "%s n=%zu d=%zu trials (bound %.1f)", row->what, row->n, row->d, bound);
        print_row(name, r.trials / seeds, "starts", goal, r.halving / seeds);
        snprintf(name, sizeof(name), "%s n=%zu d=%zu crashes", row->what, row->n, row->d);
        print_row(name, r.crashes / seeds, "crashes", row->crash_goal, r.halving_crashes / seeds);
        if (row->n == 1000000) {
                snprintf(name, sizeof(name), "%s n=%zu d=%zu processor", row->what, row->n, row->d);
                print_row(name, r.seconds / seeds, "s", 1, -1);
                snprintf(name, sizeof(name), "%s n=%zu d=%zu memory", row->what, row->n, row->d);
                print_row(name, r.bytes / seeds, "bytes/message", 64, -1);
        }
        if (row->flaky > 0) {
                double doubt = 100 * (1 - (row->confidence > 0 ? row->confidence : 0.99));

                print_share(row, "culprits missed", r.missed, r.halving_missed, 50, seeds);
                print_share(row, "good messages convicted", r.wrong, r.halving_wrong, doubt, seeds);
        } else if (r.missed || r.wrong || r.gave_up) {
                fprintf(stderr,
                        "%s n=%zu d=%zu, %u worlds: %zu culprits not found, %zu good messages convicted, "
                        "%zu searches gave up\n",
                        row->what, row->n, row->d, seeds, r.missed, r.wrong, r.gave_up);
        }
}

/* Means, for the set of each size, of the best search that knows that there is one culprit. */
typedef struct Bound {
        double *cost, *starts, *crashes;
        double *sum, *sum_starts, *sum_crashes; /* over the smaller sets: what a failing trial leads to */
} Bound;

/* What the best trial is for a set of @n: how many of them to release. The last one left after a failure
 * needs a control run, after a healthy trial there was one. */
static size_t bound_choose(const Bound *b, size_t n, double price, double *ret)
{
        double least = INFINITY;
        size_t best = 1;

        for (size_t m = 1; m < n; m++) {
                double after = n - m > 1 ? b->cost[n - m] : 0;
                double cost = 1 + (price * (double)m + b->sum[m] + (double)(n - m) * after) / (double)n;

                if (cost < least) {
                        least = cost;
                        best = m;
                }
        }
        *ret = least;
        return best;
}

/* A trial consumes in random order: the culprit is at each place with the same chance, and those before it
 * are gone. Releasing all is never better, as it cannot be healthy. */
static void bound_consumed(size_t n, double price, double *ret_starts, double *ret_crashes)
{
        double *all = calloc((n + 1) * 6, sizeof(*all));
        Bound b = {
                all, all + (n + 1), all + 2 * (n + 1), all + 3 * (n + 1), all + 4 * (n + 1), all + 5 * (n + 1)
        };

        if (!all)
                abort();
        b.sum[1] = b.sum_starts[1] = 1;
        for (size_t k = 2; k <= n; k++) {
                size_t m = bound_choose(&b, k, price, &b.cost[k]), rest = k - m > 1 ? k - m : 0;
                double passes = (double)(k - m);

                b.starts[k] = 1 + (b.sum_starts[m] + passes * b.starts[rest]) / (double)k;
                b.crashes[k] = ((double)m + b.sum_crashes[m] + passes * b.crashes[rest]) / (double)k;
                b.sum[k] = b.sum[k - 1] + b.cost[k];
                b.sum_starts[k] = b.sum_starts[k - 1] + b.starts[k];
                b.sum_crashes[k] = b.sum_crashes[k - 1] + b.crashes[k];
        }
        *ret_starts = b.starts[n];
        *ret_crashes = b.crashes[n];
        free(all);
}

/* Pass or fail only. */
static double bound_pass_or_fail(size_t n)
{
        double *cost = calloc(n + 1, sizeof(*cost)), least;

        if (!cost)
                abort();
        for (size_t k = 2; k <= n; k++) {
                cost[k] = INFINITY;
                for (size_t m = 1; m < k; m++) {
                        double fail = m > 1 ? cost[m] : 1, pass = k - m > 1 ? cost[k - m] : 0;

                        cost[k] = fmin(cost[k], 1 + ((double)m * fail + (double)(k - m) * pass) / (double)k);
                }
        }
        least = cost[n];
        free(cost);
        return least;
}

static void run_bounds(size_t n)
{
        static const double prices[] = { 0, 0.7, 1, 1.6 };
        char name[128];

        snprintf(name, sizeof(name), "bound, pass or fail n=%zu d=1 known", n);
        print_row(name, bound_pass_or_fail(n), "starts", 0, -1);
        for (size_t k = 0; k < sizeof(prices) / sizeof(prices[0]); k++) {
                double starts, crashes;

                bound_consumed(n, prices[k], &starts, &crashes);
                snprintf(name, sizeof(name),
                         "bound, consumed n=%zu d=1 known, a crash costs %g starts: trials", n, prices[k]);
                print_row(name, starts, "starts", 0, -1);
                snprintf(name, sizeof(name),
                         "bound, consumed n=%zu d=1 known, a crash costs %g starts: crashes", n, prices[k]);
                print_row(name, crashes, "crashes", 0, -1);
        }
}

static const Row figures[] = {
        { .what = "pass or fail", .n = 10000, .d = 1, .goal = 14.4 },
        { .what = "pass or fail", .n = 10000, .d = 5, .goal = 64 },
        { .what = "consumed", .n = 10000, .d = 1, .consumes = true, .goal = 8.5, .crash_goal = 4.2 },
        { .what = "consumed", .n = 10000, .d = 5, .consumes = true, .goal = 36 },
        { .what = "consumed, as in a recovery",
          .n = 10000,
          .d = 1,
          .consumes = true,
          .first = true,
          .goal = 8.5,
          .crash_goal = 4.2 },
        { .what = "consumed, as in a recovery",
          .n = 10000,
          .d = 5,
          .consumes = true,
          .first = true,
          .goal = 36 },
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
        { .what = "pass or fail, wrong message named", .n = 10000, .d = 1, .wrong = true },
        { .what = "pass or fail, wrong message named", .n = 10000, .d = 5, .wrong = true },
        { .what = "consumed, wrong message named", .n = 10000, .d = 1, .consumes = true, .wrong = true },
        { .what = "consumed, wrong message named", .n = 10000, .d = 5, .consumes = true, .wrong = true },
        { .what = "consumed, in flight always wrong",
          .n = 10000,
          .d = 1,
          .consumes = true,
          .inflight = 1,
          .lies = true },
        { .what = "pair that fails only together", .n = 10000, .d = 2, .pairs = true },
        { .what = "flaky 0.9", .n = 10000, .d = 1, .flaky = 0.9 },
        { .what = "flaky 0.7", .n = 10000, .d = 1, .flaky = 0.7 },
        { .what = "flaky 0.7, confidence 0.999", .n = 10000, .d = 1, .flaky = 0.7, .confidence = 0.999 },
        { .what = "flaky 0.3", .n = 10000, .d = 1, .flaky = 0.3 },
        { .what = "flaky 0.7, in flight, 1", .n = 10000, .d = 1, .flaky = 0.7, .inflight = 1 },
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
        run_bounds(10000);
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
