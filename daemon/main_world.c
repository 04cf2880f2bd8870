/*
 * main_world - puts the real parts together for one configuration
 *
 * One worker for each file system that holds a spool, one for /proc; one manager, actuator and set of sources
 * for each service; one engine, and one timer that it sets.
 *
 * Sources are refreshed from a deferred event, never inside a call of the engine: a source may report at
 * once, and the engine must not be entered twice.
 *
 * Test: tests/system, init/quickstart
 */
#include "main_world.h"

#include "act/service_actuator.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "observe/child.h"
#include "observe/host.h"
#include "observe/inflight.h"
#include "observe/journal.h"
#include "observe/probe.h"
#include "observe/progress.h"
#include "observe/status.h"
#include "observe/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SYSTEMD     "org.freedesktop.systemd1"
#define SOURCES_MAX 8
#define DISK_STUCK  (30 * USEC_PER_SEC)

typedef struct SpoolWorker {
        dev_t device;
        Worker *worker;
        bool stuck;
} SpoolWorker;

typedef struct Service {
        World *world;
        Actuator *actuator;
        Manager *manager; /* the actuator's */
        Source *inflight; /* also among: */
        Source *sources[SOURCES_MAX];
        size_t n_sources;
        char **units; /* the transient unit of an embedded service, or NULL: the settings' own */
        sd_event_source *refresh;
} Service;

struct World {
        WorldContext context;
        Settings *settings;
        Runner *runner;
        Worker *proc_worker;
        JournalReader *journal;
        int procfd;
        SpoolWorker *spool_workers;
        size_t n_spool_workers;
        Service *services;
        Engine *engine;
        sd_event_source *timer;
};

static int explain(char **ret_error, int r, const char *what)
{
        if (asprintf(ret_error, "%s: %s", what, strerror(-r)) < 0)
                *ret_error = NULL;
        return r;
}

bool bus_unit_exists(sd_bus *bus, const char *unit)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        char *state = NULL;
        const char *path;
        bool exists;

        if (sd_bus_call_method(bus, SYSTEMD, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "LoadUnit",
                               &error, &reply, "s", unit) < 0 ||
            sd_bus_message_read(reply, "o", &path) < 0 ||
            sd_bus_get_property_string(bus, SYSTEMD, path, SYSTEMD ".Unit", "LoadState", &error, &state) < 0)
                exists = true; /* it cannot be asked now: the source says so later */
        else
                exists = strcmp(state, "not-found") != 0;
        free(state);
        sd_bus_message_unref(reply);
        sd_bus_error_free(&error);
        return exists;
}

/* The worker of the file system that @path is on. */
static int spool_worker(World *w, const char *path, Worker **ret)
{
        struct stat st = { 0 };
        SpoolWorker *list;
        int r;

        if (path)
                (void)stat(path, &st);
        for (size_t k = 0; k < w->n_spool_workers; k++)
                if (w->spool_workers[k].device == st.st_dev) {
                        *ret = w->spool_workers[k].worker;
                        return 0;
                }
        list = realloc(w->spool_workers, (w->n_spool_workers + 1) * sizeof(*list));
        if (!list)
                return -ENOMEM;
        w->spool_workers = list;
        list[w->n_spool_workers] = (SpoolWorker){ .device = st.st_dev };
        r = worker_new(&list[w->n_spool_workers].worker, w->context.event, "spool");
        if (r < 0)
                return r;
        *ret = list[w->n_spool_workers++].worker;
        return 0;
}

static int make_manager(World *w, const ServiceSettings *s, Manager **ret)
{
        const ManagerContext c = { .event = w->context.event,
                                   .service = s,
                                   .state_dir = w->settings->state_dir,
                                   .run_dir = w->settings->run_dir,
                                   .bus = w->context.bus,
                                   .destination = w->context.bus ? SYSTEMD : NULL,
                                   .unit_dir = "/etc/systemd/system",
                                   .runtime_unit_dir = "/run/systemd/system",
                                   .runner = w->runner,
                                   .worker = w->proc_worker };

        switch (s->manager) {
        case MANAGER_SYSTEMD:
                return manager_systemd_new(ret, &c);
        case MANAGER_EMBEDDED:
                return manager_embedded_new(ret, &c);
        case MANAGER_COMMAND:
                return manager_command_new(ret, &c);
        case _MANAGER_KIND_MAX:
        case _MANAGER_KIND_INVALID:
                break;
        }
        return -EINVAL;
}

static int make_actuator(World *w, const ServiceSettings *s, Service *service)
{
        ServiceActuatorConfig config = { .event = w->context.event,
                                         .service = s,
                                         .runner = w->runner,
                                         .proc_worker = w->proc_worker,
                                         .disk = disk_posix() };
        Actuator *real = NULL;
        int r = spool_worker(w, s->n_stores ? s->stores[0].dirs[0] : NULL, &config.spool_worker);

        if (r == 0)
                r = make_manager(w, s, &config.manager);
        if (r < 0)
                return r;
        r = service_actuator_new(&real, &config);
        if (r < 0) {
                manager_free(config.manager);
                return r;
        }
        service->manager = config.manager;
        service->actuator = real;
        if (s->mode == MODE_OBSERVE || s->observe_only != REASON_NONE) {
                r = null_actuator_new(&service->actuator, real);
                if (r < 0)
                        service->actuator = real; /* freed with the service */
        }
        return r;
}

static void sink_observe(void *userdata, size_t service, const Observation *o)
{
        World *w = userdata;

        engine_observe(w->engine, service, o);
}

/* The source of the manager's word: what runs, and how it ended. */
static int make_state_source(World *w, Service *service, const SourceContext *c, Source **ret)
{
        sd_bus *bus = w->context.bus;
        _cleanup_(freep) char *unit = NULL;

        switch (c->settings->manager) {
        case MANAGER_SYSTEMD:
                return unit_source_new(ret, c, NULL, bus, SYSTEMD);
        case MANAGER_EMBEDDED:
                if (!bus)
                        return child_source_new(ret, c, w->settings->run_dir);
                unit = manager_embedded_unit(c->settings->name);
                if (!unit || strv_append(&service->units, unit) < 0)
                        return -ENOMEM;
                return unit_source_new(ret, c, service->units, bus, SYSTEMD);
        case MANAGER_COMMAND:
                return status_source_new(ret, c, w->runner, w->proc_worker);
        case _MANAGER_KIND_MAX:
        case _MANAGER_KIND_INVALID:
                break;
        }
        return -EINVAL;
}

static int make_progress(World *w, Service *service, const SourceContext *c, Source **ret)
{
        Worker *worker;
        int r = spool_worker(w, c->settings->stores[0].dirs[0], &worker);

        (void)service;
        return r < 0 ? r : progress_source_new(ret, c, worker);
}

static int make_probes(World *w, Service *service, const SourceContext *c, Source **ret)
{
        (void)service;
        return probe_source_new(ret, c, w->runner);
}

/* Is @pid in a control group of the service's units? */
static bool pid_is_in_units(const Service *service, const ServiceSettings *s, pid_t pid)
{
        char *const *units = service->units ? service->units : s->units;
        _cleanup_(freep) char *path = NULL;

        if (cgroup_of(service->world->procfd, pid, &path) < 0)
                return false;
        for (size_t k = 0; units && units[k]; k++) {
                const char *at = strstr(path, units[k]);
                size_t len = strlen(units[k]);

                if (at && at > path && at[-1] == '/' && (at[len] == '\0' || at[len] == '/'))
                        return true;
        }
        return false;
}

/* Asked once for each process that opens a message. */
static bool process_belongs(void *userdata, pid_t pid)
{
        const Service *service = userdata;
        const ServiceSettings *s = &service->world->settings->services[service - service->world->services];
        _cleanup_(freep) ProcId *list = NULL;
        size_t n = 0;

        if (service->world->context.bus && s->manager != MANAGER_COMMAND)
                return pid_is_in_units(service, s, pid);
        if (service->manager->ops->processes(service->manager, &list, &n) < 0)
                return false;
        while (n > 0 && list[n - 1].pid != pid)
                n--;
        return n > 0;
}

static int make_inflight(World *w, Service *service, const SourceContext *c, Source **ret)
{
        InflightSpec spec = { .belongs = process_belongs, .userdata = service };
        int r = spool_worker(w, c->settings->stores[0].dirs[0], &spec.worker);

        if (r == 0)
                r = inflight_source_new(ret, c, &spec);
        if (r == 0)
                service->inflight = *ret;
        return r;
}

static int make_journal(World *w, Service *service, const SourceContext *c, Source **ret)
{
        return journal_source_new(ret, c, service->units, w->journal);
}

static int make_host(World *w, Service *service, const SourceContext *c, Source **ret)
{
        (void)service;
        return host_source_new(ret, c, w->context.bus, w->context.bus ? SYSTEMD : NULL);
}

typedef int (*MakeSource)(World *w, Service *service, const SourceContext *c, Source **ret);

static int make_sources(World *w, size_t index)
{
        const ServiceSettings *s = &w->settings->services[index];
        Service *service = &w->services[index];
        const SourceContext c = { .event = w->context.event,
                                  .sink = { .observe = sink_observe, .userdata = w },
                                  .service = index,
                                  .settings = s,
                                  .owner = w->settings };
        const struct {
                MakeSource make;
                bool wanted;
        } list[] = {
                { make_host, true },
                { make_state_source, true },
                { make_probes, s->n_probes > 0 },
                { make_progress, s->n_stores > 0 },
                { make_inflight, s->n_stores > 0 },
                { make_journal, s->n_rules > 0 && w->journal },
        };

        for (size_t k = 0; k < ELEMENTSOF(list); k++) {
                int r = list[k].wanted ? list[k].make(w, service, &c, &service->sources[service->n_sources])
                                       : 0;

                if (r < 0)
                        return r;
                service->n_sources += list[k].wanted;
        }
        return 0;
}

static int on_refresh(sd_event_source *source, void *userdata)
{
        Service *service = userdata;

        (void)source;
        for (size_t k = 0; k < service->n_sources; k++)
                (void)source_refresh(service->sources[k]); /* a source that cannot look says so by itself */
        return 0;
}

static void port_refresh(void *userdata, size_t service)
{
        World *w = userdata;

        (void)sd_event_source_set_enabled(w->services[service].refresh, SD_EVENT_ONESHOT);
}

static void port_expect(void *userdata, size_t service, bool ours, const char *invocation)
{
        World *w = userdata;
        Service *s = &w->services[service];

        for (size_t k = 0; k < s->n_sources; k++)
                source_expect(s->sources[k], ours, invocation);
}

/* The in-flight source's words as the engine's. */
typedef struct SeenAdapter {
        SeenFileHandler handler;
        void *userdata;
} SeenAdapter;

static void on_seen(void *userdata, const InflightSeen *file)
{
        const SeenAdapter *adapter = userdata;
        const SeenFile f = { .path = file->path, .open = file->open, .closed = file->closed };

        adapter->handler(adapter->userdata, &f);
}

static void port_history(void *userdata, size_t service, bool mark, SeenFileHandler handler,
                         void *handler_data)
{
        World *w = userdata;
        Source *source = w->services[service].inflight;
        SeenAdapter adapter = { .handler = handler, .userdata = handler_data };

        if (source && handler && (inflight_source_is_complete(source) || !mark))
                inflight_source_history(source, on_seen, &adapter);
        if (source && mark)
                inflight_source_mark(source);
}

static Now port_now(void *userdata)
{
        (void)userdata;
        return now_read();
}

/* A worker that does not come back from its disk is said once. */
static void check_workers(World *w)
{
        usec_t now = now_read().mono;

        for (size_t k = 0; k < w->n_spool_workers; k++) {
                SpoolWorker *s = &w->spool_workers[k];
                usec_t since = worker_busy_since(s->worker);

                if (since == USEC_INFINITY || usec_add(since, DISK_STUCK) > now)
                        s->stuck = false;
                else if (!s->stuck) {
                        s->stuck = true;
                        engine_disk_stuck(w->engine, worker_name(s->worker), since);
                }
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        World *w = userdata;

        (void)source;
        (void)usec;
        check_workers(w); /* while an action is under way the engine wakes up twice a second */
        engine_tick(w->engine);
        return 0;
}

static void port_wake_at(void *userdata, usec_t mono)
{
        World *w = userdata;

        if (mono == USEC_INFINITY) {
                (void)sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time(w->timer, mono);
        (void)sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static int make_service(World *w, size_t index)
{
        Service *service = &w->services[index];
        int r;

        service->world = w;
        r = make_actuator(w, &w->settings->services[index], service);
        if (r == 0)
                r = make_sources(w, index);
        if (r == 0)
                r = sd_event_add_defer(w->context.event, &service->refresh, on_refresh, service);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(service->refresh, "refresh");
        return sd_event_source_set_enabled(service->refresh, SD_EVENT_OFF);
}

static int make_engine(World *w)
{
        const EnginePorts ports = { .recorder = w->context.recorder,
                                    .publisher = w->context.publisher,
                                    .now = port_now,
                                    .wake_at = port_wake_at,
                                    .alerts = w->context.alerts,
                                    .reload = w->context.reload,
                                    .reload_data = w->context.userdata,
                                    .userdata = w };
        ServicePorts *list = calloc(w->settings->n_services + 1, sizeof(*list));
        int r;

        if (!list)
                return -ENOMEM;
        for (size_t k = 0; k < w->settings->n_services; k++)
                list[k] = (ServicePorts){ .actuator = w->services[k].actuator,
                                          .refresh = port_refresh,
                                          .expect = port_expect,
                                          .history = port_history,
                                          .userdata = w };
        r = engine_new(&w->engine, w->settings, &ports, list);
        free(list);
        return r;
}

static bool any_rules(const Settings *s)
{
        for (size_t k = 0; k < s->n_services; k++)
                if (s->services[k].n_rules > 0)
                        return true;
        return false;
}

static int make_commons(World *w)
{
        int r = worker_new(&w->proc_worker, w->context.event, "proc");

        if (r == 0)
                r = w->context.bus ? runner_systemd_new(&w->runner, w->context.event, w->context.bus, SYSTEMD)
                                   : runner_fork_new(&w->runner, w->context.event);
        if (r == 0 && any_rules(w->settings)) {
                const JournalSpec spec = { .event = w->context.event,
                                           .worker = w->proc_worker,
                                           .state_dir = w->settings->state_dir,
                                           .disk = disk_posix() };

                r = journal_reader_new(&w->journal, &spec);
        }
        if (r == 0)
                r = sd_event_add_time(w->context.event, &w->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer,
                                      w);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(w->timer, "engine");
        return sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
}

int world_new(World **ret, const WorldContext *context, Settings *settings, char **ret_error)
{
        World *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->context = *context;
        w->procfd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        w->settings = settings_ref(settings);
        w->services = calloc(settings->n_services + 1, sizeof(*w->services));
        r = w->services ? make_commons(w) : -ENOMEM;
        if (r < 0) {
                world_free(w);
                return explain(ret_error, r, "workers and timer");
        }
        for (size_t k = 0; k < settings->n_services; k++) {
                r = make_service(w, k);
                if (r < 0) {
                        explain(ret_error, r, settings->services[k].name);
                        world_free(w);
                        return r;
                }
        }
        r = make_engine(w);
        if (r < 0) {
                world_free(w);
                return explain(ret_error, r, "engine");
        }
        *ret = w;
        return 0;
}

int world_start(World *w)
{
        int r = engine_start(w->engine);

        for (size_t k = 0; r >= 0 && k < w->settings->n_services; k++)
                for (size_t j = 0; r >= 0 && j < w->services[k].n_sources; j++)
                        r = source_start(w->services[k].sources[j]);
        return r;
}

Engine *world_engine(World *w)
{
        return w->engine;
}

World *world_free(World *w)
{
        if (!w)
                return NULL;
        for (size_t k = 0; w->services && k < w->settings->n_services; k++) {
                Service *s = &w->services[k];

                sd_event_source_disable_unref(s->refresh);
                for (size_t j = s->n_sources; j > 0; j--)
                        source_free(s->sources[j - 1]);
        }
        w->journal = journal_reader_free(w->journal);
        /* Workers before actuators: a job that still runs belongs to one. */
        for (size_t k = 0; k < w->n_spool_workers; k++)
                worker_free(w->spool_workers[k].worker);
        free(w->spool_workers);
        w->proc_worker = worker_free(w->proc_worker);
        for (size_t k = 0; w->services && k < w->settings->n_services; k++)
                actuator_free(w->services[k].actuator);
        for (size_t k = 0; w->services && k < w->settings->n_services; k++)
                strv_free(w->services[k].units);
        engine_free(w->engine);
        runner_free(w->runner);
        if (w->procfd >= 0)
                close(w->procfd);
        sd_event_source_disable_unref(w->timer);
        free(w->services);
        settings_unref(w->settings);
        free(w);
        return NULL;
}
