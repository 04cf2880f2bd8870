/* json - bytes survive the way through a record */
#include "model/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void round_trip(const char *bytes, const char *shown, bool plain)
{
        json_t *j = json_object(), *back;
        char *text, *got = NULL;

        assert_int_equal(json_set_bytes(j, "path", bytes), 0);
        assert_string_equal(json_string_value(json_object_get(j, "path")), shown);
        assert_int_equal(json_object_get(j, "path_b64") == NULL, plain);
        text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        assert_non_null(text);
        back = json_loads(text, 0, NULL);
        assert_non_null(back);
        assert_int_equal(json_get_bytes(back, "path", &got), 0);
        assert_string_equal(got, bytes);
        free(got);
        free(text);
        json_decref(back);
        json_decref(j);
}

static void test_bytes(void **state)
{
        (void)state;
        round_trip("/var/spool/imc/In/a", "/var/spool/imc/In/a", true);
        round_trip("", "", true);
        round_trip("50%25 \n\"\\", "50%25 \n\"\\", true);
        round_trip("\xc3\xa4", "\xc3\xa4", true);
        round_trip("a\xff%\n", "a%FF%25%0A", false);
        round_trip("\xc3", "%C3", false);
}

static void test_refused(void **state)
{
        static const char *const wrong[] = {
                "{}",
                "{\"path\":1}",
                "{\"path\":null}",
                "{\"path\":\"a\",\"path_b64\":1}",
                "{\"path\":\"a\",\"path_b64\":\"***\"}",
                "{\"path\":\"a\",\"path_b64\":\"YQBi\"}", /* a NUL inside */
                "{\"path\":\"a\\u0000b\"}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                json_t *j = json_loads(wrong[i], JSON_ALLOW_NUL, NULL);
                char *got = (char *)-1;

                assert_non_null(j);
                assert_int_equal(json_get_bytes(j, "path", &got), -EINVAL);
                assert_ptr_equal(got, (char *)-1);
                json_decref(j);
        }
}

static void test_text(void **state)
{
        json_t *j = json_object();

        (void)state;
        assert_int_equal(json_set(j, "a", json_from_text("x\xff")), 0);
        assert_string_equal(json_string_value(json_object_get(j, "a")), "x\xef\xbf\xbd");
        assert_int_equal(json_set(j, "b", json_from_text(NULL)), 0);
        assert_true(json_is_null(json_object_get(j, "b")));
        assert_int_equal(json_set(j, "c", NULL), -ENOMEM);
        assert_null(json_object_get(j, "c"));
        json_decref(j);
}

static void test_whole_text(void **state)
{
        json_t *j = json_pack("{s:i, s:[s, n], s:f}", "b", 1, "a", "\xc3\xa9", "c", 0.5);
        char *text = json_text(j, JSON_COMPACT | JSON_SORT_KEYS),
             *same = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

        (void)state;
        assert_string_equal(text, same);
        free(text);
        free(same);
        json_decref(j);
        assert_null(json_text(NULL, 0));
}

static unsigned left;

static void *failing_malloc(size_t size)
{
        return left > 0 ? left--, malloc(size) : NULL;
}

/* jansson writes past its buffer when it cannot grow it: not here. (AddressSanitizer sees it.) */
static void test_reading_without_memory(void **state)
{
        static const char text[] =
                "{\"a key that is longer than what a buffer begins with\":"
                "[\"a string that makes it grow once more, and the quote is the last\",1,2.5,"
                "null,{\"b\":\"\\u00e9 and \\\"\"}]}";
        json_t *j = json_parse(text, strlen(text));
        unsigned failures = 0;

        (void)state;
        assert_int_equal(
                json_array_size(json_object_get(j, "a key that is longer than what a buffer begins with")),
                5);
        json_decref(j);
        json_set_alloc_funcs(failing_malloc, free);
        for (unsigned n = 0;; n++) {
                left = n;
                j = json_parse(text, strlen(text));
                if (j)
                        break;
                assert_int_equal(errno, ENOMEM);
                assert_true(failures++ < 1000);
        }
        assert_true(failures > 10);
        left = 1000;
        json_decref(j);
        json_set_alloc_funcs(malloc, free);
        assert_null(json_parse("{\"a\":1,\"a\":2}", 15));
        assert_int_equal(errno, EINVAL);
        assert_null(json_parse(text, strlen(text) - 1));
        assert_null(json_parse("", 0));
        assert_null(json_parse("[1]x", 4));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reading_without_memory),
                cmocka_unit_test(test_whole_text),
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
