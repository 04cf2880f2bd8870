/* Tests of act/manager_base.c by a manager that has nothing but the base. */
#include "act/manager_base.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "fake/manager_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static ManagerBed bed;
static ManagerBase *base;

static Manager *bare_free(Manager *m)
{
        manager_base_deinit(manager_base(m));
        free(m);
        return NULL;
}

static const ManagerOps bare_ops = {
        .guard = manager_base_guard_marker,
        .processes = manager_base_processes,
        .free = bare_free,
};

static int setup(void **state)
{
        (void)state;
        manager_bed_init(&bed);
        base = calloc(1, sizeof(*base));
        base->manager.ops = &bare_ops;
        bed.manager = &base->manager;
        assert_int_equal(manager_base_init(base, &bed.ctx), 0);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        manager_bed_deinit(&bed);
        return 0;
}

static void the_first_word_stands_and_comes_later(void **state)
{
        (void)state;
        assert_int_equal(manager_base_begin(base, manager_bed_done, &bed), 0);
        assert_int_equal(manager_base_begin(base, manager_bed_done, &bed), -EBUSY);
        manager_base_finish(base, RESULT_FAILED, REASON_MASKED, "unit \xff%d", 7);
        manager_base_finish(base, RESULT_DONE, REASON_NONE, NULL);
        assert_int_equal(bed.n, 0);
        assert_int_equal(manager_bed_wait(&bed), RESULT_FAILED);
        assert_int_equal(bed.reason, REASON_MASKED);
        assert_string_equal(bed.detail, "unit \xef\xbf\xbd"
                                        "7");

        /* Over: the next call begins afresh. */
        manager_base_finish(base, RESULT_DONE, REASON_NONE, NULL);
        assert_int_equal(manager_base_begin(base, manager_bed_done, &bed), 0);
        manager_base_finish(base, RESULT_DONE, REASON_NONE, NULL);
        assert_int_equal(manager_bed_wait(&bed), RESULT_DONE);
        assert_null(bed.detail);
}

static void begin_again(void *userdata, const ManagerResult *result)
{
        assert_int_equal(manager_base_begin(base, manager_bed_done, userdata), 0);
        manager_base_finish(base, RESULT_DONE, REASON_NONE, "second");
        assert_string_equal(result->detail, "first"); /* still there */
}

static void a_call_may_begin_in_the_end_of_another(void **state)
{
        (void)state;
        assert_int_equal(manager_base_begin(base, begin_again, &bed), 0);
        manager_base_finish(base, RESULT_DONE, REASON_NONE, "first");
        assert_int_equal(manager_bed_wait(&bed), RESULT_DONE);
        assert_string_equal(bed.detail, "second");
}

static void free_it(void *userdata, const ManagerResult *result)
{
        manager_bed_done(userdata, result);
        bed.manager = manager_free(bed.manager);
}

static void a_manager_may_be_freed_in_the_end_of_a_call(void **state)
{
        (void)state;
        assert_int_equal(manager_base_begin(base, free_it, &bed), 0);
        manager_base_finish(base, RESULT_DONE, REASON_NONE, "last");
        assert_int_equal(manager_bed_wait(&bed), RESULT_DONE);
        assert_string_equal(bed.detail, "last");
}

/* Work that counts what becomes of it. */
typedef struct Counts {
        unsigned run, done, freed;
        int r;
} Counts;

static int count_run(void *data)
{
        ((Counts *)data)->run++;
        return 5;
}

static void count_done(ManagerBase *b, void *data, int r)
{
        assert_ptr_equal(b, base);
        ((Counts *)data)->done++;
        ((Counts *)data)->r = r;
}

static void count_free(void *data)
{
        ((Counts *)data)->freed++;
}

static bool is_freed(void *userdata)
{
        return ((Counts *)userdata)->freed > 0;
}

static void work_comes_back_once(void **state)
{
        Counts c = { 0 }, second = { 0 };

        (void)state;
        assert_int_equal(manager_base_work(base, &(ManagerWork){ count_run, count_done, count_free, &c }), 0);
        assert_int_equal(
                manager_base_work(base, &(ManagerWork){ count_run, count_done, count_free, &second }),
                -EBUSY);
        assert_int_equal(second.freed, 1);
        assert_int_equal(second.run, 0);
        manager_bed_until(&bed, is_freed, &c);
        assert_int_equal(c.run, 1);
        assert_int_equal(c.done, 1);
        assert_int_equal(c.r, 5);
}

static void nobody_hears_of_abandoned_work(void **state)
{
        Counts c = { 0 };

        (void)state;
        assert_int_equal(manager_base_work(base, &(ManagerWork){ count_run, count_done, count_free, &c }), 0);
        bed.manager = manager_free(bed.manager);
        manager_bed_until(&bed, is_freed, &c);
        assert_int_equal(c.done, 0);
}

static int members_of_test(ManagerBase *b, const ProcStat *scan, size_t n, ProcId **ids, size_t *n_ids)
{
        pid_t wanted = *(pid_t *)b->ctx.runner;
        const ProcStat *s = proc_stat_find(scan, n, wanted);

        return s && !proc_stat_dead(s) ? proc_ids_add(ids, n_ids, s->id) : 0;
}

static void members_and_their_children_are_processes(void **state)
{
        int fds[2];
        char byte;

        (void)state;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
                if (fork() > 0)
                        (void)!write(fds[1], "r", 1);
                pause();
                _exit(0);
        }
        assert_int_equal(read(fds[0], &byte, 1), 1);
        base->ctx.runner = (Runner *)&pid; /* this manager uses none: it carries the pid */
        base->members = members_of_test;
        assert_int_equal(manager_bed_count(&bed), 2);
        assert_true(manager_base_alive(base) > 0);

        const usec_t limits[_KILL_PHASE_MAX] = { [KILL_FORCE] = 10 * USEC_PER_SEC };
        assert_int_equal(manager_base_begin(base, manager_bed_done, &bed), 0);
        assert_int_equal(manager_base_ladder(base, limits, manager_base_kill_done), 0);
        assert_int_equal(manager_bed_wait(&bed), RESULT_DONE);
        assert_false(bed.alive);
        assert_int_equal(json_array_size(json_object_get(bed.data, "killed")), 2);
        assert_int_equal(manager_base_alive(base), 0);
        waitpid(pid, NULL, 0);
        close(fds[0]);
        close(fds[1]);
}

static void groups_that_are_not_there_have_no_members(void **state)
{
        char *paths[] = { (char *)"/no/such/group.service", NULL };

        (void)state;
        assert_int_equal(manager_base_set_cgroups(base, paths), 0);
        assert_int_equal(manager_base_add_cgroup(base, "/nor/this"), 0);
        assert_int_equal(manager_base_add_cgroup(base, "/nor/this"), 0);
        assert_int_equal(strv_length(base->cgroups), 2);
        assert_int_equal(manager_bed_count(&bed), 0);
        assert_int_equal(manager_base_set_cgroups(base, NULL), 0);
        assert_int_equal(strv_length(base->cgroups), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_first_word_stands_and_comes_later, setup, teardown),
                cmocka_unit_test_setup_teardown(a_call_may_begin_in_the_end_of_another, setup, teardown),
                cmocka_unit_test_setup_teardown(a_manager_may_be_freed_in_the_end_of_a_call, setup, teardown),
                cmocka_unit_test_setup_teardown(work_comes_back_once, setup, teardown),
                cmocka_unit_test_setup_teardown(nobody_hears_of_abandoned_work, setup, teardown),
                cmocka_unit_test_setup_teardown(members_and_their_children_are_processes, setup, teardown),
                cmocka_unit_test_setup_teardown(groups_that_are_not_there_have_no_members, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
