/* Tests of record/audit.c: what an append leaves on disk, what opening mends, and every disk call failing
 * once. */
#include "trail_helper.h"

#include "record/trail.h"
#include "record/verify.h"

#include <sys/stat.h>

static Audit *reopen(Fixture *f, AuditFindings *findings)
{
        const AuditConfig config = fixture_config(f);
        Audit *a = NULL;

        *findings = (AuditFindings){ 0 };
        assert_int_equal(audit_open(&a, &config, findings), 0);
        return a;
}

static void expect_intact(Fixture *f, uint64_t records)
{
        VerifyResult v;

        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        if (v.fault != VERIFY_INTACT)
                fail_msg("%s", v.text);
        assert_int_equal(v.head_error, 0);
        assert_int_equal(v.last_seq, records);
        verify_result_deinit(&v);
}

static void test_a_record_as_the_contract_says(void **state)
{
        static const char expected[] =
                "{\"boot\":\"b\",\"data\":{\"text\":\"x\"},\"event\":\"operator\",\"hash\":\"";
        static const char rest[] =
                "\",\"host\":\"h\",\"prev\":\"" CHAIN_ZERO
                "\",\"seq\":1,\"service\":\"imc\",\"time\":\"1970-01-01T00:00:01.000000Z\",\"v\":1}\n";
        Fixture *f = *state;
        AuditFindings findings;
        Audit *a = reopen(f, &findings);
        struct stat st;
        char *text;

        assert_int_equal(fixture_append(a, "x"), 0);
        text = fixture_read(f->path);
        assert_memory_equal(text, expected, strlen(expected));
        assert_string_equal(text + strlen(expected) + CHAIN_HEX, rest);
        assert_memory_equal(text + strlen(expected), audit_head(a)->hash, CHAIN_HEX);
        assert_int_equal(stat(f->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        free(text);
        audit_free(a);
        expect_intact(f, 1);
}

static void test_goes_on_after_reopening(void **state)
{
        Fixture *f = *state;
        AuditFindings findings;
        Audit *a;

        for (unsigned i = 1; i <= 3; i++) {
                a = reopen(f, &findings);
                assert_int_equal(findings.cut, 0);
                assert_int_equal(findings.missing_to, 0);
                assert_false(findings.head_lost);
                assert_int_equal(fixture_append(a, "x"), 0);
                assert_int_equal(audit_head(a)->seq, i);
                assert_int_equal(audit_head(a)->commit, i);
                audit_free(a);
        }
        expect_intact(f, 3);
}

static void test_a_torn_line_is_cut_off(void **state)
{
        static const char torn[] = "{\"boot\":\"b\",\"data\":\xff";
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings;
        FILE *stream;
        Audit *a;

        fixture_fill(f, &config, 2);
        stream = fopen(f->path, "ae");
        assert_non_null(stream);
        fputs(torn, stream);
        fclose(stream);
        a = reopen(f, &findings);
        assert_int_equal(findings.cut, strlen(torn));
        assert_non_null(strstr(findings.cut_text, "boot"));
        assert_int_equal(findings.missing_to, 0);
        audit_findings_deinit(&findings);
        assert_int_equal(fixture_append(a, "x"), 0);
        audit_free(a);
        expect_intact(f, 3);
}

static void test_zeros_of_a_power_cut_are_cut_off(void **state)
{
        const AuditConfig config = fixture_config(*state);
        static const char zeros[5000];
        Fixture *f = *state;
        AuditFindings findings;
        FILE *stream;

        fixture_fill(f, &config, 2);
        stream = fopen(f->path, "ae");
        assert_non_null(stream);
        fwrite(zeros, 1, sizeof(zeros), stream);
        fputs("\n", stream);
        fclose(stream);
        audit_free(reopen(f, &findings));
        assert_int_equal(findings.cut, sizeof(zeros) + 1);
        audit_findings_deinit(&findings);
        expect_intact(f, 2);
}

static void test_records_after_the_head_are_adopted(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings;
        char head[96], *old;
        Audit *a;

        snprintf(head, sizeof(head), "%s/%s", f->dir, AUDIT_HEAD_FILE);
        fixture_fill(f, &config, 2);
        old = fixture_read(head);
        fixture_fill(f, &config, 1);
        fixture_write(head, old, strlen(old)); /* as if it had died before the head was written */
        free(old);
        a = reopen(f, &findings);
        assert_int_equal(findings.cut, 0);
        assert_int_equal(audit_head(a)->seq, 3);
        assert_int_equal(audit_head(a)->commit, 2);
        assert_int_equal(fixture_append(a, "x"), 0);
        audit_free(a);
        expect_intact(f, 4);
}

static void test_a_lost_tail_stays_visible(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings;
        VerifyResult v;
        char *text, *end;
        Audit *a;

        fixture_fill(f, &config, 4);
        text = fixture_read(f->path);
        end = strchr(strchr(text, '\n') + 1, '\n') + 1;
        assert_int_equal(truncate(f->path, end - text), 0);
        free(text);
        a = reopen(f, &findings);
        assert_int_equal(findings.missing_from, 3);
        assert_int_equal(findings.missing_to, 4);
        audit_findings_deinit(&findings);
        assert_int_equal(fixture_append(a, "x"), 0);
        assert_int_equal(audit_head(a)->seq, 5);
        audit_free(a);
        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        assert_int_equal(v.fault, VERIFY_DROPPED);
        assert_int_equal(v.seq, 3);
        verify_result_deinit(&v);
}

static void test_a_damaged_line_that_counts_is_no_torn_end(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings;
        char *before, *after;

        fixture_fill(f, &config, 3);
        before = fixture_read(f->path);
        before[strlen(before) - 5] ^= 1;
        fixture_write(f->path, before, strlen(before));
        audit_free(reopen(f, &findings));
        assert_int_equal(findings.cut, 0);
        assert_int_equal(findings.missing_from, 3);
        audit_findings_deinit(&findings);
        after = fixture_read(f->path);
        assert_string_equal(before, after);
        free(before);
        free(after);
}

static void test_the_head_is_made_anew(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings;
        char head[96];
        Audit *a;

        fixture_fill(f, &config, 3);
        snprintf(head, sizeof(head), "%s/%s", f->dir, AUDIT_HEAD_FILE);
        fixture_write(head, "{\"seq\":", 7);
        a = reopen(f, &findings);
        assert_true(findings.head_lost);
        assert_int_equal(audit_head(a)->seq, 3);
        assert_int_equal(audit_head(a)->first, 1);
        assert_int_equal(fixture_append(a, "x"), 0);
        audit_free(a);
        audit_findings_deinit(&findings);
        expect_intact(f, 4);
}

static void test_rotation_keeps_the_chain(void **state)
{
        AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings = { 0 };
        VerifyResult v;
        char path[112];
        Audit *a = NULL;

        config.max_size = 700; /* two records a file */
        fixture_fill(f, &config, 20);
        for (unsigned i = 1; i <= 4; i++) {
                snprintf(path, sizeof(path), "%s.%u", f->path, i);
                assert_int_equal(access(path, F_OK), i <= config.keep ? 0 : -1);
        }
        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        assert_int_equal(v.fault, VERIFY_INTACT);
        assert_int_equal(v.last_seq, 20);
        assert_int_equal(v.records, 20 - v.first_seq + 1);
        assert_true(v.first_seq > 1);
        /* A file that rotation did not remove is missed. */
        snprintf(path, sizeof(path), "%s.%u", f->path, config.keep);
        assert_int_equal(unlink(path), 0);
        verify_result_deinit(&v);
        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        assert_int_equal(v.fault, VERIFY_DROPPED);
        verify_result_deinit(&v);
        assert_int_equal(audit_open(&a, &config, &findings), 0);
        assert_int_equal(audit_head(a)->seq, 20);
        audit_free(a);
}

static void test_a_moved_file_is_noticed(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        AuditFindings findings = { 0 };
        Audit *a = NULL;
        char moved[112];

        assert_int_equal(audit_open(&a, &config, &findings), 0);
        assert_int_equal(fixture_append(a, "x"), 0);
        snprintf(moved, sizeof(moved), "%s.1", f->path);
        assert_int_equal(rename(f->path, moved), 0); /* logrotate, or somebody */
        assert_int_equal(fixture_append(a, "y"), 0);
        audit_free(a);
        assert_int_equal(access(f->path, F_OK), 0);
        expect_intact(f, 2);
}

/* Every disk call of an append fails once, then it works again: the record is whole, once, and nothing else
 * is there. */
static void test_every_failure_leaves_a_good_trail(void **state)
{
        AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        unsigned failed = 0;

        config.max_size = 700; /* so that rotation fails too */
        for (int persistent = 0; persistent < 2; persistent++) {
                for (unsigned n = 1;; n++) {
                        AuditFindings findings = { 0 };
                        uint64_t seq, r_seq;
                        Audit *a = NULL;
                        int r;

                        assert_int_equal(audit_open(&a, &config, &findings), 0);
                        assert_int_equal(findings.missing_to, 0);
                        assert_int_equal(findings.cut, 0);
                        seq = audit_head(a)->seq;
                        f->flaky.calls = 0;
                        f->flaky.fail_at = n;
                        f->flaky.persistent = persistent;
                        r = fixture_append(a, "fails");
                        r_seq = audit_head(a)->seq;
                        f->flaky.fail_at = 0;
                        assert_int_equal(r_seq, r < 0 ? seq : seq + 1);
                        failed += r < 0;
                        if (r < 0 || !persistent)
                                assert_int_equal(fixture_append(a, "then works"), 0);
                        seq = audit_head(a)->seq;
                        audit_free(a);
                        expect_intact(f, seq);
                        if (r == 0 && f->flaky.calls < n)
                                break;
                }
        }
        assert_true(failed > 8);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_record_as_the_contract_says, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_goes_on_after_reopening, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_torn_line_is_cut_off, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_zeros_of_a_power_cut_are_cut_off, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_records_after_the_head_are_adopted, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_lost_tail_stays_visible, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_damaged_line_that_counts_is_no_torn_end, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_the_head_is_made_anew, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_rotation_keeps_the_chain, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_moved_file_is_noticed, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_every_failure_leaves_a_good_trail, fixture_setup,
                                                fixture_teardown),
        };

        return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
