/*
 * manager_spawn - start a program as a service of its own
 *
 * Used by manager_embedded. Order in the child: own session, own control group, null stdin, then it waits for
 * its go, then user, directory and exec. It waits because the parent must have it on record before it does
 * anything: if unjamd dies in between, the pipe closes and the child ends without a trace.
 *
 * After the fork only async-signal-safe functions run (unjamd has worker threads). Signals are at their
 * defaults and unblocked; the OOM score that protects unjamd is not handed down; nothing of unjamd's
 * descriptors is.
 *
 * Diagnostics: stage and errno come through the status pipe. Tests: tests/unit/test_manager_spawn.c.
 */
#include "act/manager_spawn.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

int spawn_plan_init(SpawnPlan *p, const ServiceSettings *service)
{
        SpawnPlan plan = {
                .user = strdup_null(service->user),
                .directory = strdup(service->directory ? service->directory : "/"),
                .command = strv_copy(service->command),
        };

        if (service->environment)
                plan.extra = strv_copy(service->environment);
        if ((service->user && !plan.user) || !plan.directory || !plan.command ||
            (service->environment && !plan.extra)) {
                spawn_plan_deinit(&plan);
                return err_origin(-ENOMEM);
        }
        *p = plan;
        return 0;
}

void spawn_plan_deinit(SpawnPlan *p)
{
        free(p->user);
        free(p->directory);
        strv_free(p->command);
        strv_free(p->extra);
        free(p->path);
        strv_free(p->environment);
        free(p->groups);
        free(p->error);
        *p = (SpawnPlan){ 0 };
}

__attribute__((format(printf, 3, 4))) static int plan_fail(SpawnPlan *p, int r, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&p->error, format, ap) < 0)
                p->error = NULL;
        va_end(ap);
        return err_origin(r);
}

/* Sets NAME=VALUE in @p->environment, replacing an older one of that name. */
static int environment_set(SpawnPlan *p, const char *assignment)
{
        size_t len = strcspn(assignment, "=") + 1;

        for (char **e = p->environment; e && *e; e++)
                if (strncmp(*e, assignment, len) == 0) {
                        char *copy = strdup(assignment);
                        if (!copy)
                                return err_origin(-ENOMEM);
                        free(*e);
                        *e = copy;
                        return 0;
                }
        return err_trace(strv_append(&p->environment, assignment));
}

static int environment_setf(SpawnPlan *p, const char *name, const char *value)
{
        _cleanup_(freep) char *assignment = NULL;

        if (asprintf(&assignment, "%s=%s", name, value) < 0)
                return err_origin(-ENOMEM);
        return err_trace(environment_set(p, assignment));
}

/* All groups of the user, as a login would give them. */
static int resolve_groups(SpawnPlan *p, const char *name)
{
        int n = 64;

        for (;;) {
                gid_t *grown = reallocarray(p->groups, (size_t)n, sizeof(gid_t));
                if (!grown)
                        return err_origin(-ENOMEM);
                p->groups = grown;
                int room = n;
                if (getgrouplist(name, p->gid, p->groups, &n) >= 0) {
                        p->n_groups = (size_t)n;
                        return 0;
                }
                if (n <= room)
                        n = 2 * room;
                if (n > NGROUPS_MAX)
                        return plan_fail(p, -EOVERFLOW, "user %s is in too many groups", name);
        }
}

/* By name or number; its home and name go into the environment. */
static int resolve_user(SpawnPlan *p)
{
        _cleanup_(freep) char *buf = NULL;
        struct passwd pw, *found = NULL;
        char *end;

        size_t size = 16 * 1024;
        buf = malloc(size);
        if (!buf)
                return err_origin(-ENOMEM);

        unsigned long uid = strtoul(p->user, &end, 10);
        int e = *end == '\0' && end != p->user ? getpwuid_r((uid_t)uid, &pw, buf, size, &found)
                                               : getpwnam_r(p->user, &pw, buf, size, &found);
        if (!found)
                return plan_fail(p, e ? -e : -ESRCH, "user %s: %s", p->user,
                                 e ? strerrordesc_np(e) : "unknown");

        p->has_user = true;
        p->uid = found->pw_uid;
        p->gid = found->pw_gid;
        int r = resolve_groups(p, found->pw_name);
        if (r == 0)
                r = environment_setf(p, "HOME", found->pw_dir);
        if (r == 0)
                r = environment_setf(p, "USER", found->pw_name);
        if (r == 0)
                r = environment_setf(p, "LOGNAME", found->pw_name);
        return r < 0 ? err_trace(r) : 0;
}

/* The program: as given if it has a slash (below the directory of the service if relative), else by the usual
 * PATH. */
static int resolve_program(SpawnPlan *p)
{
        const char *name = p->command[0];

        if (strchr(name, '/')) {
                p->path = strdup(name);
                return p->path ? 0 : err_origin(-ENOMEM);
        }
        for (const char *d = default_path; *d;) {
                _cleanup_(freep) char *path = NULL;
                size_t len = strcspn(d, ":");

                if (asprintf(&path, "%.*s/%s", (int)len, d, name) < 0)
                        return err_origin(-ENOMEM);
                if (access(path, X_OK) == 0) {
                        p->path = TAKE_PTR(path);
                        return 0;
                }
                d += len + (d[len] == ':');
        }
        return plan_fail(p, -ENOENT, "%s: no such program", name);
}

int spawn_plan_resolve(SpawnPlan *p)
{
        if (strv_length(p->command) == 0)
                return plan_fail(p, -EINVAL, "no command");

        int r = environment_setf(p, "PATH", default_path);
        if (r == 0)
                r = environment_setf(p, "LANG", "C.UTF-8");
        if (r == 0 && p->user)
                r = resolve_user(p);
        for (char **e = p->extra; e && *e && r == 0; e++)
                r = environment_set(p, *e);
        if (r == 0)
                r = resolve_program(p);
        return r < 0 ? err_trace(r) : 0;
}

const char *spawn_stage_describe(SpawnStage s)
{
        static const char *const words[_SPAWN_STAGE_MAX] = {
                [SPAWN_CGROUP] = "joining its control group", [SPAWN_STDIO] = "opening /dev/null",
                [SPAWN_USER] = "becoming its user",           [SPAWN_DIRECTORY] = "entering its directory",
                [SPAWN_EXEC] = "executing the program",
        };

        return s < _SPAWN_STAGE_MAX ? words[s] : "starting";
}

/* In the child: says where it failed, and ends. */
__attribute__((noreturn)) static void child_fail(int status_fd, SpawnStage stage)
{
        SpawnFailure f = { .stage = stage, .error = errno };

        (void)!write(status_fd, &f, sizeof(f));
        _exit(127);
}

static int child_write(int dirfd, const char *path, const char *text)
{
        int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -1;
        close(fd);
        return 0;
}

/* In the child: unjamd blocks signals for its loop and ignores SIGPIPE; a service must not inherit that. */
static void child_signals(void)
{
        struct sigaction dfl = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                (void)sigaction(s, &dfl, NULL);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void child_run(const SpawnPlan *p, int cgroupfd, int output, int go,
                                                int status)
{
        char byte;

        (void)setsid();
        child_signals();
        if (cgroupfd >= 0 && child_write(cgroupfd, "cgroup.procs", "0") < 0)
                child_fail(status, SPAWN_CGROUP);
        (void)child_write(AT_FDCWD, "/proc/self/oom_score_adj",
                          "0"); /* only root may lower it: then it is 0 already */
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
            dup2(null, STDIN_FILENO) < 0)
                child_fail(status, SPAWN_STDIO);

        if (read(go, &byte, 1) != 1)
                _exit(127);

        if (p->has_user && (p->uid != geteuid() || p->gid != getegid()) &&
            (setgroups(p->n_groups, p->groups) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
             setresuid(p->uid, p->uid, p->uid) < 0))
                child_fail(status, SPAWN_USER);
        if (chdir(p->directory) < 0)
                child_fail(status, SPAWN_DIRECTORY);
        umask(022);
        (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        execve(p->path, p->command, p->environment);
        child_fail(status, SPAWN_EXEC);
}

int spawn_fork(const SpawnPlan *p, int cgroupfd, int output, Spawned *ret)
{
        _cleanup_(closep) int go_read = -1, go_write = -1, status_read = -1, status_write = -1, out = -1;
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_origin(-errno);
        go_read = fds[0];
        go_write = fds[1];
        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_origin(-errno);
        status_read = fds[0];
        status_write = fds[1];
        /* Above the three that the child replaces, whatever is closed in the parent. */
        out = fcntl(output, F_DUPFD_CLOEXEC, 3);
        if (out < 0)
                return err_origin(-errno);

        pid_t pid = fork();
        if (pid < 0)
                return err_origin(-errno);
        if (pid == 0) {
                /* The child must not hold its own pipe open: it would never see unjamd's end. */
                close(go_write);
                child_run(p, cgroupfd, out, go_read, status_write);
        }

        /* Nobody else knows of the child yet, so nobody can have reaped it. */
        int pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return err_origin(-errno); /* the pipe closes, the child ends */
        *ret = (Spawned){
                .pid = pid,
                .pidfd = pidfd,
                .go_fd = TAKE_FD(go_write),
                .status_fd = TAKE_FD(status_read),
        };
        return 0;
}

void spawned_deinit(Spawned *s)
{
        closep(&s->pidfd);
        closep(&s->go_fd);
        closep(&s->status_fd);
        *s = (Spawned){ .pidfd = -1, .go_fd = -1, .status_fd = -1 };
}
