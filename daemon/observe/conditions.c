/*
 * conditions - looks at the host for what explains a fault
 *
 * Made by main, one for each service; the engine asks it to look when something is wrong with the service. A
 * look has two parts: files and locks in a worker (host_look.c), and over D-Bus the units that the service
 * depends on. When both have come, all that was found is reported at once. If systemd does not answer for two
 * seconds, what the worker found is reported without it.
 *
 * Nothing runs between two looks. Test: tests/unit/test_conditions_source.c.
 */
#include "observe/conditions.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNIT        "org.freedesktop.systemd1.Unit"
#define BUS_TIMEOUT (2 * USEC_PER_SEC)

typedef struct ConditionsSource ConditionsSource;
typedef struct LookJob LookJob;

typedef struct Dependency {
        ConditionsSource *source;
        const char *unit;
        sd_bus_slot *slot; /* asked for */
} Dependency;

struct LookJob {
        Job job;
        ConditionsSource *source; /* NULL: it is gone */
        HostLook look;            /* moves between source and job */
        ConditionList found;
};

struct ConditionsSource {
        Source source;
        SourceContext context;
        Worker *worker;
        HostLook look;
        LookJob *job;
        ConditionList found; /* by the look under way */
        Dependency *dependencies;
        size_t n_dependencies, waiting; /* answers */
        sd_bus *bus;
        const char *destination;
        bool looking;
};

static void report(ConditionsSource *s)
{
        Observation o = { .kind = OBSERVATION_CONDITIONS };

        if (s->job || s->waiting > 0)
                return;
        s->looking = false;
        o.conditions = (ConditionsStatus){ .list = s->found.list, .n = s->found.n };
        source_emit(&s->context, &o);
        condition_list_clear(&s->found);
}

static int look_run(Job *job)
{
        LookJob *j = (LookJob *)job;

        return host_look(&j->look, now_read().wall, &j->found);
}

static void look_job_free(Job *job)
{
        LookJob *j = (LookJob *)job;

        condition_list_clear(&j->found);
        host_look_deinit(&j->look);
        free(j);
}

static void look_done(Job *job, int r)
{
        LookJob *j = (LookJob *)job;
        ConditionsSource *s = j->source;

        (void)r; /* without memory, what was found so far */
        if (s) {
                s->job = NULL;
                s->look = j->look;
                j->look = (HostLook){};
                for (size_t i = 0; i < j->found.n; i++)
                        (void)condition_add(&s->found, j->found.list[i].reason, j->found.list[i].id,
                                            j->found.list[i].text);
                report(s);
        }
        look_job_free(job);
}

static int look_begin(ConditionsSource *s)
{
        LookJob *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return err_origin(-ENOMEM);
        j->job = (Job){ .run = look_run, .done = look_done, .dropped = look_job_free };
        j->source = s;
        j->look = s->look;
        s->look = (HostLook){};
        r = worker_submit(s->worker, &j->job);
        if (r < 0) {
                s->look = j->look;
                j->look = (HostLook){};
                look_job_free(&j->job);
                return err_trace(r);
        }
        s->job = j;
        return 0;
}

/* What a unit says of itself. */
typedef struct UnitWord {
        const char *active, *load;
        uint64_t since;
} UnitWord;

static int unit_read(sd_bus_message *m, UnitWord *ret)
{
        const char *name;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        break;
                if (strcmp(name, "ActiveState") == 0)
                        r = sd_bus_message_read(m, "v", "s", &ret->active);
                else if (strcmp(name, "LoadState") == 0)
                        r = sd_bus_message_read(m, "v", "s", &ret->load);
                else if (strcmp(name, "StateChangeTimestamp") == 0)
                        r = sd_bus_message_read(m, "v", "t", &ret->since);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

static bool unit_is_up(const UnitWord *w)
{
        return strcmp(w->active, "active") == 0 || strcmp(w->active, "reloading") == 0 ||
               strcmp(w->active, "refreshing") == 0;
}

static int on_unit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Dependency *d = userdata;
        ConditionsSource *s = d->source;
        UnitWord word = {};
        char id[320], text[400];

        (void)error;
        d->slot = sd_bus_slot_unref(d->slot);
        s->waiting--;
        if (!sd_bus_message_is_method_error(m, NULL) && unit_read(m, &word) == 0 && word.active &&
            !unit_is_up(&word)) {
                snprintf(id, sizeof(id), "unit %llu %.240s", (unsigned long long)word.since, d->unit);
                snprintf(text, sizeof(text), "%.240s, which it depends on, is %s%s", d->unit, word.active,
                         word.load && strcmp(word.load, "not-found") == 0 ? " (there is no such unit)" : "");
                (void)condition_add(&s->found, REASON_DEPENDENCY_DOWN, id, text);
        }
        report(s);
        return 0;
}

static int dependency_ask(Dependency *d)
{
        ConditionsSource *s = d->source;
        _cleanup_(freep) char *path = NULL;
        sd_bus_message *m = NULL;
        int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", d->unit, &path);

        if (r >= 0)
                r = sd_bus_message_new_method_call(s->bus, &m, s->destination, path,
                                                   "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", UNIT);
        if (r >= 0)
                r = sd_bus_call_async(s->bus, &d->slot, m, on_unit, d, BUS_TIMEOUT);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

void conditions_source_look(Source *source)
{
        ConditionsSource *s = (ConditionsSource *)source;

        if (s->looking)
                return;
        s->looking = true;
        for (size_t i = 0; s->bus && i < s->n_dependencies; i++)
                if (dependency_ask(&s->dependencies[i]) == 0)
                        s->waiting++;
        if (look_begin(s) < 0 && s->waiting == 0)
                s->looking = false; /* no memory: whoever asks does not wait for long */
}

static int conditions_start(Source *source)
{
        conditions_source_look(source);
        return 0;
}

static int conditions_refresh(Source *source)
{
        (void)source; /* what it says does not depend on the run of the service */
        return 0;
}

static Source *conditions_free(Source *source)
{
        ConditionsSource *s = (ConditionsSource *)source;

        if (s->job)
                s->job->source = NULL;
        for (size_t i = 0; i < s->n_dependencies; i++)
                sd_bus_slot_unref(s->dependencies[i].slot);
        free(s->dependencies);
        condition_list_clear(&s->found);
        host_look_deinit(&s->look);
        sd_bus_unref(s->bus);
        free(s);
        return NULL;
}

static const SourceOps conditions_ops = {
        .start = conditions_start,
        .refresh = conditions_refresh,
        .free = conditions_free,
};

int conditions_source_new(Source **ret, const SourceContext *context, ConditionsSpec *spec)
{
        ConditionsSource *s = calloc(1, sizeof(*s));
        size_t n = strv_length(spec->units);

        if (!s) {
                host_look_deinit(&spec->look);
                return err_origin(-ENOMEM);
        }
        s->source = (Source){ .ops = &conditions_ops, .name = "conditions" };
        s->context = *context;
        s->worker = spec->worker;
        s->look = spec->look;
        spec->look = (HostLook){};
        s->bus = spec->bus ? sd_bus_ref(spec->bus) : NULL;
        s->destination = spec->destination;
        s->dependencies = calloc(n + 1, sizeof(*s->dependencies));
        if (!s->dependencies) {
                conditions_free(&s->source);
                return err_origin(-ENOMEM);
        }
        for (size_t i = 0; i < n; i++)
                s->dependencies[i] = (Dependency){ .source = s, .unit = spec->units[i] };
        s->n_dependencies = n;
        *ret = &s->source;
        return 0;
}
