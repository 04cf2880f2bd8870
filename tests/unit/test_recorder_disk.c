/*
 * Tests of record/recorder_disk.c: commits in order, failures that leave nothing behind, and a crash between
 * any two disk calls (simulated by a disk that fails for good, then a new recorder on the same files).
 */
#include "trail_helper.h"

#include "record/recorder_disk.h"
#include "record/trail.h"
#include "record/verify.h"

#include <systemd/sd-event.h>

typedef struct Done {
        unsigned n;
        int last;
} Done;

static void on_done(void *userdata, int r)
{
        Done *d = userdata;

        d->n++;
        d->last = r;
}

static Recorder *open_recorder(Fixture *f, sd_event *event, RecorderFindings *findings)
{
        const RecorderConfig config = { .state_dir = f->dir,
                                        .audit_path = f->path,
                                        .audit_max_size = 4096,
                                        .audit_keep = 200,
                                        .group = (gid_t)-1,
                                        .disk = &f->flaky.disk };
        Recorder *r = NULL;

        *findings = (RecorderFindings){ 0 };
        assert_int_equal(recorder_disk_new(&r, event, &config, findings), 0);
        return r;
}

/* A commit of service "imc" with snapshot {"n": n} (none if negative) and two records; waits for its end. */
static int commit(Recorder *r, sd_event *event, int n)
{
        AuditRecord records[2] = {
                { .event = AUDIT_INTENT,
                  .service = "imc",
                  .incident = "i1",
                  .wall = 1,
                  .members = json_pack("{s:s, s:{s:i}}", "action", "stop", "data", "n", n) },
                { .event = AUDIT_OUTCOME,
                  .service = "imc",
                  .incident = "i1",
                  .wall = 2,
                  .members = json_pack("{s:s, s:{s:i}}", "action", "stop", "data", "n", n) },
        };
        Commit c = { .service = "imc",
                     .snapshot = n >= 0 ? json_pack("{s:i}", "n", n) : NULL,
                     .records = records,
                     .n_records = 2 };
        Done done = { 0 };

        assert_int_equal(recorder_commit(r, &c, on_done, &done), 0);
        while (done.n == 0)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        assert_int_equal(done.n, 1);
        return done.last;
}

/* The snapshot's number; -1: there is none. */
static int loaded(Recorder *r)
{
        json_t *j = NULL;
        int n;

        assert_int_equal(recorder_load(r, "imc", &j), 0);
        if (!j)
                return -1;
        n = (int)json_integer_value(json_object_get(j, "n"));
        json_decref(j);
        return n;
}

/* The trail is whole; *@ret_last is the number in its last record, *@ret_n how many records there are of that
 * number. */
static uint64_t trail_state(Fixture *f, int *ret_last, unsigned *ret_n)
{
        VerifyResult v;
        Trail *t = NULL;
        TrailLine l;
        uint64_t records;

        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        if (v.fault != VERIFY_INTACT)
                fail_msg("%s", v.text);
        records = v.last_seq;
        verify_result_deinit(&v);
        *ret_last = -2;
        *ret_n = 0;
        assert_int_equal(trail_open(&t, f->path), 0);
        while (trail_next(t, &l) == 0) {
                json_t *j = json_loadb(l.text, l.len, 0, NULL), *data = json_object_get(j, "data");

                if (json_object_get(data, "n")) {
                        int n = (int)json_integer_value(json_object_get(data, "n"));

                        *ret_n = n == *ret_last ? *ret_n + 1 : 1;
                        *ret_last = n;
                }
                json_decref(j);
        }
        trail_free(t);
        return records;
}

static void test_a_commit_and_its_end(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        sd_event *event;
        Recorder *r;
        unsigned n;
        int last;

        assert_int_equal(sd_event_new(&event), 0);
        r = open_recorder(f, event, &findings);
        assert_int_equal(findings.error, 0);
        assert_int_equal(loaded(r), -1);
        assert_int_equal(commit(r, event, 1), 0);
        assert_int_equal(loaded(r), 1);
        assert_int_equal(commit(r, event, 2), 0);
        recorder_free(r);
        r = open_recorder(f, event, &findings);
        assert_int_equal(loaded(r), 2);
        assert_int_equal(commit(r, event, -1), 0);
        assert_int_equal(loaded(r), -1);
        assert_int_equal(trail_state(f, &last, &n), 6);
        recorder_free(r);
        sd_event_unref(event);
}

static void test_order_is_kept(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        Done done = { 0 };
        sd_event *event;
        Recorder *r;
        unsigned n;
        int last;

        assert_int_equal(sd_event_new(&event), 0);
        r = open_recorder(f, event, &findings);
        for (int i = 0; i < 20; i++) {
                AuditRecord record = { .event = AUDIT_OPERATOR,
                                       .wall = 1,
                                       .members = json_pack("{s:{s:i}}", "data", "n", i) };
                Commit c = { .records = &record, .n_records = 1 };

                assert_int_equal(recorder_commit(r, &c, on_done, &done), 0);
        }
        while (done.n < 20)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        assert_int_equal(trail_state(f, &last, &n), 20);
        assert_int_equal(last, 19);
        recorder_free(r);
        sd_event_unref(event);
}

static void test_free_with_commits_queued(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        Done done = { 0 };
        sd_event *event;
        Recorder *r;

        assert_int_equal(sd_event_new(&event), 0);
        r = open_recorder(f, event, &findings);
        for (int i = 0; i < 5; i++) {
                Commit c = { .service = "imc", .snapshot = json_pack("{s:i}", "n", i) };

                assert_int_equal(recorder_commit(r, &c, on_done, &done), 0);
        }
        recorder_free(r);
        assert_int_equal(done.n, 0);
        sd_event_unref(event);
}

/* What the engine keeps of a value after it gave it away does not reach the record. */
static void test_values_are_copied(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        json_t *shared = json_pack("{s:i}", "n", 7);
        Commit c = { .service = "imc", .snapshot = json_pack("{s:i, s:O}", "n", 7, "inner", shared) };
        Done done = { 0 };
        sd_event *event;
        Recorder *r;
        json_t *j = NULL;

        assert_int_equal(sd_event_new(&event), 0);
        r = open_recorder(f, event, &findings);
        assert_int_equal(recorder_commit(r, &c, on_done, &done), 0);
        json_object_set_new(shared, "n", json_integer(8));
        while (done.n == 0)
                assert_true(sd_event_run(event, UINT64_MAX) >= 0);
        assert_int_equal(recorder_load(r, "imc", &j), 0);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "inner"), "n")), 7);
        json_decref(j);
        json_decref(shared);
        recorder_free(r);
        sd_event_unref(event);
}

/* Every disk call of a commit fails once: before or after, never in between, and the next commit works. */
static void test_a_failed_commit_leaves_nothing(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        sd_event *event;
        int have = -1, next = 0;

        assert_int_equal(sd_event_new(&event), 0);
        for (unsigned at = 1;; at++) {
                Recorder *r = open_recorder(f, event, &findings);
                unsigned n;
                int result, last;
                bool fired;

                f->flaky.calls = 0;
                f->flaky.fail_at = at;
                result = commit(r, event, next);
                fired = f->flaky.calls >= at;
                f->flaky.fail_at = 0;
                if (result == 0)
                        have = next;
                assert_int_equal(loaded(r), have);
                if (have >= 0) {
                        trail_state(f, &last, &n);
                        assert_int_equal(last, have);
                        assert_int_equal(n, 2);
                }
                next++;
                assert_int_equal(commit(r, event, next), 0);
                have = next++;
                assert_int_equal(loaded(r), have);
                trail_state(f, &last, &n);
                assert_int_equal(last, have);
                recorder_free(r);
                if (!fired)
                        break;
        }
        sd_event_unref(event);
}

/* Every disk call fails from the n-th on, which is what a crash there leaves; then snapshot and trail agree
 * again. */
static void test_a_crash_in_a_commit(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        uint64_t replayed = 0;
        sd_event *event;

        assert_int_equal(sd_event_new(&event), 0);
        for (unsigned at = 1;; at++) {
                Recorder *r = open_recorder(f, event, &findings);
                int before = loaded(r), last, now;
                unsigned n;
                bool fired;

                recorder_findings_deinit(&findings);
                f->flaky.calls = 0;
                f->flaky.fail_at = at;
                f->flaky.persistent = true;
                (void)commit(r, event, before + 1);
                fired = f->flaky.calls >= at;
                recorder_free(r);
                f->flaky.fail_at = 0;

                r = open_recorder(f, event, &findings);
                assert_int_equal(findings.error, 0);
                replayed += findings.replayed;
                recorder_findings_deinit(&findings);
                now = loaded(r);
                assert_true(now == before || now == before + 1);
                trail_state(f, &last, &n);
                if (now >= 0) {
                        assert_int_equal(last, now);
                        assert_int_equal(n, 2);
                }
                recorder_free(r);
                if (!fired)
                        break;
        }
        assert_true(replayed >= 2);
        sd_event_unref(event);
}

static void test_a_disk_that_comes_back(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        sd_event *event;
        Recorder *r;

        assert_int_equal(sd_event_new(&event), 0);
        f->flaky.fail_at = 1;
        f->flaky.persistent = true;
        f->flaky.error = -EROFS;
        r = open_recorder(f, event, &findings);
        assert_int_equal(findings.error, -EROFS);
        assert_int_equal(commit(r, event, 1), -EROFS);
        f->flaky.fail_at = 0;
        assert_int_equal(commit(r, event, 2), 0);
        assert_int_equal(loaded(r), 2);
        recorder_free(r);
        sd_event_unref(event);
}

static void test_damage_is_recorded(void **state)
{
        Fixture *f = *state;
        RecorderFindings findings;
        char path[128], *text;
        json_t *j = NULL;
        sd_event *event;
        Recorder *r;

        assert_int_equal(sd_event_new(&event), 0);
        r = open_recorder(f, event, &findings);
        assert_int_equal(commit(r, event, 1), 0);
        recorder_free(r);
        snprintf(path, sizeof(path), "%s/services/imc.json", f->dir);
        fixture_write(path, "{}", 2);
        r = open_recorder(f, event, &findings);
        assert_string_equal(findings.damaged[0], "imc.json");
        assert_null(findings.damaged[1]);
        text = recorder_findings_describe(&findings);
        assert_non_null(strstr(text, "imc.json"));
        free(text);
        recorder_findings_deinit(&findings);
        assert_int_equal(recorder_load(r, "imc", &j), -EBADMSG);
        recorder_free(r);
        text = fixture_read(f->path);
        assert_non_null(strstr(text, "\"kind\":\"state_damaged\""));
        free(text);
        sd_event_unref(event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_commit_and_its_end, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_order_is_kept, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_free_with_commits_queued, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_values_are_copied, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_failed_commit_leaves_nothing, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_crash_in_a_commit, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_disk_that_comes_back, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_damage_is_recorded, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("recorder_disk", tests, NULL, NULL);
}
