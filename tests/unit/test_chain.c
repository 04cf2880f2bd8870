/* Tests of record/chain.c: finding a member in raw bytes, and the digest that is made without it. */
#include "record/chain.h"

#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ZEROS CHAIN_ZERO

static void expect_cut(const char *line, const char *name, const char *want)
{
        char rest[512];
        ChainMember m;

        assert_int_equal(chain_member(line, strlen(line), name, &m), 0);
        snprintf(rest, sizeof(rest), "%.*s%s", (int)m.cut, line, line + m.cut + m.cut_len);
        assert_string_equal(rest, want);
}

static void test_cut_takes_one_comma(void **state)
{
        (void)state;
        expect_cut("{\"a\":1,\"hash\":\"x\",\"z\":2}", "hash", "{\"a\":1,\"z\":2}");
        expect_cut("{\"hash\":\"x\",\"z\":2}", "hash", "{\"z\":2}");
        expect_cut("{\"a\":1,\"hash\":\"x\"}", "hash", "{\"a\":1}");
        expect_cut("{\"hash\":\"x\"}", "hash", "{}");
}

static void test_only_the_outermost_object_counts(void **state)
{
        (void)state;
        expect_cut("{\"data\":{\"hash\":\"in\",\"l\":[{\"hash\":1},\"]\"]},\"hash\":\"out\",\"z\":\"}\"}",
                   "hash", "{\"data\":{\"hash\":\"in\",\"l\":[{\"hash\":1},\"]\"]},\"z\":\"}\"}");
        expect_cut("{\"t\":\",\\\"hash\\\":\\\"no\\\\\",\"hash\":\"yes\"}", "hash",
                   "{\"t\":\",\\\"hash\\\":\\\"no\\\\\"}");
}

static void test_what_is_no_line(void **state)
{
        static const char *const bad[] = { "",           "{",          "}",          "x",
                                           "{\"a\"}",    "{\"a\":}",   "{\"a\":1",   "{\"a\":\"1}",
                                           "{\"a\":1}}", "{\"a\":1,}", "{\"a\":[1}", "[1]",
                                           "{a:1}" };
        ChainMember m;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (chain_member(bad[i], strlen(bad[i]), "nothing", &m) != -EBADMSG)
                        fail_msg("%s: taken for a line", bad[i]);
        assert_int_equal(chain_member("{}", 2, "a", &m), -ENOENT);
        assert_int_equal(chain_member("{\"b\":1}", 7, "a", &m), -ENOENT);
        /* Not NUL-terminated: nothing is read past the length. */
        assert_int_equal(chain_member("{\"b\":1}\"", 7, "a", &m), -ENOENT);
}

static void make_line(char *line, size_t size, const char *data)
{
        char bare[512], hash[CHAIN_HEX + 1];
        uint8_t digest[SHA256_SIZE];

        snprintf(bare, sizeof(bare), "{\"data\":%s,\"prev\":\"%s\",\"seq\":7,\"v\":1}", data, ZEROS);
        sha256(bare, strlen(bare), digest);
        text_hex(hash, digest, sizeof(digest));
        snprintf(line, size, "{\"data\":%s,\"hash\":\"%s\",\"prev\":\"%s\",\"seq\":7,\"v\":1}", data, hash,
                 ZEROS);
}

static void test_a_whole_line(void **state)
{
        char line[512];
        ChainLink link;

        (void)state;
        make_line(line, sizeof(line), "{\"hash\":\"inner\"}");
        assert_int_equal(chain_check(line, strlen(line), &link), 0);
        assert_int_equal(link.seq, 7);
        assert_string_equal(link.prev, ZEROS);
        for (size_t i = 0; i < strlen(line); i++) {
                char saved = line[i];

                line[i] ^= 1;
                assert_int_equal(chain_check(line, strlen(line), &link), -EBADMSG);
                line[i] = saved;
        }
        assert_int_equal(chain_check(line, strlen(line) - 1, &link), -EBADMSG);
}

static void test_fields_of_the_wrong_kind(void **state)
{
        static const char *const bad[] = {
                "{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS "\",\"seq\":\"7\"}",
                "{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS "\",\"seq\":-7}",
                "{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS "\",\"seq\":99999999999999999999}",
                "{\"hash\":\"" ZEROS "\",\"prev\":\"" ZEROS "0\",\"seq\":7}",
                "{\"hash\":\"" ZEROS "\",\"prev\":null,\"seq\":7}",
                "{\"prev\":\"" ZEROS "\",\"seq\":7}",
        };
        ChainLink link;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(chain_parse(bad[i], strlen(bad[i]), &link), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cut_takes_one_comma),
                cmocka_unit_test(test_only_the_outermost_object_counts),
                cmocka_unit_test(test_what_is_no_line),
                cmocka_unit_test(test_a_whole_line),
                cmocka_unit_test(test_fields_of_the_wrong_kind),
        };

        return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
