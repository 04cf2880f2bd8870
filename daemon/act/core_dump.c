/*
 * core_dump - what systemd-coredump saw of processes that dumped core
 *
 * Called by the actuator in a worker: the journal is files, and reading them waits for a disk. Guarantees:
 * only entries that root wrote count, for anybody may write COREDUMP_* fields of his own; text is bounded;
 * nothing of the core itself is read. The open files of a dead process are evidence like those of a living
 * one: its entry has the state X.
 *
 * systemd-coredump writes its entry when it is done with the core, which may be some time after the unit
 * has failed.
 *
 * Diagnostics: without a journal there are none, and that is no error: not every host has systemd-coredump.
 * Test: tests/unit/test_core_dump.c.
 */
#include "act/core_dump.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

#define MESSAGE_CORE_DUMP "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1"
#define DUMPS_MAX         16
#define FILES_MAX         1024
#define FIELD_MAX         (1024 * 1024)

/* A field of the entry as text. NULL: it has none, or there is no memory. */
static char *field(sd_journal *j, const char *name)
{
        size_t len, skip = strlen(name) + 1;
        const void *data;

        if (sd_journal_get_data(j, name, &data, &len) < 0 || len < skip)
                return NULL;
        return strndup((const char *)data + skip, len - skip);
}

static long number(sd_journal *j, const char *name)
{
        _cleanup_(freep) char *text = field(j, name);

        return text ? strtol(text, NULL, 10) : 0;
}

static int file_add(ProcessEvidence *p, int fd, const char *path, size_t len)
{
        static const char suffix[] = " (deleted)";
        size_t cut = strlen(suffix);
        OpenFile *bigger = reallocarray(p->files, p->n_files + 1, sizeof(*bigger));
        bool deleted = len > cut && memcmp(path + len - cut, suffix, cut) == 0;
        char *copy;

        if (!bigger)
                return err_origin(-ENOMEM);
        p->files = bigger;
        copy = strndup(path, deleted ? len - cut : len);
        if (!copy)
                return err_origin(-ENOMEM);
        p->files[p->n_files++] = (OpenFile){ .fd = fd, .path = copy, .deleted = deleted };
        return 0;
}

/* How it was opened: "flags:\t0100002", octal as in /proc/PID/fdinfo. */
static void flags_take(ProcessEvidence *p, const char *line)
{
        unsigned long flags;

        if (p->n_files == 0 || strncmp(line, "flags:", 6) != 0)
                return;
        flags = strtoul(line + 6, NULL, 8);
        p->files[p->n_files - 1].write = (flags & O_ACCMODE) != O_RDONLY;
}

/*
 * Blocks, with an empty line between them: "FD:PATH", then the lines of fdinfo. A path with a line break in
 * it is cut there, and then is no message's.
 */
int core_dump_files(ProcessEvidence *p, const char *text)
{
        bool first = true, file = false;

        for (const char *line = text; *line;) {
                size_t len = strcspn(line, "\n");
                char *colon;
                long fd = strtol(line, &colon, 10);

                if (len == 0) {
                        first = true;
                } else if (first) {
                        first = false;
                        file = isdigit((unsigned char)*line) && colon[0] == ':' && colon[1] == '/' &&
                               p->n_files < FILES_MAX;
                        if (file && file_add(p, (int)fd, colon + 1, len - (size_t)(colon + 1 - line)) < 0)
                                return err_origin(-ENOMEM);
                } else if (file) {
                        flags_take(p, line);
                }
                line += len + (line[len] == '\n');
        }
        return 0;
}

/* The entry at which the journal stands. */
static int dump_read(sd_journal *j, ProcessEvidence *p)
{
        _cleanup_(freep) char *files = field(j, "COREDUMP_OPEN_FDS");

        p->id.pid = (pid_t)number(j, "COREDUMP_PID");
        p->uid = (uid_t)number(j, "COREDUMP_UID");
        p->state = 'X';
        p->name = field(j, "COREDUMP_COMM");
        p->exe = field(j, "COREDUMP_EXE");
        p->command = field(j, "COREDUMP_CMDLINE");
        if (asprintf(&p->why, "dumped core by signal %ld; what it had open is systemd-coredump's word",
                     number(j, "COREDUMP_SIGNAL")) < 0) {
                p->why = NULL;
                return err_origin(-ENOMEM);
        }
        return files ? err_trace(core_dump_files(p, files)) : 0;
}

static int match_units(sd_journal *j, char *const *units)
{
        int r = sd_journal_add_match(j, MESSAGE_CORE_DUMP, 0);

        if (r >= 0)
                r = sd_journal_add_match(j, "_UID=0", 0);
        for (size_t i = 0; r >= 0 && units[i]; i++) {
                _cleanup_(freep) char *match = NULL;

                if (asprintf(&match, "COREDUMP_UNIT=%s", units[i]) < 0) {
                        match = NULL;
                        return err_origin(-ENOMEM);
                }
                r = sd_journal_add_match(j, match, 0);
        }
        return r < 0 ? err_origin(r) : 0;
}

static int dumps_read(sd_journal *j, const LogSpec *spec, Evidence *e)
{
        int r;

        for (unsigned n = 0; n < DUMPS_MAX && (r = sd_journal_previous(j)) > 0; n++) {
                ProcessEvidence *bigger;
                usec_t wall;

                if (sd_journal_get_realtime_usec(j, &wall) < 0 || wall < spec->since)
                        break;
                bigger = reallocarray(e->processes, e->n_processes + 1, sizeof(*bigger));
                if (!bigger)
                        return err_origin(-ENOMEM);
                e->processes = bigger;
                e->processes[e->n_processes] = (ProcessEvidence){ 0 };
                /* Counted first: what is read of it so far is freed with the evidence. */
                r = dump_read(j, &e->processes[e->n_processes++]);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

int evidence_core_dumps(Evidence *e, const LogSpec *spec)
{
        sd_journal *j = NULL;
        int r;

        if (!spec->units || !spec->units[0])
                return 0;
        r = spec->files ? sd_journal_open_files(&j, (const char **)spec->files, 0)
                        : sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r == -ENOMEM ? err_origin(r) : 0;
        r = sd_journal_set_data_threshold(j, FIELD_MAX);
        if (r >= 0)
                r = match_units(j, spec->units);
        if (r >= 0)
                r = sd_journal_seek_tail(j);
        if (r >= 0)
                r = dumps_read(j, spec, e);
        sd_journal_close(j);
        return r == -ENOMEM ? err_trace(r) : 0;
}
