/* Does the server hold it? What is proof, and what is none. */
#include "spool_native_fixture.h"

static bool look(Fixture *f, const char *qid, bool well, Message *m)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };
        bool held;

        assert_int_equal(shelved_find(f->spool, qid, "", &q), 0);
        message_deinit(m);
        assert_int_equal(native_look(f->spool, &q, well, m, &held), 0);
        assert_int_equal(m->native, held);
        return held;
}

/* Out of quarantine into its store, as spool_native_offer() leaves it. */
static void put_back(Fixture *f, const char *qid)
{
        _cleanup_(shelved_deinit) Shelved q = { .shelf = -1, .fd = -1 };

        assert_int_equal(shelved_find(f->spool, qid, "", &q), 0);
        assert_int_equal(shelf_return(f->spool, &q, NULL, NULL), 0);
}

static void test_one_file(void **state)
{
        Fixture *f = *state;
        Message m = {};
        const char *qid;
        ino_t inode;

        put(f, "spool/In/4B7F", "poison");
        put(f, "spool/held/other", "poison"); /* looks alike, and is another */
        inode = inode_of(f, "spool/In/4B7F");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        unlink(at(f, "spool/held/other"));
        assert_false(look(f, qid, true, &m));
        put_back(f, qid);
        assert_false(look(f, qid, true, &m));
        assert_int_equal(m.n_where, 0);
        /* Renamed there, also into a hash directory and whatever the exit status was. */
        put_dir(f, "spool/held/4");
        server_moves(f, "spool/In/4B7F", "spool/held/4/4B7F");
        assert_true(look(f, qid, false, &m));
        assert_int_equal(m.n_where, 1);
        assert_string_equal(m.where[0].path, at(f, "spool/held/4/4B7F"));
        assert_int_equal(m.where[0].inode, inode);
        assert_true(native_is_still(&m));
        server_moves(f, "spool/held/4/4B7F", "spool/held/4B7F");
        assert_false(native_is_still(&m));
        /* Twice is no proof, a copy is. */
        put(f, "spool/held/4/4B7F", "poison");
        assert_false(look(f, qid, true, &m));
        unlink(at(f, "spool/held/4B7F"));
        assert_true(look(f, qid, true, &m));
        /* Other bytes under its name are none. */
        server_rewrites(f, "spool/held/4/4B7F", "p01son");
        assert_false(look(f, qid, true, &m));
        message_deinit(&m);
        assert_false(native_is_still(&m));
}

static void test_only_plain_files(void **state)
{
        Fixture *f = *state;
        Message m = {};
        const char *qid;

        put(f, "spool/In/4B7F", "poison");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        put_back(f, qid);
        server_moves(f, "spool/In/4B7F", "spool/4B7F");
        assert_int_equal(symlink(at(f, "spool/4B7F"), at(f, "spool/held/4B7F")), 0);
        assert_false(look(f, qid, true, &m));
        unlink(at(f, "spool/held/4B7F"));
        assert_int_equal(symlink(at(f, "spool"), at(f, "spool/held/4B7F")), 0);
        assert_false(look(f, qid, true, &m));
        message_deinit(&m);
}

static void test_in_place(void **state)
{
        Fixture *f = *state;
        Message m = {};
        const char *qid;

        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "head");
        put(f, "spool/input/0/m-D", "body");
        qid = native_quarantine(f, STORE_X, "m");
        put_back(f, qid);
        assert_false(look(f, qid, true, &m)); /* as it was: nothing has been done */
        server_rewrites(f, "spool/input/0/m-H", "head, frozen");
        assert_false(look(f, qid, false, &m)); /* written anew, and yet not well */
        assert_true(look(f, qid, true, &m));
        assert_int_equal(m.n_where, 2);
        assert_true(native_is_still(&m));
        server_rewrites(f, "spool/input/0/m-H", "head");
        assert_false(native_is_still(&m)); /* thawed */
        /* Another name for the control file, or none that is known. */
        server_moves(f, "spool/input/0/m-H", "spool/input/0/m-hidden");
        assert_true(look(f, qid, true, &m));
        unlink(at(f, "spool/input/0/m-D"));
        assert_false(look(f, qid, true, &m));
        message_deinit(&m);
}

#define NATIVE(test) cmocka_unit_test_setup_teardown(test, native_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                NATIVE(test_one_file),
                NATIVE(test_only_plain_files),
                NATIVE(test_in_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
