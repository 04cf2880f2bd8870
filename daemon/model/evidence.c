/*
 * evidence - what was seen, as a record
 *
 * The actuator fills Evidence and CauseResult, the engine records and drops them. Text from processes and
 * logs may be any bytes; it is made UTF-8 here, and paths of open files keep their exact form beside it, for
 * they name messages. Fails only for want of memory: then the JSON is NULL. Test: tests/unit/test_evidence.c.
 */
#include "model/evidence.h"

#include "model/json.h"
#include "model/words.h"

#include <stdlib.h>

void process_evidence_deinit(ProcessEvidence *p)
{
        for (size_t i = 0; p->files && i < p->n_files; i++)
                free(p->files[i].path);
        free(p->files);
        free(p->name);
        free(p->command);
        free(p->exe);
        free(p->wchan);
        free(p->syscall);
        free(p->why);
        *p = (ProcessEvidence){};
}

void evidence_deinit(Evidence *e)
{
        for (size_t i = 0; e->processes && i < e->n_processes; i++)
                process_evidence_deinit(e->processes + i);
        for (size_t i = 0; e->lines && i < e->n_lines; i++)
                free(e->lines[i].text);
        free(e->processes);
        free(e->lines);
        free(e->note);
        *e = (Evidence){};
}

static json_t *time_to_json(usec_t wall)
{
        char buf[USEC_RFC3339_MAX];

        return json_string(usec_rfc3339(buf, wall));
}

static json_t *open_file_to_json(const OpenFile *f)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (json_set(j, "fd", json_integer(f->fd)) < 0 ||
            json_set_bytes(j, "path", f->path ? f->path : "") < 0 ||
            json_set(j, "deleted", json_boolean(f->deleted)) < 0 ||
            json_set(j, "write", json_boolean(f->write)) < 0 ||
            json_set(j, "dev", json_integer((json_int_t)f->dev)) < 0 ||
            json_set(j, "inode", json_integer((json_int_t)f->inode)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static json_t *open_files_to_json(const ProcessEvidence *p)
{
        json_t *list = json_array();

        for (size_t i = 0; list && i < p->n_files; i++)
                if (json_array_append_new(list, open_file_to_json(p->files + i)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

static int process_set_text(json_t *j, const ProcessEvidence *p)
{
        char state[2] = { p->state, '\0' };

        if (json_set(j, "state", json_from_text(state)) < 0 ||
            json_set(j, "name", json_from_text(p->name)) < 0 ||
            json_set(j, "command", json_from_text(p->command)) < 0 ||
            json_set(j, "exe", json_from_text(p->exe)) < 0 ||
            json_set(j, "wchan", json_from_text(p->wchan)) < 0 ||
            json_set(j, "syscall", json_from_text(p->syscall)) < 0)
                return -ENOMEM;
        return 0;
}

static json_t *process_to_json(const ProcessEvidence *p)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (process_set_text(j, p) < 0 || json_set(j, "pid", json_integer(p->id.pid)) < 0 ||
            json_set(j, "start", json_integer((json_int_t)p->id.start)) < 0 ||
            json_set(j, "parent", json_integer(p->parent)) < 0 ||
            json_set(j, "uid", json_integer(p->uid)) < 0 ||
            json_set(j, "cpu_ms", json_integer((json_int_t)(p->cpu / USEC_PER_MSEC))) < 0 ||
            json_set(j, "io_bytes", json_integer((json_int_t)p->io_bytes)) < 0 ||
            json_set(j, "switches", json_integer((json_int_t)p->switches)) < 0 ||
            json_set(j, "outside", json_boolean(p->outside)) < 0 ||
            json_set(j, "stranger", json_boolean(p->stranger)) < 0 ||
            json_set(j, "files", open_files_to_json(p)) < 0 ||
            json_set(j, "sockets", json_integer(p->n_sockets)) < 0 ||
            json_set(j, "zombies", json_integer(p->zombies)) < 0 ||
            json_set(j, "remote", json_boolean(p->remote)) < 0 ||
            json_set(j, "verdict", json_string(process_verdict_to_string(p->verdict))) < 0 ||
            json_set(j, "why", json_from_text(p->why)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static json_t *processes_to_json(const Evidence *e)
{
        json_t *list = json_array();

        for (size_t i = 0; list && i < e->n_processes; i++)
                if (json_array_append_new(list, process_to_json(e->processes + i)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

static json_t *line_to_json(const LogLine *l)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (json_set(j, "time", time_to_json(l->wall)) < 0 || json_set(j, "pid", json_integer(l->pid)) < 0 ||
            json_set(j, "priority", json_integer(l->priority)) < 0 ||
            json_set(j, "text", json_from_text(l->text)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static json_t *lines_to_json(const Evidence *e)
{
        json_t *list = json_array();

        for (size_t i = 0; list && i < e->n_lines; i++)
                if (json_array_append_new(list, line_to_json(e->lines + i)) < 0) {
                        json_decref(list);
                        return NULL;
                }
        return list;
}

json_t *evidence_to_json(const Evidence *e)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (json_set(j, "time", time_to_json(e->wall)) < 0 ||
            json_set(j, "processes", processes_to_json(e)) < 0 ||
            json_set(j, "lines", lines_to_json(e)) < 0 ||
            json_set(j, "incomplete", json_boolean(e->incomplete)) < 0 ||
            json_set(j, "note", json_from_text(e->note)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

void cause_result_deinit(CauseResult *c)
{
        free(c->detail);
        free(c->advice);
        *c = (CauseResult){};
}

json_t *cause_result_to_json(const CauseResult *c)
{
        json_t *j = json_object();

        if (!j)
                return NULL;
        if (json_set(j, "cause", json_from_text(cause_kind_to_string((CauseKind)c->kind))) < 0 ||
            json_set(j, "effect", json_from_text(cause_effect_to_string((CauseEffect)c->effect))) < 0 ||
            /* One of unjamd's own has no number in the configuration. */
            json_set(j, "check", c->check == SIZE_MAX ? json_null() : json_integer((json_int_t)c->check)) <
                    0 ||
            json_set(j, "found", json_boolean(c->found)) < 0 ||
            json_set(j, "known", json_boolean(c->known)) < 0 ||
            json_set(j, "detail", json_from_text(c->detail)) < 0 ||
            json_set(j, "advice", json_from_text(c->advice)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}
