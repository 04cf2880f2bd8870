/*
 * The n-th fault: each system call and allocation of unjamd fails, once or from then on, in whole recoveries.
 *
 * The result is a finished recovery, or a refusal that is on record; never a half one. After the life with
 * the fault every file of every message is in exactly one place; then an unjamd without faults takes over,
 * and comes to an end at which nothing is lost, doubled or changed, and the trail verifies.
 *
 * UNJAM_FAULTS is how many faults of each kind of call and recovery are tried, UNJAM_SEED where they begin.
 * UNJAM_FAULT repeats one, as a failure has named it.
 */
#include "live/kinds.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int errors[] = { EIO, ENOSPC, EDQUOT, EROFS, EMFILE, EINTR, ENOMEM, EACCES };

/* One life with the fault, one without. Return: did it fire? */
static bool survive(const Kind *k, const Calls *calls)
{
        Live *l = kind_begin(k);
        LiveEnd e = live_run(l, calls);
        bool fired = l->fired;
        char when[128];

        snprintf(when, sizeof(when), "UNJAM_FAULT='%s:%u:%d:%lu:%d' (%s)", k->name, calls->kinds,
                 (int)calls->how, calls->at, calls->error, strerror(calls->error));
        kind_check(l, k, NULL, when);
        if (e != LIVE_DONE && e != LIVE_OVERDUE)
                fail_msg("%s, %s: unjamd itself died (%d)", k->name, when, e);
        tally.faults++;
        e = live_run(l, NULL);
        kind_check(l, k, NULL, when);
        if (e != LIVE_DONE)
                fail_msg("%s, %s: it comes to no end (%d)", k->name, when, e);
        kind_check_end(l, k, NULL, true, when);
        live_free(l);
        return fired;
}

/* Spreads @n faults over the calls of this kind. */
static void spread(const Kind *k, unsigned kind, CallsHow how, unsigned n)
{
        const Calls count = { .how = CALLS_COUNT, .kinds = kind };
        Live *l = kind_begin(k);
        unsigned random = from_environment("UNJAM_SEED", 1) + kind;
        unsigned long calls;

        assert_int_equal(live_run(l, &count), LIVE_DONE);
        calls = l->calls;
        live_free(l);
        for (unsigned i = 0; i < n; i++) {
                unsigned long stride = calls / n + 1,
                              at = 1 + i * stride + (unsigned)rand_r(&random) % stride;
                int error =
                        kind == CALLS_MEMORY
                                ? ENOMEM
                                : errors[(unsigned)rand_r(&random) % (sizeof(errors) / sizeof(errors[0]))];

                /* Interrupted for ever: no kernel does that, and each call would try for ever. */
                if (error == EINTR && how == CALLS_FAIL_ON)
                        error = EIO;
                if (at <= calls)
                        (void)survive(k, &(Calls){ .how = how, .kinds = kind, .at = at, .error = error });
        }
}

/* "KIND:CALLS:HOW:AT:ERRNO" */
static void again(const Kind *k, const char *fault)
{
        size_t len = strlen(k->name);
        Calls calls = { 0 };
        int how;

        if (strncmp(fault, k->name, len) != 0 || fault[len] != ':')
                return;
        assert_int_equal(sscanf(fault + len, ":%u:%d:%lu:%d", &calls.kinds, &how, &calls.at, &calls.error),
                         4);
        calls.how = (CallsHow)how;
        (void)survive(k, &calls);
}

static void test_kind(void **state)
{
        const Kind *k = *state;
        const char *one = getenv("UNJAM_FAULT");
        unsigned n = from_environment("UNJAM_FAULTS", 12);

        if (one) {
                again(k, one);
                return;
        }
        for (unsigned kind = CALLS_CHANGING; kind <= CALLS_MEMORY; kind <<= 1) {
                spread(k, kind, CALLS_FAIL_ONCE, n);
                spread(k, kind, CALLS_FAIL_ON, n / 3 + 1);
        }
}

int main(void)
{
        return kinds_main("faults", test_kind);
}
