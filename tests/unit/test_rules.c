/* rules - which rule a log entry matches */
#include "model/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct Field {
        const char *name, *value;
        size_t len;
} Field;

static int get(void *userdata, const char *name, const void **ret, size_t *ret_len)
{
        for (const Field *f = userdata; f->name; f++)
                if (strcmp(f->name, name) == 0) {
                        if (!f->value)
                                return -EIO;
                        *ret = f->value;
                        *ret_len = f->len ? f->len : strlen(f->value);
                        return 0;
                }
        return 1;
}

/* The indices that match, as a string of digits; "!" for an error. */
static const char *matches(Rules *r, RuleSource source, const char *path, Field *fields)
{
        static char out[16];
        RuleEntry entry = { .source = source, .path = path, .get_field = get, .userdata = fields };
        size_t n = 0, i;
        int k = 0;

        for (size_t from = 0; (k = rules_match(r, &entry, from, &i)) == 0; from = i + 1)
                out[n++] = (char)('0' + i);
        if (k < 0)
                out[n++] = '!';
        out[n] = '\0';
        return out;
}

static RuleSettings settings[] = {
        { .name = (char *)"imc-4037", .field = (char *)"EVENT_ID", .equals = (char *)"4037" },
        { .name = (char *)"corrupt", .match = (char *)"(?i)corrupt message" },
        { .name = (char *)"state", .field = (char *)"UNIT_STATE", .match = (char *)"^fail" },
        { .name = (char *)"both",
          .field = (char *)"PRIORITY",
          .equals = (char *)"2",
          .match = (char *)"panic" },
        { .name = (char *)"present", .field = (char *)"COREDUMP_PID" },
        { .name = (char *)"file",
          .source = RULE_SOURCE_FILE,
          .path = (char *)"/var/log/imc.log",
          .match = (char *)"4037" },
        { .name = (char *)"slow", .match = (char *)"^(a+)+$" },
};

static Rules *make(void)
{
        Rules *r = NULL;

        assert_int_equal(rules_new(&r, settings, sizeof(settings) / sizeof(*settings), NULL), 0);
        return r;
}

static void test_match(void **state)
{
        Rules *r = make();
        const char *log = "/var/log/imc.log";

        (void)state;
        /* A pattern that is asked often gets a filter; it must not be seen. */
        for (unsigned k = 0; k < 1100; k++) {
#define JOURNAL(...) matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ __VA_ARGS__, {} })
                assert_string_equal(JOURNAL({ "EVENT_ID", "4037", 0 }), "0");
                assert_string_equal(JOURNAL({ "EVENT_ID", "40377", 0 }), "");
                assert_string_equal(JOURNAL({ "EVENT_ID", "4037\0", 5 }), "");
                assert_string_equal(
                        JOURNAL({ "EVENT_ID", "4037", 0 }, { "MESSAGE", "\xff Corrupt Message", 0 }), "01");
                assert_string_equal(JOURNAL({ "UNIT_STATE", "failed", 0 }), "2");
                assert_string_equal(JOURNAL({ "UNIT_STATE", "not failed", 0 }), "");
                assert_string_equal(JOURNAL({ "PRIORITY", "2", 0 }, { "MESSAGE", "panic", 0 }), "3");
                assert_string_equal(JOURNAL({ "PRIORITY", "3", 0 }, { "MESSAGE", "panic", 0 }), "");
                assert_string_equal(JOURNAL({ "PRIORITY", "2", 0 }), "");
                assert_string_equal(JOURNAL({ "COREDUMP_PID", "1", 0 }), "4");
                assert_string_equal(JOURNAL({ "MESSAGE", "nothing of 4037 here", 0 }), "");
#undef JOURNAL
        }
        assert_string_equal(
                matches(r, RULE_SOURCE_FILE, log, (Field[]){ { "MESSAGE", "event 4037", 0 }, {} }), "5");
        assert_string_equal(
                matches(r, RULE_SOURCE_FILE, "/x", (Field[]){ { "MESSAGE", "event 4037", 0 }, {} }), "");
        assert_true(rules_want(r, RULE_SOURCE_JOURNAL, NULL));
        assert_true(rules_want(r, RULE_SOURCE_FILE, log));
        assert_false(rules_want(r, RULE_SOURCE_FILE, "/var/log/mail.log"));
        assert_int_equal(rules_limited(r), 0);
        assert_null(rules_free(r));
}

static void test_hostile(void **state)
{
        Rules *r = make();
        size_t len = 8 * 1024 * 1024;
        char *line = malloc(len);

        (void)state;
        memset(line, 'a', len);
        line[100] = '!';
        assert_string_equal(matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ { "MESSAGE", line, len }, {} }),
                            "");
        assert_int_equal(rules_limited(r), 1);
        /* Only the first 64 KiB count. */
        memcpy(line + 70000, "corrupt message", 15);
        assert_string_equal(matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ { "MESSAGE", line, len }, {} }),
                            "");
        memcpy(line + 60000, "corrupt message", 15);
        assert_string_equal(matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ { "MESSAGE", line, len }, {} }),
                            "1");
        free(line);
        rules_free(r);
}

static void test_error(void **state)
{
        Rules *r = make();

        (void)state;
        assert_string_equal(matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ { "EVENT_ID", NULL, 0 }, {} }),
                            "!");
        assert_string_equal(matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ { "MESSAGE", NULL, 0 }, {} }),
                            "!");
        rules_free(r);
}

static void test_refused(void **state)
{
        static const RuleSettings wrong[] = {
                { .name = (char *)"all" },
                { .name = (char *)"equals", .equals = (char *)"1", .match = (char *)"x" },
                { .name = (char *)"syntax", .match = (char *)"(" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                RuleSettings two[] = { settings[1], wrong[i] };
                Rules *r = (Rules *)-1;
                char *error = NULL;

                assert_int_equal(rules_new(&r, two, 2, &error), -EINVAL);
                assert_ptr_equal(r, (Rules *)-1);
                assert_int_equal(strncmp(error, wrong[i].name, strlen(wrong[i].name)), 0);
                free(error);
                assert_int_equal(rules_new(&r, two, 2, NULL), -EINVAL);
        }
}

static void test_none(void **state)
{
        Rules *r = NULL;

        (void)state;
        assert_int_equal(rules_new(&r, NULL, 0, NULL), 0);
        assert_string_equal(matches(r, RULE_SOURCE_JOURNAL, NULL, (Field[]){ { "MESSAGE", "x", 0 }, {} }),
                            "");
        assert_false(rules_want(r, RULE_SOURCE_JOURNAL, NULL));
        rules_free(r);
        assert_null(rules_free(NULL));
}

/* A line that cancels, and what the groups of a match say. */
static void test_unless_and_captures(void **state)
{
        static char *both[] = { (char *)"id", (char *)"pid", NULL };
        static const RuleSettings list[] = {
                { .match = (char *)"(?<id>[^ ]+) stuck( in (?<pid>\\d+))?",
                  .unless = (char *)"(?i)all well",
                  .captures = both },
                { .match = (char *)"(?<id>x)" },
        };
        RuleEntry entry = { .get_field = get };
        Field fields[2] = { { "MESSAGE", "now All Well", 0 }, {} };
        RuleCapture c;
        Rules *r;
        size_t i;

        (void)state;
        assert_int_equal(rules_new(&r, list, 2, NULL), 0);
        entry.userdata = fields;
        assert_int_equal(rules_cancel(r, &entry, 0, &i), 0);
        assert_int_equal(i, 0);
        assert_int_equal(rules_cancel(r, &entry, 1, &i), RULES_E_NONE);
        fields[0].value = "A1 stuck in 42";
        assert_int_equal(rules_cancel(r, &entry, 0, &i), RULES_E_NONE);
        assert_int_equal(rules_match_line(r, 0, false, "A1 stuck", 8), 0);
        assert_int_equal(rules_match_line(r, 0, true, "A1 stuck", 8), RULES_E_NONE);
        assert_int_equal(rules_match_line(r, 1, true, "x", 1), RULES_E_NONE); /* it has no unless */
        assert_int_equal(rules_capture(r, 0, "A1 stuck in 42", 14, &c), 0);
        assert_string_equal(c.id, "A1");
        assert_int_equal(c.pid, 42);
        free(c.id);
        /* A pid that is none, an id with a NUL in it, and a rule that asks for nothing. */
        assert_int_equal(rules_capture(r, 0, "A\0B stuck in 99999999999", 24, &c), 0);
        assert_true(!c.id && c.pid == 0);
        assert_int_equal(rules_capture(r, 1, "x", 1, &c), 0);
        assert_null(c.id);
        rules_free(r);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_match), cmocka_unit_test(test_hostile),
                cmocka_unit_test(test_error), cmocka_unit_test(test_refused),
                cmocka_unit_test(test_none),  cmocka_unit_test(test_unless_and_captures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
