/*
 * The whole daemon, killed: real engine, recorder, actuator, spool and guard on a real directory, for each
 * kind of recovery.
 *
 * Killed between any two calls that change the disk (so after each, and before the next), and in the middle
 * of writes; killed again while it resumes; then left to end. After each death every file of every message is
 * in exactly one place, unchanged in bytes, inode, owner, mode and mtime. In the end the recovery has come to
 * what it comes to undisturbed, the trail verifies with its head, and no intent and no quarantine is in it
 * twice.
 *
 * UNJAM_POINTS is how many deaths of each kind are tried, evenly spread over its calls; 0 means all of them.
 * UNJAM_KIND: only those with this in their name.
 */
#include "live/kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define AGAIN 61 /* a resume is killed within so many calls */

static void survive(const Kind *k, const Baseline *b, CallsHow how, unsigned long at)
{
        Calls calls = { .how = how, .kinds = CALLS_CHANGING, .at = at };
        Live *l = kind_begin(k);
        LiveEnd e = live_run(l, &calls);
        char when[80];

        snprintf(when, sizeof(when), "%s call %lu",
                 how == CALLS_KILL ? "killed before" : "killed in the write", at);
        kind_check(l, k, NULL, when);
        for (unsigned long again = at % AGAIN + 1; e == LIVE_KILLED; again = 0) {
                tally.kills++;
                calls = (Calls){ .how = again ? CALLS_KILL : CALLS_COUNT,
                                 .kinds = CALLS_CHANGING,
                                 .at = again };
                e = live_run(l, &calls);
                kind_check(l, k, NULL, when);
        }
        if (e != LIVE_DONE)
                fail_msg("%s, %s: it comes to no end (%d)", k->name, when, e);
        kind_check_end(l, k, b, k->loose, when);
        live_free(l);
}

static void test_kind(void **state)
{
        const Kind *k = *state;
        unsigned points = from_environment("UNJAM_POINTS", 60);
        unsigned long stride;
        Baseline b;

        kind_baseline(k, &b);
        stride = points ? b.calls / points + 1 : 1;
        print_message("%s: %lu calls, every %lu.\n", k->name, b.calls, stride);
        for (unsigned long at = 1 + from_environment("UNJAM_SEED", 1) % stride; at <= b.calls; at += stride)
                survive(k, &b, CALLS_KILL, at);
        for (unsigned long at = 1; at <= b.calls / 4; at += 4 * stride + 1)
                survive(k, &b, CALLS_TEAR, at);
}

int main(void)
{
        return kinds_main("daemon_crash", test_kind);
}
