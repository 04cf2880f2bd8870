/* Tests of config/document.c. What syntax faults look like is in test_config.c. */
#include "config_tree.h"

#include "config/document.h"

static const ConfigChecks none;

typedef struct Bed {
        ConfigFaults faults;
        Loader l;
        Document d;
} Bed;

static void bed_open(Bed *b, const char *path)
{
        *b = (Bed){};
        b->l = (Loader){ .faults = &b->faults, .checks = &none };
        assert_int_equal(document_init(&b->d, path), 0);
}

static void bed_close(Bed *b)
{
        document_deinit(&b->d);
        config_faults_deinit(&b->faults);
}

static void test_good(void **state)
{
        Tree *t = *state;
        const config_setting_t *s;
        Bed b;

        tree_write(t, "unjamd.conf", "a = 1;\nb = \"x\"; # no newline at the end");
        bed_open(&b, t->file);
        assert_true(document_parse(&b.d, &b.l));
        assert_int_equal(b.faults.n, 0);
        s = config_setting_get_member(config_root_setting(&b.d.config), "b");
        assert_string_equal(config_setting_get_string(s), "x");
        assert_string_equal(setting_file(s), t->file);
        assert_int_equal(setting_line(s), 2);
        bed_close(&b);
}

static void expect_fault(const char *path, const char *part)
{
        Bed b;

        bed_open(&b, path);
        assert_false(document_parse(&b.d, &b.l));
        assert_int_equal(b.l.error, 0);
        assert_int_equal(b.faults.n, 1);
        assert_string_equal(b.faults.list[0].file, path);
        assert_non_null(strstr(b.faults.list[0].what, part));
        bed_close(&b);
}

static void test_bad(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *fifo = tree_path(t, "fifo"), *dir = tree_path(t, "spool"),
                              *missing = tree_path(t, "missing");

        assert_int_equal(mkfifo(fifo, 0600), 0);
        expect_fault(fifo, "is no regular file");
        expect_fault(dir, "is no regular file");
        expect_fault(missing, "cannot be read");
        tree_write(t, "unjamd.conf", "a = ;");
        expect_fault(t->file, "write KEY = VALUE;");
        assert_int_equal(truncate(t->file, (4 << 20) + 1), 0);
        expect_fault(t->file, "larger than 4 MiB");
        assert_int_equal(truncate(t->file, 8), 0);
        expect_fault(t->file, "NUL byte");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_good, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_bad, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
