/* A quarantine that began and cannot go on: the message is made whole before it goes anywhere. */
#include "spool_fixture.h"

/* A message of two files, held; its quarantine gets as far as the control file. */
static void half_done(Fixture *f, NameDisk *disk)
{
        MessageSet set = {};
        SpoolQuarantine q = { .incident = INCIDENT, .roster = &f->roster, .set = &set };

        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "h");
        put(f, "spool/input/0/m-D", "d");
        put(f, "spool/input/0/n-H", "another");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, index_of(f, STORE_X, "m")), 0);
        place_held(f, &set);
        assert_int_equal(count_in(f, "spool/input/0"), 1);
        fixture_fail(f, disk, "m-D", -EIO);
        report_reset(f);
        assert_int_equal(spool_quarantine(f->spool, &q, &f->report), -EIO);
        assert_false(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/m-H"));
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/m-D"));
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        f->spool->disk = disk_posix();
        message_set_deinit(&set);
}

static void test_all_of_it_comes_back(void **state)
{
        Fixture *f = *state;
        NameDisk disk;

        half_done(f, &disk);
        place_none(f);
        assert_int_equal(count_in(f, "spool/input/0"), 3);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_STORE);
}

/* At the end of a recovery that gave up the suspects stay held: whole. */
static void test_held_is_held_whole(void **state)
{
        Fixture *f = *state;
        MessageSet set = {};
        NameDisk disk;

        half_done(f, &disk);
        assert_int_equal(message_set_add(&set, index_of(f, STORE_X, "m")), 0);
        place_held(f, &set);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/m-H"));
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/m-D"));
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_HOLD);
        message_set_deinit(&set);
}

/* What cannot be made whole stays together with the rest of it: no server gets half a message. */
static void test_what_cannot_be_undone_stays(void **state)
{
        Fixture *f = *state;
        NameDisk disk;

        half_done(f, &disk);
        fixture_fail(f, &disk, "m-H", -EIO);
        place_none(f);
        assert_int_equal(reported(f, "unfinished"), 1);
        assert_int_equal(count_in(f, "spool/input/0"), 1);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0/0/m-D"));
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        f->spool->disk = disk_posix();
        place_none(f);
        assert_int_equal(count_in(f, "spool/input/0"), 3);
}

/* Its names in hold are taken: then to the second tree; taken there as well, it stays. */
static void test_a_name_that_is_taken(void **state)
{
        Fixture *f = *state;
        NameDisk disk;

        half_done(f, &disk);
        put(f, "hold/incidents/" INCIDENT "/x/0/0/m-H", "came later");
        place_none(f);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        assert_true(is_there(f, "hold/incidents/" INCIDENT "/x/0.spare/0/m-H"));
        assert_int_equal(reported(f, "taken"), 1);
}

/* Of another incident, sealed, or of a directory that is configured no more: not this one's. */
static void test_others_are_left_alone(void **state)
{
        Fixture *f = *state;
        MessageSet none = {}, stays = {};
        char *dirs[] = { f->paths[1], NULL };
        SpoolTrees t;
        NameDisk disk;

        half_done(f, &disk);
        report_reset(f);
        assert_int_equal(spool_place(f->spool, INCIDENT "0", &f->roster, &none, STORE_ALL, &f->report), 0);
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        f->stores[STORE_X].dirs = dirs;
        fixture_open(f);
        assert_int_equal(spool_trees_open(&t, f->spool, STORE_X, INCIDENT, NULL), 0);
        assert_int_equal(spool_unshelve(&t, INCIDENT, &f->roster, &stays, &f->report), 0);
        assert_true(message_set_has(&stays, index_of(f, STORE_X, "m")));
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        spool_trees_close(&t);
        message_set_deinit(&stays);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_all_of_it_comes_back),        T(test_held_is_held_whole),
                T(test_what_cannot_be_undone_stays), T(test_a_name_that_is_taken),
                T(test_others_are_left_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
