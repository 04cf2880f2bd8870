/*
 * live_life - one life of unjamd on a Live: real parts, a pretended manager, and time that jumps
 *
 * As long as a worker has something to do, the loop waits for it; else the clock jumps to the next moment at
 * which the engine, the manager or the server wants to do something. So an hour passes in milliseconds, and
 * the order of things is the same each time.
 */
#include "live/live_private.h"

#include "record/recorder_disk.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WALL_START  (UINT64_C(1767225600) * USEC_PER_SEC)
#define QUIET       (5 * USEC_PER_MIN)
#define LIFE_MAX    (6 * USEC_PER_HOUR)
#define WORKER_WAIT (60 * USEC_PER_SEC) /* of real time */
#define ASK_PERIOD  (10 * USEC_PER_SEC)

Life the_life;

/* ---- ports ---- */

static void on_committed(void *userdata, int r)
{
        LifeCommit *c = userdata;
        CommitDone done = c->done;

        c->done = NULL;
        c->life->n_commits--;
        done(c->userdata, r);
}

static int life_commit(Recorder *recorder, Commit *commit, CommitDone done, void *userdata)
{
        Life *f = &the_life;
        LifeCommit *c = f->commits;
        int r;

        (void)recorder;
        while (c->done)
                c++;
        assert(c < f->commits + LIVE_COMMITS);
        *c = (LifeCommit){ .life = f, .done = done, .userdata = userdata };
        f->n_commits++;
        r = recorder_commit(f->real_recorder, commit, on_committed, c);
        if (r < 0) {
                c->done = NULL;
                f->n_commits--;
        }
        return r;
}

static int life_load(Recorder *recorder, const char *service, json_t **ret)
{
        (void)recorder;
        return recorder_load(the_life.real_recorder, service, ret);
}

static int life_recall(Recorder *recorder, const char *service, uint64_t generation, uint64_t length,
                       MemoryVisitor visit, void *userdata)
{
        (void)recorder;
        return recorder_recall(the_life.real_recorder, service, generation, length, visit, userdata);
}

static void on_outcome(void *userdata, const Outcome *o)
{
        Life *f = userdata;

        f->acting = false;
        f->done(f->done_data, o);
}

static int life_perform(Actuator *a, const Action *action, OutcomeHandler done, void *userdata)
{
        Life *f = &the_life;
        int r;

        (void)a;
        f->acting = true;
        f->done = done;
        f->done_data = userdata;
        r = actuator_perform(f->real_actuator, action, on_outcome, f);
        if (r < 0)
                f->acting = false;
        return r;
}

static void life_progress(Actuator *a, uint64_t *ret_done, uint64_t *ret_total)
{
        (void)a;
        actuator_progress(the_life.real_actuator, ret_done, ret_total);
}

static int life_resolve(Actuator *a, const char *path, size_t *ret_store, const char **ret_id,
                        size_t *ret_len)
{
        (void)a;
        return actuator_resolve(the_life.real_actuator, path, ret_store, ret_id, ret_len);
}

static Now port_now(void *userdata)
{
        (void)userdata;
        return (Now){ .mono = the_life.l->now, .wall = WALL_START + the_life.l->now };
}

static void port_wake_at(void *userdata, usec_t mono)
{
        (void)userdata;
        the_life.wake_at = mono;
}

static void port_refresh(void *userdata, size_t service)
{
        (void)userdata;
        (void)service;
        the_life.departed_at = the_life.l->now + USEC_PER_MSEC;
}

static void port_expect(void *userdata, size_t service, bool ours, const char *invocation)
{
        (void)userdata;
        (void)service;
        (void)ours;
        (void)invocation;
}

static void port_hurry(void *userdata, size_t service, bool on)
{
        (void)userdata;
        (void)service;
        (void)on;
}

static void port_canaries(void *userdata, size_t service, bool allowed)
{
        (void)userdata;
        (void)service;
        (void)allowed;
}

static void port_history(void *userdata, size_t service, bool mark, SeenFileHandler handler, void *data)
{
        const Live *l = the_life.l;
        char path[PATH_MAX];
        SeenFile seen = { .path = path, .open = true };

        (void)userdata;
        (void)service;
        (void)mark;
        if (!handler || !l->config.sees_inflight || l->inflight == 0)
                return;
        snprintf(path, sizeof(path), "%s/%s", l->root, l->messages[l->inflight - 1].files[0].path);
        handler(data, &seen);
}

/* The only program there is: the server's own, for its hold. It is done at once, and tells from the loop. */
static int on_ran(sd_event_source *source, void *userdata)
{
        Life *f = userdata;
        RunResult result = { .exit_code = f->run_status,
                             .timed_out = f->l->config.native == LIVE_NATIVE_HANGS,
                             .output = "" };

        sd_event_source_unref(source);
        f->run_done(f->run_data, &result);
        return 0;
}

static int life_run(Runner *r, const RunSpec *spec, RunDone done, void *userdata, Run **ret)
{
        Life *f = &the_life;
        sd_event_source *source;

        (void)r;
        if (f->l->config.native == LIVE_NO_NATIVE)
                return -ENOSYS;
        f->run_done = done;
        f->run_data = userdata;
        f->run_status = server_command(f->l, spec->argv);
        *ret = (Run *)f;
        return sd_event_add_defer(f->event, &source, on_ran, f);
}

/* ---- sources ---- */

void live_report_service(Life *f)
{
        const Live *l = f->l;
        Observation o = { .kind = OBSERVATION_SERVICE };

        o.service.since = l->now;
        o.service.invocation = "run";
        o.service.main_pid = l->up || l->hung ? 100 : 0;
        o.service.run = l->up || l->hung ? RUN_RUNNING
                        : l->starting    ? RUN_STARTING
                        : l->failed      ? RUN_FAILED
                                         : RUN_STOPPED;
        if (l->failed) {
                o.service.exited = true;
                o.service.signal = 11;
                o.service.result = "signal";
        }
        engine_observe(f->engine, 0, &o);
}

static void report_progress(Life *f)
{
        Live *l = f->l;

        f->departed_at = USEC_INFINITY;
        for (unsigned store = 0; store < 2; store++) {
                Observation o = { .kind = OBSERVATION_PROGRESS };

                o.progress.store = store;
                for (unsigned k = 0; k < l->n_messages; k++) {
                        char path[PATH_MAX];

                        snprintf(path, sizeof(path), "%s/%s", l->root, l->messages[k].files[0].path);
                        o.progress.waiting += l->messages[k].store == store && access(path, F_OK) == 0;
                }
                o.progress.departed = f->departed[store];
                o.progress.moved = f->departed[store] > 0;
                f->departed[store] = 0;
                engine_observe(f->engine, 0, &o);
        }
}

static unsigned delivered(const Live *l, unsigned store)
{
        unsigned n = 0;

        for (unsigned k = 0; k < l->n_messages; k++)
                n += l->messages[k].store == store ? l->messages[k].delivered : 0;
        return n;
}

static void server_step(Life *f)
{
        unsigned before[2] = { delivered(f->l, 0), delivered(f->l, 1) };
        bool was_up = f->l->up;

        if (!server_turn(f->l))
                return;
        for (unsigned store = 0; store < 2; store++)
                f->departed[store] += delivered(f->l, store) - before[store];
        if (was_up != f->l->up || f->l->failed)
                live_report_service(f);
        report_progress(f);
}

/* ---- the operator ---- */

static void on_answer(ControlReply *reply, bool ok, json_t *body)
{
        Life *f = &the_life;

        (void)reply;
        f->asked = false;
        f->busy_at = f->l->now; /* the server is given time to take up what it got back */
        f->ask_at = f->l->now + ASK_PERIOD;
        /* An error is no answer: he asks again, until it is done, or was. */
        if (ok || strstr(json_string_value(json_object_get(body, "error")) ?: "", "nothing is in quarantine"))
                f->l->requested = true;
        f->refused = !f->l->requested;
        json_decref(body);
}

/* The first name in a directory of hold, or false. */
static bool first_in(const Live *l, const char *below, char ret[256])
{
        char path[PATH_MAX];
        bool found = false;
        DIR *d;

        snprintf(path, sizeof(path), "%s/hold/%s", l->root, below);
        d = opendir(path);
        for (const struct dirent *e; d && !found && (e = readdir(d));)
                if (e->d_name[0] != '.' && !strchr(e->d_name, '.')) {
                        snprintf(ret, 256, "%s", e->d_name);
                        found = true;
                }
        if (d)
                closedir(d);
        return found;
}

/* Does the record say that the server holds it? unjamctl sends that along. */
static bool server_holds(const Live *l, const char *quarantine)
{
        char path[PATH_MAX];
        json_t *j;
        bool holds;

        snprintf(path, sizeof(path), "%s/hold/quarantine/%s/message.json", l->root, quarantine);
        j = json_load_file(path, 0, NULL);
        holds = json_is_true(json_object_get(j, "native"));
        json_decref(j);
        return holds;
}

static void operator_turn(Life *f)
{
        static const char *const verbs[] = { [LIVE_RELEASE] = "quarantine-release",
                                             [LIVE_DELETE] = "quarantine-delete",
                                             [LIVE_RESTORE] = "restore" };
        Live *l = f->l;
        bool restores = l->config.request == LIVE_RESTORE;
        ControlRequest request = { .verb = verbs[l->config.request], .may_act = true, .peer = "uid 0 pid 1" };
        char name[256];
        json_t *args;

        f->ask_at = l->now + ASK_PERIOD;
        if (first_in(l, restores ? "incidents" : "quarantine", name))
                snprintf(l->asked_for, sizeof(l->asked_for), "%s", name);
        else if (!f->refused) { /* nothing is there (any more: a life that ended before it could answer) */
                l->requested = true;
                return;
        }
        for (unsigned k = 0; k < l->n_messages; k++) {
                LiveMessage *m = l->messages + k;

                m->deleted = m->deleted || (l->config.request == LIVE_DELETE && m->poison != LIVE_GOOD);
                if (l->config.request != LIVE_DELETE)
                        m->poison = LIVE_GOOD; /* somebody has mended the server */
        }
        args = json_pack("{s:s, s:s, s:b}", "service", "imc", restores ? "incident" : "id", l->asked_for,
                         "native", server_holds(l, l->asked_for));
        request.args = args;
        f->reply.answer = on_answer;
        f->asked = true;
        engine_handle(f->engine, &request, &f->reply);
        json_decref(args);
}

/* ---- the parts ---- */

static char *below(const Live *l, const char *name)
{
        char *s;

        if (asprintf(&s, "%s/%s", l->root, name) < 0)
                abort();
        return s;
}

static char **command(const char *name)
{
        char **argv = calloc(3, sizeof(char *));

        argv[0] = strdup(name);
        argv[1] = strdup("%i");
        return argv;
}

static void make_native(const Live *l, StoreSettings *s)
{
        s->quarantine_native = true;
        s->native = (NativeSettings){ .hold = command("hold"),
                                      .release = command("release"),
                                      .remove = command("delete"),
                                      .dirs = calloc(2, sizeof(char *)),
                                      .timeout = 30 * USEC_PER_SEC };
        s->native.dirs[0] = below(l, "spool/held");
}

static void make_store(Live *l, StoreSettings *s, const char *name)
{
        s->name = strdup(name);
        s->hold = below(l, "hold");
        s->queue_lifetime = 5 * USEC_PER_DAY;
        if (l->config.native != LIVE_NO_NATIVE)
                make_native(l, s);
        if (strcmp(name, "q") == 0) {
                s->layout.flat = true;
                s->dirs = calloc(3, sizeof(char *));
                s->dirs[0] = below(l, "spool/In");
                s->dirs[1] = below(l, "spool/Out");
                s->rebuildable = calloc(2, sizeof(char *));
                s->rebuildable[0] = below(l, "spool/queue.dat");
        } else {
                s->layout.match = strdup("^(?:[^/]+/)?(?<id>[^/]+)-[HD]$");
                s->layout.last = strdup("-H$");
                s->dirs = calloc(2, sizeof(char *));
                s->dirs[0] = below(l, "spool/input");
        }
}

static void make_settings(Life *f)
{
        Live *l = f->l;
        Settings *t = calloc(1, sizeof(*t));
        ServiceSettings *v = calloc(1, sizeof(*v));

        t->n_ref = 1;
        t->state_dir = below(l, "state");
        t->run_dir = below(l, "run");
        t->services = v;
        t->n_services = 1;
        v->name = strdup("imc");
        v->mode = MODE_ACT;
        v->manager = MANAGER_SYSTEMD;
        v->sole_supervisor = true;
        v->start_timeout = 30 * USEC_PER_SEC;
        v->stop_timeout = 20 * USEC_PER_SEC;
        v->kill_timeout = 10 * USEC_PER_SEC;
        v->stall = (StallSettings){ .enabled = true, .after = 120 * USEC_PER_SEC };
        v->crash_windows = calloc(1, sizeof(*v->crash_windows));
        v->crash_windows[0] = (CrashWindow){ .count = 3, .within = 2 * USEC_PER_MIN };
        v->n_crash_windows = 1;
        v->n_stores = 2;
        v->stores = calloc(2, sizeof(*v->stores));
        make_store(l, &v->stores[0], "q");
        make_store(l, &v->stores[1], "x");
        v->recovery = (RecoverySettings){ .restarts = l->config.restarts,
                                          .confidence = 0.99,
                                          .max_per_hour = 100,
                                          .max_trials = l->config.max_trials ? l->config.max_trials : 128,
                                          .max_time = 2 * USEC_PER_HOUR,
                                          .settle = 5 * USEC_PER_SEC,
                                          .verify = 60 * USEC_PER_SEC };
        f->settings = t;
        f->paths = (GuardPaths){ .disk = disk_posix(),
                                 .service = v->name,
                                 .state_dir = t->state_dir,
                                 .run_dir = t->run_dir,
                                 .unit_dir = below(l, "units"),
                                 .runtime_unit_dir = below(l, "run/units") };
}

static int make_recorder(Life *f)
{
        static const RecorderOps ops = { .commit = life_commit, .load = life_load, .recall = life_recall };
        char *audit = below(f->l, "audit/audit.jsonl");
        const RecorderConfig config = { .state_dir = f->settings->state_dir,
                                        .audit_path = audit,
                                        .audit_max_size = 1 << 26,
                                        .audit_keep = 3,
                                        .group = (gid_t)-1,
                                        .disk = disk_posix() };
        RecorderFindings findings = { 0 };
        int r = recorder_disk_new(&f->real_recorder, f->event, &config, &findings);

        recorder_findings_deinit(&findings);
        free(audit);
        f->recorder.ops = &ops;
        return r;
}

static int make_actuator(Life *f)
{
        static const ActuatorOps ops = { .perform = life_perform,
                                         .progress = life_progress,
                                         .resolve = life_resolve };
        static const RunnerOps runner_ops = { .start = life_run };
        ServiceActuatorConfig config = { .event = f->event,
                                         .service = &f->settings->services[0],
                                         .manager = &f->manager,
                                         .runner = &f->runner,
                                         .disk = disk_posix() };
        int r = worker_new(&f->spool, f->event, "spool");

        if (r == 0)
                r = worker_new(&f->proc, f->event, "proc");
        if (r < 0)
                return r;
        live_manager_init(&f->manager);
        f->runner.ops = &runner_ops;
        f->actuator.ops = &ops;
        config.spool_worker = f->spool;
        config.proc_worker = f->proc;
        return service_actuator_new(&f->real_actuator, &config);
}

static int make_engine(Life *f)
{
        const EnginePorts ports = { .recorder = &f->recorder, .now = port_now, .wake_at = port_wake_at };
        const ServicePorts service = { .actuator = &f->actuator,
                                       .refresh = port_refresh,
                                       .expect = port_expect,
                                       .hurry = port_hurry,
                                       .canaries = port_canaries,
                                       .history = port_history };
        int r = engine_new(&f->engine, f->settings, &ports, &service);

        return r < 0 ? r : engine_start(f->engine);
}

/* ---- the loop ---- */

#ifdef UNJAM_COVERAGE
void __gcov_dump(void);
#endif

static void end(Life *f, LiveEnd how)
{
        f->l->calls = calls_count();
        f->l->fired = calls_fired();
        calls_disarm();
#ifdef UNJAM_COVERAGE
        __gcov_dump(); /* _exit() does not: what a life has reached would not count */
#endif
        _exit(how);
}

/* Is there nothing that unjamd has yet to do? */
static bool is_done(Life *f)
{
        Live *l = f->l;

        if (!engine_is_idle(f->engine) || f->asked)
                f->busy_at = l->now;
        if (l->now < f->busy_at + QUIET)
                return false;
        if (l->config.request == LIVE_NOTHING || l->requested)
                return true;
        if (l->now >= f->ask_at)
                operator_turn(f);
        return false;
}

static usec_t earlier(usec_t a, usec_t b)
{
        return a < b ? a : b;
}

static void jump(Life *f)
{
        Live *l = f->l;
        usec_t at = earlier(f->wake_at, l->server_at);

        if (f->call != CALL_NONE)
                at = earlier(at, f->manager_at);
        at = earlier(at, f->departed_at);
        at = earlier(at, l->now + QUIET); /* nothing at all happens: then that is done, or overdue */
        l->now = at > l->now ? at : l->now + 1;
        if (f->call != CALL_NONE && f->manager_at <= l->now)
                live_manager_turn(f);
        else if (l->server_at <= l->now)
                server_step(f);
        else if (f->departed_at <= l->now) {
                live_report_service(f);
                report_progress(f);
        } else if (f->wake_at <= l->now)
                engine_tick(f->engine);
}

void live_life(Live *l, const Calls *calls)
{
        Life *f = &the_life;
        int r;

        *f = (Life){ .l = l,
                     .wake_at = USEC_INFINITY,
                     .departed_at = USEC_INFINITY,
                     .begun = l->now,
                     .busy_at = l->now };
        l->lives++;
        make_settings(f);
        assert(sd_event_new(&f->event) >= 0);
        json_set_alloc_funcs(malloc, free); /* ours, so that they may fail */
        if (calls)
                calls_arm(calls);
        r = make_recorder(f);
        if (r == 0)
                r = make_actuator(f);
        if (r == 0)
                r = make_engine(f);
        if (r < 0) /* main() says so and ends; systemd starts it again */
                end(f, LIVE_OVERDUE);
        live_report_service(f);
        report_progress(f);
        for (;;) {
                while (sd_event_run(f->event, 0) > 0)
                        ;
                if (f->n_commits > 0 || (f->acting && f->call == CALL_NONE)) {
                        if (sd_event_run(f->event, WORKER_WAIT) == 0)
                                end(f, LIVE_BROKEN);
                        continue;
                }
                if (is_done(f))
                        end(f, LIVE_DONE);
                if (l->now > f->begun + LIFE_MAX)
                        end(f, LIVE_OVERDUE);
                jump(f);
        }
}
