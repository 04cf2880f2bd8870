/* Tests of config/schema.c: keys and types of a group, as the files' top level shows them. */
#include "config_tree.h"

static void test_keys(void **state)
{
        tree_expect(*state, "faults/keys.conf.in");
}

static void test_types(void **state)
{
        tree_expect(*state, "faults/types.conf.in");
}

/* The edges of a range belong to it. */
static void test_ranges(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;

        tree_write(t, "unjamd.conf", "audit = { keep = 100000L; max_size = \"4096\"; };");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->audit_keep, 100000);
        assert_int_equal(s->audit_max_size, 4096);
        tree_write(t, "unjamd.conf", "audit = { keep = 100001; };");
        tree_fault(t, 0, NULL, 1, "keep: 100001 is out of range");
        tree_write(t, "unjamd.conf", "audit = { max_size = \"4095\"; };");
        tree_fault(t, 0, NULL, 1,
                   "max_size: \"4095\" is out of range; write a size from \"4KiB\" to \"1024GiB\"");
        tree_write(t, "unjamd.conf", "audit = { max_size = \"a lot\"; };");
        tree_fault(t, 0, NULL, 1, "max_size: \"a lot\" is no size");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_keys, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_types, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_ranges, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
