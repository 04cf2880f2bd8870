/*
 * spool_report - what a call on the spool says: errors, paths that were left alone, counts, progress
 *
 * Used by every spool_*.c. The report goes into the audit record, so paths are UTF-8 in it (and exact beside
 * it), and a million of refused files do not make a record of a million lines. All of it is best effort: for
 * want of memory a note may be lost, an error code never is. A NULL report is fine everywhere. Test:
 * tests/unit/test_spool_report.c.
 */
#include "act/spool_private.h"

#include "model/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @dir/@path, or one of them. NULL on ENOMEM. */
static char *whole_path(const char *dir, const char *path)
{
        char *s = NULL;

        if (!dir || !path || !*path)
                return strdup(dir ? dir : path ? path : "");
        return asprintf(&s, "%s/%s", dir, path) < 0 ? NULL : s;
}

int spool_fail(SpoolReport *report, int r, const char *what, const char *dir, const char *path)
{
        _cleanup_(freep) char *whole = whole_path(dir, path), *shown = NULL;
        const char *why = strerrordesc_np(-r);

        if (!report || report->detail)
                return r;
        if (whole)
                shown = text_percent_encode(whole, strlen(whole));
        if (asprintf(&report->detail, "%s %s: %s", what, shown ? shown : "?", why ? why : "?") < 0)
                report->detail = NULL;
        return r;
}

/* The object under @key, made if it is missing; borrowed. NULL on ENOMEM. */
static json_t *note_object(json_t *data, const char *key)
{
        json_t *note = json_object_get(data, key);

        if (note)
                return note;
        note = json_pack("{s:i,s:[]}", "count", 0, "paths");
        return json_set(data, key, note) < 0 ? NULL : note;
}

void spool_note(SpoolReport *report, const char *key, const char *dir, const char *path, int error)
{
        _cleanup_(freep) char *whole = NULL;
        json_t *note, *paths, *entry;

        if (!report || !report->data)
                return;
        note = note_object(report->data, key);
        if (!note)
                return;
        (void)json_set(note, "count", json_integer(json_integer_value(json_object_get(note, "count")) + 1));
        paths = json_object_get(note, "paths");
        if (json_array_size(paths) >= SPOOL_NOTES_MAX)
                return;
        whole = whole_path(dir, path);
        entry = whole ? json_object() : NULL;
        if (!entry)
                return;
        (void)json_set_bytes(entry, "path", whole);
        if (error < 0) {
                const char *why = strerrordesc_np(-error);

                (void)json_set(entry, "error", json_string(why ? why : "?"));
        }
        (void)json_array_append_new(paths, entry);
}

void spool_count(SpoolReport *report, const char *key, uint64_t n)
{
        if (!report || !report->data)
                return;
        (void)json_set(report->data, key,
                       json_integer(json_integer_value(json_object_get(report->data, key)) + (json_int_t)n));
}

bool spool_was_still(const SpoolReport *report, const struct timespec *mtime)
{
        return report && report->still_at.tv_sec > 0 && !spool_is_young(mtime, &report->still_at);
}

bool spool_cancelled(const SpoolReport *report)
{
        return report && report->job && atomic_load(&report->job->cancel);
}

void spool_progress(SpoolReport *report, uint64_t done)
{
        if (report && report->job)
                atomic_fetch_add(&report->job->progress, done);
}

void spool_expect(SpoolReport *report, uint64_t total)
{
        if (report && report->job)
                atomic_fetch_add(&report->job->total, total);
}
