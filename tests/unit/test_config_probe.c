/* Tests of config/probe.c; its faults are in test_config_rule.c. */
#include "config_tree.h"

static void test_probes(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const ProbeSettings *p;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->services[0].n_probes, 9);
        p = s->services[0].probes;
        assert_int_equal(p[0].kind, PROBE_SMTP);
        assert_string_equal(p[0].address, "127.0.0.1:25");
        assert_int_equal(p[0].interval, USEC_PER_SEC);
        assert_int_equal(p[0].timeout, 2 * USEC_PER_SEC);
        assert_int_equal(p[0].failures, 4);
        assert_int_equal(p[0].slow, 3 * USEC_PER_SEC);
        assert_int_equal(p[1].kind, PROBE_TCP);
        assert_string_equal(p[1].address, "[::1]:2525");
        assert_int_equal(p[1].interval, 15 * USEC_PER_SEC);
        assert_int_equal(p[1].timeout, 5 * USEC_PER_SEC);
        assert_int_equal(p[1].failures, 3);
        assert_int_equal(p[1].slow, 0);
        assert_int_equal(p[2].kind, PROBE_EXEC);
        assert_string_equal(p[2].command[0], "true");
        assert_string_equal(p[2].command[1], ""); /* an argument may be empty */
        assert_null(p[2].command[2]);
        assert_null(p[2].address);
        assert_int_equal(p[3].kind, PROBE_LMTP);
        assert_string_equal(p[3].path, "/run/dovecot/lmtp");
        assert_null(p[3].address);
        assert_int_equal(p[4].kind, PROBE_SMTP);
        assert_string_equal(p[4].path, "/run/smtp");
        assert_int_equal(p[5].kind, PROBE_UNIX);
        assert_int_equal(p[6].kind, PROBE_HEARTBEAT);
        assert_string_equal(p[6].path, "/run/alive");
        assert_int_equal(p[7].kind, PROBE_HEARTBEAT);
        assert_null(p[7].path);
        assert_int_equal(p[8].kind, PROBE_CANARY);
        assert_string_equal(p[8].submit[1], "-i");
        assert_string_equal(p[8].arrives, "/var/mail/canary");
        assert_int_equal(p[8].within, 7 * USEC_PER_SEC);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_probes, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
