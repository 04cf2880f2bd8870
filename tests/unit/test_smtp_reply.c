/* smtp_reply - replies whole, in several lines, without CR, and what is no reply. */
#include "observe/smtp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Feeds all of @text. Return: what the last byte gave; earlier ones must ask for more. */
static int feed(SmtpReply *r, const char *text, size_t len)
{
        int result = SMTP_REPLY_E_MORE;

        for (size_t i = 0; i < len; i++) {
                assert_int_equal(result, SMTP_REPLY_E_MORE);
                result = smtp_reply_feed(r, text[i]);
                if (result == SMTP_REPLY_E_WRONG)
                        return result;
        }
        return result;
}
#define FEED(r, text) feed((r), (text), sizeof(text) - 1)

static void test_replies(void **state)
{
        SmtpReply r = { 0 };

        (void)state;
        assert_int_equal(FEED(&r, "220 mx ready\r\n"), 0);
        assert_int_equal(r.code, 220);
        assert_string_equal(r.text, "220 mx ready");
        /* The same reader takes the next one. */
        assert_int_equal(FEED(&r, "250-mx\r\n250-SIZE\r\n250 HELP\r\n"), 0);
        assert_int_equal(r.code, 250);
        assert_string_equal(r.text, "250-mx");
        assert_int_equal(FEED(&r, "221\r\n"), 0);
        assert_int_equal(r.code, 221);
        assert_int_equal(FEED(&r, "421\n"), 0);
        assert_int_equal(r.code, 421);
        assert_int_equal(FEED(&r, "220 \xff\x00\x80 bytes\r\n"), 0);
        assert_int_equal(r.code, 220);
}

static void test_wrong(void **state)
{
        static const char *const texts[] = { "HTTP/1.1 400",  "\n",   "22\n", "220-a\r\n221 b", "2200",
                                             "250-a\r\n\r\n", "-20 x" };

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                SmtpReply r = { 0 };
                assert_int_equal(feed(&r, texts[i], strlen(texts[i])), SMTP_REPLY_E_WRONG);
        }
}

static void test_endless(void **state)
{
        SmtpReply r = { 0 };
        size_t n = 0;

        (void)state;
        assert_int_equal(FEED(&r, "220 "), SMTP_REPLY_E_MORE);
        while (smtp_reply_feed(&r, 'x') == SMTP_REPLY_E_MORE)
                assert_true(++n <= SMTP_REPLY_MAX);
        assert_true(strlen(r.text) < SMTP_REPLY_TEXT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_replies),
                cmocka_unit_test(test_wrong),
                cmocka_unit_test(test_endless),
        };

        return cmocka_run_group_tests_name("observe/smtp_reply", tests, NULL, NULL);
}
