/* line_rules - event rules on blocks of lines: what is found is what PCRE2 finds on each line alone */
#include "model/line_rules.h"
#include "model/pattern.h"
#include "model/prefilter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOG "/var/log/x"

/* Every hit as "RULE[!]@START+LEN " */
static const char *hits(const RuleSettings *settings, size_t n, const void *block, size_t len, size_t max)
{
        static char out[1024];
        Rules *rules;
        LineRules *l;
        LineHit h;
        size_t at = 0;
        int r;

        assert_int_equal(rules_new(&rules, settings, n, NULL), 0);
        assert_int_equal(line_rules_new(&l, rules, LOG), 0);
        line_rules_begin(l, block, len, max);
        out[0] = '\0';
        while ((r = line_rules_next(l, &h)) == 0)
                at += (size_t)snprintf(out + at, sizeof(out) - at, "%zu%s@%zu+%zu ", h.rule,
                                       h.cancels ? "!" : "", h.start, h.len);
        assert_int_equal(r, LINE_RULES_E_END);
        line_rules_free(l);
        rules_free(rules);
        return out;
}

#define FILE_RULE(...)                                                                                       \
        {                                                                                                    \
                .source = RULE_SOURCE_FILE, .path = (char *)LOG, __VA_ARGS__                                 \
        }
#define TEXT(s)                (char *)(s)
#define HITS(rules, text, max) hits(rules, sizeof(rules) / sizeof(rules[0]), text, sizeof(text) - 1, max)

static void test_lines(void **state)
{
        static const RuleSettings rules[] = {
                FILE_RULE(.match = TEXT("panic")),
                FILE_RULE(.match = TEXT("stopped"), .unless = TEXT("started")),
                { .match = TEXT("panic") }, /* the journal's */
                FILE_RULE(.match = TEXT("^x$")),
        };

        (void)state;
        assert_string_equal(HITS(rules, "", 99), "");
        assert_string_equal(HITS(rules, "\n\n\n", 99), "");
        assert_string_equal(HITS(rules, "panic", 99), "0@0+5 ");
        assert_string_equal(HITS(rules, "a\npanic\nb\nx\nmore panic\n", 99), "0@2+5 3@10+1 0@12+10 ");
        assert_string_equal(HITS(rules, "a\nstopped panic\nstarted and stopped\n", 99),
                            "0@2+13 1@2+13 1!@16+19 ");
        /* Bytes that are no text; a line that is cut. */
        assert_string_equal(HITS(rules, "\0\0\xff panic\0\n\xc3\nx\n", 99), "0@0+10 3@13+1 ");
        assert_string_equal(HITS(rules, "12345panic\npanic12345\n", 9), "0@11+10 ");
}

static const char *const parts[] = {
        "error",       "status=",     "(?:warn|fatal|panic)",
        "[45]\\d\\d ", "\\b",         "[A-F0-9]{4,}",
        "x*",          ".*",          "s",
        "k",           "(?i)",        "(?i:Disk)",
        "(?-i)",       "\\s+",        "ab?c",
        "(?<id>\\w+)", "q{2}",        "[^a]",
        "\xc3\xa9",    "$",           "^",
        "(?=er)",      "(?!x)",       "|",
        "(?:a|bc|)",   "\\.",         "\\x41",
        "(?:ab){2,3}", "[[:digit:]]", "kk",
        "tt",
};
static const char *const pieces[] = {
        "error",
        "status=",
        "warn",
        "fatal",
        "PANIC",
        "panic",
        "450 ",
        "551 ",
        "DEAD",
        "BEEF",
        "disk",
        "DISK",
        "\xc5\xbf",
        "\xe2\x84\xaa",
        "abc",
        "ac",
        "qq",
        "\xc3\xa9",
        "A",
        "abab",
        "7",
        "s",
        "k",
        "S",
        "K",
        " ",
        "\xff",
        ".",
        "x",
        "\n",
        "\n",
        "tt",
        "kk",
        "DI\xc5\xbfK",
        "1234567890123456789012345678901234567890",
};

static unsigned seed = 20261122;
static unsigned pick(size_t n)
{
        seed = seed * 1664525 + 1013904223;
        return (unsigned)((seed >> 8) % n);
}

/* A pattern of random parts that PCRE2 takes. */
static Pattern *random_pattern(char *text, size_t size)
{
        Pattern *p = NULL;

        do {
                text[0] = '\0';
                for (unsigned n = 1 + pick(5); n > 0; n--)
                        strncat(text, parts[pick(sizeof(parts) / sizeof(parts[0]))], size - strlen(text) - 1);
        } while (pattern_new(&p, text, PATTERN_TEXT, NULL) < 0);
        return p;
}

static size_t random_block(char *block, size_t size)
{
        size_t len = 0, want = pick(size - 64);

        while (len < want) {
                const char *piece = pieces[pick(sizeof(pieces) / sizeof(pieces[0]))];

                memcpy(block + len, piece, strlen(piece));
                len += strlen(piece);
        }
        return len;
}

/* Whatever the patterns and the lines are, every match is found, and nothing else. */
static void test_as_pcre2(void **state)
{
        static char block[20000];
        unsigned found = 0;

        (void)state;
        for (unsigned round = 0; round < 250; round++) {
                char texts[6][128];
                Pattern *patterns[6];
                RuleSettings settings[6] = {};
                Rules *rules;
                LineRules *l;
                LineHit h;
                size_t n = 1 + pick(6), len = random_block(block, sizeof(block));

                for (size_t i = 0; i < n; i++) {
                        patterns[i] = random_pattern(texts[i], sizeof(texts[i]));
                        settings[i] = (RuleSettings)FILE_RULE(.match = texts[i]);
                }
                assert_int_equal(rules_new(&rules, settings, n, NULL), 0);
                assert_int_equal(line_rules_new(&l, rules, LOG), 0);
                line_rules_begin(l, block, len, len);
                for (size_t at = 0; at < len;) {
                        const char *end = memchr(block + at, '\n', len - at);
                        size_t line = end ? (size_t)(end - block) - at : len - at;

                        for (size_t i = 0; i < n; i++) {
                                if (pattern_match(patterns[i], block + at, line) != 0)
                                        continue;
                                if (line_rules_next(l, &h) != 0 || h.rule != i || h.start != at)
                                        fail_msg("round %u: %s at %zu", round, texts[i], at);
                                assert_int_equal(h.len, line);
                                found++;
                        }
                        at += line + 1;
                }
                assert_int_equal(line_rules_next(l, &h), LINE_RULES_E_END);
                line_rules_free(l);
                rules_free(rules);
                for (size_t i = 0; i < n; i++)
                        pattern_free(patterns[i]);
        }
        assert_true(found > 10000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_as_pcre2),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
