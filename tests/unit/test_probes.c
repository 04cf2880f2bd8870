/* probes - failures in a row, per run */
#include "diagnose/probes.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static ProbeSettings settings[] = {
        { .kind = PROBE_SMTP, .address = (char *)"[::1]:25", .interval = 15, .timeout = 5, .failures = 2 },
        { .kind = PROBE_EXEC,
          .command = (char *[]){ (char *)"/bin/check", NULL },
          .interval = 60,
          .timeout = 10,
          .failures = 0 },
};

static void say(Probes *p, size_t i, bool ok, const char *detail)
{
        assert_true(probes_feed(p, &(ProbeStatus){ .probe = i, .ok = ok, .slow = true, .detail = detail }) >=
                    0);
}

static void test_probes(void **state)
{
        Probes p;

        (void)state;
        assert_int_equal(probes_init(&p, settings, 2), 0);
        assert_true(probes_notice(settings, 2) == 70);
        assert_true(probes_notice(settings, 1) == 35);
        assert_true(probes_notice(NULL, 0) == 0);
        assert_null(probes_failing(&p, true));
        assert_true(probes_pending(&p) == 70);
        say(&p, 1, true, NULL);
        assert_true(probes_pending(&p) == 20);
        say(&p, 0, false, "refused");
        assert_true(probes_pending(&p) == 0);
        assert_false(probes_answered(&p));
        /* It never answered: on its way up this says nothing. */
        assert_null(probes_failing(&p, false));
        assert_ptr_equal(probes_failing(&p, true), p.probes);
        assert_null(probes_unresponsive(&p, true));
        say(&p, 0, false, "timed out");
        assert_null(probes_unresponsive(&p, false));
        assert_ptr_equal(probes_unresponsive(&p, true), p.probes);
        assert_string_equal(p.probes[0].detail, "timed out");
        assert_int_equal(p.probes[0].failures, 2);
        /* A slow answer is one. */
        say(&p, 0, true, NULL);
        assert_true(probes_answered(&p));
        assert_null(probes_unresponsive(&p, true));
        say(&p, 0, false, NULL);
        assert_string_equal(p.probes[0].detail, "");
        assert_ptr_equal(probes_failing(&p, false), p.probes);
        say(&p, 0, false, NULL);
        assert_ptr_equal(probes_unresponsive(&p, false), p.probes);
        say(&p, 0, true, NULL);
        /* failures = 0 is as 1. */
        assert_null(probes_unresponsive(&p, true));
        say(&p, 1, false, "exit 1");
        assert_ptr_equal(probes_unresponsive(&p, false), p.probes + 1);
        assert_true(probes_answered(&p)); /* once */
        probes_restart(&p);
        assert_null(probes_failing(&p, true));
        assert_null(probes_unresponsive(&p, true));
        assert_true(probes_pending(&p) == 70);
        assert_int_equal(probes_feed(&p, &(ProbeStatus){ .probe = 2 }), -EINVAL);
        probes_deinit(&p);

        assert_int_equal(probes_init(&p, NULL, 0), 0);
        assert_true(probes_pending(&p) == 0);
        assert_int_equal(probes_feed(&p, &(ProbeStatus){ .ok = true }), -EINVAL);
        probes_deinit(&p);
}

static void test_describe(void **state)
{
        ProbeSettings local = { .kind = PROBE_UNIX, .path = (char *)"/run/x" },
                      none = { .kind = PROBE_HEARTBEAT };
        char buf[64];

        (void)state;
        assert_string_equal(probe_describe(settings, buf, sizeof(buf)), "smtp [::1]:25");
        assert_string_equal(probe_describe(settings + 1, buf, sizeof(buf)), "exec /bin/check");
        assert_string_equal(probe_describe(&local, buf, sizeof(buf)), "unix /run/x");
        assert_string_equal(probe_describe(&none, buf, sizeof(buf)), "heartbeat");
        assert_string_equal(probe_describe(settings, buf, 5), "smtp");
}

static int answer(Probes *p, bool ok, bool slow)
{
        return probes_feed(p, &(ProbeStatus){ .probe = 0, .ok = ok, .slow = slow, .took = 7 });
}

/* Slow answers in a row are told once, and again only after quick ones. */
static void test_slow(void **state)
{
        Probes p;

        (void)state;
        assert_int_equal(probes_init(&p, settings, 2), 0);
        assert_int_equal(answer(&p, true, true), 0);
        assert_int_equal(answer(&p, true, false), 0);
        assert_int_equal(answer(&p, true, true), 0);
        assert_int_equal(answer(&p, false, true), 0); /* a failure is none */
        assert_int_equal(answer(&p, true, true), 0);
        assert_int_equal(answer(&p, true, true), PROBES_E_SLOW);
        assert_true(p.probes[0].took == 7);
        assert_int_equal(answer(&p, true, true), 0);
        assert_int_equal(answer(&p, true, false), 0);
        assert_int_equal(answer(&p, true, true), 0);
        assert_int_equal(answer(&p, true, true), 0); /* one quick answer in between ends nothing */
        assert_int_equal(answer(&p, true, false), 0);
        assert_int_equal(answer(&p, true, false), 0);
        assert_int_equal(answer(&p, true, true), 0);
        assert_int_equal(answer(&p, true, true), PROBES_E_SLOW);
        probes_deinit(&p);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_slow), cmocka_unit_test(test_probes),
                                                   cmocka_unit_test(test_describe) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
