/* movement - what counts as movement of mail, and since when there was none */
#include "diagnose/movement.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void look(Movement *m, ProgressStatus s, usec_t mono)
{
        assert_int_equal(movement_feed(m, &s, mono), 0);
}

static void test_movement(void **state)
{
        Movement m;
        usec_t since;

        (void)state;
        assert_int_equal(movement_init(&m, 2), 0);
        assert_true(movement_still_since(&m) == USEC_INFINITY);
        assert_true(movement_longest(&m, &since) == SIZE_MAX && since == USEC_INFINITY);
        /* The first look at a store says nothing of the time before. */
        look(&m, (ProgressStatus){ .store = 0, .waiting = 4 }, 100);
        look(&m, (ProgressStatus){ .store = 1 }, 100);
        assert_true(movement_still_since(&m) == 100);
        assert_int_equal(movement_waiting(&m), 4);
        look(&m, (ProgressStatus){ .store = 0, .waiting = 4 }, 200);
        assert_true(movement_still_since(&m) == 100);
        /* Arrivals are none. */
        look(&m, (ProgressStatus){ .store = 0, .waiting = 6, .arrived = 2, .moved = true }, 300);
        assert_true(movement_still_since(&m) == 100);
        /* Departures, renames of waiting mail, and mail that leaves the waiting are. */
        look(&m, (ProgressStatus){ .store = 0, .waiting = 6, .arrived = 1, .departed = 1, .moved = true },
             400);
        assert_true(movement_still_since(&m) == 400);
        look(&m, (ProgressStatus){ .store = 0, .waiting = 6, .moved = true }, 500);
        assert_true(movement_still_since(&m) == 500);
        look(&m, (ProgressStatus){ .store = 0, .waiting = 6, .arrived = 1, .moved = true }, 600);
        assert_true(movement_still_since(&m) == 600);
        /* Movement in another store counts for all. */
        look(&m, (ProgressStatus){ .store = 1, .waiting = 1, .arrived = 1, .moved = true }, 700);
        assert_true(movement_still_since(&m) == 600);
        assert_int_equal(movement_longest(&m, &since), 0);
        assert_true(since == 100);
        look(&m, (ProgressStatus){ .store = 1, .departed = 1, .moved = true }, 800);
        assert_true(movement_still_since(&m) == 800);
        /* Mail that comes to empty stores waits from then on. */
        look(&m, (ProgressStatus){ .store = 0, .departed = 6, .moved = true }, 900);
        assert_true(movement_still_since(&m) == USEC_INFINITY);
        look(&m, (ProgressStatus){ .store = 1, .waiting = 3, .arrived = 3, .moved = true }, 5000);
        assert_true(movement_still_since(&m) == 5000);
        assert_int_equal(movement_longest(&m, &since), 1);
        movement_restart(&m, 6000);
        assert_true(movement_still_since(&m) == 6000);
        assert_int_equal(movement_feed(&m, &(ProgressStatus){ .store = 2 }, 7000), -EINVAL);
        movement_deinit(&m);
        movement_deinit(&m);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_movement) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
