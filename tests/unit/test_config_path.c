/* Tests of config/path.c. */
#include "base/cleanup.h"
#include "config/path.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_normalise(void **state)
{
        static const struct {
                const char *in, *out; /* NULL: refused */
        } cases[] = {
                { "/", "/" },
                { "///", "/" },
                { "/./.", "/" },
                { "/a", "/a" },
                { "//a//b/", "/a/b" },
                { "/a/./b/.", "/a/b" },
                { "/a/.b/..c/d..", "/a/.b/..c/d.." },
                { "/\xff\n", "/\xff\n" },
                { "", NULL },
                { "a/b", NULL },
                { "./a", NULL },
                { "/a/../b", NULL },
                { "/..", NULL },
                { "/a/..", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *out = NULL;

                assert_int_equal(path_normalise(cases[i].in, &out), cases[i].out ? 0 : -EINVAL);
                if (cases[i].out)
                        assert_string_equal(out, cases[i].out);
                else
                        assert_null(out);
        }
}

static void test_inside(void **state)
{
        (void)state;
        assert_true(path_inside("/a", "/a"));
        assert_true(path_inside("/a/b", "/a"));
        assert_true(path_inside("/a", "/"));
        assert_true(path_inside("/", "/"));
        assert_false(path_inside("/", "/a"));
        assert_false(path_inside("/ab", "/a"));
        assert_false(path_inside("/a", "/a/b"));
}

static void test_parent(void **state)
{
        static const char *const cases[][2] = { { "/a/b/c", "/a/b" }, { "/a", "/" }, { "/", "/" } };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *up = path_parent(cases[i][0]);

                assert_string_equal(up, cases[i][1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_normalise),
                cmocka_unit_test(test_inside),
                cmocka_unit_test(test_parent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
