/* spool_quarantine, spool_folder: sealed folders with records, repeated calls, crashes in between. */
#include "spool_fixture.h"

static json_t *record_of(const Fixture *f, const char *id)
{
        char path[256];
        json_t *j;

        snprintf(path, sizeof(path), "hold/quarantine/%s/message.json", id);
        j = json_load_file(at(f, path), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(j);
        return j;
}

static const char *in_folder(const Fixture *f, const char *id, const char *below)
{
        static char path[256];

        (void)f;
        snprintf(path, sizeof(path), "hold/quarantine/%s/%s", id, below);
        return path;
}

static void test_a_culprit_from_hold(void **state)
{
        Fixture *f = *state;
        MessageSet set = {};
        SpoolQuarantine result;
        json_t *why =
                json_pack("{s:{s:f,s:[s],s:s}}", "m", "weight", 0.5, "evidence", "held_open", "reason", "x");
        json_t *j;
        ino_t inode;

        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "head");
        put(f, "spool/input/0/m-D", "abc");
        inode = inode_of(f, "spool/input/0/m-D");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        place_held(f, &set);
        result = quarantine_set(f, &set, why);
        assert_int_equal(result.n, 1);
        assert_string_equal(result.messages[0].id, "m");
        assert_int_equal(result.messages[0].n_files, 2);
        assert_true(result.messages[0].weight == 0.5);
        assert_string_equal(result.messages[0].evidence[0], "held_open");
        assert_int_equal(inode_of(f, in_folder(f, result.ids[0], "files/0/0/m-D")), inode);
        assert_true(is_there(f, in_folder(f, result.ids[0], "files/0/0/m-H")));
        j = record_of(f, result.ids[0]);
        assert_string_equal(json_string_value(json_object_get(j, "incident")), INCIDENT);
        assert_string_equal(json_string_value(json_object_get(j, "service")), "imc");
        assert_string_equal(json_string_value(json_object_get(j, "reason")), "x");
        assert_non_null(json_object_get(j, "quarantined_at"));
        for (size_t i = 0; i < 2; i++) {
                const json_t *file = json_array_get(json_object_get(j, "files"), i);

                if (json_integer_value(json_object_get(file, "size")) == 3) {
                        assert_string_equal(json_string_value(json_object_get(file, "path")),
                                            at(f, "spool/input/0/m-D"));
                        assert_string_equal(
                                json_string_value(json_object_get(file, "sha256")),
                                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
                }
        }
        json_decref(j);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_QUARANTINE);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_QUARANTINE);
        assert_int_equal(f->inventory.in_quarantine, 1);
        assert_int_equal(ledger_of(&f->roster).quarantined, 1);
        quarantine_forget(&result);
        message_set_deinit(&set);
        json_decref(why);
}

static void test_again_yields_the_same_folder(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine first, again;
        MessageSet set = {};

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        first = quarantine_set(f, &set, NULL);
        again = quarantine_set(f, &set, NULL);
        assert_int_equal(again.n, 1);
        assert_string_equal(first.ids[0], again.ids[0]);
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        quarantine_forget(&first);
        quarantine_forget(&again);
        message_set_deinit(&set);
}

static void test_a_crash_before_the_seal_is_completed(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine first, again;
        MessageSet set = {};
        char sealed[PATH_MAX], open[PATH_MAX + 4];

        put(f, "spool/input/m-H", "1");
        put(f, "spool/input/m-D", "2");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        first = quarantine_set(f, &set, NULL);
        /* As if it had crashed after the first file. */
        snprintf(sealed, sizeof(sealed), "%s/hold/quarantine/%s", f->root, first.ids[0]);
        snprintf(open, sizeof(open), "%s.tmp", sealed);
        assert_int_equal(rename(at(f, in_folder(f, first.ids[0], "files/0/m-D")), at(f, "spool/input/m-D")),
                         0);
        assert_int_equal(rename(sealed, open), 0);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_QUARANTINE | PLACE_STORE);
        again = quarantine_set(f, &set, NULL);
        assert_string_equal(first.ids[0], again.ids[0]);
        assert_int_equal(again.messages[0].n_files, 2);
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        assert_true(is_there(f, in_folder(f, first.ids[0], "files/0/m-D")));
        assert_int_equal(count_in(f, "spool/input"), 0);
        quarantine_forget(&first);
        quarantine_forget(&again);
        message_set_deinit(&set);
}

static void test_a_crash_inside_a_release_is_undone(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine first, again;
        MessageSet set = {};

        put(f, "spool/input/m-H", "1");
        put(f, "spool/input/m-D", "2");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        first = quarantine_set(f, &set, NULL);
        assert_int_equal(rename(at(f, in_folder(f, first.ids[0], "files/0/m-D")), at(f, "spool/input/m-D")),
                         0);
        again = quarantine_set(f, &set, NULL);
        assert_string_equal(first.ids[0], again.ids[0]);
        assert_int_equal(count_in(f, "spool/input"), 0);
        assert_int_equal(count_in(f, "hold/quarantine"), 1);
        quarantine_forget(&first);
        quarantine_forget(&again);
        message_set_deinit(&set);
}

static void test_the_same_id_again_is_another_message(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine first, again;
        MessageSet set = {};

        put(f, "spool/In/a", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        first = quarantine_set(f, &set, NULL);
        put(f, "spool/In/a", "other");
        inventory(f, false, true);
        again = quarantine_set(f, &set, NULL);
        assert_string_not_equal(first.ids[0], again.ids[0]);
        assert_int_equal(count_in(f, "hold/quarantine"), 2);
        quarantine_forget(&first);
        quarantine_forget(&again);
        message_set_deinit(&set);
}

static void test_order_and_missing(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine result;
        MessageSet set = {};

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        put(f, "spool/input/m-H", "1");
        inventory(f, true, false);
        assert_int_equal(unlink(at(f, "spool/In/b")), 0);
        for (uint32_t i = 0; i < 3; i++)
                assert_int_equal(message_set_add(&set, i), 0);
        result = quarantine_set(f, &set, NULL);
        assert_int_equal(result.n, 2);
        assert_int_equal(reported(f, "missing"), 1);
        assert_int_equal(strv_length(result.ids), 2);
        for (size_t i = 0; i < result.n; i++) {
                json_t *j = record_of(f, result.ids[i]);

                assert_string_equal(json_string_value(json_object_get(j, "id")), result.messages[i].id);
                json_decref(j);
        }
        quarantine_forget(&result);
        message_set_deinit(&set);
}

static void test_odd_kinds_and_odd_names(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine result;
        MessageSet set = {};

        assert_int_equal(mkfifo(at(f, "spool/In/\xff\nfifo"), 0600), 0);
        put_dir(f, "spool/In/dir");
        put(f, "spool/In/dir/inside", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        assert_int_equal(message_set_add(&set, 1), 0);
        result = quarantine_set(f, &set, NULL);
        assert_int_equal(result.n, 2);
        assert_int_equal(count_in(f, "spool/In"), 0);
        for (size_t i = 0; i < 2; i++) {
                const Message *m = result.messages + i;

                assert_string_equal(m->evidence[0], "odd_kind");
                if (m->n_files == 1) {
                        assert_int_equal(m->files[0].type, FILE_FIFO);
                        assert_false(m->files[0].has_sha256);
                } else {
                        assert_int_equal(m->n_files, 2);
                        assert_true(is_there(f, in_folder(f, result.ids[i], "files/0/dir/inside")));
                }
        }
        quarantine_forget(&result);
        message_set_deinit(&set);
}

static void test_results_are_in_the_order_of_the_set(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine q;
        MessageSet set = {};

        put(f, "spool/input/m-H", "1");
        inventory(f, true, false);
        put(f, "spool/In/later", "1"); /* of an earlier store */
        inventory(f, false, true);
        assert_int_equal(message_set_add(&set, 0), 0);
        assert_int_equal(message_set_add(&set, 1), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 2);
        assert_string_equal(q.messages[0].id, "m");
        assert_string_equal(q.messages[1].id, "later");
        for (size_t i = 0; i < 2; i++) {
                json_t *j = record_of(f, q.ids[i]);

                assert_string_equal(json_string_value(json_object_get(j, "id")), q.messages[i].id);
                json_decref(j);
        }
        quarantine_forget(&q);
        message_set_deinit(&set);
}

static void test_a_file_that_comes_late_is_recorded(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine first, again;
        MessageSet set = {};
        char sealed[PATH_MAX], open[PATH_MAX + 4];
        json_t *j;

        put(f, "spool/input/m-H", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        first = quarantine_set(f, &set, NULL);
        snprintf(sealed, sizeof(sealed), "%s/hold/quarantine/%s", f->root, first.ids[0]);
        snprintf(open, sizeof(open), "%s.tmp", sealed);
        assert_int_equal(rename(sealed, open), 0);
        put(f, "spool/input/m-D", "abc");
        again = quarantine_set(f, &set, NULL);
        assert_string_equal(first.ids[0], again.ids[0]);
        assert_int_equal(again.messages[0].n_files, 2);
        j = record_of(f, again.ids[0]);
        assert_int_equal(json_array_size(json_object_get(j, "files")), 2);
        json_decref(j);
        assert_true(is_there(f, in_folder(f, again.ids[0], "files/0/m-D")));
        quarantine_forget(&first);
        quarantine_forget(&again);
        message_set_deinit(&set);
}

static void test_the_same_name_in_store_and_hold(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine q;
        MessageSet set = {};
        ino_t held;

        put(f, "spool/In/a", "held");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        place_held(f, &set);
        held = inode_of(f, "hold/incidents/" INCIDENT "/q/0/a");
        put(f, "spool/In/a", "another");
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 1);
        assert_int_equal(reported(f, "taken"), 1);
        /* The one that was held is meant; the other has not replaced it. */
        assert_int_equal(count_in(f, "hold/incidents/" INCIDENT "/q/0"), 0);
        assert_int_equal(inode_of(f, in_folder(f, q.ids[0], "files/0/a")), held);
        assert_true(is_there(f, "spool/In/a"));
        assert_int_equal(q.messages[0].n_files, 1);
        assert_int_equal(q.messages[0].files[0].inode, held);
        quarantine_forget(&q);
        message_set_deinit(&set);
}

static void test_a_disk_that_fails(void **state)
{
        Fixture *f = *state;
        SpoolQuarantine q = { .incident = INCIDENT, .roster = &f->roster };
        MessageSet set = {};
        NameDisk disk;

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "1");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        assert_int_equal(message_set_add(&set, 1), 0);
        q.set = &set;
        fixture_fail(f, &disk, "b", -EIO);
        report_reset(f);
        assert_int_equal(spool_quarantine(f->spool, &q, &f->report), -EIO);
        assert_non_null(strstr(f->report.detail, "spool/In/b"));
        assert_null(q.messages);
        f->spool->disk = disk_posix();
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 2);
        assert_int_equal(count_in(f, "hold/quarantine"), 2);
        quarantine_forget(&q);
        q = (SpoolQuarantine){ .incident = "../x", .roster = &f->roster, .set = &set };
        assert_int_equal(spool_quarantine(f->spool, &q, NULL), -EINVAL);
        message_set_deinit(&set);
}

static void test_nothing_is_taken_from_under_a_live_service(void **state)
{
        Fixture *f = *state;
        MessageSet set = {};
        SpoolQuarantine q = { .incident = INCIDENT, .roster = &f->roster, .set = &set };
        ino_t inode;

        put(f, "spool/In/a", "held");
        put(f, "spool/In/b", "in the store");
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, index_of(f, STORE_Q, "a")), 0);
        place_held(f, &set);
        put(f, "spool/In/a", "came later under the name of one that is held");
        inode = inode_of(f, "spool/In/a");
        assert_int_equal(message_set_add(&set, index_of(f, STORE_Q, "b")), 0);
        report_reset(f);
        f->report.live = true;
        assert_int_equal(spool_quarantine(f->spool, &q, &f->report), 0);
        assert_int_equal(q.n, 1);
        assert_string_equal(q.messages[0].id, "a");
        assert_int_equal(inode_of(f, "spool/In/a"), inode);
        assert_true(is_there(f, "spool/In/b"));
        assert_int_equal(reported(f, "missing"), 1);
        quarantine_forget(&q);
        message_set_deinit(&set);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_a_culprit_from_hold),
                T(test_again_yields_the_same_folder),
                T(test_a_crash_before_the_seal_is_completed),
                T(test_a_crash_inside_a_release_is_undone),
                T(test_the_same_id_again_is_another_message),
                T(test_order_and_missing),
                T(test_odd_kinds_and_odd_names),
                T(test_results_are_in_the_order_of_the_set),
                T(test_a_file_that_comes_late_is_recorded),
                T(test_the_same_name_in_store_and_hold),
                T(test_a_disk_that_fails),
                T(test_nothing_is_taken_from_under_a_live_service),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
