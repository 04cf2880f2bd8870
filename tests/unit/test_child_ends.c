/* child_ends - what is reported of processes that ended, and when. */
#include "observe/child_ends.h"

#include "unit/observe_util.h"

#include <signal.h>

static void test_crashes_alone(void **state)
{
        static const struct {
                int status;
                bool told;
        } cases[] = {
                { -1, false },      { 0, false },      { 1 << 8, false },
                { SIGTERM, false }, { SIGHUP, false }, { SIGPIPE, false },
                { SIGSEGV, true },  { SIGKILL, true }, { SIGABRT | 0x80, true },
        };
        Watcher w;

        (void)state;
        watcher_init(&w);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ChildEnds c = { .context = &w.context };
                size_t before = w.n;

                child_ends_add(&c, 10, "smtp", "/q/\xff", cases[i].status);
                assert_int_equal(w.n, before); /* never at once */
                watcher_drain(&w);
                assert_int_equal(w.n - before, cases[i].told);
                if (cases[i].told) {
                        assert_int_equal(w.seen[before].o.kind, OBSERVATION_INFLIGHT);
                        assert_int_equal(w.seen[before].o.inflight.signal, cases[i].status & 0x7f);
                        assert_int_equal(w.seen[before].o.inflight.core, cases[i].status >> 7);
                        assert_string_equal(w.seen[before].text, "/q/\xff");
                }
                child_ends_deinit(&c);
        }
        watcher_deinit(&w);
}

static bool asked_once(void *userdata)
{
        return (*(unsigned *)userdata)++ == 0;
}

/* Whom the kernel has killed for want of memory: asked for a SIGKILL alone, each time anew. */
static void test_out_of_memory(void **state)
{
        unsigned asked = 0;
        Watcher w;

        (void)state;
        watcher_init(&w);
        ChildEnds c = { .context = &w.context, .out_of_memory = asked_once, .userdata = &asked };
        child_ends_add(&c, 1, "a", NULL, SIGSEGV);
        child_ends_add(&c, 2, "a", NULL, SIGKILL);
        child_ends_add(&c, 3, "a", NULL, SIGKILL);
        watcher_drain(&w);
        assert_int_equal(w.n, 3);
        assert_false(w.seen[0].o.inflight.out_of_memory);
        assert_true(w.seen[1].o.inflight.out_of_memory);
        assert_false(w.seen[2].o.inflight.out_of_memory);
        assert_int_equal(asked, 2);
        child_ends_deinit(&c);
        watcher_deinit(&w);
}

/* Many at once; and a source that goes before they are told. */
static void test_many(void **state)
{
        Watcher w;

        (void)state;
        watcher_init(&w);
        ChildEnds c = { .context = &w.context };
        for (int i = 0; i < 100; i++)
                child_ends_add(&c, i + 1, "a\xff", NULL, SIGSEGV);
        watcher_drain(&w);
        assert_int_equal(w.n, 64);
        assert_int_equal(w.seen[63].o.inflight.pid, 64);
        child_ends_add(&c, 1, "a", "/q/m", SIGSEGV);
        child_ends_deinit(&c);
        watcher_drain(&w);
        assert_int_equal(w.n, 64);
        watcher_deinit(&w);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_crashes_alone),
                cmocka_unit_test(test_out_of_memory),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
