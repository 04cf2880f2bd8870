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

/* A tmpfs of some hundred KiB below a spool: not full for ever, but full when it is. */
static void test_a_tiny_file_system(void **state)
{
        struct statvfs fs = {
                .f_frsize = 4096, .f_blocks = 128, .f_bavail = 120, .f_files = 14, .f_favail = 9
        };

        (void)state;
        assert_false(space_is_short(&fs));
        assert_false(inodes_are_short(&fs));
        fs.f_bavail = 7;
        assert_false(space_is_short(&fs));
        fs.f_bavail = 5;
        assert_true(space_is_short(&fs));
        fs.f_blocks = 10; /* no part in twenty of it is a block */
        fs.f_bavail = 0;
        assert_true(space_is_short(&fs));
        fs.f_favail = 1;
        assert_false(inodes_are_short(&fs));
        fs.f_favail = 0;
        assert_true(inodes_are_short(&fs));
        fs = (struct statvfs){ .f_frsize = 4096, .f_blocks = 2560, .f_bavail = 255 }; /* 10 MiB, 1020 KiB */
        assert_false(space_is_short(&fs));
        fs.f_blocks = 25600;
        assert_true(space_is_short(&fs));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_room),
                cmocka_unit_test(test_a_tiny_file_system),
        };

        return cmocka_run_group_tests_name("base/room", tests, NULL, NULL);
}
