/* roster - finds what was added, by bytes and store, at any size; and message sets against a plain model */
#include "model/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_add_find(void **state)
{
        static const char *const ids[] = { "a", "b", "", "ab", "a\n", "\xff\xfe" };
        Roster r = {};
        uint32_t i, k;
        size_t len;

        (void)state;
        assert_int_equal(roster_find(&r, 0, "a", 1, &i), ROSTER_E_NONE);
        for (uint32_t n = 0; n < 6; n++) {
                assert_int_equal(roster_add(&r, 0, ids[n], strlen(ids[n]), &i), 0);
                assert_int_equal(i, n);
        }
        for (uint32_t n = 0; n < 6; n++) {
                assert_int_equal(roster_add(&r, 0, ids[n], strlen(ids[n]), &i), 0);
                assert_int_equal(i, n);
                assert_int_equal(roster_find(&r, 0, ids[n], strlen(ids[n]), &k), 0);
                assert_int_equal(k, n);
                assert_string_equal(roster_id(&r, n, &len), ids[n]);
                assert_int_equal(len, strlen(ids[n]));
        }
        /* The same id in another store is another message. */
        assert_int_equal(roster_find(&r, 1, "a", 1, &i), ROSTER_E_NONE);
        assert_int_equal(roster_add(&r, 1, "a", 1, &i), 0);
        assert_int_equal(i, 6);
        assert_int_equal(r.entries[i].store, 1);
        assert_int_equal(r.n, 7);
        roster_deinit(&r);
        assert_int_equal(r.n, 0);
        roster_deinit(&r);
}

static void test_many(void **state)
{
        const uint32_t n = 100000;
        Roster r = {};
        char id[32];
        uint32_t got;

        (void)state;
        for (uint32_t i = 0; i < n; i++) {
                int len = snprintf(id, sizeof(id), "4AB%07u", i);

                assert_int_equal(roster_add(&r, i % 3, id, (size_t)len, &got), 0);
                assert_int_equal(got, i);
                r.entries[got].flags = (uint16_t)(i % 1024);
        }
        for (uint32_t i = 0; i < n; i++) {
                int len = snprintf(id, sizeof(id), "4AB%07u", i);

                assert_int_equal(roster_find(&r, i % 3, id, (size_t)len, &got), 0);
                assert_int_equal(got, i);
                assert_int_equal(r.entries[got].flags, i % 1024);
                assert_int_equal(roster_find(&r, (i + 1) % 3, id, (size_t)len, &got), ROSTER_E_NONE);
        }
        /* Compact: an entry, a bucket and the id, with some slack. */
        assert_int_equal(sizeof(RosterEntry), 16);
        assert_true(r.allocated * sizeof(RosterEntry) + r.n_buckets * 4 + r.arena_allocated < n * 60ul);
        roster_deinit(&r);
}

static void test_limits(void **state)
{
        char *id = malloc(UINT16_MAX + 1ul);
        Roster r = {};
        uint32_t i = 77;

        (void)state;
        memset(id, 'x', UINT16_MAX + 1ul);
        assert_int_equal(roster_add(&r, 0, id, UINT16_MAX + 1ul, &i), -EOVERFLOW);
        assert_int_equal(roster_add(&r, 256, id, 1, &i), -EOVERFLOW);
        assert_int_equal(i, 77);
        assert_int_equal(r.n, 0);
        assert_int_equal(roster_add(&r, 255, id, UINT16_MAX, &i), 0);
        assert_int_equal(roster_find(&r, 255, id, UINT16_MAX, &i), 0);
        assert_int_equal(i, 0);
        roster_deinit(&r);
        free(id);
}

static void test_sets(void **state)
{
        enum { N = 1000 };
        bool model[N] = { false };
        MessageSet s = {}, copy = {};
        uint64_t seed = 1;
        size_t count = 0;

        (void)state;
        assert_int_equal(message_set_count(&s), 0);
        assert_false(message_set_has(&s, 5));
        message_set_remove(&s, 5);
        message_set_clear(&s);
        for (unsigned k = 0; k < 20000; k++) {
                uint32_t i;

                seed = seed * 6364136223846793005u + 1442695040888963407u;
                i = (uint32_t)(seed >> 40) % N;
                if (seed >> 63) {
                        assert_int_equal(message_set_add(&s, i), 0);
                        count += !model[i];
                        model[i] = true;
                } else {
                        message_set_remove(&s, i);
                        count -= model[i];
                        model[i] = false;
                }
                assert_int_equal(message_set_count(&s), count);
        }
        assert_int_equal(message_set_add(&copy, 5000), 0); /* larger than the source */
        assert_int_equal(message_set_copy(&copy, &s), 0);
        assert_int_equal(message_set_copy(&s, &s), 0);
        for (uint32_t i = 0; i < N; i++) {
                assert_int_equal(message_set_has(&s, i), model[i]);
                assert_int_equal(message_set_has(&copy, i), model[i]);
        }
        assert_false(message_set_has(&copy, 5000));
        assert_false(message_set_has(&s, UINT32_MAX));
        message_set_clear(&s);
        assert_int_equal(message_set_count(&s), 0);
        assert_int_equal(message_set_copy(&copy, &s), 0);
        assert_int_equal(message_set_count(&copy), 0);
        message_set_deinit(&s);
        message_set_deinit(&copy);
        assert_int_equal(message_set_copy(&copy, &s), 0);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_add_find),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_sets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
