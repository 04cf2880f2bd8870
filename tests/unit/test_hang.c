/* hang - verdicts over looks at processes, in virtual time. */
#include "diagnose/hang.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEC   USEC_PER_SEC
#define LIMIT (80 * SEC)
#define STEP  (10 * SEC)

typedef struct World {
        HangWatch watch;
        ProcessSample p[4];
        size_t n;
        usec_t now;
        Pressure pressure;
} World;

static void world_init(World *w, size_t n)
{
        *w = (World){ .n = n, .now = USEC_PER_HOUR };
        hang_init(&w->watch, LIMIT);
        for (size_t i = 0; i < n; i++)
                w->p[i] = (ProcessSample){ .id = { (pid_t)(10 + i), 1000 + i },
                                           .parent = 1,
                                           .name = "worker",
                                           .state = 'S',
                                           .wait = "futex_wait_queue",
                                           .cpu = SEC,
                                           .io_bytes = 100,
                                           .switches = 5 };
}

static void look(World *w)
{
        const ProcessesStatus s = { .at = w->now, .list = w->p, .n = w->n, .pressure = w->pressure };

        assert_int_equal(hang_feed(&w->watch, &s), 0);
}

/* Looks for so long; @each is what happens before each look. */
static void pass(World *w, usec_t time, void (*each)(World *w))
{
        for (usec_t end = w->now + time; w->now < end;) {
                w->now += STEP;
                if (each)
                        each(w);
                look(w);
        }
}

static ProcessVerdict holder(const World *w)
{
        ProcessVerdict v;
        const HangTrack *t = hang_holder(&w->watch, &v);

        assert_int_equal(t != NULL, process_verdict_is_hang(v));
        return v;
}

static ProcessVerdict service(const World *w)
{
        const HangTrack *t;

        return hang_service(&w->watch, &t);
}

static ProcessVerdict of(const World *w, size_t i)
{
        const HangTrack *t;

        return hang_verdict(&w->watch, &w->p[i].id, &t);
}

static void check_text(const World *w, size_t i, const char *expected)
{
        const HangTrack *t;
        ProcessVerdict v = hang_verdict(&w->watch, &w->p[i].id, &t);
        char text[192];

        assert_string_equal(hang_describe(&w->watch, t, v, text, sizeof(text)), expected);
}

static void burn(World *w)
{
        w->p[0].cpu += 9 * SEC;
        w->p[0].switches += 100;
}

static void drip(World *w)
{
        burn(w);
        w->p[0].io_bytes++;
}

static void tick(World *w)
{
        w->p[0].switches++;
}

static void test_deadlock(void **state)
{
        World w;

        (void)state;
        world_init(&w, 2);
        w.p[0].file = "/In/a";
        look(&w);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, LIMIT - STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        check_text(&w, 0,
                   "deadlock: pid 10 (worker) has used no CPU time, moved no byte and not been scheduled for "
                   "1min 20s, at "
                   "futex_wait_queue");
        /* One switch, and all begins anew. */
        pass(&w, STEP, tick);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        /* It is gone, and somebody else has its number. */
        w.p[0].id.start++;
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        hang_deinit(&w.watch);
}

/* What holds no message is idle, and another message is another matter. */
static void test_only_holders(void **state)
{
        World w;

        (void)state;
        world_init(&w, 1);
        look(&w);
        pass(&w, 2 * LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        w.p[0].file = "/In/a";
        pass(&w, LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING); /* for less than the limit */
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        /* That it was opened long ago may be known from elsewhere. */
        w.p[0].file = "/In/b";
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        w.p[0].held = w.now - LIMIT;
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        hang_deinit(&w.watch);
}

static void test_spin(void **state)
{
        World w;

        (void)state;
        world_init(&w, 1);
        w.p[0].file = "/In/a";
        w.p[0].state = 'R';
        look(&w);
        pass(&w, LIMIT - STEP, burn);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, STEP, burn);
        assert_int_equal(holder(&w), PROCESS_SPIN);
        check_text(&w, 0, "spin: pid 10 (worker) has used 90% of a CPU and moved no byte for 1min 20s");
        pass(&w, STEP, drip);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, 2 * LIMIT, drip);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        hang_deinit(&w.watch);
}

static void test_stopped(void **state)
{
        World w;

        (void)state;
        world_init(&w, 2);
        w.p[1].state = 'T';
        w.p[1].file = "/In/a";
        look(&w);
        pass(&w, LIMIT - STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_STOPPED);
        check_text(&w, 1, "stopped: pid 11 (worker) has been stopped (state T) for 1min 20s");
        w.p[1].state = 't';
        w.p[1].tracer = 77;
        pass(&w, STEP, NULL);
        check_text(&w, 1,
                   "stopped: pid 11 (worker) has been stopped (state t) for 1min 30s, traced by pid 77");
        /* Of a service that stands still, a process that holds nothing counts too, and sooner. */
        w.p[1].file = NULL;
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        assert_int_equal(service(&w), PROCESS_STOPPED);
        w.p[1].state = 'S';
        pass(&w, STEP, NULL);
        assert_int_not_equal(service(&w), PROCESS_STOPPED);
        hang_deinit(&w.watch);
}

/* Silence that has a reason is none, and counts for nothing afterwards. */
static void test_excuses(void **state)
{
        World w;

        (void)state;
        world_init(&w, 1);
        w.p[0].file = "/In/a";
        w.p[0].peer = "192.0.2.7:25";
        look(&w);
        pass(&w, 3 * LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        assert_int_equal(service(&w), PROCESS_NETWORK);
        check_text(&w, 0, "network: pid 10 (worker) waits for 192.0.2.7:25");

        w.p[0].peer = NULL;
        w.p[0].state = 'D';
        pass(&w, 3 * LIMIT, NULL);
        assert_int_equal(of(&w, 0), PROCESS_DISK);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        assert_int_equal(service(&w), PROCESS_DISK);
        check_text(
                &w, 0,
                "disk: pid 10 (worker) has waited for a disk (state D) for 4min; pressure over 10 s: cpu 0%, "
                "memory 0%, io 0%");

        w.p[0].state = 'R';
        w.pressure.cpu.some = 9900;
        pass(&w, STEP, NULL);
        assert_int_equal(of(&w, 0), PROCESS_PRESSURE);
        assert_int_equal(service(&w), PROCESS_PRESSURE);
        check_text(&w, 0,
                   "pressure: pid 10 (worker) is ready to run and gets no CPU; pressure over 10 s: cpu 99%, "
                   "memory "
                   "0%, io 0%");

        w.p[0].state = 'S';
        w.p[0].frozen = true;
        pass(&w, 2 * LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        assert_int_equal(service(&w), PROCESS_FROZEN);
        check_text(&w, 0, "frozen: pid 10 (worker) is in a frozen control group");
        w.p[0].frozen = false;
        pass(&w, LIMIT - STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        pass(&w, 2 * STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        hang_deinit(&w.watch);
}

/* Who waits for a child does what the child does. */
static void test_children(void **state)
{
        World w;

        (void)state;
        world_init(&w, 3);
        w.p[0].file = "/In/a";
        w.p[1].parent = 10;
        w.p[2].parent = 11;
        w.p[2].peer = "192.0.2.7:25";
        look(&w);
        pass(&w, 3 * LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_WORKING);
        assert_int_equal(of(&w, 0), PROCESS_NETWORK);
        check_text(&w, 0, "network: pid 10 (worker) waits for another host, by a child of its own");
        w.p[2].peer = NULL;
        pass(&w, LIMIT, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        /* A zombie is no work. */
        w.p[2].state = 'Z';
        pass(&w, STEP, NULL);
        assert_int_equal(holder(&w), PROCESS_DEADLOCK);
        hang_deinit(&w.watch);
}

/* A client that an idle server waits for explains nothing; a host that it called does. */
static void test_whole_service(void **state)
{
        World w;

        (void)state;
        world_init(&w, 3);
        look(&w);
        pass(&w, LIMIT / 2, NULL);
        assert_int_equal(service(&w), PROCESS_DEADLOCK); /* all of it is still */
        w.p[1].peer = "192.0.2.9:40000";
        w.p[1].accepted = true;
        pass(&w, STEP, NULL);
        assert_int_equal(service(&w), PROCESS_WORKING);
        w.p[1].accepted = false;
        pass(&w, STEP, NULL);
        assert_int_equal(service(&w), PROCESS_NETWORK);
        /* Another process that holds a message and is hung is not excused by that. */
        w.p[2].file = "/In/a";
        pass(&w, STEP, NULL);
        assert_int_equal(service(&w), PROCESS_DEADLOCK);
        w.p[2].switches++;
        pass(&w, STEP, NULL);
        assert_int_equal(service(&w), PROCESS_WORKING); /* who called the other host holds nothing */
        w.p[1].peer = NULL;
        w.pressure.memory.full = 4500;
        pass(&w, STEP, NULL);
        assert_int_equal(service(&w), PROCESS_PRESSURE);
        w.pressure.memory.full = 0;
        w.p[2].switches++;
        w.pressure.io.full = 9000;
        pass(&w, STEP, NULL);
        assert_int_equal(service(&w), PROCESS_DISK);
        hang_clear(&w.watch);
        w.n = 0;
        w.pressure = (Pressure){ 0 };
        look(&w);
        assert_int_equal(service(&w), PROCESS_WORKING);
        hang_deinit(&w.watch);
}

static void test_words(void **state)
{
        (void)state;
        for (int v = 0; v < _PROCESS_VERDICT_MAX; v++) {
                assert_int_equal(process_verdict_from_string(process_verdict_to_string((ProcessVerdict)v)),
                                 v);
                /* Nothing is a hang and excused as well. */
                assert_false(process_verdict_is_hang((ProcessVerdict)v) &&
                             process_verdict_excuse((ProcessVerdict)v) != REASON_NONE);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deadlock),      cmocka_unit_test(test_only_holders),
                cmocka_unit_test(test_spin),          cmocka_unit_test(test_stopped),
                cmocka_unit_test(test_excuses),       cmocka_unit_test(test_children),
                cmocka_unit_test(test_whole_service), cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
