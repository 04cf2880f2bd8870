/* Tests of record/trail.c: order of the files, long lines, rotation with a gap, a rotation while reading. */
#include "trail_helper.h"

#include "record/trail.h"

static void put(const Fixture *f, const char *suffix, const char *text)
{
        char path[128];

        snprintf(path, sizeof(path), "%s%s", f->path, suffix);
        fixture_write(path, text, strlen(text));
}

static int directory(const Fixture *f)
{
        int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void expect_lines(const Fixture *f, const char *want)
{
        Trail *t = NULL;
        TrailLine l;
        char got[256] = "";

        assert_int_equal(trail_open(&t, f->path), 0);
        while (trail_next(t, &l) == 0) {
                strncat(got, l.text, sizeof(got) - strlen(got) - 1);
                strncat(got, l.torn ? "~" : " ", sizeof(got) - strlen(got) - 1);
        }
        assert_string_equal(got, want);
        trail_free(t);
}

static void test_oldest_first(void **state)
{
        Fixture *f = *state;

        expect_lines(f, "");
        put(f, "", "e\nf");
        put(f, ".1", "d\n");
        put(f, ".2", "");
        put(f, ".10", "a\nb\n");
        put(f, ".3", "c\n");
        put(f, ".x", "no\n");
        put(f, ".03", "no\n");
        put(f, "1", "no\n");
        expect_lines(f, "a b c d e f~");
}

static void test_places(void **state)
{
        Fixture *f = *state;
        char rotated[128];
        Trail *t = NULL;
        TrailLine l;

        put(f, "", "c\n");
        put(f, ".1", "a\nb\n");
        snprintf(rotated, sizeof(rotated), "%s.1", f->path);
        assert_int_equal(trail_open(&t, f->path), 0);
        assert_int_equal(trail_next(t, &l), 0);
        assert_int_equal(trail_next(t, &l), 0);
        assert_string_equal(l.file, rotated);
        assert_int_equal(l.number, 2);
        assert_int_equal(trail_next(t, &l), 0);
        assert_string_equal(l.file, f->path);
        assert_int_equal(l.number, 1);
        assert_int_equal(trail_next(t, &l), TRAIL_E_END);
        assert_int_equal(trail_next(t, &l), TRAIL_E_END);
        trail_free(t);
}

static void test_a_long_line(void **state)
{
        Fixture *f = *state;
        size_t len = 3 << 20;
        char *text = malloc(len + 1);
        Trail *t = NULL;
        TrailLine l;

        assert_non_null(text);
        memset(text, 'x', len);
        text[len - 1] = '\n';
        fixture_write(f->path, text, len);
        free(text);
        assert_int_equal(trail_open(&t, f->path), 0);
        assert_int_equal(trail_next(t, &l), 0);
        assert_int_equal(l.len, len - 1);
        trail_free(t);
}

static void test_rotation_closes_a_gap(void **state)
{
        Fixture *f = *state;
        unsigned *numbers;
        int fd = directory(f);
        size_t n;

        put(f, "", "d\n");
        put(f, ".1", "c\n");
        put(f, ".3", "b\n");
        put(f, ".4", "a\n");
        assert_int_equal(trail_rotate(disk_posix(), fd, "audit.jsonl"), 0);
        expect_lines(f, "a b c d ");
        put(f, "", "e\n");
        assert_int_equal(trail_rotate(disk_posix(), fd, "audit.jsonl"), 0);
        assert_int_equal(trail_list(fd, "audit.jsonl", &numbers, &n), 0);
        assert_int_equal(n, 5);
        assert_int_equal(numbers[0], 5);
        free(numbers);
        assert_int_equal(trail_prune(disk_posix(), fd, "audit.jsonl", 2), 0);
        expect_lines(f, "d e ");
        close(fd);
}

static void test_a_rotation_while_reading(void **state)
{
        Fixture *f = *state;
        int fd = directory(f);
        Trail *t = NULL;
        TrailLine l;

        put(f, "", "b\n");
        put(f, ".1", "a\n");
        assert_int_equal(trail_open(&t, f->path), 0);
        assert_int_equal(trail_rotate(disk_posix(), fd, "audit.jsonl"), 0);
        assert_int_equal(trail_prune(disk_posix(), fd, "audit.jsonl", 1), 0);
        assert_int_equal(trail_next(t, &l), 0);
        assert_string_equal(l.text, "a");
        assert_int_equal(trail_next(t, &l), 0);
        assert_string_equal(l.text, "b");
        assert_int_equal(trail_next(t, &l), TRAIL_E_END);
        trail_free(t);
        close(fd);
}

static void test_no_regular_file(void **state)
{
        Fixture *f = *state;
        Trail *t = NULL;

        assert_int_equal(mkfifo(f->path, 0600), 0);
        assert_int_equal(trail_open(&t, f->path), -EBADF);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_oldest_first, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_places, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_long_line, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_rotation_closes_a_gap, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_rotation_while_reading, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_no_regular_file, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("trail", tests, NULL, NULL);
}
