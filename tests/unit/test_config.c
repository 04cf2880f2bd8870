/* Tests of config/config.c: files, their merging, defaults; and that conf/unjamd.conf is right and whole. */
#include "config/parts.h"
#include "config_tree.h"

#include <sys/stat.h>

/* libconfig 1.5 loses the string that it was reading when it meets a syntax error: 64 bytes at a refused
 * reload. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:strbuf_append\n";
}

static void test_shipped_file_loads(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        ConfigFaults faults = {};

        (void)t;
        assert_int_equal(config_load(TEST_SOURCE_DIR "/../conf/unjamd.conf", 0, NULL, &s, &faults), 0);
        assert_int_equal(faults.n, 0);
        assert_int_equal(s->n_ref, 1);
        assert_int_equal(s->mode, MODE_OBSERVE);
        assert_string_equal(s->path, TEST_SOURCE_DIR "/../conf/unjamd.conf");
        assert_string_equal(s->state_dir, "/var/lib/unjamd");
        assert_string_equal(s->run_dir, "/run/unjamd");
        assert_string_equal(s->audit_path, "/var/log/unjamd/audit.jsonl");
        assert_int_equal(s->audit_max_size, 64 << 20);
        assert_int_equal(s->audit_keep, 16);
        assert_true(s->audit_journal);
        assert_int_equal(s->log_line_max, 1 << 20);
        assert_string_equal(s->control_group, "adm");
        assert_int_equal(s->n_services, 0);
}

static void check_shown(const char *text, const Key *keys)
{
        for (; keys->name; keys++) {
                _cleanup_(freep) char *assignment = NULL;

                assert_true(asprintf(&assignment, "%s = ", keys->name) > 0);
                if (keys->kind != KEY_LATER && !strstr(text, assignment))
                        fail_msg("conf/unjamd.conf does not show %s", keys->name);
        }
}

static void test_shipped_file_shows_every_key(void **state)
{
        _cleanup_(freep) char *text = file_slurp(TEST_SOURCE_DIR "/../conf/unjamd.conf");
        const Key *const tables[] = { global_keys, audit_keys,        control_keys,  service_keys,
                                      stall_keys,  recovery_keys,     probe_keys,    event_keys,
                                      cause_keys,  crash_window_keys, leftover_keys, store_keys,
                                      layout_keys, rebuild_keys,      recreate_keys, lock_keys,
                                      native_keys, arrival_keys,      limits_keys };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                check_shown(text, tables[i]);
}

/* The defaults that the shipped file shows are those that apply: uncommented, its global part changes
 * nothing. */
static void test_shipped_defaults_are_true(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *text = file_slurp(TEST_SOURCE_DIR "/../conf/unjamd.conf");
        _cleanup_(freep) char *out = calloc(1, strlen(text) + 1);
        _cleanup_(settings_unrefp) Settings *s = NULL;
        char *o = out, *end = strstr(text, "# services = (");
        bool open = false;

        assert_non_null(end);
        *end = '\0';
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                bool key = strncmp(line, "# ", 2) == 0 && strstr(line, " = ");

                if (key || open || strcmp(line, "# };") == 0) {
                        o = stpcpy(stpcpy(o, line + 1), "\n");
                        open = strcmp(line, "# };") != 0 && (open || strstr(line, "= {")) &&
                               !strstr(line, "; };");
                }
        }
        assert_non_null(strstr(out, "max_size"));
        tree_write(t, "unjamd.conf", out);
        s = tree_load(t, CONFIG_READ_ONLY, NULL);
        assert_int_equal(s->mode, MODE_OBSERVE);
        assert_string_equal(s->state_dir, "/var/lib/unjamd");
        assert_string_equal(s->run_dir, "/run/unjamd");
        assert_string_equal(s->audit_path, "/var/log/unjamd/audit.jsonl");
        assert_int_equal(s->audit_max_size, 64 << 20);
        assert_int_equal(s->audit_keep, 16);
        assert_true(s->audit_journal);
        assert_string_equal(s->control_group, "adm");
}

static void test_example_loads(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *in = tree_path(t, "imc/In"), *hold = tree_path(t, "imc/.unjam");
        const ServiceSettings *imc;

        tree_configure(t, "example.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->mode, MODE_ACT);
        imc = settings_find(s, "imc");
        assert_non_null(imc);
        assert_int_equal(imc->mode, MODE_ACT);
        assert_string_equal(imc->units[0], "imc.service");
        assert_null(imc->units[1]);
        assert_int_equal(imc->start_timeout, 30 * USEC_PER_SEC);
        assert_int_equal(imc->n_stores, 2);
        assert_string_equal(imc->stores[0].dirs[0], in);
        assert_string_equal(imc->stores[0].hold, hold);
        assert_string_equal(imc->stores[1].hold, hold);
        assert_true(imc->stores[0].layout.flat);
        assert_true(imc->stall.enabled);
        assert_int_equal(imc->stall.after, 2 * USEC_PER_MIN);
        assert_int_equal(imc->rules[0].symptom, SYMPTOM_CRASHED);
        assert_int_equal(imc->causes[0].effect, EFFECT_VETO);
        /* Nothing was made: without a probe, only mounts were compared. */
        assert_int_equal(access(hold, F_OK), -1);
}

static void test_every_global_key(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *state_dir = tree_path(t, "state"), *run_dir = tree_path(t, "run/unjamd"),
                              *audit = tree_path(t, "audit/audit.jsonl");

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, 0, NULL);
        assert_string_equal(s->state_dir, state_dir);
        assert_string_equal(s->run_dir, run_dir);
        assert_string_equal(s->audit_path, audit);
        assert_int_equal(s->audit_max_size, 8192);
        assert_int_equal(s->audit_keep, 3);
        assert_false(s->audit_journal);
        assert_string_equal(s->control_group, "root");
        assert_int_equal(s->n_services, 3);
        assert_int_equal(s->services[0].mode, MODE_OBSERVE);
        assert_int_equal(s->services[1].mode, MODE_ACT);
}

static void test_dry_run_observes(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;

        tree_configure(t, "full.conf.in", "unjamd.conf");
        s = tree_load(t, CONFIG_DRY_RUN, NULL);
        assert_int_equal(s->mode, MODE_OBSERVE);
        for (size_t i = 0; i < s->n_services; i++)
                assert_int_equal(s->services[i].mode, MODE_OBSERVE);
}

static void test_drop_ins_add_services(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;

        tree_write(t, "conf.d/20-b.conf", "services = ( { name = \"b\"; unit = \"b\"; } );");
        tree_write(t, "conf.d/10-c.conf",
                   "services = ( { name = \"c\"; unit = \"c\"; }, { name = \"d\"; unit = \"d\"; } );");
        tree_write(t, "conf.d/B.conf", "mode = \"act\";");
        tree_write(t, "conf.d/.hidden.conf", "syntax error");
        tree_write(t, "conf.d/other.conf~", "syntax error");
        tree_write(t, "unjamd.conf", "services = ( { name = \"z\"; unit = \"z\"; } );");
        s = tree_load(t, 0, NULL);
        assert_int_equal(s->n_services, 4);
        assert_string_equal(s->services[0].name, "z");
        assert_string_equal(s->services[1].name, "c");
        assert_string_equal(s->services[2].name, "d");
        assert_string_equal(s->services[3].name, "b");
        assert_int_equal(s->services[3].mode, MODE_ACT);
}

static void test_global_keys_stand_once(void **state)
{
        Tree *t = *state;

        tree_write(t, "conf.d/x.conf", "\n\nmode = \"observe\";");
        tree_write(t, "unjamd.conf", "mode = \"act\";");
        tree_fault(t, 0, NULL, 3, "mode: is already at ");
}

static void test_faults_of_all_files_in_order(void **state)
{
        Tree *t = *state;
        ConfigFaults faults = {};
        Settings *s = NULL;
        _cleanup_(freep) char *text = NULL, *want = NULL;

        tree_write(t, "conf.d/a.conf", "services = ( { name = \"b\"; unit = \"x\"; } );\nmoed = 1;");
        tree_write(t, "unjamd.conf",
                   "mood = 1;\nservices = ( { name = \"a\"; unit = \"x\"; cores = true; } );");
        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        assert_int_equal(faults.n, 4);
        text = config_fault_format(&faults.list[0]);
        assert_true(asprintf(&want, "%s/unjamd.conf:1: mood: unknown key; write mode", t->root) > 0);
        assert_string_equal(text, want);
        assert_non_null(strstr(faults.list[1].what, "cores: unknown key; write core"));
        assert_non_null(strstr(faults.list[2].file, "/conf.d/a.conf"));
        assert_non_null(strstr(faults.list[2].what, "unit: \"x.service\" is already at "));
        assert_non_null(strstr(faults.list[3].what, "moed: unknown key; write mode"));
        assert_int_equal(faults.list[3].line, 2);
        config_faults_deinit(&faults);
        config_faults_deinit(&faults);
}

static void test_syntax(void **state)
{
        Tree *t = *state;
        ConfigFaults faults = {};
        Settings *s = NULL;

        tree_expect(t, "faults/syntax.conf.in");
        tree_expect(t, "faults/twice.conf.in");

        /* Of every file, before anything else is looked at. */
        tree_write(t, "conf.d/x.conf", "services = (\n{\n");
        tree_write(t, "unjamd.conf", "mood = 1;\nmode \"act\";");
        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        assert_int_equal(faults.n, 2);
        assert_int_equal(faults.list[0].line, 2);
        config_faults_deinit(&faults);
}

static void test_include(void **state)
{
        Tree *t = *state;
        ConfigFaults faults = {};
        Settings *s = NULL;

        tree_write(t, "part.txt", "\nmood = 1;\n");
        tree_write(t, "unjamd.conf", "mode = \"act\";\n@include \"part.txt\"\nruns = 1;\n");
        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        assert_int_equal(faults.n, 2);
        /* Each by its own file. */
        assert_non_null(strstr(faults.list[0].file, "part.txt"));
        assert_int_equal(faults.list[0].line, 2);
        assert_string_equal(faults.list[1].file, t->file);
        assert_int_equal(faults.list[1].line, 3);
        config_faults_deinit(&faults);

        tree_write(t, "unjamd.conf", "@include \"nowhere.txt\"\n");
        tree_fault(t, 0, NULL, 1, "write the file's path");
}

static void test_what_is_no_file(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *fifo = tree_path(t, "fifo");
        _cleanup_(freep) char *huge = NULL;

        tree_write(t, "unjamd.conf", "mode = \"act\";");
        assert_int_equal(truncate(t->file, 16), 0);
        tree_fault(t, 0, NULL, 1, "has a NUL byte in it");
        assert_int_equal(truncate(t->file, (4 << 20) + 1), 0);
        tree_fault(t, 0, NULL, 1, "is larger than 4 MiB");
        assert_int_equal(unlink(t->file), 0);
        tree_fault(t, 0, NULL, 1, "cannot be read (No such file or directory)");

        /* Would block for ever if it were opened to be read. */
        assert_int_equal(mkfifo(fifo, 0600), 0);
        free(t->file);
        t->file = strdup(fifo);
        tree_fault(t, 0, NULL, 1, "is no regular file");
        free(t->file);
        t->file = strdup(t->root);
        tree_fault(t, 0, NULL, 1, "is no regular file");

        huge = malloc((4 << 20) + 1);
        assert_non_null(huge);
        memset(huge, '#', 4 << 20);
        huge[4 << 20] = '\0';
        tree_write(t, "unjamd.conf", huge);
        settings_unref(tree_load(t, 0, NULL));
}

/* A value can hold anything; a printed fault cannot be mistaken for two. */
static void test_hostile_values(void **state)
{
        Tree *t = *state;
        ConfigFaults faults = {};
        Settings *s = NULL;

        tree_write(t, "unjamd.conf", "mode = \"x\\n/etc/passwd:1: y\\x1b[31m \xff\";");
        assert_int_equal(config_load(t->file, 0, NULL, &s, &faults), CONFIG_E_FAULTS);
        assert_int_equal(faults.n, 1);
        assert_null(strpbrk(faults.list[0].what, "\n\x1b\xff"));
        config_faults_deinit(&faults);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_shipped_file_loads, tree_setup, tree_teardown),
                cmocka_unit_test(test_shipped_file_shows_every_key),
                cmocka_unit_test_setup_teardown(test_shipped_defaults_are_true, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_example_loads, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_every_global_key, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_dry_run_observes, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_drop_ins_add_services, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_global_keys_stand_once, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_faults_of_all_files_in_order, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_syntax, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_include, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_what_is_no_file, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_hostile_values, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
