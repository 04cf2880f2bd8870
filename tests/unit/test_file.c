/* Tests of base/file.c. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "unit/private_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

static char root[] = "/tmp/unjam-file-XXXXXX";

static int setup(void **state)
{
        static int fd;

        strcpy(root + strlen(root) - 6, "XXXXXX");
        if (!mkdtemp(root))
                return -1;
        fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &fd;
        return fd < 0 ? -1 : 0;
}

static int remove_tree(int dirfd, const char *name)
{
        _cleanup_(freep) char *command = NULL;
        pid_t pid;
        int status;

        (void)dirfd;
        pid = fork();
        if (pid == 0) {
                execl("/bin/rm", "rm", "-rf", "--", name, NULL);
                _exit(127);
        }
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int teardown(void **state)
{
        close(*(int *)*state);
        return remove_tree(AT_FDCWD, root);
}

static void put(int dir, const char *name, const char *text)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static void test_replace(void **state)
{
        int dir = *(int *)*state;
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t len;

        assert_int_equal(file_replace(disk_posix(), dir, "f", "one", 3, 0640), 0);
        /* A crash left its temporary file behind. */
        put(dir, ".f.tmp", "torn");
        assert_int_equal(file_replace(disk_posix(), dir, "f", "twotwo", 6, 0666), 0);
        assert_int_equal(file_read(dir, "f", 6, &text, &len), 0);
        assert_int_equal(len, 6);
        assert_string_equal(text, "twotwo");
        assert_int_equal(fstatat(dir, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0666); /* in spite of the umask */
        assert_int_equal(faccessat(dir, ".f.tmp", F_OK, 0), -1);
}

/* A disk whose n-th call fails; everything else is real. */
typedef struct FaultDisk {
        Disk disk;
        int n;
} FaultDisk;

static bool fault(Disk *d)
{
        return --((FaultDisk *)d)->n == 0;
}
static int fault_create(Disk *d, int dirfd, const char *name, int flags, mode_t mode)
{
        return fault(d) ? -ENOSPC : disk_create(disk_posix(), dirfd, name, flags, mode);
}
static int fault_write(Disk *d, int fd, const void *buf, size_t len)
{
        return fault(d) ? -ENOSPC : disk_write(disk_posix(), fd, buf, len);
}
static int fault_sync(Disk *d, int fd)
{
        return fault(d) ? -EIO : disk_sync(disk_posix(), fd);
}
static int fault_rename(Disk *d, int ofd, const char *o, int nfd, const char *n, unsigned flags)
{
        return fault(d) ? -EIO : disk_rename(disk_posix(), ofd, o, nfd, n, flags);
}
static int fault_mkdir(Disk *d, int dirfd, const char *name, mode_t mode)
{
        return fault(d) ? -ENOSPC : disk_mkdir(disk_posix(), dirfd, name, mode);
}
static int fault_remove(Disk *d, int dirfd, const char *name, int flags)
{
        return fault(d) ? -EIO : disk_remove(disk_posix(), dirfd, name, flags);
}
static const DiskOps fault_ops = {
        .create = fault_create,
        .write = fault_write,
        .sync = fault_sync,
        .rename = fault_rename,
        .mkdir = fault_mkdir,
        .remove = fault_remove,
};

static void test_replace_is_whole_after_every_fault(void **state)
{
        int dir = *(int *)*state, n;

        for (n = 1;; n++) {
                FaultDisk d = { .disk = { .ops = &fault_ops }, .n = n };
                _cleanup_(freep) char *text = NULL;
                int r;

                put(dir, "f", "old");
                r = file_replace(&d.disk, dir, "f", "new", 3, 0600);
                assert_int_equal(file_read(dir, "f", 10, &text, NULL), 0);
                if (d.n > 0) {
                        assert_int_equal(r, 0);
                        assert_string_equal(text, "new");
                        break;
                }
                assert_true(r == -ENOSPC || r == -EIO);
                assert_true(streq_null(text, "old") || streq_null(text, "new"));
        }
        /* create, write, sync, rename, sync of the directory */
        assert_int_equal(n, 6);
}

static void test_read_limits_and_kinds(void **state)
{
        int dir = *(int *)*state;
        _cleanup_(freep) char *text = NULL, *big = NULL;
        size_t len;

        put(dir, "f", "12345");
        assert_int_equal(file_read(dir, "f", 4, &text, &len), -EFBIG);
        assert_null(text);
        assert_int_equal(file_read(dir, "none", 4, &text, &len), -ENOENT);
        assert_int_equal(symlinkat("f", dir, "link"), 0);
        assert_int_equal(file_read(dir, "link", 100, &text, &len), -ELOOP);
        assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
        assert_int_equal(file_read(dir, "fifo", 100, &text, &len), -EBADF);
        assert_int_equal(mkdirat(dir, "dir", 0700), 0);
        assert_int_equal(file_read(dir, "dir", 100, &text, &len), -EBADF);
        put(dir, "empty", "");
        assert_int_equal(file_read(dir, "empty", 0, &text, &len), 0);
        assert_int_equal(len, 0);
        assert_string_equal(text, "");

        /* Larger than the first buffer. */
        big = malloc(100001);
        memset(big, 'x', 100000);
        big[100000] = 0;
        put(dir, "big", big);
        free(text);
        assert_int_equal(file_read(dir, "big", 100000, &text, &len), 0);
        assert_int_equal(len, 100000);
        assert_string_equal(text, big);
}

static void test_read_virtual(void **state)
{
        _cleanup_(freep) char *text = NULL, *cut = NULL;
        size_t len;

        (void)state;
        assert_int_equal(file_read_virtual(AT_FDCWD, "/proc/self/status", 65536, &text, &len), 0);
        assert_true(len > 100 && strncmp(text, "Name:", 5) == 0);
        assert_int_equal(file_read_virtual(AT_FDCWD, "/proc/self/status", 4, &cut, &len), 0);
        assert_int_equal(len, 4);
        assert_string_equal(cut, "Name");
}

static void test_ensure(void **state)
{
        int dir = *(int *)*state, fd;
        char path[128];
        struct stat st, made;

        snprintf(path, sizeof(path), "%s/a//b/c/", root);
        fd = dir_ensure(disk_posix(), path, 0700);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        close(fd);
        assert_int_equal(fstatat(dir, "a/b/c", &made, 0), 0);
        assert_int_equal(st.st_ino, made.st_ino);
        assert_int_equal(made.st_mode & 07777, 0700);

        /* Again, and with another mode: what is there stays as it is. */
        fd = dir_ensure(disk_posix(), path, 0755);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(fstatat(dir, "a/b/c", &made, 0), 0);
        assert_int_equal(made.st_mode & 07777, 0700);

        assert_int_equal(dir_ensure(disk_posix(), "relative", 0700), -EINVAL);
        snprintf(path, sizeof(path), "%s/a/../x", root);
        assert_int_equal(dir_ensure(disk_posix(), path, 0700), -EINVAL);
        put(dir, "file", "");
        snprintf(path, sizeof(path), "%s/file/x", root);
        assert_int_equal(dir_ensure(disk_posix(), path, 0700), -ENOTDIR);
}

static void test_ensure_distrusts_links_of_others(void **state)
{
        int dir = *(int *)*state, fd;
        char path[128];

        assert_int_equal(mkdirat(dir, "real", 0700), 0);
        assert_int_equal(symlinkat("real", dir, "link"), 0);
        snprintf(path, sizeof(path), "%s/link/made", root);
        fd = dir_ensure(disk_posix(), path, 0700);
        assert_true(fd >= 0); /* our own link */
        close(fd);
        if (geteuid() != 0)
                skip();
        assert_int_equal(fchownat(dir, "link", 1234, 1234, AT_SYMLINK_NOFOLLOW), 0);
        fd = dir_ensure(disk_posix(), path, 0700);
        assert_true(fd >= 0); /* nothing to make */
        close(fd);
        snprintf(path, sizeof(path), "%s/link/planted", root);
        assert_int_equal(dir_ensure(disk_posix(), path, 0700), -ELOOP);
        assert_int_equal(faccessat(dir, "real/planted", F_OK, 0), -1);
}

/* What holds for both ways to open beneath a directory. Yields how many of its expectations failed. */
static int check_beneath(int dir)
{
        static const struct {
                const char *path;
                int flags, want;
        } cases[] = {
                { "sub/f", O_RDONLY, 0 },
                { "sub//f", O_RDONLY, 0 },
                { "sub/./f", O_RDONLY, 0 },
                { "sub/f", O_PATH, 0 },
                { "", O_PATH, 0 },
                { "sub/f/", O_RDONLY, -ENOTDIR },
                { "sub/none", O_RDONLY, -ENOENT },
                { "sub/fifo", O_RDONLY, 0 }, /* does not block */
                { "sub/fifo", O_WRONLY, -ENXIO },
                { "/etc/passwd", O_RDONLY, -EXDEV },
                { "../x", O_RDONLY, -EXDEV },
                { "sub/../sub/f", O_RDONLY, -EXDEV },
                { "sub/..", O_RDONLY, -EXDEV },
                { "sub/..x", O_RDONLY, -ENOENT },
                { "link", O_RDONLY, -ELOOP },
                { "link", O_PATH, -ELOOP },
                { "link", O_PATH | O_NOFOLLOW, 0 },
                { "dirlink/f", O_RDONLY, -ELOOP },
                { "dirlink/f", O_PATH, -ELOOP },
        };
        int failed = 0;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int fd = file_open_beneath(dir, cases[i].path, cases[i].flags);

                if (cases[i].want == 0 ? fd < 0 : fd != cases[i].want) {
                        print_error("%s: %d\n", cases[i].path, fd);
                        failed++;
                }
                if (fd >= 0 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
                        failed++;
                if (fd >= 0)
                        close(fd);
        }
        for (int i = 0; i < 2; i++) {
                int fd = dir_open_beneath(dir, i == 0 ? "" : "sub");

                if (fd < 0 || fsync(fd) < 0)
                        failed++;
                close(fd);
        }
        if (dir_open_beneath(dir, "sub/f") != -ENOTDIR)
                failed++;
        return failed;
}

static void make_tree(int dir)
{
        assert_int_equal(mkdirat(dir, "sub", 0700), 0);
        put(dir, "sub/f", "x");
        assert_int_equal(mkfifoat(dir, "sub/fifo", 0600), 0);
        assert_int_equal(symlinkat("sub/f", dir, "link"), 0);
        assert_int_equal(symlinkat("sub", dir, "dirlink"), 0);
}

static void test_beneath(void **state)
{
        make_tree(*(int *)*state);
        assert_int_equal(check_beneath(*(int *)*state), 0);
}

/* As a sandbox without openat2 does. */
static int forbid_openat2(int error)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(filter), .filter = filter };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int child_result(pid_t pid)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_beneath_without_openat2(void **state)
{
        int dir = *(int *)*state;

        make_tree(dir);
        for (int i = 0; i < 2; i++) {
                pid_t pid = fork();
                int r;

                if (pid == 0) {
                        if (forbid_openat2(i == 0 ? EPERM : ENOSYS) < 0)
                                _exit(77);
                        _exit(check_beneath(dir));
                }
                r = child_result(pid);
                if (r == 77)
                        skip();
                assert_int_equal(r, 0);
        }
}

/* A bind mount of the same file system below the directory: st_dev is the same, the mount is not. */
static int check_bind_mount(int dir, bool forbid)
{
        int source, target;

        if (!mounts_are_private())
                return 77;
        (void)dir;
        if (chdir(root) < 0 || mount("sub", "mnt", NULL, MS_BIND, NULL) < 0)
                return 77;
        source = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (forbid && forbid_openat2(EPERM) < 0)
                return 77;
        target = file_open_beneath(source, "mnt/f", O_RDONLY);
        return target == -EXDEV ? 0 : 1;
}

static void test_beneath_stays_on_the_mount(void **state)
{
        int dir = *(int *)*state;

        make_tree(dir);
        assert_int_equal(mkdirat(dir, "mnt", 0700), 0);
        for (int i = 0; i < 2; i++) {
                pid_t pid = fork();
                int r;

                if (pid == 0)
                        _exit(check_bind_mount(dir, i == 1));
                r = child_result(pid);
                if (r == 77)
                        skip(); /* needs CAP_SYS_ADMIN */
                assert_int_equal(r, 0);
        }
}

static void test_sha256(void **state)
{
        static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        int dir = *(int *)*state, fd;
        uint8_t digest[SHA256_SIZE], whole[SHA256_SIZE];
        _cleanup_(freep) char *big = NULL;
        char hex[2 * SHA256_SIZE + 1];

        sha256("abc", 3, digest);
        assert_string_equal(text_hex(hex, digest, SHA256_SIZE), abc);
        put(dir, "f", "abc");
        fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
        assert_int_equal(lseek(fd, 2, SEEK_SET), 2); /* the offset is no matter */
        assert_int_equal(file_sha256(fd, digest), 0);
        assert_string_equal(text_hex(hex, digest, SHA256_SIZE), abc);
        close(fd);

        big = malloc(300001);
        memset(big, 'y', 300000);
        big[300000] = 0;
        put(dir, "big", big);
        fd = openat(dir, "big", O_RDONLY | O_CLOEXEC);
        assert_int_equal(file_sha256(fd, digest), 0);
        sha256(big, 300000, whole);
        assert_memory_equal(digest, whole, SHA256_SIZE);
        close(fd);
        assert_int_equal(file_sha256(dir, digest), -EBADF);

        put(dir, "hole", "");
        fd = openat(dir, "hole", O_RDWR | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, FILE_SHA256_MAX + 1), 0);
        assert_int_equal(file_sha256(fd, digest), -EFBIG);
        close(fd);
}

static size_t count_files(DIR *d)
{
        size_t n = 0;

        for (const struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        return n;
}

static void test_stream(void **state)
{
        int dir = *(int *)*state, file;
        DIR *d = NULL;

        put(dir, "a", "");
        put(dir, "b", "");
        assert_int_equal(symlinkat(".", dir, "link"), 0);
        /* Twice, through descriptors that share their position: from the start each time. */
        for (int i = 0; i < 2; i++) {
                assert_int_equal(dir_stream(fcntl(dir, F_DUPFD_CLOEXEC, 3), &d), 0);
                assert_int_equal(count_files(d), 3);
                closedir(d);
        }
        assert_int_equal(dir_stream_at(dir, ".", &d), 0);
        assert_int_equal(count_files(d), 3);
        closedir(d);
        d = NULL;
        assert_int_equal(dir_stream_at(dir, "link", &d), -ENOTDIR);
        assert_int_equal(dir_stream_at(dir, "none", &d), -ENOENT);
        assert_int_equal(dir_stream(-EXDEV, &d), -EXDEV);
        /* What is no directory is closed all the same. */
        file = openat(dir, "a", O_RDONLY | O_CLOEXEC);
        assert_int_equal(dir_stream(file, &d), -ENOTDIR);
        assert_int_equal(fcntl(file, F_GETFD), -1);
        assert_null(d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
                cmocka_unit_test_setup_teardown(test_replace_is_whole_after_every_fault, setup, teardown),
                cmocka_unit_test_setup_teardown(test_read_limits_and_kinds, setup, teardown),
                cmocka_unit_test(test_read_virtual),
                cmocka_unit_test_setup_teardown(test_ensure, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ensure_distrusts_links_of_others, setup, teardown),
                cmocka_unit_test_setup_teardown(test_beneath, setup, teardown),
                cmocka_unit_test_setup_teardown(test_beneath_without_openat2, setup, teardown),
                cmocka_unit_test_setup_teardown(test_beneath_stays_on_the_mount, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sha256, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
