/*
 * When has a service passed, when has it failed? In virtual time.
 */
#include "decide/trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S USEC_PER_SEC

static const TrialConfig crash = { .settle = 5 * S, .stall_after = 120 * S };
static const TrialConfig hang = { .settle = 5 * S, .stall_after = 120 * S, .hang = true };

static Trial begun(const TrialConfig *config, uint64_t waiting)
{
        Trial t;

        trial_begin(&t, config, 0);
        trial_up(&t, true, 1 * S);
        trial_progress(&t, waiting, 0, false, 1 * S);
        return t;
}

/* Follows the deadlines; the moment of the outcome, or 0 if only an event can decide. */
static usec_t ends(Trial *t, usec_t now)
{
        while (trial_judge(t, now) == TRIAL_RUNNING) {
                usec_t at = trial_deadline(t, now);

                if (at == USEC_INFINITY)
                        return 0;
                assert_true(at > now); /* a deadline that changes nothing would be a busy loop */
                now = at;
        }
        return now;
}

static void an_empty_store_is_healthy_after_settle(void **state)
{
        Trial t = begun(&crash, 0);

        (void)state;
        assert_int_equal(ends(&t, 1 * S), 6 * S);
        assert_int_equal(t.outcome, TRIAL_HEALTHY);
}

static void a_late_crash_must_have_had_its_time(void **state)
{
        TrialConfig c = crash;
        Trial t;

        (void)state;
        c.failing_after = 20 * S;
        t = begun(&c, 0);
        assert_int_equal(ends(&t, 1 * S), 41 * S);
}

static void all_mail_gone_is_healthy(void **state)
{
        Trial t = begun(&crash, 100);

        (void)state;
        trial_progress(&t, 50, 50, true, 3 * S);
        assert_int_equal(trial_judge(&t, 3 * S), TRIAL_RUNNING);
        trial_progress(&t, 0, 50, true, 8 * S);
        assert_int_equal(ends(&t, 8 * S), 13 * S);
        assert_int_equal(t.outcome, TRIAL_HEALTHY);
}

static void death_fails_at_once(void **state)
{
        Trial t = begun(&crash, 100);

        (void)state;
        trial_fault(&t, SYMPTOM_CRASHED, 4 * S);
        trial_fault(&t, SYMPTOM_STALLED, 5 * S); /* the first decides */
        assert_int_equal(trial_judge(&t, 5 * S), TRIAL_FAILED);
        assert_int_equal(t.failure, SYMPTOM_CRASHED);
        assert_int_equal(t.failed_after, 4 * S);
}

static void mail_that_rightly_waits_is_survived(void **state)
{
        Trial t = begun(&crash, 10);

        (void)state;
        assert_int_equal(ends(&t, 1 * S), 6 * S);
        assert_int_equal(t.outcome, TRIAL_HEALTHY);
}

static void a_message_that_is_held_open_does_not_just_wait(void **state)
{
        Trial t = begun(&crash, 10);

        (void)state;
        assert_false(trial_asks_inflight(&t, 2 * S));
        assert_true(trial_asks_inflight(&t, 6 * S)); /* it would pass now */
        trial_inflight(&t, true);
        assert_int_equal(ends(&t, 1 * S), 121 * S);
        assert_int_equal(t.outcome, TRIAL_FAILED);
}

static void standing_still_is_the_hang(void **state)
{
        Trial t = begun(&hang, 10);

        (void)state;
        assert_int_equal(ends(&t, 1 * S), 121 * S);
        assert_int_equal(t.outcome, TRIAL_FAILED);
        assert_int_equal(t.failure, SYMPTOM_STALLED);
}

static void the_second_hang_is_not_waited_for_as_long(void **state)
{
        Trial t = begun(&hang, 10);

        (void)state;
        trial_progress(&t, 9, 1, true, 2 * S);
        trial_progress(&t, 8, 1, true, 5 * S); /* three seconds: the longest so far */
        assert_int_equal(ends(&t, 5 * S), 29 * S);
        assert_int_equal(t.outcome, TRIAL_FAILED);
        assert_int_equal(t.failed_after, 24 * S);
}

static void a_learned_limit_is_no_shorter_than_three_settle_times(void **state)
{
        TrialConfig c = hang;
        Trial t;

        (void)state;
        c.patience = 1000;
        t = begun(&c, 10);
        assert_int_equal(ends(&t, 1 * S), 16 * S);
}

/* A service that dies after it has answered once must not pass before the next probes can tell. */
static void what_only_probes_see_has_their_time(void **state)
{
        TrialConfig c = crash;
        Trial t;

        (void)state;
        c.notice = 35 * S;
        t = begun(&c, 10);
        trial_up(&t, false, 2 * S);
        trial_up(&t, true, 10 * S);
        assert_int_equal(ends(&t, 10 * S), 45 * S);
        /* Mail that moves until none is left has shown it sooner. */
        t = begun(&c, 10);
        trial_progress(&t, 0, 10, true, 3 * S);
        assert_int_equal(ends(&t, 3 * S), 8 * S);
}

/* What takes long to come up has not hung by then; later, an answer that fails changes nothing. */
static void the_way_up_is_no_silence(void **state)
{
        TrialConfig c = hang;
        Trial t;

        (void)state;
        c.patience = 1000;
        trial_begin(&t, &c, 0);
        trial_progress(&t, 10, 0, false, 1 * S);
        trial_up(&t, true, 60 * S);
        assert_int_equal(trial_judge(&t, 60 * S), TRIAL_RUNNING);
        trial_progress(&t, 9, 1, true, 62 * S);
        trial_up(&t, false, 63 * S);
        trial_up(&t, true, 70 * S);
        assert_int_equal(ends(&t, 70 * S), 77 * S);
        assert_int_equal(t.outcome, TRIAL_FAILED);
}

static void without_a_stall_limit_only_probes_find_a_hang(void **state)
{
        TrialConfig c = hang;
        Trial t;

        (void)state;
        c.stall_after = 0;
        t = begun(&c, 10);
        assert_int_equal(ends(&t, 1 * S), 6 * S);
        assert_int_equal(t.outcome, TRIAL_HEALTHY);
}

/* It waits for another host: neither a hang nor blame. The time begins anew when that is over. */
static void silence_with_an_excuse(void **state)
{
        TrialConfig c = crash;
        Trial t;

        (void)state;
        c.stall_after = 30 * S;
        c.hang = true;
        t = begun(&c, 5);
        trial_excused(&t, true, 20 * S);
        assert_int_equal(trial_judge(&t, 31 * S), TRIAL_HEALTHY); /* what is left is survived */
        t = begun(&c, 5);
        trial_excused(&t, true, 9 * S);
        trial_excused(&t, false, 10 * S);
        assert_int_equal(ends(&t, 10 * S), 39 * S);
        assert_int_equal(t.outcome, TRIAL_FAILED);
        assert_int_equal(t.failed_after, 30 * S);
}

static void verifying_takes_its_time(void **state)
{
        TrialConfig c = crash;
        Trial t;

        (void)state;
        c.verify = 60 * S;
        t = begun(&c, 0);
        assert_int_equal(ends(&t, 1 * S), 61 * S);
        c.stall_after = 30 * S;
        t = begun(&c, 5);
        assert_int_equal(ends(&t, 1 * S), 31 * S); /* a new hang shows there too */
        assert_int_equal(t.outcome, TRIAL_FAILED);
}

static void nothing_is_decided_while_it_is_down(void **state)
{
        Trial t;

        (void)state;
        trial_begin(&t, &crash, 0);
        assert_int_equal(trial_deadline(&t, 0), USEC_INFINITY);
        assert_int_equal(trial_judge(&t, 1000 * S), TRIAL_RUNNING);
        trial_up(&t, true, 1000 * S);
        assert_int_equal(ends(&t, 1000 * S), 1005 * S);
}

static void interference_voids(void **state)
{
        Trial t = begun(&crash, 10);

        (void)state;
        trial_void(&t);
        assert_int_equal(trial_judge(&t, 2 * S), TRIAL_VOID);
        assert_string_equal(trial_outcome_to_string(TRIAL_VOID), "void");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_empty_store_is_healthy_after_settle),
                cmocka_unit_test(a_late_crash_must_have_had_its_time),
                cmocka_unit_test(all_mail_gone_is_healthy),
                cmocka_unit_test(death_fails_at_once),
                cmocka_unit_test(mail_that_rightly_waits_is_survived),
                cmocka_unit_test(a_message_that_is_held_open_does_not_just_wait),
                cmocka_unit_test(standing_still_is_the_hang),
                cmocka_unit_test(the_second_hang_is_not_waited_for_as_long),
                cmocka_unit_test(a_learned_limit_is_no_shorter_than_three_settle_times),
                cmocka_unit_test(what_only_probes_see_has_their_time),
                cmocka_unit_test(the_way_up_is_no_silence),
                cmocka_unit_test(without_a_stall_limit_only_probes_find_a_hang),
                cmocka_unit_test(silence_with_an_excuse),
                cmocka_unit_test(verifying_takes_its_time),
                cmocka_unit_test(nothing_is_decided_while_it_is_down),
                cmocka_unit_test(interference_voids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
