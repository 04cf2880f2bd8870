/* What each entry of a store's directory is. */
#include "spool_mounts.h"

typedef struct Seen {
        char lines[64][160];
        size_t n;
} Seen;

static int collect(void *userdata, const SpoolSeen *seen)
{
        static const char *const kinds[] = { "message", "folder", "skipped", "mount", "foreign" };
        Seen *s = userdata;

        assert_true(s->n < 64);
        snprintf(s->lines[s->n++], sizeof(s->lines[0]), "%s %s%s%s%.*s", kinds[seen->kind], seen->path,
                 seen->kind == KIND_MESSAGE ? " " : "", seen->odd ? "odd " : "",
                 seen->kind == KIND_MESSAGE ? (int)seen->id_len : 0,
                 seen->kind == KIND_MESSAGE ? seen->id : "");
        return 0;
}

static void walk(Fixture *f, size_t store, Seen *ret)
{
        const SpoolStore *s = f->spool->stores + store;
        int fd = spool_dir_open(s->dirs, NULL);

        *ret = (Seen){};
        assert_true(fd >= 0);
        assert_int_equal(spool_walk(s, s->dirs, fd, collect, ret), 0);
        close(fd);
}

static bool has(const Seen *s, const char *line)
{
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->lines[i], line) == 0)
                        return true;
        return false;
}

static void test_files_folders_and_the_rest(void **state)
{
        Fixture *f = *state;
        Seen seen;

        put_dir(f, "spool/input/a");
        put(f, "spool/input/a/1-H", "h");
        put(f, "spool/input/lock", "");
        assert_int_equal(mkfifo(at(f, "spool/input/2-D"), 0600), 0);
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, 4);
        assert_true(has(&seen, "folder a"));
        assert_true(has(&seen, "message a/1-H 1"));
        assert_true(has(&seen, "foreign lock"));
        assert_true(has(&seen, "message 2-D odd 2"));
}

static void test_a_hash_directory_that_looks_like_a_message(void **state)
{
        Fixture *f = *state;
        Seen seen;

        /* qmail: mess/23/123456, and "23" alone would be an id as well. */
        f->stores[STORE_X].layout =
                (LayoutSettings){ .match = (char *)"^mess/(?:[0-9]{1,4}/)?(?<id>[0-9]{2,20})$" };
        fixture_open(f);
        put_dir(f, "spool/input/mess");
        put_dir(f, "spool/input/mess/23");
        put_dir(f, "spool/input/mess/24");
        put(f, "spool/input/mess/23/123456", "m");
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, 4);
        assert_true(has(&seen, "folder mess/23"));
        assert_true(has(&seen, "folder mess/24"));
        assert_true(has(&seen, "message mess/23/123456 123456"));
}

static void test_a_directory_where_a_file_should_be(void **state)
{
        Fixture *f = *state;
        Seen seen;

        put_dir(f, "spool/input/9-H");
        put(f, "spool/input/9-H/inside", "");
        put_dir(f, "spool/In/d");
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, 1);
        assert_true(has(&seen, "message 9-H odd 9"));
        walk(f, STORE_Q, &seen);
        assert_true(has(&seen, "message d odd d"));
}

static void test_messages_that_are_directories(void **state)
{
        Fixture *f = *state;
        Seen seen;

        f->stores[STORE_X].layout =
                (LayoutSettings){ .directory = true,
                                  .match = (char *)"^[0-9a-f]{2}/(?<id>[0-9a-f]{8})(?:/.*)?$" };
        fixture_open(f);
        put_dir(f, "spool/input/ab");
        put_dir(f, "spool/input/ab/abcdef01");
        put(f, "spool/input/ab/abcdef01/message", "m");
        put(f, "spool/input/ab/abcdef02", "a file");
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, 3);
        assert_true(has(&seen, "folder ab"));
        assert_true(has(&seen, "message ab/abcdef01 abcdef01"));
        assert_true(has(&seen, "message ab/abcdef02 odd abcdef02"));
}

static void test_what_belongs_to_something_else(void **state)
{
        Fixture *f = *state;
        Seen seen;

        f->exclude[0] = (char *)"*.lock";
        f->stores[STORE_X].exclude = f->exclude;
        f->stores[STORE_X].hold = fixture_path(f, 4, "spool/input/.unjam");
        f->q_dirs[2] = NULL;
        f->q_dirs[1] = fixture_path(f, 5, "spool/input/inner");
        put_dir(f, "spool/input/inner");
        put_dir(f, "spool/input/.unjam");
        put(f, "spool/input/inner/1-H", "h");
        put(f, "spool/input/q.lock", "");
        fixture_open(f);
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, 3);
        assert_true(has(&seen, "skipped inner"));
        assert_true(has(&seen, "skipped .unjam"));
        assert_true(has(&seen, "skipped q.lock"));
}

static void test_too_deep_is_foreign(void **state)
{
        Fixture *f = *state;
        char path[512] = "spool/input";
        Seen seen;

        for (unsigned i = 0; i < SPOOL_DEPTH_MAX + 2; i++) {
                strcat(path, "/d");
                put_dir(f, path);
        }
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, SPOOL_DEPTH_MAX + 1);
        assert_ptr_equal(strstr(seen.lines[SPOOL_DEPTH_MAX], "foreign d/d"), seen.lines[SPOOL_DEPTH_MAX]);
}

static void test_a_mount_is_not_entered(void **state)
{
        Fixture *f = *state;
        Seen seen;

        put_dir(f, "spool/input/m");
        mount_or_skip(f, NULL, "spool/input/m");
        put(f, "spool/input/m/1-H", "h");
        walk(f, STORE_X, &seen);
        assert_int_equal(seen.n, 1);
        assert_true(has(&seen, "mount m"));
        unmount(f, "spool/input/m");
}

static int stop(void *userdata, const SpoolSeen *seen)
{
        (void)userdata;
        (void)seen;
        return -ECANCELED;
}

static void test_the_visitor_ends_it(void **state)
{
        Fixture *f = *state;
        const SpoolStore *s = f->spool->stores;
        int fd = spool_dir_open(s->dirs, NULL);

        put(f, "spool/In/a", "1");
        assert_int_equal(spool_walk(s, s->dirs, fd, stop, NULL), -ECANCELED);
        close(fd);
}

static void test_types(void **state)
{
        (void)state;
        assert_int_equal(spool_file_type(S_IFREG | 0644), FILE_REGULAR);
        assert_int_equal(spool_file_type(S_IFDIR), FILE_DIRECTORY);
        assert_int_equal(spool_file_type(S_IFIFO), FILE_FIFO);
        assert_int_equal(spool_file_type(S_IFSOCK), FILE_SOCKET);
        assert_int_equal(spool_file_type(S_IFLNK), FILE_SYMLINK);
        assert_int_equal(spool_file_type(S_IFCHR), FILE_DEVICE);
        assert_int_equal(spool_file_type(S_IFBLK), FILE_DEVICE);
        assert_true((int)spool_file_type(0) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_files_folders_and_the_rest),
                T(test_a_hash_directory_that_looks_like_a_message),
                T(test_a_directory_where_a_file_should_be),
                T(test_messages_that_are_directories),
                T(test_what_belongs_to_something_else),
                T(test_too_deep_is_foreign),
                T(test_a_mount_is_not_entered),
                T(test_the_visitor_ends_it),
                T(test_types),
        };

        return cmocka_run_group_tests(tests, mounts_setup, NULL);
}
