/* conditions - when a fault is held back, for how long, and what explains nothing. */
#include "diagnose/conditions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEC    USEC_PER_SEC
#define SETTLE (5 * SEC)

static void look(Conditions *c, const char *id, bool healthy, usec_t at)
{
        const Condition one = { .reason = REASON_DISK_FULL, .id = id, .text = "it is full" };
        const ConditionsStatus status = { .list = &one, .n = id != NULL };

        conditions_feed(c, &status, healthy, at);
}

static Explains hold(Conditions *c, usec_t at, Reason *reason, usec_t *due)
{
        return conditions_hold(c, SETTLE, at, reason, due);
}

/* Nobody looks: nothing is waited for. */
static void test_without_a_source(void **state)
{
        Conditions c = {};
        Reason reason;
        usec_t due;

        (void)state;
        assert_int_equal(hold(&c, 10 * SEC, &reason, &due), EXPLAINS_NOTHING);
        assert_false(conditions_take_wanted(&c));
        conditions_want(&c, 10 * SEC);
        assert_false(conditions_take_wanted(&c));
}

static void test_held_back_and_released(void **state)
{
        Conditions c = {};
        Reason reason;
        usec_t due;

        (void)state;
        look(&c, NULL, true, 1 * SEC);
        assert_int_equal(hold(&c, 10 * SEC, &reason, &due), EXPLAINS_LOOKING);
        assert_true(conditions_take_wanted(&c));
        assert_false(conditions_take_wanted(&c)); /* once */
        assert_int_equal(hold(&c, 10 * SEC + 1, &reason, &due), EXPLAINS_LOOKING);
        assert_false(conditions_take_wanted(&c));
        look(&c, "disk", false, 10 * SEC + 2);
        assert_int_equal(hold(&c, 10 * SEC + 2, &reason, &due), EXPLAINS_IT);
        assert_int_equal(reason, REASON_DISK_FULL);
        assert_string_equal(c.text, "it is full");
        assert_true(due == 15 * SEC + 2);
        /* It is looked at again and again. */
        assert_int_equal(hold(&c, due, &reason, &due), EXPLAINS_LOOKING);
        assert_true(conditions_take_wanted(&c));
        look(&c, "disk", false, 16 * SEC);
        assert_int_equal(hold(&c, 16 * SEC, &reason, &due), EXPLAINS_IT);
        assert_int_equal(hold(&c, 21 * SEC, &reason, &due), EXPLAINS_LOOKING);
        look(&c, NULL, false, 21 * SEC + 1);
        assert_int_equal(hold(&c, 21 * SEC + 1, &reason, &due), EXPLAINS_NO_MORE);
        assert_int_equal(reason, REASON_DISK_FULL);
        assert_true(due == 26 * SEC + 1);
        assert_int_equal(hold(&c, 25 * SEC, &reason, &due), EXPLAINS_IT); /* for the settle time longer */
        /* And then once more, for another may have come meanwhile. */
        assert_int_equal(hold(&c, 26 * SEC + 1, &reason, &due), EXPLAINS_LOOKING);
        look(&c, NULL, false, 26 * SEC + 2);
        assert_int_equal(hold(&c, 26 * SEC + 2, &reason, &due), EXPLAINS_NOTHING);
}

/* What was there while all was well. */
static void test_baseline(void **state)
{
        Conditions c = {};
        Reason reason;
        usec_t due;

        (void)state;
        look(&c, "lock 1", true, 1 * SEC);
        assert_int_equal(hold(&c, 2 * SEC, &reason, &due), EXPLAINS_LOOKING);
        look(&c, "lock 1", false, 3 * SEC);
        assert_int_equal(hold(&c, 3 * SEC, &reason, &due), EXPLAINS_NOTHING);
        /* Another occurrence is another matter, and so is the same after a time without it. */
        look(&c, "lock 2", false, 4 * SEC);
        assert_int_equal(hold(&c, 4 * SEC, &reason, &due), EXPLAINS_IT);
        look(&c, "lock 1", false, 5 * SEC);
        assert_int_equal(hold(&c, 5 * SEC, &reason, &due), EXPLAINS_IT);
        conditions_no_fault(&c);
        look(&c, "lock 1", true, 6 * SEC);
        look(&c, "lock 1", false, 7 * SEC);
        assert_int_equal(c.reason, REASON_NONE);
}

/* More than fit are not taken for granted. */
static void test_many(void **state)
{
        Condition list[CONDITIONS_MAX + 1];
        char ids[CONDITIONS_MAX + 1][8];
        Conditions c = {};

        (void)state;
        for (size_t i = 0; i <= CONDITIONS_MAX; i++) {
                ids[i][0] = (char)('a' + (int)i);
                ids[i][1] = '\0';
                list[i] = (Condition){ .reason = REASON_MAINTENANCE, .id = ids[i], .text = ids[i] };
        }
        conditions_feed(&c, &(ConditionsStatus){ list, CONDITIONS_MAX + 1 }, true, SEC);
        assert_int_equal(c.n_healthy, CONDITIONS_MAX);
        assert_int_equal(c.reason, REASON_MAINTENANCE);
        assert_string_equal(c.text, ids[CONDITIONS_MAX]);
}

/* A disk that does not answer keeps nobody for ever. */
static void test_no_answer(void **state)
{
        Conditions c = {};
        Reason reason;
        usec_t due;

        (void)state;
        look(&c, NULL, true, 1 * SEC);
        assert_int_equal(hold(&c, 10 * SEC, &reason, &due), EXPLAINS_LOOKING);
        assert_true(due == 12 * SEC);
        assert_int_equal(hold(&c, 12 * SEC, &reason, &due), EXPLAINS_NOTHING);
        assert_int_equal(hold(&c, 30 * SEC, &reason, &due), EXPLAINS_NOTHING);
}

static void test_pause(void **state)
{
        Conditions c = {};
        Reason reason;
        usec_t due;

        (void)state;
        conditions_pause(&c, REASON_CLOCK_JUMP, 5 * SEC);
        assert_int_equal(hold(&c, 4 * SEC, &reason, &due), EXPLAINS_IT);
        assert_int_equal(reason, REASON_CLOCK_JUMP);
        assert_true(due == 5 * SEC);
        assert_int_equal(hold(&c, 5 * SEC, &reason, &due), EXPLAINS_NOTHING);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_without_a_source), cmocka_unit_test(test_held_back_and_released),
                cmocka_unit_test(test_baseline),         cmocka_unit_test(test_many),
                cmocka_unit_test(test_no_answer),        cmocka_unit_test(test_pause),
        };

        return cmocka_run_group_tests_name("diagnose/conditions", tests, NULL, NULL);
}
