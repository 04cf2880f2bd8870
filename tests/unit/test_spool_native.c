/* A culprit on its way into the server's own hold, and out of it; with deaths in between. */
#include "spool_native_fixture.h"

static SpoolNative offer(Fixture *f, bool begin)
{
        SpoolNative n;

        report_reset(f);
        assert_int_equal(spool_native_offer(f->spool, INCIDENT, begin, NULL, &n, &f->report), 0);
        return n;
}

static void settle(Fixture *f, SpoolNative *n, const char *complaint)
{
        report_reset(f);
        assert_int_equal(spool_native_settle(f->spool, n, complaint, &f->report), 0);
}

static const char *member(const Fixture *f, const char *qid, const char *key)
{
        static char text[256];
        json_t *j = native_record(f, qid);
        const char *s = json_string_value(json_object_get(j, key));

        snprintf(text, sizeof(text), "%s", s ?: "");
        json_decref(j);
        return text;
}

static const char *held_by_us(const char *qid)
{
        static char path[256];

        snprintf(path, sizeof(path), "hold/quarantine/%s/files/0/4B7F", qid);
        return path;
}

/* Message 4B7F of store q, natively held. */
static const char *hold_one(Fixture *f)
{
        const char *qid;
        SpoolNative n;

        put(f, "spool/In/4B7F", "poison");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        n = offer(f, true);
        server_moves(f, "spool/In/4B7F", "spool/held/4B7F");
        settle(f, &n, NULL);
        assert_true(n.held);
        spool_native_deinit(&n);
        return qid;
}

static void test_into_it(void **state)
{
        Fixture *f = *state;
        SpoolNative n;
        const char *qid;
        ino_t inode;

        put(f, "spool/In/4B7F", "poison");
        inode = inode_of(f, "spool/In/4B7F");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        n = offer(f, false); /* nothing is on its way */
        assert_null(n.quarantine);
        n = offer(f, true);
        assert_string_equal(n.quarantine, qid);
        assert_string_equal(n.id, "4B7F");
        assert_int_equal(n.store, STORE_Q);
        assert_true(n.run);
        assert_int_equal(inode_of(f, "spool/In/4B7F"), inode);
        assert_string_equal(member(f, qid, "native_intent"), "hold");
        server_moves(f, "spool/In/4B7F", "spool/held/4B7F");
        settle(f, &n, "the command ended with status 1"); /* whatever it said */
        assert_true(n.held);
        assert_string_equal(n.message.where[0].path, at(f, "spool/held/4B7F"));
        assert_string_equal(member(f, qid, "native_intent"), "");
        spool_native_deinit(&n);
        /* It counts as quarantined, and is not offered again. */
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_Q, "4B7F")->place, PLACE_QUARANTINE);
        n = offer(f, true);
        assert_null(n.quarantine);
}

static void test_it_is_not_taken(void **state)
{
        Fixture *f = *state;
        SpoolNative n;
        const char *qid;
        ino_t inode;

        put(f, "spool/In/4B7F", "poison");
        inode = inode_of(f, "spool/In/4B7F");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        n = offer(f, true);
        settle(f, &n, NULL); /* it said that all is well, and has done nothing */
        assert_false(n.held);
        assert_non_null(strstr(n.refusal, "not found"));
        assert_int_equal(inode_of(f, held_by_us(qid)), inode);
        assert_int_equal(count_in(f, "spool/In"), 0);
        assert_string_equal(member(f, qid, "native_refused"), n.refusal);
        spool_native_deinit(&n);
        n = offer(f, true); /* once is enough */
        assert_null(n.quarantine);
        /* It is ours, and is released as such. */
        assert_int_equal(spool_native_withdraw(f->spool, qid, &n, &f->report), SPOOL_E_OURS);
}

static void test_what_cannot_go_there(void **state)
{
        Fixture *f = *state;
        SpoolNative n;

        put(f, "spool/In/-d", "poison");
        (void)native_quarantine(f, STORE_Q, "-d");
        n = offer(f, true);
        assert_false(n.run);
        assert_false(n.held);
        assert_non_null(strstr(n.refusal, "command line"));
        spool_native_deinit(&n);
        assert_int_equal(mkfifo(at(f, "spool/In/fifo"), 0600), 0);
        (void)native_quarantine(f, STORE_Q, "fifo");
        n = offer(f, true);
        assert_non_null(strstr(n.refusal, "plain files"));
        spool_native_deinit(&n);
        put(f, "spool/In/4B7F", "poison");
        (void)native_quarantine(f, STORE_Q, "4B7F");
        put(f, "spool/In/4B7F", "another"); /* its name is taken */
        n = offer(f, true);
        assert_non_null(strstr(n.refusal, "could not be put back"));
        spool_native_deinit(&n);
        assert_true(is_there(f, "spool/In/4B7F"));
        assert_int_equal(count_in(f, "spool/In"), 1);
}

static void test_a_death_in_between(void **state)
{
        Fixture *f = *state;
        SpoolNative n;
        const char *qid;

        put(f, "spool/In/4B7F", "poison");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        /* Before the command: taken back, and begun anew. */
        n = offer(f, true);
        spool_native_deinit(&n);
        assert_int_equal(spool_native_recall(f->spool, INCIDENT, &f->report), 0);
        assert_true(is_there(f, held_by_us(qid)));
        assert_string_equal(member(f, qid, "native_intent"), "");
        n = offer(f, true);
        assert_true(n.run);
        spool_native_deinit(&n);
        /* After it: only recorded, also by an unjamd that is not to begin any. */
        server_moves(f, "spool/In/4B7F", "spool/held/4B7F");
        assert_int_equal(spool_native_recall(f->spool, INCIDENT, &f->report), 0);
        assert_true(is_there(f, "spool/held/4B7F"));
        n = offer(f, false);
        assert_false(n.run);
        assert_true(n.held);
        spool_native_deinit(&n);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_Q, "4B7F")->place, PLACE_QUARANTINE);
}

static void test_the_configuration_knows_no_hold_any_more(void **state)
{
        Fixture *f = *state;
        SpoolNative n;
        const char *qid;

        put(f, "spool/In/4B7F", "poison");
        qid = native_quarantine(f, STORE_Q, "4B7F");
        n = offer(f, true);
        spool_native_deinit(&n);
        f->stores[STORE_Q].quarantine_native = false;
        f->stores[STORE_Q].native = (NativeSettings){};
        n = offer(f, false);
        assert_false(n.run);
        assert_non_null(n.refusal);
        assert_true(is_there(f, held_by_us(qid)));
        spool_native_deinit(&n);
}

static void test_out_of_it(void **state)
{
        Fixture *f = *state;
        const char *qid = hold_one(f);
        SpoolNative n = {}, deletion = { .delete = true }, elsewhere = { .elsewhere = true };
        Message m = {};

        /* Its files are not where those of others are. */
        assert_int_equal(spool_release(f->spool, qid, NULL, &m, &f->report), -EINVAL);
        assert_int_equal(spool_delete(f->spool, qid, &m, &f->report), -EINVAL);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &elsewhere, &f->report), -EINVAL);
        assert_string_equal(member(f, qid, "native_intent"), "");
        spool_native_deinit(&elsewhere);
        report_reset(f);
        assert_int_equal(spool_native_withdraw(f->spool, "nothing", &n, &f->report), SPOOL_E_NONE);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &n, &f->report), 0);
        assert_true(n.run);
        assert_string_equal(member(f, qid, "native_intent"), "release");
        /* The command did nothing: all is as it was. */
        assert_int_equal(spool_native_withdrawn(f->spool, &n, NULL, &f->report), -EIO);
        assert_non_null(strstr(f->report.detail, "holds it still"));
        assert_string_equal(member(f, qid, "native_intent"), "");
        spool_native_deinit(&n);
        report_reset(f);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &n, &f->report), 0);
        server_moves(f, "spool/held/4B7F", "spool/Out/4B7F");
        assert_int_equal(spool_native_withdrawn(f->spool, &n, "it was killed", &f->report), 0);
        assert_string_equal(n.message.id, "4B7F");
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        spool_native_deinit(&n);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &deletion, &f->report), SPOOL_E_NONE);
}

static void test_it_left_without_us(void **state)
{
        Fixture *f = *state;
        const char *qid = hold_one(f);
        SpoolNative deletion = { .delete = true }, again = { .delete = true, .again = true }, release = {};

        assert_int_equal(unlink(at(f, "spool/held/4B7F")), 0);
        /* Nobody is told that it was deleted, when it may have been delivered. */
        assert_int_equal(spool_native_withdraw(f->spool, qid, &deletion, &f->report), -ENOENT);
        spool_native_deinit(&deletion);
        report_reset(f);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &again, &f->report), -ENOENT);
        spool_native_deinit(&again);
        report_reset(f);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &release, &f->report), 0);
        assert_false(release.run);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        spool_native_deinit(&release);
}

static void test_a_delete_that_was_done_before_a_death(void **state)
{
        Fixture *f = *state;
        const char *qid = hold_one(f);
        SpoolNative deletion = { .delete = true }, again = { .delete = true, .again = true };

        assert_int_equal(spool_native_withdraw(f->spool, qid, &deletion, &f->report), 0);
        spool_native_deinit(&deletion);
        assert_int_equal(unlink(at(f, "spool/held/4B7F")), 0);
        assert_int_equal(spool_native_withdraw(f->spool, qid, &again, &f->report), 0);
        assert_false(again.run);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        spool_native_deinit(&again);
}

/* Frozen in the store: no mail there for an inventory, and no culprit to be quarantined once more. */
static void test_held_in_place(void **state)
{
        Fixture *f = *state;
        MessageSet set = {};
        SpoolQuarantine q;
        SpoolNative n;
        char qid[128];

        put(f, "spool/input/m-H", "head");
        put(f, "spool/input/m-D", "body");
        snprintf(qid, sizeof(qid), "%s", native_quarantine(f, STORE_X, "m"));
        n = offer(f, true);
        server_rewrites(f, "spool/input/m-H", "head, frozen");
        settle(f, &n, NULL);
        assert_true(n.held);
        spool_native_deinit(&n);
        inventory(f, false, false);
        assert_int_equal(entry_of(f, STORE_X, "m")->place, PLACE_QUARANTINE);
        assert_int_equal(f->inventory.in_store, 0);
        assert_int_equal(message_set_add(&set, index_of(f, STORE_X, "m")), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 1);
        assert_string_equal(q.ids[0], qid);
        assert_true(q.messages[0].native);
        assert_true(is_there(f, "spool/input/m-H"));
        quarantine_forget(&q);
        message_set_deinit(&set);
}

/* --- on arrival --- */

static const char poison[] = "a message of more than 64 bytes, for shorter ones are all alike to everybody";

/* The bytes of @poison are known, and a message with them has arrived. */
static const char *arrive(Fixture *f, const char *text)
{
        put(f, "spool/In/first", poison);
        (void)native_quarantine(f, STORE_Q, "first");
        put(f, "spool/Out/4B7F", text);
        return at(f, "spool/Out/4B7F");
}

static void test_caught(void **state)
{
        Fixture *f = *state;
        SpoolNative n = {};
        const char *path = arrive(f, poison);
        char qid[128];
        ino_t inode = inode_of(f, "spool/Out/4B7F");

        report_reset(f);
        assert_int_equal(spool_native_catch(f->spool, path, &n, &f->report), 0);
        assert_true(n.run);
        assert_string_equal(n.id, "4B7F");
        snprintf(qid, sizeof(qid), "%s", n.quarantine);
        assert_string_equal(member(f, qid, "native_intent"), "hold");
        assert_true(is_there(f, "spool/Out/4B7F")); /* beside a live server nothing is moved by us */
        server_moves(f, "spool/Out/4B7F", "spool/held/4B7F");
        assert_int_equal(spool_native_caught(f->spool, &n, NULL, &f->report), 0);
        assert_true(n.held);
        assert_int_equal(n.message.where[0].inode, inode);
        assert_string_equal(n.message.evidence[0], "known_digest");
        assert_string_equal(member(f, qid, "native_intent"), "");
        spool_native_deinit(&n);
        /* No incident counts it as its own. */
        inventory(f, false, true);
        assert_int_equal(f->inventory.in_quarantine, 1);
}

static void test_not_caught(void **state)
{
        Fixture *f = *state;
        SpoolNative n = {};
        const char *path = arrive(f, poison);
        size_t before = count_in(f, "hold/quarantine");

        assert_int_equal(spool_native_catch(f->spool, path, &n, &f->report), 0);
        assert_int_equal(count_in(f, "hold/quarantine"), before + 1);
        assert_int_equal(spool_native_caught(f->spool, &n, "the command ended with status 1", &f->report), 0);
        assert_false(n.held);
        assert_string_equal(n.refusal, "the command ended with status 1");
        assert_true(is_there(f, "spool/Out/4B7F"));
        assert_int_equal(count_in(f, "hold/quarantine"), before);
        spool_native_deinit(&n);
        assert_int_equal(unlink(at(f, "spool/Out/4B7F")), 0);
        assert_int_equal(spool_native_catch(f->spool, path, &n, &f->report), SPOOL_E_NONE);
        spool_native_deinit(&n);
}

static void test_only_known_bytes_are_caught(void **state)
{
        Fixture *f = *state;
        SpoolNative n = {};
        const char *path =
                arrive(f, "a message of just as many bytes that is not at all what the other one was");

        assert_int_equal(spool_native_catch(f->spool, path, &n, &f->report), SPOOL_E_NONE);
        spool_native_deinit(&n);
        assert_int_equal(spool_native_catch(f->spool, "/etc/passwd", &n, &f->report), SPOOL_E_NONE);
        spool_native_deinit(&n);
}

static void test_caught_and_a_death(void **state)
{
        Fixture *f = *state;
        SpoolNative n = {};
        const char *path = arrive(f, poison);
        size_t before = count_in(f, "hold/quarantine");
        char copy[256];

        snprintf(copy, sizeof(copy), "%s", path);
        /* Before the command: the message is let go, not held blindly. */
        assert_int_equal(spool_native_catch(f->spool, copy, &n, &f->report), 0);
        spool_native_deinit(&n);
        n.again = true;
        assert_int_equal(spool_native_catch(f->spool, copy, &n, &f->report), 0);
        assert_false(n.run);
        assert_false(n.held);
        assert_non_null(n.refusal);
        assert_int_equal(count_in(f, "hold/quarantine"), before);
        spool_native_deinit(&n);
        /* After it, once with and once without the record of it. */
        assert_int_equal(spool_native_catch(f->spool, copy, &n, &f->report), 0);
        spool_native_deinit(&n);
        server_moves(f, "spool/Out/4B7F", "spool/held/4B7F");
        for (unsigned i = 0; i < 2; i++) {
                n.again = true;
                assert_int_equal(spool_native_catch(f->spool, copy, &n, &f->report), 0);
                assert_true(n.held);
                assert_int_equal(n.message.n_where, 1);
                spool_native_deinit(&n);
        }
        /* Nothing was begun. */
        n.again = true;
        assert_int_equal(spool_native_catch(f->spool, at(f, "spool/In/other"), &n, &f->report), SPOOL_E_NONE);
        spool_native_deinit(&n);
}

#define NATIVE(test) cmocka_unit_test_setup_teardown(test, native_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                NATIVE(test_into_it),
                NATIVE(test_it_is_not_taken),
                NATIVE(test_what_cannot_go_there),
                NATIVE(test_a_death_in_between),
                NATIVE(test_the_configuration_knows_no_hold_any_more),
                NATIVE(test_out_of_it),
                NATIVE(test_it_left_without_us),
                NATIVE(test_a_delete_that_was_done_before_a_death),
                NATIVE(test_held_in_place),
                NATIVE(test_caught),
                NATIVE(test_not_caught),
                NATIVE(test_only_known_bytes_are_caught),
                NATIVE(test_caught_and_a_death),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
