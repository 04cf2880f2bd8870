/* Tests of act/collect.c, on children of our own. */
#include "act/collect.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char root[] = "/tmp/unjam-collect-XXXXXX";

typedef struct Fixture {
        int procfd, dir;
        pid_t service, stranger;
        ProcId id;
} Fixture;

/* A child that holds @name open, or nothing if @name is NULL. */
static pid_t holder_new(int dir, const char *name, int flags)
{
        int ready[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                if (name)
                        (void)openat(dir, name, flags);
                (void)openat(dir, "other", O_RDONLY);
                close(dir);
                (void)!write(ready[1], "x", 1);
                pause();
                _exit(0);
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        close(ready[0]);
        return pid;
}

static void put(int dir, const char *name)
{
        close(openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
}

static int setup(void **state)
{
        static Fixture f;

        strcpy(root + strlen(root) - 6, "XXXXXX");
        if (!mkdtemp(root))
                return -1;
        f.procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f.dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        mkdirat(f.dir, "store", 0700);
        put(f.dir, "store/m1");
        put(f.dir, "store/m2");
        put(f.dir, "other");
        f.service = holder_new(f.dir, "store/m1", O_RDONLY);
        f.stranger = holder_new(f.dir, "store/m2", O_RDONLY);
        *state = &f;
        return proc_identify(f.procfd, f.service, &f.id);
}

static int teardown(void **state)
{
        static const char *const names[] = { "store/m1", "store/m2", "other" };
        Fixture *f = *state;

        kill(f->service, SIGKILL);
        kill(f->stranger, SIGKILL);
        waitpid(f->service, NULL, 0);
        waitpid(f->stranger, NULL, 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                unlinkat(f->dir, names[i], 0);
        unlinkat(f->dir, "store", AT_REMOVEDIR);
        close(f->dir);
        close(f->procfd);
        return rmdir(root);
}

static bool covers(void *userdata, const char *path)
{
        (void)userdata;
        return strncmp(path, root, strlen(root)) == 0 && strncmp(path + strlen(root), "/store/", 7) == 0;
}

static CollectSpec spec_of(const Fixture *f)
{
        return (CollectSpec){ .procfd = f->procfd, .processes = &f->id, .n_processes = 1, .covers = covers };
}

static const ProcessEvidence *find(const Evidence *e, pid_t pid)
{
        for (size_t i = 0; i < e->n_processes; i++)
                if (e->processes[i].id.pid == pid)
                        return e->processes + i;
        return NULL;
}

static void test_service_and_stranger(void **state)
{
        Fixture *f = *state;
        CollectSpec spec = spec_of(f);
        const ProcessEvidence *p;
        Evidence e = { 0 };
        bool found = false;

        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_true(e.wall > 0);
        assert_int_equal(e.n_processes, 2);
        p = find(&e, f->service);
        assert_non_null(p);
        assert_false(p->stranger);
        assert_false(p->outside);
        for (size_t i = 0; i < p->n_files; i++)
                found = found || strstr(p->files[i].path, "/store/m1");
        assert_true(found);
        assert_true(p->n_files >= 2); /* its other files are evidence, too */

        p = find(&e, f->stranger);
        assert_non_null(p);
        assert_true(p->stranger);
        assert_true(p->outside);
        assert_int_equal(p->n_files, 1);
        assert_non_null(strstr(p->files[0].path, "/store/m2"));
        evidence_deinit(&e);
}

static void test_strangers_only(void **state)
{
        Fixture *f = *state;
        CollectSpec spec = spec_of(f);
        Evidence e = { 0 };
        int ours = openat(f->dir, "store/m1", O_RDONLY | O_CLOEXEC); /* unjamd itself is none */

        spec.strangers_only = true;
        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_int_equal(e.n_processes, 1);
        assert_int_equal(e.processes[0].id.pid, f->stranger);
        evidence_deinit(&e);
        close(ours);

        spec.covers = NULL;
        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_int_equal(e.n_processes, 0);
        evidence_deinit(&e);
}

static void test_an_open_directory_is_nobodys_business(void **state)
{
        Fixture *f = *state;
        CollectSpec spec = spec_of(f);
        pid_t lister = holder_new(f->dir, "store", O_RDONLY | O_DIRECTORY);
        Evidence e = { 0 };

        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_null(find(&e, lister));
        evidence_deinit(&e);
        kill(lister, SIGKILL);
        waitpid(lister, NULL, 0);
}

static void test_outside_of_its_units(void **state)
{
        Fixture *f = *state;
        CollectSpec spec = spec_of(f);
        char *units[] = { "no-such-unit.service", NULL };
        _cleanup_(freep) char *path = NULL;
        Evidence e = { 0 };

        if (cgroup_of(f->procfd, f->service, &path) < 0)
                skip(); /* a host without control groups */
        spec.units = units;
        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_true(find(&e, f->service)->outside);
        assert_false(find(&e, f->service)->stranger);
        evidence_deinit(&e);
}

static void test_another_process_of_that_number(void **state)
{
        Fixture *f = *state;
        CollectSpec spec = spec_of(f);
        Evidence e = { 0 };

        f->id.start--;
        spec.covers = NULL;
        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_int_equal(e.n_processes, 0);
        assert_false(e.incomplete);
        evidence_deinit(&e);
}

static void test_budget_and_cancel(void **state)
{
        Fixture *f = *state;
        CollectSpec spec = spec_of(f);
        atomic_bool cancel = true;
        Evidence e = { 0 };

        spec.max_processes = 1;
        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_true(e.incomplete);
        assert_non_null(strstr(e.note, "more processes"));
        assert_int_equal(e.n_processes, 1);
        evidence_deinit(&e);

        spec.max_processes = 0;
        spec.budget = 1;
        usleep(10);
        assert_int_equal(evidence_collect(&spec, &e), 0);
        assert_true(e.incomplete);
        assert_non_null(e.note);
        evidence_deinit(&e);

        spec.cancel = &cancel;
        assert_int_equal(evidence_collect(&spec, &e), -ECANCELED);
        evidence_deinit(&e);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_service_and_stranger),
                TEST(test_strangers_only),
                TEST(test_an_open_directory_is_nobodys_business),
                TEST(test_outside_of_its_units),
                TEST(test_another_process_of_that_number),
                TEST(test_budget_and_cancel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
