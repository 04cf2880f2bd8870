/* sift - which of the suspects are unjamd's own. */
#include "act/sift.h"

#include "spool_fixture.h"

static const CanaryKey key = { .bytes = { 1 } }, strange = { .bytes = { 2 } };

static void put_canary(const Fixture *f, const char *below, const CanaryKey *by, const char *before)
{
        const uint8_t nonce[CANARY_NONCE_SIZE] = { 3 };
        char token[CANARY_TOKEN_SIZE], text[2048];
        char *message;

        canary_token(by, nonce, token);
        message = canary_message("imc", token);
        snprintf(text, sizeof(text), "%s%s", before, message);
        free(message);
        put(f, below, text);
}

static void test_sift(void **state)
{
        Fixture *f = *state;
        MessageSet set = {}, left = {};

        put_canary(f, "spool/In/canary", &key, "");
        put_canary(f, "spool/In/strange", &strange, "");
        put_canary(f, "spool/input/1-H", &key, "some other format\n");
        put(f, "spool/input/1-D", "the body");
        put(f, "spool/In/mail", "Subject: x\n\ny\n");
        inventory(f, true, false);
        for (uint32_t k = 0; k < f->roster.n; k++)
                assert_int_equal(message_set_add(&set, k), 0);
        assert_int_equal(sift_canaries(f->spool, &key, INCIDENT, &f->roster, &set, &left), 0);
        assert_int_equal(message_set_count(&set), 4);
        assert_int_equal(message_set_count(&left), 2);
        assert_true(message_set_has(&left, index_of(f, STORE_Q, "mail")));
        assert_true(message_set_has(&left, index_of(f, STORE_Q, "strange")));
        assert_true(f->roster.entries[index_of(f, STORE_Q, "canary")].flags & MESSAGE_CANARY);
        assert_true(f->roster.entries[index_of(f, STORE_X, "1")].flags & MESSAGE_CANARY);
        assert_false(f->roster.entries[index_of(f, STORE_Q, "mail")].flags & MESSAGE_CANARY);
        /* The mail itself is as it was. */
        assert_int_equal(count_in(f, "spool/In"), 3);
        assert_int_equal(count_in(f, "spool/input"), 2);
        message_set_deinit(&set);
        message_set_deinit(&left);
}

/* Too many to read, or none at all. */
static void test_all_or_none(void **state)
{
        Fixture *f = *state;
        MessageSet set = {}, left = {};
        char name[64];

        put_canary(f, "spool/In/canary", &key, "");
        for (unsigned i = 0; i < SIFT_MAX; i++) {
                snprintf(name, sizeof(name), "spool/In/%u", i);
                put(f, name, "x");
        }
        inventory(f, true, false);
        assert_int_equal(sift_canaries(f->spool, &key, INCIDENT, &f->roster, &set, &left), 0);
        assert_int_equal(message_set_count(&left), 0);
        for (uint32_t k = 0; k < f->roster.n; k++)
                assert_int_equal(message_set_add(&set, k), 0);
        assert_int_equal(sift_canaries(f->spool, &key, INCIDENT, &f->roster, &set, &left), 0);
        assert_int_equal(message_set_count(&left), SIFT_MAX + 1);
        message_set_deinit(&set);
        message_set_deinit(&left);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_sift, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_all_or_none, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("act/sift", tests, NULL, NULL);
}
