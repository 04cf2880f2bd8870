/*
 * isolate_save - what the search knows, written down and read back
 *
 * Called by the engine before each trial. What isolate_load() makes takes the same next steps as what was
 * saved. Candidates are written as runs along the search's order, which follows from the seed: a run's length
 * and its block, in text ("12:3" is twelve of block 3, "7:" seven that are gone). A million candidates take
 * some hundred bytes while nothing is consumed, and at most a few megabytes when half of them are gone one by
 * one. What cannot be understood is -EINVAL, and nothing is made.
 *
 * Test: tests/unit/test_isolate.c
 */
#include "decide/isolate_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_MAX 24 /* bytes of a run in text */

static json_t *facts_save(const Isolate *s)
{
        json_t *list = json_array();

        for (size_t k = 0; k < s->n_facts; k++) {
                const Fact *f = &s->facts[k];
                json_int_t named = f->named == NOBODY ? -1 : (json_int_t)f->named;

                if (json_array_append_new(list, json_pack("[f,I,b]", f->gone, named, f->joint)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        }
        return list;
}

static json_t *blocks_save(const Isolate *s)
{
        json_t *list = json_array();

        for (const Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                json_int_t is = b->released | b->covered << 1 | b->wanted << 2;

                if (json_array_append_new(list, json_pack("[f,f,I,i,i,i,i,I]", b->weight, b->together,
                                                          (json_int_t)b->facts, b->state, b->mark, b->passes,
                                                          b->fails, is)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        }
        return list;
}

/* A text that grows. */
typedef struct Text {
        char *at;
        size_t len, room;
} Text;

static int text_run(Text *t, size_t count, size_t block)
{
        if (t->room - t->len < RUN_MAX) {
                char *p = realloc(t->at, t->room * 2);

                if (!p)
                        return -ENOMEM;
                t->at = p;
                t->room *= 2;
        }
        if (block == NOBODY)
                t->len += (size_t)snprintf(t->at + t->len, RUN_MAX, "%zu: ", count);
        else
                t->len += (size_t)snprintf(t->at + t->len, RUN_MAX, "%zu:%zu ", count, block);
        return 0;
}

/* The order that the search began with, made again. */
static int first_order(const Isolate *s, uint32_t **ret)
{
        Isolate *t;
        int r;

        /* Only what has a weight of its own is elsewhere in it: blocks keep that apart. */
        r = isolate_new(&t, &s->config, s->n_first, NULL);
        if (r < 0)
                return r;
        *ret = t->order;
        t->order = NULL;
        isolate_free(t);
        return 0;
}

static int runs_text(const Isolate *s, const uint32_t *order, Text *t)
{
        size_t count = 0, last = NOBODY;

        for (size_t k = 0; k <= s->n; k++) {
                size_t i = k < s->n_first ? order[k] : k, block = NOBODY;
                const Block *b = k < s->n ? block_of(s, i) : NULL;

                if (b)
                        block = (size_t)(b - s->blocks);
                if (count > 0 && (k == s->n || block != last)) {
                        int r = text_run(t, count, last);

                        if (r < 0)
                                return r;
                        count = 0;
                }
                last = block;
                count++;
        }
        return 0;
}

static json_t *runs_save(const Isolate *s)
{
        Text t = { .at = malloc(256), .room = 256 };
        uint32_t *order = NULL;
        json_t *o = NULL;

        if (t.at && first_order(s, &order) == 0 && runs_text(s, order, &t) == 0)
                o = json_stringn(t.at, t.len);
        free(order);
        free(t.at);
        return o;
}

json_t *isolate_save(const Isolate *s)
{
        return json_pack(
                "{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:f, s:I, s:{s:b, s:b, s:b, "
                "s:b, s:b, s:b},"
                " s:o, s:o, s:o}",
                "n", (json_int_t)s->n, "first", (json_int_t)s->n_first, "max_trials",
                (json_int_t)s->config.max_trials, "confidence", s->config.confidence, "seed",
                (json_int_t)s->config.seed, "trials", (json_int_t)s->trials, "controls",
                (json_int_t)s->controls, "healthy", (json_int_t)s->healthy, "eaten", s->eaten, "n_eaten",
                (json_int_t)s->n_eaten, "inflight", (json_int_t)s->inflight, "gone", s->gone, "focus",
                s->focus == NOBODY ? (json_int_t)-1 : (json_int_t)s->focus, "is", "under_way", s->under_way,
                "failed", s->failed, "doubt", s->doubt, "confirmed", s->confirmed, "refuted", s->refuted,
                "consumption", s->consumption, "facts", facts_save(s), "blocks", blocks_save(s), "runs",
                runs_save(s));
}

static int facts_load(Isolate *s, const json_t *list)
{
        size_t k;
        json_t *o;

        if (!json_is_array(list) || json_array_size(list) > FACTS_MAX)
                return -EINVAL;
        json_array_foreach(list, k, o)
        {
                json_int_t named;
                double gone;
                int joint;

                if (json_unpack(o, "[F,I,b]", &gone, &named, &joint) < 0 || named < -1 ||
                    named >= (json_int_t)s->n)
                        return -EINVAL;
                s->facts[k] =
                        (Fact){ .gone = gone, .named = named < 0 ? NOBODY : (size_t)named, .joint = joint };
        }
        s->n_facts = json_array_size(list);
        return 0;
}

static int blocks_load(Isolate *s, const json_t *list)
{
        uint64_t all = s->n_facts == FACTS_MAX ? UINT64_MAX : fact_bit(s->n_facts) - 1;
        size_t k;
        json_t *o;

        if (!json_is_array(list) || json_array_size(list) > s->n)
                return -EINVAL;
        if (blocks_reserve(s, s->n, json_array_size(list) + 1) < 0)
                return -ENOMEM;
        json_array_foreach(list, k, o)
        {
                json_int_t facts, is;
                int state, mark, passes, fails;
                double weight, together;

                if (json_unpack(o, "[F,F,I,i,i,i,i,I]", &weight, &together, &facts, &state, &mark, &passes,
                                &fails, &is) < 0 ||
                    !(weight > 0) || !(together >= 0) || (uint64_t)facts & ~all || state < 0 ||
                    state > CANDIDATE_CONVICTED || mark < 0 || mark > 255 || passes < 0 ||
                    passes > PASSES_MAX || fails < 0 || fails > PASSES_MAX)
                        return -EINVAL;
                s->blocks[k] = (Block){ .weight = weight,
                                        .together = together,
                                        .facts = (uint64_t)facts,
                                        .state = (uint8_t)state,
                                        .mark = (uint8_t)mark,
                                        .passes = (uint8_t)passes,
                                        .fails = (uint8_t)fails,
                                        .released = is & 1,
                                        .covered = is >> 1 & 1,
                                        .wanted = is >> 2 & 1 };
        }
        s->n_blocks = json_array_size(list);
        return 0;
}

/* One run of the text at *@p. Return: 0, or -EINVAL; *@ret_block is NOBODY for those that are gone. */
static int next_run(const char **p, size_t n_blocks, size_t *ret_count, size_t *ret_block)
{
        char *end;

        if (**p < '0' || **p > '9')
                return -EINVAL;
        *ret_count = strtoul(*p, &end, 10);
        if (*end != ':')
                return -EINVAL;
        *p = end + 1;
        *ret_block = NOBODY;
        if (**p >= '0' && **p <= '9') {
                *ret_block = strtoul(*p, &end, 10);
                if (*ret_block >= n_blocks)
                        return -EINVAL;
                *p = end;
        }
        if (**p != ' ')
                return -EINVAL;
        ++*p;
        return 0;
}

/* Fills in the members: first how many each block has, then who, in the search's order. */
static int runs_load(Isolate *s, const char *text, const uint32_t *order)
{
        size_t k = 0, place = 0, count, block;

        for (const char *p = text; *p; k += count) {
                if (next_run(&p, s->n_blocks, &count, &block) < 0 || count > s->n - k)
                        return -EINVAL;
                if (block != NOBODY)
                        s->blocks[block].n += (uint32_t)count;
        }
        if (k != s->n)
                return -EINVAL;
        for (Block *b = s->blocks; b < s->blocks + s->n_blocks; b++) {
                if (b->n == 0)
                        return -EINVAL;
                b->first = (uint32_t)place;
                place += b->n;
                b->n = 0;
        }
        k = 0;
        for (const char *p = text; *p;) {
                (void)next_run(&p, s->n_blocks, &count, &block);
                for (size_t end = k + count; k < end; k++) {
                        size_t i = k < s->n_first ? order[k] : k;
                        Block *b = block == NOBODY ? NULL : &s->blocks[block];

                        s->place[i] = GONE;
                        if (!b)
                                continue;
                        s->place[i] = b->first + b->n++;
                        s->order[s->place[i]] = (uint32_t)i;
                        bits_put(s->release, i, b->released);
                }
        }
        return 0;
}

/* What is beside the candidates. */
static int numbers_load(Isolate *s, const json_t *saved)
{
        int under_way, failed, doubt, confirmed, refuted, consumption;
        json_int_t trials, healthy, n_eaten, inflight, controls, focus;

        if (json_unpack((json_t *)saved,
                        "{s:I, s:I, s:F, s:I, s:I, s:I, s:F, s:I, s:{s:b, s:b, s:b, s:b, s:b, s:b}}",
                        "trials", &trials, "healthy", &healthy, "eaten", &s->eaten, "n_eaten", &n_eaten,
                        "inflight", &inflight, "controls", &controls, "gone", &s->gone, "focus", &focus, "is",
                        "under_way", &under_way, "failed", &failed, "doubt", &doubt, "confirmed", &confirmed,
                        "refuted", &refuted, "consumption", &consumption) < 0 ||
            trials < 0 || healthy < 0 || controls < 0 || n_eaten < 0 || inflight < 0 || focus < -1 ||
            focus >= (json_int_t)s->n_facts)
                return -EINVAL;
        s->trials = (unsigned)trials;
        s->healthy = (unsigned)healthy;
        s->controls = (unsigned)controls;
        s->n_eaten = (unsigned)n_eaten;
        s->inflight = (unsigned)inflight;
        s->focus = focus < 0 ? NOBODY : (size_t)focus;
        s->under_way = under_way;
        s->failed = failed;
        s->doubt = doubt;
        s->confirmed = confirmed;
        s->refuted = refuted;
        s->consumption = consumption;
        return 0;
}

static int isolate_fill(Isolate *s, const json_t *saved, size_t n, size_t n_first)
{
        const char *runs = json_string_value(json_object_get(saved, "runs"));
        uint32_t *order;
        int r;

        order = malloc((n_first + 1) * sizeof(*order));
        if (!order || blocks_reserve(s, n, 0) < 0) {
                free(order);
                return -ENOMEM;
        }
        memcpy(order, s->order, n_first * sizeof(*order));
        s->n = n;
        s->n_blocks = 0;
        memset(s->release, 0, s->words * sizeof(*s->release));
        r = facts_load(s, json_object_get(saved, "facts"));
        if (r == 0)
                r = blocks_load(s, json_object_get(saved, "blocks"));
        if (r == 0)
                r = numbers_load(s, saved);
        if (r == 0)
                r = runs ? runs_load(s, runs, order) : -EINVAL;
        free(order);
        return r;
}

int isolate_load(Isolate **ret, const json_t *saved)
{
        json_int_t n, first, max_trials, seed;
        IsolateConfig config = { 0 };
        Isolate *s;
        int r;

        if (json_unpack((json_t *)saved, "{s:I, s:I, s:I, s:F, s:I}", "n", &n, "first", &first, "max_trials",
                        &max_trials, "confidence", &config.confidence, "seed", &seed) < 0 ||
            n < 0 || n >= UINT32_MAX || first < 0 || first > n || max_trials < 0 || max_trials > UINT32_MAX)
                return -EINVAL;
        config.max_trials = (unsigned)max_trials;
        config.seed = (uint64_t)seed;
        r = isolate_new(&s, &config, (size_t)first, NULL);
        if (r < 0)
                return r;
        r = isolate_fill(s, saved, (size_t)n, (size_t)first);
        if (r < 0) {
                isolate_free(s);
                return r;
        }
        *ret = s;
        return 0;
}
