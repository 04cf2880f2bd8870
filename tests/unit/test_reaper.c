/* Tests of act/reaper.c with real orphans. */
#include "act/reaper.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE (20 * USEC_PER_MSEC)

typedef struct World {
        sd_event *event;
        Reaper *reaper;
} World;

static int setup(void **state)
{
        World *w = calloc(1, sizeof(*w));
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        assert_int_equal(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        assert_true(sd_event_new(&w->event) >= 0);
        assert_int_equal(reaper_new(&w->reaper, w->event, PATIENCE), 0);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        World *w = *state;

        assert_null(reaper_free(w->reaper));
        sd_event_unref(w->event);
        while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        free(w);
        return 0;
}

/* The loop runs until @pid is no child any more, or is a zombie for ever. */
static bool reaped_within(World *w, pid_t pid, usec_t time)
{
        usec_t end = usec_add(now_read().mono, time);
        siginfo_t si;

        while (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0) {
                if (now_read().mono >= end)
                        return false;
                (void)sd_event_run(w->event, PATIENCE);
        }
        return true;
}

/* A child of a child that has gone; it ends when the pipe does. */
static pid_t orphan_make(int ends[2])
{
        int told[2];
        pid_t parent, orphan = 0;

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(pipe(told), 0);
        parent = fork();
        if (parent == 0) {
                orphan = fork();
                if (orphan == 0) {
                        char c;

                        close(ends[1]);
                        _exit(read(ends[0], &c, 1) == 0 ? 0 : 1);
                }
                _exit(write(told[1], &orphan, sizeof(orphan)) != sizeof(orphan));
        }
        assert_int_equal(read(told[0], &orphan, sizeof(orphan)), sizeof(orphan));
        assert_int_equal(waitpid(parent, NULL, 0), parent);
        close(told[0]);
        close(told[1]);
        close(ends[0]);
        return orphan;
}

static void an_orphan_is_reaped(void **state)
{
        World *w = *state;
        int ends[2];
        pid_t orphan = orphan_make(ends);

        assert_false(reaped_within(w, orphan, 3 * PATIENCE)); /* it lives */
        close(ends[1]);
        assert_true(reaped_within(w, orphan, USEC_PER_MIN));
}

static void what_ended_before_it_began_is_reaped(void **state)
{
        World *w = *state;
        int ends[2];
        pid_t orphan;

        w->reaper = reaper_free(w->reaper);
        orphan = orphan_make(ends);
        close(ends[1]);
        assert_int_equal(waitid(P_PID, (id_t)orphan, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
        assert_int_equal(reaper_new(&w->reaper, w->event, PATIENCE), 0);
        assert_true(reaped_within(w, orphan, USEC_PER_MIN));
}

/* Whoever waits for a child gets its status: the reaper's first look leaves it alone. */
static void a_child_is_its_owners_at_first(void **state)
{
        World *w = *state;
        pid_t child = fork();
        int status;

        if (child == 0)
                _exit(7);
        assert_int_equal(waitid(P_PID, (id_t)child, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
        assert_true(sd_event_run(w->event, 0) >= 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WEXITSTATUS(status), 7);
}

/* With nothing to wait for, there is no timer. */
static void it_rests(void **state)
{
        World *w = *state;

        for (unsigned i = 0; i < 100 && sd_event_run(w->event, 5 * PATIENCE) > 0; i++)
                assert_true(i < 10);
        assert_int_equal(sd_event_run(w->event, 5 * PATIENCE), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(an_orphan_is_reaped, setup, teardown),
                cmocka_unit_test_setup_teardown(what_ended_before_it_began_is_reaped, setup, teardown),
                cmocka_unit_test_setup_teardown(a_child_is_its_owners_at_first, setup, teardown),
                cmocka_unit_test_setup_teardown(it_rests, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
