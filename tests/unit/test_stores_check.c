/* Tests of act/stores_check.c. */
#include "act/stores_check.h"
#include "base/cleanup.h"
#include "base/room.h"
#include "unit/private_mounts.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static void test_space(void **state)
{
        static const struct {
                uint64_t blocks, avail; /* of 4 KiB */
                bool is_short;
        } cases[] = {
                { 1000000, 500000, false },
                { 1000000, 10000, false }, /* one percent exactly */
                { 1000000, 9999, true },
                { 1000000, 0, true },
                { 4000, 199, true }, /* less than 1 MiB, and a twentieth */
                { 4000, 200, false },
                { 100000, 255, true },
                { 10000000000, 300000, false }, /* little of much is still much */
                { 10000000000, 262143, true },
                { 0, 0, false }, /* does not count its blocks */
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct statvfs fs = { .f_frsize = 4096,
                                      .f_blocks = cases[i].blocks,
                                      .f_bavail = cases[i].avail };

                assert_int_equal(space_is_short(&fs), cases[i].is_short);
        }
}

static void test_inodes(void **state)
{
        static const struct {
                uint64_t files, avail;
                bool is_short;
        } cases[] = {
                { 1000000, 9999, true }, { 1000000, 10000, false }, { 100000000, 20000, false },
                { 1000, 15, true },      { 1000, 16, false },       { 0, 0, false },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct statvfs fs = { .f_files = cases[i].files, .f_favail = cases[i].avail };

                assert_int_equal(inodes_are_short(&fs), cases[i].is_short);
        }
}

static char root[] = "/tmp/unjam-stores-XXXXXX";

static void test_permissions(void **state)
{
        char store[64], file[64], *dirs[] = { store, NULL };
        StoreSettings settings = { .dirs = dirs, .hold = "/no/such/hold" };
        ServiceSettings service = { .stores = &settings, .n_stores = 1 };
        StoresCheck c;
        char *detail = NULL;

        (void)state;
        assert_non_null(mkdtemp(root));
        snprintf(store, sizeof(store), "%s/in", root);
        snprintf(file, sizeof(file), "%s/file", root);
        assert_int_equal(mkdir(store, 0700), 0);
        assert_int_equal(stores_check_init(&c, &service), 0);
        assert_int_equal(stores_check_permissions(&c, &detail), 0);
        assert_true(stores_check_full(&c, &detail) >= 0);
        free(TAKE_PTR(detail));

        assert_int_equal(rmdir(store), 0);
        assert_int_equal(stores_check_permissions(&c, &detail), STORES_E_FOUND);
        assert_non_null(strstr(detail, "/in: No such file"));
        free(TAKE_PTR(detail));
        assert_int_equal(stores_check_full(&c, &detail), 0); /* the other check's business */

        /* A file, and a link: no directory of mail. */
        close(open(store, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        assert_int_equal(stores_check_permissions(&c, &detail), STORES_E_FOUND);
        free(TAKE_PTR(detail));
        unlink(store);
        assert_int_equal(symlink("/tmp", store), 0);
        assert_int_equal(stores_check_permissions(&c, &detail), STORES_E_FOUND);
        free(TAKE_PTR(detail));
        unlink(store);
        stores_check_deinit(&c);
        stores_check_deinit(&c);
        rmdir(root);
}

/* In a mount namespace of its own: a small tmpfs, filled, then read-only. */
static int check_small_disk(void)
{
        char *dirs[] = { root, NULL };
        StoresCheck c = { .dirs = dirs };
        char block[65536] = { 0 }, path[64], *detail = NULL;
        int fd;

        if (!mounts_are_private())
                return 77;
        if (mount("unjam-test", root, "tmpfs", 0, "size=4m") < 0)
                return 77;
        if (stores_check_full(&c, &detail) != 0)
                return 1;
        snprintf(path, sizeof(path), "%s/filler", root);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        while (write(fd, block, sizeof(block)) > 0)
                continue;
        if (stores_check_full(&c, &detail) != STORES_E_FOUND || !strstr(detail, "KiB are free"))
                return 2;
        if (stores_check_permissions(&c, &detail) != 0)
                return 3;
        close(fd);
        if (mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
                return 77;
        if (stores_check_permissions(&c, &detail) != STORES_E_FOUND || !strstr(detail, "read-only"))
                return 4;
        return 0;
}

static void test_a_full_disk(void **state)
{
        int status;
        pid_t pid;

        (void)state;
        strcpy(root + strlen(root) - 6, "XXXXXX");
        assert_non_null(mkdtemp(root));
        pid = fork();
        if (pid == 0)
                _exit(check_small_disk());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        rmdir(root);
        if (WEXITSTATUS(status) == 77)
                skip(); /* needs CAP_SYS_ADMIN */
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_space),
                cmocka_unit_test(test_inodes),
                cmocka_unit_test(test_permissions),
                cmocka_unit_test(test_a_full_disk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
