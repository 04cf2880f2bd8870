/*
 * collect - evidence of all processes of a service, and of strangers in its stores
 *
 * Called by the actuator before anything is killed, and while it waits for strangers; in a worker.
 * Guarantees: nothing is changed or signalled; the work has a budget of time and of processes, and what was
 * left out for it is said; unjamd itself is never evidence.
 *
 * Diagnostics: a process that goes while it is read is left out silently, for that is no news; what cannot be
 * read makes the evidence incomplete. Test: tests/unit/test_collect.c.
 */
#include "act/collect.h"

#include "act/procinfo.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUDGET        (2 * USEC_PER_SEC)
#define PROCESSES_MAX 4096
#define FILES_MAX     1024
/* Of the note. The first troubles say it all. */
#define NOTE_MAX 1024

typedef struct Collection {
        const CollectSpec *spec;
        Evidence *evidence;
        ProcReader reader;
        size_t allocated, seen, max_processes;
        usec_t deadline;
} Collection;

static int note_add(Evidence *e, const char *text)
{
        char *grown;

        e->incomplete = true;
        if (e->note && (strlen(e->note) > NOTE_MAX || strstr(e->note, text)))
                return 0;
        if (asprintf(&grown, "%s%s%s", e->note ? e->note : "", e->note ? "; " : "", text) < 0)
                return err_origin(-ENOMEM);
        free(e->note);
        e->note = grown;
        return 0;
}

#define COLLECTION_E_ENOUGH 1 /* the budget is spent */

/* Before each process. Return: 0, COLLECTION_E_ENOUGH, -ECANCELED, -ENOMEM. */
static int collection_check(Collection *c)
{
        const char *enough = NULL;
        int r;

        if (c->spec->cancel && atomic_load(c->spec->cancel))
                return err_origin(-ECANCELED);
        if (c->seen++ >= c->max_processes)
                enough = "there are more processes than are looked at";
        else if (now_read().mono >= c->deadline)
                enough = "the time for collecting was over";
        if (!enough)
                return 0;
        r = note_add(c->evidence, enough);
        return r < 0 ? err_trace(r) : COLLECTION_E_ENOUGH;
}

static int collection_add(Collection *c, const ProcessEvidence *p)
{
        Evidence *e = c->evidence;

        if (e->n_processes == c->allocated) {
                size_t grown = c->allocated == 0 ? 16 : c->allocated * 2;
                ProcessEvidence *list = reallocarray(e->processes, grown, sizeof(ProcessEvidence));

                if (!list)
                        return err_origin(-ENOMEM);
                e->processes = list;
                c->allocated = grown;
        }
        e->processes[e->n_processes++] = *p;
        return 0;
}

/* Is a control group of one of @units on the way to @path? */
static bool path_has_unit(const char *path, char *const *units)
{
        for (size_t i = 0; units[i]; i++) {
                size_t len = strlen(units[i]);

                for (const char *p = path; (p = strchr(p, '/')); p++)
                        if (strncmp(p + 1, units[i], len) == 0 && (p[1 + len] == '/' || p[1 + len] == 0))
                                return true;
        }
        return false;
}

static bool is_outside(const CollectSpec *spec, pid_t pid)
{
        _cleanup_(freep) char *path = NULL;

        if (!spec->units || !spec->units[0])
                return false;
        /* Where nobody can tell it is taken for what the manager says: the service's. */
        return cgroup_of(spec->procfd, pid, &path) == 0 && !path_has_unit(path, spec->units);
}

/* Of a stranger only the files of the stores are evidence; what else it does is its own affair. */
static void keep_covered(const CollectSpec *spec, ProcessEvidence *p)
{
        size_t kept = 0;

        for (size_t i = 0; i < p->n_files; i++) {
                if (spec->covers(spec->userdata, p->files[i].path))
                        p->files[kept++] = p->files[i];
                else
                        free(p->files[i].path);
        }
        p->n_files = kept;
}

/* Reads one process. @id: it must be this very one; NULL for a stranger. */
static int collection_read(Collection *c, int piddirfd, pid_t pid, const ProcId *id)
{
        _cleanup_(process_evidence_deinit) ProcessEvidence p = { 0 };
        _cleanup_(freep) char *note = NULL;
        const char *missing = NULL;
        int r;

        r = process_read(&c->reader, piddirfd, pid, &p, &missing);
        if (r == -ESRCH)
                return 0;
        if (r < 0)
                return err_trace(r);
        if (id && p.id.start != id->start)
                return 0;
        if (r == PROCESS_E_PARTIAL) {
                if (asprintf(&note, "pid %d: %s", (int)pid, missing) < 0) {
                        note = NULL;
                        return err_origin(-ENOMEM);
                }
                r = note_add(c->evidence, note);
                if (r < 0)
                        return err_trace(r);
        }
        p.stranger = !id;
        if (p.stranger)
                keep_covered(c->spec, &p);
        p.outside = p.stranger || is_outside(c->spec, pid);
        r = collection_add(c, &p);
        if (r == 0)
                p = (ProcessEvidence){};
        return err_trace(r);
}

static int collect_service(Collection *c)
{
        int r;

        for (size_t i = 0; i < c->spec->n_processes; i++) {
                const ProcId *id = c->spec->processes + i;
                _cleanup_(closep) int dir = -1;

                r = collection_check(c);
                if (r != 0)
                        return r < 0 ? err_trace(r) : r;
                dir = process_open(c->spec->procfd, id->pid);
                if (dir == -ESRCH)
                        continue;
                if (dir < 0)
                        return err_trace(dir);
                r = collection_read(c, dir, id->pid, id);
                if (r < 0)
                        return err_trace(r);
        }
        return 0;
}

static bool is_of_service(const CollectSpec *spec, pid_t pid)
{
        /* By number alone: a pid that was reused within this moment is looked at the next time. */
        for (size_t i = 0; i < spec->n_processes; i++)
                if (spec->processes[i].pid == pid)
                        return true;
        return pid == getpid();
}

static int collect_stranger(Collection *c, pid_t pid)
{
        const CollectSpec *spec = c->spec;
        _cleanup_(closep) int dir = -1;
        int r;

        dir = process_open(spec->procfd, pid);
        if (dir == -ESRCH)
                return 0;
        if (dir < 0)
                return err_trace(dir);
        r = process_holds(dir, spec->covers, spec->userdata);
        if (r == -EACCES || r == -EPERM)
                return err_trace(note_add(c->evidence, "the files of some other processes may not be read"));
        /* Gone, or a zombie. */
        if (r == 0 || r == -ESRCH)
                return 0;
        if (r < 0)
                return err_trace(r);
        return err_trace(collection_read(c, dir, pid, NULL));
}

static int collect_strangers(Collection *c)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;
        int r = dir_stream_at(c->spec->procfd, ".", &dir);

        if (r < 0)
                return err_origin(r);
        while (r == 0 && (entry = readdir(dir))) {
                long pid = strtol(entry->d_name, NULL, 10);

                if (pid <= 0 || is_of_service(c->spec, (pid_t)pid))
                        continue;
                r = collection_check(c);
                if (r == 0)
                        r = collect_stranger(c, (pid_t)pid);
        }
        return r < 0 ? err_trace(r) : 0;
}

int evidence_collect(const CollectSpec *spec, Evidence *ret)
{
        Now now = now_read();
        Collection c = {
                .spec = spec,
                .evidence = ret,
                .reader = { .procfd = spec->procfd,
                            .max_files = spec->max_files ? spec->max_files : FILES_MAX },
                .max_processes = spec->max_processes ? spec->max_processes : PROCESSES_MAX,
                .deadline = usec_add(now.mono, spec->budget ? spec->budget : BUDGET),
        };
        int r = 0;

        ret->wall = now.wall;
        if (!spec->strangers_only)
                r = collect_service(&c);
        if (r == 0 && spec->covers)
                r = collect_strangers(&c);
        proc_reader_deinit(&c.reader);
        return r < 0 ? err_trace(r) : 0;
}
