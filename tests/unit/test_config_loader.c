/* Tests of config/loader.c. */
#include "base/cleanup.h"
#include "config/faults.h"
#include "config/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_near_words(void **state)
{
        static const char *const names[] = { "start_timeout", "stop_timeout", "stop", "unit", "units", NULL };
        char huge[4096];

        (void)state;
        assert_string_equal(word_near("stop_timout", names), "stop_timeout");
        assert_string_equal(word_near("strat_timeout", names), "start_timeout");
        assert_string_equal(word_near("uint", names), "unit");
        assert_string_equal(word_near("Units", names), "units");
        assert_null(word_near("banana", names));
        assert_null(word_near("", names));
        memset(huge, 'u', sizeof(huge) - 1);
        huge[sizeof(huge) - 1] = '\0';
        assert_null(word_near(huge, names));
}

static void test_places(void **state)
{
        static char file[] = "/f.conf";
        ConfigFaults faults = {};
        Loader l = { .faults = &faults };
        const config_setting_t *root, *g;
        config_t c;

        (void)state;
        config_init(&c);
        assert_true(config_read_string(&c, "\ng = {\n k = 1;\n v = [ 1,\n 2 ]; };\n"));
        root = config_root_setting(&c);
        config_setting_set_hook(config_root_setting(&c), file);
        g = config_setting_get_member(root, "g");
        assert_string_equal(setting_file(root), "/f.conf");
        assert_int_equal(setting_line(root), 1);
        assert_string_equal(setting_file(setting_member(g, "k")), "/f.conf");
        assert_int_equal(setting_line(setting_member(g, "k")), 3);
        assert_ptr_equal(setting_member(g, "x"), g);
        assert_int_equal(setting_line(setting_element(g, "v", 1)), 5);
        assert_ptr_equal(setting_element(g, "v", 2), setting_member(g, "v"));
        assert_ptr_equal(setting_element(g, "k", 0), setting_member(g, "k"));
        assert_ptr_equal(setting_element(g, "x", 0), g);

        assert_true(loader_require(&l, g, "k", "k = 1"));
        assert_int_equal(faults.n, 0);
        assert_false(loader_require(&l, g, "x", "x = 1"));
        loader_forbid(&l, g, "y", "is not for this");
        loader_forbid(&l, g, "k", "is not for this");
        assert_int_equal(faults.n, 2);
        assert_string_equal(faults.list[0].what, "x: is missing; write x = 1");
        assert_int_equal(faults.list[0].line, 2);
        assert_string_equal(faults.list[1].what, "k: is not for this; remove it");
        assert_int_equal(faults.list[1].line, 3);

        /* The first error is kept. */
        loader_fail(&l, 0);
        loader_fail(&l, -ENOMEM);
        loader_fail(&l, -EIO);
        assert_int_equal(l.error, -ENOMEM);
        config_faults_deinit(&faults);
        config_destroy(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_near_words),
                cmocka_unit_test(test_places),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
