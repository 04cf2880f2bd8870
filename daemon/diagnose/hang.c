/*
 * hang - which processes of a service are hung, and what else explains that one is silent
 *
 * The diagnosis feeds it with looks at the processes, some while apart, as long as something is suspicious.
 * What a process did between two looks is the difference of its counters; what it did not do for longer than
 * the limit is what a verdict is made of. The limit is stall.after, which is above the longest timeout of the
 * server's protocols: who waits that long waits for nothing that will come.
 *
 *   stopped   state T or t for the limit
 *   spin      every look found that it had used a tenth of the time or more, and moved no byte, for the limit
 *   deadlock  no CPU time, no byte moved, no context switch for the limit, and so it is with all that descend
 *             from it: who waits for a child that works or waits for another host does the same
 *   disk      state D at two looks, and nothing done in between
 *   pressure  ready to run, and no CPU time since the last look
 *   network   it waits on a socket that is connected to another host, or being connected
 *   frozen    its control group is frozen
 *
 * State D, a wait for another host, frozen: the time in them counts for nothing, silence begins anew after
 * it. A process that has been seen for less than the limit is working: nobody can tell yet.
 *
 * Of the service as a whole, when mail waits and none moves, the store has proved the silence; so a quarter
 * of the limit is enough for a word on it. A stopped process counts whether it holds a message or not (a
 * queue manager holds none). A client of its own that a process waits for explains its silence if it holds
 * a message, else it is what idle servers do. Pressure on memory and disks explains the silence of a
 * service of which no process is hung.
 *
 * Fails only for want of memory. Test: tests/unit/test_hang.c.
 */
#include "diagnose/hang.h"

#include "base/error.h"
#include "base/text.h"
#include "diagnose/symptom.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURN_PART     10   /* a tenth of the time is burning */
#define MEMORY_TIGHT  2000 /* hundredths of a percent, "full" over ten seconds */
#define DISK_TIGHT    5000
#define SERVICE_PART  4 /* of the limit, when the store itself stands still */
#define ANCESTORS_MAX 64

void hang_init(HangWatch *w, usec_t limit)
{
        *w = (HangWatch){ .limit = limit };
}

static void track_deinit(HangTrack *t)
{
        free(t->file);
}

void hang_clear(HangWatch *w)
{
        for (size_t i = 0; i < w->n; i++)
                track_deinit(&w->tracks[i]);
        w->n = 0;
        w->at = 0;
}

void hang_deinit(HangWatch *w)
{
        hang_clear(w);
        free(w->tracks);
        *w = (HangWatch){};
}

/* --- what was seen --- */

static HangTrack *track_find(const HangWatch *w, const ProcId *id)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->tracks[i].id.pid == id->pid && w->tracks[i].id.start == id->start)
                        return &w->tracks[i];
        return NULL;
}

static HangTrack *track_add(HangWatch *w, const ProcessSample *s, usec_t at)
{
        if (w->n == w->allocated) {
                size_t n = w->allocated ? 2 * w->allocated : 16;
                HangTrack *bigger = reallocarray(w->tracks, n, sizeof(*bigger));

                if (!bigger)
                        return NULL;
                w->tracks = bigger;
                w->allocated = n;
        }
        HangTrack *t = &w->tracks[w->n++];
        *t = (HangTrack){ .id = s->id, .first = at, .still = at };
        t->cpu = s->cpu;
        t->io_bytes = s->io_bytes;
        t->switches = s->switches;
        return t;
}

static int track_hold(HangTrack *t, const ProcessSample *s, usec_t at)
{
        if (!streq_null(t->file, s->file)) {
                free(t->file);
                t->file = s->file ? strdup(s->file) : NULL;
                if (s->file && !t->file)
                        return err_origin(-ENOMEM);
                t->held = s->file ? at : 0;
                t->burning = 0; /* another message: it has led somewhere */
        }
        if (t->file && s->held > 0 && s->held < t->held)
                t->held = s->held;
        return 0;
}

static void since(usec_t *t, bool is_so, usec_t at)
{
        if (!is_so)
                *t = 0;
        else if (*t == 0)
                *t = at;
}

/* What it did since the last look, at @before. */
static void track_advance(HangTrack *t, const ProcessSample *s, usec_t before, usec_t at)
{
        usec_t used = usec_sub(s->cpu, t->cpu);
        bool moved = s->io_bytes != t->io_bytes;
        bool acted = used > 0 || moved || s->switches != t->switches;
        bool burns = !moved && used > 0 && used >= usec_sub(at, before) / BURN_PART;
        bool excused = s->state == 'D' || s->peer || s->frozen;

        if (acted || excused)
                t->still = at;
        if (burns && t->burning == 0)
                t->burning_cpu = t->cpu;
        since(&t->burning, burns, before);
        since(&t->stopped, (s->state == 'T' || s->state == 't') && !s->frozen, at);
        since(&t->disk, s->state == 'D' && !acted, before);
        t->starved = s->state == 'R' && !acted;
        t->cpu = s->cpu;
        t->io_bytes = s->io_bytes;
        t->switches = s->switches;
}

static int track_take(HangWatch *w, const ProcessSample *s, usec_t at)
{
        HangTrack *t = track_find(w, &s->id);

        if (t)
                track_advance(t, s, w->at, at);
        else if (!(t = track_add(w, s, at)))
                return err_origin(-ENOMEM);
        else
                since(&t->stopped, (s->state == 'T' || s->state == 't') && !s->frozen, at);
        t->seen = true;
        t->parent = s->parent;
        t->tracer = s->tracer;
        t->state = s->state;
        t->frozen = s->frozen;
        t->accepted = s->accepted;
        text_copy(t->name, sizeof(t->name), s->name);
        text_copy(t->wait, sizeof(t->wait), s->wait);
        text_copy(t->peer, sizeof(t->peer), s->peer);
        return track_hold(t, s, at);
}

int hang_feed(HangWatch *w, const ProcessesStatus *s)
{
        int r = 0;

        for (size_t i = 0; i < w->n; i++)
                w->tracks[i].seen = false;
        for (size_t i = 0; i < s->n && r == 0; i++)
                r = track_take(w, &s->list[i], s->at);
        for (size_t i = w->n; i > 0; i--)
                if (!w->tracks[i - 1].seen) {
                        track_deinit(&w->tracks[i - 1]);
                        w->tracks[i - 1] = w->tracks[--w->n];
                }
        w->at = s->at;
        w->pressure = s->pressure;
        return r;
}

/* --- what it means --- */

/* Has it been so for @limit? */
static bool lasts(const HangWatch *w, usec_t begin, usec_t limit)
{
        return begin > 0 && usec_sub(w->at, begin) >= limit;
}

/* By itself, whatever its children do. */
static ProcessVerdict track_judge(const HangWatch *w, const HangTrack *t, usec_t limit)
{
        if (t->frozen)
                return PROCESS_FROZEN;
        if (t->state == 'Z' || t->state == 'X')
                return PROCESS_WORKING; /* it is dead, which is another matter */
        if (t->stopped > 0)
                return lasts(w, t->stopped, limit) ? PROCESS_STOPPED : PROCESS_WORKING;
        if (t->disk > 0)
                return PROCESS_DISK;
        if (t->starved)
                return PROCESS_PRESSURE;
        if (t->peer[0])
                return PROCESS_NETWORK;
        if (lasts(w, t->burning, limit))
                return PROCESS_SPIN;
        return lasts(w, t->still, limit) ? PROCESS_DEADLOCK : PROCESS_WORKING;
}

static bool descends(const HangWatch *w, const HangTrack *t, const HangTrack *from)
{
        for (unsigned n = 0; n < ANCESTORS_MAX; n++) {
                const HangTrack *up = NULL;

                if (t->parent == from->id.pid)
                        return true;
                for (size_t i = 0; i < w->n && !up; i++)
                        if (w->tracks[i].id.pid == t->parent)
                                up = &w->tracks[i];
                if (!up)
                        return false;
                t = up;
        }
        return false;
}

/* With what descends from it: it may wait for that. */
static ProcessVerdict track_verdict(const HangWatch *w, const HangTrack *t, usec_t limit)
{
        ProcessVerdict v = track_judge(w, t, limit);

        if (v != PROCESS_DEADLOCK)
                return v;
        for (size_t i = 0; i < w->n; i++) {
                const HangTrack *child = &w->tracks[i];
                ProcessVerdict of_child;

                if (child == t || child->state == 'Z' || !descends(w, child, t))
                        continue;
                of_child = track_judge(w, child, limit);
                if (!process_verdict_is_hang(of_child))
                        return of_child;
        }
        return v;
}

/* Which of two hangs says more. */
static unsigned rank(ProcessVerdict v)
{
        switch (v) {
        case PROCESS_STOPPED:
                return 3;
        case PROCESS_SPIN:
                return 2;
        case PROCESS_DEADLOCK:
                return 1;
        case PROCESS_WORKING:
        case PROCESS_DISK:
        case PROCESS_PRESSURE:
        case PROCESS_NETWORK:
        case PROCESS_FROZEN:
        case _PROCESS_VERDICT_MAX:
        case _PROCESS_VERDICT_INVALID:
                break;
        }
        return 0;
}

const HangTrack *hang_holder(const HangWatch *w, ProcessVerdict *ret)
{
        const HangTrack *found = NULL;

        *ret = PROCESS_WORKING;
        for (size_t i = 0; i < w->n; i++) {
                const HangTrack *t = &w->tracks[i];
                ProcessVerdict v;

                if (!t->file || !lasts(w, t->held, w->limit))
                        continue;
                v = track_verdict(w, t, w->limit);
                if (rank(v) > rank(*ret)) {
                        *ret = v;
                        found = t;
                }
        }
        return found;
}

static bool any_holder(const HangWatch *w)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->tracks[i].file)
                        return true;
        return false;
}

/* Does an excuse of this process excuse the service? */
static bool excuses(const HangTrack *t, ProcessVerdict v)
{
        return process_verdict_excuse(v) != REASON_NONE && (v != PROCESS_NETWORK || t->file || !t->accepted);
}

ProcessVerdict hang_service(const HangWatch *w, const HangTrack **ret)
{
        usec_t limit = w->limit / SERVICE_PART;
        const HangTrack *hung = NULL, *excused = NULL;
        ProcessVerdict worst = PROCESS_WORKING, excuse = PROCESS_WORKING;
        bool holders = any_holder(w), all_still = w->n > 0;

        for (size_t i = 0; i < w->n; i++) {
                const HangTrack *t = &w->tracks[i];
                ProcessVerdict v = track_verdict(w, t, limit);

                all_still = all_still && (v == PROCESS_DEADLOCK || t->state == 'Z');
                /* An idle process is still as well: what does not hold a message proves nothing by that. */
                if (rank(v) > rank(worst) && (v == PROCESS_STOPPED || t->file)) {
                        worst = v;
                        hung = t;
                }
                if ((t->file || !holders || v == PROCESS_FROZEN) && excuses(t, v) &&
                    excuse != PROCESS_FROZEN) {
                        excuse = v;
                        excused = t;
                }
        }
        *ret = excuse == PROCESS_FROZEN || !hung ? excused : hung;
        if (excuse == PROCESS_FROZEN || (excused && !hung))
                return excuse;
        if (hung)
                return worst;
        if (w->pressure.memory.full >= MEMORY_TIGHT)
                return PROCESS_PRESSURE;
        if (w->pressure.io.full >= DISK_TIGHT)
                return PROCESS_DISK;
        return all_still ? PROCESS_DEADLOCK : PROCESS_WORKING;
}

bool hang_has_holder(const HangWatch *w)
{
        ProcessVerdict verdict;

        return hang_holder(w, &verdict) != NULL;
}

bool hang_is_excused(const HangWatch *w)
{
        const HangTrack *t;

        return process_verdict_excuse(hang_service(w, &t)) != REASON_NONE;
}

ProcessVerdict hang_verdict(const HangWatch *w, const ProcId *id, const HangTrack **ret)
{
        *ret = track_find(w, id);
        return *ret ? track_verdict(w, *ret, w->limit) : PROCESS_WORKING;
}

/* --- in words --- */

typedef struct Text {
        char *buf;
        size_t size, len;
} Text;

__attribute__((format(printf, 2, 3))) static void text_print(Text *x, const char *format, ...)
{
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(x->buf + x->len, x->size - x->len, format, args);
        va_end(args);
        if (n > 0)
                x->len = x->len + (size_t)n < x->size ? x->len + (size_t)n : x->size - 1;
}

static unsigned percent(usec_t part, usec_t of)
{
        return of > 0 ? (unsigned)(part * 100 / of) : 0;
}

static void track_print(const HangWatch *w, const HangTrack *t, ProcessVerdict v, Text *x)
{
        char took[32];

        switch (v) {
        case PROCESS_DEADLOCK:
                text_print(x, "has used no CPU time, moved no byte and not been scheduled for %s",
                           usec_format(took, sizeof(took), usec_sub(w->at, t->still)));
                if (t->wait[0])
                        text_print(x, ", at %s", t->wait);
                break;
        case PROCESS_SPIN:
                text_print(x, "has used %u%% of a CPU and moved no byte for %s",
                           percent(usec_sub(t->cpu, t->burning_cpu), usec_sub(w->at, t->burning)),
                           usec_format(took, sizeof(took), usec_sub(w->at, t->burning)));
                break;
        case PROCESS_STOPPED:
                text_print(x, "has been stopped (state %c) for %s", t->state,
                           usec_format(took, sizeof(took), usec_sub(w->at, t->stopped)));
                if (t->tracer > 0)
                        text_print(x, ", traced by pid %d", (int)t->tracer);
                break;
        case PROCESS_DISK:
                text_print(x, "has waited for a disk (state D) for %s",
                           usec_format(took, sizeof(took), usec_sub(w->at, t->disk > 0 ? t->disk : w->at)));
                break;
        case PROCESS_PRESSURE:
                text_print(x, "is ready to run and gets no CPU");
                break;
        case PROCESS_NETWORK:
                text_print(x, "waits for %s", t->peer[0] ? t->peer : "another host, by a child of its own");
                break;
        case PROCESS_FROZEN:
                text_print(x, "is in a frozen control group");
                break;
        case PROCESS_WORKING:
        case _PROCESS_VERDICT_MAX:
        case _PROCESS_VERDICT_INVALID:
                text_print(x, "works");
                break;
        }
}

const char *hang_describe(const HangWatch *w, const HangTrack *t, ProcessVerdict v, char *buf, size_t size)
{
        const Pressure *p = &w->pressure;
        Text x = { .buf = buf, .size = size };

        buf[0] = '\0';
        text_print(&x, "%s: ", process_verdict_to_string(v));
        if (t) {
                text_print(&x, "pid %d (%s) ", (int)t->id.pid, t->name);
                track_print(w, t, v, &x);
        } else {
                text_print(&x, "%zu processes were looked at", w->n);
        }
        if (v == PROCESS_PRESSURE || v == PROCESS_DISK)
                text_print(&x, "; pressure over 10 s: cpu %u%%, memory %u%%, io %u%%", p->cpu.some / 100,
                           p->memory.full / 100, p->io.full / 100);
        return buf;
}
