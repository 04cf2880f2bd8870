/* Tests of act/leftovers.c: parsing, and membership on made-up scans and on real children. */
#include "act/leftovers.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

static int procfd;

static int setup(void **state)
{
        (void)state;
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return procfd < 0 ? -1 : 0;
}

static void parse_reads_hostile_names(void **state)
{
        ProcStat s;

        (void)state;
        assert_int_equal(
                proc_stat_parse("42 (a) b (c)) S 7 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2",
                                &s),
                0);
        assert_int_equal(s.id.pid, 42);
        assert_int_equal(s.id.start, 98765);
        assert_int_equal(s.parent, 7);
        assert_int_equal(s.group, 40);
        assert_int_equal(s.session, 39);
        assert_int_equal(s.state, 'S');
        assert_string_equal(s.name, "a) b (c)");
        assert_false(s.kernel);
        assert_false(proc_stat_dead(&s));
        assert_int_equal(
                proc_stat_parse("2 (kthreadd) Z 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 2 0", &s), 0);
        assert_true(s.kernel);
        assert_true(proc_stat_dead(&s));
}

static void parse_refuses_what_is_no_stat(void **state)
{
        static const char *const bad[] = { "",          "42",           "42 (x",
                                           "42 x) S 1", "42 (x) S 1 2", "x (y) S 1 2 3 4 5 6" };
        ProcStat s;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(proc_stat_parse(bad[i], &s), -EBADMSG);
}

static void scan_is_sorted_and_holds_ourselves(void **state)
{
        ProcStat *scan = NULL, self;
        size_t n = 0;

        (void)state;
        assert_int_equal(proc_stat_scan(procfd, &scan, &n), 0);
        assert_int_equal(proc_stat_read(procfd, getpid(), &self), 0);
        for (size_t i = 1; i < n; i++)
                assert_true(scan[i - 1].id.pid < scan[i].id.pid);
        const ProcStat *found = proc_stat_find(scan, n, getpid());
        assert_non_null(found);
        assert_int_equal(found->id.start, self.id.start);
        assert_int_equal(found->parent, getppid());
        assert_null(proc_stat_find(scan, n, 0));
        assert_null(proc_stat_find(NULL, 0, 1));
        free(scan);
}

/* A scan as it might have been: pid, start, parent. */
static ProcStat made(pid_t pid, uint64_t start, pid_t parent, char condition)
{
        return (ProcStat){ .id = { .pid = pid, .start = start }, .parent = parent, .state = condition };
}

static size_t find(Leftovers *l, const ProcStat *scan, size_t n, const ProcId *inside, size_t n_inside,
                   ProcId **ret)
{
        LeftoversQuery q = {
                .procfd = procfd,
                .scan = scan,
                .n_scan = n,
                .inside = inside,
                .n_inside = n_inside,
        };
        size_t n_ret = 0;

        *ret = NULL;
        assert_int_equal(leftovers_find(l, &q, ret, &n_ret), 0);
        return n_ret;
}

static void descendants_belong_and_stay_known(void **state)
{
        ServiceSettings service = { 0 };
        Leftovers *l = NULL;
        ProcId *ids;

        (void)state;
        assert_int_equal(leftovers_new(&l, &service), 0);

        /* 900001 is in the group; 900002 its child, 900003 its grandchild; 900009 a stranger. */
        ProcStat first[] = { made(900001, 10, 1, 'S'), made(900002, 11, 900001, 'S'),
                             made(900003, 12, 900002, 'S'), made(900009, 13, 1, 'S') };
        ProcId inside = { 900001, 10 };
        assert_int_equal(find(l, first, 4, &inside, 1, &ids), 2);
        assert_int_equal(ids[0].pid, 900002);
        assert_int_equal(ids[1].pid, 900003);
        free(ids);

        /* The parents have died; the grandchild is an orphan of init now, and has a new child. */
        ProcStat second[] = { made(900003, 12, 1, 'S'), made(900004, 20, 900003, 'S'),
                              made(900009, 13, 1, 'S') };
        assert_int_equal(find(l, second, 3, NULL, 0, &ids), 2);
        assert_int_equal(ids[0].pid, 900003);
        assert_int_equal(ids[1].pid, 900004);
        free(ids);

        /* Both numbers are used again, by others: another start time is another process. */
        ProcStat third[] = { made(900003, 50, 1, 'S'), made(900004, 51, 900003, 'S') };
        assert_int_equal(find(l, third, 2, NULL, 0, &ids), 0);
        free(ids);
        leftovers_free(l);
}

static void the_dead_and_the_untouchable_are_left_out(void **state)
{
        ServiceSettings service = { 0 };
        Leftovers *l = NULL;
        ProcId *ids;

        (void)state;
        assert_int_equal(leftovers_new(&l, &service), 0);
        ProcStat kernel = made(900005, 15, 900001, 'S');
        kernel.kernel = true;
        ProcStat self = made(getpid(), 16, 900001, 'S');
        ProcStat scan[] = { made(1, 0, 900001, 'S'),       self,   made(900001, 10, 1, 'S'),
                            made(900002, 11, 900001, 'Z'), kernel, made(900006, 5, 900001, 'S') };
        ProcId inside = { 900001, 10 };
        /* A zombie, a kernel thread, pid 1, ourselves, and a "child" older than its parent. */
        if (getpid() < 900001)
                assert_int_equal(find(l, scan, 6, &inside, 1, &ids), 0);
        free(ids);
        leftovers_free(l);
}

static void rules_match_by_program_and_user(void **state)
{
        LeftoverSettings rules[] = { { .exe = (char *)"/bin/nothing-at-all", .any_uid = true }, { 0 } };
        ServiceSettings service = { .leftovers = rules, .n_leftovers = 2 };
        Leftovers *l = NULL;
        ProcStat one;
        ProcId *ids;
        char exe[4096] = "";

        (void)state;
        pid_t pid = fork();
        if (pid == 0) {
                pause();
                _exit(0);
        }
        assert_int_equal(proc_stat_read(procfd, pid, &one), 0);
        assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
        assert_int_equal(leftovers_new(&l, &service), 0);

        rules[1] = (LeftoverSettings){ .exe = exe, .uid = getuid() };
        assert_int_equal(find(l, &one, 1, NULL, 0, &ids), 1);
        assert_int_equal(ids[0].pid, pid);
        free(ids);
        leftovers_free(l);

        /* Neither another user's, nor another program, nor an entry that names nothing. */
        l = NULL;
        assert_int_equal(leftovers_new(&l, &service), 0);
        rules[1].uid = getuid() + 1;
        assert_int_equal(find(l, &one, 1, NULL, 0, &ids), 0);
        free(ids);
        rules[1] = (LeftoverSettings){ .exe = (char *)"/bin/other", .uid = getuid() };
        assert_int_equal(find(l, &one, 1, NULL, 0, &ids), 0);
        free(ids);
        rules[1] = (LeftoverSettings){ .any_uid = true };
        assert_int_equal(find(l, &one, 1, NULL, 0, &ids), 0);
        free(ids);
        leftovers_free(l);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(parse_reads_hostile_names),
                cmocka_unit_test(parse_refuses_what_is_no_stat),
                cmocka_unit_test(scan_is_sorted_and_holds_ourselves),
                cmocka_unit_test(descendants_belong_and_stay_known),
                cmocka_unit_test(the_dead_and_the_untouchable_are_left_out),
                cmocka_unit_test(rules_match_by_program_and_user),
        };

        return cmocka_run_group_tests(tests, setup, NULL);
}
