/*
 * recorder_findings - what the recorder found when it opened its files, for people
 *
 * Used by recorder_disk.c for the record, and by main.c for the log. Test: tests/unit/test_recorder_disk.c.
 */
#include "record/recorder_disk.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

void recorder_findings_deinit(RecorderFindings *f)
{
        audit_findings_deinit(&f->audit);
        f->damaged = strv_free(f->damaged);
        *f = (RecorderFindings){ 0 };
}

char *recorder_findings_describe(const RecorderFindings *f)
{
        _cleanup_(freep) char *damaged = strv_join(f->damaged, " ");
        char *text = NULL;
        int n;

        if (f->audit.missing_to > 0)
                n = asprintf(&text,
                             "audit records %" PRIu64 " to %" PRIu64
                             " are gone: they were written and are not in the "
                             "trail any more",
                             f->audit.missing_from, f->audit.missing_to);
        else if (f->audit.cut > 0)
                n = asprintf(&text, "a torn end of %" PRIu64 " bytes was cut off the audit trail",
                             f->audit.cut);
        else if (f->audit.head_lost)
                n = asprintf(&text,
                             "the head of the audit trail (%s) was lost; it was made anew from the trail",
                             AUDIT_HEAD_FILE);
        else if (damaged && f->damaged)
                n = asprintf(&text, "damaged state files, not used: %s", damaged);
        else
                return NULL;
        return n < 0 ? NULL : text;
}
