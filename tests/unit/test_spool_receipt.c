/* What a release or delete leaves for an unjamd that died before it could say so. */
#include "spool_fixture.h"

/* Quarantines @id of store q, as a message of its own. The id is the caller's. */
static char *quarantine_one(Fixture *f, const char *id)
{
        MessageSet set = {};
        SpoolQuarantine q;
        char *ret;

        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, index_of(f, STORE_Q, id)), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(q.n, 1);
        ret = strdup(q.ids[0]);
        quarantine_forget(&q);
        message_set_deinit(&set);
        return ret;
}

static void assert_receipt(Fixture *f, const char *quarantine, const char *id)
{
        Message m = {};

        assert_int_equal(spool_receipt(f->spool, quarantine, &m), id ? 0 : SPOOL_E_NONE);
        if (!id)
                return;
        assert_string_equal(m.id, id);
        assert_int_equal(m.n_files, 1);
        message_deinit(&m);
}

static void release(Fixture *f, const char *quarantine)
{
        Message m = {};

        report_reset(f);
        assert_int_equal(spool_release(f->spool, quarantine, NULL, &m, &f->report), 0);
        message_deinit(&m);
}

static void test_the_last_one_is_known(void **state)
{
        Fixture *f = *state;
        Message m = {};
        char *a, *b;

        put(f, "spool/In/a", "1");
        put(f, "spool/In/b", "2");
        a = quarantine_one(f, "a");
        b = quarantine_one(f, "b");
        assert_receipt(f, a, NULL);
        release(f, a);
        assert_receipt(f, a, "a");
        assert_receipt(f, b, NULL);
        report_reset(f);
        assert_int_equal(spool_delete(f->spool, b, &m, &f->report), 0);
        message_deinit(&m);
        assert_receipt(f, b, "b");
        assert_receipt(f, a, NULL);
        assert_int_equal(count_in(f, "hold/receipts"), 1);
        assert_int_equal(count_in(f, "hold/quarantine"), 0);
        free(a);
        free(b);
}

static void test_whose_it_is(void **state)
{
        Fixture *f = *state;
        char *a, path[256];

        put(f, "spool/In/a", "1");
        a = quarantine_one(f, "a");
        release(f, a);
        f->service.name = (char *)"other";
        assert_receipt(f, a, NULL);
        receipts_forget(f->spool);
        f->service.name = (char *)"imc";
        assert_receipt(f, a, "a");
        /* A death in the middle of forgetting. */
        snprintf(path, sizeof(path), "hold/receipts/%s/message.json", a);
        assert_int_equal(unlink(at(f, path)), 0);
        assert_receipt(f, a, NULL);
        receipts_forget(f->spool);
        assert_int_equal(count_in(f, "hold/receipts"), 0);
        free(a);
}

/* A death between the last file and the receipt: the call goes on, and makes it. */
static void test_a_folder_without_files(void **state)
{
        Fixture *f = *state;
        char *a, path[256];

        put(f, "spool/In/a", "1");
        a = quarantine_one(f, "a");
        snprintf(path, sizeof(path), "hold/quarantine/%s/files/0/a", a);
        assert_int_equal(rename(at(f, path), at(f, "spool/In/a")), 0);
        release(f, a);
        assert_true(is_there(f, "spool/In/a"));
        assert_receipt(f, a, "a");
        free(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
                T(test_the_last_one_is_known),
                T(test_whose_it_is),
                T(test_a_folder_without_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
