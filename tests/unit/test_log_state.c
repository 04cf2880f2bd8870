/* log_state - what is kept comes back; what is damaged does not, not even half of it */
#include "observe/log_state.h"

#include "base/text.h"
#include "unit/observe_util.h"

static RuleSettings rules[] = { { .name = (char *)"a" }, { .name = (char *)"b" } };
static ServiceSettings service = { .name = (char *)"imc", .rules = rules, .n_rules = 2 };

static void hit(LogHits *h, LogKind kind, size_t rule, const char *id)
{
        LogHit *n = log_hits_add(h);

        assert_non_null(n);
        *n = (LogHit){ .kind = kind,
                       .rule = rule,
                       .seq = h->n,
                       .text = strdup("text"),
                       .id = strdup_null(id),
                       .cursor = kind == LOG_GAP ? NULL : strdup("n=1"),
                       .pid = 7,
                       .wall = 8 };
}

static void test_round(void **state)
{
        char *dir = temp_new();
        const LogStateSpec spec = {
                .state_dir = dir, .path = "/x/\xff.log", .settings = &service, .disk = disk_posix()
        };
        LogFamily y, back;
        LogHits hits = {}, found = {};
        LogFile *f;
        uint64_t seq = 0;

        (void)state;
        assert_int_equal(log_family_init(&y, spec.path), 0);
        assert_int_equal(log_family_init(&back, spec.path), 0);
        assert_int_equal(log_state_load(&spec, &back, &seq, &found), LOG_STATE_E_NONE);
        assert_int_equal(log_file_new(&f, "\xff.log.1"), 0);
        f->dev = 3;
        f->inode = UINT64_MAX / 2;
        f->hole = 5;
        assert_int_equal(log_file_advance(f, "abc\nde", 6), 0);
        f->middle = f->base = true;
        f->size = 99;
        assert_int_equal(log_family_add(&y, f), 0);
        assert_int_equal(log_file_new(&f, "copy"), 0);
        f->role = LOG_FILE_COPY;
        assert_int_equal(log_family_add(&y, f), 0);
        hit(&hits, LOG_MATCHES, 1, "M\xfe");
        hit(&hits, LOG_CANCELS, 0, NULL);
        hit(&hits, LOG_GAP, 0, NULL);
        assert_int_equal(log_state_save(&spec, &y, 42, &hits), 0);
        assert_int_equal(log_state_load(&spec, &back, &seq, &found), 0);
        assert_true(back.begun);
        assert_int_equal(seq, 42);
        assert_int_equal(back.n, 1); /* a copy is found again by what is in it */
        assert_string_equal(back.files[0]->name, "\xff.log.1");
        assert_int_equal(back.files[0]->offset, 11);
        assert_int_equal(back.files[0]->hole, 5);
        assert_int_equal(back.files[0]->inode, UINT64_MAX / 2);
        assert_true(back.files[0]->middle && back.files[0]->base);
        assert_memory_equal(back.files[0]->head, "abc\nde", 6);
        assert_memory_equal(back.files[0]->digest, y.files[0]->digest, SHA256_SIZE);
        assert_int_equal(found.n, 3);
        assert_int_equal(found.list[0].rule, 1);
        assert_string_equal(found.list[0].id, "M\xfe");
        assert_string_equal(found.list[0].cursor, "n=1");
        assert_int_equal(found.list[0].pid, 7);
        assert_int_equal(found.list[1].kind, LOG_CANCELS);
        assert_int_equal(found.list[2].kind, LOG_GAP);
        log_hits_deinit(&hits);
        log_hits_deinit(&found);
        log_family_deinit(&y);
        log_family_deinit(&back);
        temp_remove(dir);
}

/* A rule that the configuration has no more is not waited for; another order of the rules matters not. */
static void test_other_rules(void **state)
{
        char *dir = temp_new();
        RuleSettings others[] = { { .name = (char *)"c" }, { .name = (char *)"a" } };
        ServiceSettings changed = { .name = (char *)"imc", .rules = others, .n_rules = 2 };
        LogStateSpec spec = { .state_dir = dir, .path = "/x", .settings = &service, .disk = disk_posix() };
        LogHits hits = {}, found = {};
        LogFamily y;
        uint64_t seq;

        (void)state;
        assert_int_equal(log_family_init(&y, spec.path), 0);
        hit(&hits, LOG_MATCHES, 1, NULL);
        hit(&hits, LOG_MATCHES, 0, NULL);
        assert_int_equal(log_state_save(&spec, &y, 2, &hits), 0);
        spec.settings = &changed;
        assert_int_equal(log_state_load(&spec, &y, &seq, &found), 0);
        assert_int_equal(found.n, 1);
        assert_int_equal(found.list[0].rule, 1);
        log_hits_deinit(&hits);
        log_hits_deinit(&found);
        log_family_deinit(&y);
        temp_remove(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_round),
                                            cmocka_unit_test(test_other_rules) };

        return cmocka_run_group_tests_name("observe/log_state", tests, NULL, NULL);
}
