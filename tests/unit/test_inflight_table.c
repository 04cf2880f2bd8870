/* inflight_table - what is open, what was closed in good order, what was open at a death. */
#include "observe/inflight_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T0 (100 * USEC_PER_HOUR)

static const InflightFile *find(const InflightTable *t, uint64_t key)
{
        for (size_t i = 0; i < t->n_files; i++)
                if (t->files[i].key == key)
                        return &t->files[i];
        return NULL;
}

static void test_crash_in_a_row(void **state)
{
        InflightTable t = { 0 };

        (void)state;
        inflight_table_mark(&t, T0);
        for (uint64_t key = 1; key <= 5; key++) {
                assert_int_equal(inflight_table_open(&t, key, "m", 10, T0), 0);
                assert_int_equal(inflight_table_close(&t, key, "m", 10), 0);
        }
        assert_true(inflight_table_is_closing(&t, 10));
        /* The last one was closed by dying: nothing was opened after it. */
        inflight_table_death(&t, 10, false, T0);
        for (uint64_t key = 1; key <= 4; key++) {
                assert_true(find(&t, key)->closed);
                assert_false(find(&t, key)->at_death);
        }
        assert_true(find(&t, 5)->at_death);
        assert_false(find(&t, 5)->closed);
        assert_int_equal(find(&t, 5)->open, 0);
        inflight_table_deinit(&t);
}

static void test_good_ends(void **state)
{
        InflightTable t = { 0 };

        (void)state;
        inflight_table_mark(&t, T0);
        assert_int_equal(inflight_table_open(&t, 1, "a", 10, T0), 0);
        assert_int_equal(inflight_table_close(&t, 1, "a", 10), 0);
        inflight_table_alive(&t, 10, T0);
        assert_true(find(&t, 1)->closed);
        assert_false(inflight_table_is_closing(&t, 10));
        inflight_table_death(&t, 10, false, T0);
        assert_false(find(&t, 1)->at_death);

        assert_int_equal(inflight_table_open(&t, 2, "b", 11, T0), 0);
        assert_int_equal(inflight_table_close(&t, 2, "b", 11), 0);
        inflight_table_death(&t, 11, true, T0);
        assert_true(find(&t, 2)->closed);
        assert_false(find(&t, 2)->at_death);
        inflight_table_deinit(&t);
}

/* Opened by one process, closed by another that inherited it. */
static void test_inherited(void **state)
{
        InflightTable t = { 0 };

        (void)state;
        inflight_table_mark(&t, T0);
        assert_int_equal(inflight_table_open(&t, 1, "in/a", 10, T0), 0);
        inflight_table_death(&t, 10, false, T0);
        assert_int_equal(find(&t, 1)->open, 1);
        assert_false(find(&t, 1)->at_death);
        assert_int_equal(inflight_table_close(&t, 1, "active/a", 11), 0);
        assert_string_equal(find(&t, 1)->path, "active/a");
        inflight_table_death(&t, 11, false, T0);
        assert_int_equal(find(&t, 1)->open, 0);
        assert_true(find(&t, 1)->at_death);
        inflight_table_deinit(&t);
}

static void test_what_is_kept(void **state)
{
        InflightTable t = { 0 };

        (void)state;
        /* Without a mark: a busy spool leaves nothing behind but what died. */
        for (uint64_t key = 1; key <= 1000; key++) {
                assert_int_equal(inflight_table_open(&t, key, "m", 10, T0), 0);
                assert_int_equal(inflight_table_close(&t, key, "m", 10), 0);
        }
        inflight_table_alive(&t, 10, T0);
        inflight_table_expire(&t, T0);
        assert_int_equal(t.n_files, 0);
        assert_int_equal(t.n_processes, 0);
        assert_int_equal(inflight_table_open(&t, 1, "m", 11, T0), 0);
        assert_int_equal(inflight_table_close(&t, 1, "m", 11), 0);
        inflight_table_death(&t, 11, false, T0);
        inflight_table_expire(&t, T0 + INFLIGHT_KEEP / 2);
        assert_true(find(&t, 1)->at_death);
        inflight_table_expire(&t, T0 + INFLIGHT_KEEP + 1);
        assert_int_equal(t.n_files, 0);

        /* With one, for an hour. */
        inflight_table_mark(&t, T0);
        assert_int_equal(inflight_table_open(&t, 2, "m", 12, T0), 0);
        assert_int_equal(inflight_table_close(&t, 2, "m", 12), 0);
        inflight_table_alive(&t, 12, T0);
        inflight_table_expire(&t, T0 + INFLIGHT_RECORD - 1);
        assert_true(find(&t, 2)->closed);
        inflight_table_expire(&t, T0 + INFLIGHT_RECORD + 1);
        assert_int_equal(t.n_files, 0);

        /* A mark forgets all but what is open. */
        assert_int_equal(inflight_table_open(&t, 3, "m", 13, T0), 0);
        assert_int_equal(inflight_table_open(&t, 4, "m", 13, T0), 0);
        assert_int_equal(inflight_table_close(&t, 4, "m", 13), 0);
        inflight_table_mark(&t, T0);
        assert_int_equal(t.n_files, 1);
        assert_int_equal(find(&t, 3)->open, 1);
        inflight_table_deinit(&t);
}

static void test_bound(void **state)
{
        InflightTable t = { 0 };
        int r = 0;

        (void)state;
        inflight_table_mark(&t, T0);
        for (uint64_t key = 1; key <= INFLIGHT_FILES_MAX; key++)
                assert_int_equal(inflight_table_open(&t, key, "m", 10, T0), 0);
        assert_false(t.overflow);
        r = inflight_table_open(&t, INFLIGHT_FILES_MAX + 1, "m", 10, T0);
        assert_true(r < 0 && t.overflow);
        assert_int_equal(t.n_files, INFLIGHT_FILES_MAX);
        /* One that is known still works. */
        assert_int_equal(inflight_table_close(&t, 7, "m", 10), 0);
        assert_int_equal(find(&t, 7)->open, 0);
        inflight_table_deinit(&t);
}

static void test_no_order(void **state)
{
        InflightTable t = { 0 };

        (void)state;
        inflight_table_mark(&t, T0);
        assert_int_equal(inflight_table_both(&t, 1, "a", 10, T0), 0);
        assert_true(find(&t, 1)->ambiguous);
        inflight_table_alive(&t, 10, T0);
        assert_true(find(&t, 1)->closed && !find(&t, 1)->ambiguous);
        /* Its close may have come at the very end, whatever was opened after it. */
        assert_int_equal(inflight_table_both(&t, 1, "a", 10, T0), 0);
        assert_int_equal(inflight_table_open(&t, 2, "b", 10, T0), 0);
        assert_int_equal(inflight_table_close(&t, 2, "b", 10), 0);
        assert_int_equal(inflight_table_open(&t, 3, "c", 10, T0), 0);
        assert_int_equal(inflight_table_close(&t, 3, "c", 10), 0);
        inflight_table_death(&t, 10, false, T0);
        assert_true(find(&t, 1)->at_death);
        assert_false(find(&t, 2)->at_death);
        assert_true(find(&t, 3)->at_death);
        inflight_table_deinit(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_crash_in_a_row), cmocka_unit_test(test_good_ends),
                cmocka_unit_test(test_inherited),      cmocka_unit_test(test_what_is_kept),
                cmocka_unit_test(test_bound),          cmocka_unit_test(test_no_order),
        };

        return cmocka_run_group_tests_name("observe/inflight_table", tests, NULL, NULL);
}
