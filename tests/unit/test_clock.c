/* Tests of base/clock.c. */
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_now_goes_on(void **state)
{
        Now a = now_read(), b = now_read();

        (void)state;
        assert_true(a.mono > 0 && b.mono >= a.mono);
        assert_true(a.wall > UINT64_C(1600000000) * USEC_PER_SEC);
}

static void test_parse(void **state)
{
        static const struct {
                const char *text;
                usec_t t;
        } good[] = {
                { "500ms", 500 * USEC_PER_MSEC },
                { "30s", 30 * USEC_PER_SEC },
                { "30 s", 30 * USEC_PER_SEC },
                { "5min", 5 * USEC_PER_MIN },
                { "2h", 2 * USEC_PER_HOUR },
                { "5d", 5 * USEC_PER_DAY },
                { "1h30min", 90 * USEC_PER_MIN },
                { "2min 3s", 123 * USEC_PER_SEC },
                { "1.5s", 1500 * USEC_PER_MSEC },
                { "0.000001s", 1 },
                { "0.5h", 30 * USEC_PER_MIN },
                { "7us", 7 },
                { "0s", 0 },
        };
        static const char *const bad[] = {
                "",
                "30",
                "s",
                "-1s",
                "1.s",
                ".5s",
                "30 sec",
                "30S",
                "1h 30",
                "infinity ",
                "infinity",
                "1sx",
                " 1s",
                "99999999999999999999s",
                "300000000000d",
        };
        usec_t t;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                t = 1234567;
                assert_int_equal(usec_parse(good[i].text, &t), 0);
                assert_int_equal(t, good[i].t);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                t = 42;
                assert_int_equal(usec_parse(bad[i], &t), -EINVAL);
                assert_int_equal(t, 42);
        }
}

static void test_format(void **state)
{
        static const struct {
                usec_t t;
                const char *text;
        } cases[] = {
                { 0, "0s" },
                { 12, "12us" },
                { 12345, "12ms" },
                { 1500 * USEC_PER_MSEC, "1.5s" },
                { 30 * USEC_PER_SEC, "30s" },
                { 59 * USEC_PER_SEC + 999999, "59.9s" },
                { 60 * USEC_PER_SEC, "1min" },
                { 123 * USEC_PER_SEC, "2min 3s" },
                { 90 * USEC_PER_MIN, "1h 30min" },
                { 2 * USEC_PER_HOUR + 5 * USEC_PER_SEC, "2h" },
                { 5 * USEC_PER_DAY, "5d" },
                { 5 * USEC_PER_DAY + 3 * USEC_PER_HOUR, "5d 3h" },
                { USEC_INFINITY, "infinity" },
        };
        char buf[64], tiny[4];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(usec_format(buf, sizeof(buf), cases[i].t), cases[i].text);
        assert_string_equal(usec_format(tiny, sizeof(tiny), USEC_INFINITY), "inf");
}

static void test_rfc3339(void **state)
{
        static const char *const bad[] = {
                "",
                "2026-11-22",
                "2026-11-22T14:00:00",
                "2026-11-22T14:00:00.Z",
                "2026-02-30T14:00:00Z",
                "2026-13-01T14:00:00Z",
                "2026-11-22T24:00:00Z",
                "2026-11-22T14:00:60Z",
                "2026-11-22T14:00:00.1234567890Z",
                "2026-11-22T14:00:00+01:00",
                "2026-11-22T14:00:00Zx",
                "2026-1-022T14:00:00Z",
        };
        char buf[TIMESPEC_RFC3339_MAX];
        struct timespec ts = { .tv_sec = 1795356000, .tv_nsec = 123456789 }, back;

        (void)state;
        assert_string_equal(usec_rfc3339(buf, UINT64_C(1795356000123456)), "2026-11-22T14:00:00.123456Z");
        assert_int_equal(rfc3339_parse(buf, &back), 0);
        assert_int_equal(back.tv_sec, 1795356000);
        assert_int_equal(back.tv_nsec, 123456000);

        assert_string_equal(timespec_rfc3339(buf, &ts), "2026-11-22T14:00:00.123456789Z");
        assert_int_equal(rfc3339_parse(buf, &back), 0);
        assert_int_equal(back.tv_nsec, 123456789);

        assert_int_equal(rfc3339_parse("1969-12-31T23:59:59Z", &back), 0);
        assert_int_equal(back.tv_sec, -1);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(rfc3339_parse(bad[i], &back), -EINVAL);
}

static void test_absurd_times_have_a_form(void **state)
{
        static const time_t seconds[] = { INT64_MIN, -1, INT64_MAX };
        char buf[TIMESPEC_RFC3339_MAX];
        struct timespec back;

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(seconds); i++) {
                struct timespec ts = { .tv_sec = seconds[i], .tv_nsec = 5 };

                assert_int_equal(rfc3339_parse(timespec_rfc3339(buf, &ts), &back), 0);
        }
        assert_int_equal(rfc3339_parse(usec_rfc3339(buf, USEC_INFINITY), &back), 0);
}

static void test_saturation(void **state)
{
        (void)state;
        assert_int_equal(usec_add(1, 2), 3);
        assert_int_equal(usec_add(USEC_INFINITY, 1), USEC_INFINITY);
        assert_int_equal(usec_add(USEC_INFINITY - 1, 5), USEC_INFINITY);
        assert_int_equal(usec_sub(5, 3), 2);
        assert_int_equal(usec_sub(3, 5), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_now_goes_on),
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_rfc3339),
                cmocka_unit_test(test_absurd_times_have_a_form),
                cmocka_unit_test(test_saturation),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
