/* symptom - whatever the length, whole UTF-8 in its room, and signatures that differ where the ends do */
#include "diagnose/symptom.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_copy(void **state)
{
        static const char *const chars[] = { "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x93\xa7" };
        char text[64], out[32];

        (void)state;
        for (size_t c = 0; c < 4; c++)
                for (size_t pad = 0; pad < 5; pad++)
                        for (size_t size = 1; size <= sizeof(out); size++) {
                                size_t len = strlen(chars[c]), n;

                                memset(text, 0, sizeof(text));
                                memset(text, 'x', pad);
                                while (strlen(text) + len < sizeof(text))
                                        strcat(text, chars[c]);
                                memset(out, 'Z', sizeof(out));
                                text_copy(out, size, text);
                                n = strlen(out);
                                assert_true(n < size);
                                assert_true(text_is_utf8(out, n));
                                assert_memory_equal(out, text, n);
                                assert_true(n + len >= size); /* no more is cut than must be */
                        }
        text_copy(out, sizeof(out), NULL);
        assert_string_equal(out, "");
        text_copy(out, 1, "x");
        assert_string_equal(out, "");
        text_copy(out, 4, "\xe2\x82\xac");
        assert_string_equal(out, "\xe2\x82\xac");
}

static void test_detail(void **state)
{
        char text[600];
        Symptom s = {};

        (void)state;
        symptom_detail(&s, "exit code %d", 3);
        assert_string_equal(s.detail, "exit code 3");
        symptom_add_detail(&s, "; %s", "more");
        assert_string_equal(s.detail, "exit code 3; more");
        for (size_t pad = 0; pad < 4; pad++) {
                memset(text, 'x', pad);
                text[pad] = '\0';
                while (strlen(text) < 500)
                        strcat(text, "\xe2\x82\xac");
                symptom_detail(&s, "%s", text);
                assert_true(text_is_utf8(s.detail, strlen(s.detail)));
                assert_true(strlen(s.detail) > sizeof(s.detail) - 4);
                symptom_add_detail(&s, "%s", text);
                assert_true(text_is_utf8(s.detail, strlen(s.detail)));
                assert_true(strlen(s.detail) < sizeof(s.detail));
        }
}

static void test_signature(void **state)
{
        char name[300];
        char *units[] = { name, NULL };
        ServiceSettings service = { .name = (char *)"imc" };
        Symptom a, b;

        (void)state;
        a = symptom_make(&service, SYMPTOM_CRASHED, "signal/11", 7);
        assert_string_equal(a.signature, "imc/signal/11");
        assert_int_equal(a.kind, SYMPTOM_CRASHED);
        assert_true(a.wall == 7);
        assert_string_equal(a.detail, "");
        service.units = units;
        strcpy(name, "imc.service");
        a = symptom_make(&service, SYMPTOM_CRASHED, "signal/11", 7);
        assert_string_equal(a.signature, "imc.service/signal/11");
        memset(name, 'u', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        a = symptom_make(&service, SYMPTOM_CRASHED, "exit/1", 0);
        b = symptom_make(&service, SYMPTOM_CRASHED, "exit/2", 0);
        assert_string_not_equal(a.signature, b.signature);
        assert_non_null(strstr(a.signature, "uu/exit/1"));
        assert_int_equal(strlen(a.signature), sizeof(a.signature) - 1);
        a = symptom_make(&service, SYMPTOM_CRASHED, name, 0);
        assert_int_equal(strlen(a.signature), sizeof(a.signature) - 1);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_copy),
                cmocka_unit_test(test_detail),
                cmocka_unit_test(test_signature),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
