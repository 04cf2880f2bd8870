/* progress - real inotify on real directories: arrivals, departures, exchanges, new sub-directories,
 * overflow. */
#include "observe/progress.h"

#include "unit/observe_util.h"

#include <limits.h>
#include <unistd.h>

typedef struct Fixture {
        Watcher w;
        Worker *worker;
        Source *source;
        char *dir, *dirs[3];
        StoreSettings store;
} Fixture;

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        f->dir = temp_new();
        f->dirs[0] = strdup(in(f->dir, "In"));
        f->dirs[1] = strdup(in(f->dir, "Out"));
        assert_int_equal(mkdir(f->dirs[0], 0700), 0);
        assert_int_equal(mkdir(f->dirs[1], 0700), 0);
        f->store = (StoreSettings){ .name = (char *)"s",
                                    .dirs = f->dirs,
                                    .layout = { .match = (char *)"(?<id>[^/]+)$" } };
        f->w.settings.stores = &f->store;
        f->w.settings.n_stores = 1;
        assert_int_equal(worker_new(&f->worker, f->w.event, "test"), 0);
        assert_int_equal(progress_source_new(&f->source, &f->w.context, f->worker), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        source_free(f->source);
        while (worker_busy_since(f->worker) != USEC_INFINITY)
                watcher_turn(&f->w, USEC_PER_MSEC);
        watcher_drain(&f->w);
        worker_free(f->worker);
        watcher_deinit(&f->w);
        free(f->dirs[0]);
        free(f->dirs[1]);
        temp_remove(f->dir);
        free(f);
        return 0;
}

static const ProgressStatus *last(const Fixture *f)
{
        const Seen *s = watcher_last(&f->w);

        return s ? &s->o.progress : NULL;
}

static void start(Fixture *f)
{
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, f->w.n == 1);
}

/* Sums what was reported since observation @from. */
static void sum(const Fixture *f, size_t from, uint64_t *arrived, uint64_t *departed)
{
        *arrived = *departed = 0;
        for (size_t i = from; i < f->w.n; i++) {
                *arrived += f->w.seen[i].o.progress.arrived;
                *departed += f->w.seen[i].o.progress.departed;
        }
}

static void test_flow(void **state)
{
        Fixture *f = *state;
        uint64_t arrived, departed;

        file_make(in(f->dirs[0], "old"), "x");
        start(f);
        assert_int_equal(last(f)->waiting, 1);
        assert_false(last(f)->moved);
        assert_int_equal(last(f)->arrived, 0);

        file_make(in(f->dirs[0], "a"), "x");
        file_make(in(f->dirs[0], "b"), "x");
        watcher_until(&f->w, last(f)->waiting == 3);
        assert_true(last(f)->moved);
        sum(f, 1, &arrived, &departed);
        assert_int_equal(arrived, 2);
        assert_int_equal(departed, 0);

        /* Between the directories of one store: it moves, but neither comes nor goes. */
        size_t n = f->w.n;
        assert_int_equal(rename(in(f->dirs[0], "a"), in(f->dirs[1], "a")), 0);
        watcher_until(&f->w, f->w.n > n);
        sum(f, n, &arrived, &departed);
        assert_int_equal(arrived + departed, 0);
        assert_true(last(f)->moved);
        assert_int_equal(last(f)->waiting, 3);

        n = f->w.n;
        assert_int_equal(unlink(in(f->dirs[1], "a")), 0);
        assert_int_equal(rename(in(f->dirs[0], "b"), in(f->dir, "elsewhere")), 0);
        watcher_until(&f->w, last(f)->waiting == 1);
        sum(f, n, &arrived, &departed);
        assert_int_equal(departed, 2);
}

/* Written anew without a change of names: that is life too. */
static void test_write(void **state)
{
        Fixture *f = *state;

        file_make(in(f->dirs[0], "m"), "x");
        start(f);
        file_make(in(f->dirs[0], "m"), "longer");
        watcher_until(&f->w, f->w.n == 2);
        assert_true(last(f)->moved);
        assert_int_equal(last(f)->arrived + last(f)->departed, 0);
        assert_int_equal(last(f)->waiting, 1);
}

static void test_new_directory(void **state)
{
        Fixture *f = *state;

        start(f);
        assert_int_equal(mkdir(in(f->dirs[0], "sub"), 0700), 0);
        file_make(in(f->dirs[0], "sub/early"), "x"); /* perhaps before there is a mark */
        watcher_until(&f->w, last(f)->waiting == 1);
        file_make(in(f->dirs[0], "sub/late"), "x");
        watcher_until(&f->w, last(f)->waiting == 2);
        /* A whole sub-directory leaves at once. */
        assert_int_equal(rename(in(f->dirs[0], "sub"), in(f->dir, "sub")), 0);
        watcher_until(&f->w, last(f)->waiting == 0);
        assert_int_equal(last(f)->departed, 2);
        assert_true(last(f)->moved);
}

/* The store is set aside by an exchange: a new beginning, and the mark is on the new directory. */
static void test_exchange(void **state)
{
        Fixture *f = *state;

        file_make(in(f->dirs[0], "a"), "x");
        file_make(in(f->dirs[0], "b"), "x");
        start(f);
        assert_int_equal(last(f)->waiting, 2);
        assert_int_equal(mkdir(in(f->dir, "hold"), 0700), 0);
        assert_int_equal(renameat2(AT_FDCWD, in(f->dir, "hold"), AT_FDCWD, f->dirs[0], RENAME_EXCHANGE), 0);
        size_t n = f->w.n;
        assert_int_equal(source_refresh(f->source), 0);
        watcher_until(&f->w, f->w.n > n);
        assert_int_equal(last(f)->waiting, 0);
        assert_int_equal(last(f)->arrived + last(f)->departed, 0);
        assert_false(last(f)->moved);
        file_make(in(f->dirs[0], "c"), "x");
        watcher_until(&f->w, last(f)->waiting == 1);
        assert_int_equal(last(f)->arrived, 1);
        /* What happens in hold is no progress of the store. */
        n = f->w.n;
        assert_int_equal(unlink(in(f->dir, "hold/a")), 0);
        for (unsigned i = 0; i < 10; i++)
                watcher_turn(&f->w, 30 * USEC_PER_MSEC);
        assert_int_equal(f->w.n, n);
}

/* More notices than the kernel keeps (16384 by default), of a message that goes to and fro. */
static void flood(const Fixture *f)
{
        char here[PATH_MAX], there[PATH_MAX];

        snprintf(here, sizeof(here), "%s/m0", f->dirs[0]);
        snprintf(there, sizeof(there), "%s/m0", f->dirs[1]);
        for (unsigned i = 0; i < 5000; i++) {
                assert_int_equal(rename(here, there), 0);
                assert_int_equal(rename(there, here), 0);
        }
}

/* A scan takes over, and nothing is counted twice, whether it came before notices were lost or after. */
static void test_overflow(void **state)
{
        Fixture *f = *state;
        uint64_t arrived, departed;
        char name[64];
        const unsigned count = 50;

        start(f);
        for (unsigned i = 0; i < count; i++) {
                snprintf(name, sizeof(name), "m%u", i);
                file_make(in(f->dirs[0], name), "x");
                if (i == count / 2)
                        flood(f);
        }
        watcher_until(&f->w, last(f)->waiting == count);
        watcher_drain(&f->w);
        sum(f, 1, &arrived, &departed);
        assert_int_equal(arrived, count);
        assert_int_equal(departed, 0);
        for (unsigned i = count; i-- > 0;) {
                snprintf(name, sizeof(name), "m%u", i);
                if (i == count / 2)
                        flood(f);
                assert_int_equal(unlink(in(f->dirs[0], name)), 0);
        }
        watcher_until(&f->w, last(f)->waiting == 0);
        sum(f, 1, &arrived, &departed);
        assert_int_equal(departed, count);
}

static void test_directories_as_messages(void **state)
{
        Fixture *f = *state;

        f->store.layout = (LayoutSettings){ .match = (char *)"^(?<id>[^/]+)$", .directory = true };
        assert_int_equal(mkdir(in(f->dirs[0], "m1"), 0700), 0);
        file_make(in(f->dirs[0], "m1/body"), "x");
        file_make(in(f->dirs[0], "stray"), "x");
        start(f);
        assert_int_equal(last(f)->waiting, 1);
        assert_int_equal(mkdir(in(f->dirs[0], "m2"), 0700), 0);
        watcher_until(&f->w, last(f)->waiting == 2);
        assert_int_equal(rename(in(f->dirs[0], "m2"), in(f->dir, "m2")), 0);
        watcher_until(&f->w, last(f)->waiting == 1);
        assert_int_equal(last(f)->departed, 1);
}

/* Freed while its scan is under way, and refreshed many times at once: nothing is touched afterwards. */
static void test_free_early(void **state)
{
        Fixture *f = *state;

        assert_int_equal(source_start(f->source), 0);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(source_refresh(f->source), 0);
        f->source = source_free(f->source);
        for (unsigned i = 0; i < 10; i++)
                watcher_turn(&f->w, 5 * USEC_PER_MSEC);
        assert_int_equal(f->w.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_flow),
                TEST(test_write),
                TEST(test_new_directory),
                TEST(test_exchange),
                TEST(test_overflow),
                TEST(test_free_early),
                TEST(test_directories_as_messages),
        };

        return cmocka_run_group_tests_name("observe/progress", tests, NULL, NULL);
}
