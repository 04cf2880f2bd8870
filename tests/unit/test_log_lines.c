/* Tests of act/log_lines.c, on a journal made from export text by systemd-journal-remote. */
#include "act/collect.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define START  UINT64_C(1795356000000000)

static char root[] = "/tmp/unjam-lines-XXXXXX", journal[64], export[64];
static bool available;

static void entry(FILE *f, unsigned n, const char *unit, int pid, const char *fields)
{
        fprintf(f,
                "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%u\n_BOOT_ID="
                "0123456789abcdef0123456789abcdef\n"
                "_PID=%d\n",
                (unsigned long long)(START + n), n + 1, pid);
        if (unit)
                fprintf(f, "_SYSTEMD_UNIT=%s\n", unit);
        fprintf(f, "%s\n", fields);
}

static void write_export(void)
{
        FILE *f = fopen(export, "we");
        char *large = malloc(10001);

        entry(f, 0, "imc.service", 10, "PRIORITY=6\nMESSAGE=first\n");
        entry(f, 1, "other.service", 20, "MESSAGE=not ours\n");
        entry(f, 2, "imc.service", 11, "PRIORITY=3\nMESSAGE=second\n");
        /* PID 1 speaks of the unit; anybody may claim to. */
        entry(f, 3, "init.scope", 1, "UNIT=imc.service\nMESSAGE=imc.service: Main process exited\n");
        entry(f, 4, "other.service", 20, "UNIT=imc.service\nMESSAGE=a lie\n");
        /* The field in its binary form: a length in 8 bytes, then "a\xFF". */
        fprintf(f,
                "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=6\n_BOOT_ID="
                "0123456789abcdef0123456789abcdef\n"
                "_PID=12\n_SYSTEMD_UNIT=imc.service\nMESSAGE\n",
                (unsigned long long)(START + 5));
        fwrite("\2\0\0\0\0\0\0\0a\xFF\n\n", 1, 12, f);
        entry(f, 6, "other.service", 33, "MESSAGE=of a process\n");
        memset(large, 'x', 10000);
        large[10000] = 0;
        fprintf(f,
                "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=8\n_BOOT_ID="
                "0123456789abcdef0123456789abcdef\n"
                "_SYSTEMD_UNIT=large.service\nMESSAGE=%s\n\n",
                (unsigned long long)(START + 7), large);
        free(large);
        fclose(f);
}

static int setup(void **state)
{
        int status;
        pid_t pid;

        (void)state;
        if (access(REMOTE, X_OK) < 0)
                return 0;
        if (!mkdtemp(root))
                return -1;
        snprintf(journal, sizeof(journal), "%s/test.journal", root);
        snprintf(export, sizeof(export), "%s/test.export", root);
        write_export();
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

static char *files[] = { journal, NULL };

static void check(const LogSpec *spec, const char *want)
{
        _cleanup_(strv_freep) char **texts = NULL;
        _cleanup_(freep) char *all = NULL;
        Evidence e = { 0 };

        assert_int_equal(evidence_log_lines(&e, spec), 0);
        for (size_t i = 0; i < e.n_lines; i++)
                assert_int_equal(strv_append(&texts, e.lines[i].text), 0);
        all = strv_join(texts, "|");
        assert_string_equal(all, want);
        assert_false(e.incomplete);
        evidence_deinit(&e);
}

static void test_lines_of_a_unit(void **state)
{
        char *units[] = { "imc.service", NULL };
        ProcId process = { .pid = 33 };
        LogSpec spec = { .units = units, .files = files };
        Evidence e = { 0 };

        (void)state;
        if (!available)
                skip(); /* systemd-journal-remote is not installed */
        check(&spec, "first|second|imc.service: Main process exited|a\xEF\xBF\xBD");
        spec.max_lines = 2;
        check(&spec, "imc.service: Main process exited|a\xEF\xBF\xBD");
        spec.max_lines = 0;
        spec.since = START + 2;
        check(&spec, "second|imc.service: Main process exited|a\xEF\xBF\xBD");
        spec.processes = &process;
        spec.n_processes = 1;
        check(&spec, "second|imc.service: Main process exited|a\xEF\xBF\xBD|of a process");
        spec.units = NULL;
        check(&spec, "of a process");

        spec = (LogSpec){ .units = units, .files = files, .max_lines = 3 };
        assert_int_equal(evidence_log_lines(&e, &spec), 0);
        assert_int_equal(e.lines[0].pid, 11);
        assert_int_equal(e.lines[0].priority, 3);
        assert_int_equal(e.lines[0].wall, START + 2);
        assert_int_equal(e.lines[1].pid, 1);
        assert_int_equal(e.lines[1].priority, 6);
        /* A second call adds. */
        assert_int_equal(evidence_log_lines(&e, &spec), 0);
        assert_int_equal(e.n_lines, 6);
        evidence_deinit(&e);
}

static void test_long_lines_are_cut(void **state)
{
        char *units[] = { "large.service", NULL };
        LogSpec spec = { .units = units, .files = files };
        Evidence e = { 0 };

        (void)state;
        if (!available)
                skip();
        assert_int_equal(evidence_log_lines(&e, &spec), 0);
        assert_int_equal(e.n_lines, 1);
        assert_int_equal(strlen(e.lines[0].text), 8192);
        evidence_deinit(&e);
}

static void test_nothing_asked_for_is_nothing_found(void **state)
{
        char *none[] = { NULL };
        LogSpec spec = { .units = none, .files = files };

        (void)state;
        check(&spec, "");
}

static void test_no_journal(void **state)
{
        char *units[] = { "imc.service", NULL }, *missing[] = { "/no/such.journal", NULL };
        LogSpec spec = { .units = units, .files = missing };
        Evidence e = { 0 };

        (void)state;
        assert_int_equal(evidence_log_lines(&e, &spec), 0);
        assert_int_equal(e.n_lines, 0);
        assert_true(e.incomplete);
        assert_non_null(strstr(e.note, "journal"));
        evidence_deinit(&e);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines_of_a_unit),
                cmocka_unit_test(test_long_lines_are_cut),
                cmocka_unit_test(test_nothing_asked_for_is_nothing_found),
                cmocka_unit_test(test_no_journal),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
