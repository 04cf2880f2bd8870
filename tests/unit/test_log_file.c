/* log_file - positions that know what was read: another file at the same inode, a copy, a hole */
#include "observe/log_file.h"

#include "unit/observe_util.h"

typedef struct Fixture {
        char *dir;
        int dirfd;
        LogFile *f;
} Fixture;

static void content(const Fixture *t, const char *name, const char *data, size_t len)
{
        _cleanup_(closep) int fd = openat(t->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, len), (ssize_t)len);
}

static int setup(void **state)
{
        Fixture *t = calloc(1, sizeof(*t));

        t->dir = temp_new();
        t->dirfd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(log_file_new(&t->f, "a"), 0);
        *state = t;
        return 0;
}

static int teardown(void **state)
{
        Fixture *t = *state;

        assert_null(log_file_free(t->f));
        assert_null(log_file_free(NULL));
        closep(&t->dirfd);
        temp_remove(t->dir);
        free(t);
        return 0;
}

static void test_position(void **state)
{
        Fixture *t = *state;
        char big[10000];

        for (size_t i = 0; i < sizeof(big); i++)
                big[i] = (char)('a' + i * i % 23);
        content(t, "a", big, sizeof(big));
        assert_int_equal(log_file_open(t->f, t->dirfd, "a"), 0);
        assert_int_equal(log_file_check(t->f), 0);
        for (size_t at = 0, len = 1; at < 9000; at += len, len = len * 3 % 4999 + 1) {
                assert_int_equal(log_file_advance(t->f, big + at, len), 0);
                assert_int_equal(t->f->offset, at + len);
                assert_int_equal(log_file_check(t->f), 0);
        }
        /* Known by its digest alone, as after a restart. */
        log_file_close(t->f);
        assert_int_equal(log_file_open(t->f, t->dirfd, "a"), 0);
        assert_null(t->f->tail);
        assert_int_equal(log_file_check(t->f), 0);
        assert_non_null(t->f->tail);
        /* Written anew, as long as before: one byte before the offset differs. */
        big[t->f->offset - 1] ^= 1;
        content(t, "a", big, sizeof(big));
        assert_int_equal(log_file_check(t->f), LOG_FILE_E_OTHER);
        big[t->f->offset - 1] ^= 1;
        content(t, "a", big, sizeof(big));
        assert_int_equal(log_file_check(t->f), 0);
        big[0] ^= 1; /* or the first one */
        content(t, "a", big, sizeof(big));
        assert_int_equal(log_file_check(t->f), LOG_FILE_E_OTHER);
        content(t, "a", big, 10); /* or it is too short */
        assert_int_equal(log_file_check(t->f), LOG_FILE_E_OTHER);
}

static void test_copy(void **state)
{
        Fixture *t = *state;
        LogFile *copy, *next;

        content(t, "a", "one\ntwo\nthree\n", 14);
        content(t, "b", "one\ntwo\nthree\nfour\n", 19);
        content(t, "c", "one\n", 4);
        assert_int_equal(log_file_open(t->f, t->dirfd, "a"), 0);
        assert_int_equal(log_file_advance(t->f, "one\ntwo\n", 8), 0);
        assert_int_equal(log_file_new(&copy, "b"), 0);
        assert_int_equal(log_file_open(copy, t->dirfd, "b"), 0);
        assert_int_equal(log_file_check_copy(t->f, copy), 0);
        assert_true(log_file_begins_alike(t->f, copy));
        assert_int_equal(log_file_adopt(copy, t->f), 0);
        assert_int_equal(copy->offset, 8);
        assert_int_equal(log_file_check(copy), 0);
        assert_int_equal(log_file_new(&next, "c"), 0);
        assert_int_equal(log_file_open(next, t->dirfd, "c"), 0);
        assert_int_equal(log_file_check_copy(t->f, next), LOG_FILE_E_OTHER); /* not yet */
        assert_true(log_file_begins_alike(t->f, next));
        content(t, "c", "ten\n", 4);
        assert_false(log_file_begins_alike(t->f, next));
        log_file_free(next);
        log_file_free(copy);
}

static void test_end(void **state)
{
        Fixture *t = *state;

        content(t, "a", "one\ntw", 6);
        assert_int_equal(log_file_open(t->f, t->dirfd, "a"), 0);
        assert_int_equal(log_file_skip_to_end(t->f), 0);
        assert_int_equal(t->f->offset, 6);
        assert_true(t->f->middle);
        assert_int_equal(log_file_check(t->f), 0);
        content(t, "a", "", 0);
        assert_int_equal(log_file_skip_to_end(t->f), 0);
        assert_int_equal(t->f->offset, 0);
}

/* A writer without O_APPEND goes on where it was after the file was truncated. */
static void test_hole(void **state)
{
        Fixture *t = *state;
        char buffer[512];
        LogFile *other;
        int fd;

        content(t, "a", "", 0);
        fd = openat(t->dirfd, "a", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "text\n", 5, 100001), 5);
        assert_int_equal(log_file_open(t->f, t->dirfd, "a"), 0);
        assert_int_equal(log_file_find_hole(t->f, buffer, sizeof(buffer)), 0);
        assert_int_equal(t->f->hole, 100001);
        assert_int_equal(log_file_place(t->f), 100001);
        assert_int_equal(log_file_advance(t->f, "text\n", 5), 0);
        assert_int_equal(log_file_place(t->f), 100006);
        assert_int_equal(log_file_head_len(t->f), 5);
        assert_int_equal(log_file_check(t->f), 0);
        /* Another with another hole, or with none, is another. */
        close(fd);
        content(t, "b", "", 0);
        fd = openat(t->dirfd, "b", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "text\n", 5, 70000), 5);
        assert_int_equal(log_file_new(&other, "b"), 0);
        assert_int_equal(log_file_open(other, t->dirfd, "b"), 0);
        assert_false(log_file_begins_alike(t->f, other));
        log_file_free(other);
        close(fd);
}

/* What is no regular file is not opened, and nothing waits for a FIFO's writer. */
static void test_hostile(void **state)
{
        Fixture *t = *state;

        assert_int_equal(log_file_open(t->f, t->dirfd, "nothing"), LOG_FILE_E_NONE);
        assert_int_equal(mkfifoat(t->dirfd, "fifo", 0600), 0);
        assert_int_equal(log_file_open(t->f, t->dirfd, "fifo"), LOG_FILE_E_NONE);
        content(t, "secret", "x", 1);
        assert_int_equal(symlinkat("secret", t->dirfd, "link"), 0);
        assert_int_equal(log_file_open(t->f, t->dirfd, "link"), LOG_FILE_E_NONE);
        assert_int_equal(log_file_open(t->f, t->dirfd, "."), LOG_FILE_E_NONE);
        assert_int_equal(t->f->fd, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_position), TEST(test_copy), TEST(test_end), TEST(test_hole), TEST(test_hostile),
        };

        return cmocka_run_group_tests_name("observe/log_file", tests, NULL, NULL);
}
