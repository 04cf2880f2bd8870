/*
 * inflight_table - files that the processes of a service have opened
 *
 * Used by inflight. Between incidents it holds little: what is open, and for ten minutes what was open when
 * its process died. After a mark (a trial begins) it keeps every file that is opened, since "opened and
 * closed in good order" clears a message; an hour after the last mark that ends. Beyond INFLIGHT_FILES_MAX
 * files, and when memory runs out, it says overflow: then what it does not know means nothing.
 *
 * A file is known by its file handle. Names change while it is open; the last notice has the last one.
 */
#include "observe/inflight_table.h"

#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Files */

static InflightFile *file_find(const InflightTable *t, uint64_t key)
{
        const uint64_t *index = keymap_get(&t->by_key, key);

        return index ? &t->files[*index] : NULL;
}

static int overflow(InflightTable *t)
{
        t->overflow = true;
        return err_origin(-ENOMEM);
}

static int files_reserve(InflightTable *t)
{
        if (t->n_files < t->allocated)
                return 0;
        size_t n = t->allocated ? 2 * t->allocated : 64;
        InflightFile *bigger = reallocarray(t->files, n, sizeof(*bigger));
        if (!bigger)
                return -ENOMEM;
        t->files = bigger;
        t->allocated = n;
        return 0;
}

static int path_update(InflightFile *f, const char *path)
{
        if (streq_null(f->path, path))
                return 0;
        char *copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        free(f->path);
        f->path = copy;
        return 0;
}

/* Finds or adds. */
static int file_take(InflightTable *t, uint64_t key, const char *path, InflightFile **ret)
{
        InflightFile *f = file_find(t, key);

        if (f) {
                *ret = f;
                return path_update(f, path) < 0 ? overflow(t) : 0;
        }
        if (t->n_files >= INFLIGHT_FILES_MAX || files_reserve(t) < 0)
                return overflow(t);
        InflightFile fresh = { .key = key, .path = strdup(path) };
        uint64_t *index = fresh.path ? keymap_put(&t->by_key, key) : NULL;
        if (!index) {
                free(fresh.path);
                return overflow(t);
        }
        *index = t->n_files;
        t->files[t->n_files] = fresh;
        *ret = &t->files[t->n_files++];
        return 0;
}

/* The last one takes its place. */
static void file_drop(InflightTable *t, InflightFile *f)
{
        InflightFile *last = &t->files[--t->n_files];

        keymap_drop(&t->by_key, f->key);
        free(f->path);
        if (f == last)
                return;
        *f = *last;
        *keymap_get(&t->by_key, f->key) = (uint64_t)(f - t->files);
}

static bool is_recording(const InflightTable *t, usec_t now)
{
        return t->marked > 0 && usec_sub(now, t->marked) < INFLIGHT_RECORD;
}

/* Nothing that somebody will ask for? */
static bool is_spent(const InflightTable *t, const InflightFile *f, usec_t now)
{
        if (f->open > 0 || f->ambiguous || is_recording(t, now))
                return false;
        return !f->at_death || usec_sub(now, f->died) > INFLIGHT_KEEP;
}

/* Processes */

static InflightProcess *process_find(const InflightTable *t, pid_t pid)
{
        for (size_t i = 0; i < t->n_processes; i++)
                if (t->processes[i].pid == pid)
                        return &t->processes[i];
        return NULL;
}

static InflightProcess *process_take(InflightTable *t, pid_t pid)
{
        InflightProcess *p = process_find(t, pid);

        if (p)
                return p;
        InflightProcess *bigger = reallocarray(t->processes, t->n_processes + 1, sizeof(*bigger));
        if (!bigger)
                return NULL;
        t->processes = bigger;
        p = &bigger[t->n_processes++];
        *p = (InflightProcess){ .pid = pid };
        return p;
}

static void process_drop(InflightTable *t, InflightProcess *p)
{
        free(p->closing);
        *p = t->processes[--t->n_processes];
}

/*
 * It goes on working, so what it has closed so far, it closed in good order; but for files whose close may
 * have come later than its notice.
 */
static void closing_settle(InflightTable *t, InflightProcess *p)
{
        size_t left = 0;

        for (size_t i = 0; i < p->n_closing; i++) {
                InflightFile *f = file_find(t, p->closing[i]);
                if (f && f->ambiguous)
                        p->closing[left++] = p->closing[i];
                else if (f)
                        f->closed = true;
        }
        p->n_closing = left;
}

static int closing_add(InflightTable *t, pid_t pid, uint64_t key)
{
        InflightProcess *p = process_take(t, pid);

        if (!p)
                return overflow(t);
        if (p->n_closing == p->allocated) {
                size_t n = p->allocated ? 2 * p->allocated : 8;
                uint64_t *bigger = reallocarray(p->closing, n, sizeof(*bigger));
                if (!bigger)
                        return overflow(t);
                p->closing = bigger;
                p->allocated = n;
        }
        p->closing[p->n_closing++] = key;
        return 0;
}

/* Notices */

int inflight_table_open(InflightTable *t, uint64_t key, const char *path, pid_t pid, usec_t now)
{
        InflightProcess *p = process_find(t, pid);
        InflightFile *f;

        if (p)
                closing_settle(t, p);
        int r = file_take(t, key, path, &f);
        if (r < 0)
                return err_trace(r);
        if (f->open++ == 0)
                f->opened = now;
        f->opener = pid;
        f->ambiguous = false;
        return 0;
}

int inflight_table_close(InflightTable *t, uint64_t key, const char *path, pid_t pid)
{
        InflightFile *f;
        int r = file_take(t, key, path, &f);

        if (r < 0)
                return err_trace(r);
        if (f->open > 0)
                f->open--;
        f->ambiguous = false;
        return closing_add(t, pid, key);
}

int inflight_table_both(InflightTable *t, uint64_t key, const char *path, pid_t pid, usec_t now)
{
        int r = inflight_table_open(t, key, path, pid, now);

        if (r >= 0)
                r = inflight_table_close(t, key, path, pid);
        InflightFile *f = file_find(t, key);
        if (f)
                f->ambiguous = true;
        return r;
}

void inflight_table_alive(InflightTable *t, pid_t pid, usec_t now)
{
        InflightProcess *p = process_find(t, pid);

        if (!p)
                return;
        for (size_t i = 0; i < p->n_closing; i++) {
                InflightFile *f = file_find(t, p->closing[i]);
                if (!f)
                        continue;
                f->closed = true;
                f->ambiguous = false;
                if (is_spent(t, f, now))
                        file_drop(t, f);
        }
        process_drop(t, p);
}

void inflight_table_death(InflightTable *t, pid_t pid, bool clean, usec_t now)
{
        InflightProcess *p = process_find(t, pid);

        if (!p)
                return;
        for (size_t i = 0; i < p->n_closing; i++) {
                InflightFile *f = file_find(t, p->closing[i]);
                if (!f)
                        continue;
                f->ambiguous = false;
                f->closed = f->closed || clean;
                f->at_death = f->at_death || !clean;
                f->died = clean ? f->died : now;
                if (is_spent(t, f, now))
                        file_drop(t, f);
        }
        process_drop(t, p);
}

bool inflight_table_is_closing(const InflightTable *t, pid_t pid)
{
        const InflightProcess *p = process_find(t, pid);

        return p && p->n_closing > 0;
}

const char *inflight_table_of(const InflightTable *t, pid_t pid)
{
        const InflightProcess *p = process_find(t, pid);
        const InflightFile *last = p && p->n_closing > 0 ? file_find(t, p->closing[p->n_closing - 1]) : NULL;

        if (last)
                return last->path;
        for (size_t i = 0; i < t->n_files; i++)
                if (t->files[i].open > 0 && t->files[i].opener == pid)
                        return t->files[i].path;
        return NULL;
}

void inflight_table_mark(InflightTable *t, usec_t now)
{
        t->marked = now;
        t->overflow = false;
        for (size_t i = t->n_files; i > 0; i--) {
                InflightFile *f = &t->files[i - 1];
                f->closed = f->at_death = f->ambiguous = false;
                if (f->open == 0)
                        file_drop(t, f);
        }
        while (t->n_processes > 0)
                process_drop(t, &t->processes[t->n_processes - 1]);
}

usec_t inflight_table_oldest(const InflightTable *t)
{
        usec_t oldest = USEC_INFINITY;

        for (size_t i = 0; i < t->n_files; i++)
                if (t->files[i].open > 0 && t->files[i].opened < oldest)
                        oldest = t->files[i].opened;
        return oldest;
}

void inflight_table_expire(InflightTable *t, usec_t now)
{
        for (size_t i = t->n_files; i > 0; i--)
                if (is_spent(t, &t->files[i - 1], now))
                        file_drop(t, &t->files[i - 1]);
}

void inflight_table_deinit(InflightTable *t)
{
        for (size_t i = 0; i < t->n_files; i++)
                free(t->files[i].path);
        free(t->files);
        keymap_deinit(&t->by_key);
        for (size_t i = 0; i < t->n_processes; i++)
                free(t->processes[i].closing);
        free(t->processes);
        *t = (InflightTable){ 0 };
}
