/* Can this be renamed there? Asked without leaving anything where a server reads. */
#include "spool_mounts.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static int probe(const Fixture *f)
{
        return spool_probe_rename(disk_posix(), at(f, "spool/In"), at(f, "hold"));
}

static void test_one_mount(void **state)
{
        Fixture *f = *state;
        struct stat before, after;

        assert_int_equal(stat(at(f, "spool/In"), &before), 0);
        assert_int_equal(probe(f), 0);
        assert_int_equal(stat(at(f, "spool/In"), &after), 0);
        /* Not even for a moment was anything in it. */
        assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
        assert_int_equal(count_in(f, "hold"), 0);
        assert_int_equal(probe(f), 0);
}

static void test_two_bind_mounts_of_one_file_system(void **state)
{
        Fixture *f = *state;
        struct stat a, b;

        put_dir(f, "hold");
        mount_or_skip(f, "spool/In", "spool/In");
        assert_int_equal(stat(at(f, "spool/In"), &a), 0);
        assert_int_equal(stat(at(f, "hold"), &b), 0);
        assert_int_equal(a.st_dev, b.st_dev);
        assert_int_equal(probe(f), -EXDEV);
        unmount(f, "spool/In");
        assert_int_equal(probe(f), 0);
}

static void test_another_file_system(void **state)
{
        Fixture *f = *state;

        put_dir(f, "hold");
        mount_or_skip(f, NULL, "hold");
        assert_int_equal(probe(f), -EXDEV);
        unmount(f, "hold");
}

static void test_a_read_only_mount(void **state)
{
        Fixture *f = *state;
        int r;

        put_dir(f, "hold");
        mount_or_skip(f, ".", "."); /* both on one mount */
        assert_int_equal(mount(NULL, at(f, "."), NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
        /* By a path that was resolved on the new mount. */
        r = probe(f);
        unmount(f, ".");
        assert_int_equal(r, -EROFS);
}

static void test_an_immutable_directory(void **state)
{
        Fixture *f = *state;
        int fd = open(at(f, "spool/In"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), flags = FS_IMMUTABLE_FL, r;

        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0) {
                close(fd);
                skip(); /* not root, or no such flag here */
        }
        r = probe(f);
        flags = 0;
        assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
        close(fd);
        assert_int_equal(r, -EPERM);
}

static void test_what_is_no_directory(void **state)
{
        Fixture *f = *state;

        assert_int_equal(spool_probe_rename(disk_posix(), at(f, "missing"), at(f, "hold")), -ENOENT);
        assert_int_equal(symlink("In", at(f, "spool/link")), 0);
        assert_int_equal(spool_probe_rename(disk_posix(), at(f, "spool/link"), at(f, "hold")), -ENOTDIR);
        put(f, "file", "1");
        assert_int_equal(spool_probe_rename(disk_posix(), at(f, "spool/In"), at(f, "file")), -ENOTDIR);
}

/* A disk whose file system knows no flags of renameat2. */
static int refuse_rename(Disk *d, int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        int r = disk_rename(disk_posix(), ofd, o, nfd, n, flags);

        (void)d;
        /* The kernel asks the file system only once the name is found. */
        if (r == 0)
                (void)disk_rename(disk_posix(), nfd, n, ofd, o, flags);
        return r == 0 ? -EINVAL : r;
}

static void test_a_file_system_without_the_flags(void **state)
{
        Fixture *f = *state;
        DiskOps ops = *disk_posix()->ops;
        Disk disk = { .ops = &ops };

        ops.rename = refuse_rename;
        assert_int_equal(spool_probe_rename(&disk, at(f, "spool/In"), at(f, "hold")), -EINVAL);
        assert_int_equal(count_in(f, "hold"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_one_mount),
                T(test_two_bind_mounts_of_one_file_system),
                T(test_another_file_system),
                T(test_a_read_only_mount),
                T(test_an_immutable_directory),
                T(test_what_is_no_directory),
                T(test_a_file_system_without_the_flags),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
