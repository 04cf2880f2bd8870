/* Tests of base/program.c. */
#include "base/cleanup.h"
#include "base/program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_find(void **state)
{
        _cleanup_(freep) char *sh = NULL, *absolute = NULL;
        char *none = NULL;

        (void)state;
        assert_int_equal(program_find("sh", &sh), 0);
        assert_int_equal(sh[0], '/');
        assert_int_equal(access(sh, X_OK), 0);
        assert_int_equal(program_find("/bin/sh", &absolute), 0);
        assert_string_equal(absolute, "/bin/sh");
        assert_int_equal(program_find("no-such-program-of-anybody", &none), -ENOENT);
        assert_int_equal(program_find("/no/such/program", &none), -ENOENT);
        assert_int_equal(program_find("/etc/passwd", &none), -EACCES);
        assert_int_equal(program_find("/etc", &none), -EACCES);
        assert_int_equal(program_find("bin/sh", &none), -EINVAL);
        assert_int_equal(program_find("", &none), -EINVAL);
        assert_null(none);
}

static void test_check(void **state)
{
        char *argv[] = { "/bin/sh", NULL }, *nothing[] = { NULL }, *path = NULL;
        const RunSpec good = { .name = "cause-1", .argv = argv, .timeout = USEC_PER_SEC };
        RunSpec s;

        (void)state;
        assert_int_equal(run_spec_check(&good, &path), 0);
        assert_string_equal(path, "/bin/sh");
        free(TAKE_PTR(path));
        s = good;
        s.name = "Bad Name";
        assert_int_equal(run_spec_check(&s, &path), -EINVAL);
        s.name = "";
        assert_int_equal(run_spec_check(&s, &path), -EINVAL);
        s = good;
        s.argv = nothing;
        assert_int_equal(run_spec_check(&s, &path), -EINVAL);
        s = good;
        s.timeout = 0;
        assert_int_equal(run_spec_check(&s, &path), -EINVAL);
        s.timeout = USEC_INFINITY;
        assert_int_equal(run_spec_check(&s, &path), -EINVAL);
        s = good;
        s.directory = "relative";
        assert_int_equal(run_spec_check(&s, &path), -EINVAL);
        assert_null(path);
}

static void test_environment(void **state)
{
        char *own[] = { "A=1", NULL };
        const RunSpec plain = { 0 }, asked = { .environment = own };
        char *const *e = run_spec_environment(&plain);

        (void)state;
        assert_string_equal(e[0], "PATH=" PROGRAM_PATH);
        assert_string_equal(e[1], "LANG=C.UTF-8");
        assert_null(e[2]);
        assert_ptr_equal(run_spec_environment(&asked), own);
}

static void test_input(void **state)
{
        char buf[16];
        int fd;

        (void)state;
        fd = program_input("some text");
        assert_true(fd >= 0);
        assert_int_equal(read(fd, buf, sizeof(buf)), 9);
        assert_memory_equal(buf, "some text", 9);
        close(fd);
        fd = program_input(NULL);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, buf, sizeof(buf)), 0);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_check),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_input),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
