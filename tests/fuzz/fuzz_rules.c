/*
 * Rules: the first line of the input is a rule's match, the second its unless, the rest a block of a log.
 * Whatever a pattern and a log are, line_rules finds what rules_match_line() finds on each line alone.
 */
#include "base/cleanup.h"
#include "fuzz.h"
#include "model/line_rules.h"

#define LOG_PATH "/var/log/x"

static void compare(Rules *rules, const char *block, size_t len)
{
        LineRules *l = NULL;
        LineHit h;
        int next;

        assert(line_rules_new(&l, rules, LOG_PATH) == 0);
        line_rules_begin(l, block, len, len);
        next = line_rules_next(l, &h);
        for (size_t at = 0; at < len;) {
                const char *end = memchr(block + at, '\n', len - at);
                size_t line = end ? (size_t)(end - block) - at : len - at;
                bool cancels = rules_match_line(rules, 0, true, block + at, line) == 0;
                bool matches = rules_match_line(rules, 0, false, block + at, line) == 0;

                if (cancels || matches) {
                        assert(next == 0 && h.start == at && h.len == line && h.cancels == cancels);
                        next = line_rules_next(l, &h);
                }
                at += line + 1;
        }
        assert(next == LINE_RULES_E_END);
        line_rules_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t n_match, n_unless;
        const char *match = fuzz_line(&data, &size, &n_match);
        const char *unless = fuzz_line(&data, &size, &n_unless);
        _cleanup_(freep) char *a = fuzz_text((const uint8_t *)match, n_match);
        _cleanup_(freep) char *b = fuzz_text((const uint8_t *)unless, n_unless);
        _cleanup_(freep) char *error = NULL;
        RuleSettings rule = { .name = a,
                              .source = RULE_SOURCE_FILE,
                              .path = (char *)LOG_PATH,
                              .match = a,
                              .unless = n_unless ? b : NULL };
        Rules *rules = NULL;
        int r = rules_new(&rules, &rule, 1, &error);

        if (r < 0) {
                assert(r == -EINVAL && error);
                return 0;
        }
        /* A pattern that runs into its limits has no one answer. */
        compare(rules, (const char *)data, size);
        rules_free(rules);
        return 0;
}
