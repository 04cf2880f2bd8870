/*
 * log_lines - the last words of a service, from the journal
 *
 * Called by the actuator in a worker: the journal is files, and reading them waits for a disk. Guarantees: a
 * line counts by the fields that journald sets (_SYSTEMD_UNIT, _PID), or, for what PID 1 says of a unit, by
 * UNIT from _PID=1; nobody can put words into the mouth of a service. Text is valid UTF-8 and bounded.
 *
 * Diagnostics: without a journal there are no lines, and the evidence says so. Test:
 * tests/unit/test_log_lines.c.
 */
#include "act/collect.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-journal.h>

#define LINES_MAX 50
#define TEXT_MAX  8192
#define PIDS_MAX  256

static int match_add(sd_journal *j, const char *field, const char *value)
{
        _cleanup_(freep) char *match = NULL;

        if (asprintf(&match, "%s=%s", field, value) < 0) {
                match = NULL;
                return err_origin(-ENOMEM);
        }
        return err_trace(sd_journal_add_match(j, match, 0));
}

/* Matches of one field are alternatives; groups are, too, with a disjunction between them. */
static int units_match(sd_journal *j, char *const *units)
{
        int r = 0;

        for (size_t i = 0; r == 0 && units[i]; i++)
                r = match_add(j, "_SYSTEMD_UNIT", units[i]);
        if (r == 0)
                r = sd_journal_add_disjunction(j);
        if (r == 0)
                r = match_add(j, "_PID", "1");
        for (size_t i = 0; r == 0 && units[i]; i++)
                r = match_add(j, "UNIT", units[i]);
        return err_trace(r);
}

static int processes_match(sd_journal *j, const ProcId *processes, size_t n)
{
        char pid[16];
        int r = 0;

        for (size_t i = 0; r == 0 && i < n && i < PIDS_MAX; i++) {
                snprintf(pid, sizeof(pid), "%d", (int)processes[i].pid);
                r = match_add(j, "_PID", pid);
        }
        return err_trace(r);
}

static int journal_open(const LogSpec *spec, sd_journal **ret)
{
        sd_journal *j = NULL;
        bool units = spec->units && spec->units[0];
        int r;

        if (spec->files)
                r = sd_journal_open_files(&j, (const char **)spec->files, 0);
        else
                r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return err_origin(r);
        r = sd_journal_set_data_threshold(j, TEXT_MAX + strlen("MESSAGE="));
        if (r >= 0 && units)
                r = units_match(j, spec->units);
        if (r >= 0 && units && spec->n_processes > 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = processes_match(j, spec->processes, spec->n_processes);
        if (r >= 0)
                r = sd_journal_seek_tail(j);
        if (r < 0) {
                sd_journal_close(j);
                return err_trace(r);
        }
        *ret = j;
        return 0;
}

/* A field that holds a number, or @otherwise. */
static int number_field(sd_journal *j, const char *field, int otherwise)
{
        const void *data;
        char text[16];
        size_t len, skip = strlen(field) + 1;

        if (sd_journal_get_data(j, field, &data, &len) < 0 || len <= skip || len - skip >= sizeof(text))
                return otherwise;
        memcpy(text, (const char *)data + skip, len - skip);
        text[len - skip] = 0;
        return (int)strtol(text, NULL, 10);
}

/* The entry at which the journal stands. */
static int line_read(sd_journal *j, usec_t wall, LogLine *ret)
{
        const void *data;
        const char *text = "";
        size_t len = 0, skip = strlen("MESSAGE=");
        char *copy;

        if (sd_journal_get_data(j, "MESSAGE", &data, &len) >= 0 && len >= skip) {
                text = (const char *)data + skip;
                len -= skip;
        } else {
                len = 0;
        }
        copy = text_to_utf8(text, len, TEXT_MAX);
        if (!copy)
                return err_origin(-ENOMEM);
        *ret = (LogLine){
                .wall = wall,
                .pid = number_field(j, "_PID", 0),
                .priority = number_field(j, "PRIORITY", 6),
                .text = copy,
        };
        return 0;
}

/* From the end backwards; the caller turns them round. */
static int lines_read(sd_journal *j, const LogSpec *spec, size_t max, LogLine *lines, size_t *n)
{
        int r = 0;

        while (*n < max && (r = sd_journal_previous(j)) > 0) {
                usec_t wall;

                if (sd_journal_get_realtime_usec(j, &wall) < 0)
                        continue;
                if (wall < spec->since)
                        break;
                r = line_read(j, wall, lines + *n);
                if (r < 0)
                        return err_trace(r);
                ++*n;
        }
        return r < 0 ? err_origin(r) : 0;
}

static void lines_turn_round(LogLine *lines, size_t n)
{
        for (size_t i = 0; i < n / 2; i++) {
                LogLine l = lines[i];

                lines[i] = lines[n - 1 - i];
                lines[n - 1 - i] = l;
        }
}

/* The evidence lacks its lines, and says why. */
static int lines_missing(Evidence *e, int error)
{
        char *note;

        if (error == -ENOMEM)
                return err_trace(error);
        if (asprintf(&note, "%s%sthe journal could not be read: %s", e->note ? e->note : "",
                     e->note ? "; " : "", strerror(-error)) < 0)
                return err_origin(-ENOMEM);
        free(e->note);
        e->note = note;
        e->incomplete = true;
        return 0;
}

int evidence_log_lines(Evidence *e, const LogSpec *spec)
{
        size_t max = spec->max_lines ? spec->max_lines : LINES_MAX, n = 0;
        LogLine *lines;
        sd_journal *j;
        int r;

        /* Without a match, the journal would give the lines of everybody. */
        if ((!spec->units || !spec->units[0]) && spec->n_processes == 0)
                return 0;
        lines = reallocarray(e->lines, e->n_lines + max, sizeof(LogLine));
        if (!lines)
                return err_origin(-ENOMEM);
        e->lines = lines;
        lines += e->n_lines;
        r = journal_open(spec, &j);
        if (r < 0)
                return err_trace(lines_missing(e, r));
        r = lines_read(j, spec, max, lines, &n);
        sd_journal_close(j);
        lines_turn_round(lines, n);
        e->n_lines += n;
        return r < 0 ? err_trace(lines_missing(e, r)) : 0;
}
