/*
 * The real source of log files under rotations of all kinds, with kill -9 of its process: not a line is lost,
 * none is found twice. The whole of it, 1,000 rotations with 100 kills, is `tests/bench/run log_torture`.
 */
#include "fake/log_torture.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static unsigned number(const char *name, unsigned otherwise)
{
        const char *s = getenv(name);

        return s ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

static void test_torture(void **state)
{
        LogTortureConfig c = { .rotations = number("UNJAM_TORTURE_ROTATIONS", 200),
                               .kills = number("UNJAM_TORTURE_KILLS", 20),
                               .seed = number("UNJAM_TORTURE_SEED", 1) };
        LogTortureResult r;
        int k;

        (void)state;
        k = log_torture_run(&c, &r);
        print_message(
                "%llu lines, %u rotations, %u kills: %llu lost, %llu doubled, %llu foreign, %llu gaps, %llu "
                "again under one cursor %s\n",
                (unsigned long long)r.written, r.rotations, r.kills, (unsigned long long)r.lost,
                (unsigned long long)r.doubled, (unsigned long long)r.foreign, (unsigned long long)r.gaps,
                (unsigned long long)r.again, r.note);
        assert_int_equal(k, 0);
        assert_int_equal(r.lost, 0);
        assert_int_equal(r.doubled, 0);
        assert_int_equal(r.foreign, 0);
        assert_int_equal(r.kills, c.kills);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_torture) };

        return cmocka_run_group_tests_name("observe/logfile torture", tests, NULL, NULL);
}
