/* tally - messages counted through arrivals, moves, replacements and several files each. */
#include "observe/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static StallSettings stall = { .enabled = true, .ignore = (char *[]){ (char *)"deferred/*", NULL } };
static char *dirs[] = { (char *)"/q/a", (char *)"/q/b", (char *)"/q/c", NULL };
static StoreSettings flat = { .name = (char *)"s", .dirs = dirs, .layout = { .flat = true } };
static StoreSettings pairs = {
        .name = (char *)"s",
        .dirs = dirs,
        .layout = { .match = (char *)"^(?<id>[^/]+)-[HDJ]$", .last = (char *)"-H$" },
        .exclude = (char *[]){ (char *)"bad-*", NULL },
};

static Tally *tally_make(const StoreSettings *store)
{
        static KeySeed seed;
        Tally *t = NULL;

        assert_int_equal(tally_new(&t, store, &stall, &seed), 0);
        return t;
}

static void look(Tally *t, uint64_t waiting, uint64_t arrived, uint64_t departed)
{
        ProgressStatus status;

        tally_look(t, &status);
        assert_int_equal(status.waiting, waiting);
        assert_int_equal(status.arrived, arrived);
        assert_int_equal(status.departed, departed);
}

static void test_come_and_go(void **state)
{
        Tally *t = tally_make(&flat);
        ProgressStatus status;

        (void)state;
        assert_int_equal(tally_add(t, 0, "a"), 0);
        assert_int_equal(tally_add(t, 0, "b"), 0);
        assert_int_equal(tally_add(t, 0, "a"), 0); /* said twice */
        look(t, 2, 2, 0);
        tally_look(t, &status);
        assert_false(status.moved);
        assert_int_equal(tally_remove(t, 0, "a"), 0);
        assert_int_equal(tally_remove(t, 0, "never"), 0);
        look(t, 1, 0, 1);
        /* Came and went between two looks: mail has flowed. */
        assert_int_equal(tally_add(t, 0, "c"), 0);
        assert_int_equal(tally_remove(t, 0, "c"), 0);
        look(t, 1, 1, 1);
        tally_touch(t, 0, "nobody");
        tally_look(t, &status);
        assert_false(status.moved);
        tally_touch(t, 0, "b");
        tally_look(t, &status);
        assert_true(status.moved);
        tally_free(t);
}

static void test_move_between_directories(void **state)
{
        Tally *t = tally_make(&flat);
        ProgressStatus status;

        (void)state;
        assert_int_equal(tally_add(t, 0, "a"), 0);
        look(t, 1, 1, 0);
        assert_int_equal(tally_remove(t, 0, "a"), 0);
        assert_int_equal(tally_add(t, 1, "a"), 0);
        tally_look(t, &status);
        assert_true(status.moved);
        assert_int_equal(status.arrived + status.departed, 0);
        assert_int_equal(status.waiting, 1);
        tally_free(t);
}

static void test_many_files_one_message(void **state)
{
        Tally *t = tally_make(&pairs);

        (void)state;
        assert_int_equal(tally_add(t, 0, "1x-D"), 0);
        assert_int_equal(tally_add(t, 0, "1x-H"), 0);
        assert_int_equal(tally_add(t, 0, "1x-J"), 0);
        assert_int_equal(tally_add(t, 0, "noise"), 0);
        assert_int_equal(tally_add(t, 0, "bad-H"), 0); /* excluded */
        look(t, 1, 1, 0);
        assert_int_equal(tally_remove(t, 0, "1x-J"), 0);
        look(t, 1, 0, 0);
        assert_int_equal(tally_remove(t, 0, "1x-H"), 0);
        assert_int_equal(tally_remove(t, 0, "1x-D"), 0);
        look(t, 0, 0, 1);
        assert_true(tally_concerns(t, "y-D") > 0);
        assert_int_equal(tally_concerns(t, "y"), 0);
        tally_free(t);
}

static void test_rightly_waiting(void **state)
{
        static StoreSettings tree = { .name = (char *)"s",
                                      .dirs = dirs,
                                      .layout = { .match = (char *)"(?<id>[^/]+)$" } };
        Tally *t = tally_make(&tree);
        ProgressStatus status;

        (void)state;
        assert_int_equal(tally_add(t, 0, "active/m"), 0);
        assert_int_equal(tally_add(t, 0, "deferred/n"), 0);
        tally_look(t, &status);
        assert_int_equal(status.waiting, 1);
        assert_int_equal(status.ignored, 1);
        assert_int_equal(tally_remove(t, 0, "active/m"), 0);
        assert_int_equal(tally_add(t, 0, "deferred/m"), 0);
        tally_look(t, &status);
        assert_int_equal(status.waiting, 0);
        assert_int_equal(status.ignored, 2);
        assert_int_equal(status.departed, 0);
        assert_true(status.moved);
        tally_free(t);
}

static void test_difference_and_merge(void **state)
{
        Tally *a = tally_make(&flat), *b = tally_make(&flat);
        uint64_t arrived, departed;

        (void)state;
        assert_int_equal(tally_add(a, 0, "1"), 0);
        assert_int_equal(tally_add(a, 0, "2"), 0);
        assert_int_equal(tally_add(b, 1, "2"), 0);
        assert_int_equal(tally_add(b, 1, "3"), 0);
        assert_int_equal(tally_add(b, 1, "4"), 0);
        tally_difference(a, b, &arrived, &departed);
        assert_int_equal(arrived, 2);
        assert_int_equal(departed, 1);
        look(a, 2, 2, 0);
        assert_int_equal(tally_merge(a, b), 0);
        assert_int_equal(tally_messages(a), 4);
        look(a, 4, 2, 0);
        tally_free(a);
        tally_free(b);
}

/* A million notices over a few names: the maps stay right and small. */
static void test_churn(void **state)
{
        Tally *t = tally_make(&flat);
        ProgressStatus status;
        char name[32];
        bool there[97] = { false };
        size_t n = 0;

        (void)state;
        srandom(2);
        for (unsigned i = 0; i < 200000; i++) {
                size_t k = (size_t)random() % 97;
                snprintf(name, sizeof(name), "%zu", k);
                assert_int_equal(there[k] ? tally_remove(t, 0, name) : tally_add(t, 0, name), 0);
                n += there[k] ? -1 : 1;
                there[k] = !there[k];
                if (i % 1000 == 0) {
                        tally_look(t, &status);
                        assert_int_equal(status.waiting, n);
                }
        }
        assert_int_equal(tally_messages(t), n);
        tally_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_come_and_go),
                cmocka_unit_test(test_move_between_directories),
                cmocka_unit_test(test_many_files_one_message),
                cmocka_unit_test(test_rightly_waiting),
                cmocka_unit_test(test_difference_and_merge),
                cmocka_unit_test(test_churn),
        };

        return cmocka_run_group_tests_name("observe/tally", tests, NULL, NULL);
}
