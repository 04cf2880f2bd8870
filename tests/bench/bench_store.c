/*
 * bench_store - a store of many messages: read it, set it aside, put it back
 *
 * The peer is what a careful script does: one rename a message and an fsync of both directories at the end
 * (the articles' way), or for the inventory, reading the directory's names and nothing else. Figures are
 * ratios in one run on the file system of TMPDIR; absolute times are shown because an outage is counted in
 * them.
 */
#include "../unit/spool_fixture.h"

#include <time.h>

typedef struct Bench {
        Fixture *f;
        unsigned n;
} Bench;

static double now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* One row. @goal is the largest ratio to the peer that is good; 0: none. */
static void row(const Bench *b, const char *what, double value, double goal, double peer)
{
        double ratio = peer > 0 ? value / peer : 0;

        printf("{\"bench\":\"store\",\"row\":\"%s, n = %u\",\"value\":%.6f,\"unit\":\"s\"", what, b->n,
               value);
        if (peer > 0)
                printf(",\"peer\":\"script\",\"peer_value\":%.6f,\"ratio\":%.4f", peer, ratio);
        if (goal > 0)
                printf(",\"goal\":\"ratio <= %g\",\"pass\":%s", goal, ratio <= goal ? "true" : "false");
        printf("}\n");
        fflush(stdout);
}

static void fill(const Bench *b)
{
        for (unsigned i = 0; i < b->n; i++) {
                char name[64];

                /* Names as servers make them: not in the order of the directory. */
                snprintf(name, sizeof(name), "spool/In/%08X%05u", i * 2654435761u, i % 100000);
                put(b->f, name, "x");
        }
}

/* Every name in @from to @to, one by one. */
static double script_moves(const Bench *b, const char *from, const char *to)
{
        double t = now();
        int source = open(at(b->f, from), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int target = open(at(b->f, to), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fdopendir(dup(source));

        for (const struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.')
                        (void)renameat(source, e->d_name, target, e->d_name);
        closedir(d);
        (void)fsync(target);
        (void)fsync(source);
        close(source);
        close(target);
        return now() - t;
}

static double script_reads(const Bench *b)
{
        double t = now();

        assert_int_equal(count_in(b->f, "spool/In"), b->n);
        return now() - t;
}

static double timed_place(const Bench *b, const MessageSet *held)
{
        double t = now();

        place_held(b->f, held);
        return now() - t;
}

static void measure(const Bench *b)
{
        MessageSet all = {}, half = {}, none = {};
        double script, t;

        put_dir(b->f, "script");
        fill(b);
        script = script_reads(b);
        t = now();
        inventory(b->f, true, false);
        row(b, "first inventory", now() - t, 0, script);
        t = now();
        inventory(b->f, false, true);
        row(b, "inventory", now() - t, 0, script);

        script = script_moves(b, "spool/In", "script");
        (void)script_moves(b, "script", "spool/In");
        for (uint32_t i = 0; i < b->n; i++) {
                assert_int_equal(message_set_add(&all, i), 0);
                if (i % 2)
                        assert_int_equal(message_set_add(&half, i), 0);
        }
        row(b, "all into hold", timed_place(b, &all), b->n >= 10000 ? 1 : 0, script);
        row(b, "half of them back", timed_place(b, &half), 0, script / 2);
        row(b, "the other half", timed_place(b, &none), 0, script / 2);
        t = now();
        set_aside(b->f, STORE_Q);
        row(b, "set aside with manifest", now() - t, 0, script);
        row(b, "all back", timed_place(b, &none), b->n >= 10000 ? 1 : 0, script);
        message_set_deinit(&all);
        message_set_deinit(&half);
}

int main(void)
{
        static const unsigned sizes[] = { 1000, 10000, 100000 };

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                Bench b = { .n = sizes[i] };

                fixture_setup((void **)&b.f);
                measure(&b);
                fixture_teardown((void **)&b.f);
        }
        return 0;
}
