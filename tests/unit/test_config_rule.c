/* Tests of config/rule.c and, for the faults of both in one file, of config/probe.c. */
#include "config_tree.h"

#include "base/text.h"

static void test_faults(void **state)
{
        tree_expect(*state, "faults/rules.conf.in");
}

static void test_events(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const RuleSettings *r;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->services[0].n_rules, 3);
        r = s->services[0].rules;
        assert_string_equal(r[0].name, "a");
        assert_int_equal(r[0].source, RULE_SOURCE_JOURNAL);
        assert_string_equal(r[0].field, "EVENT_ID");
        assert_string_equal(r[0].equals, "4037");
        assert_null(r[0].match);
        assert_int_equal(r[0].count, 2);
        assert_int_equal(r[0].within, 90 * USEC_PER_MIN);
        assert_int_equal(r[0].symptom, SYMPTOM_STALLED);
        assert_null(r[1].field);
        assert_string_equal(r[1].match, "^panic: (?<what>.*)");
        assert_int_equal(r[1].count, 1);
        assert_int_equal(r[1].within, USEC_PER_MIN);
        assert_int_equal(r[1].symptom, SYMPTOM_EVENT);
        assert_int_equal(r[2].source, RULE_SOURCE_FILE);
        assert_string_equal(r[2].path, "/var/log/mail.log");
        assert_string_equal(r[2].match, "(?<id>\\w+) by (?<pid>\\d+)");
        assert_string_equal(r[2].unless, "fine");
        assert_true(strv_contains(r[2].captures, "id") && strv_contains(r[2].captures, "pid"));
}

static void test_causes(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const CauseSettings *c;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->services[0].n_causes, 3);
        c = s->services[0].causes;
        assert_int_equal(c[0].cause, CAUSE_DISK_FULL);
        assert_string_equal(c[0].command[0], "/bin/df");
        assert_string_equal(c[0].match, "[0-9]");
        assert_int_equal(c[0].timeout, USEC_PER_SEC);
        assert_int_equal(c[0].effect, EFFECT_REMEDY);
        assert_string_equal(c[0].advice, "make room");
        assert_int_equal(c[1].effect, EFFECT_VETO);
        assert_int_equal(c[1].timeout, 10 * USEC_PER_SEC);
        assert_null(c[1].match);
        assert_int_equal(c[2].effect, EFFECT_NOTE);
}

static void test_windows_and_leftovers(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        const ServiceSettings *sys;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        sys = &s->services[0];
        assert_int_equal(sys->n_crash_windows, 1);
        assert_int_equal(sys->crash_windows[0].count, 2);
        assert_int_equal(sys->crash_windows[0].within, 90 * USEC_PER_SEC);
        assert_int_equal(sys->n_leftovers, 3);
        assert_string_equal(sys->leftovers[0].exe, "/usr/lib/x");
        assert_int_equal(sys->leftovers[0].uid, 7);
        assert_false(sys->leftovers[0].any_uid);
        assert_int_equal(sys->leftovers[1].uid, 0);
        assert_false(sys->leftovers[1].any_uid);
        assert_true(sys->leftovers[2].any_uid);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_faults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_events, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_causes, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_windows_and_leftovers, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
