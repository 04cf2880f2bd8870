/* Directories that are like others, in all that a server could see. */
#include "spool_fixture.h"
#include "spool_mounts.h"

#include <linux/fs.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* POSIX ACL, version 2: user::rwx user:65534:r-x group::r-x mask::r-x other::--- */
static const uint8_t acl[] = {
        2,  0, 0, 0,                         /* version */
        1,  0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_USER_OBJ */
        2,  0, 5, 0, 0xfe, 0xff, 0,    0,    /* ACL_USER 65534 */
        4,  0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_GROUP_OBJ */
        16, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_MASK */
        32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* ACL_OTHER */
};

static int dir_open(const Fixture *f, const char *below)
{
        int fd = open(at(f, below), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void two_directories(Fixture *f, int *from, int *to)
{
        put_dir(f, "from");
        put_dir(f, "to");
        *from = dir_open(f, "from");
        *to = dir_open(f, "to");
}

static void test_mode_and_attributes(void **state)
{
        Fixture *f = *state;
        struct stat a, b;
        char value[16];
        int from, to;

        two_directories(f, &from, &to);
        assert_int_equal(fchmod(from, 03751), 0);
        if (fsetxattr(from, "user.colour", "red", 3, 0) < 0)
                skip(); /* no user attributes here */
        assert_int_equal(fsetxattr(to, "user.other", "x", 1, 0), 0);
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        assert_int_equal(fstat(from, &a), 0);
        assert_int_equal(fstat(to, &b), 0);
        assert_int_equal(a.st_mode, b.st_mode);
        assert_int_equal(fgetxattr(to, "user.colour", value, sizeof(value)), 3);
        assert_memory_equal(value, "red", 3);
        assert_int_equal(fgetxattr(to, "user.other", value, sizeof(value)), -1);

        /* What is alike is not touched: not even the change time. */
        assert_int_equal(fstat(to, &a), 0);
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        assert_int_equal(fstat(to, &b), 0);
        assert_memory_equal(&a.st_ctim, &b.st_ctim, sizeof(a.st_ctim));
        close(from);
        close(to);
}

static void test_acl(void **state)
{
        Fixture *f = *state;
        uint8_t got[sizeof(acl)];
        struct stat a, b;
        int from, to;

        two_directories(f, &from, &to);
        if (fsetxattr(from, "system.posix_acl_access", acl, sizeof(acl), 0) < 0 ||
            fsetxattr(from, "system.posix_acl_default", acl, sizeof(acl), 0) < 0)
                skip(); /* no ACLs here */
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        assert_int_equal(fgetxattr(to, "system.posix_acl_access", got, sizeof(got)), sizeof(acl));
        assert_memory_equal(got, acl, sizeof(acl));
        assert_int_equal(fgetxattr(to, "system.posix_acl_default", got, sizeof(got)), sizeof(acl));
        assert_int_equal(fstat(from, &a), 0);
        assert_int_equal(fstat(to, &b), 0);
        assert_int_equal(a.st_mode, b.st_mode);
        /* And away again. */
        assert_int_equal(fremovexattr(from, "system.posix_acl_default"), 0);
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        assert_int_equal(fgetxattr(to, "system.posix_acl_default", got, sizeof(got)), -1);
        close(from);
        close(to);
}

static void test_owner(void **state)
{
        Fixture *f = *state;
        struct stat st;
        int from, to;

        two_directories(f, &from, &to);
        if (fchown(from, 12345, 54321) < 0)
                skip(); /* not root */
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        assert_int_equal(fstat(to, &st), 0);
        assert_int_equal(st.st_uid, 12345);
        assert_int_equal(st.st_gid, 54321);
        close(from);
        close(to);
}

static void test_inode_flags(void **state)
{
        Fixture *f = *state;
        int from, to, flags = 0;

        two_directories(f, &from, &to);
        if (ioctl(from, FS_IOC_GETFLAGS, &flags) < 0)
                skip(); /* a file system without flags */
        flags |= FS_NOATIME_FL | FS_NODUMP_FL;
        if (ioctl(from, FS_IOC_SETFLAGS, &flags) < 0)
                skip();
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        flags = 0;
        assert_int_equal(ioctl(to, FS_IOC_GETFLAGS, &flags), 0);
        assert_int_equal(flags & (FS_NOATIME_FL | FS_NODUMP_FL), FS_NOATIME_FL | FS_NODUMP_FL);
        close(from);
        close(to);
}

static bool program_works(const char *const argv[])
{
        pid_t pid;
        int status;

        return posix_spawnp(&pid, argv[0], NULL, NULL, (char **)argv, environ) == 0 &&
               waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* XFS has projects in every kernel, most other file systems have none. */
static bool projects_mount(const Fixture *f)
{
        char image[256], where[256];
        const char *const mkfs[] = { "mkfs.xfs", "-q", image, NULL };
        const char *const mount[] = { "mount", "-o", "loop", image, where, NULL };
        int fd;

        snprintf(image, sizeof(image), "%s", at(f, "image"));
        snprintf(where, sizeof(where), "%s", at(f, "from"));
        fd = open(image, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 512 << 20), 0); /* a hole; mkfs.xfs makes none smaller than 300 MB */
        close(fd);
        return program_works(mkfs) && program_works(mount);
}

static void test_project(void **state)
{
        Fixture *f = *state;
        struct fsxattr x = {};
        int from, to;

        put_dir(f, "from");
        if (!can_mount || !projects_mount(f))
                skip(); /* needs root, loop devices and xfsprogs */
        put_dir(f, "from/a");
        put_dir(f, "from/b");
        from = dir_open(f, "from/a");
        to = dir_open(f, "from/b");
        assert_int_equal(ioctl(from, FS_IOC_FSGETXATTR, &x), 0);
        x.fsx_projid = 77;
        x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
        assert_int_equal(ioctl(from, FS_IOC_FSSETXATTR, &x), 0);
        assert_int_equal(skeleton_copy_attributes(from, to), 0);
        x = (struct fsxattr){};
        assert_int_equal(ioctl(to, FS_IOC_FSGETXATTR, &x), 0);
        assert_int_equal(x.fsx_projid, 77);
        assert_true(x.fsx_xflags & FS_XFLAG_PROJINHERIT);
        close(from);
        close(to);
        unmount(f, "from");
}

static void test_folders_like_their_counterparts(void **state)
{
        Fixture *f = *state;
        struct stat st;
        int from, to, fd;

        two_directories(f, &from, &to);
        put_dir(f, "from/a");
        put_dir(f, "from/a/b");
        assert_int_equal(chmod(at(f, "from/a"), 0711), 0);
        fd = skeleton_folder(disk_posix(), from, to, "a/b");
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(stat(at(f, "to/a"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0711);
        assert_true(is_there(f, "to/a/b"));
        assert_int_equal(skeleton_folder(disk_posix(), from, to, "a/c"), -ENOENT);
        close(from);
        close(to);
}

static void test_folders_like_their_parent(void **state)
{
        Fixture *f = *state;
        struct stat st;
        int from, to, fd;

        two_directories(f, &from, &to);
        assert_int_equal(fchmod(to, 0705), 0);
        fd = skeleton_folder(disk_posix(), -1, to, "x/y");
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(stat(at(f, "to/x/y"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0705);
        fd = skeleton_folder(disk_posix(), -1, to, "");
        assert_true(fd >= 0);
        close(fd);
        close(from);
        close(to);
}

static void test_no_link_is_followed(void **state)
{
        Fixture *f = *state;
        int from, to;

        two_directories(f, &from, &to);
        put_dir(f, "elsewhere");
        assert_int_equal(symlink("../elsewhere", at(f, "to/a")), 0);
        assert_int_equal(skeleton_folder(disk_posix(), -1, to, "a/b"), -ELOOP);
        assert_int_equal(count_in(f, "elsewhere"), 0);
        close(from);
        close(to);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_mode_and_attributes),
                T(test_acl),
                T(test_owner),
                T(test_inode_flags),
                T(test_project),
                T(test_folders_like_their_counterparts),
                T(test_folders_like_their_parent),
                T(test_no_link_is_followed),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
