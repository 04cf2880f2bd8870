/*
 * runner_systemd - programs as transient units
 *
 * Used where systemd manages the host: what unjamd starts then lives outside of unjamd's own control group
 * and sandbox. One program is one unit "unjam-run-NAME-PID-N.service" of Type=exec. Its course:
 *
 *         subscribe, match        before anything is started, so that no signal is missed
 *         StartTransientUnit      with our pipe as its output, and AddRef: the result outlives the unit's end
 *         JobRemoved, PropertiesChanged  each only says "look again": all properties are then asked for
 *         no job, inactive or failed     the end: ExecMainCode and ExecMainStatus, output drained, UnrefUnit
 *
 * Guarantees: done() comes once, from the loop, at the end of the program or at its deadline, whether or not
 * the bus still answers. The deadline kills the whole control group; RuntimeMaxUSec does it if unjamd is no
 * more by then. What is left when the program ends is killed by systemd, unless `detach` is set.
 *
 * Diagnostics: what systemd refuses comes as RunResult.error. With the connection gone, a run ends at its
 * deadline.
 */
#include "base/runner.h"

#include "base/capture.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/program.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/queue.h>
#include <syslog.h>

#define MANAGER_PATH      "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"

/* From our own kill to the report, and from our deadline to systemd's. */
#define KILL_GRACE   (1 * USEC_PER_SEC)
#define SECOND_GRACE (5 * USEC_PER_SEC)

typedef struct SystemdRunner {
        Runner runner;
        sd_event *event;
        sd_bus *bus;
        char *destination; /* NULL on a peer connection, where signals have no sender either */
        sd_bus_slot *job_match;
        unsigned counter;
        LIST_HEAD(, Run) runs;
} SystemdRunner;

struct Run {
        LIST_ENTRY(Run) entry;
        SystemdRunner *owner;
        RunDone done;
        void *userdata;
        char *unit, *path;
        Capture output;
        sd_bus_slot *match, *start_slot, *query_slot;
        sd_event_source *timer;
        bool started; /* systemd has taken it */
        bool dirty;   /* something has changed since the query under way was sent */
        bool timed_out;
};

/* What is asked of a unit. */
typedef struct UnitState {
        const char *active, *result;
        uint32_t job;
        int32_t code, status;
        uint64_t active_enter;
} UnitState;

static void run_free(Run *run)
{
        LIST_REMOVE(run, entry);
        sd_bus_slot_unref(run->match);
        sd_bus_slot_unref(run->start_slot);
        sd_bus_slot_unref(run->query_slot);
        sd_event_source_disable_unref(run->timer);
        capture_deinit(&run->output);
        free(run->unit);
        free(run->path);
        free(run);
}

/* Calls the manager without waiting for its answer. If it cannot be reached, there is nothing else to be
 * done. */
#define manager_tell(f, member, ...)                                                                         \
        ((void)sd_bus_call_method_async((f)->bus, NULL, (f)->destination, MANAGER_PATH, MANAGER_INTERFACE,   \
                                        (member), NULL, NULL, __VA_ARGS__))

/* Ends everything of the unit, also where KillMode spares what is left. */
static void run_kill(Run *run)
{
        manager_tell(run->owner, "KillUnit", "ssi", run->unit, "all", SIGKILL);
        manager_tell(run->owner, "StopUnit", "ss", run->unit, "replace");
}

/* The unit may go now, and so does the run. The caller of the run may do anything in done(). */
static void run_finish(Run *run, RunResult *result)
{
        RunDone done = run->done;
        void *userdata = run->userdata;
        _cleanup_(freep) char *data = NULL;

        capture_drain(&run->output);
        data = TAKE_PTR(run->output.data);
        result->timed_out = run->timed_out;
        result->output = data ? data : "";
        result->output_len = run->output.len;
        manager_tell(run->owner, "UnrefUnit", "s", run->unit);
        run_free(run);
        done(userdata, result);
}

/*
 * systemd's own exit codes (systemd.exec(5)): the program was never run. They count only if the unit never
 * became active, for a program may exit with such a code, too.
 */
static int start_error(const UnitState *s)
{
        if (s->code == 0)
                return -EIO;
        if (s->code != CLD_EXITED || s->active_enter != 0)
                return 0;
        switch (s->status) {
        case 200: /* CHDIR */
        case 216: /* GROUP */
        case 217: /* USER */
                return -ENOENT;
        case 203: /* EXEC */
                return -ENOEXEC;
        case 226: /* NAMESPACE */
        case 228: /* SECCOMP */
                return -EPERM;
        }
        return 0;
}

static void run_judge(Run *run, const UnitState *s)
{
        RunResult result = { 0 };

        if (!s->active || s->job != 0)
                return;
        if (strcmp(s->active, "inactive") != 0 && strcmp(s->active, "failed") != 0)
                return;
        /* The second net was faster than our timer. */
        if (s->result && strcmp(s->result, "timeout") == 0)
                run->timed_out = true;
        if (!run->timed_out)
                result.error = start_error(s);
        if (s->code == CLD_EXITED)
                result.exit_code = s->status;
        else
                result.signal = s->status;
        run_finish(run, &result);
}

/* One property: @name is entered into @s if it is one of ours. The message is left behind the variant. */
static int property_read(sd_bus_message *m, const char *name, UnitState *s)
{
        const char *path;

        if (strcmp(name, "ActiveState") == 0)
                return sd_bus_message_read(m, "v", "s", &s->active);
        if (strcmp(name, "Result") == 0)
                return sd_bus_message_read(m, "v", "s", &s->result);
        if (strcmp(name, "ExecMainCode") == 0)
                return sd_bus_message_read(m, "v", "i", &s->code);
        if (strcmp(name, "ExecMainStatus") == 0)
                return sd_bus_message_read(m, "v", "i", &s->status);
        if (strcmp(name, "ActiveEnterTimestampMonotonic") == 0)
                return sd_bus_message_read(m, "v", "t", &s->active_enter);
        if (strcmp(name, "Job") == 0)
                return sd_bus_message_read(m, "v", "(uo)", &s->job, &path);
        return sd_bus_message_skip(m, "v");
}

static int properties_read(sd_bus_message *m, UnitState *s)
{
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        if (r < 0)
                return err_trace(r);
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = property_read(m, name, s);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return err_trace(r);
        }
        return r < 0 ? err_trace(r) : 0;
}

static int run_query(Run *run);

static int run_on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Run *run = userdata;
        UnitState s = { 0 };
        int r;

        (void)error;
        run->query_slot = sd_bus_slot_unref(run->query_slot);
        if (sd_bus_message_is_method_error(m, NULL))
                r = -sd_bus_message_get_errno(m);
        else if (run->dirty)
                r = run_query(run);
        else if ((r = properties_read(m, &s)) == 0)
                run_judge(run, &s);
        if (r < 0) {
                /* How it ended will never be known; that it runs on is not to be expected. */
                RunResult result = { .error = run->timed_out ? 0 : r };

                run_kill(run);
                run_finish(run, &result);
        }
        return 0;
}

/* Asks for everything of the unit. A query that is under way is old news then, and is repeated. */
static int run_query(Run *run)
{
        SystemdRunner *f = run->owner;

        if (run->query_slot) {
                run->dirty = true;
                return 0;
        }
        run->dirty = false;
        return err_trace(sd_bus_call_method_async(f->bus, &run->query_slot, f->destination, run->path,
                                                  "org.freedesktop.DBus.Properties", "GetAll",
                                                  run_on_properties, run, "s", ""));
}

static int run_on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Run *run = userdata;

        (void)m;
        (void)error;
        if (run->started)
                (void)run_query(run);
        return 0;
}

static int runner_on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        SystemdRunner *f = userdata;
        const char *job, *unit, *result;
        uint32_t id;
        Run *run;

        (void)error;
        /* A signal of another form is not for us. */
        if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
                return 0;
        LIST_FOREACH(run, &f->runs, entry)
        if (run->started && strcmp(run->unit, unit) == 0)
                (void)run_query(run);
        return 0;
}

static int run_on_started(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Run *run = userdata;
        int r;

        (void)error;
        run->start_slot = sd_bus_slot_unref(run->start_slot);
        if (sd_bus_message_is_method_error(m, NULL)) {
                r = -sd_bus_message_get_errno(m);
        } else {
                run->started = true;
                r = run_query(run);
        }
        if (r < 0) {
                RunResult result = { .error = r };

                run_finish(run, &result);
        }
        return 0;
}

static int run_on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        Run *run = userdata;
        RunResult result = { 0 };

        (void)usec;
        if (!run->timed_out) {
                run->timed_out = true;
                run_kill(run);
                if (sd_event_source_set_time_relative(source, KILL_GRACE) >= 0 &&
                    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
                        return 0;
        }
        run_finish(run, &result);
        return 0;
}

static int append_strings(sd_bus_message *m, const char *name, char *const *strings)
{
        int r;

        r = sd_bus_message_open_container(m, SD_BUS_TYPE_STRUCT, "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_VARIANT, "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **)strings);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return err_trace(r);
}

/* One program with its whole argv, in which a "$" is no more than that: what systemd would make of it is not
 * asked for. */
static int append_command(sd_bus_message *m, const char *path, char *const *argv)
{
        int r;

        r = sd_bus_message_open_container(m, SD_BUS_TYPE_STRUCT, "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "ExecStartEx");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_VARIANT, "a(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "(sasas)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, SD_BUS_TYPE_STRUCT, "sasas");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", path);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **)argv);
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 1, "no-env-expand");
        for (int i = 0; r >= 0 && i < 4; i++)
                r = sd_bus_message_close_container(m);
        return err_trace(r);
}

static int append_limits(sd_bus_message *m, const RunSpec *spec)
{
        usec_t second = usec_add(spec->timeout, SECOND_GRACE);

        return err_trace(sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Type", "s", "exec",
                                               "AddRef", "b", true, "CollectMode", "s", "inactive-or-failed",
                                               "RuntimeMaxUSec", "t", second, "TimeoutStartUSec", "t", second,
                                               "TimeoutStopUSec", "t", SECOND_GRACE, "KillMode", "s",
                                               spec->detach ? "process" : "control-group", "KillSignal", "i",
                                               SIGKILL, "IgnoreSIGPIPE", "b", false));
}

/* For what must change nothing. A probe that fails every few seconds is no news for the journal either. */
static int append_read_only(sd_bus_message *m)
{
        return err_trace(sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)", "ProtectSystem", "s", "strict",
                                               "ProtectHome", "s", "read-only", "PrivateTmp", "b", true,
                                               "NoNewPrivileges", "b", true, "LogLevelMax", "i", LOG_CRIT));
}

static int append_streams(sd_bus_message *m, int in, int out)
{
        return err_trace(sd_bus_message_append(m, "(sv)(sv)(sv)", "StandardInputFileDescriptor", "h", in,
                                               "StandardOutputFileDescriptor", "h", out,
                                               "StandardErrorFileDescriptor", "h", out));
}

static int append_properties(sd_bus_message *m, const RunSpec *spec, const char *path, int in, int out)
{
        int r;

        r = sd_bus_message_open_container(m, SD_BUS_TYPE_ARRAY, "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)", "Description", "s", "unjamd: short-lived program",
                                          "WorkingDirectory", "s", spec->directory ? spec->directory : "/");
        if (r >= 0)
                r = append_command(m, path, spec->argv);
        if (r >= 0)
                r = append_strings(m, "Environment", run_spec_environment(spec));
        if (r >= 0)
                r = append_limits(m, spec);
        if (r >= 0)
                r = append_streams(m, in, out);
        if (r >= 0 && spec->user)
                r = sd_bus_message_append(m, "(sv)", "User", "s", spec->user);
        if (r >= 0 && spec->read_only)
                r = append_read_only(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return err_trace(r);
}

/* Sends StartTransientUnit. The message keeps descriptors of its own. */
static int run_send(Run *run, const RunSpec *spec, const char *path, int in, int out)
{
        SystemdRunner *f = run->owner;
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(f->bus, &m, f->destination, MANAGER_PATH, MANAGER_INTERFACE,
                                           "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", run->unit, "fail");
        if (r >= 0)
                r = append_properties(m, spec, path, in, out);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_call_async(f->bus, &run->start_slot, m, run_on_started, run, 0);
        sd_bus_message_unref(m);
        return r < 0 ? err_trace(r) : 0;
}

static int run_begin(Run *run, const RunSpec *spec, const char *program)
{
        SystemdRunner *f = run->owner;
        _cleanup_(closep) int in = -1, out = -1;
        int r;

        if (asprintf(&run->unit, "unjam-run-%s-%d-%u.service", spec->name, (int)getpid(), f->counter) < 0) {
                run->unit = NULL;
                return err_origin(-ENOMEM);
        }
        r = sd_bus_path_encode(MANAGER_PATH "/unit", run->unit, &run->path);
        if (r < 0)
                return err_trace(r);
        in = program_input(spec->input);
        if (in < 0)
                return err_trace(in);
        r = capture_init(&run->output, f->event, &out);
        if (r < 0)
                return err_trace(r);
        r = sd_event_add_time_relative(f->event, &run->timer, CLOCK_MONOTONIC, spec->timeout,
                                       10 * USEC_PER_MSEC, run_on_deadline, run);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(run->timer, "transient unit deadline");
        r = sd_bus_match_signal_async(f->bus, &run->match, f->destination, run->path,
                                      "org.freedesktop.DBus.Properties", "PropertiesChanged", run_on_changed,
                                      NULL, run);
        if (r < 0)
                return err_trace(r);
        return err_trace(run_send(run, spec, program, in, out));
}

static int systemd_start(Runner *runner, const RunSpec *spec, RunDone done, void *userdata, Run **ret)
{
        SystemdRunner *f = (SystemdRunner *)runner;
        _cleanup_(freep) char *program = NULL;
        Run *run;
        int r;

        /* A message with descriptors waits in sd-bus for a connection that is not up yet; the loop
         * must not. */
        if (sd_bus_is_ready(f->bus) <= 0)
                return err_origin(-ENOTCONN);
        r = run_spec_check(spec, &program);
        if (r < 0)
                return err_trace(r);
        run = calloc(1, sizeof(Run));
        if (!run)
                return err_origin(-ENOMEM);
        *run = (Run){ .owner = f, .done = done, .userdata = userdata, .output = CAPTURE_NULL };
        f->counter++;
        LIST_INSERT_HEAD(&f->runs, run, entry);
        r = run_begin(run, spec, program);
        if (r < 0) {
                run_free(run);
                return err_trace(r);
        }
        if (ret)
                *ret = run;
        return 0;
}

/* systemd carries out our calls in order: the kill comes after a start that is still on its way. */
static void systemd_cancel(Runner *runner, Run *run)
{
        (void)runner;
        run_kill(run);
        manager_tell(run->owner, "UnrefUnit", "s", run->unit);
        run_free(run);
}

static Runner *systemd_free(Runner *runner)
{
        SystemdRunner *f = (SystemdRunner *)runner;
        Run *run, *next;

        for (run = LIST_FIRST(&f->runs); run; run = next) {
                next = LIST_NEXT(run, entry);
                systemd_cancel(runner, run);
        }
        sd_bus_slot_unref(f->job_match);
        sd_bus_unref(f->bus);
        sd_event_unref(f->event);
        free(f->destination);
        free(f);
        return NULL;
}

int runner_systemd_new(Runner **ret, sd_event *event, sd_bus *bus, const char *destination)
{
        static const RunnerOps ops = { .start = systemd_start,
                                       .cancel = systemd_cancel,
                                       .free = systemd_free };
        SystemdRunner *f = calloc(1, sizeof(SystemdRunner));
        int r;

        if (!f)
                return err_origin(-ENOMEM);
        *f = (SystemdRunner){ .runner.ops = &ops, .event = sd_event_ref(event), .bus = sd_bus_ref(bus) };
        LIST_INIT(&f->runs);
        if (destination) {
                f->destination = strdup(destination);
                if (!f->destination) {
                        systemd_free(&f->runner);
                        return err_origin(-ENOMEM);
                }
        }
        r = sd_bus_match_signal_async(bus, &f->job_match, destination, MANAGER_PATH, MANAGER_INTERFACE,
                                      "JobRemoved", runner_on_job_removed, NULL, f);
        if (r < 0) {
                systemd_free(&f->runner);
                return err_trace(r);
        }
        /* Somebody else on this connection may have done so: that is an error which nobody reads. */
        (void)sd_bus_call_method_async(bus, NULL, destination, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe",
                                       NULL, NULL, NULL);
        *ret = &f->runner;
        return 0;
}
