/* pressure - what the kernel says of waiting. */
#include "base/cleanup.h"
#include "base/pressure.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_texts(void **state)
{
        PressureShare s;

        (void)state;
        assert_true(pressure_parse("some avg10=99.37 avg60=98.95 avg300=83.58 total=570063485\n"
                                   "full avg10=3.05 avg60=0.00 avg300=0.00 total=0\n",
                                   &s));
        assert_int_equal(s.some, 9937);
        assert_int_equal(s.full, 305);
        assert_true(pressure_parse("some avg10=100.00 avg60=0.00 avg300=0.00 total=1\n", &s));
        assert_int_equal(s.some, 10000);
        assert_int_equal(s.full, 0);
        assert_false(pressure_parse("", &s));
        assert_false(pressure_parse("some avg10=x", &s));
}

static void put(int dir, const char *name, const char *text)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        close(fd);
}

static void test_the_worse_of_both(void **state)
{
        char root[] = "/tmp/unjam-pressure-XXXXXX";
        Pressure p = { 0 };
        int dir;

        (void)state;
        assert_non_null(mkdtemp(root));
        dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pressure_add(dir, "", &p);
        assert_false(p.known);
        put(dir, "memory", "some avg10=10.00 a\nfull avg10=1.00 b\n");
        put(dir, "memory.pressure", "some avg10=5.00 a\nfull avg10=4.00 b\n");
        put(dir, "io.pressure", "garbage");
        pressure_add(dir, "", &p);
        pressure_add(dir, ".pressure", &p);
        assert_true(p.known);
        assert_int_equal(p.memory.some, 1000);
        assert_int_equal(p.memory.full, 400);
        assert_int_equal(p.io.some, 0);
        unlinkat(dir, "memory", 0);
        unlinkat(dir, "memory.pressure", 0);
        unlinkat(dir, "io.pressure", 0);
        close(dir);
        rmdir(root);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_the_worse_of_both),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
