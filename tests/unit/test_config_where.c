/* Tests of config/where.c. */
#include "config_tree.h"

#include "config/where.h"

static const ConfigChecks none;

static void unit_make(Tree *t, const char *below)
{
        _cleanup_(freep) char *path = tree_path(t, below);

        for (char *p = path + strlen(t->root) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
                *p = '/';
        }
        tree_write(t, below, "");
}

static void test_there(void **state)
{
        Tree *t = *state;

        unit_make(t, "lib/systemd/system/exim.service");
        unit_make(t, "usr/lib/systemd/system/postfix@.service");
        unit_make(t, "run/systemd/generator.late/exim4.service");
        assert_true(where_there(t->root, "/spool/a"));
        assert_true(where_there(t->root, "/spool/queue.dat"));
        assert_false(where_there(t->root, "/spool/nowhere"));
        assert_true(where_there(t->root, "exim.service"));
        assert_true(where_there(t->root, "exim4.service"));
        assert_true(where_there(t->root, "postfix@-.service"));
        assert_false(where_there(t->root, "postfix.service"));
        assert_true(where_there(t->root, "root"));
        assert_false(where_there(t->root, "no-such-user"));
        assert_true(where_there(t->root, "exim.service if /spool/a"));
        assert_false(where_there(t->root, "exim.service if /spool/nowhere"));
        assert_false(where_there(t->root, "postfix.service if /spool/a"));
}

/* What @text, a configuration, makes of @w. Yields the number of faults. */
static size_t read_text(Where *w, const char *text)
{
        ConfigFaults faults = {};
        Loader l = { .faults = &faults, .checks = &none };
        config_t c;
        const config_setting_t *where, *known;
        size_t n;

        config_init(&c);
        assert_int_equal(config_read_string(&c, text), CONFIG_TRUE);
        config_setting_set_hook(config_root_setting(&c), (void *)"file");
        where = config_lookup(&c, "where");
        known = config_lookup(&c, "known");
        where_read(&l, where, known, w);
        assert_int_equal(l.error, 0);
        faults_print(&faults);
        n = faults.n;
        config_faults_deinit(&faults);
        config_destroy(&c);
        return n;
}

static const char *get(const Where *w, const char *name)
{
        return where_get(w, name, strlen(name));
}

static void test_read(void **state)
{
        Tree *t = *state;
        Where w = { .root = t->root };

        assert_int_equal(read_text(&w, "where = { spool = \"/mine\"; };"), 0);
        assert_int_equal(
                read_text(
                        &w,
                        "where = { spool = [ \"/spool/a\" ]; dir = [ \"/none\", \"/spool/b\", \"/spool/a\" ];"
                        "user = [ \"nobody-of-that-name\", \"other\" ];"
                        "unit = [ \"x.service if /none\", \"y.service\" ]; };"),
                0);
        assert_string_equal(get(&w, "spool"), "/mine");
        assert_string_equal(get(&w, "dir"), "/spool/b");
        assert_string_equal(get(&w, "user"), "nobody-of-that-name");
        assert_string_equal(get(&w, "unit"), "x.service");
        assert_null(get(&w, "di"));
        assert_null(get(&w, "dirs"));
        where_deinit(&w);
        where_deinit(&w);
}

static void test_faults(void **state)
{
        Where w = { .root = "" };

        (void)state;
        assert_int_equal(read_text(&w, "where = \"/a\";"), 1);
        assert_int_equal(read_text(&w, "where = { a = 1; };"), 1);
        assert_int_equal(
                read_text(&w, "known = { spool = \"/a\"; }; where = { spol = \"/b\"; spool = \"/c\"; };"), 1);
        assert_string_equal(get(&w, "spool"), "/c");
        assert_null(get(&w, "spol"));
        where_deinit(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_there, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_read, tree_setup, tree_teardown),
                cmocka_unit_test(test_faults),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
