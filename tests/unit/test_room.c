/* room - in words; where the limits are is in test_stores_check.c. */
#include "base/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_room(void **state)
{
        struct statvfs fs = {
                .f_frsize = 4096, .f_blocks = 1000000, .f_bavail = 500000, .f_files = 1000, .f_favail = 500
        };
        char what[128];

        (void)state;
        assert_false(room_is_short(&fs, what, sizeof(what)));
        fs.f_favail = 9;
        assert_true(room_is_short(&fs, what, sizeof(what)));
        assert_string_equal(what, "only 9 of 1000 inodes are free");
        fs.f_bavail = 10;
        assert_true(room_is_short(&fs, what, sizeof(what)));
        assert_string_equal(what, "only 40 KiB of 4000000 KiB are free");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_room),
        };

        return cmocka_run_group_tests_name("base/room", tests, NULL, NULL);
}
