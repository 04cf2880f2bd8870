/* key_file - made once, the same ever after. */
#include "base/key_file.h"

#include "unit/observe_util.h"

#include <errno.h>

static void test_key_file(void **state)
{
        char *dir = temp_new(), path[64];
        uint8_t first[32] = {}, second[32] = {}, none[32] = {};
        struct stat st;

        (void)state;
        snprintf(path, sizeof(path), "%s/state", dir);
        assert_int_equal(key_file_load(disk_posix(), path, "k", first, sizeof(first)), 0);
        assert_memory_not_equal(first, none, sizeof(none));
        assert_int_equal(stat(in(path, "k"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(key_file_load(disk_posix(), path, "k", second, sizeof(second)), 0);
        assert_memory_equal(first, second, sizeof(first));
        file_make(in(path, "k"), "short");
        assert_int_equal(key_file_load(disk_posix(), path, "k", second, sizeof(second)), -EBADMSG);
        file_make(in(path, "k"), "much longer than the thirty-two bytes of a key");
        assert_int_equal(key_file_load(disk_posix(), path, "k", second, sizeof(second)), -EFBIG);
        temp_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_key_file),
        };

        return cmocka_run_group_tests_name("base/key_file", tests, NULL, NULL);
}
