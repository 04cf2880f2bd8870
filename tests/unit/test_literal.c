/* literal, literal_set - what every match of a pattern contains. That it is sound, test_line_rules shows
 * beside PCRE2. */
#include "model/literal.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The sequences of @pattern, as "abc|[xX]y"; "-" if nothing is known. */
static const char *literals(const char *pattern)
{
        static char out[2048];
        static ClassTable table;
        LiteralSet set;
        size_t at = 0;

        table = (ClassTable){};
        if (literal_of(pattern, &table, &set) != 0)
                return "-";
        for (size_t i = 0; i < set.n; i++) {
                at += (size_t)snprintf(out + at, sizeof(out) - at, "%s", i > 0 ? "|" : "");
                for (size_t k = 0; k < set.list[i].len; k++) {
                        const ByteClass *c = &table.classes[set.list[i].at[k]];
                        char bytes[257];
                        size_t n = 0;

                        for (unsigned b = 1; b < 256; b++)
                                if (byte_class_has(c, (uint8_t)b))
                                        bytes[n++] = (char)b;
                        bytes[n] = '\0';
                        at += (size_t)snprintf(out + at, sizeof(out) - at, n == 1 ? "%s" : "[%s]", bytes);
                }
        }
        return out;
}

static void test_read(void **state)
{
        static const struct {
                const char *pattern, *literals;
        } cases[] = {
                { "panic", "panic" },
                { "^panic$", "panic" },
                { "a long literal", "long lit" },
                { "(?i)no", "[Nn][Oo]" },
                { "warn|fatal", "warn|fatal" },
                { "(?:x|y)ab", "xab|yab" },
                { "https?://", "https://|http://" },
                { "err.*disk", "disk" },
                { "(?<id>[0-9A-F]{10,12}): removed", ": remove" },
                { "ab+c+d", "bc" },
                { "(?:ab){2}x", "ababx" },
                { "\\bE\\d\\d\\b", "E[0123456789][0123456789]" },
                { "a(?=longer)b.c\\tq", "c\tq" },
                { "\\x50\\x{51}\\.", "PQ." },
                { "(?i:D)(?-i)isc", "[Dd]isc" },
                { "[]x]QQ", "[]x]QQ" },
                { "[^x]QQQ", "QQQ" },
                { "\xc3\xa9", "\xc3\xa9" },
                /* Two letters have a third case outside of ASCII. */
                { "(?i)disc", "[Dd][Ii][Ss][Cc]|\xc5\xbf" },
                { "(?i)QK", "[Qq][Kk]|\xe2\x84\xaa" },
                /* Nothing that would help, or that is understood. */
                { "a", "-" },
                { "panic|", "-" },
                { "(?:panic)?", "-" },
                { "panic{0}", "pani" },
                { "panic{,3}", "-" },
                { "(?x) p a n i c", "-" },
                { "(*UTF)panic", "-" },
                { "\\Qpanic\\E", "-" },
                { "(?(?=x)panic|panic)", "-" },
                { "\\w+", "-" },
                { "(?P!x)abcd", "-" },
                { "[\\q]abcd", "-" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (strcmp(literals(cases[i].pattern), cases[i].literals) != 0)
                        fail_msg("%s: %s", cases[i].pattern, literals(cases[i].pattern));
}

/* References, names, comments and looks take nothing away from what stands beside them. */
static void test_read_beside(void **state)
{
        static const struct {
                const char *pattern, *literals;
        } cases[] = {
                { "[\\bx]QQQ", "[\bx]QQQ" },
                { "[\\Dx]QQQ", "QQQ" },
                { "[\\d\\x41]QQQ", "[0123456789A]QQQ" },
                { "[\\p{L}]abcd", "abcd" },
                { "[[:alpha:]]abcd", "abcd" },
                { "[[:^digit:]]abcd", "abcd" },
                { "(?<n>\\w)\\k<n>done", "done" },
                { "(?<n>\\w)\\k'n'done", "done" },
                { "(?<n>\\w)\\k{n}done", "done" },
                { "(\\w)\\g{1}done", "done" },
                { "(\\w)\\g-1done", "done" },
                { "(\\w)\\1done", "done" },
                { "(?'n'abc)def", "abcdef" },
                { "(?P<n>abc)def", "abcdef" },
                { "(?P<n>\\w)(?P=n)done", "done" },
                { "(?<n>abc)(?&n)done", "done" },
                { "(?P<n>abc)(?P>n)done", "done" },
                { "(?#comment)abcd", "abcd" },
                { "(?m)^abcd", "abcd" },
                { "(?i)(?^)abcd", "abcd" },
                { "(?<!x)abcd", "abcd" },
                { "(?<=x)abcd", "abcd" },
                { "\\p{L}abcd", "abcd" },
                { "\\Aabcd\\z", "abcd" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (strcmp(literals(cases[i].pattern), cases[i].literals) != 0)
                        fail_msg("%s: %s", cases[i].pattern, literals(cases[i].pattern));
}

/* Deeper than any honest pattern, or with more branches: nothing is said, nothing is read past the end. */
static void test_limits(void **state)
{
        char deep[400] = "", wide[4000] = "panic";

        (void)state;
        memset(deep, '(', 150);
        strcat(deep, "panic");
        memset(deep + strlen(deep), ')', 150);
        assert_string_equal(literals(deep), "-");
        for (unsigned i = 0; i < 200; i++)
                snprintf(wide + strlen(wide), sizeof(wide) - strlen(wide), "|panic%u", i);
        assert_string_equal(literals(wide), "-");
        for (const char *cut = "(?<id>[a-z[:alpha:]]{2,}\\x{41}\\p{L})"; *cut; cut++) {
                char text[64];

                for (size_t len = 0; len <= strlen(cut); len++) {
                        snprintf(text, sizeof(text), "%.*s", (int)len, cut);
                        (void)literals(text);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_read),
                cmocka_unit_test(test_read_beside),
                cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
