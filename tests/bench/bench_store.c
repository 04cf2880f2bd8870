/*
 * bench_store - a store of many messages: list it, set it aside, give parts of it back
 *
 * Peers do what a careful script does. "rename": every name read from the directory, one renameat2 each, an
 * fsync of both directories. "mv": the same by mv(1), many names at a time. "ls": every name read, one stat
 * each. For half of the store a peer is taken at half of its time.
 *
 * Runs in TMPDIR; tests/bench/store.bench runs it on one file system after the other. UNJAM_BENCH_ON names
 * the file system in the rows; it is a scratch one then, and is left full. UNJAM_BENCH_MOST is the largest
 * store.
 */
#include "../unit/spool_fixture.h"

#include <linux/fs.h>
#include <sys/wait.h>
#include <time.h>

#define ASIDE_GOAL 0.05
#define MOVE_GOAL  1.3
#define FEW        10

typedef struct Bench {
        Fixture *f;
        unsigned n;
        const char *on;
        double rename, mv, ls; /* of the peers, for all messages */
} Bench;

static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- rows --- */

typedef struct Row {
        const char *what;
        double value;
        const char *unit;
        double most; /* the goal for the value; 0: none */
        const char *peer;
        double peer_value;
        double ratio_most; /* the goal for the ratio; 0: none */
} Row;

static void row(const Bench *b, const Row *r)
{
        double ratio = r->peer && r->peer_value > 0 ? r->value / r->peer_value : 0;

        printf("{\"bench\":\"store\",\"row\":\"%s, %s, n = %u\",\"value\":%.6f,\"unit\":\"%s\"", r->what,
               b->on, b->n, r->value, r->unit);
        if (r->peer)
                printf(",\"peer\":\"%s\",\"peer_value\":%.6f,\"ratio\":%.4f", r->peer, r->peer_value, ratio);
        if (r->most > 0)
                printf(",\"goal\":\"<= %g\",\"pass\":%s", r->most, r->value <= r->most ? "true" : "false");
        else if (r->ratio_most > 0)
                printf(",\"goal\":\"ratio <= %g\",\"pass\":%s", r->ratio_most,
                       ratio <= r->ratio_most ? "true" : "false");
        printf("}\n");
        fflush(stdout);
}

static void row_moved(const Bench *b, const char *what, double value, double share)
{
        row(b, &(Row){ .what = what,
                       .value = value,
                       .unit = "s",
                       .peer = "rename",
                       .peer_value = b->rename * share,
                       .ratio_most = MOVE_GOAL });
}

/* --- the store and its peers --- */

static void fill(const Bench *b)
{
        int dir = open(at(b->f, "spool/In"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(dir >= 0);
        for (unsigned i = 0; i < b->n; i++) {
                char name[64];
                int fd;

                /* Names as servers make them: not in the order of the directory. A byte, and no block for
                 * it. */
                snprintf(name, sizeof(name), "%08X%05u", i * 2654435761u, i % 100000);
                fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
                assert_true(fd >= 0);
                assert_int_equal(ftruncate(fd, 1), 0);
                close(fd);
        }
        assert_int_equal(syncfs(dir), 0);
        close(dir);
}

static void sync_dirs(const Bench *b, const char *from, const char *to)
{
        const char *const both[] = { to, from };

        for (size_t i = 0; i < ELEMENTSOF(both); i++) {
                int fd = open(at(b->f, both[i]), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                assert_int_equal(fsync(fd), 0);
                close(fd);
        }
}

static double peer_rename(const Bench *b, const char *from, const char *to)
{
        double t = now();
        int source = open(at(b->f, from), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int target = open(at(b->f, to), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fdopendir(dup(source));

        for (const struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.')
                        assert_int_equal(renameat2(source, e->d_name, target, e->d_name, RENAME_NOREPLACE),
                                         0);
        closedir(d);
        close(source);
        close(target);
        sync_dirs(b, from, to);
        return now() - t;
}

static double peer_mv(const Bench *b, const char *from, const char *to)
{
        double t = now();
        char command[PATH_MAX * 2 + 128];

        snprintf(command, sizeof(command), "find '%s' -mindepth 1 -print0 | xargs -0 -r mv -n -t '%s'",
                 at(b->f, from), at(b->f, to));
        assert_int_equal(system(command), 0);
        sync_dirs(b, from, to);
        return now() - t;
}

static double peer_ls(const Bench *b)
{
        double t = now();
        DIR *d = opendir(at(b->f, "spool/In"));
        unsigned n = 0;
        struct stat st;

        for (const struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        closedir(d);
        assert_int_equal(n, b->n);
        return now() - t;
}

/* --- what is measured --- */

/* The service is dead, and nobody else has a file open: what the actuator has made sure of before each
 * move. */
static void settle(const Bench *b)
{
        const struct timespec pause = { .tv_nsec = 100000000 };
        int dir = open(at(b->f, "spool/In"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(syncfs(dir), 0); /* what was measured before is not waited for here */
        close(dir);
        nanosleep(&pause, NULL); /* times that are too young are not believed */
        inventory(b->f, false, true);
        clock_gettime(CLOCK_REALTIME, &b->f->report.still_at);
}

static double timed_place(const Bench *b, const MessageSet *held)
{
        double t;

        settle(b);
        t = now();
        assert_int_equal(spool_place(b->f->spool, INCIDENT, &b->f->roster, held, STORE_ALL, &b->f->report),
                         0);
        return now() - t;
}

static double timed_set_aside(const Bench *b)
{
        double t;

        settle(b);
        t = now();
        assert_int_equal(spool_set_aside(b->f->spool, INCIDENT, &b->f->roster, STORE_Q, &b->f->report), 0);
        t = now() - t;
        assert_int_equal(count_in(b->f, "spool/In"), 0);
        return t;
}

/* KiB of this process, or the most there were since the last call with @reset. */
static double memory(const char *key, bool reset)
{
        FILE *f = fopen("/proc/self/status", "re");
        char line[128];
        double kib = 0;

        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        kib = strtod(line + strlen(key), NULL);
        if (f)
                fclose(f);
        f = reset ? fopen("/proc/self/clear_refs", "we") : NULL;
        if (f) {
                fputs("5", f);
                fclose(f);
        }
        return kib;
}

/* How many bytes a message more than @before were in use at the most since memory(..., true). */
static void row_memory(const Bench *b, const char *what, double before)
{
        if (b->n >= 100000)
                row(b, &(Row){ .what = what,
                               .value = (memory("VmHWM:", false) - before) * 1024 / b->n,
                               .unit = "bytes a message" });
}

static void measure_list(Bench *b)
{
        double t, before = memory("VmRSS:", true);

        b->ls = peer_ls(b);
        t = now();
        inventory(b->f, true, false);
        row(b, &(Row){ .what = "list",
                       .value = now() - t,
                       .unit = "s",
                       .peer = "ls",
                       .peer_value = b->ls,
                       .ratio_most = MOVE_GOAL });
        row_memory(b, "list, memory", before);
        settle(b);
        t = now();
        inventory(b->f, false, true);
        row(b, &(Row){ .what = "list again",
                       .value = now() - t,
                       .unit = "s",
                       .peer = "ls",
                       .peer_value = b->ls,
                       .ratio_most = MOVE_GOAL });
}

static void measure_peers(Bench *b)
{
        put_dir(b->f, "script");
        b->rename = peer_rename(b, "spool/In", "script");
        b->rename = (b->rename + peer_rename(b, "script", "spool/In")) / 2;
        b->mv = peer_mv(b, "spool/In", "script");
        b->mv = (b->mv + peer_mv(b, "script", "spool/In")) / 2;
}

static void measure_aside(const Bench *b)
{
        double t, before;

        settle(b);
        before = memory("VmRSS:", true);
        t = timed_set_aside(b);
        row(b, &(Row){ .what = "set aside",
                       .value = t,
                       .unit = "s",
                       .most = ASIDE_GOAL,
                       .peer = "rename",
                       .peer_value = b->rename });
        row(b, &(Row){ .what = "set aside",
                       .value = t,
                       .unit = "s",
                       .most = ASIDE_GOAL,
                       .peer = "mv",
                       .peer_value = b->mv });
        row_memory(b, "set aside, memory", before);
        t = now();
        assert_int_equal(spool_manifest(b->f->spool, INCIDENT, STORE_Q, b->n, &b->f->report), 0);
        row(b,
            &(Row){ .what = "manifest", .value = now() - t, .unit = "s", .peer = "ls", .peer_value = b->ls });
}

static void measure(Bench *b)
{
        MessageSet few = {}, half = {}, none = {};
        double before;

        fill(b);
        measure_list(b);
        measure_peers(b);
        for (uint32_t i = 0; i < b->n; i++) {
                if (i % (b->n / FEW) == 0)
                        assert_int_equal(message_set_add(&few, i), 0);
                if (i % 2)
                        assert_int_equal(message_set_add(&half, i), 0);
        }
        measure_aside(b);
        row_moved(b, "release all but ten", timed_place(b, &few), (b->n - (double)FEW) / b->n);
        row_moved(b, "restore ten", timed_place(b, &none), 1);
        (void)timed_set_aside(b);
        settle(b);
        before = memory("VmRSS:", true);
        row_moved(b, "release half", timed_place(b, &half), 0.5);
        row_memory(b, "release half, memory", before);
        row_moved(b, "restore half", timed_place(b, &none), 0.5);
        (void)timed_set_aside(b);
        row_moved(b, "restore all", timed_place(b, &none), 1);
        message_set_deinit(&few);
        message_set_deinit(&half);
}

int main(void)
{
        static const unsigned sizes[] = { 1000, 10000, 100000, 1000000 };
        const char *on = getenv("UNJAM_BENCH_ON"), *most = getenv("UNJAM_BENCH_MOST");

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Bench b = { .n = sizes[i], .on = on ?: "TMPDIR" };

                if (b.n > (most ? strtoul(most, NULL, 10) : 1000000))
                        break;
                fixture_setup((void **)&b.f);
                measure(&b);
                if (!on)
                        fixture_teardown((void **)&b.f);
        }
        return 0;
}
