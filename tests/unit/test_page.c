/* Tests of ctl/page.c and ctl/page_html.c: what a report looks like, whatever is put into it. */
#include "ctl/page.h"

#include "base/text.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVIL "\"><script>alert('1')</script>&\033[2J\xff\xe2\x80\xae.txt"
/* What a browser, and a terminal, get of it. */
#define EVIL_HTML "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;?[2J\xef\xbf\xbd???.txt"
#define EVIL_TEXT "\"><script>alert('1')</script>&?[2J\xef\xbf\xbd???.txt"

static const Column columns[] = { { .title = "N", .right = true },
                                  { .title = "STATE", .word = true },
                                  { .title = "WHAT" } };

/* One of everything, each with @word. */
static void fill(Page *p, const char *word)
{
        Table *t = table_new(columns, 3);

        page_begin(p, word);
        page_field(p, "Name", word, STYLE_GOOD);
        page_field(p, "Empty", "", STYLE_PLAIN);
        page_title(p, word);
        page_line(p, PAGE_TEXT, "a %s", word);
        page_line(p, PAGE_DETAIL, "b %s", word);
        page_line(p, PAGE_LOG, "c %s", word);
        page_line(p, PAGE_COMMAND, "d %s", word);
        assert_int_equal(table_add(t, (const char *const[]){ word, "healthy", word }), 0);
        page_table(p, t);
        page_end(p);
        table_free(t);
        assert_false(p->failed);
}

static char *text_page(const char *word, unsigned width)
{
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        Page p;

        page_text_init(&p, f, false, width);
        fill(&p, word);
        assert_int_equal(fclose(f), 0);
        return text;
}

static char *html_page(const char *word)
{
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        Page p;

        page_html_init(&p, f);
        fill(&p, word);
        assert_int_equal(fclose(f), 0);
        return text;
}

static size_t count(const char *text, const char *part)
{
        size_t n = 0;

        for (text = strstr(text, part); text; text = strstr(text + 1, part))
                n++;
        return n;
}

static void test_text(void **state)
{
        char *text = text_page("x", 0);

        (void)state;
        assert_string_equal(text, "x\n"
                                  "  Name       x\n"
                                  "\n"
                                  "x\n"
                                  "  a x\n"
                                  "      b x\n"
                                  "    c x\n"
                                  "  d x\n"
                                  "  N  STATE    WHAT\n"
                                  "  x  healthy  x\n");
        free(text);
        text = text_page(EVIL, 0);
        assert_int_equal(count(text, EVIL_TEXT), 9);
        assert_null(strchr(text, '\033'));
        free(text);
}

/* Only what can be broken is: commands and log lines are to be copied, and so is a word. */
static void test_text_in_columns(void **state)
{
        char *text = text_page("one two three four five six seven", 30);

        (void)state;
        assert_non_null(
                strstr(text, "  Name       one two three\n             four five six\n             seven\n"));
        assert_non_null(strstr(text, "\n  a one two three four five\n  six seven\n"));
        assert_non_null(strstr(text, "\n      b one two three four\n      five six seven\n"));
        assert_non_null(strstr(text, "\n    c one two three four five six seven\n"));
        assert_non_null(strstr(text, "\n  d one two three four five six seven\n"));
        free(text);
        text = text_page("0123456789012345678901234567890123456789", 30);
        assert_non_null(strstr(text, "\n  a\n  0123456789012345678901234567890123456789\n"));
        free(text);
}

/* The last column is broken below itself, if it has room at all. */
static void test_table_in_columns(void **state)
{
        Table *t = table_new(columns, 3);
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        (void)state;
        assert_int_equal(table_add(t, (const char *const[]){ "1", "healthy", "a few words that go on" }), 0);
        table_print_within(t, f, false, 2, 34);
        table_print_within(t, f, false, 2, 33);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, "  N  STATE    WHAT\n"
                                  "  1  healthy  a few words that go\n"
                                  "              on\n"
                                  "  N  STATE    WHAT\n"
                                  "  1  healthy  a few words that go on\n");
        free(text);
        table_free(t);
}

/*
 * Whatever comes in, the page has the same tags in the same order, and nothing that a browser would fetch
 * or run.
 */
static void test_html_is_inert(void **state)
{
        static const char *const never[] = { "<script", "javascript:", "http:", "https:", "src=",   "href=",
                                             "<img",    "<a ",         "<link", "url(",   "onerror" };
        char *plain = html_page("x"), *evil = html_page(EVIL);

        (void)state;
        assert_int_equal(count(evil, EVIL_HTML), 10); /* the title stands in the head, too */
        assert_int_equal(count(evil, "<"), count(plain, "<"));
        assert_int_equal(count(evil, ">"), count(plain, ">"));
        for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
                assert_null(strstr(evil, never[i]));
        assert_true(text_is_utf8(evil, strlen(evil)));
        free(plain);
        free(evil);
}

/* Every element that is opened is closed, in order, but for those that have no end. */
static void test_html_is_well_formed(void **state)
{
        char *html = html_page("x"), *open[16];
        size_t n = 0;

        (void)state;
        assert_int_equal(strncmp(html, "<!DOCTYPE html>\n<html", 21), 0);
        for (char *tag = strchr(html + 1, '<'); tag; tag = strchr(tag + 1, '<')) {
                bool ends = tag[1] == '/';
                char *name = tag + 1 + ends;
                size_t len = strcspn(name, " >");

                if (strncmp(name, "meta", len) == 0)
                        continue;
                if (ends) {
                        assert_true(n > 0);
                        n--;
                        assert_int_equal(strncmp(open[n], name, len), 0);
                } else {
                        assert_true(n < 16);
                        open[n++] = name;
                }
        }
        assert_int_equal(n, 0);
        free(html);
}

/* The policy allows no source but the digest of the very style sheet that is in the page. */
static void test_html_policy(void **state)
{
        char *html = html_page("x"), *begin = strstr(html, "<style>"), *end = strstr(html, "</style>"),
             *digest, *want;
        uint8_t hash[crypto_hash_sha256_BYTES];

        (void)state;
        assert_true(begin && end && begin < end);
        crypto_hash_sha256(hash, (const uint8_t *)begin + 7, (unsigned long long)(end - begin - 7));
        digest = text_base64(hash, sizeof(hash));
        assert_true(asprintf(&want,
                             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                             "style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">",
                             digest) > 0);
        assert_non_null(strstr(html, want));
        assert_true(strstr(html, want) < begin);
        free(want);
        free(digest);
        free(html);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_text_in_columns),
                cmocka_unit_test(test_table_in_columns),
                cmocka_unit_test(test_html_is_inert),
                cmocka_unit_test(test_html_is_well_formed),
                cmocka_unit_test(test_html_policy),
        };

        return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
