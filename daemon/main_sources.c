/*
 * main_sources - what watches one service, for its manager, stores, probes and rules
 *
 * Called by main_world. A source that cannot be made ends the start (or the reload) with its errno.
 *
 * Test: tests/system, init/quickstart
 */
#include "base/cleanup.h"
#include "base/proc.h"
#include "base/text.h"
#include "main_parts.h"
#include "observe/child.h"
#include "observe/conditions.h"
#include "observe/host.h"
#include "observe/inflight.h"
#include "observe/probe.h"
#include "observe/processes.h"
#include "observe/progress.h"
#include "observe/status.h"
#include "observe/unit.h"

#include <string.h>

static void sink_observe(void *userdata, size_t service, const Observation *o)
{
        World *w = userdata;

        for (size_t k = 0; service == SERVICE_ALL && k < w->settings->n_services; k++)
                engine_observe(w->engine, k, o);
        if (service != SERVICE_ALL)
                engine_observe(w->engine, service, o);
}

/* The source of the manager's word: what runs, and how it ended. */
static int make_state_source(World *w, Service *service, const SourceContext *c, Source **ret)
{
        sd_bus *bus = w->context.bus;
        _cleanup_(freep) char *unit = NULL;

        switch (c->settings->manager) {
        case MANAGER_SYSTEMD:
                return unit_source_new(ret, c, NULL, w->signals);
        case MANAGER_EMBEDDED:
                if (!bus)
                        return child_source_new(ret, c, w->settings->run_dir);
                unit = manager_embedded_unit(c->settings->name);
                if (!unit || strv_append(&service->units, unit) < 0)
                        return -ENOMEM;
                return unit_source_new(ret, c, service->units, w->signals);
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
        int r = world_spool_worker(w, c->settings->stores[0].dirs[0], &worker);

        (void)service;
        return r < 0 ? r : progress_source_new(ret, c, worker);
}

/* How many of the group's processes died for want of memory; false if nobody counts. */
static bool group_oom_kills(const Service *service, uint64_t *ret)
{
        _cleanup_(closep) int fd = service->group ? cgroup_open(service->group) : -1;

        return fd >= 0 && cgroup_oom_kills(fd, ret) == 0;
}

/* The first @len bytes of @path: its count is known from now on. */
static void group_remember(Service *service, const char *path, size_t len)
{
        if (service->group && strncmp(service->group, path, len) == 0 && service->group[len] == '\0')
                return;
        free(service->group);
        service->group = strndup(path, len);
        service->oom_kills = 0;
        (void)group_oom_kills(service, &service->oom_kills);
}

static bool out_of_memory(void *userdata)
{
        Service *service = userdata;
        uint64_t before = service->oom_kills;

        /* A unit that was started anew counts from 0 again. */
        return group_oom_kills(service, &service->oom_kills) && service->oom_kills > 0 &&
               service->oom_kills != before;
}

/* Is @pid in a control group of the service's units? */
static bool pid_is_in_units(Service *service, const ServiceSettings *s, pid_t pid)
{
        char *const *units = service->units ? service->units : s->units;
        _cleanup_(freep) char *path = NULL;

        if (cgroup_of(service->world->procfd, pid, &path) < 0)
                return false;
        for (size_t k = 0; units && units[k]; k++) {
                const char *at = strstr(path, units[k]);
                size_t len = strlen(units[k]);

                if (at && at > path && at[-1] == '/' && (at[len] == '\0' || at[len] == '/')) {
                        group_remember(service, path, (size_t)(at - path) + len);
                        return true;
                }
        }
        return false;
}

/* Asked once for each process that opens a message, and for each heartbeat. */
static bool process_belongs(void *userdata, pid_t pid)
{
        Service *service = userdata;
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

static int make_probes(World *w, Service *service, const SourceContext *c, Source **ret)
{
        const ProbeSpec spec = { .runner = w->runner,
                                 .canary_key = &w->canary_key,
                                 .run_dir = w->settings->run_dir,
                                 .belongs = process_belongs,
                                 .userdata = service };
        int r = probe_source_new(ret, c, &spec);

        if (r == 0)
                service->probes = *ret;
        return r;
}

/* The looks at the processes are made after inflight, which they ask, and freed before it. */
static void on_touched(void *userdata)
{
        const Service *service = userdata;

        if (service->processes)
                processes_source_touch(service->processes);
}

static int make_inflight(World *w, Service *service, const SourceContext *c, Source **ret)
{
        InflightSpec spec = { .belongs = process_belongs,
                              .out_of_memory = out_of_memory,
                              .userdata = service,
                              .touched = on_touched,
                              .touched_data = service };
        int r = world_spool_worker(w, c->settings->stores[0].dirs[0], &spec.worker);

        if (r == 0)
                r = inflight_source_new(ret, c, &spec);
        if (r == 0)
                service->inflight = *ret;
        return r;
}

/* In the worker. */
static int list_processes(void *userdata, ProcId **ret, size_t *ret_n)
{
        const Service *service = userdata;

        return service->manager->ops->processes(service->manager, ret, ret_n);
}

static int make_processes(World *w, Service *service, const SourceContext *c, Source **ret)
{
        const ProcessesSpec spec = { .worker = w->proc_worker,
                                     .processes = list_processes,
                                     .inflight = service->inflight,
                                     .userdata = service };
        int r = processes_source_new(ret, c, &spec);

        if (r == 0)
                service->processes = *ret;
        return r;
}

static int make_journal(World *w, Service *service, const SourceContext *c, Source **ret)
{
        return journal_source_new(ret, c, service->units, w->journal);
}

static int make_logfile(World *w, Service *service, const SourceContext *c, Source **ret)
{
        (void)service;
        return logfile_source_new(ret, c, w->logs);
}

int world_make_host(World *w)
{
        const SourceContext c = { .event = w->context.event,
                                  .sink = { .observe = sink_observe, .userdata = w },
                                  .service = SERVICE_ALL };

        return host_source_new(&w->host, &c, w->signals);
}

/* Everything that must have room, for this service and for the record of what is done to it. */
static int look_dirs(const Settings *all, const ServiceSettings *s, HostLook *look)
{
        _cleanup_(freep) char *trail = strdup(all->audit_path);
        char *slash = trail ? strrchr(trail, '/') : NULL;
        int r = slash && slash > trail ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < s->n_stores; i++) {
                for (size_t k = 0; r == 0 && s->stores[i].dirs[k]; k++)
                        r = strv_append(&look->dirs, s->stores[i].dirs[k]);
                if (r == 0)
                        r = strv_append(&look->dirs, s->stores[i].hold);
        }
        if (r == 0)
                *slash = '\0';
        if (r == 0)
                r = strv_append(&look->dirs, all->state_dir);
        return r == 0 ? strv_append(&look->dirs, trail) : r;
}

static int make_conditions(World *w, Service *service, const SourceContext *c, Source **ret)
{
        static const char *const locks[] = { "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock",
                                             "/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock" };
        ConditionsSpec spec = { .units = service->dependencies,
                                .bus = w->context.bus,
                                .destination = SYSTEMD };
        int r = look_dirs(w->settings, c->settings, &spec.look);

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(locks); i++)
                r = strv_append(&spec.look.locks, locks[i]);
        for (size_t i = 0; r == 0 && c->settings->units && c->settings->units[i]; i++)
                r = strv_append(&spec.look.units, c->settings->units[i]);
        spec.look.unit_dir = strdup("/etc/systemd/system");
        spec.look.pressure = strdup("/proc/pressure/memory");
        if (r == 0 && (!spec.look.unit_dir || !spec.look.pressure))
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && c->settings->depends_on && c->settings->depends_on[i]; i++)
                if (!settings_find(w->settings, c->settings->depends_on[i]))
                        r = strv_append(&service->dependencies, c->settings->depends_on[i]);
        spec.units = service->dependencies;
        if (r == 0 && !w->host_worker)
                r = worker_new(&w->host_worker, w->context.event, "host");
        if (r < 0) {
                host_look_deinit(&spec.look);
                return r;
        }
        spec.worker = w->host_worker;
        r = conditions_source_new(ret, c, &spec);
        if (r == 0)
                service->conditions = *ret;
        return r;
}

typedef int (*MakeSource)(World *w, Service *service, const SourceContext *c, Source **ret);

int world_make_sources(World *w, size_t index)
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
                { make_conditions, true },
                { make_state_source, true },
                { make_probes, s->n_probes > 0 },
                { make_progress, s->n_stores > 0 },
                { make_inflight, s->n_stores > 0 },
                { make_processes,
                  s->n_stores > 0 || s->limits.cpu || s->limits.memory || s->limits.descriptors },
                { make_journal, settings_has_rules(s, RULE_SOURCE_JOURNAL) && w->journal },
                { make_logfile, settings_has_rules(s, RULE_SOURCE_FILE) && w->logs },
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
