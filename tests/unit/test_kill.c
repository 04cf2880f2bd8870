/* Tests of act/kill.c with real children, and with a control group of their own where one is writable. */
#include "act/kill.h"
#include "act/leftovers.h"
#include "base/cleanup.h"
#include "fake/manager_bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

typedef struct Ladder {
        ManagerBed bed;
        Kill *kill;
        ProcId ids[8];
        size_t n;
        unsigned n_done;
        KillReport report;
        json_t *data;
} Ladder;

static int procfd;

static int setup(void **state)
{
        Ladder *l = calloc(1, sizeof(*l));

        manager_bed_init(&l->bed);
        procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = l;
        return 0;
}

static int teardown(void **state)
{
        Ladder *l = *state;

        kill_free(l->kill);
        for (size_t i = 0; i < l->n; i++) {
                kill(l->ids[i].pid, SIGKILL);
                waitpid(l->ids[i].pid, NULL, 0);
        }
        json_decref(l->data);
        manager_bed_deinit(&l->bed);
        close(procfd);
        free(l);
        return 0;
}

/* A child that takes SIGTERM as @term says, or stops itself. It is ready when this returns. */
typedef enum Child { CHILD_PLAIN, CHILD_DEAF, CHILD_STOPPED } Child;

static void child_main(Child kind, int ready)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (kind == CHILD_DEAF)
                signal(SIGTERM, SIG_IGN);
        (void)!write(ready, "r", 1);
        if (kind == CHILD_STOPPED)
                raise(SIGSTOP);
        for (;;)
                pause();
}

static ProcId child_new(Ladder *l, Child kind, int cgroupfd)
{
        int fds[2];
        char byte;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
                if (cgroupfd >= 0) {
                        int fd = openat(cgroupfd, "cgroup.procs", O_WRONLY);
                        (void)!write(fd, "0", 1);
                }
                child_main(kind, fds[1]);
        }
        close(fds[1]);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        close(fds[0]);
        if (kind == CHILD_STOPPED)
                assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
        assert_int_equal(proc_identify(procfd, pid, &l->ids[l->n]), 0);
        return l->ids[l->n++];
}

static int collect(void *userdata, ProcId **ret, size_t *ret_n)
{
        Ladder *l = userdata;

        *ret = NULL;
        *ret_n = 0;
        for (size_t i = 0; i < l->n; i++)
                assert_int_equal(proc_ids_add(ret, ret_n, l->ids[i]), 0);
        return 0;
}

static void done(void *userdata, const KillReport *report)
{
        Ladder *l = userdata;

        l->n_done++;
        l->report = *report;
        l->data = json_incref(report->data);
        l->kill = kill_free(l->kill);
}

static bool is_done(void *userdata)
{
        return ((Ladder *)userdata)->n_done > 0;
}

/* Limits in milliseconds. */
static int ladder_begin(Ladder *l, const int *cgroup, unsigned wait, unsigned term, unsigned abort_,
                        unsigned force)
{
        KillSpec spec = {
                .event = l->bed.event,
                .cgroups = cgroup,
                .n_cgroups = cgroup ? 1 : 0,
                .collect = cgroup ? NULL : collect,
                .collect_userdata = l,
                .limits = { wait * USEC_PER_MSEC, term * USEC_PER_MSEC, abort_ * USEC_PER_MSEC,
                            force * USEC_PER_MSEC },
        };
        return kill_new(&l->kill, &spec, done, l);
}

static void ladder_run(Ladder *l, const int *cgroup, unsigned wait, unsigned term, unsigned abort_,
                       unsigned force)
{
        assert_int_equal(ladder_begin(l, cgroup, wait, term, abort_, force), 0);
        assert_int_equal(l->n_done, 0);
        manager_bed_until(&l->bed, is_done, l);
        assert_int_equal(l->n_done, 1);
}

static bool listed(const Ladder *l, const char *list, pid_t pid)
{
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(l->data, list), i, one)
        {
                if (json_is_integer(one) ? json_integer_value(one) == pid
                                         : json_integer_value(json_object_get(one, "pid")) == pid)
                        return true;
        }
        return false;
}

static int ended_by(ProcId id)
{
        siginfo_t si = { 0 };

        assert_int_equal(waitid(P_PID, (id_t)id.pid, &si, WEXITED | WNOWAIT), 0);
        return si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED ? si.si_status : 0;
}

static void limits_follow_the_kill_timeout(void **state)
{
        usec_t limits[_KILL_PHASE_MAX];

        (void)state;
        kill_limits(10 * USEC_PER_SEC, false, limits);
        assert_int_equal(limits[KILL_WAIT], 0);
        assert_int_equal(limits[KILL_TERM], 5 * USEC_PER_SEC);
        assert_int_equal(limits[KILL_ABORT], 0);
        assert_int_equal(limits[KILL_FORCE], 10 * USEC_PER_SEC);
        kill_limits(USEC_PER_MIN, true, limits);
        assert_int_equal(limits[KILL_TERM], 5 * USEC_PER_SEC);
        assert_int_equal(limits[KILL_ABORT], USEC_PER_MIN);
}

static void nobody_there_is_done(void **state)
{
        Ladder *l = *state;

        ladder_run(l, NULL, 0, 1000, 0, 1000);
        assert_false(l->report.alive);
        assert_int_equal(l->report.error, 0);
        assert_null(json_object_get(l->data, "survivors"));
}

static void term_is_enough_for_most(void **state)
{
        Ladder *l = *state;
        ProcId a = child_new(l, CHILD_PLAIN, -1), b = child_new(l, CHILD_PLAIN, -1);

        ladder_run(l, NULL, 0, 10000, 0, 10000);
        assert_false(l->report.alive);
        assert_int_equal(l->report.last, KILL_TERM);
        assert_int_equal(ended_by(a), SIGTERM);
        assert_int_equal(ended_by(b), SIGTERM);
        assert_true(listed(l, "terminated", a.pid) && listed(l, "terminated", b.pid));
        assert_null(json_object_get(l->data, "killed"));
}

static void a_stopped_process_is_continued_to_see_term(void **state)
{
        Ladder *l = *state;
        ProcId a = child_new(l, CHILD_STOPPED, -1);

        ladder_run(l, NULL, 0, 10000, 0, 10000);
        assert_int_equal(l->report.last, KILL_TERM);
        assert_int_equal(ended_by(a), SIGTERM);
}

static void the_deaf_is_killed(void **state)
{
        Ladder *l = *state;
        ProcId a = child_new(l, CHILD_DEAF, -1);

        ladder_run(l, NULL, 0, 60, 0, 10000);
        assert_false(l->report.alive);
        assert_int_equal(l->report.last, KILL_FORCE);
        assert_int_equal(ended_by(a), SIGKILL);
        assert_true(listed(l, "terminated", a.pid) && listed(l, "killed", a.pid));
}

static void a_core_is_asked_for_before_the_kill(void **state)
{
        Ladder *l = *state;
        ProcId a = child_new(l, CHILD_DEAF, -1);

        ladder_run(l, NULL, 0, 60, 10000, 10000);
        assert_int_equal(l->report.last, KILL_ABORT);
        assert_int_equal(ended_by(a), SIGABRT);
        assert_true(listed(l, "aborted", a.pid));
        assert_false(listed(l, "killed", a.pid));
}

static void waiting_sends_nothing_and_names_who_lives(void **state)
{
        Ladder *l = *state;
        ProcId a = child_new(l, CHILD_PLAIN, -1);
        ProcStat s;

        ladder_run(l, NULL, 60, 0, 0, 0);
        assert_true(l->report.alive);
        assert_int_equal(l->report.last, KILL_WAIT);
        assert_true(listed(l, "survivors", a.pid));
        assert_null(json_object_get(l->data, "terminated"));
        assert_int_equal(proc_stat_read(procfd, a.pid, &s), 0);
        assert_false(proc_stat_dead(&s));
        json_t *one = json_array_get(json_object_get(l->data, "survivors"), 0);
        assert_string_equal(json_string_value(json_object_get(one, "state")), "S");
        assert_string_equal(json_string_value(json_object_get(one, "name")), s.name);
}

static void another_process_of_the_same_pid_is_never_meant(void **state)
{
        Ladder *l = *state;
        ProcId a = child_new(l, CHILD_PLAIN, -1);
        ProcStat s;

        l->ids[0].start--; /* as if the pid had been reused */
        ladder_run(l, NULL, 0, 100, 0, 100);
        assert_false(l->report.alive);
        assert_int_equal(proc_stat_read(procfd, a.pid, &s), 0);
        assert_false(proc_stat_dead(&s));
        assert_null(json_object_get(l->data, "terminated"));
}

static void a_target_with_ourselves_in_it_is_refused(void **state)
{
        Ladder *l = *state;

        child_new(l, CHILD_PLAIN, -1);
        assert_int_equal(proc_identify(procfd, getpid(), &l->ids[l->n++]), 0);
        assert_int_equal(ladder_begin(l, NULL, 0, 100, 0, 100), -EPERM);
        assert_null(l->kill);
        l->n--;
        /* Not even the others of such a target are touched. */
        assert_int_equal(waitpid(l->ids[0].pid, NULL, WNOHANG), 0);
}

static void freeing_a_ladder_ends_it_without_a_word(void **state)
{
        Ladder *l = *state;

        child_new(l, CHILD_DEAF, -1);
        assert_int_equal(ladder_begin(l, NULL, 0, 5000, 0, 5000), 0);
        assert_true(sd_event_run(l->bed.event, 0) >= 0);
        l->kill = kill_free(l->kill);
        assert_true(sd_event_run(l->bed.event, 10000) >= 0);
        assert_int_equal(l->n_done, 0);
}

/* A group of our own, or the test is skipped. @name is removed first: what a test that was killed
 * has left. */
static int group_new(const char *name, char **ret_path)
{
        _cleanup_(freep) char *own = NULL;
        char *path;

        if (cgroup_of(procfd, getpid(), &own) < 0)
                skip();
        _cleanup_(closep) int parent = cgroup_open(own);
        if (parent < 0)
                skip();
        (void)unlinkat(parent, name, AT_REMOVEDIR);
        if (mkdirat(parent, name, 0755) < 0)
                skip(); /* control groups are not writable here */
        assert_true(asprintf(&path, "%s/%s", own, name) > 0);
        int fd = cgroup_open(path);
        assert_true(fd >= 0);
        *ret_path = path;
        return fd;
}

static void group_remove(Ladder *l, int fd, char *path)
{
        _cleanup_(freep) char *parent = strdup(path);
        char *slash = strrchr(parent, '/');

        for (size_t i = 0; i < l->n; i++)
                waitpid(l->ids[i].pid, NULL, 0);
        l->n = 0;
        close(fd);
        *slash = '\0';
        int dir = cgroup_open(parent);
        assert_int_equal(unlinkat(dir, slash + 1, AT_REMOVEDIR), 0);
        close(dir);
        free(path);
}

static void a_group_is_ended_as_a_whole(void **state)
{
        Ladder *l = *state;
        char name[64], *path = NULL;

        snprintf(name, sizeof(name), "unjam-test-kill-%d", (int)getpid());
        int fd = group_new(name, &path);
        ProcId a = child_new(l, CHILD_PLAIN, fd), b = child_new(l, CHILD_DEAF, fd),
               c = child_new(l, CHILD_STOPPED, fd);
        assert_int_equal(cgroup_populated(fd), 1);

        ladder_run(l, &fd, 0, 100, 0, 10000);
        assert_int_equal(l->report.error, 0);
        assert_false(l->report.alive);
        assert_int_equal(l->report.last, KILL_FORCE);
        assert_int_equal(cgroup_populated(fd), 0);
        assert_int_equal(ended_by(a), SIGTERM);
        assert_int_equal(ended_by(b), SIGKILL);
        assert_int_equal(ended_by(c), SIGTERM);
        assert_true(listed(l, "killed", b.pid));
        group_remove(l, fd, path);
}

static void a_group_with_ourselves_in_it_is_refused(void **state)
{
        Ladder *l = *state;
        _cleanup_(freep) char *own = NULL;

        if (cgroup_of(procfd, getpid(), &own) < 0)
                skip();
        _cleanup_(closep) int fd = cgroup_open(own);
        if (fd < 0)
                skip();
        assert_int_equal(ladder_begin(l, &fd, 0, 100, 0, 100), -EPERM);
        _cleanup_(closep) int root = cgroup_open("/");
        assert_int_equal(ladder_begin(l, &root, 0, 100, 0, 100), -EPERM);
}

/* The freezer of cgroup v1 keeps even SIGKILL waiting, as state D does. */
static int freezer_new(char path[128])
{
        snprintf(path, 128, "/sys/fs/cgroup/freezer/unjam-test-kill-%d", (int)getpid());
        if (mkdir(path, 0755) < 0)
                skip();
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void file_set(int dirfd, const char *name, const char *text)
{
        int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void who_survives_sigkill_is_named(void **state)
{
        Ladder *l = *state;
        char path[128];
        int fd = freezer_new(path);
        ProcId a = child_new(l, CHILD_PLAIN, fd);

        file_set(fd, "freezer.state", "FROZEN");
        ladder_run(l, NULL, 0, 60, 0, 120);
        file_set(fd, "freezer.state", "THAWED");
        assert_int_equal(l->report.error, 0);
        assert_true(l->report.alive);
        assert_int_equal(l->report.last, KILL_FORCE);
        assert_true(listed(l, "killed", a.pid));
        assert_true(listed(l, "survivors", a.pid));
        json_t *one = json_array_get(json_object_get(l->data, "survivors"), 0);
        assert_non_null(json_object_get(one, "state"));

        assert_int_equal(ended_by(a), SIGKILL);
        waitpid(a.pid, NULL, 0);
        l->n = 0;
        close(fd);
        assert_int_equal(rmdir(path), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(limits_follow_the_kill_timeout),
                cmocka_unit_test_setup_teardown(nobody_there_is_done, setup, teardown),
                cmocka_unit_test_setup_teardown(term_is_enough_for_most, setup, teardown),
                cmocka_unit_test_setup_teardown(a_stopped_process_is_continued_to_see_term, setup, teardown),
                cmocka_unit_test_setup_teardown(the_deaf_is_killed, setup, teardown),
                cmocka_unit_test_setup_teardown(a_core_is_asked_for_before_the_kill, setup, teardown),
                cmocka_unit_test_setup_teardown(waiting_sends_nothing_and_names_who_lives, setup, teardown),
                cmocka_unit_test_setup_teardown(another_process_of_the_same_pid_is_never_meant, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_target_with_ourselves_in_it_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(freeing_a_ladder_ends_it_without_a_word, setup, teardown),
                cmocka_unit_test_setup_teardown(who_survives_sigkill_is_named, setup, teardown),
                cmocka_unit_test_setup_teardown(a_group_is_ended_as_a_whole, setup, teardown),
                cmocka_unit_test_setup_teardown(a_group_with_ourselves_in_it_is_refused, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
