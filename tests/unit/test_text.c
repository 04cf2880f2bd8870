/* Tests of base/text.c. */
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_is_utf8(void **state)
{
        static const struct {
                const char *bytes;
                size_t len;
                bool valid;
        } cases[] = {
                { "", 0, true },
                { "plain", 5, true },
                { "\xC3\xA4", 2, true },
                { "\xE2\x82\xAC", 3, true },
                { "\xF0\x9F\x98\x80", 4, true },
                { "\xF4\x8F\xBF\xBF", 4, true },
                { "a\0b", 3, false },
                { "\xC3", 1, false },             /* cut */
                { "\x80", 1, false },             /* continuation alone */
                { "\xC0\x80", 2, false },         /* overlong NUL */
                { "\xE0\x9F\xBF", 3, false },     /* overlong */
                { "\xED\xA0\x80", 3, false },     /* surrogate */
                { "\xF4\x90\x80\x80", 4, false }, /* past the end */
                { "\xF5\x80\x80\x80", 4, false },
                { "\xE2\x28\xA1", 3, false },
                { "\xE2\x82\x28", 3, false },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(text_is_utf8(cases[i].bytes, cases[i].len), cases[i].valid);
}

static void check_to_utf8(const char *in, size_t len, size_t max, const char *want)
{
        _cleanup_(freep) char *out = text_to_utf8(in, len, max);

        assert_non_null(out);
        assert_string_equal(out, want);
        assert_true(text_is_utf8(out, strlen(out)));
}

static void test_to_utf8(void **state)
{
        (void)state;
        check_to_utf8("", 0, 0, "");
        check_to_utf8("a\nb\x1b", 4, 0, "a\nb\x1b");
        check_to_utf8("a\xFF\xC3\xA4", 4, 0, "a\xEF\xBF\xBD\xC3\xA4");
        check_to_utf8("a\0b", 3, 0,
                      "a\xEF\xBF\xBD"
                      "b");
        check_to_utf8("abcdef", 6, 3, "abc");
        /* The limit falls inside a character: it is dropped whole. */
        check_to_utf8("ab\xC3\xA4", 4, 3, "ab");
        check_to_utf8("ab\xC3", 3, 0, "ab\xEF\xBF\xBD");
}

static void test_every_byte_pair_becomes_utf8(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 65536; i++) {
                char in[3] = { (char)(i >> 8), (char)i, 'x' };
                _cleanup_(freep) char *out = text_to_utf8(in, sizeof(in), 0);
                _cleanup_(freep) char *encoded = text_percent_encode(in, sizeof(in));

                assert_true(text_is_utf8(out, strlen(out)));
                assert_true(text_is_utf8(encoded, strlen(encoded)));
                assert_int_equal(out[strlen(out) - 1], 'x');
        }
}

static void check_percent(const char *in, size_t len, const char *want)
{
        _cleanup_(freep) char *out = text_percent_encode(in, len);

        assert_string_equal(out, want);
}

static void test_percent_encode(void **state)
{
        (void)state;
        check_percent("/var/spool/ok", 13, "/var/spool/ok");
        check_percent("a%b", 3, "a%25b");
        check_percent("new\nline\x7f", 9, "new%0Aline%7F");
        check_percent("\xFF\xC3\xA4", 3, "%FF\xC3\xA4");
        check_percent("\xC2\x9B", 2, "%C2%9B"); /* CSI as C1 */
        check_percent("a\0b", 3, "a%00b");
}

static void test_base64(void **state)
{
        static const char *const cases[][2] = {
                { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "\xFF\xFE", "//4=" },
        };
        void *back;
        size_t len;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *out = text_base64(cases[i][0], strlen(cases[i][0]));

                assert_string_equal(out, cases[i][1]);
                assert_int_equal(text_unbase64(out, &back, &len), 0);
                assert_int_equal(len, strlen(cases[i][0]));
                assert_string_equal(back, cases[i][0]);
                free(back);
        }
        assert_int_equal(text_unbase64("Zg", &back, &len), -EINVAL);
        assert_int_equal(text_unbase64("Zg==x", &back, &len), -EINVAL);
        assert_int_equal(text_unbase64("Z g=", &back, &len), -EINVAL);
}

static void test_hex(void **state)
{
        uint8_t bytes[3] = { 0x00, 0xAB, 0xFF }, back[3];
        char hex[7];

        (void)state;
        assert_string_equal(text_hex(hex, bytes, 3), "00abff");
        assert_int_equal(text_unhex("00ABff", back, 3), 0);
        assert_memory_equal(bytes, back, 3);
        assert_int_equal(text_unhex("00abf", back, 3), -EINVAL);
        assert_int_equal(text_unhex("00abff00", back, 3), -EINVAL);
        assert_int_equal(text_unhex("00abfg", back, 3), -EINVAL);
}

static void test_size_parse(void **state)
{
        static const struct {
                const char *text;
                int r;
                uint64_t size;
        } cases[] = {
                { "4096", 0, 4096 },
                { "512KiB", 0, 512 << 10 },
                { "64MiB", 0, 64 << 20 },
                { "64 MiB", 0, 64 << 20 },
                { "1GiB", 0, 1 << 30 },
                { "1TiB", 0, UINT64_C(1) << 40 },
                { "0", 0, 0 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -EINVAL, 0 },
                { "18446744073709551615KiB", -EINVAL, 0 },
                { "", -EINVAL, 0 },
                { "MiB", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { "1MB", -EINVAL, 0 },
                { "1MiBx", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t size = 0;

                assert_int_equal(size_parse(cases[i].text, &size), cases[i].r);
                assert_int_equal(size, cases[i].size);
        }
}

static void test_distance(void **state)
{
        (void)state;
        assert_int_equal(text_distance("", ""), 0);
        assert_int_equal(text_distance("abc", ""), 3);
        assert_int_equal(text_distance("", "ab"), 2);
        assert_int_equal(text_distance("kitten", "sitting"), 3);
        assert_int_equal(text_distance("stores", "sotres"), 1); /* neighbours changed places */
        assert_int_equal(text_distance("start_timeout", "start_timout"), 1);
}

static void test_strv(void **state)
{
        _cleanup_(strv_freep) char **v = NULL;
        _cleanup_(strv_freep) char **copy = NULL;
        _cleanup_(freep) char *joined = NULL;
        _cleanup_(freep) char *empty = NULL;

        (void)state;
        assert_int_equal(strv_length(NULL), 0);
        assert_int_equal(strv_append(&v, "a"), 0);
        assert_int_equal(strv_append(&v, "b c"), 0);
        assert_int_equal(strv_length(v), 2);
        assert_true(strv_contains(v, "b c"));
        assert_false(strv_contains(v, "c"));
        assert_false(strv_contains(NULL, "c"));
        copy = strv_copy(v);
        assert_int_equal(strv_length(copy), 2);
        assert_ptr_not_equal(copy[0], v[0]);
        joined = strv_join(copy, ", ");
        assert_string_equal(joined, "a, b c");
        empty = strv_join(NULL, " ");
        assert_string_equal(empty, "");
        assert_null(strv_free(NULL));
}

static void test_null_strings(void **state)
{
        _cleanup_(freep) char *s = strdup_null("x");

        (void)state;
        assert_string_equal(s, "x");
        assert_null(strdup_null(NULL));
        assert_true(streq_null(NULL, NULL));
        assert_false(streq_null(NULL, ""));
        assert_false(streq_null("", NULL));
        assert_true(streq_null("x", s));
        assert_false(streq_null("x", "y"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_is_utf8),
                cmocka_unit_test(test_to_utf8),
                cmocka_unit_test(test_every_byte_pair_becomes_utf8),
                cmocka_unit_test(test_percent_encode),
                cmocka_unit_test(test_base64),
                cmocka_unit_test(test_hex),
                cmocka_unit_test(test_size_parse),
                cmocka_unit_test(test_distance),
                cmocka_unit_test(test_strv),
                cmocka_unit_test(test_null_strings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
