/* silence - stalls, with and without an excuse, through the diagnosis in virtual time. */
#include "diagnosis_bench.h"

#include "diagnose/silence.h"

#include <signal.h>

static ProcessSample sample(char letter)
{
        return (ProcessSample){
                .id = { 10, 1000 }, .parent = 1, .name = "worker", .state = letter, .switches = 5
        };
}

static void look(Bench *b, const ProcessSample *p, size_t n)
{
        const Observation o = { .kind = OBSERVATION_PROCESSES,
                                .processes = { .at = b->now.mono, .list = p, .n = n } };

        feed(b, o);
}

/* Looks each ten seconds. */
static void watch(Bench *b, const ProcessSample *p, usec_t time)
{
        for (usec_t end = b->now.mono + time; b->now.mono < end;) {
                pass(b, 10 * SEC);
                look(b, p, 1);
        }
}

static void waits(Bench *b, uint64_t departed)
{
        progress(b, 0, 5, departed, departed);
}

static void test_looks_are_asked_for(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        assert_false(diagnosis_wants_look(b.d));
        waits(&b, 1);
        assert_false(diagnosis_wants_look(b.d));
        pass(&b, 59 * SEC);
        assert_false(diagnosis_wants_look(b.d));
        pass(&b, SEC);
        assert_true(diagnosis_wants_look(b.d)); /* half of stall.after */
        waits(&b, 1);
        assert_false(diagnosis_wants_look(b.d));
        probe(&b, false);
        assert_true(diagnosis_wants_look(b.d));
        probe(&b, true);
        assert_false(diagnosis_wants_look(b.d));
        expect(&b, "");
        bench_deinit(&b);
}

static void test_excused_and_not_any_more(void **state)
{
        ProcessSample p = sample('S');
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        waits(&b, 1);
        p.file = "/In/a";
        p.peer = "192.0.2.7:25";
        watch(&b, &p, 110 * SEC);
        expect(&b, "");
        watch(&b, &p, 10 * SEC);
        expect(&b, "suspect waits_network +stalled\n");
        assert_string_equal(
                b.last.symptom.detail,
                "5 messages wait in imcdata, and none has moved for 2min; network: pid 10 (worker) waits "
                "for 192.0.2.7:25");
        assert_int_equal(b.last.symptom.verdict, PROCESS_NETWORK);
        assert_true(hang_is_excused(diagnosis_hang(b.d)));
        watch(&b, &p, 300 * SEC);
        expect(&b, "");
        assert_int_equal(diagnosis_reason(b.d), REASON_WAITS_NETWORK);
        /* The other host has gone, and still nothing moves: from then on it counts. */
        p.peer = NULL;
        watch(&b, &p, 110 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        watch(&b, &p, 20 * SEC);
        assert_int_equal(b.last.verdict, VERDICT_FAULT);
        assert_true(b.last.new_symptom);
        assert_false(hang_is_excused(diagnosis_hang(b.d)));
        b.log[0] = '\0';
        waits(&b, 1);
        look(&b, NULL, 0);
        watch(&b, &(ProcessSample){ .id = { 10, 1000 }, .name = "worker", .state = 'S' }, 20 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

/* A rule's claim makes no fault of a stall that is excused. */
static void test_a_claim_is_no_second_fact(void **state)
{
        ProcessSample p = sample('S');
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        waits(&b, 1);
        p.file = "/In/a";
        p.peer = "192.0.2.7:25";
        watch(&b, &p, 130 * SEC);
        expect(&b, "suspect waits_network +stalled\n");
        entry(&b, 0, "4037");
        watch(&b, &p, 60 * SEC);
        assert_int_equal(b.last.verdict, VERDICT_SUSPECT);
        bench_deinit(&b);
}

/* One is hung while everything else moves. */
static void test_one_of_many(void **state)
{
        ProcessSample p = sample('T');
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        p.file = "/In/a";
        look(&b, &p, 1);
        for (unsigned i = 0; i < 12; i++) {
                waits(&b, 3);
                assert_false(hang_has_holder(diagnosis_hang(b.d)));
                watch(&b, &p, 10 * SEC);
        }
        expect(&b, "fault confirmed +stalled\n");
        assert_string_equal(
                b.last.symptom.detail,
                "stopped: pid 10 (worker) has been stopped (state T) for 2min; it holds a message");
        assert_string_equal(b.last.symptom.signature, "imc.service/stalled/process");
        assert_true(hang_has_holder(diagnosis_hang(b.d)));
        /* It goes on. */
        look(&b, NULL, 0);
        waits(&b, 3);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        bench_deinit(&b);
}

static void dies(Bench *b, pid_t pid)
{
        feed(b, (Observation){ .kind = OBSERVATION_INFLIGHT,
                               .inflight = { .pid = pid, .name = "smtp", .path = "/q/\xff", .signal = 11 } });
}

/* A child that dies under a parent that lives: told; three in two minutes are a loop. */
static void test_children_that_die(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_RUNNING, .since = b.now.mono - 5 * SEC, .main_pid = 9);
        dies(&b, 9); /* the main process: that is for the manager to tell */
        expect(&b, "");
        dies(&b, 20);
        expect(&b, "suspect child_died +crashed\n");
        assert_string_equal(
                b.last.symptom.detail,
                "pid 20 (smtp) killed by signal 11 SIGSEGV, while the service goes on; it had /q/%FF open");
        assert_string_equal(b.last.symptom.signature, "imc.service/child/smtp/signal/11");
        pass(&b, 5 * SEC);
        pass(&b, 5 * SEC);
        expect(&b, "healthy symptom_cleared\n");
        dies(&b, 21);
        pass(&b, SEC);
        b.log[0] = '\0';
        dies(&b, 22);
        expect(&b, "fault confirmed +crash_loop\n");
        bench_deinit(&b);
}

/* The death, and what a rule says of it: two facts are a fault. */
/* The kernel's choice when memory is short is no fault of the message: the symptom says so. */
static void test_a_child_without_memory(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        status(&b, .run = RUN_RUNNING, .since = b.now.mono - 5 * SEC, .main_pid = 9);
        feed(&b, (Observation){ .kind = OBSERVATION_INFLIGHT,
                                .inflight = { .pid = 10,
                                              .name = "smtp",
                                              .path = "/q/m",
                                              .signal = SIGKILL,
                                              .out_of_memory = true } });
        expect(&b, "suspect child_died +crashed\n");
        assert_true(b.last.symptom.out_of_memory);
        assert_non_null(strstr(b.last.symptom.detail, "for want of memory; it had /q/m open"));
        bench_deinit(&b);
}

static void test_a_child_and_a_claim(void **state)
{
        Bench b;

        (void)state;
        bench_init(&b);
        bring_up(&b);
        entry(&b, 0, "killed by signal 11");
        expect(&b, "suspect claim_only +crashed\n");
        dies(&b, 20);
        assert_int_equal(b.last.verdict, VERDICT_FAULT);
        bench_deinit(&b);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_looks_are_asked_for),
                cmocka_unit_test(test_excused_and_not_any_more),
                cmocka_unit_test(test_a_claim_is_no_second_fact),
                cmocka_unit_test(test_one_of_many),
                cmocka_unit_test(test_children_that_die),
                cmocka_unit_test(test_a_child_without_memory),
                cmocka_unit_test(test_a_child_and_a_claim),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
