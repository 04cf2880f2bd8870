/* pattern - what matches, what is refused, and that hostile input ends soon */
#include "model/pattern.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static Pattern *compile(const char *text, PatternKind kind)
{
        Pattern *p = NULL;
        char *error = NULL;

        assert_int_equal(pattern_new(&p, text, kind, &error), 0);
        assert_null(error);
        return p;
}

static int match(const char *text, PatternKind kind, const char *data, size_t len)
{
        Pattern *p = compile(text, kind);
        int r = pattern_match(p, data, len);

        assert_null(pattern_free(p));
        return r;
}

static void test_name(void **state)
{
        (void)state;
        assert_int_equal(match("-H$", PATTERN_NAME, "1abc-H", 6), 0);
        assert_int_equal(match("-H$", PATTERN_NAME, "1abc-D", 6), PATTERN_E_NONE);
        /* No newline at the end is forgiven, and "." takes any byte. */
        assert_int_equal(match("-H$", PATTERN_NAME, "1abc-H\n", 7), PATTERN_E_NONE);
        assert_int_equal(match("^a.b.c$", PATTERN_NAME,
                               "a\nb\xff"
                               "c",
                               5),
                         0);
        assert_int_equal(match("^$", PATTERN_NAME, NULL, 0), 0);
}

static void test_text(void **state)
{
        (void)state;
        assert_int_equal(match("IMC .* 4037", PATTERN_TEXT, "x IMC event 4037", 16), 0);
        /* A byte that is no UTF-8 does not spoil the line around it. */
        assert_int_equal(match("corrupt", PATTERN_TEXT, "\xff\xfe corrupt \xc3", 12), 0);
        assert_int_equal(match("^\\p{Lu}$", PATTERN_TEXT, "\xc3\x84", 2), 0);
        assert_int_equal(match("a.b", PATTERN_TEXT,
                               "a\xff"
                               "b",
                               3),
                         PATTERN_E_NONE);
}

static void test_refused(void **state)
{
        static const char *const wrong[] = { "(", "[a", "(?<id>a", "a{2,1}", "\\C", "*" };
        Pattern *p = (Pattern *)-1;

        (void)state;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                char *error = NULL;

                assert_int_equal(pattern_new(&p, wrong[i], PATTERN_TEXT, &error), -EINVAL);
                assert_non_null(strstr(error, " at character "));
                free(error);
                assert_int_equal(pattern_new(&p, wrong[i], PATTERN_NAME, NULL), -EINVAL);
        }
        /* A name is bytes: the pattern cannot ask for UTF-8, which a bad name would make an error. */
        assert_int_equal(pattern_new(&p, "(*UTF)a", PATTERN_NAME, NULL), -EINVAL);
        assert_ptr_equal(p, (Pattern *)-1);
        assert_null(pattern_free(NULL));
}

static void test_groups(void **state)
{
        Pattern *p = compile("^(?:(?<id>[a-z]+)-[HD]|q(?<id>\\d+)(x)?(?<kind>k)?)$", PATTERN_NAME);
        PatternSpan span;

        (void)state;
        assert_int_equal(pattern_count_groups(p, "id"), 2);
        assert_int_equal(pattern_count_groups(p, "kind"), 1);
        assert_int_equal(pattern_count_groups(p, "none"), 0);
        assert_int_equal(pattern_match_group(p, "abc-H", 5, "id", &span), 0);
        assert_int_equal(span.start, 0);
        assert_int_equal(span.len, 3);
        assert_int_equal(pattern_match_group(p, "q17", 3, "id", &span), 0);
        assert_int_equal(span.start, 1);
        assert_int_equal(span.len, 2);
        assert_int_equal(pattern_match_group(p, "q17", 3, "kind", &span), PATTERN_E_NONE);
        assert_int_equal(pattern_match_group(p, "abc", 3, "id", &span), PATTERN_E_NONE);
        pattern_free(p);

        p = compile("^(?<id>a*)b", PATTERN_NAME);
        assert_int_equal(pattern_match_group(p, "b", 1, "id", &span), PATTERN_E_NONE); /* empty */
        pattern_free(p);
}

/* Patterns that take exponential time, or deep recursion, on names that a sender can choose. */
static void test_limits(void **state)
{
        static const char *const slow[] = { "^(a+)+$", "^(a|aa)+$", "(x+x+)+y",
                                            "^(?<p>\\((?:[^()]|(?&p))*\\))$" };
        char hostile[4096];

        (void)state;
        for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++)
                for (int kind = PATTERN_NAME; kind <= PATTERN_TEXT; kind++) {
                        memset(hostile, i < 2 ? 'a' : i == 2 ? 'x' : '(', sizeof(hostile));
                        hostile[sizeof(hostile) - 1] = '!';
                        assert_int_not_equal(match(slow[i], (PatternKind)kind, hostile, sizeof(hostile)), 0);
                }
        memset(hostile, 'a', sizeof(hostile));
        hostile[sizeof(hostile) - 1] = '!';
        assert_int_equal(match("^(a+)+$", PATTERN_NAME, hostile, sizeof(hostile)), PATTERN_E_LIMIT);
        /* An honest pattern has room for the longest path. */
        memset(hostile, 'a', sizeof(hostile));
        for (size_t i = 1; i < sizeof(hostile); i += 2)
                hostile[i] = '/';
        hostile[sizeof(hostile) - 1] = 'x';
        assert_int_equal(match("^(?:[^/]+/)*(?<id>[^/]+)$", PATTERN_NAME, hostile, sizeof(hostile)), 0);
}

static void *match_often(void *userdata)
{
        const Pattern *p = userdata;
        size_t wrong = 0;

        for (unsigned i = 0; i < 20000; i++) {
                char name[32];
                int len = snprintf(name, sizeof(name), "%u-%c", i, i % 3 ? 'H' : 'X');
                PatternSpan span;
                int r = pattern_match_group(p, name, (size_t)len, "id", &span);

                if (r != (i % 3 ? 0 : PATTERN_E_NONE) || (r == 0 && span.len != (size_t)len - 2))
                        wrong++;
        }
        return (void *)wrong;
}

static void test_threads(void **state)
{
        Pattern *p = compile("^(?<id>[^/]+)-[HDJ]$", PATTERN_NAME);
        pthread_t threads[4];

        (void)state;
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(pthread_create(threads + i, NULL, match_often, p), 0);
        for (size_t i = 0; i < 4; i++) {
                void *wrong;

                assert_int_equal(pthread_join(threads[i], &wrong), 0);
                assert_null(wrong);
        }
        pattern_free(p);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_name),   cmocka_unit_test(test_text),   cmocka_unit_test(test_refused),
                cmocka_unit_test(test_groups), cmocka_unit_test(test_limits), cmocka_unit_test(test_threads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
