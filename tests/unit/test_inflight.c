/*
 * inflight - real fanotify, real processes: open, closed in good order, open at death, strangers, renames,
 * exchanges. Skipped where the kernel or the file system does not let us watch (also covers fan_marks).
 */
#include "observe/inflight.h"

#include "unit/observe_util.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Fixture {
        Watcher w;
        Worker *worker;
        Source *source;
        char *dir, *dirs[2];
        StoreSettings store;
        pid_t stranger; /* does not belong */
        int commands[2], answers[2];
        pid_t child;
        InflightSeen seen[64];
        char paths[64][4096];
        size_t n;
} Fixture;

/* What the child does on command: one byte, answered by one. */
static void child_loop(Fixture *f)
{
        char command;
        int fds[8], n = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (read(f->commands[0], &command, 1) == 1) {
                if (command >= 'a' && command <= 'z') {
                        char name[2] = { command, 0 };
                        fds[n++] = open(in(f->dirs[0], name), O_RDONLY);
                } else if (command == '-') {
                        close(fds[--n]);
                } else if (command == '0') {
                        _exit(0);
                } else if (command == '!') {
                        kill(getpid(), SIGKILL);
                }
                if (write(f->answers[1], "x", 1) != 1)
                        _exit(99);
        }
        _exit(98);
}

static void child_start(Fixture *f)
{
        assert_int_equal(pipe2(f->commands, O_CLOEXEC), 0);
        assert_int_equal(pipe2(f->answers, O_CLOEXEC), 0);
        f->child = fork();
        if (f->child == 0)
                child_loop(f);
}

/* Each command is done before the next; the source may run in between, or not at all. */
static void child_do(Fixture *f, const char *commands, bool listen)
{
        char answer;

        for (; *commands; commands++) {
                assert_int_equal(write(f->commands[1], commands, 1), 1);
                if (*commands == '0' || *commands == '!') {
                        siginfo_t si;
                        assert_int_equal(waitid(P_PID, (id_t)f->child, &si, WEXITED | WNOWAIT), 0);
                } else {
                        assert_int_equal(read(f->answers[0], &answer, 1), 1);
                }
                if (listen)
                        watcher_drain(&f->w);
        }
}

static void child_end(Fixture *f)
{
        if (f->child <= 0)
                return;
        kill(f->child, SIGKILL);
        waitpid(f->child, NULL, 0);
        for (size_t i = 0; i < 2; i++) {
                close(f->commands[i]);
                close(f->answers[i]);
        }
        f->child = 0;
}

static bool belongs(void *userdata, pid_t pid)
{
        const Fixture *f = userdata;

        return pid != f->stranger;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        f->dir = temp_new();
        f->dirs[0] = strdup(in(f->dir, "In"));
        assert_int_equal(mkdir(f->dirs[0], 0700), 0);
        for (char name[2] = "a"; *name <= 'e'; (*name)++)
                file_make(in(f->dirs[0], name), "x");
        f->store = (StoreSettings){ .name = (char *)"s", .dirs = f->dirs, .layout = { .flat = true } };
        f->w.settings.stores = &f->store;
        f->w.settings.n_stores = 1;
        assert_int_equal(worker_new(&f->worker, f->w.event, "test"), 0);
        const InflightSpec spec = { .worker = f->worker, .belongs = belongs, .userdata = f };
        assert_int_equal(inflight_source_new(&f->source, &f->w.context, &spec), 0);
        assert_int_equal(source_start(f->source), 0);
        watcher_until(&f->w, inflight_source_is_complete(f->source) || inflight_source_note(f->source));
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        child_end(f);
        source_free(f->source);
        for (unsigned i = 0; i < 5; i++)
                watcher_turn(&f->w, USEC_PER_MSEC);
        worker_free(f->worker);
        watcher_deinit(&f->w);
        free(f->dirs[0]);
        temp_remove(f->dir);
        free(f);
        return 0;
}

static Fixture *fixture_of(void **state)
{
        Fixture *f = *state;

        if (inflight_source_note(f->source)) {
                print_message("%s\n", inflight_source_note(f->source));
                skip();
        }
        return f;
}

static void on_seen(void *userdata, const InflightSeen *seen)
{
        Fixture *f = userdata;

        f->seen[f->n] = *seen;
        snprintf(f->paths[f->n], sizeof(f->paths[0]), "%s", seen->path);
        f->n++;
}

static void look(Fixture *f)
{
        f->n = 0;
        inflight_source_history(f->source, on_seen, f);
}

/* "o" open, "c" closed, "oc", or "" if it is not known. */
static const char *state_of(const Fixture *f, const char *path)
{
        for (size_t i = 0; i < f->n; i++)
                if (strcmp(f->paths[i], path) == 0)
                        return f->seen[i].open ? f->seen[i].closed ? "oc" : "o" : "c";
        return "";
}

static const char *in_store(const Fixture *f, const char *name)
{
        return in(f->dirs[0], name);
}

static void test_open_and_closed(void **state)
{
        Fixture *f = fixture_of(state);

        inflight_source_mark(f->source);
        child_start(f);
        child_do(f, "a-b", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "a")), "c");
        assert_string_equal(state_of(f, in_store(f, "b")), "o");
        assert_int_equal(f->n, 2);
        /* Nothing new: a second look says the same. */
        look(f);
        assert_int_equal(f->n, 2);
        child_do(f, "-", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "b")), "c");
        /* After a mark only what is open is known. */
        child_do(f, "d", true);
        inflight_source_mark(f->source);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "d")), "o");
        assert_int_equal(f->n, 1);
}

/* Killed with files open, whether we listened all the time, or only had a look afterwards. */
static void test_open_at_death(void **state)
{
        Fixture *f = fixture_of(state);

        for (unsigned listening = 0; listening < 2; listening++) {
                inflight_source_mark(f->source);
                child_start(f);
                child_do(f, "a-bc-", listening);
                child_do(f, "d", listening);
                child_do(f, "!", listening);
                look(f);
                /* Not listening, opens and closes are told as one: then more is suspected, never less. */
                if (listening) {
                        assert_string_equal(state_of(f, in_store(f, "a")), "c");
                        assert_string_equal(state_of(f, in_store(f, "c")), "c");
                }
                assert_string_equal(state_of(f, in_store(f, "b")), "o");
                assert_string_equal(state_of(f, in_store(f, "d")), "o");
                child_end(f);
                watcher_drain(&f->w);
                look(f);
                assert_string_equal(state_of(f, in_store(f, "d")), "o");
        }
        assert_true(inflight_source_is_complete(f->source));
}

/* No mark yet: the first crash of all is known too. */
static void test_without_mark(void **state)
{
        Fixture *f = fixture_of(state);

        child_start(f);
        child_do(f, "a-b", true);
        child_do(f, "!", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "b")), "o");
}

static void test_exit_in_good_order(void **state)
{
        Fixture *f = fixture_of(state);

        inflight_source_mark(f->source);
        child_start(f);
        child_do(f, "ab0", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "a")), "c");
        assert_string_equal(state_of(f, in_store(f, "b")), "c");
}

static void test_strangers(void **state)
{
        Fixture *f = fixture_of(state);

        inflight_source_mark(f->source);
        child_start(f);
        f->stranger = f->child;
        child_do(f, "a-bc", true);
        /* Our own looking into files does not count either. */
        int fd = open(in_store(f, "e"), O_RDONLY | O_CLOEXEC);
        close(fd);
        look(f);
        assert_int_equal(f->n, 0);
}

static void test_rename_while_open(void **state)
{
        Fixture *f = fixture_of(state);

        inflight_source_mark(f->source);
        child_start(f);
        child_do(f, "a", true);
        assert_int_equal(rename(in_store(f, "a"), in_store(f, "renamed")), 0);
        child_do(f, "-", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "renamed")), "c");
        assert_int_equal(f->n, 1);
}

/* The store is exchanged; after the refresh the new directory is watched, and named as the store. */
static void test_exchange(void **state)
{
        Fixture *f = fixture_of(state);

        assert_int_equal(mkdir(in(f->dir, "hold"), 0700), 0);
        file_make(in(f->dir, "hold/z"), "x");
        assert_int_equal(renameat2(AT_FDCWD, in(f->dir, "hold"), AT_FDCWD, f->dirs[0], RENAME_EXCHANGE), 0);
        assert_int_equal(source_refresh(f->source), 0);
        for (unsigned i = 0; i < 10; i++)
                watcher_turn(&f->w, 5 * USEC_PER_MSEC);
        inflight_source_mark(f->source);
        child_start(f);
        child_do(f, "z", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "z")), "o");
        child_do(f, "!", true);
        look(f);
        assert_string_equal(state_of(f, in_store(f, "z")), "o");
}

/* Traffic without a mark leaves nothing behind. */
static void test_traffic(void **state)
{
        Fixture *f = fixture_of(state);

        child_start(f);
        for (unsigned i = 0; i < 200; i++)
                child_do(f, "a-b-c-", i % 3 == 0);
        look(f);
        assert_int_equal(f->n, 0);
        assert_true(inflight_source_is_complete(f->source));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_open_and_closed),    TEST(test_open_at_death), TEST(test_without_mark),
                TEST(test_exit_in_good_order), TEST(test_strangers),     TEST(test_rename_while_open),
                TEST(test_exchange),           TEST(test_traffic),
        };

        return cmocka_run_group_tests_name("observe/inflight", tests, NULL, NULL);
}
