/* Tests of record/verify.c: each way of tampering with a trail, and what is said of it. */
#include "trail_helper.h"

#include "record/trail.h"
#include "record/verify.h"

#define N 6

typedef struct Lines {
        char *text[2 * N];
        size_t n;
} Lines;

static Lines lines_read(const char *path)
{
        char *text = fixture_read(path), *save = NULL;
        Lines l = { .n = 0 };

        for (char *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
                l.text[l.n++] = strdup(p);
        free(text);
        return l;
}

/* Writes the lines in @order (indices, ended by -1). */
static void lines_write(const Fixture *f, const Lines *l, const int *order)
{
        FILE *stream = fopen(f->path, "we");

        assert_non_null(stream);
        for (; *order >= 0; order++)
                fprintf(stream, "%s\n", l->text[*order]);
        fclose(stream);
}

static void lines_deinit(Lines *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->text[i]);
}

static void expect(Fixture *f, VerifyFault fault, uint64_t seq)
{
        VerifyResult v;

        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        if (v.fault != fault || v.seq != seq)
                fail_msg("%s (record %lu) instead of %s (record %lu): %s", verify_fault_to_string(v.fault),
                         (unsigned long)v.seq, verify_fault_to_string(fault), (unsigned long)seq,
                         v.text ? v.text : "");
        assert_true(fault == VERIFY_INTACT || v.text);
        verify_result_deinit(&v);
}

static void test_order_of_lines(void **state)
{
        static const struct {
                int order[N + 3];
                VerifyFault fault;
                uint64_t seq;
        } cases[] = {
                { { 0, 1, 2, 3, 4, 5, -1 }, VERIFY_INTACT, 0 },
                { { 0, 1, 3, 4, 5, -1 }, VERIFY_DROPPED, 3 },
                { { 0, 1, 5, -1 }, VERIFY_DROPPED, 3 },
                { { 1, 2, 3, 4, 5, -1 }, VERIFY_DROPPED, 1 },
                { { 0, 1, 3, 2, 4, 5, -1 }, VERIFY_REORDERED, 3 },
                { { 1, 0, 2, 3, 4, 5, -1 }, VERIFY_REORDERED, 1 },
                { { 0, 1, 1, 2, 3, 4, 5, -1 }, VERIFY_INSERTED, 2 },
                { { 0, 1, 4, 2, 3, 4, 5, -1 }, VERIFY_INSERTED, 5 },
                { { 0, 1, 2, 3, 4, 5, 2, -1 }, VERIFY_INSERTED, 3 },
                { { 0, 1, 2, 3, 4, -1 }, VERIFY_TAIL_MISSING, 6 },
                { { 0, -1 }, VERIFY_TAIL_MISSING, 2 },
                { { -1 }, VERIFY_TAIL_MISSING, 1 },
        };
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        Lines l;

        fixture_fill(f, &config, N);
        l = lines_read(f->path);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                lines_write(f, &l, cases[i].order);
                expect(f, cases[i].fault, cases[i].seq);
        }
        lines_deinit(&l);
}

static void test_every_bit_counts(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        char *text, *line;

        fixture_fill(f, &config, 3);
        text = fixture_read(f->path);
        line = strchr(text, '\n') + 1;
        for (char *p = line; *p != '\n'; p++) {
                *p ^= 1;
                fixture_write(f->path, text, strlen(text));
                expect(f, VERIFY_CHANGED, 2);
                *p ^= 1;
        }
        fixture_write(f->path, text, strlen(text));
        expect(f, VERIFY_INTACT, 0);
        free(text);
}

/* Record @seq with another text and a hash that fits it: only what comes after can tell. */
static char *forge(const char *line, const char *text)
{
        json_t *j = json_loads(line, 0, NULL);
        char hash[CHAIN_HEX + 1], *forged;

        assert_non_null(j);
        json_object_set_new(json_object_get(j, "data"), "text", json_string(text));
        forged = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        assert_int_equal(chain_digest(forged, strlen(forged), "hash", hash), 0);
        free(forged);
        json_object_set_new(j, "hash", json_string(hash));
        forged = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(j);
        return forged;
}

static void test_forged_hashes(void **state)
{
        const AuditConfig config = fixture_config(*state);
        static const int all[] = { 0, 1, 2, 3, 4, 5, -1 };
        Fixture *f = *state;
        Lines l;

        fixture_fill(f, &config, N);
        l = lines_read(f->path);
        for (int i = 0; i < N; i++) {
                char *saved = l.text[i];

                l.text[i] = forge(saved, "forged");
                lines_write(f, &l, all);
                expect(f, VERIFY_CHANGED, (uint64_t)i + 1);
                free(l.text[i]);
                l.text[i] = saved;
        }
        lines_deinit(&l);
}

static void test_lines_put_in(void **state)
{
        static const char *const lines[] = { "", "{}", "not json", "{\"seq\":3}" };
        static const int order[] = { 0, 1, N, 2, 3, 4, 5, -1 }, end[] = { 0, 1, 2, 3, 4, 5, N, -1 };
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        Lines l;

        fixture_fill(f, &config, N);
        l = lines_read(f->path);
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                l.text[N] = strdup(lines[i]);
                lines_write(f, &l, order);
                expect(f, VERIFY_INSERTED, 3);
                lines_write(f, &l, end);
                expect(f, VERIFY_CHANGED, N + 1);
                free(l.text[N]);
        }
        lines_deinit(&l);
}

static void test_records_that_the_head_does_not_know(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        char head[96], *old;

        fixture_fill(f, &config, 2);
        snprintf(head, sizeof(head), "%s/%s", f->dir, AUDIT_HEAD_FILE);
        old = fixture_read(head);
        fixture_fill(f, &config, 1);
        fixture_write(head, old, strlen(old));
        free(old);
        expect(f, VERIFY_NOT_IN_HEAD, 3);
}

static void test_a_torn_end(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        FILE *stream;

        fixture_fill(f, &config, 2);
        stream = fopen(f->path, "ae");
        fputs("{\"boot\"", stream);
        fclose(stream);
        expect(f, VERIFY_TORN, 3);
}

static void test_without_a_head(void **state)
{
        const AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        char head[96];
        VerifyResult v;

        fixture_fill(f, &config, 2);
        snprintf(head, sizeof(head), "%s/%s", f->dir, AUDIT_HEAD_FILE);
        assert_int_equal(unlink(head), 0);
        assert_int_equal(audit_verify(f->path, f->dir, &v), 0);
        assert_int_equal(v.fault, VERIFY_INTACT);
        assert_int_equal(v.head_error, -ENOENT);
        assert_int_equal(v.records, 2);
        verify_result_deinit(&v);
}

static void test_over_rotated_files(void **state)
{
        AuditConfig config = fixture_config(*state);
        Fixture *f = *state;
        char path[112], *text;

        config.max_size = 700;
        config.keep = 9;
        fixture_fill(f, &config, 9);
        expect(f, VERIFY_INTACT, 0);
        snprintf(path, sizeof(path), "%s.2", f->path);
        text = fixture_read(path);
        fixture_write(path, text, (size_t)(strchr(text, '\n') + 1 - text));
        free(text);
        expect(f, VERIFY_DROPPED, 6);
        assert_int_equal(unlink(path), 0);
        expect(f, VERIFY_DROPPED, 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order_of_lines, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_every_bit_counts, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_forged_hashes, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_lines_put_in, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_records_that_the_head_does_not_know, fixture_setup,
                                                fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_torn_end, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_without_a_head, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_over_rotated_files, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
