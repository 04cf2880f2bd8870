/*
 * logfile, and log_turn and log_place below it: lines of every kind, hostile names, positions that last.
 * Rotations under load and kills are in tests/crash/test_log_torture.c.
 */
#include "observe/logfile.h"

#include "unit/observe_util.h"

#include <dirent.h>
#include <unistd.h>

#define LINE_MAX_ 2048

typedef struct Fixture {
        Watcher w;
        Worker *worker;
        LogReader *reader;
        Source *source;
        char *dir, *state_dir;
        char log[256];
        bool keep;
} Fixture;

static RuleSettings rules[] = {
        { .name = (char *)"panic", .source = RULE_SOURCE_FILE, .match = (char *)"panic", .count = 1 },
        { .name = (char *)"named",
          .source = RULE_SOURCE_FILE,
          .match = (char *)"^(?<id>\\w+): stuck in (?<pid>\\d+)",
          .unless = (char *)"all is well",
          .captures = (char *[]){ (char *)"id", (char *)"pid", NULL },
          .count = 1 },
        { .name = (char *)"slow", .source = RULE_SOURCE_FILE, .match = (char *)"(x+x+)+[yz]", .count = 1 },
        { .name = (char *)"journal's", .match = (char *)"panic", .count = 1 },
};

static void reader_make(Fixture *f)
{
        const LogReaderSpec spec = { .event = f->w.event,
                                     .worker = f->worker,
                                     .state_dir = f->keep ? f->state_dir : NULL,
                                     .disk = disk_posix(),
                                     .line_max = LINE_MAX_,
                                     .line_wait = 500 * USEC_PER_MSEC };

        assert_int_equal(log_reader_new(&f->reader, &spec), 0);
        assert_int_equal(logfile_source_new(&f->source, &f->w.context, f->reader), 0);
        assert_int_equal(source_start(f->source), 0);
        assert_int_equal(source_start(f->source), 0); /* once is enough */
}

/* Waits until no turn is under way: what has been written by now has been read. */
static void settle(Fixture *f)
{
        for (unsigned quiet = 0; quiet < 5;)
                quiet = watcher_turn(&f->w, 10 * USEC_PER_MSEC) > 0 ||
                                        worker_busy_since(f->worker) != USEC_INFINITY
                                ? 0
                                : quiet + 1;
}

static void reader_drop(Fixture *f)
{
        f->source = source_free(f->source);
        f->reader = log_reader_free(f->reader);
        settle(f);
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        watcher_init(&f->w);
        f->dir = temp_new();
        f->state_dir = temp_new();
        snprintf(f->log, sizeof(f->log), "%s/mail.log", f->dir);
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                rules[i].path = rules[i].source == RULE_SOURCE_FILE ? f->log : NULL;
        f->w.settings.rules = rules;
        f->w.settings.n_rules = ELEMENTSOF(rules);
        f->keep = true;
        assert_int_equal(worker_new(&f->worker, f->w.event, "logs"), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        if (f->reader)
                reader_drop(f);
        worker_free(f->worker);
        watcher_deinit(&f->w);
        temp_remove(f->dir);
        temp_remove(f->state_dir);
        free(f);
        return 0;
}

static void append(const char *path, const char *data, size_t len)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, len), (ssize_t)len);
}

#define APPEND(f, text) append((f)->log, (text), sizeof(text) - 1)

static const LogEntry *seen(const Fixture *f, size_t i)
{
        assert_true(i < f->w.n);
        return &f->w.seen[i].o.log;
}

static void test_lines(void **state)
{
        Fixture *f = *state;

        APPEND(f, "panic: history\n");
        reader_make(f);
        settle(f);
        assert_int_equal(f->w.n, 0);
        APPEND(f, "nothing\npanic one\n\0\0\xff panic\xfe two\0\n\n");
        watcher_until(&f->w, f->w.n == 2);
        assert_string_equal(f->w.seen[0].text, "panic one");
        assert_int_equal(seen(f, 0)->source, RULE_SOURCE_FILE);
        assert_int_equal(seen(f, 0)->kind, LOG_MATCHES);
        assert_int_equal(seen(f, 0)->rule, 0);
        assert_true(f->w.seen[0].cursor[0] != '\0' && strcmp(f->w.seen[0].cursor, f->w.seen[1].cursor) != 0);
        assert_non_null(strstr(f->w.seen[1].text, " panic"));
        APPEND(f, "M17: stuck in 4711\nM18: stuck in 1, all is well\n");
        watcher_until(&f->w, f->w.n == 4);
        assert_int_equal(seen(f, 2)->rule, 1);
        assert_int_equal(seen(f, 2)->pid, 4711);
        assert_string_equal(f->w.seen[2].id, "M17");
        assert_int_equal(seen(f, 3)->kind, LOG_CANCELS); /* and it is no match */
        APPEND(f, "half a panic");
        settle(f);
        assert_int_equal(f->w.n, 4);
        APPEND(f, ", and its end\n");
        watcher_until(&f->w, f->w.n == 5);
        assert_string_equal(f->w.seen[4].text, "half a panic, and its end");
}

/* The last words of a process that died. What comes later of that line is counted. */
static void test_unfinished(void **state)
{
        Fixture *f = *state;

        APPEND(f, "begin\n");
        reader_make(f);
        settle(f);
        APPEND(f, "a panic without an end");
        watcher_until(&f->w, f->w.n == 1);
        assert_string_equal(f->w.seen[0].text, "a panic without an end");
        APPEND(f, " and panic\npanic\n");
        watcher_until(&f->w, f->w.n == 3);
        settle(f);
        assert_int_equal(f->w.n, 3);
        assert_string_equal(f->w.seen[1].text, "panic");
        assert_int_equal(seen(f, 2)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[2].text, "10 byte(s)"));
}

static void test_long_lines(void **state)
{
        Fixture *f = *state;
        size_t len = 3 << 20;
        char *line = malloc(len);

        APPEND(f, "begin\n");
        reader_make(f);
        settle(f);
        memset(line, '.', len);
        memcpy(line + 100, "panic", 5);           /* matched */
        memcpy(line + LINE_MAX_ + 1, "panic", 5); /* not any more */
        line[len - 1] = '\n';
        append(f->log, line, len);
        APPEND(f, "panic after it\n");
        memcpy(line, "no more of them", 15);
        memset(line + 100, '.', 5);
        append(f->log, line, 10000);
        APPEND(f, "\npanic after that\n");
        watcher_until(&f->w, f->w.n == 4);
        settle(f);
        assert_int_equal(f->w.n, 4);
        assert_memory_equal(f->w.seen[0].text, "......", 6);
        assert_string_equal(f->w.seen[1].text, "panic after it");
        free(line);
}

static void test_limits(void **state)
{
        Fixture *f = *state;
        char line[2001];

        APPEND(f, "begin\n");
        reader_make(f);
        settle(f);
        memset(line, 'x', sizeof(line));
        line[2000] = '\n';
        append(f->log, line, sizeof(line));
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[0].text, "1 match(es) ran into a limit"));
}

static void test_flood(void **state)
{
        Fixture *f = *state;

        APPEND(f, "begin\n");
        reader_make(f);
        settle(f);
        for (unsigned i = 0; i < 1500; i++)
                APPEND(f, "panic panic M1: stuck in 1\nM1: stuck in panic\n");
        watcher_until(&f->w, f->w.n == 3000);
        settle(f);
        assert_int_equal(f->w.n, 3000);
        for (size_t i = 1; i < f->w.n; i++)
                assert_string_not_equal(f->w.seen[i].cursor, f->w.seen[i - 1].cursor);
}

static void test_names(void **state)
{
        Fixture *f = *state;
        char other[256];

        /* A FIFO blocks nobody; a link is not followed; both are said once. */
        snprintf(other, sizeof(other), "%s/secret", f->dir);
        append(other, "panic\n", 6);
        assert_int_equal(mkfifo(f->log, 0600), 0);
        reader_make(f);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[0].text, "no regular file"));
        assert_int_equal(unlink(f->log), 0);
        settle(f);
        assert_int_equal(symlink(other, f->log), 0);
        watcher_until(&f->w, f->w.n == 2);
        assert_int_equal(seen(f, 1)->kind, LOG_GAP);
        append(other, "panic\n", 6);
        settle(f);
        assert_int_equal(f->w.n, 2);
        assert_int_equal(unlink(f->log), 0);
        APPEND(f, "panic at last\n");
        watcher_until(&f->w, f->w.n == 3);
        assert_string_equal(f->w.seen[2].text, "panic at last");
}

/* The directory comes later, and goes. */
static void test_directory(void **state)
{
        Fixture *f = *state;
        char sub[256];

        snprintf(sub, sizeof(sub), "%s/sub", f->dir);
        snprintf(f->log, sizeof(f->log), "%s/sub/mail.log", f->dir);
        reader_make(f);
        settle(f);
        assert_int_equal(f->w.n, 0);
        assert_int_equal(mkdir(sub, 0700), 0);
        settle(f);
        watcher_until(&f->w, sd_event_run(f->w.event, 2500 * USEC_PER_MSEC) >= 0 &&
                                     worker_busy_since(f->worker) == USEC_INFINITY);
        settle(f);
        APPEND(f, "panic\n");
        watcher_until(&f->w, f->w.n == 1);
}

static void test_restart(void **state)
{
        Fixture *f = *state;
        char old[300];

        APPEND(f, "panic: history\n");
        reader_make(f);
        settle(f);
        APPEND(f, "panic 1\n");
        watcher_until(&f->w, f->w.n == 1);
        settle(f);
        for (unsigned life = 0; life < 3; life++) {
                reader_drop(f);
                APPEND(f, "panic while nobody looked\n");
                snprintf(old, sizeof(old), "%s.%u", f->log, 3 - life);
                assert_int_equal(rename(f->log, old), 0);
                APPEND(f, "panic in a new file\n");
                f->w.n = 0;
                reader_make(f);
                watcher_until(&f->w, f->w.n == 2);
                settle(f);
                assert_int_equal(f->w.n, 2);
                assert_string_equal(f->w.seen[0].text, "panic while nobody looked");
                assert_string_equal(f->w.seen[1].text, "panic in a new file");
        }
        /* Gone while nobody looked: nobody knows what it held. */
        reader_drop(f);
        assert_int_equal(unlink(f->log), 0);
        f->w.n = 0;
        reader_make(f);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[0].text, "after byte 20 is not known"));
}

static void test_damaged_state(void **state)
{
        Fixture *f = *state;
        struct dirent *e;
        DIR *d;

        APPEND(f, "begin\n");
        reader_make(f);
        settle(f);
        reader_drop(f);
        d = opendir(f->state_dir);
        while ((e = readdir(d)))
                if (e->d_name[0] == 'l')
                        file_make(in(f->state_dir, e->d_name),
                                  "{\"v\":1,\"seq\":1,\"files\":[{}],\"pending\":[]}");
        closedir(d);
        APPEND(f, "panic\n");
        reader_make(f);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[0].text, "damaged"));
        settle(f);
        APPEND(f, "panic again\n");
        watcher_until(&f->w, f->w.n == 2);
        assert_string_equal(f->w.seen[1].text, "panic again");
}

/* No state can be written: lines are seen all the same, and it is said once. */
static void test_no_room(void **state)
{
        Fixture *f = *state;
        char *dir = f->state_dir;

        f->state_dir = strdup("/nonexistent/unjam");
        APPEND(f, "begin\n");
        reader_make(f);
        watcher_until(&f->w, f->w.n == 1);
        assert_int_equal(seen(f, 0)->kind, LOG_GAP);
        assert_non_null(strstr(f->w.seen[0].text, "cannot be saved"));
        APPEND(f, "panic\n");
        watcher_until(&f->w, f->w.n == 2);
        assert_string_equal(f->w.seen[1].text, "panic");
        reader_drop(f);
        free(f->state_dir);
        f->state_dir = dir;
}

/* Two services on one log; one goes away in the middle of a turn. */
static void test_two_services(void **state)
{
        Fixture *f = *state;
        Source *other;

        f->keep = false;
        APPEND(f, "begin\n");
        reader_make(f);
        assert_int_equal(logfile_source_new(&other, &f->w.context, f->reader), 0);
        assert_int_equal(source_start(other), 0);
        settle(f);
        APPEND(f, "panic\n");
        watcher_until(&f->w, f->w.n == 2);
        assert_int_equal(source_refresh(other), 0);
        source_free(other);
        settle(f);
        APPEND(f, "panic\n");
        watcher_until(&f->w, f->w.n == 3);
        settle(f);
        assert_int_equal(f->w.n, 3);
}

static void test_bad_rule(void **state)
{
        Fixture *f = *state;
        static RuleSettings bad = { .name = (char *)"bad", .source = RULE_SOURCE_FILE, .match = (char *)"(" };
        const LogReaderSpec spec = { .event = f->w.event, .worker = f->worker, .line_max = 10 };
        Source *source = NULL;

        bad.path = f->log;
        f->w.settings.rules = &bad;
        f->w.settings.n_rules = 1;
        assert_int_equal(log_reader_new(&f->reader, &spec), 0);
        assert_int_equal(logfile_source_new(&source, &f->w.context, f->reader), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_lines),   TEST(test_unfinished),   TEST(test_long_lines),
                TEST(test_limits),  TEST(test_flood),        TEST(test_names),
                TEST(test_restart), TEST(test_directory),    TEST(test_damaged_state),
                TEST(test_no_room), TEST(test_two_services), TEST(test_bad_rule),
        };

        return cmocka_run_group_tests_name("observe/logfile", tests, NULL, NULL);
}
