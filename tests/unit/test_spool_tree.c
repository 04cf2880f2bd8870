/* The directories of a store, opened without being led astray. */
#include "spool_fixture.h"

static void test_names_that_lead_out(void **state)
{
        (void)state;
        assert_true(spool_name_ok("20261122T140000Z-1"));
        assert_true(spool_name_ok(".x"));
        assert_false(spool_name_ok(""));
        assert_false(spool_name_ok("."));
        assert_false(spool_name_ok(".."));
        assert_false(spool_name_ok("a/b"));
        assert_false(spool_name_ok(NULL));
}

static void test_a_store_that_is_a_link(void **state)
{
        Fixture *f = *state;

        assert_int_equal(rename(at(f, "spool/In"), at(f, "real")), 0);
        assert_int_equal(symlink("../real", at(f, "spool/In")), 0);
        assert_int_equal(spool_dir_open(f->spool->stores[STORE_Q].dirs, NULL), -ENOTDIR);
}

static void test_a_parent_that_became_a_link(void **state)
{
        Fixture *f = *state;

        assert_int_equal(rename(at(f, "spool"), at(f, "moved")), 0);
        assert_int_equal(symlink("moved", at(f, "spool")), 0);
        assert_int_equal(spool_dir_open(f->spool->stores[STORE_Q].dirs, NULL), -ELOOP);
        /* A link that an administrator made before the start is fine: the directory behind it is opened. */
        fixture_open(f);
        closep(&(int){ spool_dir_open(f->spool->stores[STORE_Q].dirs, NULL) });
        assert_non_null(strstr(f->spool->stores[STORE_Q].dirs[0].real, "/moved/In"));
}

static void test_nothing_is_made_unless_asked(void **state)
{
        Fixture *f = *state;
        SpoolTrees t;

        assert_int_equal(spool_trees_open(&t, f->spool, STORE_Q, INCIDENT, &f->report), 0);
        assert_int_equal(t.n, 2);
        assert_true(t.trees[0].root[SIDE_STORE] >= 0 && t.trees[0].parent[SIDE_STORE] >= 0);
        assert_int_equal(t.trees[0].root[SIDE_HOLD], -1);
        assert_int_equal(t.folder, -1);
        assert_false(is_there(f, "hold"));
        assert_int_equal(spool_trees_make(&t, INCIDENT, &f->report), 0);
        assert_int_equal(spool_tree_make(&t, 1, SIDE_HOLD, &f->report), 0);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/q/1"));
        assert_false(is_there(f, "hold/incidents/" INCIDENT "/q/0"));
        assert_true(t.trees[1].root[SIDE_HOLD] >= 0);
        assert_int_equal(spool_tree_make(&t, 1, SIDE_SPARE, &f->report), 0);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/q/1.spare"));
        spool_trees_close(&t);
        spool_trees_close(&t);
}

static void test_hold_is_private(void **state)
{
        Fixture *f = *state;
        struct stat st;
        int fd = spool_hold_open(f->spool, f->spool->stores, true);

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(stat(at(f, "hold"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_a_link_in_hold_is_not_followed(void **state)
{
        Fixture *f = *state;
        SpoolTrees t;

        put_dir(f, "elsewhere");
        put_dir(f, "hold");
        assert_int_equal(symlink("../elsewhere", at(f, "hold/incidents")), 0);
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_Q, INCIDENT, &f->report), -ELOOP);
        assert_non_null(f->report.detail);
        assert_int_equal(count_in(f, "elsewhere"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_names_that_lead_out),
                T(test_a_store_that_is_a_link),
                T(test_a_parent_that_became_a_link),
                T(test_nothing_is_made_unless_asked),
                T(test_hold_is_private),
                T(test_a_link_in_hold_is_not_followed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
