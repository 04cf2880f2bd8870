/* Tests of config/store.c. */
#include "base/text.h"
#include "config_tree.h"

static void test_faults(void **state)
{
        tree_expect(*state, "faults/store.conf.in");
}

static void test_stores(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *a = tree_path(t, "spool/a"), *b = tree_path(t, "spool/b"),
                              *hold = tree_path(t, "spool/.unjam"), *dat = tree_path(t, "spool/queue.dat"),
                              *index = tree_path(t, "spool/index");
        const StoreSettings *one, *two;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->services[0].n_stores, 2);
        one = &s->services[0].stores[0];
        two = &s->services[0].stores[1];
        assert_string_equal(one->name, "one");
        assert_int_equal(strv_length(one->dirs), 2);
        assert_string_equal(one->dirs[0], a);
        assert_string_equal(one->dirs[1], b);
        assert_string_equal(one->exclude[0], "*.lock");
        assert_false(one->layout.flat);
        assert_string_equal(one->layout.match, "^(?<id>[^/]+)-[HDJ]$");
        assert_string_equal(one->layout.last, "-H$");
        assert_true(one->layout.live_return);
        assert_false(one->layout.directory);
        assert_string_equal(one->hold, hold);
        assert_int_equal(strv_length(one->rebuildable), 2);
        assert_string_equal(one->rebuildable[0], dat);
        assert_int_equal(one->n_rebuild, 1);
        assert_string_equal(one->rebuild[0].path, index);
        assert_string_equal(one->rebuild[0].command[1], "-x");
        assert_string_equal(one->after_release[0], "/bin/flush");
        assert_int_equal(one->queue_lifetime, 2 * USEC_PER_DAY);
        assert_true(one->quarantine_native);
        assert_string_equal(one->native.hold[1], "-h");
        assert_string_equal(one->native.release[2], "%i");
        assert_string_equal(one->native.remove[1], "-d%i");
        assert_int_equal(strv_length(one->native.dirs), 1);
        assert_int_equal(one->native.timeout, 5 * USEC_PER_SEC);
        assert_false(two->quarantine_native);
        assert_null(two->native.dirs);
        assert_int_equal(two->native.timeout, 30 * USEC_PER_SEC);
        assert_true(two->layout.directory);
        assert_false(two->layout.flat);
        assert_null(two->layout.match);
        assert_int_equal(two->queue_lifetime, 5 * USEC_PER_DAY);
        assert_null(two->rebuildable);
        assert_null(two->exclude);
        assert_true(s->services[1].stores[0].layout.flat);
        assert_false(s->services[1].stores[0].layout.live_return);
}

static void test_too_many(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *text = calloc(256, 64);
        char *o = stpcpy(text, "services = ( { name = \"x\"; unit = \"x\";\nstores = (");

        /* Read only: their directories need not be there. */
        for (unsigned i = 0; i < 256; i++)
                o += sprintf(o, "%s{ name = \"s%u\"; dirs = [ \"/nowhere/%u\" ]; }", i ? "," : "", i, i);
        stpcpy(o, "); } );");
        tree_write(t, "unjamd.conf", text);
        tree_fault(t, CONFIG_READ_ONLY, NULL, 2, "stores: are 256; write at most 255");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_faults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_stores, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_too_many, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
