/* keymap - against a plain array, with many more keys than places at first, and with drops in between. */
#include "observe/keymap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 3000

static void test_against_array(void **state)
{
        static uint64_t expect[KEYS];
        static bool there[KEYS];
        KeyMap m = { 0 };
        size_t n = 0;

        (void)state;
        srandom(1);
        for (unsigned step = 0; step < 60000; step++) {
                size_t i = (size_t)random() % KEYS;
                /* Keys that share their low bits make long runs, where dropping is hard. */
                uint64_t key = ((i % 50) | ((uint64_t)(i / 50) << 40)) + 1;
                if (random() % 3 == 0) {
                        keymap_drop(&m, key);
                        n -= there[i];
                        there[i] = false;
                } else {
                        uint64_t *value = keymap_put(&m, key);
                        assert_non_null(value);
                        assert_int_equal(*value, there[i] ? expect[i] : 0);
                        expect[i] = *value = (uint64_t)random();
                        n += !there[i];
                        there[i] = true;
                }
                assert_int_equal(m.n, n);
        }
        for (size_t i = 0; i < KEYS; i++) {
                const uint64_t *value = keymap_get(&m, ((i % 50) | ((uint64_t)(i / 50) << 40)) + 1);
                assert_int_equal(value != NULL, there[i]);
                if (value)
                        assert_int_equal(*value, expect[i]);
        }
        keymap_deinit(&m);
        assert_null(keymap_get(&m, 1));
}

static void test_keys(void **state)
{
        KeySeed seed, other;

        (void)state;
        key_seed_init(&seed);
        key_seed_init(&other);
        assert_int_equal(key_of(&seed, 1, "abc", 3), key_of(&seed, 1, "abc", 3));
        assert_int_not_equal(key_of(&seed, 1, "abc", 3), key_of(&seed, 2, "abc", 3));
        assert_int_not_equal(key_of(&seed, 1, "abc", 3), key_of(&seed, 1, "abd", 3));
        assert_int_not_equal(key_of(&seed, 1, "abc", 3), key_of(&other, 1, "abc", 3));
        assert_int_not_equal(key_of(&seed, 0, "", 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_against_array),
                cmocka_unit_test(test_keys),
        };

        return cmocka_run_group_tests_name("observe/keymap", tests, NULL, NULL);
}
