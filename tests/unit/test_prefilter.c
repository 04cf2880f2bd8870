/* prefilter - every place is found wherever it lies, in order; and what cannot match is passed by */
#include "model/prefilter.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const patterns[] = { "needle", "(?i)haystack", "\\d\\d:OK", ".*", "xq" };

/* The place of every needle, at every distance from where the block and its chunks begin and end. */
static void test_places(void **state)
{
        static char block[20000];
        bool candidates[5];
        Prefilter *p;
        PrefilterScan s;

        (void)state;
        assert_int_equal(prefilter_new(&p, patterns, 5), 0);
        assert_true(prefilter_is_blind(p, 3));
        assert_false(prefilter_is_blind(p, 0));
        for (size_t len = 6; len < sizeof(block); len += 1 + len / 7)
                for (size_t at = 0; at + 6 <= len; at += 1 + len / 61) {
                        memset(block, 'e', sizeof(block));
                        memcpy(block + at, "needle", 6);
                        memset(candidates, 0, sizeof(candidates));
                        prefilter_begin(&s, p, block, len);
                        assert_int_equal(prefilter_next(&s, candidates), at + 5);
                        assert_true(candidates[0] && !candidates[1] && !candidates[2] && !candidates[4]);
                        assert_int_equal(prefilter_next(&s, candidates), len);
                }
        prefilter_free(p);
}

/* One place after the other, close together and far apart, of several patterns. */
static void test_order(void **state)
{
        static char block[40000];
        static const size_t at[] = { 3, 9, 50, 4090, 8190, 8200, 12000, 39990 };
        bool candidates[5] = {};
        Prefilter *p;
        PrefilterScan s;

        (void)state;
        assert_int_equal(prefilter_new(&p, patterns, 5), 0);
        memset(block, '1', sizeof(block));
        for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
                memcpy(block + at[i], i % 2 ? "xq" : ":OK", i % 2 ? 2 : 3);
        prefilter_begin(&s, p, block, sizeof(block));
        for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
                memset(candidates, 0, sizeof(candidates));
                assert_int_equal(prefilter_next(&s, candidates), at[i] + (i % 2 ? 1 : 2));
                assert_true(candidates[2] == (i % 2 == 0) && candidates[4] == (i % 2 == 1));
        }
        assert_int_equal(prefilter_next(&s, candidates), sizeof(block));
        prefilter_free(p);
}

static void test_nothing(void **state)
{
        bool candidates[1] = {};
        Prefilter *p;
        PrefilterScan s;

        (void)state;
        assert_int_equal(prefilter_new(&p, NULL, 0), 0);
        prefilter_begin(&s, p, "abc", 3);
        assert_int_equal(prefilter_next(&s, candidates), 3);
        prefilter_free(p);
        assert_int_equal(prefilter_new(&p, patterns, 1), 0);
        prefilter_begin(&s, p, "", 0);
        assert_int_equal(prefilter_next(&s, candidates), 0);
        prefilter_begin(&s, p, "needl", 5);
        assert_int_equal(prefilter_next(&s, candidates), 5);
        assert_false(candidates[0]);
        prefilter_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
