/* canary - tokens that only this key makes, and where they are looked for. */
#include "model/canary.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const CanaryKey key = { .bytes = { 1, 2, 3 } }, other = { .bytes = { 1, 2, 4 } };
static const uint8_t nonce[CANARY_NONCE_SIZE] = { 9, 8, 7 };

static void test_token(void **state)
{
        char token[CANARY_TOKEN_SIZE], again[CANARY_TOKEN_SIZE];

        (void)state;
        canary_token(&key, nonce, token);
        canary_token(&key, nonce, again);
        assert_string_equal(token, again);
        assert_int_equal(strlen(token), 64);
        assert_true(canary_is_ours(&key, token));
        assert_false(canary_is_ours(&other, token));
        for (size_t i = 0; i < strlen(token); i++) {
                char was = token[i];

                token[i] = was == '0' ? '1' : '0';
                assert_false(canary_is_ours(&key, token));
                token[i] = was;
        }
        token[63] = '\0';
        assert_false(canary_is_ours(&key, token));
        assert_false(canary_is_ours(&key, ""));
}

static void test_message(void **state)
{
        char token[CANARY_TOKEN_SIZE], found[CANARY_TOKEN_SIZE];
        _cleanup_(freep) char *text = NULL, *bounce = NULL;

        (void)state;
        canary_token(&key, nonce, token);
        text = canary_message("imc", token);
        assert_true(canary_find_header(text, strlen(text), found));
        assert_string_equal(found, token);
        assert_true(canary_ends(text, strlen(text), token));
        assert_true(canary_ends(text, strlen(text) - 1, token));
        assert_false(canary_ends(text, strlen(text) - 2, token));
        /* A bounce quotes it in its body: found as bytes, but no header of the message. */
        assert_true(asprintf(&bounce, "Subject: failed\r\n\r\n%s", text) > 0);
        assert_true(canary_find(bounce, strlen(bounce), found));
        assert_string_equal(found, token);
        assert_false(canary_find_header(bounce, strlen(bounce), found));
        /* Bytes of any format, cut anywhere. */
        for (size_t len = 0; len < strlen(text); len++)
                assert_int_equal(canary_find(text, len, found),
                                 len >= (size_t)(strstr(text, CANARY_HEADER) - text) + strlen(CANARY_HEADER) +
                                                 64);
}

static void test_no_token(void **state)
{
        static const char *const texts[] = { "",
                                             "\n",
                                             "x",
                                             "X-Unjamd-Canary: ",
                                             "X-Unjamd-Canary: zz\n",
                                             "X-Unjamd-Canary: 0123456789abcdef\nX-Unjamd-Canary: 1\n" };
        char found[CANARY_TOKEN_SIZE];

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                assert_false(canary_find(texts[i], strlen(texts[i]), found));
                assert_false(canary_find_header(texts[i], strlen(texts[i]), found));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_token),
                cmocka_unit_test(test_message),
                cmocka_unit_test(test_no_token),
        };

        return cmocka_run_group_tests_name("model/canary", tests, NULL, NULL);
}
