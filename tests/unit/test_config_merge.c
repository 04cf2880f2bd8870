/* Tests of config/merge.c: two texts in, one out. */
#include "config_tree.h"

#include "config/merge.h"

static const ConfigChecks none;

typedef struct Bed {
        config_t base, over, out;
        ConfigFaults faults;
        Loader l;
} Bed;

static void parse(config_t *c, const char *text, const char *name)
{
        config_init(c);
        if (config_read_string(c, text) != CONFIG_TRUE)
                fail_msg("%d: %s", config_error_line(c), config_error_text(c));
        config_setting_set_hook(config_root_setting(c), (void *)name);
}

/* @base copied with @where, and @over laid over it. */
static config_setting_t *merge(Bed *b, const char *base, const char *over, const Where *where)
{
        config_setting_t *group;

        *b = (Bed){};
        b->l = (Loader){ .faults = &b->faults, .checks = &none };
        parse(&b->base, base, "base");
        parse(&b->over, over, "over");
        config_init(&b->out);
        merge_copy(&b->l, config_root_setting(&b->out), config_lookup(&b->base, "s"), where);
        group = config_lookup(&b->out, "s");
        assert_non_null(group);
        merge_over(&b->l, group, config_lookup(&b->over, "s"));
        assert_int_equal(b->l.error, 0);
        return group;
}

static void bed_close(Bed *b)
{
        config_destroy(&b->base);
        config_destroy(&b->over);
        config_destroy(&b->out);
        config_faults_deinit(&b->faults);
}

static const char *text(const Bed *b, const char *path)
{
        const char *s = NULL;

        assert_true(config_lookup_string(&b->out, path, &s));
        return s;
}

static void test_rules(void **state)
{
        Bed b;
        const config_setting_t *s;

        (void)state;
        merge(&b,
              "s = { a = 1; b = \"base\"; g = { x = \"1\"; y = \"2\"; };\n"
              "words = [ \"one\", \"two\" ];\n"
              "stores = ( { name = \"in\"; n = 1;\n dirs = [ \"/a\" ]; }, { name = \"out\"; n = 2; } );\n"
              "probes = ( { t = \"p\"; } ); events = ( { name = \"e\"; } ); };",
              "s = { b = \"over\";\n g = { y = \"3\"; };\n words = [ \"three\" ];\n"
              "stores = ( { name = \"more\"; }, { name = \"out\";\n n = 9; x = true; }, { name = \"out\"; } "
              ");\n"
              "probes = ( { t = \"q\"; }, { t = \"r\"; } ); events = ( ); };",
              NULL);
        assert_int_equal(b.faults.n, 0);
        assert_string_equal(text(&b, "s.b"), "over");
        assert_string_equal(text(&b, "s.g.x"), "1");
        assert_string_equal(text(&b, "s.g.y"), "3");
        assert_int_equal(config_setting_length(config_lookup(&b.out, "s.words")), 1);
        assert_int_equal(config_setting_length(config_lookup(&b.out, "s.probes")), 2);
        assert_int_equal(config_setting_length(config_lookup(&b.out, "s.events")), 0);
        s = config_lookup(&b.out, "s.stores");
        /* One of a name is gone over once: what was written twice is there twice. */
        assert_int_equal(config_setting_length(s), 4);
        assert_string_equal(text(&b, "s.stores.[0].name"), "in");
        assert_string_equal(text(&b, "s.stores.[1].name"), "out");
        assert_string_equal(text(&b, "s.stores.[2].name"), "more");
        assert_string_equal(text(&b, "s.stores.[3].name"), "out");
        assert_int_equal(config_setting_get_int(config_lookup(&b.out, "s.stores.[1].n")), 9);

        /* Where it was written. */
        s = config_lookup(&b.out, "s.stores.[0].dirs.[0]");
        assert_string_equal(setting_file(s), "base");
        assert_int_equal(setting_line(s), 4);
        s = config_lookup(&b.out, "s.stores.[1].n");
        assert_string_equal(setting_file(s), "over");
        assert_int_equal(setting_line(s), 5);
        s = config_lookup(&b.out, "s.stores.[1]");
        assert_string_equal(setting_file(s), "over");
        bed_close(&b);
}

static void test_kinds(void **state)
{
        Bed b;
        double f = 0;
        long long n = 0;
        int flag = 0;

        (void)state;
        merge(&b, "s = { f = 1.5; n = 5000000000L; t = true; e = \"\"; l = ( ( \"x\" ), [ 1, 2 ] ); };",
              "s = { };", NULL);
        assert_true(config_lookup_float(&b.out, "s.f", &f) && f > 1.4 && f < 1.6);
        assert_true(config_lookup_int64(&b.out, "s.n", &n) && n == 5000000000);
        assert_true(config_lookup_bool(&b.out, "s.t", &flag) && flag);
        assert_string_equal(text(&b, "s.e"), "");
        assert_string_equal(text(&b, "s.l.[0].[0]"), "x");
        assert_int_equal(config_setting_get_int(config_lookup(&b.out, "s.l.[1].[1]")), 2);
        bed_close(&b);
}

static void test_names(void **state)
{
        Place places[] = { { .name = (char *)"spool", .value = (char *)"/var/x" },
                           { .name = (char *)"n", .value = (char *)"" } };
        const Where where = { .places = places, .n = 2 };
        Bed b;

        (void)state;
        merge(&b,
              "s = { a = \"${spool}/in\"; b = [ \"$\", \"${n}x${spool}${spool}\", \"a$\" ];\n c = "
              "\"${spol}/x\"; d = \"${\"; };",
              "s = { e = \"${spool}\"; };", &where);
        assert_string_equal(text(&b, "s.a"), "/var/x/in");
        assert_string_equal(text(&b, "s.b.[0]"), "$");
        assert_string_equal(text(&b, "s.b.[1]"), "x/var/x/var/x");
        assert_string_equal(text(&b, "s.b.[2]"), "a$");
        assert_string_equal(text(&b, "s.d"), "${");
        /* What an administrator writes is taken as it is. */
        assert_string_equal(text(&b, "s.e"), "${spool}");
        assert_int_equal(b.faults.n, 1);
        assert_int_equal(b.faults.list[0].line, 2);
        assert_string_equal(b.faults.list[0].file, "base");
        assert_non_null(strstr(b.faults.list[0].what, "${spol}: is no name"));
        bed_close(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
