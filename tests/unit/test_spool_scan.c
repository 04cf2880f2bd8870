/* spool_inventory: what is there, what is new, what has gone. */
#include "spool_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

static void test_first_inventory_counts_every_store(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "2");
        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "h");
        put(f, "spool/input/0/m-D", "d");
        inventory(f, true, false);
        assert_int_equal(f->roster.n, 3);
        assert_int_equal(f->inventory.in_store, 3);
        assert_int_equal(f->inventory.arrived, 0);
        assert_int_equal(entry_of(f, STORE_Q, "a")->flags, MESSAGE_BEFORE);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_STORE);
        assert_false(is_there(f, "hold")); /* reading makes nothing */
}

static void test_what_comes_and_goes(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        assert_int_equal(unlink(at(f, "spool/In/a")), 0);
        put(f, "spool/Out/c", "1");
        inventory(f, false, true);
        assert_int_equal(f->inventory.vanished, 1);
        assert_int_equal(f->inventory.arrived, 1);
        assert_int_equal(f->inventory.in_store, 2);
        assert_true(entry_of(f, STORE_Q, "a")->flags & MESSAGE_CONSUMED);
        assert_int_equal(entry_of(f, STORE_Q, "c")->flags, MESSAGE_ARRIVED);

        assert_int_equal(unlink(at(f, "spool/In/b")), 0);
        inventory(f, false, false);
        assert_int_equal(f->inventory.vanished, 1);
        assert_true(entry_of(f, STORE_Q, "b")->flags & MESSAGE_LOST);
        assert_true(entry_of(f, STORE_Q, "a")->flags & MESSAGE_CONSUMED);
        assert_false(entry_of(f, STORE_Q, "a")->flags & MESSAGE_LOST);
        inventory(f, false, false);
        assert_int_equal(f->inventory.vanished, 0);
        assert_int_equal(ledger_of(&f->roster).unaccounted, 1);

        put(f, "spool/In/b", "back");
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_Q, "b")->flags & (MESSAGE_LOST | MESSAGE_ARRIVED), 0);
        assert_int_equal(ledger_of(&f->roster).unaccounted, 0);
}

/* What a server does while a walk looks at one of its files. */
static const Fixture *server_of;

int __real_fstatat64(int dirfd, const char *path, struct stat64 *ret, int flags);
int __wrap_fstatat64(int dirfd, const char *path, struct stat64 *ret, int flags);
int __wrap_fstatat64(int dirfd, const char *path, struct stat64 *ret, int flags)
{
        if (server_of && strcmp(path, "a") == 0) {
                assert_int_equal(rename(at(server_of, "spool/Out/b"), at(server_of, "spool/In/b")), 0);
                server_of = NULL;
        }
        return __real_fstatat64(dirfd, path, ret, flags);
}

/* "a" is looked at when In has been read whole, and Out is read after it. */
static void test_a_move_during_the_first_inventory(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        put(f, "spool/Out/b", "2");
        server_of = f;
        inventory(f, true, true);
        assert_null(server_of);
        assert_int_equal(f->inventory.in_store, 2);
        assert_int_equal(entry_of(f, STORE_Q, "b")->flags, MESSAGE_BEFORE);
}

static void test_one_message_in_another_directory_is_the_same(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(rename(at(f, "spool/In/a"), at(f, "spool/Out/a")), 0);
        inventory(f, false, true);
        assert_int_equal(f->roster.n, 1);
        assert_int_equal(f->inventory.vanished, 0);
        assert_int_equal(f->inventory.arrived, 0);
}

static void test_odd_kinds_are_suspects(void **state)
{
        Fixture *f = *state;
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        put(f, "spool/In/good", "1");
        put(f, "spool/In/empty", "");
        assert_int_equal(mkfifo(at(f, "spool/In/fifo"), 0600), 0);
        assert_int_equal(symlink("/etc/passwd", at(f, "spool/In/link")), 0);
        put_dir(f, "spool/In/directory");
        put(f, "spool/In/directory/inside", "1");
        snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", at(f, "spool/In/socket"));
        assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
        close(fd);
        put(f, "spool/input/m-H", "h");
        put(f, "spool/input/m-D", ""); /* no control file may be empty, others may */
        put(f, "spool/input/n-H", "");
        inventory(f, true, false);
        assert_int_equal(f->roster.n, 8);
        assert_false(entry_of(f, STORE_Q, "good")->flags & MESSAGE_SUSPECT);
        assert_false(entry_of(f, STORE_X, "m")->flags & MESSAGE_SUSPECT);
        for (size_t i = 0; i < 6; i++) {
                static const char *const odd[] = { "empty", "fifo", "link", "directory", "socket" };

                if (i < 5)
                        assert_true(entry_of(f, STORE_Q, odd[i])->flags & MESSAGE_SUSPECT);
                else
                        assert_true(entry_of(f, STORE_X, "n")->flags & MESSAGE_SUSPECT);
        }
        /* An acquittal stands. */
        f->roster.entries[index_of(f, STORE_Q, "fifo")].flags &= (uint16_t)~MESSAGE_SUSPECT;
        inventory(f, false, true);
        assert_false(entry_of(f, STORE_Q, "fifo")->flags & MESSAGE_SUSPECT);
}

static void test_names_may_be_any_bytes(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/new\nline", "1");
        put(f, "spool/In/\xff\xfe", "1");
        put(f, "spool/In/-rf *", "1");
        put(f, "spool/In/.hidden", "1");
        inventory(f, true, false);
        assert_int_equal(f->roster.n, 4);
        assert_int_equal(entry_of(f, STORE_Q, "new\nline")->place, PLACE_STORE);
        assert_int_equal(entry_of(f, STORE_Q, "\xff\xfe")->place, PLACE_STORE);
}

static void test_excluded_and_foreign_are_no_messages(void **state)
{
        Fixture *f = *state;

        f->exclude[0] = (char *)"Archive";
        f->stores[STORE_Q].exclude = f->exclude;
        f->rebuildable[0] = fixture_path(f, 4, "spool/In/queue.dat");
        f->stores[STORE_Q].rebuildable = f->rebuildable;
        fixture_open(f);
        put_dir(f, "spool/In/Archive");
        put(f, "spool/In/Archive/old", "1");
        put(f, "spool/In/queue.dat", "1");
        put(f, "spool/In/a", "1");
        put(f, "spool/input/lock", "1");
        inventory(f, true, false);
        assert_int_equal(f->roster.n, 1);
        assert_int_equal(reported(f, "foreign"), 1);
        /* A second inventory into the same report replaces what the first said. */
        assert_int_equal(unlink(at(f, "spool/In/a")), 0);
        assert_int_equal(spool_inventory(f->spool, INCIDENT, &f->roster, false, true, &f->report), 0);
        assert_int_equal(reported(f, "foreign"), 1);
}

static void test_ignored_by_where_it_is(void **state)
{
        Fixture *f = *state;

        f->ignore[0] = (char *)"later";
        f->service.stall.ignore = f->ignore;
        put_dir(f, "spool/input/later");
        put(f, "spool/input/later/m-H", "1");
        put(f, "spool/input/later/m-D", "1");
        put(f, "spool/input/n-H", "1");
        inventory(f, true, false);
        assert_true(entry_of(f, STORE_X, "m")->flags & MESSAGE_IGNORED);
        assert_false(entry_of(f, STORE_X, "n")->flags & MESSAGE_IGNORED);
        assert_int_equal(rename(at(f, "spool/input/later/m-H"), at(f, "spool/input/m-H")), 0);
        inventory(f, false, true);
        assert_false(entry_of(f, STORE_X, "m")->flags & MESSAGE_IGNORED);
}

static void test_pass_number_wraps(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        f->roster.pass = UINT16_MAX;
        inventory(f, false, true);
        assert_int_equal(f->inventory.arrived, 0);
        assert_int_equal(f->inventory.in_store, 1);
        assert_int_not_equal(f->roster.pass, 0);
        assert_int_equal(entry_of(f, STORE_Q, "a")->flags, MESSAGE_BEFORE);
}

static void test_a_message_of_the_engine_that_is_nowhere(void **state)
{
        Fixture *f = *state;
        uint32_t i;

        assert_int_equal(roster_add(&f->roster, STORE_Q, "ghost", 5, &i), 0);
        inventory(f, true, true);
        assert_true(entry_of(f, STORE_Q, "ghost")->flags & MESSAGE_CONSUMED);
}

static void test_without_an_incident(void **state)
{
        Fixture *f = *state;

        put(f, "spool/In/a", "1");
        assert_int_equal(spool_inventory(f->spool, NULL, &f->roster, true, false, NULL), 0);
        assert_int_equal(f->roster.n, 1);
        assert_int_equal(spool_inventory(f->spool, "../x", &f->roster, true, false, NULL), -EINVAL);
}

static void test_a_store_that_is_gone_is_an_error(void **state)
{
        Fixture *f = *state;

        assert_int_equal(rmdir(at(f, "spool/Out")), 0);
        assert_int_equal(spool_inventory(f->spool, INCIDENT, &f->roster, true, false, &f->report), -ENOENT);
        assert_non_null(strstr(f->report.detail, "/spool/Out: No such file or directory"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_first_inventory_counts_every_store),
                T(test_what_comes_and_goes),
                T(test_a_move_during_the_first_inventory),
                T(test_one_message_in_another_directory_is_the_same),
                T(test_odd_kinds_are_suspects),
                T(test_names_may_be_any_bytes),
                T(test_excluded_and_foreign_are_no_messages),
                T(test_ignored_by_where_it_is),
                T(test_pass_number_wraps),
                T(test_a_message_of_the_engine_that_is_nowhere),
                T(test_without_an_incident),
                T(test_a_store_that_is_gone_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
