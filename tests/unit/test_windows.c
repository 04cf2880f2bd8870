/* windows - counting within a time, against a plain list */
#include "diagnose/windows.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_window(void **state)
{
        EventWindow w;

        (void)state;
        assert_int_equal(event_window_init(&w, 3), 0);
        assert_true(event_window_reached(&w, 0, 10, 100));
        assert_false(event_window_reached(&w, 1, 10, 100));
        event_window_add(&w, 100);
        event_window_add(&w, 105);
        assert_true(event_window_reached(&w, 1, 0, 1000000));
        assert_true(event_window_reached(&w, 2, 10, 110));
        assert_false(event_window_reached(&w, 2, 10, 111));
        assert_false(event_window_reached(&w, 3, 0, 111));
        event_window_add(&w, 110);
        event_window_add(&w, 120);
        assert_true(event_window_reached(&w, 3, 15, 120));
        assert_false(event_window_reached(&w, 3, 14, 120));
        assert_false(event_window_reached(&w, 4, 0, 120)); /* more than it remembers */
        event_window_clear(&w);
        assert_false(event_window_reached(&w, 1, 0, 120));
        event_window_deinit(&w);
        event_window_deinit(&w);
        assert_int_equal(event_window_init(&w, 0), 0); /* room for one all the same */
        event_window_add(&w, 1);
        assert_true(event_window_reached(&w, 1, 0, 1));
        event_window_deinit(&w);
}

/* At random moments, the same answer as counting in the whole list. */
static void test_model(void **state)
{
        enum { N = 3000 };
        static usec_t times[N];
        uint64_t seed = 3;
        EventWindow w;
        usec_t now = 0;

        (void)state;
        assert_int_equal(event_window_init(&w, 8), 0);
        for (unsigned n = 0; n < N; n++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                now += (seed >> 40) % 50;
                times[n] = now;
                event_window_add(&w, now);
                for (unsigned count = 1; count <= 8; count++) {
                        unsigned within = 0;

                        for (unsigned i = 0; i <= n; i++)
                                within += now - times[i] <= 100;
                        assert_int_equal(event_window_reached(&w, count, 100, now), within >= count);
                }
        }
        event_window_deinit(&w);
}

static void test_history(void **state)
{
        static const CrashWindow windows[] = { { 5, 30 }, { 3, 2 }, { 8, 1440 } };
        CrashHistory h;

        (void)state;
        assert_int_equal(crash_history_init(&h, windows, 3), 0);
        assert_null(crash_history_add(&h, "a", 100));
        assert_null(crash_history_add(&h, "b", 100));
        assert_null(crash_history_add(&h, "a", 101));
        assert_null(crash_history_add(&h, "b", 101));
        assert_ptr_equal(crash_history_add(&h, "a", 102), windows + 1); /* the shortest that is full */
        assert_null(crash_history_add(&h, "b", 104));
        assert_null(crash_history_add(&h, "b", 107));
        assert_ptr_equal(crash_history_add(&h, "b", 130), windows); /* 100 .. 130 */
        /* All of a is forgotten after the longest window. */
        for (usec_t t = 102 + 1440; t < 102 + 1440 + 7 * 180; t += 180)
                assert_null(crash_history_add(&h, "a", t));
        assert_ptr_equal(crash_history_add(&h, "a", 102 + 1440 + 7 * 180), windows + 2);
        crash_history_deinit(&h);

        assert_int_equal(crash_history_init(&h, NULL, 0), 0);
        for (usec_t t = 0; t < 100; t++)
                assert_null(crash_history_add(&h, "a", t));
        crash_history_deinit(&h);
}

/* A service that ends in ever new ways takes no memory, and hides nothing that happens often. */
static void test_signatures(void **state)
{
        static const CrashWindow window = { 3, 1000 };
        CrashHistory h;
        char name[120];

        (void)state;
        assert_int_equal(crash_history_init(&h, &window, 1), 0);
        for (unsigned i = 0; i < 200; i++) {
                const CrashWindow *w;

                snprintf(name, sizeof(name), "exit/%u", i);
                assert_null(crash_history_add(&h, name, i));
                w = crash_history_add(&h, "signal/11", i);
                assert_int_equal(w != NULL, i >= 2);
        }
        assert_int_equal(h.n_entries, CRASH_SIGNATURES_MAX);
        assert_null(crash_history_add(&h, "exit/0", 200));
        assert_null(crash_history_add(&h, "exit/0", 200));
        /* Longer than its room: cut, and the same each time. */
        memset(name, 's', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        for (unsigned i = 0; i < 2; i++)
                assert_null(crash_history_add(&h, name, 300));
        crash_history_deinit(&h);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_window),
                cmocka_unit_test(test_model),
                cmocka_unit_test(test_history),
                cmocka_unit_test(test_signatures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
