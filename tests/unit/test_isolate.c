/*
 * test_isolate - the search in virtual worlds (isolate, isolate_blocks, isolate_facts, isolate_choose,
 * isolate_doubt, isolate_model, isolate_save)
 *
 * Properties in random worlds: it always ends; it never convicts a good message where culprits always fail
 * and evidence does not lie; it never releases a convicted message; what it saves takes the same next steps.
 */
#include "decide/isolate.h"
#include "decide/isolate_state.h"
#include "fake/isolate_world.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRIVALS 4u /* every so many trials a message arrives */
#define RESUMED  8u /* the search is saved and read back before each step */

static Isolate *search_new(size_t n, unsigned budget, uint64_t seed, const double *weights)
{
        IsolateConfig config = { .max_trials = budget, .confidence = 0.99, .seed = seed };
        Isolate *s = NULL;

        assert_int_equal(isolate_new(&s, &config, n, weights), 0);
        assert_int_equal(isolate_n(s), n);
        return s;
}

/* Another search with the same knowledge. */
static Isolate *search_again(Isolate *s)
{
        json_t *saved = isolate_save(s), *copy;
        char *text;
        Isolate *t = NULL;

        assert_non_null(saved);
        text = json_dumps(saved, 0);
        copy = json_loads(text, 0, NULL);
        assert_int_equal(isolate_load(&t, copy), 0);
        free(text);
        json_decref(saved);
        json_decref(copy);
        return t;
}

/* States partition the candidates; nobody convicted is released; nobody comes back from conviction. */
static void check_step(const Isolate *s, const uint64_t *release, const bool *convicted)
{
        size_t open = 0;

        for (size_t i = 0; i < isolate_n(s); i++) {
                CandidateState state = isolate_state(s, i);

                open += state == CANDIDATE_UNKNOWN;
                if (state == CANDIDATE_CONVICTED)
                        assert_false(bits_has(release, i));
                if (convicted[i])
                        assert_int_equal(state, CANDIDATE_CONVICTED);
        }
        assert_int_equal(open, isolate_open(s));
        assert_true(isolate_expected(s) >= 0);
}

/* A search to its end, checked at each step. Takes @s. Return: how it ended. */
static IsolateStep search_all(IsolateWorld *w, Isolate **s, unsigned flags)
{
        bool *convicted = calloc(w->room, 1);
        bool steady = w->flaky >= 1 && !w->pairs;

        for (unsigned trial = 0;; trial++) {
                const uint64_t *release, *twin_release;
                IsolateStep step = isolate_next(*s, &release);
                TrialReport report;

                if (flags & RESUMED) {
                        Isolate *t = search_again(*s);

                        assert_int_equal(isolate_next(t, &twin_release), step);
                        for (size_t k = 0; k < isolate_n(t); k++)
                                assert_int_equal(bits_has(release, k), bits_has(twin_release, k));
                        isolate_free(*s);
                        *s = t;
                        release = twin_release;
                }
                if (steady)
                        check_step(*s, release, convicted);
                if (step != ISOLATE_TRIAL) {
                        free(convicted);
                        return step;
                }
                assert_true(isolate_trials(*s) == trial + 1);
                if (flags & ARRIVALS && trial % 4 == 1) {
                        isolate_world_add(w, trial == 5);
                        assert_int_equal(isolate_add(*s, 1), 0);
                        isolate_next(*s, &release);
                        assert_true(bits_has(release, w->n - 1));
                }
                if (trial % 5 == 2) { /* somebody interfered: the same trial once more */
                        isolate_void(*s);
                        assert_int_equal(isolate_next(*s, &release), ISOLATE_TRIAL);
                }
                report = isolate_world_try(w, release);
                assert_int_equal(isolate_feed(*s, &report), 0);
                for (size_t i = 0; i < w->n; i++)
                        convicted[i] = isolate_state(*s, i) == CANDIDATE_CONVICTED;
        }
}

static void finish(IsolateWorld *w, Isolate *s)
{
        isolate_free(s);
        isolate_world_deinit(w);
}

/* How many of @most worlds to go through: UNJAM_WORLDS percent of them; a few are enough while one works. */
static unsigned some_of(unsigned most)
{
        const char *percent = getenv("UNJAM_WORLDS");

        return most * (percent ? (unsigned)strtoul(percent, NULL, 10) : 20) / 100;
}

/* What random worlds of one kind come to. */
typedef struct Kind {
        bool consumes, lies;
        unsigned inflight, flags;
        bool wrong_weight;
} Kind;

static double *first_evidence(IsolateWorld *w, bool wrong)
{
        double *weights = calloc(w->room, sizeof(*weights));

        for (size_t i = 0; i < w->n; i++)
                weights[i] = 1;
        if (w->inflight)
                isolate_world_baseline(w, weights);
        for (size_t i = 0; wrong && i < w->n; i++)
                weights[i] = 1;
        for (size_t i = 0; wrong && i < w->n; i++)
                if (!w->culprit[i]) {
                        weights[i] = 1000;
                        break;
                }
        return weights;
}

static void random_worlds(const Kind *kind, unsigned worlds)
{
        for (unsigned seed = 1; seed <= some_of(worlds); seed++) {
                size_t n = 1 + seed * 7919 % 300, d = 1 + seed % 6, right, wrong;
                IsolateWorld w;
                double *weights;
                Isolate *s;

                isolate_world_init(&w, n, d < n ? d : n, seed);
                w.consumes = kind->consumes;
                w.inflight = kind->inflight;
                w.lies = kind->lies;
                weights = first_evidence(&w, kind->wrong_weight && d < n);
                s = search_new(n, 5000, seed, weights);
                assert_int_equal(search_all(&w, &s, kind->flags), ISOLATE_DONE);
                isolate_world_judge(&w, s, &right, &wrong);
                assert_int_equal(wrong, 0);
                assert_int_equal(right, w.n_culprits);
                free(weights);
                finish(&w, s);
        }
}

static void test_pass_or_fail(void **state)
{
        (void)state;
        random_worlds(&(Kind){ .consumes = false }, 200);
        random_worlds(&(Kind){ .flags = RESUMED }, 60);
        random_worlds(&(Kind){ .flags = ARRIVALS | RESUMED }, 60);
}

static void test_consumption(void **state)
{
        (void)state;
        random_worlds(&(Kind){ .consumes = true }, 200);
        random_worlds(&(Kind){ .consumes = true, .flags = ARRIVALS | RESUMED }, 60);
}

static void test_inflight(void **state)
{
        (void)state;
        random_worlds(&(Kind){ .consumes = true, .inflight = 1 }, 200);
        random_worlds(&(Kind){ .consumes = true, .inflight = 1, .flags = RESUMED }, 60);
        random_worlds(&(Kind){ .consumes = true, .inflight = 20 }, 200);
        random_worlds(&(Kind){ .inflight = 5, .flags = ARRIVALS | RESUMED }, 60);
}

static void test_wrong_evidence(void **state)
{
        (void)state;
        random_worlds(&(Kind){ .wrong_weight = true }, 200);
        random_worlds(&(Kind){ .consumes = true, .wrong_weight = true, .flags = RESUMED }, 60);
}

static double mean_trials(size_t n, size_t d, Kind kind)
{
        double trials = 0;

        for (unsigned seed = 1; seed <= 20; seed++) {
                size_t right, wrong;
                IsolateWorld w;
                double *weights;
                Isolate *s;

                isolate_world_init(&w, n, d, seed);
                w.consumes = kind.consumes;
                w.inflight = kind.inflight;
                weights = first_evidence(&w, kind.wrong_weight);
                s = search_new(n, 500, seed, weights);
                assert_int_equal(isolate_world_search(&w, s), ISOLATE_DONE);
                isolate_world_judge(&w, s, &right, &wrong);
                assert_int_equal(right, d);
                assert_int_equal(wrong, 0);
                trials += isolate_trials(s);
                free(weights);
                finish(&w, s);
        }
        return trials / 20;
}

/* Roughly the figures of DESIGN.md, section 6; tests/bench/run isolate measures them well. */
static void test_it_is_fast(void **state)
{
        (void)state;
        assert_true(mean_trials(2000, 1, (Kind){ .consumes = false }) < 13.5);
        assert_true(mean_trials(2000, 5, (Kind){ .consumes = false }) < 56);
        assert_true(mean_trials(2000, 1, (Kind){ .consumes = true }) < 9);
        assert_true(mean_trials(2000, 1, (Kind){ .consumes = true, .inflight = 1 }) <= 1);
        assert_true(mean_trials(2000, 5, (Kind){ .consumes = true, .inflight = 1 }) <= 5);
        assert_true(mean_trials(2000, 1, (Kind){ .consumes = true, .inflight = 20 }) <= 5);
        assert_true(mean_trials(2000, 1, (Kind){ .wrong_weight = true }) < 14.5);
}

/* Two messages that are harmless alone: to take one of them out is enough. */
static void test_pairs(void **state)
{
        (void)state;
        for (unsigned seed = 1; seed <= some_of(100); seed++) {
                size_t right, wrong;
                IsolateWorld w;
                Isolate *s;

                isolate_world_init(&w, 20 + seed * 13 % 200, 2, seed);
                w.pairs = true;
                s = search_new(w.n, 500, seed, NULL);
                assert_int_equal(search_all(&w, &s, seed % 3 ? 0 : RESUMED), ISOLATE_DONE);
                isolate_world_judge(&w, s, &right, &wrong);
                assert_int_equal(right, 1);
                assert_int_equal(wrong, 0);
                finish(&w, s);
        }
}

/* Culprits that fail now and then: most are found, hardly a good message is taken for one, and it ends. */
static void test_flaky(void **state)
{
        static const double rates[] = { 0.3, 0.5, 0.7 };
        const unsigned seeds = some_of(300);
        size_t found = 0, false_ones = 0;

        (void)state;
        for (unsigned seed = 1; seed <= seeds; seed++) {
                size_t right, wrong;
                IsolateWorld w;
                Isolate *s;

                isolate_world_init(&w, 50 + seed * 37 % 400, 1, seed);
                w.flaky = rates[seed % 3];
                s = search_new(w.n, 200, seed, NULL);
                search_all(&w, &s, seed % 4 ? 0 : RESUMED);
                assert_true(isolate_trials(s) <= 200);
                isolate_world_judge(&w, s, &right, &wrong);
                found += right;
                false_ones += wrong;
                finish(&w, s);
        }
        assert_true(found * 6 >= seeds * 5);
        assert_true(false_ones * 15 <= seeds);
}

/* More trials are made until it is surer. */
static void test_confidence(void **state)
{
        static const double levels[] = { 0.9, 0.9999 };
        unsigned trials[2] = { 0 };

        (void)state;
        for (unsigned k = 0; k < 2; k++)
                for (unsigned seed = 1; seed <= 40; seed++) {
                        IsolateConfig config = { .max_trials = 400, .confidence = levels[k], .seed = seed };
                        IsolateWorld w;
                        Isolate *s;

                        isolate_world_init(&w, 200, 1, seed);
                        w.flaky = 0.6;
                        assert_int_equal(isolate_new(&s, &config, w.n, NULL), 0);
                        search_all(&w, &s, 0);
                        trials[k] += isolate_trials(s);
                        finish(&w, s);
                }
        assert_true(trials[1] > trials[0]);
}

/* The budget is spent on a flaky culprit: it is among the few that stay held, most mail is cleared. */
static void test_budget_in_doubt(void **state)
{
        size_t open = 0, kept = 0, gave_up = 0;

        (void)state;
        for (unsigned seed = 1; seed <= 30; seed++) {
                IsolateWorld w;
                Isolate *s;

                isolate_world_init(&w, 1000, 1, seed);
                w.flaky = 0.3;
                s = search_new(1000, 60, seed, NULL);
                if (search_all(&w, &s, 0) == ISOLATE_GAVE_UP) {
                        gave_up++;
                        open += isolate_open(s);
                        for (size_t i = 0; i < w.n; i++)
                                kept += w.culprit[i] && isolate_state(s, i) != CANDIDATE_CLEARED;
                }
                finish(&w, s);
        }
        assert_true(gave_up > 10);
        assert_true(kept * 10 >= gave_up * 9);
        assert_true(open < gave_up * 500);
}

static void test_budget(void **state)
{
        const uint64_t *release;
        size_t right, wrong;
        IsolateWorld w;
        Isolate *s;

        (void)state;
        isolate_world_init(&w, 1000, 5, 7);
        s = search_new(1000, 25, 7, NULL);
        assert_int_equal(search_all(&w, &s, 0), ISOLATE_GAVE_UP);
        assert_int_equal(isolate_trials(s), 25);
        isolate_world_judge(&w, s, &right, &wrong);
        assert_in_range(right, 1, 4); /* what it knows so far */
        assert_int_equal(wrong, 0);
        assert_true(isolate_open(s) > 0);
        assert_int_equal(isolate_next(s, &release), ISOLATE_GAVE_UP);
        finish(&w, s);
}

/* It survives without having reached what was released: that clears nobody. */
static void test_not_reached(void **state)
{
        uint64_t none = 0, first = 1;
        TrialReport report = { .consumption_seen = true, .consumed = &none };
        const uint64_t *release;
        Isolate *s = search_new(8, 50, 1, NULL);

        (void)state;
        assert_int_equal(isolate_feed(s, &report), -EINVAL); /* no trial is under way */
        assert_int_equal(isolate_next(s, &release), ISOLATE_TRIAL);
        assert_int_equal(isolate_feed(s, &report), 0);
        assert_int_equal(isolate_open(s), 8);
        assert_int_equal(isolate_next(s, &release), ISOLATE_TRIAL);
        report.consumed = &first;
        assert_int_equal(isolate_feed(s, &report), 0);
        assert_int_equal(isolate_state(s, 0), CANDIDATE_CLEARED);
        isolate_clear(s, 1);
        assert_int_equal(isolate_state(s, 1), CANDIDATE_CLEARED);
        isolate_weigh(s, 2, 1 / isolate_weight(s, 2));
        isolate_weigh(s, 2, 50);
        assert_true(fabs(isolate_weight(s, 2) - 50) < 1e-9);
        assert_int_equal(isolate_open(s), 6);
        isolate_free(s);
}

/* What was opened and closed before a failure is cleared; the last one left is the culprit. */
static void test_closed(void **state)
{
        uint64_t closed, none = 0;
        TrialReport report = {
                .failed = true, .consumption_seen = true, .consumed = &none, .closed = &closed
        };
        const uint64_t *release;
        Isolate *s = search_new(16, 50, 1, NULL);
        size_t culprit = NOBODY;

        (void)state;
        assert_int_equal(isolate_next(s, &release), ISOLATE_TRIAL);
        for (size_t i = 0; i < 16; i++)
                if (bits_has(release, i))
                        culprit = i;
        closed = *release & ~(UINT64_C(1) << culprit);
        assert_int_equal(isolate_feed(s, &report), 0);
        assert_int_equal(isolate_next(s, &release), ISOLATE_TRIAL);
        assert_int_equal(isolate_state(s, culprit), CANDIDATE_CONVICTED);
        assert_false(bits_has(release, culprit));
        isolate_free(s);
}

/* Many candidates: few blocks, so what is written down is short while nothing is consumed. */
static void test_many(void **state)
{
        IsolateWorld w;
        Isolate *s;

        (void)state;
        isolate_world_init(&w, 100000, 2, 3);
        s = search_new(w.n, 200, 3, NULL);
        for (unsigned k = 0; k < 200; k++) {
                const uint64_t *release;
                TrialReport report;
                json_t *saved;
                char *text;

                if (isolate_next(s, &release) != ISOLATE_TRIAL)
                        break;
                report = isolate_world_try(&w, release);
                assert_int_equal(isolate_feed(s, &report), 0);
                saved = isolate_save(s);
                text = json_dumps(saved, JSON_COMPACT);
                assert_true(strlen(text) < 20000);
                free(text);
                json_decref(saved);
                if (k % 7 == 3) {
                        Isolate *t = search_again(s);

                        isolate_free(s);
                        s = t;
                }
        }
        assert_int_equal(isolate_open(s), 0);
        finish(&w, s);
}

/* More culprits than facts that are kept at a time. */
static void test_many_culprits(void **state)
{
        (void)state;
        for (unsigned seed = 1; seed <= 3; seed++) {
                size_t right, wrong;
                IsolateWorld w;
                Isolate *s;

                isolate_world_init(&w, 1500, 150, seed);
                w.consumes = seed == 3;
                s = search_new(w.n, 5000, seed, NULL);
                assert_int_equal(search_all(&w, &s, 0), ISOLATE_DONE);
                isolate_world_judge(&w, s, &right, &wrong);
                assert_int_equal(right, 150);
                assert_int_equal(wrong, 0);
                finish(&w, s);
        }
}

/* Evidence of very many kinds: still every culprit, and the same after each resuming. */
static void test_many_weights(void **state)
{
        (void)state;
        for (unsigned seed = 1; seed <= 4; seed++) {
                size_t n = seed % 2 ? 3000 : 300, right, wrong;
                double *weights = calloc(n, sizeof(*weights));
                IsolateWorld w;
                Isolate *s;

                isolate_world_init(&w, n, 3, seed);
                for (size_t i = 0; i < n; i++)
                        weights[i] = 0.25 + (double)isolate_world_random(&w, 1000000) / 100000;
                s = search_new(n, 2000, seed, weights);
                assert_true(fabs(isolate_weight(s, 7) / weights[7] - 1) < 0.03);
                assert_int_equal(search_all(&w, &s, RESUMED), ISOLATE_DONE);
                isolate_world_judge(&w, s, &right, &wrong);
                assert_int_equal(right, 3);
                assert_int_equal(wrong, 0);
                free(weights);
                finish(&w, s);
        }
}

static void test_nothing(void **state)
{
        const uint64_t *release;
        IsolateConfig config = { .max_trials = 5, .confidence = 1 };
        Isolate *s = NULL;

        (void)state;
        assert_int_equal(isolate_new(&s, &config, 1, NULL), -EINVAL);
        s = search_new(0, 5, 1, NULL);
        assert_int_equal(isolate_next(s, &release), ISOLATE_DONE);
        assert_true(isolate_expected(s) < 0.5);
        isolate_free(s);
}

/* What cannot be understood is refused, whatever member is broken. */
static void test_load_refuses(void **state)
{
        static const char *const wrong[] = { "null",      "[]",        "{\"n\":-1}", "\"00\"",   "\"40:0\"",
                                             "\"39:0 \"", "[[900,1]]", "[[1,0]]",    "\"40:9 \"" };
        Isolate *s = search_new(40, 50, 1, NULL), *t;
        json_t *saved, *broken, *value;
        const char *key;

        (void)state;
        isolate_weigh(s, 3, 7);
        saved = isolate_save(s);
        json_object_foreach(saved, key, value)
        {
                bool is_loaded = false;

                for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
                        broken = json_deep_copy(saved);
                        json_object_set_new(broken, key, json_loads(wrong[k], JSON_DECODE_ANY, NULL));
                        t = NULL;
                        if (isolate_load(&t, broken) == 0) {
                                is_loaded = true;
                                isolate_free(t);
                        } else {
                                assert_null(t);
                        }
                        json_decref(broken);
                }
                assert_false(is_loaded);
        }
        json_decref(saved);
        isolate_free(s);
}

static void test_model(void **state)
{
        Model m;

        (void)state;
        model_init(&m, 0, 0, 1);
        assert_true(fabs(model_pass(&m, 0, 1, 0) - 1) < 1e-9);
        assert_true(model_pass(&m, 1, 1, 0) < 1e-9);  /* it holds one: all of it fails */
        assert_true(model_pass(&m, 0.5, 1, 0) < 0.5); /* there may be more than one */
        assert_true(model_pass(&m, 0.5, 1, 0) > 0.2);
        assert_true(model_more(&m) > 0);
        assert_true(fabs(information(0.5) - 1) < 1e-9);
        assert_true(information(0) == 0 && information(1) == 0);
        assert_true(fabs(gain_consumed(1e6) - 1.4427) < 0.001);
        assert_true(fabs(gain_inflight(10, 1)) < 1e-9);
        assert_true(gain_inflight(10, 1e-4) > 9.5);
        assert_true(flaky_controls(0.99, 1, 3) > flaky_controls(0.99, 3, 0));
        assert_true(flaky_controls(0.999, 3, 3) > flaky_controls(0.9, 3, 3));
        assert_true(fabs(flaky_likelihood(0, 0) - 1) < 1e-9);
        assert_true(fabs(flaky_likelihood(1, 1) - 1.0 / 6) < 1e-9);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pass_or_fail),    cmocka_unit_test(test_consumption),
                cmocka_unit_test(test_inflight),        cmocka_unit_test(test_wrong_evidence),
                cmocka_unit_test(test_it_is_fast),      cmocka_unit_test(test_pairs),
                cmocka_unit_test(test_flaky),           cmocka_unit_test(test_confidence),
                cmocka_unit_test(test_budget_in_doubt), cmocka_unit_test(test_many),
                cmocka_unit_test(test_many_weights),    cmocka_unit_test(test_many_culprits),
                cmocka_unit_test(test_budget),          cmocka_unit_test(test_not_reached),
                cmocka_unit_test(test_closed),          cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_load_refuses),    cmocka_unit_test(test_model),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
