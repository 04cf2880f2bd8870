/*
 * journal - follows the journal for all services
 *
 * Made by main: one reader, and one source for each service that has journal rules. The journal's descriptor
 * wakes the loop, the loop hands a turn to the worker (journal_turn.c), and what the turn found is reported
 * when it is done. A flood makes one turn follow the other, with the loop's other work in between; it can
 * delay entries, nothing else.
 *
 * A turn that fails (a journal that can't be read) is tried again every 5 s.
 */
#include "observe/journal.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "observe/journal_turn.h"

#include <string.h>
#include <sys/epoll.h>

#define RETRY_DELAY (5 * USEC_PER_SEC)

typedef struct JournalSource {
        Source source;
        SourceContext context;
        JournalReader *reader;
        JournalInterest *interest;
        bool started;
} JournalSource;

struct JournalReader {
        JournalSpec spec;
        JournalPlace *place;
        JournalInterest **interests;
        size_t n_interests;
        bool changed; /* the interests are not those of the last turn */
        JournalTurn *turn;
        bool again;
        sd_event_source *io, *timer;
};

static void turn_want(JournalReader *r);

static void turn_report(const JournalTurn *t)
{
        for (size_t i = 0; i < t->n_hits; i++) {
                const JournalHit *hit = &t->hits[i];
                const JournalSource *s = t->interests[hit->interest]->source;
                if (!s)
                        continue;
                Observation o = {
                        .kind = OBSERVATION_LOG,
                        .log = {
                                .source = RULE_SOURCE_JOURNAL,
                                .kind = hit->kind,
                                .rule = hit->rule,
                                .text = hit->text,
                                .id = hit->id,
                                .pid = hit->pid,
                                .cursor = hit->cursor,
                                .wall = hit->wall,
                        },
                };
                source_emit(&s->context, &o);
        }
}

static int on_readable(sd_event_source *io, int fd, uint32_t revents, void *userdata)
{
        (void)io;
        (void)fd;
        (void)revents;
        turn_want(userdata);
        return 0;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        (void)timer;
        (void)usec;
        turn_want(userdata);
        return 0;
}

/* Polls the descriptor of a newly opened journal. Consumes it. */
static int fd_take(JournalReader *r, int fd)
{
        r->io = sd_event_source_disable_unref(r->io);
        int k = sd_event_add_io(r->spec.event, &r->io, fd, EPOLLIN, on_readable, r);
        if (k < 0) {
                close(fd);
                return err_origin(k);
        }
        (void)sd_event_source_set_io_fd_own(r->io, true);
        (void)sd_event_source_set_description(r->io, "journal");
        return 0;
}

static void on_turn(Job *job, int result)
{
        JournalTurn *t = (JournalTurn *)job;
        JournalReader *r = t->userdata;
        usec_t delay = USEC_INFINITY;

        if (!r) {
                /* The reader has gone; what it left is ours to release. */
                journal_place_free(t->place);
                journal_turn_free(t);
                return;
        }
        r->turn = NULL;
        if (t->closed)
                r->io = sd_event_source_disable_unref(r->io);
        else if (t->fd >= 0 && fd_take(r, TAKE_FD(t->fd)) < 0)
                delay = RETRY_DELAY;
        if (result < 0 || t->unsaved)
                delay = RETRY_DELAY;
        if (result >= 0 && t->timeout < delay)
                delay = t->timeout;
        turn_report(t);
        bool more = r->again || (result >= 0 && t->more);
        journal_turn_free(t);
        if (more) {
                turn_want(r);
                return;
        }
        if (r->io)
                (void)sd_event_source_set_enabled(r->io, SD_EVENT_ONESHOT);
        if (delay != USEC_INFINITY) {
                (void)sd_event_source_set_time_relative(r->timer, delay);
                (void)sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
        }
}

/* The worker goes; the reader may have gone before, or goes after it. */
static void on_turn_dropped(Job *job)
{
        JournalTurn *t = (JournalTurn *)job;
        JournalReader *r = t->userdata;

        if (r)
                r->turn = NULL;
        else
                journal_place_free(t->place);
        journal_turn_free(t);
}

static int turn_begin(JournalReader *r)
{
        JournalTurn *t = calloc(1, sizeof(*t));

        if (!t)
                return err_origin(-ENOMEM);
        *t = (JournalTurn){ .place = r->place, .rematch = r->changed, .fd = -1, .userdata = r };
        t->timeout = USEC_INFINITY;
        t->job.run = journal_turn_run;
        t->job.done = on_turn;
        t->job.dropped = on_turn_dropped;
        t->interests = calloc(r->n_interests + 1, sizeof(JournalInterest *));
        if (!t->interests) {
                journal_turn_free(t);
                return err_origin(-ENOMEM);
        }
        for (size_t i = 0; i < r->n_interests; i++)
                t->interests[t->n_interests++] = journal_interest_ref(r->interests[i]);
        int k = worker_submit(r->spec.worker, &t->job);
        if (k < 0) {
                journal_turn_free(t);
                return err_trace(k);
        }
        r->turn = t;
        r->changed = r->again = false;
        return 0;
}

/* Reads now, or once more after the turn under way. */
static void turn_want(JournalReader *r)
{
        if (r->turn) {
                r->again = true;
                return;
        }
        if (r->n_interests == 0)
                return;
        (void)sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (r->io)
                (void)sd_event_source_set_enabled(r->io, SD_EVENT_OFF);
        if (turn_begin(r) < 0) {
                (void)sd_event_source_set_time_relative(r->timer, RETRY_DELAY);
                (void)sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
        }
}

int journal_reader_new(JournalReader **ret, const JournalSpec *spec)
{
        JournalReader *r = calloc(1, sizeof(*r));

        if (!r)
                return err_origin(-ENOMEM);
        r->spec = *spec;
        int k = journal_place_new(&r->place, spec->directory, spec->state_dir, spec->disk);
        if (k >= 0)
                k = sd_event_add_time_relative(spec->event, &r->timer, CLOCK_MONOTONIC, 0, USEC_PER_SEC,
                                               on_timer, r);
        if (k >= 0)
                k = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (k < 0) {
                journal_reader_free(r);
                return err_trace(k);
        }
        (void)sd_event_source_set_description(r->timer, "journal-timer");
        *ret = r;
        return 0;
}

JournalReader *journal_reader_free(JournalReader *r)
{
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->io);
        sd_event_source_disable_unref(r->timer);
        if (r->turn) {
                atomic_store(&r->turn->job.cancel, true);
                r->turn->userdata = NULL;
        } else {
                journal_place_free(r->place);
        }
        for (size_t i = 0; i < r->n_interests; i++)
                journal_interest_unref(r->interests[i]);
        free(r->interests);
        free(r);
        return NULL;
}

/* Sources */

static int journal_start(Source *source)
{
        JournalSource *s = (JournalSource *)source;
        JournalReader *r = s->reader;

        if (s->started)
                return 0;
        JournalInterest **bigger = reallocarray(r->interests, r->n_interests + 1, sizeof(*bigger));
        if (!bigger)
                return err_origin(-ENOMEM);
        r->interests = bigger;
        r->interests[r->n_interests++] = journal_interest_ref(s->interest);
        r->changed = true;
        s->started = true;
        turn_want(r);
        return 0;
}

static int journal_refresh(Source *source)
{
        turn_want(((JournalSource *)source)->reader);
        return 0;
}

static Source *journal_free(Source *source)
{
        JournalSource *s = (JournalSource *)source;
        JournalReader *r = s->reader;

        for (size_t i = 0; s->started && i < r->n_interests; i++)
                if (r->interests[i] == s->interest) {
                        r->interests[i] = r->interests[--r->n_interests];
                        r->changed = true;
                        journal_interest_unref(s->interest);
                        break;
                }
        if (s->interest)
                s->interest->source = NULL;
        journal_interest_unref(s->interest);
        free(s);
        return NULL;
}

static const SourceOps journal_ops = {
        .start = journal_start,
        .refresh = journal_refresh,
        .free = journal_free,
};

int journal_source_new(Source **ret, const SourceContext *context, char *const *units, JournalReader *reader)
{
        JournalSource *s = calloc(1, sizeof(*s));
        _cleanup_(source_freep) Source *source = (Source *)s;

        if (!s)
                return err_origin(-ENOMEM);
        s->source = (Source){ .ops = &journal_ops, .name = "journal" };
        s->context = *context;
        s->reader = reader;
        int r = journal_interest_new(&s->interest, units ? units : context->settings->units,
                                     context->settings, context->owner, NULL);
        if (r < 0)
                return err_trace(r);
        s->interest->source = s;
        *ret = TAKE_PTR(source);
        return 0;
}
