/* Tests of ctl/print.c: tables, times, and text that must not reach a terminal as it is. */
#include "ctl/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_clean(const char *text, const char *want)
{
        char *clean = print_clean(text);

        assert_string_equal(clean, want);
        free(clean);
}

static void test_clean(void **state)
{
        (void)state;
        expect_clean("", "");
        expect_clean("plain \xc3\xa4 \xe2\x82\xac", "plain \xc3\xa4 \xe2\x82\xac");
        expect_clean("a\nb\tc\rd", "a b c?d");
        expect_clean("\033]0;title\a", "?]0;title?");
        expect_clean("\x7f", "?");
        expect_clean("\xc2\x9b"
                     "31m",
                     "??31m");
        expect_clean("bad \xff", "bad \xef\xbf\xbd");
}

static char *table_text(const Table *t, bool colour)
{
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        table_print(t, f, colour);
        fclose(f);
        return text;
}

static void test_table(void **state)
{
        static const Column columns[] = { { .title = "NAME" },
                                          { .title = "N", .right = true },
                                          { .title = "STATE", .word = true } };
        Table *t = table_new(columns, 3);
        char *text;

        (void)state;
        assert_int_equal(table_add(t, (const char *const[]){ "\xc3\xa4\xc3\xb6", "7", "healthy" }), 0);
        assert_int_equal(table_add(t, (const char *const[]){ "longer", "1234", NULL }), 0);
        assert_int_equal(table_add(t, (const char *const[]){ "", "", "esc\033" }), 0);
        text = table_text(t, false);
        assert_string_equal(text, "NAME       N  STATE\n"
                                  "\xc3\xa4\xc3\xb6         7  healthy\n"
                                  "longer  1234  -\n"
                                  "-          -  esc?\n");
        free(text);
        text = table_text(t, true);
        assert_non_null(strstr(text, "\033[32mhealthy\033[0m"));
        free(text);
        table_free(t);
}

static void test_an_empty_table(void **state)
{
        static const Column columns[] = { { .title = "A" }, { .title = "B" } };
        Table *t = table_new(columns, 2);
        char *text = table_text(t, false);

        (void)state;
        assert_string_equal(text, "A  B\n");
        free(text);
        table_free(t);
}

static void test_times(void **state)
{
        char buf[40];

        (void)state;
        assert_string_equal(print_time(buf, "2026-11-22T14:00:01.123456Z"), "2026-11-22 14:00:01");
        assert_string_equal(print_time(buf, "no time"), "no time");
        assert_string_equal(print_time(buf, ""), "");
        assert_string_equal(print_clock(buf, "2026-11-22T14:00:01.123456Z"), "14:00:01.123");
        assert_string_equal(print_clock(buf, "2026-11-22T14:00Z"), "2026-11-22T14:00Z");
        assert_string_equal(print_ms(buf, sizeof(buf), 1500), "1.5s");
        assert_string_equal(print_ms(buf, sizeof(buf), -5), "0s");
}

static void test_styles(void **state)
{
        (void)state;
        assert_int_equal(style_of_word("healthy"), STYLE_GOOD);
        assert_int_equal(style_of_word("recovered"), STYLE_GOOD);
        assert_int_equal(style_of_word("escalated"), STYLE_BAD);
        assert_int_equal(style_of_word("isolating"), STYLE_WARN);
        assert_int_equal(style_of_word("something"), STYLE_PLAIN);
        assert_string_equal(style_on(false, STYLE_BAD), "");
        assert_string_equal(style_off(true, STYLE_PLAIN), "");
        assert_string_equal(style_off(true, STYLE_BAD), "\033[0m");
}

/* Under a test stdout is no terminal: text goes straight there. */
static void test_no_pager_without_a_terminal(void **state)
{
        Pager p;

        (void)state;
        if (isatty(1))
                skip();
        assert_ptr_equal(pager_start(&p), stdout);
        assert_false(p.was_used);
        pager_end(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clean),          cmocka_unit_test(test_table),
                cmocka_unit_test(test_an_empty_table), cmocka_unit_test(test_times),
                cmocka_unit_test(test_styles),         cmocka_unit_test(test_no_pager_without_a_terminal),
        };

        return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
