/* Tests of config/state.c. */
#include "base/text.h"
#include "config_tree.h"

static void test_faults(void **state)
{
        tree_expect(*state, "faults/state.conf.in");
}

static void test_read(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *trigger = tree_path(t, "spool/trigger"), *index = tree_path(t, "spool/index");
        const StoreSettings *one;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        one = &s->services[0].stores[0];
        assert_int_equal(one->n_rebuild, 1);
        assert_string_equal(one->rebuild[0].path, index);
        assert_int_equal(one->n_recreate, 2);
        assert_string_equal(one->recreate[0].path, trigger);
        assert_int_equal(one->recreate[0].kind, FILE_FIFO);
        assert_int_equal(one->recreate[0].mode, 0622);
        assert_int_equal(one->recreate[0].uid, 0);
        assert_int_equal(one->recreate[0].gid, 8);
        assert_string_equal(one->recreate[1].path, "/run/x");
        assert_int_equal(one->recreate[1].kind, FILE_DIRECTORY);
        assert_int_equal(one->recreate[1].mode, 02770);
        assert_int_equal(one->recreate[1].uid, 65534);
        assert_int_equal(one->n_locks, 2);
        assert_string_equal(one->locks[0].pid, "[|](?<pid>[0-9]+)[|]");
        assert_string_equal(one->locks[1].path, "/run/x.lock");
        assert_null(one->locks[1].pid);
}

/* A server without a queue has state all the same; and where it is only read, its users need not be here. */
static void test_no_messages(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;

        tree_write(
                t, "unjamd.conf",
                "services = ( { name = \"a\"; unit = \"x\"; stores = ( { name = \"s\"; dirs = [ ];\n"
                "recreate = ( { path = \"/x\"; kind = \"file\"; mode = \"0600\"; owner = \"no-such-user\"; "
                "group = \"no-such-group\"; } ); } ); } );");
        s = tree_load(t, CONFIG_READ_ONLY, NULL);
        assert_non_null(s->services[0].stores[0].dirs);
        assert_null(s->services[0].stores[0].dirs[0]);
        assert_int_equal(s->services[0].stores[0].recreate[0].kind, FILE_REGULAR);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_faults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_read, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_no_messages, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
