/*
 * log_turn - reads a log for a while, in a worker
 *
 * Made by logfile, one turn after the other. What is at the end of its log costs an fstat() for each turn. A
 * log that grows by gigabytes is read in turns of LOG_TURN_BYTES, with those of other logs, and the loop's
 * work, in between.
 *
 * EXACTLY ONCE. What is found gets a number that is never used again. Before it is reported, one replacement
 * of the state file makes durable how far the files were read and what was found up to there (pending); the
 * turn after the report makes durable that it was reported. So after a crash at any moment
 *   - what is before a position was judged, and what was found there is reported or pending: nothing lost;
 *   - what is pending is reported first, under the number and cursor it had: whoever keeps what he hears
 *     knows that he heard it before. Nothing else is reported twice, for positions never go back.
 * Lines in which nothing was found need no such care: reading them twice finds nothing twice. Positions are
 * saved every few seconds otherwise. Where the state cannot be written (a full disk), lines are judged and
 * reported all the same, a gap says so, and a crash then makes them be seen twice.
 *
 * LINES end with a newline. An unfinished one is judged when nothing has come for line_wait, the last words
 * of a process that died; what comes later of it is counted and not matched. So is what a line has beyond
 * line_max. NUL and bytes that are no UTF-8 are bytes like others; the hole that a writer without O_APPEND
 * leaves at the beginning of a truncated file is passed over.
 *
 * GAPS are reported as such: a file that is gone and was not read to its end, lines that were cut, matches
 * that ran into a limit, a state that is damaged, a name that is no regular file.
 *
 * Test: tests/unit/test_logfile.c; tests/crash/test_log_torture.c.
 */
#include "observe/log_turn.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/log_place.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#define TEXT_MAX      ((size_t)1024)
#define TELL_INTERVAL USEC_PER_MIN /* gaps that come in crowds are summed up */
#define POLL_INTERVAL (2 * USEC_PER_SEC)
#define LOOK_AGAIN    (50 * USEC_PER_MSEC)
#define GONE_WAIT     USEC_PER_MIN /* a file without a name may still be written to for as long */
#define IDLE_WAIT     (10 * USEC_PER_MIN)

#define DIR_EVENTS                                                                                           \
        (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* --- what is found --- */

static int hit_add(LogTurn *t, const LogFile *f, const char *data, const LineHit *found)
{
        LogPlace *p = t->place;
        size_t len = found->len < p->line_max ? found->len : p->line_max;
        LogHit *h = log_hits_add(&t->hits);
        RuleCapture capture = {};
        int r = 0;

        if (!h)
                return err_origin(-ENOMEM);
        *h = (LogHit){ .kind = found->cancels ? LOG_CANCELS : LOG_MATCHES,
                       .rule = found->rule,
                       .seq = p->seq++,
                       .wall = now_read().wall };
        h->text = text_to_utf8(data + found->start, len, len < TEXT_MAX ? len : TEXT_MAX);
        if (!h->text || asprintf(&h->cursor, "n=%llu;i=%llu;o=%llu", (unsigned long long)h->seq,
                                 (unsigned long long)f->inode,
                                 (unsigned long long)(log_file_place(f) + found->start)) < 0) {
                h->cursor = NULL;
                return err_origin(-ENOMEM);
        }
        if (!found->cancels)
                r = rules_capture(p->rules, found->rule, data + found->start, len, &capture);
        h->id = capture.id;
        h->pid = capture.pid;
        return err_trace(r);
}

/* Counts what lines that are longer than line_max have beyond that. */
static void count_cut(LogPlace *p, const char *data, size_t len)
{
        size_t at = 0;

        while (len - at > p->line_max) {
                const char *end = memrchr(data + at, '\n', p->line_max + 1);

                if (!end) {
                        end = memchr(data + at, '\n', len - at);
                        p->n_cut += (end ? (size_t)(end - data) : len) - at - p->line_max;
                        if (!end)
                                return;
                }
                at = (size_t)(end + 1 - data);
        }
}

/*
 * Judges lines that stand at log_file_place(), and puts the offset behind those that were judged: all, unless
 * too many matched. Return: 0, or -ENOMEM.
 */
static int lines_judge(LogTurn *t, LogFile *f, const char *data, size_t len)
{
        LogPlace *p = t->place;
        size_t done = len, line = SIZE_MAX;
        LineHit hit;
        int r;

        line_rules_begin(p->lines, data, len, p->line_max);
        while ((r = line_rules_next(p->lines, &hit)) == 0) {
                if (t->hits.n >= LOG_TURN_HITS && hit.start != line) {
                        done = hit.start;
                        t->more = true;
                        break;
                }
                line = hit.start;
                r = hit_add(t, f, data, &hit);
                if (r < 0)
                        return err_trace(r);
        }
        if (r < 0)
                return err_trace(r);
        count_cut(p, data, done);
        p->moved = true;
        return err_trace(log_file_advance(f, data, done));
}

/* --- reading --- */

/* The rest of a line whose beginning was judged, up to its newline. Return: how much of @data it is. */
static size_t rest_len(LogPlace *p, LogFile *f, const char *data, size_t len)
{
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end + 1 - data) : len;

        p->n_cut += n - (end != NULL);
        f->middle = !end;
        return n;
}

/* Has nothing come to the unfinished line at the end of @f for long enough? Else the turn that
 * looks again. */
static bool line_is_due(LogTurn *t, const LogFile *f)
{
        usec_t age = usec_sub(now_read().mono, f->grown), wait = t->place->line_wait;

        if (age >= wait)
                return true;
        if (wait - age < t->wake)
                t->wake = wait - age;
        return false;
}

/* @len bytes at log_file_place(), with @all of what there is. Return: 0 (t->more tells), 1: nothing left now,
 * <0. */
static int block_judge(LogTurn *t, LogFile *f, const char *data, size_t len, bool all)
{
        LogPlace *p = t->place;
        size_t skip = f->middle ? rest_len(p, f, data, len) : 0;
        uint64_t from;
        const char *end;
        int r = log_file_advance(f, data, skip);

        if (r < 0)
                return err_trace(r);
        p->moved |= skip > 0;
        data += skip;
        len -= skip;
        end = len > 0 ? memrchr(data, '\n', len) : NULL;
        if (end) {
                size_t whole = (size_t)(end + 1 - data);

                from = f->offset;
                r = lines_judge(t, f, data, whole);
                if (r < 0 || f->offset - from < whole)
                        return err_trace(r);
                data += whole;
                len -= whole;
        }
        if (len == 0)
                return all;
        if (len <= p->line_max && (!all || !line_is_due(t, f)))
                return all; /* an unfinished line: it is read again */
        /* Longer than what is matched of it, or it has waited: its beginning is judged. */
        from = f->offset;
        r = lines_judge(t, f, data, len);
        f->middle = f->offset > from;
        return r < 0 ? err_trace(r) : (f->offset > from && all);
}

/* Reads @f until its end, the budget's, or the hits'. Return: 0 or a negated errno. */
static int file_read_on(LogTurn *t, LogFile *f)
{
        LogPlace *p = t->place;
        size_t want = LOG_SLICE;

        while (!atomic_load(&t->job.cancel) && p->budget > 0 && t->hits.n < LOG_TURN_HITS) {
                struct stat st;
                uint64_t from = f->offset;
                ssize_t n;
                int r;

                if (fstat(f->fd, &st) < 0)
                        return err_origin(-errno);
                if (!log_file_look(f, &st) && f->size == f->offset)
                        return 0;
                if (f->offset == 0 && (r = log_file_find_hole(f, p->buffer, LOG_SLICE)) < 0)
                        return err_trace(r);
                n = pread(f->fd, p->buffer, want, (off_t)log_file_place(f));
                if (n < 0)
                        return err_origin(-errno);
                r = log_file_check(f);
                if (r == LOG_FILE_E_OTHER) {
                        t->more = t->look = true;
                        return err_trace(log_family_truncated(&p->family, f));
                }
                if (r < 0)
                        return err_trace(r);
                p->budget -= (size_t)n < p->budget ? (size_t)n : p->budget;
                r = block_judge(t, f, p->buffer, (size_t)n, (size_t)n < want);
                if (r < 0)
                        return err_trace(r);
                if (r > 0)
                        return 0;
                want = f->offset == from ? p->room : LOG_SLICE; /* one line is longer than a slice */
        }
        t->more = true;
        return 0;
}

static int by_age(const void *a, const void *b)
{
        const LogFile *x = *(LogFile *const *)a, *y = *(LogFile *const *)b;

        if (x->base != y->base)
                return x->base - y->base;
        return (x->mtime > y->mtime) - (x->mtime < y->mtime);
}

/* The oldest first, and the log itself last: so lines come in their order. */
static int files_read(LogTurn *t)
{
        LogFamily *y = &t->place->family;
        int r = 0;

        if (y->n > 0)
                qsort(y->files, y->n, sizeof(*y->files), by_age);
        for (size_t i = 0; r == 0 && i < y->n && !t->more; i++)
                if (y->files[i]->role == LOG_FILE_READ && y->files[i]->fd >= 0) {
                        r = file_read_on(t, y->files[i]);
                        if (r < 0 && r != -ENOMEM) {
                                log_file_close(y->files[i]); /* it is looked for again */
                                y->files[i]->trusted = false;
                                t->look = true;
                                t->wake = POLL_INTERVAL;
                                r = 0;
                        }
                }
        return err_trace(r);
}

/* --- looking --- */

static void watch_set(LogPlace *p, int fd, uint32_t mask, int *wd)
{
        if (*wd < 0)
                *wd = log_watch_add(p->watch, fd, mask);
        p->poll |= *wd < 0;
}

/* Watches come before reading: what is written after that is heard of. */
static int watches_set(LogTurn *t)
{
        LogPlace *p = t->place;

        p->poll = p->family.dirfd < 0;
        t->wds = calloc(p->family.n + 1, sizeof(*t->wds));
        if (!t->wds)
                return err_origin(-ENOMEM);
        if (p->family.dirfd >= 0) {
                watch_set(p, p->family.dirfd, DIR_EVENTS, &p->dir_wd);
                t->wds[t->n_wds++] = p->dir_wd;
        }
        for (size_t i = 0; i < p->family.n; i++)
                if (p->family.files[i]->fd >= 0) {
                        watch_set(p, p->family.files[i]->fd, IN_MODIFY, &p->family.files[i]->wd);
                        t->wds[t->n_wds++] = p->family.files[i]->wd;
                }
        return 0;
}

/* Files that are done with are closed, so that what was removed leaves the disk. */
static void files_tidy(LogTurn *t)
{
        LogPlace *p = t->place;
        usec_t now = now_read().mono;

        for (size_t i = p->family.n; i-- > 0;) {
                LogFile *f = p->family.files[i];
                usec_t wait = f->name ? IDLE_WAIT : GONE_WAIT, age = usec_sub(now, f->grown);

                if (f->fd < 0 || f->base || f->role != LOG_FILE_READ)
                        continue;
                if (f->offset < f->size || age < wait) {
                        if (f->offset >= f->size && wait - age < t->wake)
                                t->wake = wait - age;
                        continue;
                }
                log_watch_drop(p->watch, f->wd);
                f->wd = -1;
                if (f->name)
                        log_file_close(f);
                else
                        log_family_remove(&p->family, i);
        }
}

/* Those of which nothing was found any more. */
static int ghosts_lay(LogTurn *t)
{
        LogPlace *p = t->place;
        int r = 0;

        for (size_t i = p->family.n; r == 0 && i-- > 0;) {
                const LogFile *g = p->family.files[i];
                uint64_t offset = g->offset;

                if (g->role != LOG_FILE_GHOST)
                        continue;
                p->moved = true;
                if (log_family_lay(&p->family, i))
                        r = log_place_gap(
                                t,
                                "%s: truncated, removed or compressed; what it held after byte %llu is "
                                "not known",
                                p->path, (unsigned long long)offset);
        }
        return err_trace(r);
}

static int family_look(LogTurn *t)
{
        LogPlace *p = t->place;
        dev_t dev = 0;
        ino_t inode = 0;
        struct stat st;
        bool first;
        int r;

        if (p->family.dirfd >= 0 && fstat(p->family.dirfd, &st) == 0) {
                dev = st.st_dev;
                inode = st.st_ino;
        }
        r = log_family_look(&p->family);
        if (r < 0)
                return err_trace(r);
        p->moved = true;
        first = r != LOG_FAMILY_E_NONE && fstat(p->family.dirfd, &st) == 0 &&
                (st.st_dev != dev || st.st_ino != inode);
        if (first) { /* nobody watched it while it was listed */
                log_watch_drop(p->watch, p->dir_wd);
                p->dir_wd = -1;
                t->look = t->more = true;
        } else {
                t->look = r != 0;
        }
        if (r == LOG_FAMILY_E_AGAIN)
                t->wake = LOOK_AGAIN;
        if (p->family.odd && !p->odd)
                r = log_place_gap(t, "%s: is no regular file; a link, FIFO or device is not read", p->path);
        p->odd = p->family.odd;
        if (r == 0)
                r = ghosts_lay(t);
        return r < 0 ? err_trace(r) : 0;
}

/* --- the turn --- */

static int gaps_sum_up(LogTurn *t)
{
        LogPlace *p = t->place;
        uint64_t limited = rules_limited(p->rules);
        usec_t now = now_read().mono;
        int r = 0;

        if (p->n_cut > 0 && (!p->told_cut || usec_sub(now, p->told_cut) >= TELL_INTERVAL)) {
                r = log_place_gap(t, "%s: %llu byte(s) of long or unfinished lines were not matched", p->path,
                                  (unsigned long long)p->n_cut);
                p->n_cut = 0;
                p->told_cut = now;
        }
        if (r == 0 && limited > p->limited &&
            (!p->told_limited || usec_sub(now, p->told_limited) >= TELL_INTERVAL)) {
                r = log_place_gap(t, "%s: %llu match(es) ran into a limit and count as none", p->path,
                                  (unsigned long long)(limited - p->limited));
                p->limited = limited;
                p->told_limited = now;
        }
        if ((p->n_cut > 0 || limited > p->limited) && t->wake > TELL_INTERVAL)
                t->wake = TELL_INTERVAL;
        return err_trace(r);
}

static int turn_work(LogTurn *t)
{
        LogPlace *p = t->place;
        int r;

        t->more = false;
        if (t->look || p->poll) {
                r = family_look(t);
                if (r < 0)
                        return err_trace(r);
        }
        r = watches_set(t);
        if (r == 0 && !t->more)
                r = files_read(t);
        if (r == 0)
                r = gaps_sum_up(t);
        files_tidy(t);
        for (size_t i = 0; i < p->family.n; i++) /* until it is clear what they are */
                t->look |= p->family.files[i]->role == LOG_FILE_COPY ||
                           p->family.files[i]->role == LOG_FILE_GHOST;
        return err_trace(r);
}

int log_turn_run(Job *job)
{
        LogTurn *t = (LogTurn *)job; /* the job is its first member */
        LogPlace *p = t->place;
        int r;

        t->wake = USEC_INFINITY;
        if (!p->loaded)
                return err_trace(log_place_load(t)); /* what is pending is reported before anything else */
        p->budget = LOG_TURN_BYTES;
        p->buffer = malloc(p->room);
        r = p->buffer ? turn_work(t) : err_origin(-ENOMEM);
        free(p->buffer);
        p->buffer = NULL;
        if (r == 0)
                r = log_place_commit(t);
        if (p->poll && t->wake > POLL_INTERVAL)
                t->wake = POLL_INTERVAL;
        return err_trace(r);
}

void log_turn_free(LogTurn *t)
{
        if (!t)
                return;
        log_hits_deinit(&t->hits);
        free(t->wds);
        free(t);
}
