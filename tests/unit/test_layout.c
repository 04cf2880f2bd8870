/* layout - ids of real spools, of hostile names, and of directories */
#include "model/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static Layout *make(LayoutSettings s)
{
        Layout *l = NULL;
        char *error = NULL;

        assert_int_equal(layout_new(&l, &s, &error), 0);
        assert_null(error);
        return l;
}

static void expect_id(const Layout *l, const char *path, const char *id)
{
        size_t len = 0;
        const char *p = NULL;
        int r = layout_match(l, path, strlen(path), &p, &len);

        if (!id) {
                assert_int_equal(r, LAYOUT_E_NONE);
                return;
        }
        assert_int_equal(r, 0);
        assert_int_equal(len, strlen(id));
        assert_memory_equal(p, id, len);
        assert_true(p >= path && p + len <= path + strlen(path));
}

static void test_flat(void **state)
{
        Layout *l = make((LayoutSettings){ .flat = true });

        (void)state;
        expect_id(l, "msg0001", "msg0001");
        expect_id(l, "with\nnewline \xff", "with\nnewline \xff");
        expect_id(l, ".hidden", ".hidden");
        expect_id(l, "sub/msg", NULL);
        expect_id(l, "sub/", NULL);
        expect_id(l, "/", NULL);
        expect_id(l, "", NULL);
        assert_false(layout_is_last(l, "msg0001", 7));
        assert_null(layout_free(l));
}

static void test_exim(void **state)
{
        Layout *l = make(
                (LayoutSettings){ .match = (char *)"^(?:.*/)?(?<id>[^/]+)-[HDJ]$", .last = (char *)"-H$" });

        (void)state;
        expect_id(l, "1abc-0002-Ab-H", "1abc-0002-Ab");
        expect_id(l, "a/1abc-0002-Ab-D", "1abc-0002-Ab");
        expect_id(l, "1abc-0002-Ab-X", NULL);
        expect_id(l, "bad\nname-H", "bad\nname");
        expect_id(l, "name-H\n", NULL);
        assert_true(layout_is_last(l, "a/1-H", 5));
        assert_false(layout_is_last(l, "a/1-D", 5));
        assert_false(layout_is_last(l, "1-H\n", 4));
        layout_free(l);
}

static void test_sendmail(void **state)
{
        Layout *l = make((LayoutSettings){ .match = (char *)"^(?:q|d)f(?<id>.{14})$|^xf(?<id>.{14})$" });

        (void)state;
        expect_id(l, "qf4AB0123456789x", "4AB0123456789x");
        expect_id(l, "xf4AB0123456789x", "4AB0123456789x");
        expect_id(l, "qf", NULL);
        layout_free(l);
}

static void test_postfix(void **state)
{
        Layout *l = make((LayoutSettings){ .match = (char *)"^(?:[0-9A-Za-z]/)*(?<id>[0-9A-Za-z]{6,})$" });

        (void)state;
        expect_id(l, "A/BC0123456", "BC0123456");
        expect_id(l, "BC0123456", "BC0123456");
        expect_id(l, "A/", NULL);
        layout_free(l);
}

static void test_directory(void **state)
{
        Layout *l = make((LayoutSettings){ .directory = true });

        (void)state;
        expect_id(l, "msg1", "msg1");
        expect_id(l, "msg1/envelope", "msg1");
        expect_id(l, "msg1/a/b", "msg1");
        expect_id(l, "/x", NULL);
        layout_free(l);

        l = make((LayoutSettings){ .directory = true, .match = (char *)"^[0-9a-f]/(?<id>[0-9a-f]{4})$" });
        expect_id(l, "3/00af", "00af");
        expect_id(l, "3/00af/header", "00af");
        expect_id(l, "3/00af/a/b/c", "00af");
        expect_id(l, "3", NULL);
        expect_id(l, "3/xx/header", NULL);
        layout_free(l);

        /* One that names what must follow works as well. */
        l = make((LayoutSettings){ .directory = true, .match = (char *)"^(?<id>[^/]+)/" });
        expect_id(l, "m", NULL);
        expect_id(l, "m/f", "m");
        layout_free(l);
}

static void test_refused(void **state)
{
        static const LayoutSettings wrong[] = {
                {},
                { .match = (char *)"^[^/]+$" },
                { .match = (char *)"^(?<ID>.+)$" },
                { .match = (char *)"(" },
                { .flat = true, .last = (char *)"[" },
        };
        static const char *const says[] = { "layout: ", "match: no group", "match: no group",
                                            "match: ", "last: " };

        (void)state;
        for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
                Layout *l = (Layout *)-1;
                char *error = NULL;

                assert_int_equal(layout_new(&l, wrong + i, &error), -EINVAL);
                assert_ptr_equal(l, (Layout *)-1);
                assert_non_null(error);
                assert_int_equal(strncmp(error, says[i], strlen(says[i])), 0);
                free(error);
                assert_int_equal(layout_new(&l, wrong + i, NULL), -EINVAL);
        }
}

/* A name that stalls the pattern is no message; many of them do not stall the inventory. */
static void test_hostile(void **state)
{
        Layout *l = make((LayoutSettings){ .match = (char *)"^(?<id>(a+)+)-H$" });
        Layout *dirs = make((LayoutSettings){ .directory = true, .match = (char *)"^(?<id>([a/]+)+)-H$" });
        char name[4096];

        (void)state;
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        expect_id(l, name, NULL);
        for (size_t i = 1; i < sizeof(name) - 1; i += 2)
                name[i] = '/';
        expect_id(dirs, name, NULL);
        expect_id(l, "aaa-H", "aaa");
        layout_free(l);
        layout_free(dirs);
        assert_null(layout_free(NULL));
}

static void test_ignored(void **state)
{
        char *patterns[] = { (char *)"deferred", (char *)"*.tmp", (char *)"hold/*", NULL };

        (void)state;
        assert_true(path_is_ignored(patterns, "deferred"));
        assert_true(path_is_ignored(patterns, "deferred/A/ABC"));
        assert_true(path_is_ignored(patterns, "x.tmp"));
        assert_true(path_is_ignored(patterns, "a/x.tmp"));
        assert_true(path_is_ignored(patterns, "hold/q"));
        assert_false(path_is_ignored(patterns, "hold"));
        assert_false(path_is_ignored(patterns, "deferred2"));
        assert_false(path_is_ignored(patterns, "x.tmp2"));
        assert_false(path_is_ignored(NULL, "x"));
}

/* A pattern from / on means one of several directories. */
static void test_ignored_in(void **state)
{
        char *patterns[] = { (char *)"*.tmp", (char *)"/var/q/deferred", NULL };

        (void)state;
        assert_true(path_is_ignored_in(patterns, "/var/q/deferred", "A/ABC"));
        assert_false(path_is_ignored_in(patterns, "/var/q/active", "A/ABC"));
        assert_false(path_is_ignored_in(patterns, "/var/q/deferred2", "ABC"));
        assert_true(path_is_ignored_in(patterns, "/var/q/active", "x.tmp"));
        assert_false(path_is_ignored_in(NULL, "/var/q", "x"));
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_flat),       cmocka_unit_test(test_exim),
                cmocka_unit_test(test_sendmail),   cmocka_unit_test(test_postfix),
                cmocka_unit_test(test_directory),  cmocka_unit_test(test_refused),
                cmocka_unit_test(test_hostile),    cmocka_unit_test(test_ignored),
                cmocka_unit_test(test_ignored_in),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
