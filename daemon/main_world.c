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
#include "main_parts.h"

#include "act/service_actuator.h"
#include "base/cleanup.h"
#include "base/key_file.h"
#include "base/text.h"
#include "observe/conditions.h"
#include "observe/inflight.h"
#include "observe/probe.h"
#include "observe/processes.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DISK_STUCK   (30 * USEC_PER_SEC)
#define HURRY_PROBES 4 /* in a settle time, while a trial is watched */

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
int world_spool_worker(World *w, const char *path, Worker **ret)
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
                                   .turns = w->signals ? systemd_signals_turns(w->signals) : NULL,
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
                                         .disk = disk_posix(),
                                         .canary_key = w->has_canaries ? &w->canary_key : NULL };
        Actuator *real = NULL;
        int r = world_spool_worker(w, s->n_stores ? s->stores[0].dirs[0] : NULL, &config.spool_worker);

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

static int on_refresh(sd_event_source *source, void *userdata)
{
        Service *service = userdata;

        (void)source;
        (void)source_refresh(service->world->host);
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
        const SeenFile f = { .path = file->path, .open = file->open };

        adapter->handler(adapter->userdata, &f);
}

static void on_open_path(void *userdata, const char *path)
{
        const SeenAdapter *adapter = userdata;
        const SeenFile f = { .path = path, .open = true };

        adapter->handler(adapter->userdata, &f);
}

/* Where nothing watches the opens: what the processes of the service have open now. */
static void history_from_proc(const Service *service, SeenAdapter *adapter)
{
        _cleanup_(freep) ProcId *list = NULL;
        size_t n = 0;

        if (service->manager->ops->processes(service->manager, &list, &n) < 0)
                return;
        for (size_t k = 0; k < n; k++)
                proc_open_paths(service->world->procfd, list[k].pid, on_open_path, adapter);
}

static void port_history(void *userdata, size_t service, bool mark, SeenFileHandler handler,
                         void *handler_data)
{
        World *w = userdata;
        Source *source = w->services[service].inflight;
        SeenAdapter adapter = { .handler = handler, .userdata = handler_data };

        if (handler && source)
                inflight_source_history(source, on_seen, &adapter);
        /* Without a store no file is a message, and all of /proc need not be read. */
        if (handler && w->settings->services[service].n_stores > 0 &&
            (!source || inflight_source_note(source)))
                history_from_proc(&w->services[service], &adapter);
        if (w->services[service].processes)
                processes_source_history(w->services[service].processes, mark, handler ? on_seen : NULL,
                                         &adapter);
        if (source && mark)
                inflight_source_mark(source);
}

static void port_hurry(void *userdata, size_t service, bool on)
{
        World *w = userdata;
        usec_t settle = w->settings->services[service].recovery.settle;

        if (w->services[service].probes)
                probe_source_set_pace(w->services[service].probes, on ? settle / HURRY_PROBES : 0);
}

static void port_canaries(void *userdata, size_t service, bool allowed)
{
        World *w = userdata;

        if (w->services[service].probes)
                probe_source_allow_canaries(w->services[service].probes, allowed);
}

static void port_look(void *userdata, size_t service, bool waiting, bool closely)
{
        World *w = userdata;
        Source *source = w->services[service].processes;

        if (source)
                processes_source_look(source, closely ? LOOK_CLOSELY : waiting ? LOOK_WAITING : LOOK_NOT);
}

static const char *port_blind(void *userdata, size_t service)
{
        World *w = userdata;
        Source *source = w->services[service].inflight;

        return source ? inflight_source_note(source) : NULL;
}

static void port_conditions(void *userdata, size_t service)
{
        World *w = userdata;

        conditions_source_look(w->services[service].conditions);
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
                r = world_make_sources(w, index);
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
                                    .facts = w->context.facts,
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
                                          .look = port_look,
                                          .blind = port_blind,
                                          .hurry = port_hurry,
                                          .canaries = port_canaries,
                                          .conditions = port_conditions,
                                          .userdata = w };
        r = engine_new(&w->engine, w->settings, &ports, list);
        free(list);
        return r;
}

static bool any_rules(const Settings *s, RuleSource source)
{
        for (size_t k = 0; k < s->n_services; k++)
                if (settings_has_rules(&s->services[k], source))
                        return true;
        return false;
}

static bool any_canaries(const Settings *s)
{
        for (size_t k = 0; k < s->n_services; k++)
                for (size_t i = 0; i < s->services[k].n_probes; i++)
                        if (s->services[k].probes[i].kind == PROBE_CANARY)
                                return true;
        return false;
}

static int load_canary_key(World *w)
{
        w->has_canaries = any_canaries(w->settings);
        return w->has_canaries ? key_file_load(disk_posix(), w->settings->state_dir, "canary.key",
                                               w->canary_key.bytes, sizeof(w->canary_key.bytes))
                               : 0;
}

static int make_log_reader(World *w)
{
        LogReaderSpec spec = { .event = w->context.event,
                               .state_dir = w->settings->state_dir,
                               .disk = disk_posix(),
                               .line_max = w->settings->log_line_max };
        int r = worker_new(&w->log_worker, w->context.event, "logs");

        if (r == 0)
                worker_yield(w->log_worker);
        spec.worker = w->log_worker;
        return r < 0 ? r : log_reader_new(&w->logs, &spec);
}

static int make_commons(World *w)
{
        int r = worker_new(&w->proc_worker, w->context.event, "proc");

        if (r == 0)
                r = load_canary_key(w);
        if (r == 0)
                r = w->context.bus ? runner_systemd_new(&w->runner, w->context.event, w->context.bus, SYSTEMD)
                                   : runner_fork_new(&w->runner, w->context.event);
        if (r == 0 && w->context.bus)
                r = systemd_signals_new(&w->signals, w->context.bus, SYSTEMD);
        if (r == 0)
                r = world_make_host(w);
        if (r == 0 && any_rules(w->settings, RULE_SOURCE_FILE))
                r = make_log_reader(w);
        if (r == 0 && any_rules(w->settings, RULE_SOURCE_JOURNAL)) {
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

        if (r >= 0)
                r = source_start(w->host);
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
        source_free(w->host);
        w->journal = journal_reader_free(w->journal);
        w->logs = log_reader_free(w->logs);
        w->log_worker = worker_free(w->log_worker);
        /* Workers before actuators: a job that still runs belongs to one. */
        for (size_t k = 0; k < w->n_spool_workers; k++)
                worker_free(w->spool_workers[k].worker);
        free(w->spool_workers);
        w->proc_worker = worker_free(w->proc_worker);
        w->host_worker = worker_free(w->host_worker);
        for (size_t k = 0; w->services && k < w->settings->n_services; k++)
                actuator_free(w->services[k].actuator);
        for (size_t k = 0; w->services && k < w->settings->n_services; k++)
                strv_free(w->services[k].units), strv_free(w->services[k].dependencies),
                        free(w->services[k].group);
        w->signals = systemd_signals_free(w->signals); /* managers had turns of it */
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
