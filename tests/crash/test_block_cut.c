/*
 * Power cuts on a block device: an ext4 on a loop device, and what the device has when the plug is pulled.
 *
 * test_power_cut pretends to lose what was not synced; here the kernel does. A recovery runs on the file
 * system with its syncs for real, and is ended before a call. What the page cache has not given to the device
 * by then is what a cut would lose: the backing file is copied at that moment (again, if the device was
 * written to meanwhile), e2fsck repairs the copy, and on it the host comes up: the server, unless the guard
 * holds it back, and then unjamd. Every third time it happens once more while it resumes.
 *
 * Every other seed lets the file system commit its journal just before, so that names are there whose bytes
 * never came (data=writeback).
 *
 * Skipped where there is no loop device to be had. UNJAM_BLOCK_CUTS is the number of seeds, UNJAM_SEED the
 * first.
 */
#include "live/kinds.h"
#include "unit/private_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_SIZE  (16 << 20)
#define LOOP_TRIES 100 /* somebody else may be faster */
#define COPY_TRIES 50

typedef struct Bench {
        char dir[PATH_MAX / 4], mount[PATH_MAX / 2];
        char fresh[PATH_MAX / 2], disk[PATH_MAX / 2], cut[PATH_MAX / 2];
        int loop; /* number of the device that is mounted */
        bool works;
        Baseline *baselines;
} Bench;

/* Return: exit status, or -1. */
static int run(const char *const argv[])
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void)dup2(null, STDOUT_FILENO);
                (void)dup2(null, STDERR_FILENO);
                execvp(argv[0], (char *const *)argv);
                _exit(127);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A whole image; what is a hole in it stays one. */
static void copy(const char *from, const char *to)
{
        static char block[1 << 16];
        int in = open(from, O_RDONLY | O_CLOEXEC),
            out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        off_t at = 0;
        ssize_t n;

        assert_true(in >= 0 && out >= 0 && ftruncate(out, DISK_SIZE) == 0);
        while ((at = lseek(in, at, SEEK_DATA)) >= 0) {
                n = pread(in, block, sizeof(block), at);
                assert_true(n > 0 && pwrite(out, block, (size_t)n, at) == n);
                at += n;
        }
        close(in);
        close(out);
}

/* How many sectors the device has been given so far. */
static unsigned long written(const Bench *b)
{
        unsigned long sectors = 0;
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/sys/block/loop%d/stat", b->loop);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*u %*u %*u %*u %*u %*u %lu", &sectors), 1);
        fclose(f);
        return sectors;
}

/* A free loop device over @image, which goes when nobody has it open. Return: its descriptor, or -1. */
static int loop_attach(Bench *b, const char *image)
{
        int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), backing, fd = -1;
        char path[32];

        if (control < 0)
                return -1;
        backing = open(image, O_RDWR | O_CLOEXEC);
        assert_true(backing >= 0);
        for (unsigned i = 0; fd < 0 && i < LOOP_TRIES; i++) {
                struct loop_config c = { .fd = (__u32)backing, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };

                b->loop = ioctl(control, LOOP_CTL_GET_FREE);
                snprintf(path, sizeof(path), "/dev/loop%d", b->loop);
                fd = b->loop < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
                if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &c) < 0) {
                        close(fd);
                        fd = -1;
                }
        }
        close(backing);
        close(control);
        return fd;
}

/* Commits only when somebody syncs: as much as can be is at stake. */
static bool disk_mount(Bench *b, const char *image)
{
        int fd = loop_attach(b, image), r;
        char path[32];

        if (fd < 0)
                return false;
        snprintf(path, sizeof(path), "/dev/loop%d", b->loop);
        r = mount(path, b->mount, "ext4", MS_NOATIME, "data=writeback,commit=3600");
        close(fd);
        return r == 0;
}

/* What the device has now is all that there will be: the host is up again on it. */
static void plug_is_pulled(Bench *b, Live *l, bool commit)
{
        const char *const fsck[] = { "e2fsck", "-fp", b->cut, NULL };
        unsigned long before;
        unsigned tries = 0;

        if (commit) {
                int fd = open(b->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                assert_true(fd >= 0 && fsync(fd) == 0);
                close(fd);
        }
        do {
                assert_true(tries++ < COPY_TRIES);
                before = written(b);
                copy(b->disk, b->cut);
        } while (written(b) != before);
        assert_int_equal(umount2(b->mount, 0), 0);
        assert_in_range(run(fsck), 0, 1);
        assert_int_equal(rename(b->cut, b->disk), 0);
        assert_true(disk_mount(b, b->disk));
        live_boot(l);
}

static void everything_is_synced(const Bench *b)
{
        int fd = open(b->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0 && syncfs(fd) == 0);
        close(fd);
}

static void cut(Bench *b, unsigned seed)
{
        unsigned random = seed, which = seed % n_kinds;
        const Kind *k = kinds + which;
        unsigned long at = 1 + (unsigned long)rand_r(&random) % b->baselines[which].calls;
        char when[64];
        LiveEnd e;
        Live *l;

        copy(b->fresh, b->disk);
        assert_true(disk_mount(b, b->disk));
        l = kind_begin(k);
        l->config.syncs = true;
        everything_is_synced(b);
        snprintf(when, sizeof(when), "seed %u, cut off at call %lu", seed, at);
        for (unsigned cuts = seed % 3 == 0 ? 2 : 1;; cuts--) {
                const Calls calls = { .how = cuts ? CALLS_KILL : CALLS_COUNT,
                                      .kinds = CALLS_CHANGING,
                                      .at = at,
                                      .syncs = true };

                e = live_run(l, &calls);
                if (e != LIVE_KILLED)
                        break;
                tally.cuts++;
                plug_is_pulled(b, l, rand_r(&random) % 2);
                kind_check(l, k, NULL, when);
                at = 1 + (unsigned long)rand_r(&random) % 60;
        }
        if (e != LIVE_DONE)
                fail_msg("%s, %s: it comes to no end (%d)", k->name, when, e);
        kind_check_end(l, k, b->baselines + which, k->loose, when);
        live_free(l);
        assert_int_equal(umount2(b->mount, 0), 0);
}

static void test_cuts(void **state)
{
        unsigned first = from_environment("UNJAM_SEED", 1), n = from_environment("UNJAM_BLOCK_CUTS", 44);
        Bench *b = *state;

        if (!b->works)
                skip(); /* no loop device, or nobody who may mount one */
        print_message("seeds %u to %u\n", first, first + n - 1);
        for (unsigned seed = first; seed < first + n; seed++)
                cut(b, seed);
}

static void in(const Bench *b, char path[PATH_MAX / 2], const char *name)
{
        snprintf(path, PATH_MAX / 2, "%s/%s", b->dir, name);
}

/* May an ext4 be made and mounted here? */
static bool disk_works(Bench *b)
{
        const char *const mkfs[] = { "mkfs.ext4", "-q", "-F", "-J", "size=4", b->fresh, NULL };
        int fd = open(b->fresh, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0 && ftruncate(fd, DISK_SIZE) == 0);
        close(fd);
        if (!mounts_are_private() || run(mkfs) != 0 || !disk_mount(b, b->fresh))
                return false;
        assert_int_equal(umount2(b->mount, 0), 0);
        return true;
}

static int set_up(void **state)
{
        Bench *b = calloc(1, sizeof(*b));

        assert_non_null(b);
        *state = b;
        snprintf(b->dir, sizeof(b->dir), "%s/unjam-block.XXXXXX", getenv("TMPDIR") ?: "/tmp");
        assert_non_null(mkdtemp(b->dir));
        in(b, b->mount, "mount");
        in(b, b->fresh, "fresh");
        in(b, b->disk, "disk");
        in(b, b->cut, "cut");
        assert_int_equal(mkdir(b->mount, 0700), 0);
        b->works = disk_works(b);
        if (!b->works)
                return 0;
        b->baselines = calloc(n_kinds, sizeof(*b->baselines));
        assert_non_null(b->baselines);
        for (unsigned k = 0; k < n_kinds; k++)
                kind_baseline(kinds + k, b->baselines + k);
        return setenv("TMPDIR", b->mount, 1);
}

static int tear_down(void **state)
{
        Bench *b = *state;

        (void)umount2(b->mount, MNT_DETACH);
        (void)unlink(b->fresh);
        (void)unlink(b->disk);
        (void)unlink(b->cut);
        (void)rmdir(b->mount);
        (void)rmdir(b->dir);
        free(b->baselines);
        free(b);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_cuts) };
        int r;

        in_memory();
        r = cmocka_run_group_tests_name("block_cut", tests, set_up, tear_down);
        tally_print();
        return r;
}
