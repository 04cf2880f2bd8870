/* Tests of act/causes.c: with a runner whose programs the tests answer for, and once with real ones. */
#include "act/causes.h"
#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MAX 16

/* A runner that remembers what it was asked for. */
struct Run {
        RunDone done;
        void *userdata;
        bool over;
};

typedef struct FakeRunner {
        Runner runner;
        Run runs[MAX];
        RunSpec specs[MAX];
        size_t n, cancelled;
        int refuse;
} FakeRunner;

static int fake_start(Runner *r, const RunSpec *spec, RunDone done, void *userdata, Run **ret)
{
        FakeRunner *f = (FakeRunner *)r;

        if (f->refuse < 0)
                return f->refuse;
        assert_true(f->n < MAX);
        f->specs[f->n] = *spec;
        f->runs[f->n] = (Run){ .done = done, .userdata = userdata };
        *ret = f->runs + f->n++;
        return 0;
}

static void fake_cancel(Runner *r, Run *run)
{
        assert_false(run->over);
        run->over = true;
        ((FakeRunner *)r)->cancelled++;
}

static void answer(FakeRunner *f, size_t i, const RunResult *result)
{
        assert_true(i < f->n && !f->runs[i].over);
        f->runs[i].over = true;
        f->runs[i].done(f->runs[i].userdata, result);
}

typedef struct Fixture {
        sd_event *event;
        Worker *worker;
        FakeRunner fake;
        char root[32], store[64];
        char *dirs[2];
        StoreSettings stores;
        CauseSettings checks[6];
        ServiceSettings service;
        Causes *causes;
        int done;
        const CauseResult *results;
        size_t n;
        bool free_in_done;
} Fixture;

static char *program[] = { "/bin/true", NULL };

static int setup(void **state)
{
        static const RunnerOps ops = { .start = fake_start, .cancel = fake_cancel };
        Fixture *f = calloc(1, sizeof(Fixture));

        f->fake.runner.ops = &ops;
        strcpy(f->root, "/tmp/unjam-causes-XXXXXX");
        if (!mkdtemp(f->root))
                return -1;
        snprintf(f->store, sizeof(f->store), "%s/in", f->root);
        mkdir(f->store, 0700);
        f->dirs[0] = f->store;
        f->stores.dirs = f->dirs;
        for (size_t i = 0; i < ELEMENTSOF(f->checks); i++)
                f->checks[i] = (CauseSettings){
                        .cause = CAUSE_STARTUP_ACCOUNT,
                        .command = program,
                        .timeout = 10 * USEC_PER_SEC,
                        .effect = EFFECT_VETO,
                        .advice = "create the account",
                };
        f->service =
                (ServiceSettings){ .stores = &f->stores, .n_stores = 1, .causes = f->checks, .n_causes = 1 };
        *state = f;
        return sd_event_new(&f->event) < 0 ? -1 : worker_new(&f->worker, f->event, "disk");
}

static int teardown(void **state)
{
        Fixture *f = *state;

        causes_free(f->causes);
        worker_free(f->worker);
        sd_event_unref(f->event);
        rmdir(f->store);
        rmdir(f->root);
        free(f);
        return 0;
}

static void on_done(void *userdata, const CauseResult *results, size_t n)
{
        Fixture *f = userdata;

        f->done++;
        f->results = results;
        f->n = n;
        if (f->free_in_done)
                f->causes = causes_free(f->causes);
}

static void make(Fixture *f, size_t n)
{
        f->service.n_causes = n;
        assert_int_equal(causes_new(&f->causes, &f->service, &f->fake.runner, f->worker), 0);
}

static void begin(Fixture *f, bool healthy)
{
        f->done = 0;
        f->fake.n = 0;
        assert_int_equal(causes_run(f->causes, healthy, on_done, f), 0);
        assert_int_equal(f->done, 0); /* never from within */
}

static void wait_done(Fixture *f)
{
        while (!f->done)
                assert_true(sd_event_run(f->event, 5 * USEC_PER_SEC) > 0);
        assert_int_equal(f->done, 1);
}

/* One round with a single check that exits with @code. */
static const CauseResult *round_of_one(Fixture *f, bool healthy, int code)
{
        RunResult result = { .exit_code = code, .output = "", .output_len = 0 };

        begin(f, healthy);
        answer(&f->fake, 0, &result);
        wait_done(f);
        return f->results;
}

static void test_not_found(void **state)
{
        Fixture *f = *state;
        const CauseResult *r;

        make(f, 1);
        r = round_of_one(f, false, 0);
        assert_int_equal(f->n, 7);
        assert_int_equal(r[0].check, 0);
        assert_int_equal(r[0].kind, CAUSE_STARTUP_ACCOUNT);
        assert_true(r[0].known);
        assert_false(r[0].found);
        assert_string_equal(r[0].advice, "create the account");
        for (size_t i = 1; i < f->n; i++) {
                assert_true(r[i].check == SIZE_MAX);
                assert_true(r[i].known);
                assert_int_equal(r[i].effect, i <= 4 ? EFFECT_VETO : EFFECT_REMEDY);
                assert_non_null(r[i].advice);
        }
        assert_int_equal(r[1].kind, CAUSE_DISK_FULL);
        assert_int_equal(r[2].kind, CAUSE_PERMISSIONS);
        assert_int_equal(r[3].kind, CAUSE_DISK_STUCK);
        assert_int_equal(r[4].kind, CAUSE_OTHER_SUPERVISOR);
        assert_int_equal(r[5].kind, CAUSE_REBUILDABLE_STATE);
        assert_int_equal(r[6].kind, CAUSE_STALE_LOCK);
        assert_false(r[2].found);
        assert_int_equal(r[3].kind, CAUSE_DISK_STUCK);
        assert_false(r[3].found);
}

static void test_what_is_run(void **state)
{
        Fixture *f = *state;

        make(f, 1);
        round_of_one(f, false, 0);
        assert_string_equal(f->fake.specs[0].name, "cause-startup-account");
        assert_ptr_equal(f->fake.specs[0].argv, program);
        assert_int_equal(f->fake.specs[0].timeout, 10 * USEC_PER_SEC);
        assert_true(f->fake.specs[0].read_only);
}

static void test_a_veto_needs_a_change(void **state)
{
        Fixture *f = *state;
        const CauseResult *r;

        make(f, 1);
        r = round_of_one(f, false, 1); /* nobody knows how it was */
        assert_true(r[0].found);
        assert_int_equal(r[0].effect, EFFECT_VETO);
        r = round_of_one(f, true, 1); /* the service is healthy in spite of it */
        assert_true(r[0].found);
        assert_int_equal(r[0].effect, EFFECT_NOTE);
        r = round_of_one(f, false, 1);
        assert_int_equal(r[0].effect, EFFECT_NOTE);
        round_of_one(f, true, 0);      /* mended */
        r = round_of_one(f, false, 1); /* and broken anew */
        assert_int_equal(r[0].effect, EFFECT_VETO);
}

static void test_only_a_veto_is_weakened(void **state)
{
        Fixture *f = *state;

        f->checks[0].effect = EFFECT_REMEDY;
        make(f, 1);
        round_of_one(f, true, 1);
        assert_int_equal(round_of_one(f, false, 1)[0].effect, EFFECT_REMEDY);
}

/* What has just broken is no fault to live with, though nobody has missed the mail yet. */
static void test_a_fault_that_is_new(void **state)
{
        Fixture *f = *state;

        f->checks[0].effect = EFFECT_VETO;
        make(f, 1);
        round_of_one(f, true, 0);
        round_of_one(f, true, 1);
        assert_int_equal(round_of_one(f, false, 1)[0].effect, EFFECT_VETO);
}

/* What evidence says of a file is a cause of the next round, and of that one only. */
static void test_state_by_evidence(void **state)
{
        Fixture *f = *state;
        const CauseResult *r;

        make(f, 0);
        causes_set_state(f->causes, strdup("first"));
        causes_set_state(f->causes, strdup("/var/x.db: named in the log"));
        begin(f, false);
        wait_done(f);
        r = f->results + 4;
        assert_int_equal(r->kind, CAUSE_REBUILDABLE_STATE);
        assert_int_equal(r->effect, EFFECT_REMEDY);
        assert_true(r->known && r->found);
        assert_string_equal(r->detail, "/var/x.db: named in the log");
        begin(f, false);
        wait_done(f);
        assert_false(f->results[4].found);
        assert_int_equal(f->results[5].kind, CAUSE_STALE_LOCK);
        assert_true(f->results[5].known);
}

static void test_own_checks_have_a_baseline_too(void **state)
{
        Fixture *f = *state;
        const CauseResult *r;

        make(f, 0);
        rmdir(f->store);
        begin(f, false);
        wait_done(f);
        r = f->results;
        assert_int_equal(f->n, 6);
        assert_true(r[1].found);
        assert_int_equal(r[1].effect, EFFECT_VETO);
        assert_non_null(strstr(r[1].detail, "/in: "));
        begin(f, true);
        wait_done(f);
        begin(f, false);
        wait_done(f);
        assert_int_equal(f->results[1].effect, EFFECT_NOTE);
}

static void check_match(Fixture *f, const char *output, size_t len, bool found)
{
        RunResult result = { .exit_code = 1, .output = output, .output_len = len };

        begin(f, false);
        answer(&f->fake, 0, &result);
        wait_done(f);
        assert_true(f->results[0].known);
        assert_int_equal(f->results[0].found, found);
}

static void test_match(void **state)
{
        Fixture *f = *state;

        f->checks[0].match = "all (is )?well";
        make(f, 1);
        check_match(f, "today all is well\n", 18, false); /* the exit code is no matter then */
        check_match(f, "\xFF\0all well", 10, false);
        check_match(f, "nothing is well", 15, true);
        assert_string_equal(f->results[0].detail, "nothing is well");
        check_match(f, "", 0, true);
        check_match(f, "bad \xFF", 5, true);
        assert_string_equal(f->results[0].detail, "bad \xEF\xBF\xBD");
}

static void test_bad_pattern(void **state)
{
        Fixture *f = *state;

        f->checks[0].match = "(";
        assert_int_equal(causes_new(&f->causes, &f->service, &f->fake.runner, f->worker), -EINVAL);
        assert_null(f->causes);
}

static void check_unknown(Fixture *f, const RunResult *result, const char *detail)
{
        begin(f, false);
        answer(&f->fake, 0, result);
        wait_done(f);
        assert_false(f->results[0].known);
        assert_false(f->results[0].found);
        assert_string_equal(f->results[0].detail, detail);
}

static void test_unknown(void **state)
{
        Fixture *f = *state;

        make(f, 1);
        check_unknown(f, &(RunResult){ .error = -ENOENT, .output = "" }, "No such file or directory");
        check_unknown(f, &(RunResult){ .timed_out = true, .output = "" }, "no answer within 10s");
        check_unknown(f, &(RunResult){ .signal = SIGSEGV, .output = "" }, "it was ended by signal 11");

        /* It does not count for the baseline. */
        assert_int_equal(round_of_one(f, false, 1)->effect, EFFECT_VETO);
        f->fake.refuse = -EACCES;
        begin(f, true);
        wait_done(f);
        assert_false(f->results[0].known);
        assert_string_equal(f->results[0].detail, "Permission denied");
        f->fake.refuse = 0;
        assert_int_equal(round_of_one(f, false, 1)->effect, EFFECT_VETO);
}

static void test_four_at_once(void **state)
{
        RunResult good = { .output = "" }, bad = { .exit_code = 1, .output = "" };
        Fixture *f = *state;

        make(f, 6);
        begin(f, false);
        assert_int_equal(f->fake.n, 4);
        assert_int_equal(causes_run(f->causes, false, on_done, f), -EBUSY);
        answer(&f->fake, 2, &bad);
        assert_int_equal(f->fake.n, 5);
        answer(&f->fake, 0, &good);
        assert_int_equal(f->fake.n, 6);
        for (size_t i = 0; i < 6; i++)
                if (!f->fake.runs[i].over)
                        answer(&f->fake, i, &good);
        wait_done(f);
        for (size_t i = 0; i < 6; i++)
                assert_int_equal(f->results[i].found, i == 2);
}

static void test_free_under_way(void **state)
{
        Fixture *f = *state;

        make(f, 6);
        begin(f, false);
        f->causes = causes_free(f->causes);
        assert_int_equal(f->fake.cancelled, 4);
        /* What the worker has comes back to nobody. */
        while (sd_event_run(f->event, 20 * USEC_PER_MSEC) > 0)
                continue;
        assert_int_equal(f->done, 0);
}

static void test_the_worker_goes_first(void **state)
{
        Fixture *f = *state;

        make(f, 1);
        begin(f, false);
        f->worker = worker_free(f->worker);
        f->causes = causes_free(f->causes);
        assert_int_equal(f->done, 0);
}

static void test_free_in_done(void **state)
{
        RunResult good = { .output = "" };
        Fixture *f = *state;

        make(f, 1);
        f->free_in_done = true;
        begin(f, false);
        answer(&f->fake, 0, &good);
        wait_done(f);
        assert_null(f->causes);
}

static void test_real_programs(void **state)
{
        char *works[] = { "sh", "-c", "echo fine", NULL },
             *fails[] = { "sh", "-c", "echo no such user; exit 2", NULL };
        Fixture *f = *state;
        Runner *runner;

        assert_int_equal(runner_fork_new(&runner, f->event), 0);
        f->checks[0].command = works;
        f->checks[1].command = fails;
        f->service.n_causes = 2;
        assert_int_equal(causes_new(&f->causes, &f->service, runner, f->worker), 0);
        begin(f, false);
        wait_done(f);
        assert_false(f->results[0].found);
        assert_true(f->results[1].found);
        assert_string_equal(f->results[1].detail, "no such user\n");
        f->causes = causes_free(f->causes);
        runner_free(runner);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_not_found),
                TEST(test_what_is_run),
                TEST(test_a_veto_needs_a_change),
                TEST(test_only_a_veto_is_weakened),
                TEST(test_a_fault_that_is_new),
                TEST(test_state_by_evidence),
                TEST(test_own_checks_have_a_baseline_too),
                TEST(test_match),
                TEST(test_bad_pattern),
                TEST(test_unknown),
                TEST(test_four_at_once),
                TEST(test_free_under_way),
                TEST(test_the_worker_goes_first),
                TEST(test_free_in_done),
                TEST(test_real_programs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
