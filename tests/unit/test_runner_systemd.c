/*
 * Tests of base/runner_systemd.c against a manager that is faked at the other end of a socketpair: one loop,
 * no message bus, no root. The fake runs nothing; the tests say how each unit goes.
 */
#include "base/cleanup.h"
#include "base/runner.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PATH_PREFIX "/org/freedesktop/systemd1/unit"

typedef struct Fixture Fixture;

struct Fixture {
        sd_event *event;
        sd_bus *server, *client;
        sd_bus_slot *manager_slot, *unit_slot;
        Runner *runner;

        /* The fake manager and its one unit. */
        char *calls; /* one word each */
        char *unit, *path, *properties;
        int in, out;
        const char *refuse; /* error name for StartTransientUnit */
        void (*behave)(Fixture *f);
        const char *active, *result;
        uint32_t job;
        int32_t code, status;
        uint64_t active_enter;
        bool vanished;

        /* The answer. */
        int done;
        RunResult answer;
        char *output;
        Run *run;
};

static void note(Fixture *f, const char *word)
{
        char *old = f->calls;

        assert_true(asprintf(&f->calls, "%s%s ", old ? old : "", word) > 0);
        free(old);
}

/* Notes one property as NAME=VALUE, for the kinds of value that the runner sends. */
static void note_property(Fixture *f, sd_bus_message *m)
{
        char *old = f->properties, *value = NULL;
        const char *name, *contents, *s;
        uint64_t t;
        char type;
        int i;

        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        assert_true(sd_bus_message_peek_type(m, &type, &contents) > 0);
        if (strcmp(contents, "s") == 0) {
                assert_true(sd_bus_message_read(m, "v", "s", &s) > 0);
                value = strdup(s);
        } else if (strcmp(contents, "b") == 0 || strcmp(contents, "i") == 0) {
                assert_true(sd_bus_message_read(m, "v", contents, &i) > 0);
                assert_true(asprintf(&value, "%d", i) > 0);
        } else if (strcmp(contents, "t") == 0) {
                assert_true(sd_bus_message_read(m, "v", "t", &t) > 0);
                assert_true(asprintf(&value, "%llu", (unsigned long long)t) > 0);
        } else if (strcmp(contents, "h") == 0) {
                assert_true(sd_bus_message_read(m, "v", "h", &i) > 0);
                if (strcmp(name, "StandardInputFileDescriptor") == 0)
                        f->in = fcntl(i, F_DUPFD_CLOEXEC, 3);
                if (strcmp(name, "StandardOutputFileDescriptor") == 0)
                        f->out = fcntl(i, F_DUPFD_CLOEXEC, 3);
                value = strdup("fd");
        } else if (strcmp(contents, "as") == 0) {
                _cleanup_(strv_freep) char **v = NULL;

                assert_true(sd_bus_message_enter_container(m, 'v', "as") > 0);
                assert_true(sd_bus_message_read_strv(m, &v) >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                value = strv_join(v, ",");
        } else if (strcmp(contents, "a(sasas)") == 0) {
                _cleanup_(strv_freep) char **v = NULL, **flags = NULL;
                _cleanup_(freep) char *argv = NULL;

                assert_true(sd_bus_message_enter_container(m, 'v', contents) > 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "(sasas)") > 0);
                assert_true(sd_bus_message_enter_container(m, 'r', "sasas") > 0);
                assert_true(sd_bus_message_read(m, "s", &s) > 0);
                assert_true(sd_bus_message_read_strv(m, &v) >= 0);
                assert_true(sd_bus_message_read_strv(m, &flags) >= 0);
                argv = strv_join(v, ",");
                assert_true(asprintf(&value, "%s:%s:%s", s, argv, flags[0]) > 0);
                for (int k = 0; k < 3; k++)
                        assert_true(sd_bus_message_exit_container(m) >= 0);
        } else {
                fail_msg("property %s of type %s", name, contents);
        }
        assert_true(asprintf(&f->properties, "%s%s=%s\n", old ? old : "", name, value) > 0);
        free(old);
        free(value);
}

/* The unit answers for all its properties at once, and is asked for nothing else. */
static int on_unit_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const Fixture *f = userdata;
        sd_bus_message *reply;
        int r;

        if (f->vanished)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "gone");
        if (strcmp(sd_bus_message_get_path(m), f->path) != 0 ||
            !sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll"))
                return 0;
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "a{sv}", 7, "Id", "s", f->unit, "ActiveState", "s",
                                          f->active, "Job", "(uo)", f->job, "/",
                                          "ActiveEnterTimestampMonotonic", "t", f->active_enter, "Result",
                                          "s", f->result, "ExecMainCode", "i", f->code, "ExecMainStatus", "i",
                                          f->status) >= 0);
        r = sd_bus_send(f->server, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static void emit_changed(Fixture *f)
{
        assert_true(sd_bus_emit_signal(f->server, f->path, "org.freedesktop.DBus.Properties",
                                       "PropertiesChanged", "sa{sv}as", "org.freedesktop.systemd1.Unit", 1,
                                       "ActiveState", "s", f->active, 0) >= 0);
}

static void emit_job_removed(Fixture *f, const char *result)
{
        assert_true(sd_bus_emit_signal(f->server, "/org/freedesktop/systemd1",
                                       "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 7,
                                       "/org/freedesktop/systemd1/job/7", f->unit, result) >= 0);
}

static int on_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;
        const char *unit, *mode;
        int r;

        note(f, "start");
        if (f->refuse)
                return sd_bus_error_set(error, f->refuse, "no");
        assert_true(sd_bus_message_read(m, "ss", &unit, &mode) > 0);
        assert_string_equal(mode, "fail");
        f->unit = strdup(unit);
        assert_true(sd_bus_path_encode(PATH_PREFIX, unit, &f->path) >= 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "(sv)") > 0);
        while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                note_property(f, m);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
        assert_true(sd_bus_message_exit_container(m) >= 0);
        r = sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/7");
        f->active = "activating";
        f->job = 7;
        if (f->behave)
                f->behave(f);
        return r;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)error;
        note(userdata, sd_bus_message_get_member(m));
        return sd_bus_reply_method_return(m, NULL);
}

static int on_stop(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (void)error;
        note(userdata, "StopUnit");
        return sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/8");
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", on_start, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("KillUnit", "ssi", "", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopUnit", "ss", "o", on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("UnrefUnit", "s", "", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", "", "", on_call, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
        SD_BUS_VTABLE_END,
};

static int bus_new(sd_bus **ret, int fd, bool server)
{
        sd_id128_t id;
        int r;

        r = sd_bus_new(ret);
        if (r >= 0)
                r = sd_bus_set_fd(*ret, fd, fd);
        if (r >= 0)
                r = sd_bus_negotiate_fds(*ret, true);
        if (r >= 0 && server)
                r = sd_id128_randomize(&id);
        if (r >= 0 && server)
                r = sd_bus_set_server(*ret, 1, id);
        if (r >= 0 && server)
                r = sd_bus_set_anonymous(*ret, 1);
        return r >= 0 ? sd_bus_start(*ret) : r;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(Fixture));
        int fds[2];

        f->in = f->out = -1;
        f->active = "inactive";
        f->result = "success";
        if (sd_event_new(&f->event) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
            bus_new(&f->server, fds[0], true) < 0 || bus_new(&f->client, fds[1], false) < 0 ||
            sd_bus_attach_event(f->server, f->event, 0) < 0 ||
            sd_bus_attach_event(f->client, f->event, 0) < 0)
                return -1;
        if (sd_bus_add_object_vtable(f->server, &f->manager_slot, "/org/freedesktop/systemd1",
                                     "org.freedesktop.systemd1.Manager", manager_vtable, f) < 0 ||
            sd_bus_add_fallback(f->server, &f->unit_slot, PATH_PREFIX, on_unit_call, f) < 0)
                return -1;
        /* Both ends are in this thread: whoever waited for the other without the loop would wait for ever. */
        while (sd_bus_is_ready(f->client) == 0)
                if (sd_event_run(f->event, 5 * USEC_PER_SEC) <= 0)
                        return -1;
        *state = f;
        return runner_systemd_new(&f->runner, f->event, f->client, NULL);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        runner_free(f->runner);
        sd_bus_slot_unref(f->manager_slot);
        sd_bus_slot_unref(f->unit_slot);
        sd_bus_close_unref(f->client);
        sd_bus_close_unref(f->server);
        sd_event_unref(f->event);
        closep(&f->in);
        closep(&f->out);
        free(f->calls);
        free(f->unit);
        free(f->path);
        free(f->properties);
        free(f->output);
        free(f);
        return 0;
}

static void on_done(void *userdata, const RunResult *result)
{
        Fixture *f = userdata;

        f->done++;
        f->answer = *result;
        f->output = strndup(result->output, result->output_len);
}

static char *argv_true[] = { "/bin/true", "one", "$HOME two words", NULL };

static RunSpec plain(void)
{
        return (RunSpec){ .name = "cause-3", .argv = argv_true, .timeout = 20 * USEC_PER_SEC };
}

/* Runs the loop until nothing moves any more, and at least until @until says so. */
static void settle(Fixture *f, const int *until)
{
        while ((until && !*until) || sd_event_run(f->event, 0) > 0)
                if (until && !*until)
                        assert_true(sd_event_run(f->event, 5 * USEC_PER_SEC) > 0);
}

static void start(Fixture *f, const RunSpec *spec)
{
        assert_int_equal(runner_start(f->runner, spec, on_done, f, &f->run), 0);
        assert_int_equal(f->done, 0);
}

static void ends_well(Fixture *f)
{
        assert_int_equal(write(f->out, "said\n", 5), 5);
        f->active = "active";
        f->active_enter = 5;
        f->job = 0;
        emit_changed(f);
        emit_job_removed(f, "done");
        f->active = "inactive";
        f->code = CLD_EXITED;
        emit_changed(f);
}

static void test_course_and_properties(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();
        static const char *const wanted[] = {
                "Type=exec\n",
                "AddRef=1\n",
                "CollectMode=inactive-or-failed\n",
                "KillMode=control-group\n",
                "KillSignal=9\n",
                "RuntimeMaxUSec=25000000\n",
                "WorkingDirectory=/\n",
                "ExecStartEx=/bin/true:/bin/true,one,$HOME two words:no-env-expand\n",
                "LANG=C.UTF-8\n",
                "StandardErrorFileDescriptor=fd\n",
        };
        char buf[8];

        f->behave = ends_well;
        start(f, &spec);
        settle(f, &f->done);
        assert_int_equal(f->done, 1);
        assert_int_equal(f->answer.error, 0);
        assert_int_equal(f->answer.exit_code, 0);
        assert_int_equal(f->answer.signal, 0);
        assert_false(f->answer.timed_out);
        assert_string_equal(f->output, "said\n");
        assert_string_equal(f->calls, "Subscribe start UnrefUnit ");
        assert_int_equal(strncmp(f->unit, "unjam-run-cause-3-", 18), 0);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                assert_non_null(strstr(f->properties, wanted[i]));
        assert_null(strstr(f->properties, "ProtectSystem"));
        assert_null(strstr(f->properties, "LogLevelMax"));
        assert_null(strstr(f->properties, "User="));
        assert_int_equal(read(f->in, buf, sizeof(buf)), 0); /* /dev/null */
}

static void test_asked_for(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();
        static const char *const wanted[] = {
                "ProtectSystem=strict\n", "ProtectHome=read-only\n", "PrivateTmp=1\n",
                "NoNewPrivileges=1\n",    "User=nobody\n",           "WorkingDirectory=/var\n",
                "KillMode=process\n",
        };
        char buf[8];

        spec.read_only = spec.detach = true;
        spec.user = "nobody";
        spec.directory = "/var";
        spec.input = "typed";
        f->behave = ends_well;
        start(f, &spec);
        settle(f, &f->done);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                assert_non_null(strstr(f->properties, wanted[i]));
        assert_int_equal(read(f->in, buf, sizeof(buf)), 5);
}

static void exits_3(Fixture *f)
{
        f->job = 0;
        f->active = "failed";
        f->result = "exit-code";
        f->code = CLD_EXITED;
        f->status = 3;
        emit_changed(f);
}

static void test_exit_code(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        f->behave = exits_3;
        start(f, &spec);
        settle(f, &f->done);
        assert_int_equal(f->answer.error, 0);
        assert_int_equal(f->answer.exit_code, 3);
        assert_string_equal(f->output, "");
}

static void crashes(Fixture *f)
{
        f->job = 0;
        f->active = "failed";
        f->result = "core-dump";
        f->active_enter = 5;
        f->code = CLD_DUMPED;
        f->status = SIGSEGV;
        /* No PropertiesChanged: the end of the job is enough. */
        emit_job_removed(f, "done");
}

static void test_signal(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        f->behave = crashes;
        start(f, &spec);
        settle(f, &f->done);
        assert_int_equal(f->answer.signal, SIGSEGV);
        assert_int_equal(f->answer.error, 0);
}

static void exec_fails(Fixture *f)
{
        exits_3(f);
        f->status = 203;
}

static void never_ran(Fixture *f)
{
        f->job = 0;
        f->active = "failed";
        f->result = "resources";
        emit_changed(f);
}

static void check_not_started(Fixture *f, void (*behave)(Fixture *), int error)
{
        RunSpec spec = plain();

        f->behave = behave;
        start(f, &spec);
        settle(f, &f->done);
        assert_int_equal(f->answer.error, error);
}

static void test_not_started(void **state)
{
        check_not_started(*state, exec_fails, -ENOEXEC);
}

static void test_never_ran(void **state)
{
        check_not_started(*state, never_ran, -EIO);
}

static void test_a_program_may_exit_203(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        f->active_enter = 5;
        f->behave = exec_fails;
        start(f, &spec);
        settle(f, &f->done);
        assert_int_equal(f->answer.error, 0);
        assert_int_equal(f->answer.exit_code, 203);
}

static void test_refused(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        f->refuse = SD_BUS_ERROR_ACCESS_DENIED;
        start(f, &spec);
        settle(f, &f->done);
        assert_int_equal(f->answer.error, -EACCES);
}

static void test_deadline(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        spec.timeout = 10 * USEC_PER_MSEC;
        start(f, &spec);
        while (!f->calls || !strstr(f->calls, "StopUnit"))
                assert_true(sd_event_run(f->event, 5 * USEC_PER_SEC) > 0);
        assert_int_equal(f->done, 0); /* not before it is dead */
        assert_string_equal(f->calls, "Subscribe start KillUnit StopUnit ");
        f->job = 0;
        f->active = "failed";
        f->result = "signal";
        f->code = CLD_KILLED;
        f->status = SIGKILL;
        emit_changed(f);
        settle(f, &f->done);
        assert_true(f->answer.timed_out);
        assert_int_equal(f->answer.error, 0);
        assert_string_equal(f->calls, "Subscribe start KillUnit StopUnit UnrefUnit ");
}

static void vanishes(Fixture *f)
{
        f->vanished = true;
}

static void test_the_unit_vanishes(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        f->behave = vanishes;
        start(f, &spec);
        settle(f, &f->done);
        assert_true(f->answer.error < 0);
        assert_int_equal(f->done, 1);
}

static void test_cancel(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        start(f, &spec);
        runner_cancel(f->runner, f->run);
        while (!f->calls || !strstr(f->calls, "UnrefUnit"))
                assert_true(sd_event_run(f->event, 5 * USEC_PER_SEC) > 0);
        settle(f, NULL);
        assert_int_equal(f->done, 0);
        assert_string_equal(f->calls, "Subscribe start KillUnit StopUnit UnrefUnit ");
}

static void test_free_under_way(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        start(f, &spec);
        f->runner = runner_free(f->runner);
        settle(f, NULL);
        assert_int_equal(f->done, 0);
}

static void test_no_connection(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        sd_bus_close(f->client);
        assert_int_equal(runner_start(f->runner, &spec, on_done, f, &f->run), -ENOTCONN);
        assert_int_equal(f->done, 0);
}

static void test_connection_lost(void **state)
{
        Fixture *f = *state;
        RunSpec spec = plain();

        spec.timeout = 10 * USEC_PER_MSEC;
        start(f, &spec);
        sd_bus_close(f->server);
        settle(f, &f->done);
        assert_int_equal(f->done, 1);
        assert_true(f->answer.error < 0 || f->answer.timed_out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_course_and_properties),
                TEST(test_asked_for),
                TEST(test_exit_code),
                TEST(test_signal),
                TEST(test_not_started),
                TEST(test_never_ran),
                TEST(test_a_program_may_exit_203),
                TEST(test_refused),
                TEST(test_deadline),
                TEST(test_the_unit_vanishes),
                TEST(test_cancel),
                TEST(test_free_under_way),
                TEST(test_no_connection),
                TEST(test_connection_lost),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
