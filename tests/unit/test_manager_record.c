/* Tests of act/manager_record.c: written, read, refused. */
#include "act/manager_record.h"
#include "base/cleanup.h"
#include "fake/manager_bed.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static ManagerBed bed;

static int setup(void **state)
{
        (void)state;
        manager_bed_init(&bed);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        manager_bed_deinit(&bed);
        return 0;
}

static void a_record_comes_back(void **state)
{
        EmbeddedRecord r = { .main = { 4711, 99 },
                             .cgroup = (char *)"/unjam-imc",
                             .invocation = (char *)"00ff",
                             .started = 123456,
                             .stopping = true };
        EmbeddedRecord back = { 0 };

        (void)state;
        assert_int_equal(embedded_record_read(bed.run_dir, "imc", &back), EMBEDDED_RECORD_E_NONE);
        assert_int_equal(embedded_record_write(bed.run_dir, "imc", &r), 0);
        assert_int_equal(embedded_record_read(bed.run_dir, "imc", &back), 0);
        assert_int_equal(back.main.pid, 4711);
        assert_int_equal(back.main.start, 99);
        assert_string_equal(back.cgroup, "/unjam-imc");
        assert_string_equal(back.invocation, "00ff");
        assert_int_equal(back.started, 123456);
        assert_true(back.stopping);
        embedded_record_deinit(&back);
}

/* Writes @text where the record is. */
static int read_text(const char *text)
{
        EmbeddedRecord back = { 0 };
        char path[256];

        snprintf(path, sizeof(path), "%s/embedded", bed.run_dir);
        (void)mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/embedded/imc.json", bed.run_dir);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        int r = embedded_record_read(bed.run_dir, "imc", &back);
        embedded_record_deinit(&back);
        return r;
}

static void another_boots_record_is_none(void **state)
{
        (void)state;
        assert_int_equal(
                read_text("{\"boot\":\"0123\",\"invocation\":\"a\",\"pid\":1,\"start\":2,\"started\":3}"),
                EMBEDDED_RECORD_E_NONE);
}

static void garbage_is_an_error(void **state)
{
        (void)state;
        assert_int_equal(read_text(""), -EBADMSG);
        assert_int_equal(read_text("[1]"), -EBADMSG);
        assert_int_equal(read_text("{\"boot\":\"x\"}"), -EBADMSG);
        assert_int_equal(
                read_text("{\"boot\":\"x\",\"invocation\":\"a\",\"pid\":-1,\"start\":2,\"started\":3}"),
                -EBADMSG);
        assert_int_equal(read_text("{\"boot\":\"x\",\"invocation\":\"a\",\"started\":3}"), -EBADMSG);
        assert_int_equal(
                read_text(
                        "{\"boot\":\"x\",\"invocation\":\"a\",\"pid\":9999999999,\"start\":2,\"started\":3}"),
                -EBADMSG);
}

static void names_stay_in_the_directory(void **state)
{
        EmbeddedRecord r = { .main = { 1, 1 }, .invocation = (char *)"a" }, back;

        (void)state;
        assert_int_equal(embedded_record_write(bed.run_dir, "../x", &r), -EINVAL);
        assert_int_equal(embedded_record_read(bed.run_dir, "../x", &back), -EINVAL);
        assert_int_equal(embedded_record_read(bed.run_dir, ".x", &back), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_record_comes_back, setup, teardown),
                cmocka_unit_test_setup_teardown(another_boots_record_is_none, setup, teardown),
                cmocka_unit_test_setup_teardown(garbage_is_an_error, setup, teardown),
                cmocka_unit_test_setup_teardown(names_stay_in_the_directory, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
