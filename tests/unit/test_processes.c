/* processes - when looks are made, and what they remember. */
#include "observe/processes.h"

#include "base/text.h"
#include "observe_util.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

typedef struct Bed {
        Watcher w;
        Worker *worker;
        Source *source;
        pid_t pid;
        unsigned asked;
        char path[96];
} Bed;

static char root[] = "/tmp/unjam-processes-XXXXXX";
static char *dirs[] = { root, NULL };
static StoreSettings store = { .name = (char *)"s", .dirs = dirs };

/* In the worker. */
static int list(void *userdata, ProcId **ret, size_t *ret_n)
{
        Bed *b = userdata;
        int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        b->asked++;
        *ret = calloc(1, sizeof(**ret));
        *ret_n = proc_identify(fd, b->pid, *ret) == 0;
        close(fd);
        return 0;
}

static void bed_init(Bed *b)
{
        *b = (Bed){ .pid = 0 };
        watcher_init(&b->w);
        b->w.settings.stores = &store;
        b->w.settings.n_stores = 1;
        b->w.settings.stall = (StallSettings){ .enabled = true, .after = 400 * USEC_PER_MSEC };
        strcpy(root + strlen(root) - 6, "XXXXXX");
        assert_non_null(mkdtemp(root));
        snprintf(b->path, sizeof(b->path), "%s/m", root);
        b->pid = fork();
        if (b->pid == 0) {
                (void)open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                for (;;)
                        pause();
        }
        assert_int_equal(worker_new(&b->worker, b->w.event, "proc"), 0);
        const ProcessesSpec spec = { .worker = b->worker, .processes = list, .userdata = b };
        assert_int_equal(processes_source_new(&b->source, &b->w.context, &spec), 0);
        assert_int_equal(source_start(b->source), 0);
}

static void kill_child(Bed *b)
{
        if (b->pid > 0) {
                kill(b->pid, SIGKILL);
                assert_int_equal(waitpid(b->pid, NULL, 0), b->pid);
        }
        b->pid = 0;
}

static void bed_deinit(Bed *b)
{
        b->source = source_free(b->source);
        worker_free(b->worker);
        kill_child(b);
        unlink(b->path);
        rmdir(root);
        watcher_deinit(&b->w);
}

/* Nobody asks, so nothing is looked at; closely, again and again; not any more, an empty look says so. */
static void test_levels(void **state)
{
        Bed b;

        (void)state;
        bed_init(&b);
        usec_t end = now_read().mono + 300 * USEC_PER_MSEC;
        while (now_read().mono < end)
                watcher_turn(&b.w, 50 * USEC_PER_MSEC);
        assert_int_equal(b.w.n, 0);
        assert_int_equal(b.asked, 0);
        processes_source_look(b.source, LOOK_CLOSELY);
        watcher_until(&b.w, b.w.n >= 3);
        assert_int_equal(b.w.seen[0].o.kind, OBSERVATION_PROCESSES);
        assert_int_equal(b.w.seen[0].o.processes.n, 1);
        processes_source_look(b.source, LOOK_NOT);
        watcher_until(&b.w, b.w.seen[b.w.n - 1].o.processes.n == 0);
        size_t n = b.w.n;
        end = now_read().mono + 600 * USEC_PER_MSEC;
        while (now_read().mono < end)
                watcher_turn(&b.w, 50 * USEC_PER_MSEC);
        assert_int_equal(b.w.n, n);
        bed_deinit(&b);
}

static void count(void *userdata, const InflightSeen *file)
{
        char *path = userdata;

        assert_true(file->open);
        snprintf(path, 96, "%s", file->path);
}

/* Nothing tells of opens: what the last look saw is known when the process has died. */
static void test_blind(void **state)
{
        char path[96] = "";
        Bed b;

        (void)state;
        bed_init(&b);
        processes_source_look(b.source, LOOK_WAITING);
        watcher_until(&b.w, access(b.path, F_OK) == 0);
        size_t n = b.w.n;
        watcher_until(&b.w, b.w.n > n + 1);
        processes_source_history(b.source, false, count, path);
        assert_string_equal(path, ""); /* it lives: its open files can be had from /proc */
        kill_child(&b);
        processes_source_history(b.source, true, count, path);
        assert_string_equal(path, b.path);
        path[0] = '\0';
        processes_source_history(b.source, false, count, path);
        assert_string_equal(path, "");
        bed_deinit(&b);
}

/* A source that goes while its look is under way. */
static void test_goes_in_the_middle(void **state)
{
        Bed b;

        (void)state;
        for (unsigned i = 0; i < 20; i++) {
                bed_init(&b);
                processes_source_look(b.source, LOOK_CLOSELY);
                for (unsigned k = 0; k < i % 4; k++)
                        watcher_turn(&b.w, 5 * USEC_PER_MSEC);
                bed_deinit(&b);
        }
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_blind),
                cmocka_unit_test(test_goes_in_the_middle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
