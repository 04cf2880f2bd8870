/*
 * manager_command - a service that start, stop and status programs manage (OpenRC, sysvinit, runit, s6)
 *
 * Made by the engine for `manager = "command"`. The programs run by the Runner, so outside of unjamd's group;
 * what the start program leaves running stays.
 *
 * The processes of the service are that of the pidfile, those of its session or process group if it leads
 * one, their descendants, what was seen of these before, and the `leftovers`. The pidfile is read by the
 * worker at the beginning of each call, and directly when processes() is called from another thread than the
 * loop's.
 *
 * start   exit status 0; then the pidfile must name a living process within PIDFILE_GRACE, and the status
 *         program, if there is one, exit with 0. The invocation is "PID-STARTTIME", as the observer has it.
 * stop    the stop program, whatever its exit status; then the proof that nobody lives, for what is left of
 *         stop_timeout.
 * kill    the ladder; then the stop program again, or a supervisor (runit) would start the service anew and a
 *         script would think that it runs; then the proof.
 * guard   the marker alone: these systems have no way to hold a service back that all of them share.
 *
 * Diagnostics: FAILED carries exit status and last output of the program.
 * Test: tests/unit/test_manager_command.c.
 */
#include "act/manager_base.h"
#include "act/manager_pidfile.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIDFILE_GRACE (5 * USEC_PER_SEC)
#define LOOK_AGAIN    (100 * USEC_PER_MSEC)
#define ANSWER_MAX    (2 * USEC_PER_SEC)

typedef struct CommandManager CommandManager;

struct CommandManager {
        ManagerBase base;
        pthread_t loop_thread;
        ProcId main; /* guarded by base.lock; pid 0: none */

        Run *run;
        usec_t until; /* CLOCK_MONOTONIC: when the call must be over */
        usec_t named; /* until when the pidfile may stay without a process */
        void (*next)(CommandManager *m);
        sd_event_source *timer;
};

static CommandManager *command(ManagerBase *b)
{
        return (CommandManager *)b;
}

static usec_t monotonic(const CommandManager *m)
{
        usec_t now = 0;

        (void)sd_event_now(m->base.ctx.event, CLOCK_MONOTONIC, &now);
        return now;
}

static usec_t time_left(const CommandManager *m)
{
        return usec_sub(m->until, monotonic(m)) + 1;
}

static void command_reset(CommandManager *m)
{
        if (m->run)
                runner_cancel(m->base.ctx.runner, m->run);
        m->run = NULL;
        m->timer = sd_event_source_disable_unref(m->timer);
        m->base.kill = kill_free(m->base.kill);
        manager_base_abandon(&m->base);
}

static void fail(CommandManager *m, const char *what, int r)
{
        command_reset(m);
        manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED, "%s: %s", what,
                            strerrordesc_np(-r));
}

static void set_main(CommandManager *m, ProcId id)
{
        pthread_mutex_lock(&m->base.lock);
        m->main = id;
        pthread_mutex_unlock(&m->base.lock);
}

static ProcId get_main(CommandManager *m)
{
        pthread_mutex_lock(&m->base.lock);
        ProcId id = m->main;
        pthread_mutex_unlock(&m->base.lock);
        return id;
}

/* See the head of this file. A main process that has gone says nothing of its session: the memory of
 * leftovers does. */
static int command_members(ManagerBase *b, const ProcStat *scan, size_t n, ProcId **ids, size_t *n_ids)
{
        CommandManager *m = command(b);
        ProcId id;
        int r = 0;

        if (b->service->pidfile && !pthread_equal(pthread_self(), m->loop_thread) &&
            pidfile_identify(b->procfd, b->service->pidfile, &id) == 0)
                set_main(m, id);
        id = get_main(m);
        const ProcStat *main = id.pid > 0 ? proc_stat_find(scan, n, id.pid) : NULL;
        if (!main || main->id.start != id.start)
                return 0;
        for (size_t i = 0; i < n && r >= 0; i++) {
                const ProcStat *s = &scan[i];
                bool same = s->id.pid == id.pid || (main->session == id.pid && s->session == id.pid) ||
                            (main->group == id.pid && s->group == id.pid);

                if (same && !proc_stat_dead(s))
                        r = proc_ids_add(ids, n_ids, s->id);
        }
        return r < 0 ? err_trace(r) : 0;
}

/* Reading the pidfile */

typedef struct PidfileWork {
        char *path;
        int procfd; /* its own */
        ProcId id;
} PidfileWork;

static int pidfile_run(void *data)
{
        PidfileWork *w = data;

        return pidfile_identify(w->procfd, w->path, &w->id);
}

static void pidfile_free(void *data)
{
        PidfileWork *w = data;

        closep(&w->procfd);
        free(w->path);
        free(w);
}

static void pidfile_done(ManagerBase *b, void *data, int r)
{
        CommandManager *m = command(b);
        const PidfileWork *w = data;

        /* No answer is no news: the process that was known stays known while it lives. */
        if (r == 0)
                set_main(m, w->id);
        m->timer = sd_event_source_disable_unref(m->timer);
        if (m->next)
                m->next(m);
}

/* A disk that does not answer must not keep us from killing. */
static int on_no_answer(sd_event_source *s, uint64_t usec, void *userdata)
{
        CommandManager *m = userdata;

        (void)s;
        (void)usec;
        m->timer = sd_event_source_disable_unref(m->timer);
        manager_base_abandon(&m->base);
        m->next(m);
        return 0;
}

/* Goes on with @next after @delay. */
static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        CommandManager *m = userdata;

        (void)s;
        (void)usec;
        m->timer = sd_event_source_disable_unref(m->timer);
        m->next(m);
        return 0;
}

static int after(CommandManager *m, usec_t delay, sd_event_time_handler_t handler)
{
        m->timer = sd_event_source_disable_unref(m->timer);
        int r = sd_event_add_time_relative(m->base.ctx.event, &m->timer, CLOCK_MONOTONIC, delay, 1, handler,
                                           m);
        return r < 0 ? err_origin(r) : 0;
}

static int pidfile_work(CommandManager *m)
{
        PidfileWork *w = calloc(1, sizeof(*w));
        if (!w)
                return err_origin(-ENOMEM);

        w->procfd = fcntl(m->base.procfd, F_DUPFD_CLOEXEC, 3);
        w->path = strdup(m->base.service->pidfile);
        if (w->procfd < 0 || !w->path) {
                pidfile_free(w);
                return err_origin(-ENOMEM);
        }
        return err_trace(
                manager_base_work(&m->base, &(ManagerWork){ pidfile_run, pidfile_done, pidfile_free, w }));
}

/* Looks at the pidfile, then goes on with @next. */
static void look(CommandManager *m, void (*next)(CommandManager *m))
{
        m->next = next;
        int r = m->base.service->pidfile ? pidfile_work(m) : 0;
        if (r >= 0)
                r = after(m, m->base.service->pidfile ? ANSWER_MAX : 0,
                          m->base.service->pidfile ? on_no_answer : on_timer);
        if (r < 0)
                fail(m, "pidfile", r);
}

/* Programs */

/* What the start program leaves running is the service; what the others leave is not wanted. */
static int run_program(CommandManager *m, const char *name, char *const *argv, usec_t timeout, RunDone done)
{
        RunSpec spec = {
                .name = name,
                .argv = argv,
                .timeout = timeout,
                .detach = strcmp(name, "start") == 0,
        };
        return err_trace(runner_start(m->base.ctx.runner, &spec, done, m, &m->run));
}

/* The last line of a program's output, for people; NULL if there is none. */
static char *last_line(const RunResult *r)
{
        size_t end = r->output_len;

        while (end > 0 && strchr("\r\n\t ", r->output[end - 1]))
                end--;
        size_t begin = end;
        while (begin > 0 && r->output[begin - 1] != '\n')
                begin--;
        return end > begin ? text_to_utf8(r->output + begin, end - begin, 200) : NULL;
}

static void program_failed(CommandManager *m, const char *name, const RunResult *r)
{
        _cleanup_(freep) char *line = last_line(r);
        char how[64];

        if (r->error < 0)
                snprintf(how, sizeof(how), "%s", strerrordesc_np(-r->error));
        else if (r->signal != 0)
                snprintf(how, sizeof(how), "ended by signal %d", r->signal);
        else
                snprintf(how, sizeof(how), "exit code %d", r->exit_code);
        command_reset(m);
        manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED, "%s program: %s%s%s", name, how,
                            line ? ": " : "", line ? line : "");
}

static bool succeeded(const RunResult *r)
{
        return r->error == 0 && !r->timed_out && r->signal == 0 && r->exit_code == 0;
}

/* Start */

static void start_over(CommandManager *m)
{
        ProcId id = get_main(m);

        command_reset(m);
        free(TAKE_PTR(m->base.invocation));
        if (id.pid > 0 && asprintf(&m->base.invocation, "%d-%" PRIu64, (int)id.pid, id.start) < 0)
                m->base.invocation = NULL;
        manager_base_finish(&m->base, RESULT_DONE, REASON_ACTION_DONE, NULL);
}

static void start_timed_out(CommandManager *m, const char *what)
{
        command_reset(m);
        manager_base_finish(&m->base, RESULT_TIMEOUT, REASON_ACTION_FAILED, "%s", what);
}

static void on_status(void *userdata, const RunResult *r)
{
        CommandManager *m = userdata;

        m->run = NULL;
        if (r->timed_out)
                return start_timed_out(m, "the status program did not end in time");
        if (!succeeded(r))
                return program_failed(m, "status", r);
        start_over(m);
}

static void start_again(CommandManager *m);

/* The start program has ended well: does its process live? */
static void start_looked(CommandManager *m)
{
        ProcStat s;
        ProcId id = get_main(m);
        bool lives = id.pid > 0 && proc_stat_read(m->base.procfd, id.pid, &s) == 0 &&
                     s.id.start == id.start && !proc_stat_dead(&s);

        if (m->base.service->pidfile && !lives) {
                if (monotonic(m) >= m->named || monotonic(m) >= m->until) {
                        command_reset(m);
                        manager_base_finish(&m->base, RESULT_FAILED, REASON_ACTION_FAILED,
                                            "the start program ended well, but %s names no living process",
                                            m->base.service->pidfile);
                        return;
                }
                m->next = start_again;
                int r = after(m, LOOK_AGAIN, on_timer);
                return r < 0 ? fail(m, "timer", r) : (void)0;
        }
        if (!m->base.service->status)
                return start_over(m);
        int r = run_program(m, "status", m->base.service->status, time_left(m), on_status);
        if (r < 0)
                fail(m, "status program", r);
}

static void start_again(CommandManager *m)
{
        look(m, start_looked);
}

static void on_start_ended(void *userdata, const RunResult *r)
{
        CommandManager *m = userdata;

        m->run = NULL;
        if (r->timed_out)
                return start_timed_out(m, "the start program did not end in time");
        if (!succeeded(r))
                return program_failed(m, "start", r);
        m->named = monotonic(m) + PIDFILE_GRACE;
        look(m, start_looked);
}

static int command_begin(CommandManager *m, usec_t limit, ManagerDone done, void *userdata)
{
        int r = manager_base_begin(&m->base, done, userdata);
        if (r < 0)
                return err_trace(r);
        command_reset(m);
        m->until = usec_add(monotonic(m), limit);
        return 0;
}

static int command_start(Manager *manager, ManagerDone done, void *userdata)
{
        CommandManager *m = command(manager_base(manager));
        const ServiceSettings *s = m->base.service;

        int r = command_begin(m, s->start_timeout, done, userdata);
        if (r < 0)
                return err_trace(r);
        set_main(m, (ProcId){ 0 });
        r = run_program(m, "start", s->start, s->start_timeout, on_start_ended);
        return r < 0 ? manager_base_refuse(&m->base, r) : 0;
}

/* Stop */

static void stop_proved(void *userdata, const ManagerResult *r)
{
        command_reset(userdata);
        manager_base_stop_done(userdata, r);
}

static void stop_prove(CommandManager *m)
{
        const usec_t limits[_KILL_PHASE_MAX] = { [KILL_WAIT] = time_left(m) };

        int r = manager_base_ladder(&m->base, limits, stop_proved);
        if (r < 0)
                fail(m, "processes", r);
}

static void on_stop_ended(void *userdata, const RunResult *r)
{
        CommandManager *m = userdata;

        m->run = NULL;
        if (r->timed_out) {
                m->base.result.alive = manager_base_survivors(&m->base);
                command_reset(m);
                manager_base_finish(&m->base, RESULT_TIMEOUT, REASON_STOP_TIMEOUT,
                                    "the stop program did not end in time");
                return;
        }
        /* Its exit status says little: who lives says all. */
        look(m, stop_prove);
}

static void stop_run(CommandManager *m)
{
        int r = run_program(m, "stop", m->base.service->stop, time_left(m), on_stop_ended);
        if (r < 0)
                fail(m, "stop program", r);
}

static int command_stop(Manager *manager, ManagerDone done, void *userdata)
{
        CommandManager *m = command(manager_base(manager));

        int r = command_begin(m, m->base.service->stop_timeout, done, userdata);
        if (r < 0)
                return err_trace(r);
        m->base.result.alive = true;
        look(m, stop_run);
        return 0;
}

/* Kill */

static void kill_proved(void *userdata, const ManagerResult *r)
{
        command_reset(userdata);
        manager_base_kill_done(userdata, r);
}

/* Once more for who was started again meanwhile; most often nobody. */
static void kill_prove(CommandManager *m)
{
        const usec_t limits[_KILL_PHASE_MAX] = { [KILL_FORCE] = m->base.service->kill_timeout };

        int r = manager_base_ladder(&m->base, limits, kill_proved);
        if (r < 0)
                fail(m, "processes", r);
}

/* Whatever the stop program said. */
static void on_kill_stopped(void *userdata, const RunResult *r)
{
        CommandManager *m = userdata;

        (void)r;
        m->run = NULL;
        look(m, kill_prove);
}

static void on_killed(void *userdata, const ManagerResult *r)
{
        CommandManager *m = command(userdata);

        if (r->result != RESULT_DONE)
                return kill_proved(userdata, r);
        int e = run_program(m, "stop", m->base.service->stop, m->base.service->stop_timeout, on_kill_stopped);
        if (e < 0)
                kill_prove(m);
}

static void kill_begin(CommandManager *m)
{
        usec_t limits[_KILL_PHASE_MAX];

        kill_limits(m->base.service->kill_timeout, m->base.service->core, limits);
        int r = manager_base_ladder(&m->base, limits, on_killed);
        if (r < 0)
                fail(m, "processes", r);
}

static int command_kill(Manager *manager, ManagerDone done, void *userdata)
{
        CommandManager *m = command(manager_base(manager));

        int r = command_begin(m, 0, done, userdata);
        if (r < 0)
                return err_trace(r);
        m->base.result.alive = true;
        look(m, kill_begin);
        return 0;
}

static Manager *command_free(Manager *manager)
{
        CommandManager *m = command(manager_base(manager));

        command_reset(m);
        manager_base_deinit(&m->base);
        free(m);
        return NULL;
}

static const ManagerOps command_ops = {
        .guard = manager_base_guard_marker,
        .start = command_start,
        .stop = command_stop,
        .kill = command_kill,
        .processes = manager_base_processes,
        .free = command_free,
};

int manager_command_new(Manager **ret, const ManagerContext *c)
{
        if (!c->runner || strv_length(c->service->start) == 0 || strv_length(c->service->stop) == 0)
                return err_origin(-EINVAL);

        CommandManager *m = calloc(1, sizeof(*m));
        if (!m)
                return err_origin(-ENOMEM);
        m->base.manager.ops = &command_ops;
        m->base.procfd = -1;
        m->base.members = command_members;
        m->loop_thread = pthread_self();
        int r = manager_base_init(&m->base, c);
        if (r >= 0 && c->service->pidfile)
                r = pidfile_work(m); /* so that it is known before the first call */
        if (r < 0) {
                command_free(&m->base.manager);
                return err_trace(r);
        }
        *ret = &m->base.manager;
        return 0;
}
