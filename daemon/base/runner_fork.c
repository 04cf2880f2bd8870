/*
 * runner_fork - programs as children of the daemon
 *
 * Used where systemd does not manage the host, and by tests. Each program leads a session of its own and,
 * where one can be made, lives in a control group of its own below the daemon's. Guarantees: done() comes
 * once, from the loop, soon after the program exits (whoever holds its output open) or at its deadline
 * (whether or not it can be killed); nothing of ours but stdin, stdout and stderr reaches it; its process id
 * is never signalled once it was reaped.
 *
 * Between fork and exec only what is safe beside other threads is called. Whoever reaps orphans in this
 * process must leave these children alone (peek with WNOWAIT): a result that somebody else took is reported
 * as -ECHILD.
 *
 * Diagnostics: what keeps a program from being started after the fork comes as RunResult.error, the rest from
 * start. Without control groups a descendant that made its own session and whose parents are gone escapes the
 * kill.
 */
#include "base/file.h"
#include "base/runner.h"

#include "base/capture.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/proc.h"
#include "base/program.h"
#include "base/sweep.h"
#include "base/text.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* After SIGKILL a process is gone in no time, or it is in state D and nobody knows when. */
#define KILL_GRACE (1 * USEC_PER_SEC)

#define CGROUP_PREFIX "unjam-run-"

typedef struct ForkRunner {
        Runner runner;
        sd_event *event;
        int procfd;
        int cgroup_fd; /* our own control group, or -1 */
        char **stale;  /* control groups that were not empty when their run ended */
        unsigned counter;
        LIST_HEAD(, Run) runs;
} ForkRunner;

struct Run {
        LIST_ENTRY(Run) entry;
        ForkRunner *owner;
        RunDone done; /* NULL once it was called, or is not wanted any more */
        void *userdata;
        pid_t pid; /* 0 once it was reaped */
        int pidfd;
        int error_fd; /* the child writes an errno here if exec fails */
        int cgroup_fd;
        char *cgroup_name;
        Capture output;
        sd_event_source *exit_source, *timer;
        bool detach, timed_out;
};

/* All that the child needs, made before the fork. */
typedef struct Plan {
        const char *path;
        char *const *argv, *const *environment;
        const char *directory;
        int in, out, error, cgroup_procs;
        bool change_user, no_new_privileges, die_with_parent;
        uid_t uid;
        gid_t gid;
        gid_t *groups;
        int n_groups;
} Plan;

/* Gives up the user that the daemon is. The C library's wrappers would signal threads that are not there. */
static int child_become(const Plan *p)
{
        if (syscall(SYS_setgroups, p->n_groups, p->groups) < 0)
                return -errno;
        if (syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0)
                return -errno;
        if (syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
                return -errno;
        return 0;
}

/* A fresh start in life: no signal dispositions, no mask, no protection from the OOM killer. */
static void child_reset(void)
{
        sigset_t none;
        int fd;

        for (int s = 1; s < NSIG; s++)
                (void)signal(s, SIG_DFL);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        umask(022);
        fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
                (void)!write(fd, "0", 1);
                close(fd);
        }
}

static int child_prepare(const Plan *p)
{
        /* Descriptors 0 to 2 may be among ours: first out of the way, then into place. */
        int in = fcntl(p->in, F_DUPFD_CLOEXEC, 3), out = fcntl(p->out, F_DUPFD_CLOEXEC, 3);
        int r;

        (void)setsid();
        if (p->cgroup_procs >= 0)
                (void)!write(p->cgroup_procs, "0", 1);
        child_reset();
        if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
                return -errno;
        (void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        if (p->change_user) {
                r = child_become(p);
                if (r < 0)
                        return r;
        }
        if (chdir(p->directory) < 0)
                return -errno;
        if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        /* After the change of user, which clears it. */
        if (p->die_with_parent)
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        return 0;
}

static void child_main(const Plan *p)
{
        int error = fcntl(p->error, F_DUPFD_CLOEXEC, 3), r;

        r = child_prepare(p);
        if (r == 0) {
                execve(p->path, p->argv, p->environment);
                r = -errno;
        }
        (void)!write(error, &r, sizeof(r));
        _exit(127);
}

/* Looks @user up for the child, who may not. */
static int plan_user(Plan *p, const char *user)
{
        _cleanup_(freep) char *buf = NULL;
        struct passwd pw, *found = NULL;
        size_t size = 16384;
        int r, n = 64;

        buf = malloc(size);
        if (!buf)
                return err_origin(-ENOMEM);
        while ((r = getpwnam_r(user, &pw, buf, size, &found)) == ERANGE && size < 1024 * 1024) {
                size *= 2;
                free(buf);
                buf = malloc(size);
                if (!buf)
                        return err_origin(-ENOMEM);
        }
        if (!found)
                return err_origin(r > 0 ? -r : -ENOENT);
        /* Without privileges we are who we are; that is no change. */
        if (pw.pw_uid == geteuid() && geteuid() != 0)
                return 0;
        for (;;) {
                int had = n;
                gid_t *groups = reallocarray(p->groups, (size_t)n, sizeof(gid_t));

                if (!groups)
                        return err_origin(-ENOMEM);
                p->groups = groups;
                if (getgrouplist(user, pw.pw_gid, p->groups, &n) >= 0)
                        break;
                if (n <= had)
                        n = had * 2;
                if (n > 65536)
                        return err_origin(-E2BIG);
        }
        p->n_groups = n;
        p->uid = pw.pw_uid;
        p->gid = pw.pw_gid;
        p->change_user = true;
        return 0;
}

static void plan_deinit(Plan *p)
{
        closep(&p->in);
        closep(&p->out);
        closep(&p->error);
        closep(&p->cgroup_procs);
        free(p->groups);
}

/* A control group for the run. Where none can be made, that is how it is. */
static void run_make_cgroup(Run *run, Plan *p)
{
        ForkRunner *f = run->owner;
        _cleanup_(freep) char *name = NULL;
        int fd;

        if (f->cgroup_fd < 0 || asprintf(&name, CGROUP_PREFIX "%d-%u", (int)getpid(), f->counter) < 0)
                return;
        if (mkdirat(f->cgroup_fd, name, 0755) < 0)
                return;
        fd = openat(f->cgroup_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
                p->cgroup_procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (p->cgroup_procs < 0) {
                closep(&fd);
                (void)unlinkat(f->cgroup_fd, name, AT_REMOVEDIR);
                return;
        }
        run->cgroup_fd = fd;
        run->cgroup_name = TAKE_PTR(name);
}

/* Groups whose last process was still dying when their run ended. */
static void stale_remove(ForkRunner *f)
{
        size_t kept = 0;

        for (size_t i = 0; f->stale && f->stale[i]; i++) {
                if (unlinkat(f->cgroup_fd, f->stale[i], AT_REMOVEDIR) < 0 && errno == EBUSY)
                        f->stale[kept++] = f->stale[i];
                else
                        free(f->stale[i]);
        }
        if (f->stale)
                f->stale[kept] = NULL;
}

/* Kills what is left of a run whose main process has not been reaped: its number is still its own. */
static void run_kill(Run *run, bool thorough)
{
        if (run->pid > 0) {
                /* First: once its parents are gone, a descendant in another session cannot be told from
                 * strangers. */
                if (thorough)
                        (void)sweep_session(run->owner->procfd, run->pid);
                (void)pidfd_send_signal(run->pidfd, SIGKILL, NULL, 0);
                (void)kill(-run->pid, SIGKILL);
        }
        if (run->cgroup_fd >= 0)
                (void)sweep_cgroup(run->owner->procfd, run->cgroup_fd);
}

static void run_free(Run *run)
{
        ForkRunner *f = run->owner;

        LIST_REMOVE(run, entry);
        sd_event_source_disable_unref(run->exit_source);
        sd_event_source_disable_unref(run->timer);
        capture_deinit(&run->output);
        closep(&run->pidfd);
        closep(&run->error_fd);
        closep(&run->cgroup_fd);
        if (run->cgroup_name) {
                /* Lost track of for want of memory: an empty directory that the next start removes. */
                (void)strv_append(&f->stale, run->cgroup_name);
                stale_remove(f);
                free(run->cgroup_name);
        }
        free(run);
}

/* Did exec fail? */
static int run_exec_error(Run *run)
{
        int error;

        if (read(run->error_fd, &error, sizeof(error)) != (ssize_t)sizeof(error))
                return 0;
        return error < 0 ? error : 0;
}

/* Tells the caller, who may do anything then, freeing the runner included: nothing of the run is touched
 * after. */
static void run_report(Run *run, RunResult *result, bool gone)
{
        RunDone done = TAKE_PTR(run->done);
        void *userdata = run->userdata;
        _cleanup_(freep) char *data = TAKE_PTR(run->output.data);

        result->timed_out = run->timed_out;
        result->output = data ? data : "";
        result->output_len = run->output.len;
        if (gone)
                run_free(run);
        if (done)
                done(userdata, result);
}

static int run_on_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Run *run = userdata;
        RunResult result = { 0 };
        siginfo_t si = { 0 };

        (void)source;
        (void)revents;
        capture_drain(&run->output);
        if (waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOWAIT | WNOHANG) < 0) {
                result.error = -errno;
                run->pid = 0;
        } else if (si.si_pid == 0) {
                return 0;
        } else if (si.si_code == CLD_EXITED) {
                result.exit_code = si.si_status;
                result.error = run_exec_error(run);
        } else {
                result.signal = si.si_status;
        }
        if (!run->detach || run->timed_out || !run->done)
                run_kill(run, false);
        if (run->pid > 0)
                (void)waitid(P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG);
        run->pid = 0;
        run_report(run, &result, true);
        return 0;
}

static int run_on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        Run *run = userdata;
        RunResult result = { 0 };
        int r;

        (void)usec;
        if (!run->timed_out) {
                run->timed_out = true;
                capture_drain(&run->output);
                run_kill(run, true);
                r = sd_event_source_set_time_relative(source, KILL_GRACE);
                if (r >= 0)
                        r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                if (r >= 0)
                        return 0;
        }
        /* It does not die. The caller has waited long enough; the exit is still watched for. */
        run->timer = sd_event_source_disable_unref(run->timer);
        run_report(run, &result, false);
        return 0;
}

static int run_watch(Run *run, usec_t timeout)
{
        sd_event *event = run->owner->event;
        int r;

        r = sd_event_add_io(event, &run->exit_source, run->pidfd, EPOLLIN, run_on_exit, run);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(run->exit_source, "program exit");
        r = sd_event_add_time_relative(event, &run->timer, CLOCK_MONOTONIC, timeout, 10 * USEC_PER_MSEC,
                                       run_on_deadline, run);
        if (r < 0)
                return err_trace(r);
        (void)sd_event_source_set_description(run->timer, "program deadline");
        return 0;
}

/* Forks. From here on there is a child, which run_free() alone would leave behind. */
static int run_fork(Run *run, const Plan *p)
{
        pid_t pid = fork();

        if (pid < 0)
                return err_origin(-errno);
        if (pid == 0)
                child_main(p);
        run->pidfd = pidfd_open(pid, 0);
        if (run->pidfd < 0) {
                int r = -errno;

                /* Not reaped, so the number is the child's. */
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return err_origin(r);
        }
        run->pid = pid;
        return 0;
}

static int run_begin(Run *run, const RunSpec *spec, Plan *p)
{
        int pipe_fds[2], r;

        p->in = program_input(spec->input);
        if (p->in < 0)
                return err_trace(p->in);
        if (spec->user) {
                r = plan_user(p, spec->user);
                if (r < 0)
                        return err_trace(r);
        }
        if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_origin(-errno);
        run->error_fd = pipe_fds[0];
        p->error = pipe_fds[1];
        r = capture_init(&run->output, run->owner->event, &p->out);
        if (r < 0)
                return err_trace(r);
        run_make_cgroup(run, p);
        r = run_fork(run, p);
        if (r < 0)
                return err_trace(r);
        return err_trace(run_watch(run, spec->timeout));
}

static void fork_cancel(Runner *r, Run *run);

static int fork_start(Runner *runner, const RunSpec *spec, RunDone done, void *userdata, Run **ret)
{
        ForkRunner *f = (ForkRunner *)runner;
        _cleanup_(freep) char *path = NULL;
        Run *run;
        int r;

        r = run_spec_check(spec, &path);
        if (r < 0)
                return err_trace(r);
        run = calloc(1, sizeof(Run));
        if (!run)
                return err_origin(-ENOMEM);
        *run = (Run){
                .owner = f,
                .pidfd = -1,
                .error_fd = -1,
                .cgroup_fd = -1,
                .output = CAPTURE_NULL,
                .detach = spec->detach,
        };
        f->counter++;
        LIST_INSERT_HEAD(&f->runs, run, entry);

        _cleanup_(plan_deinit) Plan plan = {
                .path = path,
                .argv = spec->argv,
                .environment = run_spec_environment(spec),
                .directory = spec->directory ? spec->directory : "/",
                .in = -1,
                .out = -1,
                .error = -1,
                .cgroup_procs = -1,
                .no_new_privileges = spec->read_only,
                .die_with_parent = !spec->detach,
        };
        r = run_begin(run, spec, &plan);
        if (r < 0) {
                fork_cancel(runner, run);
                return err_trace(r);
        }
        run->done = done;
        run->userdata = userdata;
        if (ret)
                *ret = run;
        return 0;
}

/* Kills it, and forgets it unless it takes its time to die: then run_on_exit() reaps it later. */
static void fork_cancel(Runner *runner, Run *run)
{
        siginfo_t si = { 0 };

        (void)runner;
        run->done = NULL;
        run->timer = sd_event_source_disable_unref(run->timer);
        run_kill(run, true);
        if (run->pid > 0) {
                /* Without a source nobody would tell us of its end, and it has hardly begun. */
                int wait = run->exit_source ? WEXITED | WNOHANG : WEXITED;

                if (waitid(P_PIDFD, (id_t)run->pidfd, &si, wait) == 0 && si.si_pid == 0)
                        return;
                run->pid = 0;
        }
        run_free(run);
}

static Runner *fork_free(Runner *runner)
{
        ForkRunner *f = (ForkRunner *)runner;
        Run *run, *next;

        for (run = LIST_FIRST(&f->runs); run; run = next) {
                next = LIST_NEXT(run, entry);
                run_kill(run, true);
                if (run->pid > 0)
                        (void)waitpid(run->pid, NULL, WNOHANG);
                run_free(run);
        }
        stale_remove(f);
        strv_free(f->stale);
        closep(&f->cgroup_fd);
        closep(&f->procfd);
        sd_event_unref(f->event);
        free(f);
        return NULL;
}

/* Opens our own control group, and removes what an earlier daemon left there empty. */
static void open_own_cgroup(ForkRunner *f)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;

        if (cgroup_of(f->procfd, getpid(), &path) < 0)
                return;
        f->cgroup_fd = cgroup_open(path);
        if (f->cgroup_fd < 0 || dir_stream_at(f->cgroup_fd, ".", &dir) < 0)
                return;
        while ((entry = readdir(dir)))
                if (strncmp(entry->d_name, CGROUP_PREFIX, strlen(CGROUP_PREFIX)) == 0)
                        (void)unlinkat(f->cgroup_fd, entry->d_name, AT_REMOVEDIR);
}

int runner_fork_new(Runner **ret, sd_event *event)
{
        static const RunnerOps ops = { .start = fork_start, .cancel = fork_cancel, .free = fork_free };
        ForkRunner *f = calloc(1, sizeof(ForkRunner));

        if (!f)
                return err_origin(-ENOMEM);
        *f = (ForkRunner){ .runner.ops = &ops, .event = sd_event_ref(event), .cgroup_fd = -1 };
        LIST_INIT(&f->runs);
        f->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->procfd < 0) {
                int r = -errno;

                fork_free(&f->runner);
                return err_origin(r);
        }
        open_own_cgroup(f);
        *ret = &f->runner;
        return 0;
}
