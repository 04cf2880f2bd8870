/* Tests of base/disk_posix.c. */
#include "base/cleanup.h"
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int setup(void **state)
{
        static char path[] = "/tmp/unjam-disk-XXXXXX";
        static int fd;

        strcpy(path + strlen(path) - 6, "XXXXXX");
        if (!mkdtemp(path))
                return -1;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &fd;
        return chdir(path);
}

static int teardown(void **state)
{
        static const char *const names[] = { "a", "b", "link" };
        char *here = get_current_dir_name();
        int fd = *(int *)*state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                unlinkat(fd, names[i], 0);
        unlinkat(fd, "dir", AT_REMOVEDIR);
        close(fd);
        if (chdir("/") < 0 || rmdir(here) < 0)
                return -1;
        free(here);
        return 0;
}

static void make(int dir, const char *name, const char *text)
{
        Disk *d = disk_posix();
        int fd = disk_create(d, dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(disk_write(d, fd, text, strlen(text)), 0);
        assert_int_equal(disk_sync(d, fd), 0);
        close(fd);
}

static void test_write_rename_remove(void **state)
{
        int dir = *(int *)*state;
        Disk *d = disk_posix();
        struct stat st;

        make(dir, "a", "hello");
        make(dir, "b", "x");
        assert_int_equal(disk_create(d, dir, "a", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
        assert_int_equal(disk_rename(d, dir, "a", dir, "b", RENAME_NOREPLACE), -EEXIST);
        assert_int_equal(disk_rename(d, dir, "a", dir, "b", RENAME_EXCHANGE), 0);
        assert_int_equal(fstatat(dir, "b", &st, 0), 0);
        assert_int_equal(st.st_size, 5);
        assert_int_equal(disk_rename(d, dir, "b", dir, "a", 0), 0);
        assert_int_equal(disk_remove(d, dir, "b", 0), -ENOENT);
        assert_int_equal(disk_remove(d, dir, "a", 0), 0);
        assert_int_equal(disk_sync(d, dir), 0);
}

static void test_directories(void **state)
{
        int dir = *(int *)*state;
        Disk *d = disk_posix();

        assert_int_equal(disk_mkdir(d, dir, "dir", 0700), 0);
        assert_int_equal(disk_mkdir(d, dir, "dir", 0700), -EEXIST);
        assert_int_equal(disk_remove(d, dir, "dir", 0), -EISDIR);
        assert_int_equal(disk_remove(d, dir, "dir", AT_REMOVEDIR), 0);
}

static void test_links_are_not_followed(void **state)
{
        int dir = *(int *)*state;
        Disk *d = disk_posix();

        make(dir, "a", "precious");
        assert_int_equal(symlinkat("a", dir, "link"), 0);
        assert_int_equal(disk_create(d, dir, "link", O_WRONLY | O_CREAT | O_TRUNC, 0600), -ELOOP);
        assert_int_equal(disk_remove(d, dir, "link", 0), 0);
        assert_int_equal(faccessat(dir, "a", F_OK, 0), 0);
}

static void test_errors_come_out(void **state)
{
        Disk *d = disk_posix();

        (void)state;
        assert_int_equal(disk_write(d, -1, "x", 1), -EBADF);
        assert_int_equal(disk_write(d, -1, "x", 0), 0);
        assert_int_equal(disk_sync(d, -1), -EBADF);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_write_rename_remove, setup, teardown),
                cmocka_unit_test_setup_teardown(test_directories, setup, teardown),
                cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
                cmocka_unit_test(test_errors_come_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
