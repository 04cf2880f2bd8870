/* Tests of config/places.c. */
#include "config_tree.h"
#include "model/layout.h"

static void test_faults(void **state)
{
        tree_expect(*state, "faults/places.conf.in");
}

/* A probe of renames whose answer is told beforehand. */
typedef struct FakeProbe {
        int answer;
        unsigned n;
        char dir[PATH_MAX], hold[PATH_MAX];
} FakeProbe;

static int fake_probe(void *userdata, const char *dir, const char *hold)
{
        FakeProbe *p = userdata;

        p->n++;
        assert_true(strlen(dir) < sizeof(p->dir) && strlen(hold) < sizeof(p->hold));
        strcpy(p->dir, dir);
        strcpy(p->hold, hold);
        return p->answer;
}

/* A service with one store in spool/a; @mode and @hold are text of the configuration. */
static void write_store(Tree *t, const char *mode, const char *hold)
{
        _cleanup_(freep) char *text = NULL;

        assert_true(asprintf(&text,
                             "mode = \"%s\"; state_dir = \"%s/state\";\nservices = ( { name = \"x\"; unit = "
                             "\"x\";\n"
                             "stores = ( { name = \"s\"; dirs = [\n\"%s/spool/a\" ];\n%s } ); } );",
                             mode, t->root, t->root, hold) > 0);
        tree_write(t, "unjamd.conf", text);
}

static void test_default_hold_is_probed(void **state)
{
        Tree *t = *state;
        FakeProbe probe = {};
        const ConfigChecks checks = { .userdata = &probe, .probe_rename = fake_probe };
        _cleanup_(freep) char *dir = tree_path(t, "spool/a"), *hold = tree_path(t, "state/hold/x/s");
        _cleanup_(settings_unrefp) Settings *s = NULL;

        write_store(t, "act", "");
        s = tree_load(t, 0, &checks);
        assert_int_equal(probe.n, 1);
        assert_string_equal(probe.dir, dir);
        assert_string_equal(probe.hold, hold);
        assert_string_equal(s->services[0].stores[0].hold, hold);

        probe.answer = -EXDEV;
        tree_fault(t, 0, &checks, 4, "hold: must be given, files cannot be renamed between");
        /* Nothing is probed for who only reads, or only observes. */
        probe.n = 0;
        settings_unref(tree_load(t, CONFIG_READ_ONLY, &checks));
        settings_unref(tree_load(t, CONFIG_DRY_RUN, &checks));
        write_store(t, "observe", "");
        settings_unref(tree_load(t, 0, &checks));
        assert_int_equal(probe.n, 0);
}

static void test_given_hold_is_probed(void **state)
{
        Tree *t = *state;
        FakeProbe probe = { .answer = -EROFS };
        const ConfigChecks checks = { .userdata = &probe, .probe_rename = fake_probe };
        _cleanup_(freep) char *hold = NULL;

        assert_true(asprintf(&hold, "hold = \"%s/spool/link/../.unjam\";", t->root) > 0);
        write_store(t, "act", hold);
        tree_fault(t, 0, &checks, 5, "has \"..\" in it");
        free(hold);
        assert_true(asprintf(&hold, "hold = \"%s/spool/link/.unjam\";", t->root) > 0);
        write_store(t, "act", hold);
        tree_fault(t, 0, &checks, 5,
                   "(Read-only file system); write a directory on the same mount, and writable");
        /* Links above it are resolved, so that open files are found in it by their path. */
        assert_non_null(strstr(probe.hold, "/spool/c/.unjam"));
        assert_null(strstr(probe.hold, "link"));

        /* A full disk says nothing about the configuration. */
        probe.answer = -ENOSPC;
        settings_unref(tree_load(t, 0, &checks));
        /* No memory is no fault of the file. */
        probe.answer = -ENOMEM;
        {
                ConfigFaults faults = {};
                Settings *s = NULL;

                assert_int_equal(config_load(t->file, 0, &checks, &s, &faults), -ENOMEM);
                assert_int_equal(faults.n, 0);
                assert_null(s);
        }
}

/* Observe mode moves nothing, and still says that a hold could not work. */
static void test_hold_on_another_mount(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *hold = NULL;
        struct stat a, b;

        if (stat("/dev/shm", &a) < 0 || stat(t->root, &b) < 0 || a.st_dev == b.st_dev) {
                print_message("no second mount to try it on\n");
                skip();
        }
        write_store(t, "observe", "hold = \"/dev/shm/unjam-config-test\";");
        tree_fault(t, 0, NULL, 5, "hold: files cannot be renamed between");
        write_store(t, "act", "hold = \"/dev/shm/unjam-config-test\";");
        tree_fault(t, 0, NULL, 5, "(Invalid cross-device link)");
        settings_unref(tree_load(t, CONFIG_READ_ONLY | CONFIG_DRY_RUN, NULL));
}

/* There, no hold could be outside of the store and on its mount. */
static void test_store_is_a_mount_point(void **state)
{
        Tree *t = *state;
        FakeProbe probe = { .answer = -EXDEV };
        const ConfigChecks checks = { .userdata = &probe, .probe_rename = fake_probe };
        struct stat a, b;

        if (stat("/dev/shm", &a) < 0 || stat("/dev", &b) < 0 || a.st_dev == b.st_dev) {
                print_message("/dev/shm is no mount point\n");
                skip();
        }
        tree_write(t, "unjamd.conf",
                   "mode = \"act\"; services = ( { name = \"x\"; unit = \"x\"; stores = (\n"
                   "{ name = \"s\"; dirs = [ \"/dev/shm\" ]; } ); } );");
        tree_fault(t, 0, &checks, 2,
                   "because it is a mount point itself; let the server use a directory below");
}

static void test_rebuildable_on_another_mount(void **state)
{
        Tree *t = *state;
        _cleanup_(freep) char *more = NULL;
        struct stat a, b;

        if (stat("/dev/shm", &a) < 0 || stat(t->root, &b) < 0 || a.st_dev == b.st_dev) {
                print_message("no second mount to try it on\n");
                skip();
        }
        assert_true(asprintf(&more, "hold = \"%s/hold\"; rebuildable = [ \"/dev/shm/x/queue.dat\" ];",
                             t->root) > 0);
        write_store(t, "observe", more);
        tree_fault(t, 0, NULL, 5, "rebuildable: \"/dev/shm/x/queue.dat\" is on another mount than hold");
}

/* What is purged from among messages is no message: it is excluded, by a pattern that matches
 * nothing else. */
static void test_rebuildable_is_excluded(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *more = NULL;
        char **exclude;

        assert_true(asprintf(&more,
                             "exclude = [ \"*.lock\" ]; rebuildable = [ \"%s/spool/a/x.lock\", "
                             "\"%s/spool/a/sub/in*dex\" ];\n"
                             "rebuild = ( { path = \"%s/spool/a/db\"; command = [ \"x\" ]; } );",
                             t->root, t->root, t->root) > 0);
        write_store(t, "observe", more);
        s = tree_load(t, 0, NULL);
        exclude = s->services[0].stores[0].exclude;
        assert_string_equal(exclude[0], "*.lock");
        assert_string_equal(exclude[1], "sub/in\\*dex");
        assert_string_equal(exclude[2], "db");
        assert_null(exclude[3]);
        assert_true(path_is_ignored(exclude, "sub/in*dex"));
        assert_false(path_is_ignored(exclude, "sub/in-dex"));
}

static void test_missing_directory(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *a = tree_path(t, "spool/a"), *hold = tree_path(t, "state/hold/x/s");

        assert_int_equal(rmdir(a), 0);
        write_store(t, "act", "");
        tree_fault(t, 0, NULL, 4, "dirs: there is no directory");
        s = tree_load(t, CONFIG_READ_ONLY, NULL);
        assert_string_equal(s->services[0].stores[0].dirs[0], a);
        assert_string_equal(s->services[0].stores[0].hold, hold);
}

/* A directory reached through a link above it is written as the kernel shows it. */
static void test_links_above_are_resolved(void **state)
{
        Tree *t = *state;
        _cleanup_(settings_unrefp) Settings *s = NULL;
        _cleanup_(freep) char *text = NULL, *want = tree_path(t, "spool/c/sub");

        tree_mkdir(t, "spool/c/sub");
        assert_true(asprintf(&text,
                             "services = ( { name = \"x\"; unit = \"x\"; stores = ( { name = \"s\"; dirs = [ "
                             "\"%s/spool/link/sub\" ]; } ); } );",
                             t->root) > 0);
        tree_write(t, "unjamd.conf", text);
        s = tree_load(t, 0, NULL);
        assert_string_equal(s->services[0].stores[0].dirs[0], want);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_faults, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_default_hold_is_probed, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_given_hold_is_probed, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_hold_on_another_mount, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_store_is_a_mount_point, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_rebuildable_on_another_mount, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_rebuildable_is_excluded, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_missing_directory, tree_setup, tree_teardown),
                cmocka_unit_test_setup_teardown(test_links_above_are_resolved, tree_setup, tree_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
