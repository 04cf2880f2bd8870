/*
 * Journal fields: "NAME=VALUE" lines are the fields of one entry, as any process of the service may write
 * them; a line that begins with '+' goes on with the value before, newline included. Rules are asked as
 * journal_turn asks them, and what they say goes where the record goes.
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "fuzz.h"
#include "model/json.h"
#include "model/rules.h"

#define FIELDS_MAX 16

typedef struct Entry {
        struct {
                const char *name, *value;
                size_t name_len, len;
        } fields[FIELDS_MAX];
        size_t n;
} Entry;

static int get_field(void *userdata, const char *field, const void **ret, size_t *ret_len)
{
        const Entry *e = userdata;

        for (size_t i = 0; i < e->n; i++)
                if (e->fields[i].name_len == strlen(field) &&
                    memcmp(e->fields[i].name, field, strlen(field)) == 0) {
                        *ret = e->fields[i].value;
                        *ret_len = e->fields[i].len;
                        return 0;
                }
        return 1;
}

static void take(Entry *e, const uint8_t *data, size_t size)
{
        while (size > 0) {
                size_t len;
                const char *line = fuzz_line(&data, &size, &len);
                const char *equals = memchr(line, '=', len);

                if (len > 0 && line[0] == '+' && e->n > 0) {
                        e->fields[e->n - 1].len = (size_t)(line + len - e->fields[e->n - 1].value);
                } else if (equals && e->n < FIELDS_MAX) {
                        e->fields[e->n].name = line;
                        e->fields[e->n].name_len = (size_t)(equals - line);
                        e->fields[e->n].value = equals + 1;
                        e->fields[e->n].len = (size_t)(line + len - equals - 1);
                        e->n++;
                }
        }
}

static Rules *the_rules(void)
{
        static char *captures[] = { (char *)"id", (char *)"pid", NULL };
        static const RuleSettings settings[] = {
                { .name = (char *)"a",
                  .source = RULE_SOURCE_JOURNAL,
                  .match = (char *)"message (?<id>[^ ]+) of (?<pid>\\d+)",
                  .captures = captures },
                { .name = (char *)"b",
                  .source = RULE_SOURCE_JOURNAL,
                  .field = (char *)"EVENT_ID",
                  .equals = (char *)"4037" },
                { .name = (char *)"c",
                  .source = RULE_SOURCE_JOURNAL,
                  .match = (char *)"(?i)panic|fatal",
                  .unless = (char *)"recovered" },
        };
        static Rules *rules;

        if (!rules)
                assert(rules_new(&rules, settings, sizeof(settings) / sizeof(settings[0]), NULL) == 0);
        return rules;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Entry e = { .n = 0 };
        const RuleEntry entry = { .source = RULE_SOURCE_JOURNAL, .get_field = get_field, .userdata = &e };
        Rules *rules = the_rules();
        const void *text = NULL;
        size_t len = 0;

        take(&e, data, size);
        (void)get_field(&e, "MESSAGE", &text, &len);
        for (size_t at = 0, i; rules_match(rules, &entry, at, &i) == 0; at = i + 1) {
                RuleCapture capture = { 0 };

                assert(i < rules_count(rules));
                if (!text || i != 0)
                        continue;
                assert(rules_capture(rules, i, text, len, &capture) == 0);
                assert(capture.pid >= 0);
                free(capture.id);
        }
        for (size_t at = 0, i; rules_cancel(rules, &entry, at, &i) == 0; at = i + 1)
                assert(i == 2);
        if (text) {
                _cleanup_(freep) char *utf8 = text_to_utf8(text, len, 0);

                assert(utf8 && text_is_utf8(utf8, strlen(utf8)));
        }
        return 0;
}
