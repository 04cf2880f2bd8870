/* Tests of record/journal.c: the fields of an entry. Nothing is sent. */
#include "record/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

static bool has(const struct iovec *fields, size_t n, const char *text)
{
        for (size_t i = 0; i < n; i++)
                if (fields[i].iov_len == strlen(text) && memcmp(fields[i].iov_base, text, strlen(text)) == 0)
                        return true;
        return false;
}

static void test_all_fields(void **state)
{
        const JournalEntry e = { .message_id = JOURNAL_AUDIT_RECORD,
                                 .priority = LOG_CRIT,
                                 .message = "two\nlines",
                                 .event = "incident.closed",
                                 .alert = "escalated",
                                 .service = "imc",
                                 .incident = "i1",
                                 .seq = "12",
                                 .hash = "ab" };
        static const char *const want[] = { "MESSAGE=two\nlines",
                                            "MESSAGE_ID=" JOURNAL_AUDIT_RECORD,
                                            "PRIORITY=2",
                                            "SYSLOG_IDENTIFIER=unjamd",
                                            "UNJAM_EVENT=incident.closed",
                                            "UNJAM_ALERT=escalated",
                                            "UNJAM_SERVICE=imc",
                                            "UNJAM_INCIDENT=i1",
                                            "UNJAM_SEQ=12",
                                            "UNJAM_HASH=ab" };
        struct iovec *fields;
        size_t n;

        (void)state;
        assert_int_equal(journal_fields(&e, &fields, &n), 0);
        assert_int_equal(n, sizeof(want) / sizeof(want[0]));
        for (size_t i = 0; i < n; i++)
                assert_true(has(fields, n, want[i]));
        journal_fields_free(fields, n);
}

static void test_absent_ones_are_left_out(void **state)
{
        const JournalEntry e = { .message_id = "x", .priority = LOG_INFO, .message = "m", .event = "alert" };
        struct iovec *fields;
        size_t n;

        (void)state;
        assert_int_equal(journal_fields(&e, &fields, &n), 0);
        assert_int_equal(n, 5);
        assert_true(has(fields, n, "UNJAM_EVENT=alert"));
        journal_fields_free(fields, n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_fields),
                cmocka_unit_test(test_absent_ones_are_left_out),
        };

        return cmocka_run_group_tests_name("record_journal", tests, NULL, NULL);
}
