/* Tests of act/state_files.c. */
#include "act/state_files.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Bed {
        char root[64], path[96];
        int procfd;
} Bed;

static int setup(void **state)
{
        Bed *b = calloc(1, sizeof(*b));

        strcpy(b->root, "/tmp/unjam-state-XXXXXX");
        assert_non_null(mkdtemp(b->root));
        b->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = b;
        return b->procfd < 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static int teardown(void **state)
{
        Bed *b = *state;
        int r = nftw(b->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);

        close(b->procfd);
        free(b);
        return r;
}

static char *at(Bed *b, const char *name)
{
        snprintf(b->path, sizeof(b->path), "%s/%s", b->root, name);
        return b->path;
}

static void put(const char *path, const char *text)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static void test_state(void **state)
{
        Bed *b = *state;
        RecreateSettings r = {
                .path = at(b, "x"), .kind = FILE_FIFO, .mode = 0622, .uid = getuid(), .gid = getgid()
        };
        static const FileType kinds[] = { FILE_FIFO, FILE_DIRECTORY, FILE_REGULAR };
        static const mode_t modes[] = { S_IFIFO, S_IFDIR, S_IFREG };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                _cleanup_(freep) char *missing = NULL, *wrong = NULL;
                struct stat st;

                r.kind = kinds[i];
                assert_int_equal(state_wrong(&r, &missing), STATE_E_FOUND);
                assert_non_null(strstr(missing, "there is none"));
                assert_int_equal(state_make(disk_posix(), &r), 0);
                assert_int_equal(lstat(r.path, &st), 0);
                assert_int_equal(st.st_mode, modes[i] | 0622);
                assert_int_equal(state_wrong(&r, &wrong), 0);
                /* Again, where it is: nothing happens. */
                assert_int_equal(state_make(disk_posix(), &r), 0);
                r.kind = kinds[(i + 1) % ELEMENTSOF(kinds)];
                assert_int_equal(state_wrong(&r, &wrong), STATE_E_FOUND);
                assert_non_null(strstr(wrong, "is no "));
                assert_int_equal(remove(r.path), 0);
        }
        r.path = (char *)"/no/such/directory/x";
        assert_int_equal(state_make(disk_posix(), &r), -ENOENT);
}

/* An earlier try that was cut short leaves its own name behind, and is no obstacle. */
static void test_state_again(void **state)
{
        Bed *b = *state;
        RecreateSettings r = { .kind = FILE_FIFO, .mode = 0600, .uid = getuid(), .gid = getgid() };
        _cleanup_(freep) char *path = strdup(at(b, "x")), *why = NULL;

        r.path = path;
        assert_int_equal(mkfifo(at(b, ".x.unjam"), 0), 0);
        assert_int_equal(state_make(disk_posix(), &r), 0);
        assert_int_equal(state_wrong(&r, &why), 0);
        assert_int_equal(access(at(b, ".x.unjam"), F_OK), -1);
}

static int stale(Bed *b, const char *path, const char *pid)
{
        const LockSettings lock = { .path = (char *)path, .pid = (char *)pid };
        _cleanup_(freep) char *why = NULL;
        int r = lock_stale(b->procfd, path, &lock, &why);

        assert_int_equal(r == STATE_E_FOUND, why != NULL);
        return r;
}

/* The pid of a process that has ended. */
static pid_t dead_pid(void)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        return pid;
}

static void test_locks(void **state)
{
        Bed *b = *state;
        char *path = at(b, "lock"), text[128];
        const struct timespec long_ago[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
        int fd;

        assert_int_equal(stale(b, path, NULL), 0); /* there is none */
        snprintf(text, sizeof(text), "%d\n/usr/sbin/x -bd\n", (int)dead_pid());
        put(path, text);
        assert_int_equal(stale(b, path, NULL), STATE_E_FOUND);
        /* In use, whatever it says. */
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(stale(b, path, NULL), 0);
        assert_int_equal(flock(fd, LOCK_SH), 0);
        assert_int_equal(stale(b, path, NULL), 0);
        close(fd);
        assert_int_equal(stale(b, path, NULL), STATE_E_FOUND);
        /* Its holder lives. */
        snprintf(text, sizeof(text), "%d\n", (int)getpid());
        put(path, text);
        assert_int_equal(stale(b, path, NULL), 0);
        /* One that has the number now, but began after the lock was written. */
        assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
        assert_int_equal(stale(b, path, NULL), STATE_E_FOUND);
        /* Who wrote it cannot be told, unless it is older than the boot. */
        put(path, "host|me\n");
        assert_int_equal(stale(b, path, NULL), 0);
        assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
        assert_int_equal(stale(b, path, NULL), STATE_E_FOUND);
        snprintf(text, sizeof(text), "/locks/x.lck|host|%d|7\n", (int)dead_pid());
        put(path, text);
        assert_int_equal(stale(b, path, NULL), 0);
        assert_int_equal(stale(b, path, "[|](?<pid>[0-9]+)[|]"), STATE_E_FOUND);
        assert_int_equal(remove(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(stale(b, path, NULL), 0);
}

static void test_lock_paths(void **state)
{
        Bed *b = *state;
        _cleanup_(freep) char *pattern = strdup(at(b, "*.lck"));
        LockSettings lock = { .path = pattern };
        _cleanup_(strv_freep) char **paths = NULL;

        put(at(b, "a.lck"), "");
        put(at(b, ".hidden.lck"), "");
        put(at(b, "a.txt"), "");
        assert_int_equal(lock_paths(&lock, &paths), 0);
        assert_int_equal(strv_length(paths), 1);
        assert_string_equal(paths[0], at(b, "a.lck"));
        paths = strv_free(paths);
        lock.path = (char *)"/no/such/*.lck";
        assert_int_equal(lock_paths(&lock, &paths), 0);
        assert_null(paths);
}

/* Lines as Debian 12's servers wrote them. */
static void test_suspect_by_a_line(void **state)
{
        static const struct {
                const char *line, *path; /* NULL: nothing is to blame */
        } cases[] = {
                { "warning: btree:/var/lib/postfix/verify_cache is unavailable. open database "
                  "/var/lib/postfix/verify_cache.db: Invalid argument",
                  "/var/lib/postfix/verify_cache.db" },
                { "1xV76C-0000LX-1E Berkeley DB error: BDB3037 /var/spool/exim4/db/retry: file size not a "
                  "multiple of "
                  "the pagesize",
                  "/var/spool/exim4/db" },
                { "DBERROR: opening /var/lib/cyrus/deliver.db: cyrusdb error", "/var/lib/cyrus/deliver.db" },
                { "open database /var/lib/postfix/verify_cache.db: Permission denied", NULL },
                { "open database /var/lib/postfix/verify_cache.db.old: Invalid argument", NULL },
                { "open database /srv/var/lib/postfix/verify.db: Invalid argument", NULL },
                { "connect to 10.0.0.1: Invalid argument", NULL },
        };
        char *rebuildable[] = { (char *)"/var/lib/postfix/verify_cache.db", (char *)"/var/spool/exim4/db",
                                NULL };
        RebuildSettings rebuild = { .path = (char *)"/var/lib/cyrus/deliver.db" };
        StoreSettings store = { .rebuildable = rebuildable, .rebuild = &rebuild, .n_rebuild = 1 };
        const ServiceSettings service = { .stores = &store, .n_stores = 1 };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                LogLine line = { .text = (char *)cases[i].line };
                const Evidence e = { .lines = &line, .n_lines = 1 };
                _cleanup_(strv_freep) char **paths = NULL;
                _cleanup_(freep) char *why = NULL;
                int r = state_suspect(&service, &e, &paths, &why);

                if ((r == STATE_E_FOUND) != (cases[i].path != NULL))
                        fail_msg("%s: %d", cases[i].line, r);
                if (!cases[i].path)
                        continue;
                assert_int_equal(strv_length(paths), 1);
                assert_string_equal(paths[0], cases[i].path);
                assert_non_null(strstr(why, cases[i].line));
        }
}

/* A process that spins with a database open, and with no message: a message would be the likelier cause. */
static void test_suspect_by_a_spin(void **state)
{
        char *rebuildable[] = { (char *)"/var/q/cache.db", NULL }, *dirs[] = { (char *)"/var/q/in", NULL };
        StoreSettings store = { .dirs = dirs, .rebuildable = rebuildable };
        const ServiceSettings service = { .stores = &store, .n_stores = 1 };
        OpenFile files[] = { { .path = (char *)"/var/q/cache.db" }, { .path = (char *)"/var/q/in/m1" } };
        ProcessEvidence p = { .id = { .pid = 4711 }, .state = 'R', .files = files, .n_files = 1 };
        const Evidence e = { .processes = &p, .n_processes = 1 };
        char **paths = NULL, *why = NULL;

        (void)state;
        assert_int_equal(state_suspect(&service, &e, &paths, &why), STATE_E_FOUND);
        assert_string_equal(paths[0], "/var/q/cache.db");
        assert_non_null(strstr(why, "process 4711 spins"));
        strv_free(paths);
        free(why);
        p.n_files = 2;
        assert_int_equal(state_suspect(&service, &e, &paths, &why), 0);
        p.n_files = 1;
        p.state = 'S';
        assert_int_equal(state_suspect(&service, &e, &paths, &why), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_state, setup, teardown),
                cmocka_unit_test_setup_teardown(test_state_again, setup, teardown),
                cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lock_paths, setup, teardown),
                cmocka_unit_test(test_suspect_by_a_line),
                cmocka_unit_test(test_suspect_by_a_spin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
