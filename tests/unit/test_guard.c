/* Tests of act/guard.c: the marker, the drop-ins and the permit, on real files. */
#include "act/guard.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "fake/manager_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Files {
        ManagerBed bed;
        GuardPaths paths;
} Files;

static int setup(void **state)
{
        Files *f = calloc(1, sizeof(*f));

        manager_bed_init(&f->bed);
        f->paths = (GuardPaths){
                .disk = disk_posix(),
                .service = strdup("imc"),
                .state_dir = strdup(f->bed.state_dir),
                .run_dir = strdup(f->bed.run_dir),
                .unit_dir = strdup(f->bed.unit_dir),
                .runtime_unit_dir = strdup(f->bed.runtime_unit_dir),
        };
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Files *f = *state;

        guard_paths_deinit(&f->paths);
        manager_bed_deinit(&f->bed);
        free(f);
        return 0;
}

static bool exists(const char *dir, const char *path)
{
        char full[512];
        struct stat st;

        snprintf(full, sizeof(full), "%s/%s", dir, path);
        return lstat(full, &st) == 0;
}

static char *text_of(const char *dir, const char *sub, const char *name)
{
        char full[512];

        snprintf(full, sizeof(full), "%s/%s", dir, sub);
        return manager_bed_read(full, name);
}

static void marker_comes_back_as_written(void **state)
{
        Files *f = *state;
        GuardMarker m = { .incident = (char *)"20261122-7",
                          .units = (char *[]){ (char *)"a@b.service", (char *)"c.socket", NULL },
                          .triggers = (char *[]){ (char *)"c.socket", NULL } };
        GuardMarker back;

        assert_int_equal(guard_marker_read(&f->paths, &back), GUARD_E_NONE);
        assert_int_equal(guard_marker_write(&f->paths, &m), 0);
        assert_true(exists(f->bed.state_dir, "guard/imc"));
        assert_int_equal(guard_marker_read(&f->paths, &back), 0);
        assert_string_equal(back.incident, "20261122-7");
        assert_int_equal(strv_length(back.units), 2);
        assert_string_equal(back.units[1], "c.socket");
        assert_int_equal(strv_length(back.triggers), 1);
        guard_marker_deinit(&back);

        assert_int_equal(guard_marker_remove(&f->paths), 0);
        assert_int_equal(guard_marker_remove(&f->paths), 0);
        assert_int_equal(guard_marker_read(&f->paths, &back), GUARD_E_NONE);
}

static void marker_that_is_garbage_is_an_error(void **state)
{
        static const char *const bad[] = { "",
                                           "{",
                                           "[]",
                                           "{\"incident\":7}",
                                           "{\"incident\":\"x\",\"units\":7}",
                                           "{\"incident\":\"x\",\"triggers\":[7]}" };
        Files *f = *state;
        GuardMarker m;
        char path[512];

        snprintf(path, sizeof(path), "%s/guard", f->bed.state_dir);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/guard/imc", f->bed.state_dir);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                assert_int_equal(write(fd, bad[i], strlen(bad[i])), strlen(bad[i]));
                close(fd);
                assert_int_equal(guard_marker_read(&f->paths, &m), -EBADMSG);
        }
}

static void dropins_say_who_may_start_the_unit(void **state)
{
        Files *f = *state;
        char want[1024];
        bool changed = false;

        assert_int_equal(guard_dropins_write(&f->paths, "a@b\\x2dc.service", "I1", GUARD_CONDITION, &changed),
                         0);
        assert_true(changed);
        _cleanup_(freep) char *text = text_of(f->bed.unit_dir, "a@b\\x2dc.service.d", GUARD_DROPIN);
        assert_non_null(text);
        snprintf(want, sizeof(want),
                 "[Unit]\nAfter=unjamd.service\nConditionPathExists=|!%s/guard/imc\nConditionPathExists=|%s/"
                 "permit/imc\n",
                 f->bed.state_dir, f->bed.run_dir);
        assert_non_null(strstr(text, want));
        assert_non_null(strstr(text, "incident I1"));
        _cleanup_(freep) char *restart =
                text_of(f->bed.runtime_unit_dir, "a@b\\x2dc.service.d", GUARD_RESTART_DROPIN);
        assert_non_null(strstr(restart, "[Service]\nRestart=no\n"));

        /* The same again changes nothing, so needs no reload; another incident does. */
        changed = false;
        assert_int_equal(guard_dropins_write(&f->paths, "a@b\\x2dc.service", "I1", GUARD_CONDITION, &changed),
                         0);
        assert_false(changed);
        assert_int_equal(guard_dropins_write(&f->paths, "a@b\\x2dc.service", "I2", GUARD_ASSERT, &changed),
                         0);
        assert_true(changed);
        _cleanup_(freep) char *hard = text_of(f->bed.unit_dir, "a@b\\x2dc.service.d", GUARD_DROPIN);
        assert_non_null(strstr(hard, "AssertPathExists=|!"));
        assert_null(strstr(hard, "Condition"));

        changed = false;
        assert_int_equal(guard_dropins_remove(&f->paths, "a@b\\x2dc.service", &changed), 0);
        assert_true(changed);
        assert_false(exists(f->bed.unit_dir, "a@b\\x2dc.service.d"));
        assert_false(exists(f->bed.runtime_unit_dir, "a@b\\x2dc.service.d"));
        changed = false;
        assert_int_equal(guard_dropins_remove(&f->paths, "a@b\\x2dc.service", &changed), 0);
        assert_false(changed);
}

static void triggers_are_not_ordered_and_have_no_restart(void **state)
{
        Files *f = *state;
        bool changed = false;

        assert_int_equal(guard_dropins_write(&f->paths, "imc.socket", "I1", GUARD_CONDITION, &changed), 0);
        _cleanup_(freep) char *text = text_of(f->bed.unit_dir, "imc.socket.d", GUARD_DROPIN);
        assert_non_null(strstr(text, "ConditionPathExists=|!"));
        assert_null(strstr(text, "After="));
        assert_false(exists(f->bed.runtime_unit_dir, "imc.socket.d"));
}

static void dropins_of_others_stay(void **state)
{
        Files *f = *state;
        char path[512];
        bool changed = false;

        assert_int_equal(guard_dropins_write(&f->paths, "imc.service", "I1", GUARD_CONDITION, &changed), 0);
        snprintf(path, sizeof(path), "%s/imc.service.d/override.conf", f->bed.unit_dir);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        assert_int_equal(guard_dropins_remove(&f->paths, "imc.service", &changed), 0);
        assert_true(exists(f->bed.unit_dir, "imc.service.d/override.conf"));
        assert_false(exists(f->bed.unit_dir, "imc.service.d/" GUARD_DROPIN));
}

static void percent_in_a_path_is_no_specifier(void **state)
{
        Files *f = *state;
        char path[512];
        bool changed = false;

        free(f->paths.run_dir);
        snprintf(path, sizeof(path), "%s/100%%n", f->bed.dir);
        f->paths.run_dir = strdup(path);
        assert_int_equal(guard_dropins_write(&f->paths, "imc.service", "I1", GUARD_CONDITION, &changed), 0);
        _cleanup_(freep) char *text = text_of(f->bed.unit_dir, "imc.service.d", GUARD_DROPIN);
        assert_non_null(strstr(text, "/100%%n/permit/imc\n"));
}

static void permit_comes_and_goes(void **state)
{
        Files *f = *state;

        assert_int_equal(guard_permit(&f->paths, false), 0);
        assert_int_equal(guard_permit(&f->paths, true), 0);
        assert_int_equal(guard_permit(&f->paths, true), 0);
        assert_true(exists(f->bed.run_dir, "permit/imc"));
        assert_int_equal(guard_permit(&f->paths, false), 0);
        assert_false(exists(f->bed.run_dir, "permit/imc"));
}

static void names_that_are_no_file_names_are_refused(void **state)
{
        static const char *const bad[] = { "", ".", "..", ".x", "a/b", "../x" };
        Files *f = *state;
        GuardMarker m = { .incident = (char *)"I" };
        bool changed = false;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(guard_dropins_write(&f->paths, bad[i], "I", GUARD_CONDITION, &changed),
                                 -EINVAL);
                assert_int_equal(guard_dropins_remove(&f->paths, bad[i], &changed), -EINVAL);
                free(f->paths.service);
                f->paths.service = strdup(bad[i]);
                assert_int_equal(guard_marker_write(&f->paths, &m), -EINVAL);
                assert_int_equal(guard_marker_remove(&f->paths), -EINVAL);
                assert_int_equal(guard_permit(&f->paths, true), -EINVAL);
                assert_int_equal(guard_dropins_write(&f->paths, "x.service", "I", GUARD_CONDITION, &changed),
                                 -EINVAL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(marker_comes_back_as_written, setup, teardown),
                cmocka_unit_test_setup_teardown(marker_that_is_garbage_is_an_error, setup, teardown),
                cmocka_unit_test_setup_teardown(dropins_say_who_may_start_the_unit, setup, teardown),
                cmocka_unit_test_setup_teardown(triggers_are_not_ordered_and_have_no_restart, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(dropins_of_others_stay, setup, teardown),
                cmocka_unit_test_setup_teardown(percent_in_a_path_is_no_specifier, setup, teardown),
                cmocka_unit_test_setup_teardown(permit_comes_and_goes, setup, teardown),
                cmocka_unit_test_setup_teardown(names_that_are_no_file_names_are_refused, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
