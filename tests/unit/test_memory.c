/*
 * Tests of model/memory.c: blocks of changes, made from random changes and read back, and blocks that are
 * damaged in any way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct World {
        Roster roster;
        MessageSet held, tried;
        uint32_t candidates[256];
        size_t n_candidates;
        const char *search, *culprits;
        Memory memory;
        Recall recall;
} World;

static void world_free(World *w)
{
        roster_deinit(&w->roster);
        message_set_deinit(&w->held);
        message_set_deinit(&w->tried);
        memory_deinit(&w->memory);
        recall_deinit(&w->recall);
}

static void add(World *w, unsigned store, const char *id)
{
        uint32_t i;

        assert_int_equal(roster_add(&w->roster, store, id, strlen(id), &i), 0);
}

static uint8_t *append(World *w, size_t *ret_len)
{
        const MemoryView v = { .incident = "i1",
                               .roster = &w->roster,
                               .held = &w->held,
                               .tried = &w->tried,
                               .candidates = w->candidates,
                               .n_candidates = w->n_candidates,
                               .search = w->search,
                               .culprits = w->culprits };
        uint8_t *block = NULL;

        assert_int_equal(memory_append(&w->memory, &v, &block, ret_len), 0);
        return block;
}

/* Writes what has changed, and reads it. Yields the size of the block. */
static size_t step(World *w)
{
        size_t len;
        uint8_t *block = append(w, &len);

        assert_int_equal(recall_block(&w->recall, block, len), 0);
        free(block);
        return len;
}

static void assert_same_text(const char *a, const char *b)
{
        if (a)
                assert_string_equal(a, b);
        else
                assert_null(b);
}

static void assert_recalled(const World *w)
{
        const Recall *c = &w->recall;

        assert_string_equal(c->incident, "i1");
        assert_int_equal(c->roster.n, w->roster.n);
        for (uint32_t i = 0; i < w->roster.n; i++) {
                assert_string_equal(roster_id(&c->roster, i, NULL), roster_id(&w->roster, i, NULL));
                assert_int_equal(c->roster.entries[i].store, w->roster.entries[i].store);
                assert_int_equal(c->roster.entries[i].flags, w->roster.entries[i].flags);
                assert_int_equal(message_set_has(&c->held, i), message_set_has(&w->held, i));
                assert_int_equal(message_set_has(&c->tried, i), message_set_has(&w->tried, i));
        }
        assert_int_equal(c->n_candidates, w->n_candidates);
        if (w->n_candidates > 0)
                assert_memory_equal(c->candidates, w->candidates, w->n_candidates * sizeof(uint32_t));
        assert_same_text(w->search, c->search);
        assert_same_text(w->culprits, c->culprits);
}

static void test_a_block_has_what_changed(void **state)
{
        World w = {};

        (void)state;
        step(&w); /* nothing is known of any message yet */
        assert_recalled(&w);
        add(&w, 0, "a");
        add(&w, 1, "a");
        add(&w, 1, "with \xff bytes / and slashes");
        w.roster.entries[1].flags = MESSAGE_BEFORE | MESSAGE_SUSPECT;
        assert_int_equal(message_set_add(&w.held, 2), 0);
        step(&w);
        assert_recalled(&w);
        w.search = "{\"n\":3}";
        w.memory.search_changed = true;
        w.candidates[0] = 2;
        w.candidates[1] = 0;
        w.n_candidates = 2;
        step(&w);
        assert_recalled(&w);
        /* Another search, among fewer. */
        w.search = NULL;
        w.memory.search_changed = true;
        w.memory.candidates_changed = true;
        w.candidates[0] = 1;
        w.n_candidates = 1;
        w.culprits = "[1]";
        message_set_clear(&w.held);
        step(&w);
        assert_recalled(&w);
        world_free(&w);
}

static void test_a_million_alike_are_few_bytes(void **state)
{
        World w = {};
        char id[24];

        (void)state;
        for (unsigned i = 0; i < 100000; i++) {
                snprintf(id, sizeof(id), "%08X", i);
                add(&w, 0, id);
        }
        assert_true(step(&w) < 100000 * (2 + 8) + 100);
        for (unsigned i = 0; i < 100000; i++) {
                w.roster.entries[i].flags = MESSAGE_BEFORE | MESSAGE_WAS_HELD;
                assert_int_equal(message_set_add(&w.held, i), 0);
        }
        assert_true(step(&w) < 64);
        assert_recalled(&w);
        w.roster.entries[77777].flags |= MESSAGE_CULPRIT;
        message_set_remove(&w.held, 77777);
        assert_true(step(&w) < 64);
        assert_recalled(&w);
        world_free(&w);
}

static uint32_t roll(uint64_t *seed, uint32_t n)
{
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (uint32_t)(*seed >> 33) % n;
}

static void change_at_random(World *w, uint64_t *seed)
{
        char id[24];

        for (uint32_t k = roll(seed, 20); k > 0; k--) {
                snprintf(id, sizeof(id), "m%zu", w->roster.n);
                add(w, roll(seed, 3), id);
        }
        for (uint32_t k = roll(seed, 30); k > 0 && w->roster.n > 0; k--) {
                uint32_t i = roll(seed, (uint32_t)w->roster.n);

                w->roster.entries[i].flags ^= (uint16_t)(1u << roll(seed, 10));
                if (message_set_has(&w->held, i))
                        message_set_remove(&w->held, i);
                else
                        assert_int_equal(message_set_add(&w->held, i), 0);
                assert_int_equal(message_set_add(&w->tried, roll(seed, (uint32_t)w->roster.n)), 0);
        }
        if (roll(seed, 5) == 0) {
                w->n_candidates = 0;
                w->memory.candidates_changed = true;
        }
        while (w->n_candidates < w->roster.n && w->n_candidates < 256 && roll(seed, 3) > 0) {
                w->candidates[w->n_candidates] = (uint32_t)w->n_candidates;
                w->n_candidates++;
        }
}

static void test_random_changes_come_back(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 50; seed++) {
                uint64_t dice = seed;
                World w = {};

                for (unsigned k = 0; k < 20; k++) {
                        change_at_random(&w, &dice);
                        if (k == 11) { /* a new generation holds everything */
                                memory_deinit(&w.memory);
                                w.memory.search_changed = true;
                                recall_deinit(&w.recall);
                        }
                        step(&w);
                        assert_recalled(&w);
                }
                world_free(&w);
        }
}

/* Cut anywhere, and with any bit turned: refused, or read without touching what is not there. */
static void test_damage_is_survived(void **state)
{
        uint64_t seed = 7;
        World w = {};
        uint8_t *block;
        size_t len;

        (void)state;
        change_at_random(&w, &seed);
        change_at_random(&w, &seed);
        w.search = "{}";
        w.memory.search_changed = true;
        block = append(&w, &len);
        for (size_t i = 0; i < len * 8; i++) {
                uint8_t *copy = malloc(len);
                Recall c = {};
                int r;

                memcpy(copy, block, len);
                copy[i / 8] ^= (uint8_t)(1u << (i % 8));
                r = recall_block(&c, copy, len);
                assert_true(r == 0 || r == -EBADMSG);
                for (size_t k = 0; k < c.n_candidates; k++)
                        assert_true(c.candidates[k] < c.roster.n);
                recall_deinit(&c);
                free(copy);
        }
        for (size_t cut = 0; cut < 4; cut++) {
                Recall c = {};

                assert_int_equal(recall_block(&c, block, cut), -EBADMSG);
                recall_deinit(&c);
        }
        free(block);
        world_free(&w);
}

static void test_a_message_comes_once(void **state)
{
        static const uint8_t twice[] = { 'I', 1, 'i', 'M', 2, 0, 1, 'a', 0, 1, 'a' };
        static const uint8_t past[] = { 'I', 1, 'i', 'M', 1, 0, 1, 'a', 'F', 1, 1, 1, 1 };
        static const uint8_t no_incident[] = { 'M', 1, 0, 1, 'a' };
        Recall c = {};

        (void)state;
        assert_int_equal(recall_block(&c, twice, sizeof(twice)), -EBADMSG);
        recall_deinit(&c);
        assert_int_equal(recall_block(&c, past, sizeof(past)), -EBADMSG);
        recall_deinit(&c);
        assert_int_equal(recall_block(&c, no_incident, sizeof(no_incident)), -EBADMSG);
        recall_deinit(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_block_has_what_changed),
                cmocka_unit_test(test_a_million_alike_are_few_bytes),
                cmocka_unit_test(test_random_changes_come_back),
                cmocka_unit_test(test_damage_is_survived),
                cmocka_unit_test(test_a_message_comes_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
