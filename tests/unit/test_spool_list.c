/* The files of a store and of hold, in one list. */
#include "spool_fixture.h"

/* HOLD/incidents/INCIDENT/x/0, as a call would have made it. */
static void make_hold(Fixture *f)
{
        put_dir(f, "hold");
        put_dir(f, "hold/incidents");
        put_dir(f, "hold/incidents/" INCIDENT);
        put_dir(f, "hold/incidents/" INCIDENT "/x");
        put_dir(f, "hold/incidents/" INCIDENT "/x/0");
}

static void test_both_sides(void **state)
{
        Fixture *f = *state;
        SpoolList l = {};
        SpoolTrees t;
        SpoolCollect how = { .store = STORE_X, .roster = &f->roster, .report = &f->report };
        size_t sides[_SIDE_MAX] = {}, last = 0;

        put_dir(f, "spool/input/a");
        put(f, "spool/input/a/1-H", "h");
        put(f, "spool/input/a/1-D", "d");
        make_hold(f);
        put(f, "hold/incidents/" INCIDENT "/x/0/2-H", "h");
        put(f, "hold/incidents/" INCIDENT "/x/0/late.tmp", "x");
        put(f, "spool/input/lock", "");
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_X, INCIDENT, &f->report), 0);
        assert_int_equal(spool_list_collect(&l, &t, &how), 0);
        for (size_t i = 0; i < l.n_items; i++) {
                sides[l.items[i].side]++;
                last += l.items[i].last;
                if (l.items[i].message == SPOOL_NOBODY)
                        assert_string_equal(spool_list_path(&l, l.items + i), "late.tmp");
        }
        assert_int_equal(sides[SIDE_STORE], 2);
        assert_int_equal(sides[SIDE_HOLD], 2);
        assert_int_equal(last, 2);
        assert_int_equal(l.n_folders, 1);
        assert_int_equal(spool_list_tally(&l, 0, SIDE_STORE)->strange, 1);
        assert_int_equal(spool_list_tally(&l, 0, SIDE_STORE)->last, 1);
        assert_int_equal(f->roster.n, 2);
        assert_int_equal(entry_of(f, STORE_X, "2")->flags, MESSAGE_ARRIVED);
        spool_list_deinit(&l);
        spool_trees_close(&t);
}

static void test_only_some(void **state)
{
        Fixture *f = *state;
        SpoolList l = {};
        SpoolTrees t;
        MessageSet only = {};
        SpoolCollect how = { .store = STORE_Q, .roster = &f->roster, .only = &only };

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        put(f, "spool/In/c", "1");
        assert_int_equal(message_set_add(&only, index_of(f, STORE_Q, "b")), 0);
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_Q, INCIDENT, &f->report), 0);
        assert_int_equal(spool_list_collect(&l, &t, &how), 0);
        assert_int_equal(l.n_items, 1);
        assert_string_equal(spool_list_path(&l, l.items), "b");
        assert_int_equal(f->roster.n, 2); /* "c" is not added */
        spool_list_deinit(&l);
        spool_trees_close(&t);
        message_set_deinit(&only);
}

static void test_many_grow(void **state)
{
        Fixture *f = *state;
        SpoolList l = {};
        SpoolTrees t;
        SpoolCollect how = { .store = STORE_Q, .roster = &f->roster };

        for (unsigned i = 0; i < 1000; i++) {
                char name[32];

                snprintf(name, sizeof(name), "spool/In/%u", i);
                put_again(f, name);
        }
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_Q, NULL, &f->report), 0);
        assert_int_equal(spool_list_collect(&l, &t, &how), 0);
        assert_int_equal(l.n_items, 1000);
        for (size_t i = 0; i < l.n_items; i++) {
                size_t len;

                assert_string_equal(spool_list_path(&l, l.items + i),
                                    roster_id(&f->roster, l.items[i].message, &len));
        }
        spool_list_deinit(&l);
        spool_trees_close(&t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_both_sides),
                T(test_only_some),
                T(test_many_grow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
