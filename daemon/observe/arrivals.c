/*
 * arrivals - is what arrives a culprit of old?
 *
 * The progress source tells of each file that was written or renamed into a store while it watches; every
 * 250 ms the worker looks at those that came since, with one stat each. Only a file whose size is one on the
 * list of culprits (HOLD/culprits) is read, and one whose digest is on it as well is reported. What was there
 * when the watch began is not looked at: nobody has delivered it, and it has its place in a search.
 *
 * A store in which nothing arrives costs nothing, nor does one with an empty list but for the stats. In a
 * flood only so many are looked at at a time; the rest is mail like any other.
 * Test: tests/unit/test_arrivals.c.
 */
#include "observe/arrivals.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/known.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTED_MAX 4096 /* files between two looks */

typedef struct Noted {
        size_t store;
        char *path; /* absolute */
        bool known;
} Noted;

/* What a look works on; it outlives its Arrivals, if need be. */
typedef struct Look {
        Job job;         /* first */
        Arrivals *owner; /* NULL: nobody waits any more */
        Settings *settings;
        const ServiceSettings *service;
        Noted *noted;
        size_t n;
} Look;

struct Arrivals {
        const SourceContext *context;
        Worker *worker;
        Noted *noted;
        size_t n, allocated;
        Look *look; /* under way */
};

static void noted_free(Noted *noted, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(noted[i].path);
        free(noted);
}

static void look_free(Look *l)
{
        noted_free(l->noted, l->n);
        settings_unref(l->settings);
        free(l);
}

static void known_load(const char *hold, Known *ret)
{
        _cleanup_(closep) int fd = open(hold, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_(freep) char *text = NULL;

        ret->n = 0;
        if (fd >= 0 && file_read(fd, KNOWN_FILE, KNOWN_MAX * KNOWN_LINE_MAX, &text, NULL) == 0)
                known_parse(ret, text);
}

static bool is_known(const Known *k, const char *path)
{
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        uint8_t digest[SHA256_SIZE];
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               known_has_size(k, (uint64_t)st.st_size) && file_sha256(fd, digest) == 0 &&
               known_has(k, (uint64_t)st.st_size, digest);
}

/* In the worker. */
static int look_run(Job *job)
{
        Look *l = (Look *)job;
        _cleanup_(freep) Known *known = malloc(sizeof(*known));

        if (!known)
                return err_origin(-ENOMEM);
        for (size_t store = 0; store < l->service->n_stores; store++) {
                bool loaded = false;

                for (size_t i = 0; i < l->n && !atomic_load(&job->cancel); i++) {
                        if (l->noted[i].store != store)
                                continue;
                        if (!loaded)
                                known_load(l->service->stores[store].hold, known);
                        loaded = true;
                        l->noted[i].known = known->n > 0 && is_known(known, l->noted[i].path);
                }
        }
        return 0;
}

static void look_done(Job *job, int r)
{
        Look *l = (Look *)job;
        Arrivals *a = l->owner;

        if (a)
                a->look = NULL;
        for (size_t i = 0; a && r == 0 && i < l->n; i++) {
                const Observation o = { .kind = OBSERVATION_ARRIVAL, .arrival = l->noted[i].path };

                if (l->noted[i].known)
                        source_emit(a->context, &o);
        }
        look_free(l);
        if (a)
                arrivals_look(a);
}

static void look_dropped(Job *job)
{
        look_free((Look *)job);
}

int arrivals_new(Arrivals **ret, const SourceContext *context, Worker *worker)
{
        Arrivals *a = calloc(1, sizeof(*a));

        if (!a)
                return err_origin(-ENOMEM);
        a->context = context;
        a->worker = worker;
        *ret = a;
        return 0;
}

Arrivals *arrivals_free(Arrivals *a)
{
        if (!a)
                return NULL;
        if (a->look) {
                a->look->owner = NULL;
                atomic_store(&a->look->job.cancel, true);
        }
        noted_free(a->noted, a->n);
        free(a);
        return NULL;
}

void arrivals_note(Arrivals *a, size_t store, size_t dir, const char *path)
{
        char *whole = NULL;

        if (!a || !a->context->settings->stores[store].quarantine_native || a->n == NOTED_MAX ||
            asprintf(&whole, "%s/%s", a->context->settings->stores[store].dirs[dir], path) < 0)
                return;
        /* A file is written, and renamed: once is enough. */
        if (a->n > 0 && strcmp(a->noted[a->n - 1].path, whole) == 0) {
                free(whole);
                return;
        }
        if (a->n == a->allocated) {
                size_t n = a->allocated ? 2 * a->allocated : 16;
                Noted *bigger = reallocarray(a->noted, n, sizeof(*bigger));

                if (!bigger) {
                        free(whole);
                        return;
                }
                a->noted = bigger;
                a->allocated = n;
        }
        a->noted[a->n++] = (Noted){ .store = store, .path = whole };
}

void arrivals_look(Arrivals *a)
{
        Look *l;

        if (!a || a->look || a->n == 0)
                return;
        l = calloc(1, sizeof(*l));
        if (!l)
                return;
        l->job.run = look_run;
        l->job.done = look_done;
        l->job.dropped = look_dropped;
        l->owner = a;
        l->settings = settings_ref(a->context->owner);
        l->service = a->context->settings;
        l->noted = a->noted;
        l->n = a->n;
        a->noted = NULL;
        a->n = a->allocated = 0;
        if (worker_submit(a->worker, &l->job) < 0)
                look_free(l);
        else
                a->look = l;
}
