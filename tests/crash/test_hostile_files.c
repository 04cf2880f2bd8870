/*
 * Hostile files, one trick at a time, while nobody races: what test_hostile_spool does by chance is done here
 * on purpose, and more of it. A message that cannot be moved stays, is named, and keeps nothing else from
 * moving; what is mounted inside of a store is neither entered nor moved; a file that grows while it is read,
 * or is larger than any mail, keeps nobody; a hundred thousand names are only many.
 *
 * Whatever was done, in the end each file is there once, the same.
 *
 * UNJAM_NAMES is how many names are many.
 */
#include "../unit/spool_mounts.h"

#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SECONDS 240

static unsigned from_environment(const char *name, unsigned otherwise)
{
        const char *s = getenv(name);

        return s ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

/* Sets or clears an inode flag. false: this file system, or we, cannot. */
static bool flag(const Fixture *f, const char *below, int which, bool on)
{
        int fd = open(at(f, below), O_RDONLY | O_NONBLOCK | O_CLOEXEC), flags = 0;
        bool done = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;

        flags = on ? flags | which : flags & ~which;
        done = done && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
        if (fd >= 0)
                close(fd);
        return done;
}

static int hold_all(Fixture *f)
{
        MessageSet all = {};
        int r;

        for (uint32_t i = 0; i < f->roster.n; i++)
                assert_int_equal(message_set_add(&all, i), 0);
        report_reset(f);
        r = spool_place(f->spool, INCIDENT, &f->roster, &all, STORE_ALL, &f->report);
        message_set_deinit(&all);
        return r;
}

/* An immutable or append-only message, and an immutable directory: they stay, with their flags. */
static void test_immutable(void **state)
{
        static const int flags[] = { FS_IMMUTABLE_FL, FS_APPEND_FL };
        Fixture *f = *state;

        put(f, "spool/In/stays", "1");
        put(f, "spool/In/goes", "2");
        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "h");
        put(f, "spool/input/0/m-D", "d");
        if (!flag(f, "spool/In/stays", FS_IMMUTABLE_FL, true))
                skip();
        inventory(f, true, false);
        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                assert_true(flag(f, "spool/In/stays", FS_IMMUTABLE_FL | FS_APPEND_FL, false));
                assert_true(flag(f, "spool/In/stays", flags[i], true));
                (void)hold_all(f);
                assert_true(is_there(f, "spool/In/stays"));
                assert_false(is_there(f, "spool/In/goes"));
                place_none(f);
                assert_true(is_there(f, "spool/In/goes"));
        }
        assert_true(flag(f, "spool/In/stays", FS_APPEND_FL, false));
        /* Half of a message: the other half stays with it. */
        assert_true(flag(f, "spool/input/0/m-D", FS_IMMUTABLE_FL, true));
        (void)hold_all(f);
        assert_true(is_there(f, "spool/input/0/m-D"));
        place_none(f);
        assert_true(is_there(f, "spool/input/0/m-H"));
        assert_true(flag(f, "spool/input/0/m-D", FS_IMMUTABLE_FL, false));
        /* A directory in which nothing can be renamed: refused, and all is where it was. */
        assert_true(flag(f, "spool/In", FS_IMMUTABLE_FL, true));
        (void)hold_all(f);
        assert_int_equal(count_in(f, "spool/In"), 2);
        assert_true(flag(f, "spool/In", FS_IMMUTABLE_FL, false));
        place_none(f);
        assert_int_equal(count_in(f, "spool/input/0"), 2);
}

/* A file system and a file mounted over what was the store's: not entered, not moved. */
static void test_mounts_inside(void **state)
{
        Fixture *f = *state;
        ino_t covered, secret;

        put_dir(f, "spool/input/0");
        put(f, "spool/input/0/m-H", "h");
        put_dir(f, "spool/input/1");
        put(f, "spool/In/covered", "mail");
        put(f, "spool/In/a", "mail");
        put(f, "secret", "of another file system");
        covered = inode_of(f, "spool/In/covered");
        mount_or_skip(f, NULL, "spool/input/1");
        put(f, "spool/input/1/x-H", "theirs");
        mount_or_skip(f, "secret", "spool/In/covered");
        secret = inode_of(f, "spool/In/covered");
        inventory(f, true, false);
        assert_true(reported(f, "mounts") > 0);
        (void)hold_all(f);
        assert_false(is_there(f, "spool/In/a"));
        assert_int_equal(inode_of(f, "spool/In/covered"), secret);
        assert_true(is_there(f, "spool/input/1/x-H"));
        report_reset(f);
        (void)spool_set_aside(f->spool, INCIDENT, &f->roster, STORE_ALL, &f->report);
        assert_true(is_there(f, "spool/input/1/x-H"));
        place_none(f);
        unmount(f, "spool/In/covered");
        unmount(f, "spool/input/1");
        assert_int_equal(inode_of(f, "spool/In/covered"), covered);
        assert_true(is_there(f, "spool/In/a"));
        assert_true(is_there(f, "spool/input/0/m-H"));
}

/* Appends as fast as it can, for as long as this process lives. */
static pid_t grow(int fd)
{
        static char text[1 << 16];
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (lseek(fd, 0, SEEK_END) < 64 << 20 || ftruncate(fd, 0) == 0)
                if (write(fd, text, sizeof(text)) < 0)
                        break;
        _exit(1);
}

/* One that grows all the time, and a hole of a terabyte: neither is waited for, the hole has no digest. */
static void test_files_that_grow(void **state)
{
        Fixture *f = *state;
        MessageSet set = {};
        SpoolQuarantine q;
        pid_t pid;
        int fd;

        put(f, "spool/In/grows", "1");
        put(f, "spool/In/hole", "1");
        assert_int_equal(truncate(at(f, "spool/In/hole"), (off_t)1 << 40), 0);
        fd = open(at(f, "spool/In/grows"), O_WRONLY | O_APPEND | O_CLOEXEC);
        pid = grow(fd);
        inventory(f, true, false);
        assert_int_equal(message_set_add(&set, 0), 0);
        assert_int_equal(message_set_add(&set, 1), 0);
        q = quarantine_set(f, &set, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(q.n, 2);
        for (size_t i = 0; i < q.n; i++)
                if (strcmp(q.messages[i].id, "hole") == 0)
                        assert_false(q.messages[i].files[0].has_sha256);
        close(fd);
        assert_int_equal(count_in(f, "spool/In"), 0);
        quarantine_forget(&q);
        message_set_deinit(&set);
}

/* The store's directory is a symbolic link to one outside, for good: nothing is done there. */
static void test_a_link_for_a_directory(void **state)
{
        Fixture *f = *state;
        char path[PATH_MAX];

        put_dir(f, "outside");
        put(f, "outside/secret", "1");
        put(f, "spool/Out/a", "1");
        inventory(f, true, false);
        snprintf(path, sizeof(path), "%s", at(f, "spool/In"));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(symlink(at(f, "outside"), path), 0);
        report_reset(f);
        assert_true(spool_inventory(f->spool, INCIDENT, &f->roster, false, false, &f->report) < 0);
        assert_non_null(strstr(f->report.detail, "spool/In"));
        assert_true(hold_all(f) < 0);
        report_reset(f);
        assert_true(spool_set_aside(f->spool, INCIDENT, &f->roster, STORE_ALL, &f->report) < 0);
        assert_true(is_there(f, "outside/secret"));
        assert_int_equal(unlink(path), 0);
        put_dir(f, "spool/In");
        place_none(f);
        assert_true(is_there(f, "spool/Out/a"));
}

static uint64_t sum_of_inodes(const Fixture *f, const char *below)
{
        DIR *d = opendir(at(f, below));
        uint64_t sum = 0;

        assert_non_null(d);
        for (const struct dirent *e; (e = readdir(d));)
                if (e->d_type == DT_REG)
                        sum += e->d_ino;
        closedir(d);
        return sum;
}

static void many_names(const Fixture *f, unsigned n)
{
        int dir = open(at(f, "spool/In"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char name[256];

        memset(name, 'n', sizeof(name));
        for (unsigned i = 0; i < n; i++) {
                /* Every tenth as long as a name may be. */
                (void)snprintf(name, 12, "%011u", i);
                name[11] = i % 10 ? '\0' : 'n';
                name[255] = '\0';
                assert_int_equal(mknodat(dir, name, S_IFREG | 0600, 0), 0);
        }
        close(dir);
}

static void test_many_names(void **state)
{
        unsigned n = from_environment("UNJAM_NAMES", 100000);
        Fixture *f = *state;
        MessageSet half = {};
        uint64_t inodes;

        many_names(f, n);
        inodes = sum_of_inodes(f, "spool/In");
        inventory(f, true, false);
        assert_int_equal(f->inventory.in_store, n);
        set_aside(f, STORE_Q);
        assert_int_equal(count_in(f, "spool/In"), 0);
        for (uint32_t i = 0; i < n; i += 2)
                assert_int_equal(message_set_add(&half, i), 0);
        place_held(f, &half);
        assert_int_equal(count_in(f, "spool/In"), n / 2);
        inventory(f, false, true);
        assert_int_equal(f->inventory.in_store + f->inventory.in_hold, n);
        place_none(f);
        assert_int_equal(count_in(f, "spool/In"), n);
        assert_int_equal(sum_of_inodes(f, "spool/In"), inodes);
        message_set_deinit(&half);
}

static int set_up(void **state)
{
        (void)alarm(SECONDS); /* nobody waits for any of this */
        return fixture_setup(state);
}

static int tear_down(void **state)
{
        (void)alarm(0);
        return fixture_teardown(state);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
                T(test_immutable),       T(test_mounts_inside),
                T(test_files_that_grow), T(test_a_link_for_a_directory),
                T(test_many_names),
        };

        if (access("/dev/shm", W_OK) == 0)
                (void)setenv("TMPDIR", "/dev/shm", 0);
        return cmocka_run_group_tests_name("hostile_files", tests, mounts_setup, NULL);
}
