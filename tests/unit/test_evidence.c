/* evidence - whatever bytes a process shows, the record is made and readable */
#include "model/evidence.h"

#include "model/words.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static Evidence sample(void)
{
        Evidence e = { .wall = UINT64_C(1795356000123456),
                       .n_processes = 2,
                       .n_lines = 1,
                       .incomplete = true,
                       .note = strdup("/proc/12/fd: Permission denied") };
        ProcessEvidence *p;

        e.processes = calloc(2, sizeof(e.processes[0]));
        p = e.processes;
        p->id = (ProcId){ .pid = 12, .start = 345 };
        p->parent = 1;
        p->uid = 998;
        p->state = 'D';
        p->name = strdup("imcd\xff");
        p->command = strdup("imcd --spool /var/spool/imc");
        p->exe = strdup("/usr/sbin/imcd");
        p->wchan = strdup("pipe_read");
        p->cpu = 1500 * USEC_PER_MSEC;
        p->io_bytes = 10;
        p->switches = 3;
        p->files = calloc(p->n_files = 1, sizeof(p->files[0]));
        p->files[0] = (OpenFile){
                .fd = 3, .path = strdup("/In/\xff"), .deleted = true, .write = true, .dev = 5, .inode = 6
        };
        p->n_sockets = 2;
        p->remote = true;
        p->zombies = 4;
        p->verdict = PROCESS_DEADLOCK;
        p->why = strdup("no CPU time");
        e.processes[1].outside = e.processes[1].stranger = true; /* nothing else could be read */
        e.lines = calloc(1, sizeof(e.lines[0]));
        e.lines[0] = (LogLine){
                .wall = UINT64_C(1795356000000001), .pid = 12, .priority = 3, .text = strdup("4037")
        };
        return e;
}

static void test_record(void **state)
{
        static const char expected[] =
                "{\"incomplete\":true,\"lines\":[{\"pid\":12,\"priority\":3,\"text\":\"4037\","
                "\"time\":\"2026-11-22T14:00:00.000001Z\"}],\"note\":\"/proc/12/fd: Permission denied\","
                "\"processes\":[{\"command\":\"imcd --spool /var/spool/imc\",\"cpu_ms\":1500,"
                "\"exe\":\"/usr/sbin/imcd\",\"files\":[{\"deleted\":true,\"dev\":5,\"fd\":3,\"inode\":6,"
                "\"path\":\"/In/%FF\",\"path_b64\":\"L0luL/8=\",\"write\":true}],\"io_bytes\":10,"
                "\"name\":\"imcd\xef\xbf\xbd\",\"outside\":false,\"parent\":1,\"pid\":12,\"remote\":true,"
                "\"sockets\":2,\"start\":345,\"state\":\"D\",\"stranger\":false,\"switches\":3,\"syscall\":"
                "null,"
                "\"uid\":998,\"verdict\":\"deadlock\",\"wchan\":\"pipe_read\",\"why\":\"no CPU "
                "time\",\"zombies\":4},{\"command\":null,\"cpu_ms\":0,\"exe\":null,\"files\":["
                "],"
                "\"io_bytes\":0,\"name\":null,\"outside\":true,\"parent\":0,\"pid\":0,\"remote\":false,"
                "\"sockets\":0,\"start\":0,\"state\":\"\",\"stranger\":true,\"switches\":0,\"syscall\":null,"
                "\"uid\":0,\"verdict\":\"working\",\"wchan\":null,\"why\":null,\"zombies\":0}],\"time\":"
                "\"2026-11-22T14:00:"
                "00.123456Z\"}";
        Evidence e = sample(), empty = {};
        json_t *j = evidence_to_json(&e);
        char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

        (void)state;
        assert_string_equal(text, expected);
        free(text);
        json_decref(j);
        evidence_deinit(&e);
        assert_int_equal(e.n_processes, 0);
        evidence_deinit(&e);

        j = evidence_to_json(&empty);
        assert_int_equal(json_array_size(json_object_get(j, "processes")), 0);
        assert_true(json_is_null(json_object_get(j, "note")));
        json_decref(j);
        evidence_deinit(&empty);
}

static void test_cause(void **state)
{
        CauseResult c = { .check = 2,
                          .kind = CAUSE_STARTUP_ACCOUNT,
                          .effect = EFFECT_VETO,
                          .found = true,
                          .known = true,
                          .detail = strdup("no such user\xff"),
                          .advice = strdup("create the account imc") };
        json_t *j = cause_result_to_json(&c);
        char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

        (void)state;
        assert_string_equal(
                text, "{\"advice\":\"create the account imc\",\"cause\":\"startup_account\",\"check\":2,"
                      "\"detail\":\"no such user\xef\xbf\xbd\",\"effect\":\"veto\",\"found\":true,"
                      "\"known\":true}");
        free(text);
        json_decref(j);
        cause_result_deinit(&c);

        c = (CauseResult){ .check = SIZE_MAX, .kind = CAUSE_DISK_FULL, .effect = EFFECT_NOTE };
        j = cause_result_to_json(&c);
        assert_true(json_is_null(json_object_get(j, "check")));
        assert_true(json_is_null(json_object_get(j, "advice")));
        json_decref(j);
        cause_result_deinit(&c);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_record),
                cmocka_unit_test(test_cause),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
