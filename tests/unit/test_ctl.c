/* Tests of ctl/ctl.c and main.c: options, verbs, exit codes, and what happens without a daemon or a
 * configuration. */
#include "ctl_helper.h"

static void test_wrong_usage(void **state)
{
        World *w = *state;

        expect_run(w, 2, "--json");
        expect_text(w->errors, "a verb is missing");
        expect_run(w, 2, "statsu");
        expect_text(w->errors, "write status");
        expect_run(w, 2, "status", "a", "b");
        expect_text(w->errors, "usage: unjamctl status [SERVICE]");
        expect_run(w, 2, "incident");
        expect_text(w->errors, "usage: unjamctl incident list");
        expect_text(w->errors, "usage: unjamctl incident show");
        expect_run(w, 2, "incident", "lits");
        expect_run(w, 2, "pause");
        expect_run(w, 2, "--frobnicate", "status");
        expect_run(w, 2, "status", "--all");
        expect_text(w->errors, "no such option");
        expect_run(w, 2, "pause", "imc", "--for", "soon");
        expect_text(w->errors, "write 30min");
        expect_run(w, 2, "pause", "imc", "--for", "0s");
        expect_run(w, 2, "audit", "tail", "-n", "-1");
        expect_run(w, 2, "audit", "tail", "-n", "ten");
        assert_string_equal(w->text, "");
}

static void test_help_and_version(void **state)
{
        static const char *const verbs[] = { "status",
                                             "watch",
                                             "incident list",
                                             "incident show",
                                             "explain",
                                             "quarantine list",
                                             "quarantine show",
                                             "quarantine release",
                                             "quarantine delete",
                                             "pause",
                                             "resume",
                                             "recover",
                                             "restore",
                                             "check",
                                             "audit tail",
                                             "audit show",
                                             "audit verify",
                                             "reload" };
        World *w = *state;

        expect_run(w, 0, "--help");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                expect_text(w->text, verbs[i]);
        expect_run(w, 0, "--version");
        expect_text(w->text, "unjamctl " UNJAM_VERSION);
}

static void test_no_daemon(void **state)
{
        static const char *const verbs[] = { "status", "watch", "reload" };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                expect_run(w, 3, verbs[i]);
                expect_text(w->errors, "is it running?");
        }
        expect_run(w, 3, "explain", "imc");
        expect_run(w, 3, "pause", "imc");
}

static void test_a_bad_configuration_is_told(void **state)
{
        World *w = *state;

        world_file(w, "unjamd.conf", "mode = \"perhaps\";\n");
        expect_run(w, 1, "audit", "verify");
        expect_text(w->errors, "unjamd.conf:1:");
}

static void test_colour_only_on_a_terminal(void **state)
{
        World *w = *state;

        world_incidents(w);
        expect_run(w, 0, "incident", "show", "last");
        expect_no_text(w->text, "\033");
        expect_run(w, 0, "incident", "list");
        expect_no_text(w->text, "\033");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_wrong_usage),
                TEST(test_help_and_version),
                TEST(test_no_daemon),
                TEST(test_a_bad_configuration_is_told),
                TEST(test_colour_only_on_a_terminal),
        };

        return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
