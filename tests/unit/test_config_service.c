/* Tests of config/service.c. */
#include "base/text.h"
#include "config_tree.h"

static void test_faults(void **state)
{
        tree_expect(*state, "faults/service.conf.in");
}

static void test_systemd(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const ServiceSettings *sys;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        sys = settings_find(s, "sys");
        assert_non_null(sys);
        assert_int_equal(sys->manager, MANAGER_SYSTEMD);
        assert_int_equal(strv_length(sys->units), 2);
        assert_string_equal(sys->units[0], "postfix@-.service");
        assert_string_equal(sys->units[1], "opendkim.service");
        assert_true(sys->sole_supervisor);
        assert_true(sys->core);
        assert_int_equal(sys->start_timeout, 500 * USEC_PER_MSEC);
        assert_int_equal(sys->stop_timeout, 5 * USEC_PER_MIN);
        assert_int_equal(sys->kill_timeout, 2 * USEC_PER_HOUR);
        assert_true(sys->stall.enabled);
        assert_int_equal(sys->stall.after, 3 * USEC_PER_MIN);
        assert_string_equal(sys->stall.ignore[0], "deferred/*");
        assert_string_equal(sys->stall.ignore[1], "x");
        assert_int_equal(sys->limits.cpu, 90);
        assert_int_equal(sys->limits.memory, UINT64_C(1) << 30);
        assert_int_equal(sys->limits.descriptors, 900);
        assert_int_equal(sys->limits.lasting, 2 * USEC_PER_MIN);
        assert_int_equal(sys->recovery.restarts, 0);
        assert_int_equal(sys->recovery.max_per_hour, 7);
        assert_int_equal(sys->recovery.max_trials, 9);
        assert_true(sys->recovery.confidence == 0.999);
        assert_true(sys->recovery.arrival);
        assert_int_equal(sys->recovery.arrival_per_day, 3);
        assert_int_equal(sys->recovery.max_time, USEC_PER_HOUR);
        assert_int_equal(sys->recovery.settle, 100 * USEC_PER_MSEC);
        assert_int_equal(sys->recovery.verify, USEC_PER_SEC);
        assert_int_equal(sys->observe_only, REASON_NONE);
}

static void test_embedded_and_command(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const ServiceSettings *own, *cmd;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        own = settings_find(s, "own");
        cmd = settings_find(s, "cmd");
        assert_int_equal(own->manager, MANAGER_EMBEDDED);
        assert_string_equal(own->command[0], "/bin/imcd");
        assert_string_equal(own->command[1], "-f");
        assert_string_equal(own->user, "nobody");
        assert_string_equal(own->directory, "/");
        assert_int_equal(strv_length(own->environment), 2);
        assert_string_equal(own->environment[0], "A=b");
        assert_false(own->stall.enabled);
        assert_int_equal(cmd->manager, MANAGER_COMMAND);
        assert_string_equal(cmd->start[0], "s");
        assert_string_equal(cmd->stop[0], "t");
        assert_string_equal(cmd->status[0], "u");
        assert_string_equal(cmd->pidfile, "/run/x.pid");
}

static void test_defaults(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const ServiceSettings *x;

        tree_write(t, "unjamd.conf", "services = ( { name = \"x\"; unit = [ \"a.b\" ]; } );");
        s = tree_load(t, 0, NULL);
        x = &s->services[0];
        assert_int_equal(x->mode, MODE_OBSERVE);
        assert_int_equal(x->manager, MANAGER_SYSTEMD);
        assert_string_equal(x->units[0], "a.b.service");
        assert_false(x->sole_supervisor);
        assert_false(x->core);
        assert_int_equal(x->start_timeout, 30 * USEC_PER_SEC);
        assert_int_equal(x->stop_timeout, 20 * USEC_PER_SEC);
        assert_int_equal(x->kill_timeout, 10 * USEC_PER_SEC);
        assert_false(x->stall.enabled); /* nothing to watch */
        assert_int_equal(x->stall.after, 10 * USEC_PER_MIN);
        assert_int_equal(x->n_crash_windows, 3);
        assert_int_equal(x->crash_windows[0].count, 3);
        assert_int_equal(x->crash_windows[0].within, 2 * USEC_PER_MIN);
        assert_int_equal(x->crash_windows[2].count, 8);
        assert_int_equal(x->crash_windows[2].within, 24 * USEC_PER_HOUR);
        assert_int_equal(x->recovery.restarts, 1);
        assert_int_equal(x->recovery.max_per_hour, 3);
        assert_int_equal(x->recovery.max_trials, 128);
        assert_true(x->recovery.confidence == 0.99);
        assert_false(x->recovery.arrival);
        assert_int_equal(x->recovery.arrival_per_day, 10);
        assert_int_equal(x->recovery.max_time, 30 * USEC_PER_MIN);
        assert_int_equal(x->recovery.settle, 5 * USEC_PER_SEC);
        assert_int_equal(x->recovery.verify, 60 * USEC_PER_SEC);
        assert_int_equal(x->n_probes + x->n_rules + x->n_causes + x->n_stores + x->n_leftovers, 0);
}

static void test_stall_is_on_with_stores(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *text = NULL;

        assert_true(asprintf(&text,
                             "services = ( { name = \"x\"; unit = \"x\"; crash_windows = ( );\n"
                             "stores = ( { name = \"s\"; dirs = [ \"%s/spool/a\" ]; } ); } );",
                             t->root) > 0);
        tree_write(t, "unjamd.conf", text);
        s = tree_load(t, 0, NULL);
        assert_true(s->services[0].stall.enabled);
        assert_int_equal(s->services[0].n_crash_windows, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_faults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_systemd, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_embedded_and_command, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_defaults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_stall_is_on_with_stores, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
