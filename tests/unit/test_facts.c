/* facts - opening, closing, leading */
#include "diagnose/facts.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static Symptom symptom(SymptomKind kind, const char *signature)
{
        Symptom s = { .kind = kind };

        strncpy(s.signature, signature, sizeof(s.signature) - 1);
        return s;
}

static void test_facts(void **state)
{
        Symptom crash = symptom(SYMPTOM_CRASHED, "a"), other = symptom(SYMPTOM_CRASHED, "b"),
                stall = symptom(SYMPTOM_STALLED, "s"), loop = symptom(SYMPTOM_CRASH_LOOP, "a");
        Facts f = {};

        (void)state;
        assert_null(facts_leading(&f, true));
        assert_false(facts_close(&f, SYMPTOM_CRASHED));
        facts_open(&f, &crash, false, 5);
        assert_null(facts_leading(&f, true));
        assert_ptr_equal(facts_leading(&f, false), f.of + SYMPTOM_CRASHED);
        f.of[SYMPTOM_CRASHED].recorded = true;
        /* The same, and worse: it was said, and hardness and the longer time stay. */
        facts_open(&f, &crash, true, 9);
        facts_open(&f, &crash, false, 3);
        assert_ptr_equal(facts_leading(&f, true), f.of + SYMPTOM_CRASHED);
        assert_true(f.of[SYMPTOM_CRASHED].recorded);
        assert_true(f.of[SYMPTOM_CRASHED].clear_after == 9);
        /* Closed and open again. */
        assert_true(facts_close(&f, SYMPTOM_CRASHED));
        assert_false(facts_close(&f, SYMPTOM_CRASHED));
        facts_open(&f, &crash, false, 3);
        assert_true(f.of[SYMPTOM_CRASHED].recorded);
        assert_false(f.of[SYMPTOM_CRASHED].hard);
        assert_true(f.of[SYMPTOM_CRASHED].clear_after == 3);
        /* Another end. */
        facts_open(&f, &other, true, 0);
        assert_false(f.of[SYMPTOM_CRASHED].recorded);
        facts_open(&f, &stall, true, 0);
        assert_ptr_equal(facts_leading(&f, true), f.of + SYMPTOM_CRASHED);
        facts_open(&f, &loop, true, 0);
        assert_ptr_equal(facts_leading(&f, true), f.of + SYMPTOM_CRASH_LOOP);
        facts_close(&f, SYMPTOM_CRASH_LOOP);
        facts_close(&f, SYMPTOM_CRASHED);
        assert_ptr_equal(facts_leading(&f, true), f.of + SYMPTOM_STALLED);

        /* Each keeps its own words. */
        facts_open(&f, &crash, true, 0);
        assert_string_equal(f.of[SYMPTOM_CRASHED].symptom->signature, crash.signature);
        assert_string_equal(f.of[SYMPTOM_STALLED].symptom->signature, stall.signature);
        facts_clear(&f);
        assert_null(facts_leading(&f, true));
        assert_null(f.of[SYMPTOM_CRASHED].symptom);
}

int main(void)
{
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_facts) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
