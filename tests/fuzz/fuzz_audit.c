/*
 * Audit lines: the bytes are a trail. Verifying it answers, opening it for writing mends its end and goes on,
 * and what was appended then is in it.
 */
#include "base/disk.h"
#include "fuzz.h"
#include "record/audit.h"
#include "record/verify.h"

static char path[128];

static int start(void)
{
        int dirfd = open(fuzz_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        snprintf(path, sizeof(path), "%s/audit.jsonl", fuzz_dir());
        return dirfd;
}

static void append(void)
{
        const AuditConfig config = { .path = path,
                                     .state_dir = fuzz_dir(),
                                     .max_size = 1 << 20,
                                     .keep = 1,
                                     .group = (gid_t)-1,
                                     .disk = disk_posix() };
        AuditFindings findings = { 0 };
        AuditRecord r = { .event = AUDIT_OPERATOR, .service = "imc", .wall = 1 };
        Audit *a = NULL;
        json_t *j;

        if (audit_open(&a, &config, &findings) == 0) {
                j = audit_record_new(&r, "b", "h");
                assert(j && audit_append(a, &j, 1, audit_head(a)->commit + 1) == 0);
                json_decref(j);
                audit_free(a);
        }
        audit_findings_deinit(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int dirfd = -1;
        VerifyResult v;

        if (dirfd < 0)
                dirfd = start();
        (void)unlinkat(dirfd, AUDIT_HEAD_FILE, 0);
        (void)unlinkat(dirfd, "audit.jsonl.1", 0);
        fuzz_write(dirfd, "audit.jsonl", data, size);
        for (int turn = 0; turn < 2; turn++) {
                if (audit_verify(path, fuzz_dir(), &v) == 0) {
                        assert(v.fault == VERIFY_INTACT || v.text);
                        verify_result_deinit(&v);
                }
                if (turn == 0)
                        append();
        }
        return 0;
}
