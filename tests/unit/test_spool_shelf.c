/* What lies in quarantine, and what only looks like it. */
#include "spool_fixture.h"

/* Quarantines message 0. The id is the caller's. */
static char *quarantine_one(Fixture *f)
{
        MessageSet set = {};
        SpoolQuarantine q;
        char *id;

        assert_int_equal(message_set_add(&set, 0), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 1);
        id = strdup(q.ids[0]);
        quarantine_forget(&q);
        message_set_deinit(&set);
        return id;
}

static int count_visit(void *userdata, Shelved *q)
{
        size_t *n = userdata;

        assert_non_null(q->message.id);
        ++*n;
        return 0;
}

static size_t shelved(Fixture *f)
{
        size_t n = 0;

        assert_int_equal(shelf_walk(f->spool, f->spool->stores, NULL, count_visit, &n), 0);
        return n;
}

static void test_strange_folders_are_nobodys(void **state)
{
        Fixture *f = *state;
        char *id;

        assert_int_equal(shelved(f), 0); /* no hold at all */
        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        id = quarantine_one(f);
        put_dir(f, "hold/quarantine/empty");
        put_dir(f, "hold/quarantine/garbage");
        put(f, "hold/quarantine/garbage/message.json", "{ not json");
        put_dir(f, "hold/quarantine/alien");
        put(f, "hold/quarantine/alien/message.json", "{\"service\":\"imc\",\"id\":3}");
        put(f, "hold/quarantine/file", "1");
        assert_int_equal(symlink(id, at(f, "hold/quarantine/link")), 0);
        assert_int_equal(shelved(f), 1);
        /* Of another service. */
        f->service.name = (char *)"other";
        assert_int_equal(shelved(f), 0);
        free(id);
}

static void test_a_shelved_message(void **state)
{
        Fixture *f = *state;
        Shelved q;
        const char *path;
        size_t dir;
        int shelf;
        char *id;

        put(f, "spool/Out/a\xff", "1");
        inventory(f, true, false);
        id = quarantine_one(f);
        shelf = shelf_open(f->spool, f->spool->stores, false);
        assert_true(shelf >= 0);
        assert_int_equal(shelf_load(f->spool, shelf, id, &q), 0);
        assert_string_equal(q.id, id);
        assert_true(q.sealed);
        assert_false(q.open);
        assert_int_equal(q.store, STORE_Q);
        assert_string_equal(q.message.id, "a\xff");
        assert_int_equal(strv_length(q.dirs), 2);
        assert_int_equal(shelf_split(&q, 0, &dir, &path), 0);
        assert_int_equal(dir, 1);
        assert_string_equal(path, "a\xff");
        assert_false(shelf_is_inside(&q, 0));
        free(q.message.files[0].path);
        q.message.files[0].path = strdup("/elsewhere");
        assert_int_equal(shelf_split(&q, 0, &dir, &path), -EINVAL);
        shelved_deinit(&q);
        assert_int_equal(shelf_load(f->spool, shelf, "missing", &q), SHELF_E_NONE);
        assert_int_equal(shelf_load(f->spool, shelf, "../quarantine", &q), SHELF_E_NONE);
        close(shelf);
        free(id);
}

static void test_files_inside_of_a_directory_go_with_it(void **state)
{
        Fixture *f = *state;
        Shelved q;
        size_t inside = 0;
        int shelf;
        char *id;

        put_dir(f, "spool/In/d");
        put(f, "spool/In/d/x", "1");
        put(f, "spool/In/dx", "1");
        inventory(f, true, false);
        for (uint32_t i = 0; i < 2; i++)
                if (strcmp(roster_id(&f->roster, i, NULL), "d") == 0 && i != 0) {
                        /* quarantine_one() takes the first. */
                        assert_int_equal(unlink(at(f, "spool/In/dx")), 0);
                        roster_deinit(&f->roster);
                        inventory(f, true, false);
                }
        id = quarantine_one(f);
        shelf = shelf_open(f->spool, f->spool->stores, false);
        assert_int_equal(shelf_load(f->spool, shelf, id, &q), 0);
        assert_int_equal(q.message.n_files, 2);
        for (size_t i = 0; i < q.message.n_files; i++)
                inside += shelf_is_inside(&q, i);
        assert_int_equal(inside, 1);
        shelved_deinit(&q);
        close(shelf);
        free(id);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_strange_folders_are_nobodys),
                T(test_a_shelved_message),
                T(test_files_inside_of_a_directory_go_with_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
