#pragma once

/*
 * What tests of sources share: an event loop, a sink that copies what it is given, temporary directories, and
 * waiting for a condition with an upper bound that is only there so that a broken source fails instead of
 * hanging.
 */

#include "base/cleanup.h"
#include "observe/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A copy of an observation, with its strings. */
typedef struct Seen {
        Observation o;
        char text[512]; /* service: result; probe: detail; log: text; inflight: path; processes: gone */
        char invocation[128];
        char id[64], cursor[256]; /* log */
} Seen;

#define SEEN_MAX 4096

typedef struct Watcher {
        sd_event *event;
        SourceContext context;
        ServiceSettings settings;
        Seen *seen;
        size_t n;
} Watcher;

static inline void watcher_observe(void *userdata, size_t service, const Observation *o)
{
        Watcher *w = userdata;
        const char *text = NULL;

        assert_int_equal(service, 7);
        assert_true(w->n < SEEN_MAX);
        Seen *s = &w->seen[w->n++];
        *s = (Seen){ .o = *o };
        switch (o->kind) {
        case OBSERVATION_SERVICE:
                text = o->service.result;
                if (o->service.invocation)
                        snprintf(s->invocation, sizeof(s->invocation), "%s", o->service.invocation);
                break;
        case OBSERVATION_PROBE:
                text = o->probe.detail;
                break;
        case OBSERVATION_LOG:
                text = o->log.text;
                snprintf(s->id, sizeof(s->id), "%s", o->log.id ? o->log.id : "");
                snprintf(s->cursor, sizeof(s->cursor), "%s", o->log.cursor ? o->log.cursor : "");
                break;
        case OBSERVATION_INFLIGHT:
                text = o->inflight.path;
                break;
        case OBSERVATION_ARRIVAL:
                text = o->arrival;
                break;
        case OBSERVATION_PROGRESS:
        case OBSERVATION_HOST:
        case OBSERVATION_PROCESSES:
        case OBSERVATION_CONDITIONS:
        case _OBSERVATION_KIND_MAX:
        case _OBSERVATION_KIND_INVALID:
                break;
        }
        snprintf(s->text, sizeof(s->text), "%s", text ? text : "");
}

static inline void watcher_init(Watcher *w)
{
        *w = (Watcher){ .settings = { .name = (char *)"imc" } };
        w->seen = calloc(SEEN_MAX, sizeof(*w->seen));
        assert_non_null(w->seen);
        assert_true(sd_event_new(&w->event) >= 0);
        w->context = (SourceContext){
                .event = w->event,
                .sink = { watcher_observe, w },
                .service = 7,
                .settings = &w->settings,
        };
}

static inline void watcher_deinit(Watcher *w)
{
        sd_event_unref(w->event);
        free(w->seen);
}

/* Lets the loop run for at most @timeout, until something happens. Return: as sd_event_run(). */
static inline int watcher_turn(Watcher *w, usec_t timeout)
{
        int r = sd_event_run(w->event, timeout);

        assert_true(r >= 0);
        return r;
}

/* Runs the loop until CONDITION holds. */
#define watcher_until(w, CONDITION)                                                                          \
        do {                                                                                                 \
                usec_t _end = now_read().mono + 20 * USEC_PER_SEC;                                           \
                while (!(CONDITION)) {                                                                       \
                        assert_true(now_read().mono < _end);                                                 \
                        watcher_turn((w), 50 * USEC_PER_MSEC);                                               \
                }                                                                                            \
        } while (0)

/* Runs everything that is ready now. */
static inline void watcher_drain(Watcher *w)
{
        while (watcher_turn(w, 0) > 0)
                ;
}

static inline const Seen *watcher_last(const Watcher *w)
{
        return w->n > 0 ? &w->seen[w->n - 1] : NULL;
}

static inline bool watcher_last_run(const Watcher *w, RunState run)
{
        const Seen *s = watcher_last(w);

        return s && s->o.kind == OBSERVATION_SERVICE && s->o.service.run == run;
}

/* A new temporary directory; free it with temp_remove(). */
static inline char *temp_new(void)
{
        char *path = strdup("/tmp/unjam-test-XXXXXX");

        assert_non_null(path);
        assert_non_null(mkdtemp(path));
        return path;
}

static inline int temp_entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static inline void temp_remove(char *path)
{
        nftw(path, temp_entry_remove, 16, FTW_DEPTH | FTW_PHYS);
        free(path);
}

/* "DIR/NAME" in one of a few rotating buffers. */
static inline const char *in(const char *dir, const char *name)
{
        static char buffers[8][4096];
        static unsigned next;
        char *b = buffers[next++ % 8];

        snprintf(b, sizeof(buffers[0]), "%s/%s", dir, name);
        return b;
}

static inline void file_make(const char *path, const char *content)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
}
