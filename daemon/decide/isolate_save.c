/*
 * isolate_save - what the search knows, written down and read back
 *
 * Called by the engine before each trial. What isolate_load() makes takes the same next steps as what was
 * saved. Bit vectors and small numbers are in hexadecimal, weights only where they are not 1: a million
 * candidates take a few megabytes. What cannot be understood is -EINVAL, and nothing is made.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

/* @size bytes of each of @n numbers, most significant digit first. */
static json_t *hex_save(const void *values, size_t n, size_t size)
{
        char *text = malloc(n * size * 2 + 1);
        json_t *o;

        if (!text)
                return NULL;
        for (size_t k = 0; k < n; k++) {
                uint64_t v = size == 1 ? ((const uint8_t *)values)[k] : ((const uint64_t *)values)[k];

                for (size_t d = 0; d < size * 2; d++)
                        text[k * size * 2 + d] = digits[v >> ((size * 2 - 1 - d) * 4) & 15];
        }
        text[n * size * 2] = 0;
        o = json_string(text);
        free(text);
        return o;
}

static int hex_load(const json_t *o, void *values, size_t n, size_t size)
{
        const char *text = json_string_value(o);

        if (!text || json_string_length(o) != n * size * 2)
                return -EINVAL;
        for (size_t k = 0; k < n; k++) {
                uint64_t v = 0;

                for (size_t d = 0; d < size * 2; d++) {
                        const char *at = memchr(digits, text[k * size * 2 + d], 16);

                        if (!at)
                                return -EINVAL;
                        v = v << 4 | (uint64_t)(at - digits);
                }
                if (size == 1)
                        ((uint8_t *)values)[k] = (uint8_t)v;
                else
                        ((uint64_t *)values)[k] = v;
        }
        return 0;
}

static json_t *facts_save(const Isolate *s, size_t words)
{
        json_t *list = json_array();

        for (size_t k = 0; k < s->n_facts; k++) {
                const Fact *f = &s->facts[k];
                json_int_t named = f->named == NOBODY ? -1 : (json_int_t)f->named;

                if (json_array_append_new(list, json_pack("{s:f, s:I, s:o}", "gone", f->gone, "named", named,
                                                          "set", hex_save(f->bits, words, 8))) < 0) {
                        json_decref(list);
                        return NULL;
                }
        }
        return list;
}

static json_t *weights_save(const Isolate *s)
{
        json_t *list = json_array();

        for (size_t i = 0; i < s->n; i++)
                if (s->weight[i] != 1 &&
                    json_array_append_new(list, json_pack("[I,f]", (json_int_t)i, s->weight[i])) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

json_t *isolate_save(const Isolate *s)
{
        size_t words = (s->n + 63) / 64;

        return json_pack("{s:I, s:I, s:f, s:I, s:I, s:f, s:I, s:I, s:{s:b, s:b, s:b, s:b, s:b, s:b},"
                         " s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                         "n", (json_int_t)s->n, "max_trials", (json_int_t)s->config.max_trials, "confidence",
                         s->config.confidence, "seed", (json_int_t)s->config.seed, "trials",
                         (json_int_t)s->trials, "eaten", s->eaten, "n_eaten", (json_int_t)s->n_eaten,
                         "inflight", (json_int_t)s->inflight, "is", "under_way", s->under_way, "failed",
                         s->failed, "doubt", s->doubt, "confirmed", s->confirmed, "refuted", s->refuted,
                         "consumption", s->consumption, "controls", json_integer(s->controls), "weights",
                         weights_save(s), "facts", facts_save(s, words), "states",
                         hex_save(s->state, s->n, 1), "marks", hex_save(s->mark, s->n, 1), "passes",
                         hex_save(s->passes, s->n, 1), "fails", hex_save(s->fails, s->n, 1), "sets",
                         json_pack("[o,o]", hex_save(s->release, words, 8), hex_save(s->covered, words, 8)));
}

static int facts_load(Isolate *s, const json_t *list, size_t words)
{
        size_t k;
        json_t *o;

        if (json_array_size(list) > FACTS_MAX)
                return -EINVAL;
        json_array_foreach(list, k, o)
        {
                json_int_t named = json_integer_value(json_object_get(o, "named"));
                Fact *f = &s->facts[k];

                if (named < -1 || named >= (json_int_t)s->n)
                        return -EINVAL;
                f->bits = calloc(s->words, sizeof(*f->bits));
                if (!f->bits)
                        return -ENOMEM;
                s->n_facts++;
                f->named = named < 0 ? NOBODY : (size_t)named;
                f->gone = json_number_value(json_object_get(o, "gone"));
                if (hex_load(json_object_get(o, "set"), f->bits, words, 8) < 0)
                        return -EINVAL;
        }
        return 0;
}

static int weights_load(Isolate *s, const json_t *list)
{
        json_t *pair;
        size_t k;

        json_array_foreach(list, k, pair)
        {
                json_int_t i;
                double w;

                if (json_unpack(pair, "[I,F]", &i, &w) < 0 || i < 0 || i >= (json_int_t)s->n || !(w > 0))
                        return -EINVAL;
                s->weight[i] = w;
        }
        return 0;
}

static int vectors_load(Isolate *s, const json_t *saved)
{
        const json_t *sets = json_object_get(saved, "sets");
        size_t words = (s->n + 63) / 64;
        int r = weights_load(s, json_object_get(saved, "weights"));

        if (r == 0)
                r = hex_load(json_object_get(saved, "states"), s->state, s->n, 1);
        if (r == 0)
                r = hex_load(json_object_get(saved, "marks"), s->mark, s->n, 1);
        if (r == 0)
                r = hex_load(json_object_get(saved, "passes"), s->passes, s->n, 1);
        if (r == 0)
                r = hex_load(json_object_get(saved, "fails"), s->fails, s->n, 1);
        if (r == 0)
                r = hex_load(json_array_get(sets, 0), s->release, words, 8);
        if (r == 0)
                r = hex_load(json_array_get(sets, 1), s->covered, words, 8);
        if (r == 0)
                r = facts_load(s, json_object_get(saved, "facts"), words);
        for (size_t i = 0; r == 0 && i < s->n; i++)
                if (s->state[i] > CANDIDATE_CONVICTED || s->passes[i] > PASSES_MAX ||
                    s->fails[i] > PASSES_MAX)
                        r = -EINVAL;
        return r;
}

int isolate_load(Isolate **ret, const json_t *saved)
{
        int under_way, failed, doubt, confirmed, refuted, consumption, r;
        json_int_t n, max_trials, seed, trials, n_eaten, inflight, controls;
        IsolateConfig config = { 0 };
        double eaten;
        Isolate *s;

        if (json_unpack((json_t *)saved,
                        "{s:I, s:I, s:F, s:I, s:I, s:F, s:I, s:I, s:I, s:{s:b, s:b, s:b, s:b, s:b, s:b}}",
                        "n", &n, "max_trials", &max_trials, "confidence", &config.confidence, "seed", &seed,
                        "trials", &trials, "eaten", &eaten, "n_eaten", &n_eaten, "inflight", &inflight,
                        "controls", &controls, "is", "under_way", &under_way, "failed", &failed, "doubt",
                        &doubt, "confirmed", &confirmed, "refuted", &refuted, "consumption",
                        &consumption) < 0 ||
            n < 0 || n >= UINT32_MAX)
                return -EINVAL;
        config.max_trials = (unsigned)max_trials;
        config.seed = (uint64_t)seed;
        r = isolate_new(&s, &config, (size_t)n, NULL);
        if (r < 0)
                return r;
        for (; s->n_facts > 0; s->n_facts--)
                free(s->facts[s->n_facts - 1].bits);
        r = vectors_load(s, saved);
        if (r < 0) {
                isolate_free(s);
                return r;
        }
        s->trials = (unsigned)trials;
        s->controls = (unsigned)controls;
        s->eaten = eaten;
        s->n_eaten = (unsigned)n_eaten;
        s->inflight = (unsigned)inflight;
        s->under_way = under_way;
        s->failed = failed;
        s->doubt = doubt;
        s->confirmed = confirmed;
        s->refuted = refuted;
        s->consumption = consumption;
        *ret = s;
        return 0;
}
