/* log_family - which files of a log hold lines that were not read yet, after any rotation */
#include "observe/log_family.h"

#include "unit/observe_util.h"

#include <sys/time.h>

typedef struct Fixture {
        char *dir;
        char log[256];
        LogFamily y;
} Fixture;

static int setup(void **state)
{
        Fixture *t = calloc(1, sizeof(*t));

        t->dir = temp_new();
        snprintf(t->log, sizeof(t->log), "%s/mail.log", t->dir);
        assert_int_equal(log_family_init(&t->y, t->log), 0);
        *state = t;
        return 0;
}

static int teardown(void **state)
{
        Fixture *t = *state;

        log_family_deinit(&t->y);
        temp_remove(t->dir);
        free(t);
        return 0;
}

static void put(const Fixture *t, const char *name, const char *text)
{
        _cleanup_(closep) int fd = open(in(t->dir, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void move(const Fixture *t, const char *from, const char *to)
{
        char old[256];

        snprintf(old, sizeof(old), "%s", in(t->dir, from));
        assert_int_equal(rename(old, in(t->dir, to)), 0);
}

/* All that can be read now, "NAME:TEXT|...", by name; then it counts as judged. */
static const char *read_all(Fixture *t)
{
        static char out[2048];
        const char *names[] = { "mail.log.3", "mail.log.2", "mail.log.1", "mail.log" };

        assert_true(log_family_look(&t->y) >= 0);
        out[0] = '\0';
        for (size_t k = 0; k < ELEMENTSOF(names); k++)
                for (size_t i = 0; i < t->y.n; i++) {
                        LogFile *f = t->y.files[i];
                        char text[512];
                        ssize_t n;

                        if (f->role != LOG_FILE_READ || f->fd < 0 || !f->name ||
                            strcmp(f->name, names[k]) != 0)
                                continue;
                        n = pread(f->fd, text, sizeof(text) - 1, (off_t)f->offset);
                        assert_true(n >= 0);
                        if (log_file_check(f) == LOG_FILE_E_OTHER) {
                                assert_int_equal(log_family_truncated(&t->y, f), 0);
                                return read_all(t);
                        }
                        text[n] = '\0';
                        assert_int_equal(log_file_advance(f, text, (size_t)n), 0);
                        if (n > 0)
                                snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s:%s|", f->name,
                                         text);
                }
        return out;
}

static size_t n_ghosts(const Fixture *t)
{
        size_t n = 0;

        for (size_t i = 0; i < t->y.n; i++)
                n += t->y.files[i]->role == LOG_FILE_GHOST;
        return n;
}

static void test_names(void **state)
{
        (void)state;
        assert_true(log_family_has("mail.log", "mail.log"));
        assert_true(log_family_has("mail.log", "mail.log.1"));
        assert_true(log_family_has("mail.log", "mail.log.2.gz"));
        assert_true(log_family_has("mail.log", "mail.log-20261128"));
        assert_true(log_family_has("mail.log", "mail-20261128.log"));
        assert_true(log_family_has("mail.log", "mail-20261128.log.xz"));
        assert_true(log_family_has("mail.log", "mail.log.old"));
        assert_true(log_family_has("mainlog", "mainlog.1"));
        assert_false(log_family_has("mail.log", "mail.err"));
        assert_false(log_family_has("mail.log", "mail.log.lock"));
        assert_false(log_family_has("mail.log", "mail.log1"));
        assert_false(log_family_has("mail.log", "mail.err.1"));
        assert_false(log_family_has("mail.log", "xmail.log.1"));
        assert_false(log_family_has("mail.log", "."));
}

static void test_rename(void **state)
{
        Fixture *t = *state;

        put(t, "mail.log.1", "old\n");
        put(t, "mail.log", "history\n");
        assert_string_equal(read_all(t), "");
        put(t, "mail.log", "one\n");
        assert_string_equal(read_all(t), "mail.log:one\n|");
        /* Three times while nobody looked. */
        put(t, "mail.log", "two\n");
        move(t, "mail.log.1", "mail.log.2");
        move(t, "mail.log", "mail.log.1");
        put(t, "mail.log", "three\n");
        move(t, "mail.log.2", "mail.log.3");
        move(t, "mail.log.1", "mail.log.2");
        move(t, "mail.log", "mail.log.1");
        put(t, "mail.log", "four\n");
        assert_string_equal(read_all(t), "mail.log.2:two\n|mail.log.1:three\n|mail.log:four\n|");
        put(t, "mail.log.1", "late\n");
        assert_string_equal(read_all(t), "mail.log.1:late\n|");
        assert_int_equal(n_ghosts(t), 0);
}

static void copy(const Fixture *t, const char *from, const char *to)
{
        char *data;
        _cleanup_(closep) int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_read(fd, from, 100000, &data, NULL), 0);
        put(t, to, data);
        free(data);
}

static void test_copytruncate(void **state)
{
        Fixture *t = *state;

        put(t, "mail.log", "history\n");
        assert_string_equal(read_all(t), "");
        put(t, "mail.log", "one\n");
        assert_string_equal(read_all(t), "mail.log:one\n|");
        /* The copy alone says nothing, however often one looks, also while it grows. */
        put(t, "mail.log.1", "hist");
        assert_string_equal(read_all(t), "");
        put(t, "mail.log", "two\n");
        assert_string_equal(read_all(t), "mail.log:two\n|");
        put(t, "mail.log.1", "ory\none\ntwo\n");
        put(t, "mail.log", "three\n");
        put(t, "mail.log.1", "three\n");
        assert_int_equal(truncate(t->log, 0), 0);
        put(t, "mail.log", "four, and so long that it is longer than before\n");
        assert_string_equal(read_all(t),
                            "mail.log.1:three\n|mail.log:four, and so long that it is longer than before\n|");
        /* Twice while nobody looked. */
        put(t, "mail.log", "five\n");
        move(t, "mail.log.1", "mail.log.2");
        copy(t, "mail.log", "mail.log.1");
        assert_int_equal(truncate(t->log, 0), 0);
        put(t, "mail.log", "six\n");
        move(t, "mail.log.2", "mail.log.3");
        move(t, "mail.log.1", "mail.log.2");
        copy(t, "mail.log", "mail.log.1");
        assert_int_equal(truncate(t->log, 0), 0);
        put(t, "mail.log", "seven\n");
        assert_string_equal(read_all(t), "mail.log.2:five\n|mail.log.1:six\n|mail.log:seven\n|");
        assert_int_equal(n_ghosts(t), 0);
}

static void test_copy_of_rotated(void **state)
{
        Fixture *t = *state;
        char line[400];

        memset(line, 'x', sizeof(line));
        line[399] = '\0';
        put(t, "mail.log", "history\n");
        assert_string_equal(read_all(t), "");
        put(t, "mail.log", line);
        (void)read_all(t);
        move(t, "mail.log", "mail.log.1");
        copy(t, "mail.log.1", "mail.log.2"); /* somebody's backup */
        put(t, "mail.log", "new\n");
        assert_string_equal(read_all(t), "mail.log:new\n|");
}

static void test_gone(void **state)
{
        Fixture *t = *state;

        put(t, "mail.log", "history\n");
        assert_string_equal(read_all(t), "");
        put(t, "mail.log", "one\n");
        (void)read_all(t);
        /* Truncated without a copy: nobody knows what was there. */
        assert_int_equal(truncate(t->log, 0), 0);
        put(t, "mail.log", "two\n");
        assert_string_equal(read_all(t), "mail.log:two\n|");
        assert_int_equal(n_ghosts(t), 1);
        for (size_t i = 0; i < t->y.n; i++)
                if (t->y.files[i]->role == LOG_FILE_GHOST) {
                        assert_true(log_family_lay(&t->y, i));
                        break;
                }
        /* Removed and made again: what is open is read to its end. */
        put(t, "mail.log", "three\n");
        assert_int_equal(unlink(t->log), 0);
        put(t, "mail.log", "four\n");
        assert_string_equal(read_all(t), "mail.log:four\n|");
        assert_int_equal(n_ghosts(t), 0);
        for (size_t i = 0; i < t->y.n; i++)
                if (!t->y.files[i]->name)
                        assert_int_equal(t->y.files[i]->offset, 4); /* "three" can be read still */
}

/* A gzip file whose length and time are those of what was read proves that it was all. */
static void test_compressed(void **state)
{
        static const uint8_t gz[] = { 31, 139, 8, 0, 0, 0, 0, 0, 0,  3, 75, 76,
                                      74, 78,  1, 0, 0, 0, 0, 0, 12, 0, 0,  0 };
        Fixture *t = *state;
        struct stat st;
        LogFile *g;

        put(t, "mail.log", "history\n");
        assert_string_equal(read_all(t), "");
        put(t, "mail.log", "one\n");
        (void)read_all(t);
        assert_int_equal(stat(t->log, &st), 0);
        for (unsigned k = 0; k < 2; k++) {
                int fd;

                assert_int_equal(log_file_new(&g, "mail.log.1"), 0);
                g->role = LOG_FILE_GHOST;
                g->offset = k == 0 ? 12 : 13;
                g->mtime = st.st_mtim.tv_sec * INT64_C(1000000000);
                assert_int_equal(log_family_add(&t->y, g), 0);
                fd = open(in(t->dir, "mail.log.1.gz"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                assert_int_equal(write(fd, gz, sizeof(gz)), sizeof(gz));
                assert_int_equal(futimens(fd, (struct timespec[]){ st.st_mtim, st.st_mtim }), 0);
                close(fd);
                assert_int_equal(log_family_lay(&t->y, t->y.n - 1), k == 1);
        }
        assert_int_equal(n_ghosts(t), 0);
}

static void test_no_directory(void **state)
{
        LogFamily y;

        (void)state;
        assert_int_equal(log_family_init(&y, "/nonexistent/unjam/mail.log"), 0);
        assert_int_equal(log_family_look(&y), LOG_FAMILY_E_NONE);
        assert_false(y.begun);
        log_family_deinit(&y);
        log_family_deinit(&y);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_names), TEST(test_rename),     TEST(test_copytruncate), TEST(test_copy_of_rotated),
                TEST(test_gone),  TEST(test_compressed), TEST(test_no_directory),
        };

        return cmocka_run_group_tests_name("observe/log_family", tests, NULL, NULL);
}
