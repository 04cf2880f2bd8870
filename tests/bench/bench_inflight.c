/*
 * bench_inflight - what watching opens costs a busy spool
 *
 * A process creates, opens, renames and removes message files as a queue does, as fast as it can, in a
 * directory of its own below /tmp; once alone, and once with the in-flight source and the looks at processes
 * at work beside it, in a process of their own as unjamd is. Several rounds in turn, the best of each counts,
 * so that other work on the host disturbs both alike. What counts is the rate of a server that syncs each
 * message, as mail servers do; the CPU time of both says what it costs beside that.
 */
#include "../unit/observe_util.h"

#include "base/worker.h"
#include "observe/inflight.h"
#include "observe/processes.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 5

/* How a server writes: each message synced before it is acknowledged, or not (the most opens in a second). */
typedef struct Load {
        const char *name;
        unsigned n;
        bool sync;
} Load;

static const Load loads[] = { { "synced", 500, true }, { "unsynced", 4000, false } };

/* What a run took, in seconds. */
typedef struct Cost {
        double wall, cpu, watcher;
} Cost;

static char root[] = "/tmp/unjam-bench-XXXXXX";
static char directory[64];
static char *dirs[] = { directory, NULL };
static StoreSettings store = { .name = (char *)"s", .dirs = dirs };

static double seconds(void)
{
        return (double)now_read().mono / USEC_PER_SEC;
}

static double cpu_of(const struct rusage *r)
{
        return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
               (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e6;
}

/* One message after the other: written, renamed into place, opened by its worker, removed. */
static Cost serve(const Load *load)
{
        double begin = seconds();
        struct rusage before, after;

        getrusage(RUSAGE_SELF, &before);
        for (unsigned i = 0; i < load->n; i++) {
                char tmp[96], name[96];
                int fd;

                snprintf(tmp, sizeof(tmp), "%s/tmp%u", directory, i);
                snprintf(name, sizeof(name), "%s/m%u", directory, i);
                fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0 || write(fd, "x", 1) != 1 || (load->sync && fsync(fd) < 0))
                        abort();
                close(fd);
                if (rename(tmp, name) < 0 || (fd = open(name, O_RDONLY | O_CLOEXEC)) < 0)
                        abort();
                close(fd);
                unlink(name);
        }
        getrusage(RUSAGE_SELF, &after);
        return (Cost){ .wall = seconds() - begin, .cpu = cpu_of(&after) - cpu_of(&before) };
}

typedef struct Watched {
        Watcher w;
        pid_t server;
        Source *processes;
} Watched;

static bool belongs(void *userdata, pid_t pid)
{
        return pid == ((const Watched *)userdata)->server;
}

static int list(void *userdata, ProcId **ret, size_t *ret_n)
{
        int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        *ret = calloc(1, sizeof(**ret));
        *ret_n = proc_identify(fd, ((const Watched *)userdata)->server, *ret) == 0;
        close(fd);
        return 0;
}

static void touched(void *userdata)
{
        processes_source_touch(((const Watched *)userdata)->processes);
}

static volatile sig_atomic_t over;

static void on_term(int signal)
{
        (void)signal;
        over = 1;
}

/* In a process of its own, until SIGTERM. Exit status 1 if nothing can be watched here. */
static void watch(pid_t server, int ready)
{
        Watched d = { .server = server };
        Source *inflight;
        Worker *worker;

        signal(SIGTERM, on_term);
        watcher_init(&d.w);
        d.w.settings.stores = &store;
        d.w.settings.n_stores = 1;
        d.w.settings.stall = (StallSettings){ .enabled = true, .after = 10 * USEC_PER_MIN };
        if (worker_new(&worker, d.w.event, "spool") < 0)
                _exit(1);
        const InflightSpec spec = {
                .worker = worker, .belongs = belongs, .userdata = &d, .touched = touched, .touched_data = &d
        };
        if (inflight_source_new(&inflight, &d.w.context, &spec) < 0)
                _exit(1);
        const ProcessesSpec looks = {
                .worker = worker, .processes = list, .inflight = inflight, .userdata = &d
        };
        if (processes_source_new(&d.processes, &d.w.context, &looks) < 0 || source_start(inflight) < 0)
                _exit(1);
        while (!inflight_source_is_complete(inflight) && !inflight_source_note(inflight))
                watcher_turn(&d.w, USEC_PER_SEC);
        if (inflight_source_note(inflight)) {
                fprintf(stderr, "bench_inflight: %s\n", inflight_source_note(inflight));
                _exit(1);
        }
        if (write(ready, "r", 1) != 1)
                _exit(1);
        while (!over)
                (void)sd_event_run(d.w.event, USEC_PER_SEC / 10);
        _exit(0);
}

static Cost serve_watched(const Load *load)
{
        pid_t server = getpid(), pid;
        int ready[2], status;
        struct rusage used;
        Cost cost;
        char c;

        if (pipe(ready) < 0 || (pid = fork()) < 0)
                abort();
        if (pid == 0)
                watch(server, ready[1]);
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1)
                exit(1);
        close(ready[0]);
        cost = serve(load);
        kill(pid, SIGTERM);
        if (wait4(pid, &status, 0, &used) != pid || status != 0)
                exit(1);
        cost.watcher = cpu_of(&used);
        return cost;
}

static void row(const Load *load, const char *what, double value, const char *unit, double peer, double goal)
{
        printf("{\"bench\":\"inflight\",\"row\":\"%s, %s\",\"value\":%.6g,\"unit\":\"%s\"", what, load->name,
               value, unit);
        if (peer > 0)
                printf(",\"peer\":\"nobody watches\",\"peer_value\":%.6g,\"ratio\":%.4f", peer, value / peer);
        if (goal > 0)
                printf(",\"goal\":\"ratio >= %g\",\"pass\":%s", goal,
                       value >= peer * goal ? "true" : "false");
        printf("}\n");
        fflush(stdout);
}

static double less(double a, double b)
{
        return a < b ? a : b;
}

static void measure(const Load *load)
{
        Cost alone = { 1e9, 1e9, 0 }, watched = { 1e9, 1e9, 1e9 };
        double n = load->n;

        for (unsigned i = 0; i < ROUNDS; i++) {
                Cost a = serve(load), w = serve_watched(load);

                alone = (Cost){ less(alone.wall, a.wall), less(alone.cpu, a.cpu), 0 };
                watched = (Cost){ less(watched.wall, w.wall), less(watched.cpu, w.cpu),
                                  less(watched.watcher, w.watcher) };
        }
        row(load, "messages a second", n / watched.wall, "1/s", n / alone.wall, load->sync ? 0.9 : 0);
        row(load, "the server's CPU for a message", watched.cpu / n * 1e6, "us", alone.cpu / n * 1e6, 0);
        row(load, "unjamd's CPU for a message", watched.watcher / n * 1e6, "us", 0, 0);
}

int main(void)
{
        if (!mkdtemp(root))
                return 1;
        snprintf(directory, sizeof(directory), "%s/In", root);
        if (mkdir(directory, 0700) < 0)
                return 1;
        for (size_t i = 0; i < ELEMENTSOF(loads); i++)
                measure(&loads[i]);
        rmdir(directory);
        rmdir(root);
        return 0;
}
