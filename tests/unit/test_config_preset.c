/* Tests of config/preset.c, with presets of their own; those that are shipped are in test_presets.c. */
#include "base/text.h"
#include "config_tree.h"

#define PRESET                                                                                               \
        "description = \"A server\";\n"                                                                      \
        "present = [ \"/nowhere\", \"/\" ];\n"                                                               \
        "where = { spool = [ \"/nowhere/spool\", \"%s/spool\" ]; };\n"                                       \
        "service = { unit = \"x.service\"; stop_timeout = \"7s\"; stall = { after = \"3min\"; };\n"          \
        "  probes = ( { type = \"tcp\"; address = \"127.0.0.1:25\"; } );\n"                                  \
        "  stores = ( { name = \"a\"; dirs = [ \"${spool}/a\" ]; queue_lifetime = \"2d\"; },\n"              \
        "             { name = \"b\"; dirs = [ \"${spool}/b\" ]; } );%s };\n"

/* Writes preset x, with @more in it, and the configuration of service @keys. */
static void configure(Tree *t, const char *more, const char *keys)
{
        _cleanup_(freep) char *preset = NULL, *config = NULL, *dir = tree_path(t, "presets");

        assert_true(mkdir(dir, 0755) == 0 || errno == EEXIST);
        assert_true(asprintf(&preset, PRESET, t->root, more) > 0);
        tree_write(t, "presets/x.conf", preset);
        assert_true(asprintf(&config, "services = (\n{ name = \"s\"; preset = \"x\";\n%s } );\n", keys) > 0);
        tree_write(t, "unjamd.conf", config);
}

static void test_merged(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *a = tree_path(t, "spool/a"), *d = tree_path(t, "spool/d"), *keys = NULL;
        const ServiceSettings *service;

        configure(t, "", "");
        s = tree_load(t, 0, NULL);
        service = &s->services[0];
        assert_string_equal(service->name, "s");
        assert_string_equal(service->units[0], "x.service");
        assert_int_equal(service->stop_timeout, 7 * USEC_PER_SEC);
        assert_int_equal(service->start_timeout, 30 * USEC_PER_SEC);
        assert_int_equal(service->n_stores, 2);
        assert_string_equal(service->stores[0].dirs[0], a);
        s = settings_unref(s);

        assert_true(asprintf(&keys,
                             "units = [ \"y.service\", \"z.service\" ]; stall = { ignore = [ \"x\" ]; };\n"
                             "stores = ( { name = \"a\"; dirs = [ \"%s\" ]; } ); probes = ( ); },\n"
                             "{ name = \"plain\"; manager = \"embedded\"; command = [ \"/bin/true\" ];",
                             d) > 0);
        configure(t, "", keys);
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->n_services, 2);
        assert_string_equal(s->services[1].name, "plain");
        service = &s->services[0];
        assert_int_equal(strv_length(service->units), 2);
        assert_int_equal(service->n_probes, 0);
        assert_int_equal(service->stall.after, 3 * USEC_PER_MIN);
        assert_string_equal(service->stall.ignore[0], "x");
        assert_int_equal(service->n_stores, 2);
        assert_string_equal(service->stores[0].dirs[0], d);
        assert_int_equal(service->stores[0].queue_lifetime, 2 * USEC_PER_DAY);
}

/* Of another manager, the preset's unit means nothing. */
static void test_manager(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;

        configure(t, "", "manager = \"embedded\"; command = [ \"/bin/true\" ];");
        s = tree_load(t, 0, NULL);
        assert_null(s->services[0].units);
        assert_int_equal(s->services[0].n_stores, 2);
}

static void test_where(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *keys = NULL;

        tree_mkdir(t, "imc/a");
        tree_mkdir(t, "imc/b");
        assert_true(asprintf(&keys, "where = { spool = \"%s/imc\"; };", t->root) > 0);
        configure(t, "", keys);
        s = tree_load(t, 0, NULL);
        assert_non_null(strstr(s->services[0].stores[1].dirs[0], "/imc/b"));
}

/* The one fault of the configuration is in @file at @line. */
static void expect_fault(Tree *t, const char *file, unsigned line, const char *part)
{
        _cleanup_(freep) char *path = tree_path(t, file);
        ConfigFaults faults = {};
        Settings *s = NULL;

        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        faults_print(&faults);
        assert_int_equal(faults.n, 1);
        assert_string_equal(faults.list[0].file, path);
        assert_int_equal(faults.list[0].line, line);
        assert_non_null(strstr(faults.list[0].what, part));
        assert_non_null(strstr(faults.list[0].what, "; "));
        config_faults_deinit(&faults);
}

static void test_faults(void **state)
{
        Tree *t = *state;

        configure(t, "\n stop_timout = \"1s\";", "");
        expect_fault(t, "presets/x.conf", 8, "stop_timout: unknown key; write stop_timeout");
        configure(t, "\n start_timeout = \"soon\";", "start_timeout = \"1s\";");
        settings_unref(tree_load(t, 0, NULL));
        configure(t, "", "start_timeout = \"soon\";");
        expect_fault(t, "unjamd.conf", 3, "start_timeout: \"soon\" is no time");
        configure(t, "\n leftovers = ( { exe = \"/usr/${hom}\"; } );", "");
        expect_fault(t, "presets/x.conf", 8, "${hom}: is no name of `where`");
}

static void test_unknown(void **state)
{
        Tree *t = *state;

        tree_write(t, "unjamd.conf",
                   "services = ( { name = \"s\"; unit = \"x.service\";\n preset = \"no-such\"; } );");
        tree_fault(t, 0, NULL, 2, "preset: there is none of the name \"no-such\"");
        tree_write(t, "unjamd.conf",
                   "services = ( { name = \"s\"; unit = \"x.service\";\n preset = \"../x\"; } );");
        tree_fault(t, 0, NULL, 2, "preset: is no name");
        tree_write(t, "unjamd.conf", "services = ( { name = \"s\"; unit = \"x.service\";\n preset = 1; } );");
        tree_fault(t, 0, NULL, 2, "preset: is no name");
        tree_write(t, "unjamd.conf",
                   "services = ( { name = \"s\"; unit = \"x.service\";\n where = { a = \"/a\"; }; } );");
        tree_fault(t, 0, NULL, 2, "where: is for the places of a preset");
        configure(t, "", "where = { spol = \"/x\"; };");
        expect_fault(t, "unjamd.conf", 3, "spol: the preset has no such place");
}

static void test_broken_file(void **state)
{
        Tree *t = *state;
        ConfigFaults faults = {};
        Settings *s = NULL;

        tree_mkdir(t, "presets");
        tree_write(t, "presets/x.conf", "description = ;");
        tree_write(t, "unjamd.conf",
                   "services = ( { name = \"s\"; preset = \"x\"; unit = \"x.service\"; } );");
        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        assert_int_equal(faults.n, 1);
        assert_non_null(strstr(faults.list[0].file, "presets/x.conf"));
        assert_non_null(strstr(faults.list[0].what, "write KEY = VALUE;"));
        config_faults_deinit(&faults);
}

static void test_info(void **state)
{
        Tree *t = *state;
        _cleanup_(strv_freep) char **names = NULL;
        ConfigFaults faults = {};
        PresetInfo info = {};

        configure(t, "", "");
        assert_int_equal(config_preset_names(t->file, &names), 0);
        assert_true(strv_contains(names, "x"));
        assert_int_equal(config_preset(t->file, "no-such", &info, &faults), CONFIG_E_NO_PRESET);
        assert_int_equal(config_preset(t->file, "../unjamd", &info, &faults), CONFIG_E_NO_PRESET);
        assert_int_equal(config_preset(t->file, "x", &info, &faults), 0);
        assert_string_equal(info.name, "x");
        assert_string_equal(info.description, "A server");
        assert_true(info.present);
        assert_string_equal(info.where[0], "spool");
        assert_non_null(strstr(info.where[1], t->root));
        assert_null(info.where[2]);
        preset_info_deinit(&info);
        preset_info_deinit(&info);
        assert_int_equal(faults.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_merged, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_manager, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_where, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_faults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_unknown, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_broken_file, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_info, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
