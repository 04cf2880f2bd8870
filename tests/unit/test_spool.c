/* Opening a spool, and which path is whose. */
#include "spool_fixture.h"

static bool resolves(const Fixture *f, const char *path, size_t store, const char *id)
{
        const char *got;
        size_t s, len;
        int r = spool_resolve(f->spool, path, &s, &got, &len);

        if (r == SPOOL_E_NONE)
                return id == NULL;
        assert_int_equal(r, 0);
        return id && s == store && len == strlen(id) && memcmp(got, id, len) == 0;
}

static void test_paths_in_a_store(void **state)
{
        Fixture *f = *state;

        assert_true(resolves(f, at(f, "spool/In/a"), STORE_Q, "a"));
        assert_true(resolves(f, at(f, "spool/Out/a\n\xff"), STORE_Q, "a\n\xff"));
        assert_true(resolves(f, at(f, "spool/input/0/m-H"), STORE_X, "m"));
        assert_true(resolves(f, at(f, "spool/input/lock"), 0, NULL));
        assert_true(resolves(f, at(f, "spool/In"), 0, NULL));
        assert_true(resolves(f, at(f, "spool/Inside/a"), 0, NULL));
        assert_true(resolves(f, "/etc/passwd", 0, NULL));
        assert_true(resolves(f, "", 0, NULL));
        assert_true(resolves(f, "socket:[123]", 0, NULL));
}

static void test_paths_in_hold(void **state)
{
        Fixture *f = *state;

        assert_true(resolves(f, at(f, "hold/incidents/any/q/1/a"), STORE_Q, "a"));
        assert_true(resolves(f, at(f, "hold/incidents/any/x/0/0/m-D"), STORE_X, "m"));
        assert_true(resolves(f, at(f, "hold/incidents/any/q/0.spare/a"), STORE_Q, "a"));
        assert_true(resolves(f, at(f, "hold/incidents/any/q/0.spares/a"), 0, NULL));
        assert_true(resolves(f, at(f, "hold/incidents/any/x/1/0/m-D"), 0, NULL)); /* one directory only */
        assert_true(resolves(f, at(f, "hold/incidents/any/x/0"), 0, NULL));
        assert_true(resolves(f, at(f, "hold/incidents/any/y/0/m-D"), 0, NULL));
        assert_true(resolves(f, at(f, "hold/incidents/any/q/99999999999999999999999/a"), 0, NULL));
        assert_true(resolves(f, at(f, "hold/incidents/any/rebuildable/x"), 0, NULL));
        assert_true(resolves(f, at(f, "hold/quarantine/x/files/0/a"), 0, NULL));
}

static void test_what_is_covered(void **state)
{
        Fixture *f = *state;

        assert_true(spool_covers(f->spool, at(f, "spool/In")));
        assert_true(spool_covers(f->spool, at(f, "spool/input/lock")));
        assert_true(spool_covers(f->spool, at(f, "hold/incidents/any/q/0/a")));
        assert_false(spool_covers(f->spool, at(f, "spool")));
        assert_false(spool_covers(f->spool, at(f, "spool/queue.dat")));
        assert_false(spool_covers(f->spool, at(f, "hold/quarantine/x/files/0/a")));
}

static void test_links_in_the_way(void **state)
{
        Fixture *f = *state;

        /* Configured as /link/In; the kernel says where that is. */
        assert_int_equal(symlink("spool", at(f, "link")), 0);
        f->q_dirs[0] = fixture_path(f, 4, "link/In");
        fixture_open(f);
        assert_true(resolves(f, at(f, "link/In/a"), STORE_Q, "a"));
        assert_true(resolves(f, at(f, "spool/In/a"), STORE_Q, "a"));
        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(f->inventory.in_store, 1);
}

static void test_what_is_inside_of_something_else(void **state)
{
        Fixture *f = *state;

        f->exclude[0] = (char *)"Archive";
        f->stores[STORE_X].exclude = f->exclude;
        f->q_dirs[1] = fixture_path(f, 4, "spool/input/q-H");
        put_dir(f, "spool/input/q-H");
        f->rebuildable[0] = fixture_path(f, 5, "spool/input/db-H");
        f->stores[STORE_X].rebuildable = f->rebuildable;
        fixture_open(f);
        assert_true(resolves(f, at(f, "spool/input/Archive/m-H"), 0, NULL));
        assert_true(resolves(f, at(f, "spool/input/db-H"), 0, NULL));
        /* The innermost directory has it. */
        assert_true(resolves(f, at(f, "spool/input/q-H/m"), STORE_Q, "m"));
        assert_true(resolves(f, at(f, "spool/input/m-H"), STORE_X, "m"));
}

static void test_names_of_stores_as_folders(void **state)
{
        Fixture *f = *state;

        f->stores[STORE_Q].name = (char *)"rebuildable";
        f->stores[STORE_X].name = (char *)"../a%";
        fixture_open(f);
        assert_string_equal(f->spool->stores[0].folder, "%72ebuildable");
        assert_string_equal(f->spool->stores[1].folder, "%2e.%2fa%25");
        put(f, "spool/In/a", "1");
        put(f, "spool/input/m-H", "1");
        inventory(f, true, false);
        set_aside(f, STORE_ALL);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/%72ebuildable/0/a"));
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/%2e.%2fa%25/0/m-H"));
        assert_true(resolves(f, at(f, "hold/incidents/" INCIDENT "/%72ebuildable/0/a"), STORE_Q, "a"));
        place_none(f);
}

static void test_stores_that_are_not_there(void **state)
{
        Fixture *f = *state;
        Spool *s = NULL;

        f->q_dirs[0] = fixture_path(f, 4, "spool/missing");
        assert_int_equal(spool_new(&s, &f->service, disk_posix()), -ENOTDIR);
        put(f, "spool/missing", "a file");
        assert_int_equal(spool_new(&s, &f->service, disk_posix()), -ENOTDIR);
        assert_int_equal(unlink(at(f, "spool/missing")), 0);
        assert_int_equal(symlink("In", at(f, "spool/missing")), 0);
        assert_int_equal(spool_new(&s, &f->service, disk_posix()), -ENOTDIR);
        f->q_dirs[0] = (char *)"";
        assert_int_equal(spool_new(&s, &f->service, disk_posix()), -EINVAL);
        assert_null(s);
        assert_null(spool_free(NULL));
}

static void test_a_service_without_stores(void **state)
{
        Fixture *f = *state;

        f->service.n_stores = 0;
        fixture_open(f);
        inventory(f, true, false);
        set_aside(f, STORE_ALL);
        place_none(f);
        assert_int_equal(spool_tidy(f->spool, INCIDENT, &f->report), 0);
        assert_false(spool_covers(f->spool, at(f, "spool/In")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_paths_in_a_store),
                T(test_paths_in_hold),
                T(test_what_is_covered),
                T(test_links_in_the_way),
                T(test_what_is_inside_of_something_else),
                T(test_names_of_stores_as_folders),
                T(test_stores_that_are_not_there),
                T(test_a_service_without_stores),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
