/*
 * kinds - see kinds.h
 */
#include "live/kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const Kind kinds[] = {
        { .name = "restart",
          .config = { .n_messages = 6, .restarts = 1 },
          .down = true,
          .result = "recovered" },
        { .name = "suspects first",
          .config = { .n_messages = 6, .n_second = 2, .sees_inflight = true },
          .hangs = { "q3" },
          .result = "recovered" },
        { .name = "purge",
          .config = { .n_messages = 6, .restarts = 1, .dies_at_start = true },
          .result = "recovered" },
        { .name = "set aside and isolation with two culprits",
          .config = { .n_messages = 8, .n_second = 2 },
          .crashes = { "q2", "q5" },
          .result = "recovered" },
        { .name = "set aside without an exchange",
          .config = { .n_messages = 5, .n_second = 2, .fallback = true },
          .crashes = { "q1" },
          .result = "recovered" },
        { .name = "second store",
          .config = { .n_messages = 3, .n_second = 4 },
          .crashes = { "x2" },
          .result = "recovered" },
        { .name = "not a message",
          .config = { .n_messages = 4, .n_second = 2, .always_dies = true },
          .result = "escalated" },
        { .name = "give up",
          .config = { .n_messages = 8, .max_trials = 3 },
          .crashes = { "q1", "q3", "q6" },
          .loose = true,
          .result = "escalated" },
        { .name = "release",
          .config = { .n_messages = 4, .n_second = 2, .sees_inflight = true, .request = LIVE_RELEASE },
          .hangs = { "x1" },
          .result = "recovered" },
        { .name = "delete",
          .config = { .n_messages = 4, .n_second = 2, .sees_inflight = true, .request = LIVE_DELETE },
          .hangs = { "x1" },
          .result = "recovered" },
        { .name = "the server's own hold, and release",
          .config = { .n_messages = 4,
                      .n_second = 2,
                      .sees_inflight = true,
                      .native = LIVE_NATIVE_WORKS,
                      .request = LIVE_RELEASE },
          .hangs = { "x1" },
          .result = "recovered" },
        { .name = "the server's own hold, and delete",
          .config = { .n_messages = 4,
                      .sees_inflight = true,
                      .native = LIVE_NATIVE_WORKS,
                      .request = LIVE_DELETE },
          .hangs = { "q1" },
          .result = "recovered" },
        { .name = "the server's own hold, two culprits",
          .config = { .n_messages = 5, .n_second = 2, .native = LIVE_NATIVE_HANGS },
          .crashes = { "q2", "q4" },
          .result = "recovered" },
        { .name = "the server's own hold takes nothing",
          .config = { .n_messages = 4, .n_second = 2, .sees_inflight = true, .native = LIVE_NATIVE_FAILS },
          .hangs = { "x1" },
          .result = "recovered" },
        { .name = "give up and restore",
          .config = { .n_messages = 8, .max_trials = 3, .request = LIVE_RESTORE },
          .crashes = { "q1", "q3", "q6" },
          .loose = true,
          .result = "recovered" },
};
const unsigned n_kinds = sizeof(kinds) / sizeof(kinds[0]);

Tally tally;

unsigned from_environment(const char *name, unsigned otherwise)
{
        const char *s = getenv(name);

        return s ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

void in_memory(void)
{
        if (access("/dev/shm", W_OK) == 0)
                (void)setenv("TMPDIR", "/dev/shm", 0);
}

void tally_print(void)
{
        print_message("TALLY kills=%lu cuts=%lu faults=%lu messages=%lu lost=%lu doubled=%lu changed=%lu\n",
                      tally.kills, tally.cuts, tally.faults, tally.messages, tally.lost, tally.doubled,
                      tally.changed);
}

Live *kind_begin(const Kind *k)
{
        Live *l = live_new(&k->config, getenv("TMPDIR") ?: "/tmp");

        for (size_t i = 0; i < sizeof(k->crashes) / sizeof(k->crashes[0]); i++)
                if (k->crashes[i])
                        live_poison(l, k->crashes[i], LIVE_CRASHES);
        for (size_t i = 0; i < sizeof(k->hangs) / sizeof(k->hangs[0]); i++)
                if (k->hangs[i])
                        live_poison(l, k->hangs[i], LIVE_HANGS);
        if (k->down) {
                server_stop(l);
                l->failed = true;
        }
        return l;
}

static void broken(const Kind *k, const char *when, const char *wrong)
{
        tally.lost += strstr(wrong, "nowhere") != NULL;
        tally.doubled += strstr(wrong, "twice") || strstr(wrong, "still there");
        tally.changed += strstr(wrong, "not what it was") || strstr(wrong, "on a file");
        fail_msg("%s, %s: %s", k->name, when, wrong);
}

void kind_check(Live *l, const Kind *k, LivePlace places[LIVE_MESSAGES], const char *when)
{
        LivePlace mine[LIVE_MESSAGES];
        char wrong[256], result[32];

        tally.messages += l->n_messages;
        if (!live_look(l, places ? places : mine, wrong))
                broken(k, when, wrong);
        if (l->lives > 0 && !live_trail(l, false, result, wrong))
                broken(k, when, wrong);
}

void kind_check_end(Live *l, const Kind *k, const Baseline *b, bool loose, const char *when)
{
        LivePlace places[LIVE_MESSAGES];
        char wrong[256], result[32];

        kind_check(l, k, places, when);
        if (!live_trail(l, true, result, wrong))
                broken(k, when, wrong);
        for (unsigned i = 0; i < l->n_messages; i++) {
                const LiveMessage *m = l->messages + i;

                if (m->delivered > 1 || places[i] == LIVE_SPLIT)
                        broken(k, when, "a message was delivered twice, or is in two places");
                if (places[i] == LIVE_HALF)
                        broken(k, when, "a message ended half in hold and half in quarantine");
                if (!loose && (places[i] != b->places[i] || m->delivered != b->delivered[i])) {
                        snprintf(wrong, sizeof(wrong), "%s ended in place %d, delivered %u, not %d, %u",
                                 m->id, places[i], m->delivered, b->places[i], b->delivered[i]);
                        broken(k, when, wrong);
                }
        }
        /* One that was down may be up again after the host was, and nothing was to be done. */
        if (!loose && strcmp(result, k->result) != 0 && !(k->down && !result[0]))
                broken(k, when, result);
        if (l->config.request != LIVE_NOTHING && !loose && !l->requested)
                broken(k, when, "the operator got no answer");
}

void kind_baseline(const Kind *k, Baseline *ret)
{
        Live *l = kind_begin(k);
        LiveEnd e = live_run(l, NULL);
        Baseline b = { .calls = l->calls };

        if (e != LIVE_DONE)
                broken(k, "undisturbed", "it comes to no end");
        kind_check(l, k, b.places, "undisturbed");
        for (unsigned i = 0; i < l->n_messages; i++)
                b.delivered[i] = l->messages[i].delivered;
        kind_check_end(l, k, &b, false, "undisturbed");
        live_free(l);
        *ret = b;
}

int kinds_main(const char *name, void (*test)(void **state))
{
        struct CMUnitTest *tests = calloc(n_kinds, sizeof(*tests));
        const char *only = getenv("UNJAM_KIND");
        size_t n = 0;
        int r;

        in_memory();
        for (unsigned i = 0; i < n_kinds; i++)
                if (!only || strstr(kinds[i].name, only))
                        tests[n++] = (struct CMUnitTest){ .name = kinds[i].name,
                                                          .test_func = test,
                                                          .initial_state = (void *)(kinds + i) };
        r = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
        tally_print();
        free(tests);
        return r;
}
