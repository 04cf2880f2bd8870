/* limits - processes above a limit, in virtual time. */
#include "diagnosis_bench.h"

#include "diagnose/limits.h"

static ProcessSample p;

static void look(Bench *b, size_t n)
{
        const Observation o = { .kind = OBSERVATION_PROCESSES,
                                .processes = { .at = b->now.mono, .list = &p, .n = n } };

        feed(b, o);
}

/* Looks each 15 seconds, in which it uses so much. */
static void watch(Bench *b, usec_t time, usec_t cpu)
{
        for (usec_t end = b->now.mono + time; b->now.mono < end;) {
                pass(b, 15 * SEC);
                p.cpu += cpu;
                p.io_bytes++;
                look(b, 1);
        }
}

static void bench_with(Bench *b, LimitSettings limits)
{
        bench_init(b);
        b->service.limits = limits;
        bring_up(b);
        p = (ProcessSample){ .id = { 10, 1000 }, .parent = 1, .name = "qmgr", .state = 'S', .cpu = MIN };
        look(b, 1);
}

static void test_cpu(void **state)
{
        Bench b;

        (void)state;
        bench_with(&b, (LimitSettings){ .cpu = 90, .lasting = MIN });
        watch(&b, 5 * MIN, 13 * SEC);
        expect(&b, "");
        watch(&b, 45 * SEC, 14 * SEC);
        expect(&b, "");
        watch(&b, 15 * SEC, 14 * SEC);
        expect(&b, "fault confirmed +event\n");
        assert_string_equal(b.last.symptom.rule, "limits.cpu");
        assert_string_equal(b.last.symptom.signature, "imc.service/limits/cpu");
        assert_string_equal(b.last.symptom.detail,
                            "pid 10 (qmgr) has been above limits.cpu for 1min: 93% of a CPU, limit 90%");
        assert_false(b.last.symptom.claimed);
        watch(&b, 15 * SEC, 0);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

static void test_memory_and_descriptors(void **state)
{
        Bench b;

        (void)state;
        bench_with(&b, (LimitSettings){ .memory = 512 << 20, .descriptors = 100, .lasting = MIN });
        p.memory = 511 << 20;
        p.descriptors = 99;
        watch(&b, 5 * MIN, 0);
        expect(&b, "");
        p.memory = 600 << 20;
        watch(&b, 60 * SEC, 0);
        p.memory = 0; /* for a moment: it begins anew */
        watch(&b, 15 * SEC, 0);
        p.memory = 600 << 20;
        watch(&b, 60 * SEC, 0);
        expect(&b, "");
        watch(&b, 15 * SEC, 0);
        expect(&b, "fault confirmed +event\n");
        assert_string_equal(b.last.symptom.detail,
                            "pid 10 (qmgr) has been above limits.memory for 1min: 600 MiB, limit 512 MiB");
        p.memory = 0;
        p.descriptors = 100;
        watch(&b, 60 * SEC, 0);
        b.log[0] = '\0';
        watch(&b, 15 * SEC, 0);
        assert_string_equal(b.last.symptom.rule, "limits.descriptors");
        assert_string_equal(
                b.last.symptom.detail,
                "pid 10 (qmgr) has been above limits.descriptors for 1min: 100 descriptors, limit 100");
        /* It has gone. */
        b.log[0] = '\0';
        look(&b, 0);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

static void test_none(void **state)
{
        Bench b;

        (void)state;
        bench_with(&b, (LimitSettings){ .lasting = MIN });
        p.memory = UINT64_MAX;
        p.descriptors = UINT32_MAX;
        watch(&b, 5 * MIN, 15 * SEC);
        expect(&b, "");
        for (int k = 0; k < _LIMIT_KIND_MAX; k++)
                assert_int_equal(limit_kind_from_string(limit_kind_to_string((LimitKind)k)), k);
        bench_deinit(&b);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cpu),
                cmocka_unit_test(test_memory_and_descriptors),
                cmocka_unit_test(test_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
