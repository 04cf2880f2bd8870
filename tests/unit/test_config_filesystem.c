/* Tests of config/filesystem.c. */
#include "config/filesystem.h"
#include "config_tree.h"

static void test_types(void **state)
{
        static const char *const network[] = { "nfs",    "nfs4",  "cifs",           "smb3",
                                               "ceph",   "gfs2",  "ocfs2",          "glusterfs",
                                               "lustre", "9p",    "fuse.glusterfs", "fuse.sshfs",
                                               "fuse",   "fuse.x" };
        static const char *const local[] = { "ext4",  "xfs",     "btrfs",
                                             "tmpfs", "zfs",     "overlay",
                                             "f2fs",  "fuseblk", "fuse.fuse-overlayfs",
                                             "nfsd",  "" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(network); i++)
                assert_true(filesystem_type_is_network(network[i]));
        for (size_t i = 0; i < ELEMENTSOF(local); i++)
                assert_false(filesystem_type_is_network(local[i]));
}

static void test_mountinfo(void **state)
{
        static const char text[] =
                "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                "36 22 0:30 / /mnt/with\\040space rw master:2 propagate_from:3 - fuse.sshfs a:/b rw\n"
                "361 22 0:31 / /x rw - tmpfs tmpfs rw\n"
                "40 22 0:32 / /broken\n"
                "41 22 0:33 / /last rw - nfs4 host:/ rw";
        static const struct {
                uint64_t id;
                const char *type;
        } cases[] = { { 22, "ext4" }, { 36, "fuse.sshfs" }, { 361, "tmpfs" },
                      { 40, NULL },   { 41, "nfs4" },       { 3, NULL } };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *type = mountinfo_type(text, cases[i].id);

                if (cases[i].type)
                        assert_string_equal(type, cases[i].type);
                else
                        assert_null(type);
        }
        assert_null(mountinfo_type("", 1));
        assert_null(mountinfo_type("\n\n", 0));
}

static void test_mounts_and_links(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *missing = tree_path(t, "spool/link/x/y"), *want = tree_path(t, "spool/c/x/y"),
                              *below = tree_path(t, "spool/queue.dat/x"), *resolved = NULL, *root = NULL;
        uint64_t a, b, proc;

        assert_int_equal(mount_find(t->root, &a), 0);
        assert_int_equal(mount_find(missing, &b), 0);
        assert_int_equal(a, b);
        assert_int_equal(mount_find("/proc/self", &proc), 0);
        if (a != 0)
                assert_int_not_equal(a, proc);
        assert_int_equal(mount_find(below, &b), -ENOTDIR);

        assert_int_equal(path_resolve(missing, &resolved), 0);
        assert_string_equal(resolved, want);
        assert_int_equal(path_resolve("/", &root), 0);
        assert_string_equal(root, "/");
        assert_int_equal(path_resolve(below, &root), -ENOTDIR);
        assert_string_equal(root, "/");
        assert_int_equal(filesystem_is_network("/proc"), 0);
        assert_int_equal(filesystem_is_network(missing), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_mountinfo),
                cmocka_unit_test_setup_teardown(test_mounts_and_links, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
