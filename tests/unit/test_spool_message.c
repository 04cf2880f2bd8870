/* Full records of single messages. */
#include "spool_fixture.h"

static void record(Fixture *f, size_t store, const char *id, Message *ret)
{
        assert_int_equal(spool_message(f->spool, INCIDENT, &f->roster, index_of(f, (unsigned)store, id), ret),
                         0);
}

static const MessageFile *file_of(const Message *m, const char *end)
{
        for (size_t i = 0; i < m->n_files; i++) {
                size_t n = strlen(m->files[i].path), e = strlen(end);

                if (n >= e && strcmp(m->files[i].path + n - e, end) == 0)
                        return m->files + i;
        }
        fail_msg("no file %s", end);
        return NULL;
}

static void test_all_files_with_digests(void **state)
{
        Fixture *f = *state;
        Message m;
        char hex[65];

        put(f, "spool/input/1-H", "abc");
        put(f, "spool/input/1-D", "");
        put(f, "spool/input/2-H", "x");
        inventory(f, true, false);
        f->roster.entries[index_of(f, STORE_X, "1")].flags |= MESSAGE_REPEATED;
        record(f, STORE_X, "1", &m);
        assert_string_equal(m.id, "1");
        assert_string_equal(m.store, "x");
        assert_true(m.maybe_repeated);
        assert_int_equal(m.n_files, 2);
        assert_string_equal(file_of(&m, "1-H")->path, at(f, "spool/input/1-H"));
        assert_int_equal(file_of(&m, "1-H")->size, 3);
        assert_int_equal(file_of(&m, "1-H")->mode, 0640);
        assert_int_equal(file_of(&m, "1-H")->inode, inode_of(f, "spool/input/1-H"));
        assert_true(file_of(&m, "1-D")->has_sha256);
        assert_string_equal(text_hex(hex, file_of(&m, "1-H")->sha256, 32),
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_null(m.evidence);
        message_deinit(&m);
}

static void test_the_path_is_that_in_the_store(void **state)
{
        Fixture *f = *state;
        Message m;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        record(f, STORE_Q, "a", &m);
        assert_string_equal(m.files[0].path, at(f, "spool/In/a"));
        message_deinit(&m);
}

static void test_a_file_that_is_written_has_no_digest(void **state)
{
        Fixture *f = *state;
        Message m;
        int fd;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        set_aside(f, STORE_Q);
        fd = open(at(f, "hold/incidents/" INCIDENT "/q/0/a"), O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_true(fd >= 0);
        record(f, STORE_Q, "a", &m);
        assert_false(m.files[0].has_sha256);
        message_deinit(&m);
        close(fd);
        record(f, STORE_Q, "a", &m);
        assert_true(m.files[0].has_sha256);
        message_deinit(&m);
}

static void test_odd_kinds_do_not_block(void **state)
{
        Fixture *f = *state;
        Message m;

        assert_int_equal(mkfifo(at(f, "spool/In/fifo"), 0600), 0);
        assert_int_equal(symlink("/etc/shadow", at(f, "spool/In/link")), 0);
        inventory(f, true, false);
        record(f, STORE_Q, "fifo", &m);
        assert_int_equal(m.files[0].type, FILE_FIFO);
        assert_false(m.files[0].has_sha256);
        assert_string_equal(m.evidence[0], "odd_kind");
        message_deinit(&m);
        record(f, STORE_Q, "link", &m);
        assert_int_equal(m.files[0].type, FILE_SYMLINK);
        assert_int_equal(m.files[0].size, strlen("/etc/shadow"));
        message_deinit(&m);
}

static void test_a_directory_with_all_in_it(void **state)
{
        Fixture *f = *state;
        Message m;

        f->stores[STORE_X].layout = (LayoutSettings){ .directory = true, .flat = true };
        fixture_open(f);
        put_dir(f, "spool/input/amavis-1");
        put_dir(f, "spool/input/amavis-1/parts");
        put(f, "spool/input/amavis-1/email.txt", "abc");
        put(f, "spool/input/amavis-1/parts/p001", "abc");
        inventory(f, true, false);
        record(f, STORE_X, "amavis-1", &m);
        assert_int_equal(m.n_files, 4);
        assert_true(file_of(&m, "parts/p001")->has_sha256);
        assert_int_equal(file_of(&m, "/parts")->type, FILE_DIRECTORY);
        assert_null(m.evidence); /* it is what a message is here */
        message_deinit(&m);
}

static void test_from_quarantine(void **state)
{
        Fixture *f = *state;
        MessageSet set = {};
        SpoolQuarantine q;
        Message m;

        put(f, "spool/In/a", "abc");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        q = quarantine_set(f, &set, NULL);
        record(f, STORE_Q, "a", &m);
        assert_string_equal(m.files[0].path, at(f, "spool/In/a"));
        assert_true(m.files[0].has_sha256);
        message_deinit(&m);
        quarantine_forget(&q);
        message_set_deinit(&set);
}

static void test_several_at_once(void **state)
{
        Fixture *f = *state;
        MessageSet set = {}, one = {};
        SpoolQuarantine q;
        Message *messages;
        size_t n;

        put(f, "spool/In/a", "abc");
        put(f, "spool/In/b", "abc");
        put(f, "spool/In/gone", "abc");
        put(f, "spool/input/m-H", "abc");
        put(f, "spool/input/other-H", "abc");
        inventory(f, true, false);
        assert_int_equal(unlink(at(f, "spool/In/gone")), 0);
        assert_int_equal(message_set_add(&one, index_of(f, STORE_Q, "b")), 0);
        q = quarantine_set(f, &one, NULL);
        for (uint32_t i = 0; i < f->roster.n; i++)
                assert_int_equal(message_set_add(&set, i), 0);
        message_set_remove(&set, index_of(f, STORE_X, "other"));
        assert_int_equal(spool_messages(f->spool, INCIDENT, &f->roster, &set, &messages, &n), 0);
        assert_int_equal(n, 3);
        for (size_t i = 0; i < n; i++) {
                assert_string_not_equal(messages[i].id, "gone");
                assert_int_equal(messages[i].n_files, 1);
                assert_true(messages[i].files[0].has_sha256);
                message_deinit(messages + i);
        }
        free(messages);
        quarantine_forget(&q);
        message_set_deinit(&set);
        message_set_deinit(&one);
}

static void test_nowhere(void **state)
{
        Fixture *f = *state;
        Message m;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(unlink(at(f, "spool/In/a")), 0);
        assert_int_equal(spool_message(f->spool, INCIDENT, &f->roster, 0, &m), -ENOENT);
        assert_int_equal(spool_message(f->spool, NULL, &f->roster, 0, &m), -ENOENT);
        assert_int_equal(spool_message(f->spool, INCIDENT, &f->roster, 7, &m), -EINVAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_all_files_with_digests),
                T(test_the_path_is_that_in_the_store),
                T(test_a_file_that_is_written_has_no_digest),
                T(test_odd_kinds_do_not_block),
                T(test_a_directory_with_all_in_it),
                T(test_from_quarantine),
                T(test_several_at_once),
                T(test_nowhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
