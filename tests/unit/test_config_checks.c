/* Tests of config/checks.c. */
#include "config_tree.h"

static void test_names(void **state)
{
        tree_expect(*state, "faults/names.conf.in");
}

static bool knows_imc(void *userdata, const char *unit)
{
        unsigned *asked = userdata;

        (*asked)++;
        return strcmp(unit, "imc.service") == 0;
}

static void test_units_exist(void **state)
{
        Tree *t = *state;
        unsigned asked = 0;
        const ConfigChecks checks = { .userdata = &asked, .unit_exists = knows_imc };

        tree_write(t, "unjamd.conf", "services = (\n{ name = \"a\"; unit = \"imc\"; } );");
        settings_unref(tree_load(t, 0, &checks));
        assert_int_equal(asked, 1);
        tree_write(t, "unjamd.conf", "services = (\n{ name = \"a\"; units = [ \"imc\",\n\"imd\" ]; } );");
        tree_fault(t, 0, &checks, 3, "unit: there is no unit \"imd.service\"; write");
        /* The tool that only reads asks nobody. */
        asked = 0;
        settings_unref(tree_load(t, CONFIG_READ_ONLY, &checks));
        assert_int_equal(asked, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_names, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_units_exist, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
