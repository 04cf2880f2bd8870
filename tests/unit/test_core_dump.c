/* core_dump - entries of systemd-coredump, as recorded, and of those who would like to be it. */
#include "act/core_dump.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define START  UINT64_C(1795356000000000)

static char root[] = "/tmp/unjam-core-XXXXXX", journal[64], export[64];
static bool available;

static const char open_fds[] = "0:/dev/null\npos:\t0\nflags:\t0100000\nmnt_id:\t27\n\n"
                               "1:socket:[4711]\npos:\t0\nflags:\t02\nmnt_id:\t10\n\n"
                               "5:/var/spool/imc/In/m1 (deleted)\npos:\t0\nflags:\t0100000\n\n"
                               "7:/var/spool/imc/In/m2\npos:\t12\nflags:\t0100002\nmnt_id:\t27\nino:\t9\n";

static void put_binary(FILE *f, const char *name, const char *text)
{
        uint64_t len = strlen(text); /* little endian, as this machine is */

        fprintf(f, "%s\n", name);
        fwrite(&len, 8, 1, f);
        fprintf(f, "%s\n", text);
}

static void entry(FILE *f, unsigned n, int uid, const char *unit, int pid)
{
        fprintf(f,
                "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%u\n_BOOT_ID="
                "0123456789abcdef0123456789abcdef\n"
                "_UID=%d\nMESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1\nCOREDUMP_UNIT=%s\nCOREDUMP_PID=%d\n"
                "COREDUMP_UID=8\nCOREDUMP_SIGNAL=11\nCOREDUMP_COMM=imcd\nCOREDUMP_EXE=/usr/sbin/imcd\n",
                (unsigned long long)(START + n), n + 1, uid, unit, pid);
        put_binary(f, "COREDUMP_OPEN_FDS", open_fds);
        fputc('\n', f);
}

static int setup(void **state)
{
        int status;
        pid_t pid;
        FILE *f;

        (void)state;
        if (access(REMOTE, X_OK) < 0)
                return 0;
        if (!mkdtemp(root))
                return -1;
        snprintf(journal, sizeof(journal), "%s/test.journal", root);
        snprintf(export, sizeof(export), "%s/test.export", root);
        f = fopen(export, "we");
        entry(f, 0, 0, "imc.service", 10);
        entry(f, 1, 0, "other.service", 11);
        entry(f, 2, 1000, "imc.service", 12); /* anybody may write such fields */
        entry(f, 3, 0, "imc.service", 13);
        fclose(f);
        pid = fork();
        if (pid == 0) {
                int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

                dup2(null, STDERR_FILENO);
                execl(REMOTE, REMOTE, "-o", journal, export, NULL);
                _exit(127);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
                return -1;
        available = true;
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        unlink(journal);
        unlink(export);
        if (available)
                rmdir(root);
        return 0;
}

static void check_files(const ProcessEvidence *p)
{
        assert_int_equal(p->n_files, 3);
        assert_string_equal(p->files[0].path, "/dev/null");
        assert_false(p->files[0].write);
        assert_int_equal(p->files[1].fd, 5);
        assert_string_equal(p->files[1].path, "/var/spool/imc/In/m1");
        assert_true(p->files[1].deleted);
        assert_int_equal(p->files[2].fd, 7);
        assert_string_equal(p->files[2].path, "/var/spool/imc/In/m2");
        assert_false(p->files[2].deleted);
        assert_true(p->files[2].write);
}

static void test_entries(void **state)
{
        char *units[] = { (char *)"imc.service", NULL }, *files[] = { journal, NULL };
        LogSpec spec = { .units = units, .files = files };
        Evidence e = { 0 };

        (void)state;
        if (!available)
                skip(); /* systemd-journal-remote is not installed */
        assert_int_equal(evidence_core_dumps(&e, &spec), 0);
        assert_int_equal(e.n_processes, 2);
        assert_int_equal(e.processes[0].id.pid, 13); /* the last one first */
        assert_int_equal(e.processes[1].id.pid, 10);
        assert_int_equal(e.processes[0].state, 'X');
        assert_int_equal(e.processes[0].uid, 8);
        assert_string_equal(e.processes[0].name, "imcd");
        assert_string_equal(e.processes[0].exe, "/usr/sbin/imcd");
        assert_non_null(strstr(e.processes[0].why, "signal 11"));
        assert_false(e.processes[0].stranger);
        check_files(&e.processes[0]);
        evidence_deinit(&e);
        spec.since = START + 1;
        assert_int_equal(evidence_core_dumps(&e, &spec), 0);
        assert_int_equal(e.n_processes, 1);
        evidence_deinit(&e);
        spec.units = NULL; /* of nobody in particular is of everybody */
        assert_int_equal(evidence_core_dumps(&e, &spec), 0);
        assert_int_equal(e.n_processes, 0);
}

static void test_texts(void **state)
{
        static const char *const nothing[] = { "",     "\n\n\n",    "x",
                                               "1",    "1:",        "1:pipe:[3]",
                                               "a:/b", "\n\n-1:/x", "1:pipe:[3]\n2:/not/a/block\n" };
        ProcessEvidence p = { 0 };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(nothing); i++)
                assert_int_equal(core_dump_files(&p, nothing[i]), 0);
        assert_int_equal(p.n_files, 0);
        assert_int_equal(core_dump_files(&p, open_fds), 0);
        check_files(&p);
        for (size_t i = 0; i < p.n_files; i++)
                free(p.files[i].path);
        free(p.files);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_entries),
                cmocka_unit_test(test_texts),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
