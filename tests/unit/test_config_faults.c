/* Tests of config/faults.c. */
#include "base/cleanup.h"
#include "base/text.h"
#include "config/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_one_line_of_text(void **state)
{
        ConfigFaults f = {};
        _cleanup_(freep) char *text = NULL, *huge = malloc(100000);

        (void)state;
        assert_int_equal(config_faults_add(&f, "/a\xff", 7, "x\ny\x7f\xff"), 0);
        text = config_fault_format(&f.list[0]);
        assert_string_equal(text, "/a\xEF\xBF\xBD:7: x?y?\xEF\xBF\xBD");
        memset(huge, 'x', 99999);
        huge[99999] = '\0';
        assert_int_equal(config_faults_add(&f, "/a", 8, huge), 0);
        assert_true(strlen(f.list[1].what) < 4096);
        config_faults_deinit(&f);
        assert_int_equal(f.n, 0);
        config_faults_deinit(&f);
}

static void test_sorted_by_place(void **state)
{
        static const struct {
                const char *file;
                unsigned line;
                const char *what;
        } in[] = { { "/z", 5, "c" }, { "/a", 9, "f" }, { "/z", 1, "a" },
                   { "/a", 2, "e" }, { "/z", 5, "d" }, { "/z", 4, "b" } };
        ConfigFaults f = {};
        char order[ELEMENTSOF(in) + 1] = {};

        (void)state;
        assert_int_equal(config_faults_sort(&f), 0);
        for (size_t i = 0; i < ELEMENTSOF(in); i++)
                assert_int_equal(config_faults_add(&f, in[i].file, in[i].line, in[i].what), 0);
        assert_int_equal(config_faults_sort(&f), 0);
        for (size_t i = 0; i < f.n; i++)
                order[i] = f.list[i].what[0];
        /* Files as they first came, lines upwards, what is at one place as it came. */
        assert_string_equal(order, "abcdef");
        config_faults_deinit(&f);
}

static void test_many(void **state)
{
        ConfigFaults f = {};

        (void)state;
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(config_faults_add(&f, "/a", 1000 - i, "x"), 0);
        assert_int_equal(config_faults_sort(&f), 0);
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(f.list[i].line, i + 1);
        config_faults_deinit(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_line_of_text),
                cmocka_unit_test(test_sorted_by_place),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
