/* Tests of record/alert.c: the tables, the catalog that goes with them, and the null sink. */
#include "record/alert.h"
#include "record/journal.h"

#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

static void test_every_kind_is_told_apart(void **state)
{
        (void)state;
        for (int k = 0; k < _ALERT_KIND_MAX; k++) {
                uint8_t id[16];

                assert_non_null(alert_kind_to_string(k));
                assert_int_equal(alert_kind_from_string(alert_kind_to_string(k)), k);
                assert_int_equal(text_unhex(alert_message_id(k), id, sizeof(id)), 0);
                assert_true(alert_priority(k) >= LOG_CRIT && alert_priority(k) <= LOG_NOTICE);
                assert_non_null(alert_event(k));
                for (int other = 0; other < k; other++)
                        assert_string_not_equal(alert_message_id(k), alert_message_id(other));
                assert_string_not_equal(alert_message_id(k), JOURNAL_AUDIT_RECORD);
        }
        assert_null(alert_kind_to_string(_ALERT_KIND_MAX));
        assert_null(alert_message_id(_ALERT_KIND_MAX));
}

/* Each MESSAGE_ID has its text: a "-- ID" line, a Subject, and a paragraph after an empty line. */
static void test_the_catalog_has_them_all(void **state)
{
        char *text = NULL;
        size_t len;

        (void)state;
        assert_int_equal(file_read(AT_FDCWD, TEST_SOURCE_DIR "/../conf/unjamd.catalog", 1 << 20, &text, &len),
                         0);
        for (int k = 0; k <= _ALERT_KIND_MAX; k++) {
                const char *id = k < _ALERT_KIND_MAX ? alert_message_id(k) : JOURNAL_AUDIT_RECORD, *entry,
                           *body;
                char line[64];

                snprintf(line, sizeof(line), "\n-- %s\nSubject: ", id);
                entry = strstr(text, line);
                if (!entry)
                        fail_msg("%s has no text in the catalog",
                                 k < _ALERT_KIND_MAX ? alert_kind_to_string(k) : id);
                body = strstr(entry, "\n\n");
                assert_non_null(body);
                assert_true(body[2] != '-' && body[2] != '\0');
        }
        free(text);
}

static void collect(void *userdata, const Alert *a)
{
        *(AlertKind *)userdata = a->kind;
}

static void test_sinks(void **state)
{
        const Alert a = { .kind = ALERT_ESCALATED, .text = "x" };
        AlertKind got = _ALERT_KIND_MAX;
        const AlertSink null = { 0 }, fake = { .userdata = &got, .alert = collect };

        (void)state;
        alert_send(NULL, &a);
        alert_send(&null, &a);
        alert_send(&fake, &a);
        assert_int_equal(got, ALERT_ESCALATED);
}

static void test_counting(void **state)
{
        AlertKind got = ALERT_GENERAL;
        AlertCounter counter = { .to = { .userdata = &got, .alert = collect } }, nowhere = { 0 };
        const AlertSink sink = alert_counter_sink(&counter), null = alert_counter_sink(&nowhere);
        const Alert a = { .kind = ALERT_ESCALATED, .text = "t" };

        (void)state;
        alert_send(&sink, &a);
        alert_send(&sink, &a);
        alert_send(&null, &a);
        assert_int_equal(got, ALERT_ESCALATED);
        assert_int_equal(counter.counts[ALERT_ESCALATED], 2);
        assert_int_equal(counter.counts[ALERT_RECOVERED], 0);
        assert_int_equal(nowhere.counts[ALERT_ESCALATED], 1);
}

static void test_kinds_of_events(void **state)
{
        (void)state;
        assert_int_equal(alert_kind_of(AUDIT_INCIDENT_OPENED, LOG_WARNING), ALERT_INCIDENT_OPENED);
        assert_int_equal(alert_kind_of(AUDIT_INCIDENT_CLOSED, LOG_NOTICE), ALERT_RECOVERED);
        assert_int_equal(alert_kind_of(AUDIT_INCIDENT_CLOSED, LOG_ALERT), ALERT_ESCALATED);
        assert_int_equal(alert_kind_of(AUDIT_CONFIG_REJECTED, LOG_ERR), ALERT_CONFIG_REJECTED);
        for (int e = 0; e < _AUDIT_EVENT_MAX; e++)
                assert_non_null(alert_kind_to_string(alert_kind_of(e, LOG_ERR)));
        assert_int_equal(alert_kind_of(AUDIT_ALERT, LOG_CRIT), ALERT_GENERAL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kind_is_told_apart),
                cmocka_unit_test(test_the_catalog_has_them_all),
                cmocka_unit_test(test_sinks),
                cmocka_unit_test(test_counting),
                cmocka_unit_test(test_kinds_of_events),
        };

        return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
