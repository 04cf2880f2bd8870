/* probe_canary - through the scheduler, with a scripted runner and a real mailbox. */
#include "observe/probe.h"

#include "unit/observe_runner.h"
#include "unit/observe_util.h"

static const CanaryKey key = { .bytes = { 1 } };

typedef struct Bed {
        Watcher w;
        FakeRunner f;
        char *dir, *submit[2];
        char message[2048]; /* as the command got it */
        ProbeSettings probe;
        Source *source;
} Bed;

static int bed_setup(void **state)
{
        Bed *b = calloc(1, sizeof(*b));
        const ProbeSpec spec = { .runner = &b->f.runner, .canary_key = &key };

        watcher_init(&b->w);
        b->f.runner.ops = &fake_runner_ops;
        b->dir = temp_new();
        assert_int_equal(mkdir(in(b->dir, "new"), 0700), 0);
        b->submit[0] = (char *)"/usr/sbin/sendmail";
        b->probe = (ProbeSettings){ .kind = PROBE_CANARY,
                                    .submit = b->submit,
                                    .arrives = b->dir,
                                    .within = 300 * USEC_PER_MSEC,
                                    .interval = USEC_PER_HOUR,
                                    .timeout = 3 * USEC_PER_SEC };
        b->w.settings.probes = &b->probe;
        b->w.settings.n_probes = 1;
        assert_int_equal(probe_source_new(&b->source, &b->w.context, &spec), 0);
        assert_int_equal(source_start(b->source), 0);
        watcher_drain(&b->w);
        assert_int_equal(b->f.started, 0); /* nobody has allowed it */
        *state = b;
        return 0;
}

static int bed_teardown(void **state)
{
        Bed *b = *state;

        source_free(b->source);
        temp_remove(b->dir);
        watcher_deinit(&b->w);
        free(b);
        return 0;
}

/* The next canary is given to the command. */
static void submitted(Bed *b, unsigned number)
{
        watcher_until(&b->w, b->f.started == number);
        assert_string_equal(b->f.name, "canary-imc");
        assert_int_equal(b->f.spec.timeout, b->probe.timeout);
        snprintf(b->message, sizeof(b->message), "%s", b->f.spec.input);
}

static void test_arrives(void **state)
{
        Bed *b = *state;

        probe_source_allow_canaries(b->source, true);
        submitted(b, 1);
        file_make(in(b->dir, "new/1"), b->message); /* faster than the command ends */
        b->f.done(b->f.userdata, &(RunResult){});
        watcher_until(&b->w, b->w.n == 1);
        assert_true(b->w.seen[0].o.probe.ok);
        assert_string_equal(b->w.seen[0].text, "");
        assert_int_equal(access(in(b->dir, "new/1"), F_OK), -1);
        /* Others may be asked at any time, a canary goes at its own. */
        source_refresh(b->source);
        probe_source_set_pace(b->source, 1);
        watcher_drain(&b->w);
        assert_int_equal(b->f.started, 1);
}

static void test_fails(void **state)
{
        Bed *b = *state;

        probe_source_allow_canaries(b->source, true);
        submitted(b, 1);
        b->f.done(b->f.userdata, &(RunResult){ .exit_code = 75, .output = "no queue", .output_len = 8 });
        assert_int_equal(b->w.n, 1);
        assert_false(b->w.seen[0].o.probe.ok);
        assert_string_equal(b->w.seen[0].text,
                            "the message could not be submitted: exit status 75: no queue");
        probe_source_allow_canaries(b->source, false);
        probe_source_allow_canaries(b->source, true);
        submitted(b, 2);
        b->f.done(b->f.userdata, &(RunResult){});
        watcher_until(&b->w, b->w.n == 2);
        assert_false(b->w.seen[1].o.probe.ok);
        assert_string_equal(b->w.seen[1].text, "the message has not arrived within 300ms");
}

/* An incident opens meanwhile: no verdict, and what arrives late goes with the next look. */
static void test_forgotten_and_found(void **state)
{
        Bed *b = *state;

        probe_source_allow_canaries(b->source, true);
        submitted(b, 1);
        probe_source_allow_canaries(b->source, false);
        assert_int_equal(b->f.cancelled, 1);
        file_make(in(b->dir, "new/late"), b->message);
        watcher_drain(&b->w);
        assert_int_equal(b->w.n, 0);
        probe_source_allow_canaries(b->source, true);
        submitted(b, 2);
        b->f.done(b->f.userdata, &(RunResult){});
        file_make(in(b->dir, "new/mine"), b->message);
        watcher_until(&b->w, b->w.n == 1);
        assert_true(b->w.seen[0].o.probe.ok);
        assert_int_equal(access(in(b->dir, "new/late"), F_OK), -1);
        assert_int_equal(access(in(b->dir, "new/mine"), F_OK), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_arrives, bed_setup, bed_teardown),
                cmocka_unit_test_setup_teardown(test_fails, bed_setup, bed_teardown),
                cmocka_unit_test_setup_teardown(test_forgotten_and_found, bed_setup, bed_teardown),
        };

        return cmocka_run_group_tests_name("observe/probe_canary", tests, NULL, NULL);
}
