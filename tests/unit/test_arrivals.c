/* What arrives is looked at if its size is known, and told if its bytes are. */
#include "base/cleanup.h"
#include "base/known.h"
#include "observe/arrivals.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Bed {
        char root[64], in[96], hold[96];
        char *dirs[2];
        StoreSettings stores[2];
        ServiceSettings service;
        sd_event *event;
        Worker *worker;
        SourceContext context;
        Arrivals *arrivals;
        unsigned n;
        char told[160];
} Bed;

static void observe(void *userdata, size_t service, const Observation *o)
{
        Bed *b = userdata;

        assert_int_equal(service, 7);
        assert_int_equal(o->kind, OBSERVATION_ARRIVAL);
        b->n++;
        snprintf(b->told, sizeof(b->told), "%s", o->arrival);
}

static void put(const char *dir, const char *name, const char *text)
{
        _cleanup_(freep) char *path = NULL;
        FILE *f;

        assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static const char *text_of(char last)
{
        static char text[101];

        memset(text, 'x', 99);
        text[99] = last;
        return text;
}

static int set_up(void **state)
{
        Bed *b = calloc(1, sizeof(*b));
        uint8_t digest[SHA256_SIZE];
        _cleanup_(freep) char *list = NULL;
        Known *known = calloc(1, sizeof(*known));

        *state = b;
        strcpy(b->root, "/tmp/unjam-arrivals-XXXXXX");
        assert_non_null(mkdtemp(b->root));
        snprintf(b->in, sizeof(b->in), "%s/In", b->root);
        snprintf(b->hold, sizeof(b->hold), "%s/hold", b->root);
        assert_int_equal(mkdir(b->in, 0700), 0);
        assert_int_equal(mkdir(b->hold, 0700), 0);
        sha256(text_of('b'), 100, digest);
        known_add(known, 100, digest);
        list = known_format(known);
        put(b->hold, KNOWN_FILE, list);
        free(known);
        b->dirs[0] = b->in;
        for (unsigned i = 0; i < 2; i++)
                b->stores[i] =
                        (StoreSettings){ .dirs = b->dirs, .hold = b->hold, .quarantine_native = i == 0 };
        b->service = (ServiceSettings){ .stores = b->stores, .n_stores = 2 };
        assert_true(sd_event_new(&b->event) >= 0);
        assert_int_equal(worker_new(&b->worker, b->event, "spool"), 0);
        b->context = (SourceContext){ .event = b->event,
                                      .sink = { .observe = observe, .userdata = b },
                                      .service = 7,
                                      .settings = &b->service };
        assert_int_equal(arrivals_new(&b->arrivals, &b->context, b->worker), 0);
        return 0;
}

static int tear_down(void **state)
{
        Bed *b = *state;
        char command[128];

        arrivals_free(b->arrivals);
        worker_free(b->worker);
        sd_event_unref(b->event);
        snprintf(command, sizeof(command), "rm -rf %s", b->root);
        free(b);
        return system(command);
}

typedef struct Marker {
        Job job;
        bool done;
} Marker;

static int nothing(Job *job)
{
        (void)job;
        return 0;
}

static void marked(Job *job, int r)
{
        (void)r;
        ((Marker *)job)->done = true;
}

/* Until the worker has done all that it was given before. */
static void settle(Bed *b)
{
        Marker m = { .job = { .run = nothing, .done = marked } };

        assert_int_equal(worker_submit(b->worker, &m.job), 0);
        while (!m.done)
                assert_true(sd_event_run(b->event, UINT64_MAX) >= 0);
}

static void test_known_bytes_are_told(void **state)
{
        Bed *b = *state;

        put(b->in, "again", text_of('b'));
        put(b->in, "alike", text_of('c'));
        put(b->in, "short", "x");
        arrivals_note(b->arrivals, 0, 0, "alike");
        arrivals_note(b->arrivals, 0, 0, "again");
        arrivals_note(b->arrivals, 0, 0, "again"); /* written, and renamed */
        arrivals_note(b->arrivals, 0, 0, "short");
        arrivals_note(b->arrivals, 0, 0, "gone");
        arrivals_look(b->arrivals);
        settle(b);
        assert_int_equal(b->n, 1);
        assert_string_equal(b->told + strlen(b->in), "/again");
        arrivals_look(b->arrivals); /* there is nothing new */
        settle(b);
        assert_int_equal(b->n, 1);
}

static void test_what_is_looked_at(void **state)
{
        Bed *b = *state;

        put(b->in, "again", text_of('b'));
        arrivals_note(b->arrivals, 1, 0, "again"); /* a store without a hold of the server's own */
        arrivals_note(NULL, 0, 0, "again");
        arrivals_look(NULL);
        arrivals_look(b->arrivals);
        settle(b);
        assert_int_equal(b->n, 0);
        /* Whatever stands there in place of a file neither blocks nor leads elsewhere. */
        put(b->root, "again", text_of('b'));
        {
                _cleanup_(freep) char *fifo = NULL, *link = NULL, *target = NULL;

                assert_true(asprintf(&fifo, "%s/fifo", b->in) > 0 && asprintf(&link, "%s/link", b->in) > 0 &&
                            asprintf(&target, "%s/again", b->root) > 0);
                assert_int_equal(mkfifo(fifo, 0600), 0);
                assert_int_equal(symlink(target, link), 0);
        }
        arrivals_note(b->arrivals, 0, 0, "fifo");
        arrivals_note(b->arrivals, 0, 0, "link");
        arrivals_look(b->arrivals);
        settle(b);
        assert_int_equal(b->n, 0);
}

static void test_nobody_waits_any_more(void **state)
{
        Bed *b = *state;

        put(b->in, "again", text_of('b'));
        arrivals_note(b->arrivals, 0, 0, "again");
        arrivals_look(b->arrivals);
        b->arrivals = arrivals_free(b->arrivals);
        settle(b);
        assert_int_equal(b->n, 0);
}

#define BED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                BED(test_known_bytes_are_told),
                BED(test_what_is_looked_at),
                BED(test_nobody_waits_any_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
