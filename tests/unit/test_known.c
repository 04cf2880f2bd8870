/* The list of what was a culprit once. */
#include "base/cleanup.h"
#include "base/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_there_is_an_end(void **state)
{
        static Known k;
        uint8_t digest[SHA256_SIZE] = { 0 };

        (void)state;
        for (unsigned i = 0; i < KNOWN_MAX + 5; i++) {
                digest[0] = (uint8_t)i;
                digest[1] = (uint8_t)(i >> 8);
                known_add(&k, 1000, digest);
        }
        assert_int_equal(k.n, KNOWN_MAX);
        assert_int_equal(k.at[0].digest[0], 5);
        digest[0] = 7;
        digest[1] = 0;
        known_add(&k, 1000, digest);
        assert_int_equal(k.n, KNOWN_MAX);
        assert_int_equal(k.at[0].digest[0], 5);
        assert_int_equal(k.at[KNOWN_MAX - 1].digest[0], 7);
        known_add(&k, 63, digest);
        assert_int_equal(k.at[KNOWN_MAX - 1].size, 1000);
}

static void test_to_text_and_back(void **state)
{
        static Known k, back;
        uint8_t one[SHA256_SIZE] = { 1 }, two[SHA256_SIZE] = { 2 };
        _cleanup_(freep) char *text = NULL, *other = NULL;

        (void)state;
        known_add(&k, 100, one);
        known_add(&k, UINT64_MAX, two);
        assert_true(known_has_size(&k, 100));
        assert_false(known_has_size(&k, 101));
        assert_true(known_has(&k, 100, one));
        assert_false(known_has(&k, 100, two));
        text = known_format(&k);
        assert_true(asprintf(&other, "nonsense\n%s100 abc\n12 zz\n", text) > 0);
        known_parse(&back, other);
        assert_memory_equal(&k, &back, sizeof(k));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_is_an_end),
                cmocka_unit_test(test_to_text_and_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
