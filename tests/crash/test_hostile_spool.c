/*
 * A hostile spool: another process, who may write there, races with everything that unjamd does in it.
 *
 * For a bounded number of rounds it swaps files for symbolic links, FIFOs, devices, directories and hard
 * links, folders and the store's own directory for symbolic links to a place outside, makes names of 255
 * bytes and of bytes that are no text, and lets files grow while they are read. Meanwhile each operation of
 * the spool runs, again and again; it may fail, and say so. inotify tells of whatever is opened, read,
 * changed or moved outside: nothing may be. Nobody waits for a FIFO (an alarm ends the test), and the
 * messages that the attacker leaves alone are there in the end, once, the same.
 *
 * UNJAM_ROUNDS sets the attacker's rounds, UNJAM_SEED his seed.
 */
#include "../unit/spool_fixture.h"

#include <errno.h>
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define N_GOOD   20
#define N_VICTIM 8
#define SECONDS  200

typedef struct Hostile {
        Fixture *f;
        char outside[64];
        int watch;
        ino_t good[N_GOOD];
        pid_t attacker;
        unsigned done; /* operations that came to their end without an error */
} Hostile;

static unsigned from_environment(const char *name, unsigned otherwise)
{
        const char *s = getenv(name);

        return s ? (unsigned)strtoul(s, NULL, 10) : otherwise;
}

/* ---- the attacker ---- */

/* He walks into no trap of his own: never through a symbolic link. */
static int open_dir(const Hostile *h, const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/spool/%s", h->f->root, name);
        return (int)syscall(SYS_openat2, AT_FDCWD, path,
                            &(struct open_how){ .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                                                .resolve = RESOLVE_NO_SYMLINKS },
                            sizeof(struct open_how));
}

static void clear(int dir, const char *name)
{
        if (unlinkat(dir, name, 0) < 0)
                (void)unlinkat(dir, name, AT_REMOVEDIR);
}

static void write_some(int dir, const char *name, unsigned n)
{
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        char text[512];

        memset(text, 'x', sizeof(text));
        for (unsigned i = 0; fd >= 0 && i < n; i++)
                (void)!write(fd, text, sizeof(text));
        if (fd >= 0)
                close(fd);
}

static void odd_name(int dir, unsigned random)
{
        static const char *const names[] = { "new\nline-H",    "\"quote\\-D", "\x1b[2J\x1b[H-H",
                                             "\xff\xfe\x80-D", "-H",          "...",
                                             "a b\tc-D",       "%s%n-H" };
        char name[256];

        memset(name, 'n', 255);
        name[255] = '\0';
        if (random & 32)
                clear(dir, random & 16 ? name : names[random % 8]);
        else
                write_some(dir, random & 16 ? name : names[random % 8], 1);
}

/* A directory away, a link to the outside in its place; and back. */
static void swap_directory(const Hostile *h, const char *name, bool back)
{
        char path[256], away[256], target[128];

        snprintf(path, sizeof(path), "%s/spool/%s", h->f->root, name);
        snprintf(away, sizeof(away), "%s/spool/%s.away", h->f->root, name);
        snprintf(target, sizeof(target), "%s/dir", h->outside);
        if (!back && renameat2(AT_FDCWD, path, AT_FDCWD, away, RENAME_NOREPLACE) == 0)
                (void)!symlink(target, path);
        (void)usleep(200);
        if (back) {
                (void)unlink(path);
                (void)renameat2(AT_FDCWD, away, AT_FDCWD, path, RENAME_NOREPLACE);
        }
}

static void attack_name(int dir, int other, const char *secret, unsigned random)
{
        char name[32], second[32];

        snprintf(name, sizeof(name), "v%u-D", random / 3 % N_VICTIM);
        snprintf(second, sizeof(second), "v%u-D", random / 5 % N_VICTIM);
        if (random / 100 % 10 < 6)
                clear(dir, name);
        switch (random / 100 % 10) {
        case 0:
        case 1:
                (void)!symlinkat(secret, dir, name);
                return;
        case 2:
                (void)mkfifoat(dir, name, 0600);
                return;
        case 3:
                (void)mkdirat(dir, name, 0700);
                return;
        case 4:
                (void)mknodat(dir, name, S_IFCHR | 0600, makedev(5, 0));
                return;
        case 5:
                write_some(dir, name, random % 64);
                return;
        case 6:
                clear(other, second);
                (void)!linkat(dir, name, other, second, 0);
                return;
        case 7:
                odd_name(dir, random / 1000);
                return;
        case 9:
                (void)renameat2(dir, name, other, second, RENAME_EXCHANGE);
                return;
        }
}

static void attack(const Hostile *h, unsigned random)
{
        static const char *const dirs[] = { "In", "Out", "input/0" };
        char secret[128];
        int dir, other;

        if (random / 100 % 10 == 8) {
                swap_directory(h, random & 128 ? "input/0" : "In", random & 256);
                return;
        }
        snprintf(secret, sizeof(secret), "%s/%s", h->outside, random & 64 ? "secret" : "fifo");
        dir = open_dir(h, dirs[random % 3]);
        other = open_dir(h, dirs[random / 7 % 3]);
        if (dir >= 0 && other >= 0)
                attack_name(dir, other, secret, random);
        if (dir >= 0)
                close(dir);
        if (other >= 0)
                close(other);
}

static void attacker(const Hostile *h)
{
        unsigned seed = from_environment("UNJAM_SEED", 1), rounds = from_environment("UNJAM_ROUNDS", 20000);

        for (unsigned i = 0; i < rounds; i++)
                attack(h, (unsigned)rand_r(&seed));
        swap_directory(h, "input/0", true);
        swap_directory(h, "In", true);
        _exit(0);
}

/* ---- the world ---- */

static int set_up(void **state)
{
        Hostile *h = calloc(1, sizeof(*h));
        char path[128];
        int fd;

        *state = h;
        fixture_setup((void **)&h->f);
        put_dir(h->f, "spool/input/0");
        for (unsigned i = 0; i < N_GOOD; i++) {
                snprintf(path, sizeof(path), "spool/%s/good%u", i % 2 ? "In" : "Out", i);
                put(h->f, path, path);
                h->good[i] = inode_of(h->f, path);
        }
        snprintf(h->outside, sizeof(h->outside), "%s/unjam-outside.XXXXXX", getenv("TMPDIR") ?: "/tmp");
        assert_non_null(mkdtemp(h->outside));
        snprintf(path, sizeof(path), "%s/secret", h->outside);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && write(fd, "secret", 6) == 6);
        close(fd);
        snprintf(path, sizeof(path), "%s/fifo", h->outside);
        assert_int_equal(mkfifo(path, 0600), 0);
        snprintf(path, sizeof(path), "%s/dir", h->outside);
        assert_int_equal(mkdir(path, 0700), 0);
        h->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        assert_true(h->watch >= 0);
        assert_true(inotify_add_watch(h->watch, path, IN_ALL_EVENTS) >= 0);
        assert_true(inotify_add_watch(h->watch, h->outside, IN_ALL_EVENTS) >= 0);
        return 0;
}

static int tear_down(void **state)
{
        Hostile *h = *state;

        close(h->watch);
        remove_tree(AT_FDCWD, h->outside);
        fixture_teardown((void **)&h->f);
        free(h);
        return 0;
}

static void nothing_happened_outside(const Hostile *h)
{
        char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(h->watch, buffer, sizeof(buffer));

        if (n > 0) {
                const struct inotify_event *e = (const struct inotify_event *)buffer;

                fail_msg("outside of the store, %s: event 0x%x", e->len ? e->name : "the directory", e->mask);
        }
        assert_int_equal(errno, EAGAIN);
}

/* ---- unjamd ---- */

static void choose(const Roster *roster, unsigned random, MessageSet *set)
{
        for (uint32_t i = 0; i < roster->n; i++)
                if ((random >> (i % 16)) & 1)
                        (void)message_set_add(set, i);
}

static int quarantine_and_release(Spool *s, Roster *roster, const MessageSet *set, SpoolReport *report)
{
        SpoolQuarantine q = { .incident = INCIDENT, .roster = roster, .set = set };

        if (spool_quarantine(s, &q, report) != 0)
                return -1;
        for (size_t i = 0; i < q.n; i++) {
                Message m = {};

                free(report->detail);
                report->detail = NULL;
                (void)spool_release(s, q.ids[i], NULL, &m, report);
                message_deinit(&m);
        }
        quarantine_forget(&q);
        return 0;
}

/* One of everything, by an unjamd that knows nothing but the disk. Errors are its right. */
static void operate(Hostile *h, unsigned random)
{
        MessageSet set = {};
        Roster roster = {};
        SpoolReport report = { .data = json_object() };
        Spool *s = NULL;
        int r = -1;

        if (spool_new(&s, &h->f->service, disk_posix()) == 0) {
                (void)spool_inventory(s, INCIDENT, &roster, true, false, &report);
                choose(&roster, random, &set);
                switch (random % 5) {
                case 0:
                        r = spool_place(s, INCIDENT, &roster, &set, STORE_ALL, &report);
                        break;
                case 1:
                        r = spool_set_aside(s, INCIDENT, &roster, STORE_ALL, &report);
                        break;
                case 2:
                        r = quarantine_and_release(s, &roster, &set, &report);
                        break;
                case 3:
                        r = spool_place(s, INCIDENT, &roster, NULL, STORE_ALL, &report);
                        break;
                case 4:
                        r = spool_tidy(s, INCIDENT, &report);
                        break;
                }
        }
        h->done += r == 0;
        spool_free(s);
        roster_deinit(&roster);
        message_set_deinit(&set);
        json_decref(report.data);
        free(report.detail);
}

static unsigned count(const Hostile *h, const char *path, ino_t inode)
{
        DIR *d = opendir(path);
        unsigned n = 0;

        for (const struct dirent *e; d && (e = readdir(d));) {
                char below[PATH_MAX];
                struct stat st;

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) >= (int)sizeof(below) ||
                    lstat(below, &st) < 0)
                        continue;
                if (S_ISDIR(st.st_mode))
                        n += count(h, below, inode);
                else
                        n += st.st_ino == inode && strncmp(e->d_name, "good", 4) == 0;
        }
        if (d)
                closedir(d);
        return n;
}

static void test_a_race(void **state)
{
        Hostile *h = *state;
        unsigned random = from_environment("UNJAM_SEED", 1) + 7, rounds = 0;

        fflush(NULL);
        (void)alarm(SECONDS);
        h->attacker = fork();
        assert_true(h->attacker >= 0);
        if (h->attacker == 0)
                attacker(h);
        while (waitpid(h->attacker, NULL, WNOHANG) == 0) {
                operate(h, (unsigned)rand_r(&random));
                nothing_happened_outside(h);
                rounds++;
        }
        print_message("%u operations beside the attacker, %u without an error\n", rounds, h->done);
        assert_true(h->done > 0);
        for (unsigned i = 0; i < N_GOOD; i++)
                if (count(h, h->f->root, h->good[i]) != 1)
                        fail_msg("good%u is there %u times", i, count(h, h->f->root, h->good[i]));
        nothing_happened_outside(h);
        (void)alarm(0);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_a_race, set_up, tear_down) };

        return cmocka_run_group_tests_name("hostile_spool", tests, NULL, NULL);
}
