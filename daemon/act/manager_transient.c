/*
 * manager_transient - an embedded service on a host with systemd
 *
 * Made by manager_embedded_new() where there is a bus. The service runs as the transient unit
 * unjam-NAME.service, so it lives outside of unjamd's own group and sandbox, and outlives it. All but the
 * start is the systemd manager's. Nobody else starts a transient unit and it is gone after a reboot, so the
 * guard is the marker alone.
 *
 * Type=exec: the start job fails if the program cannot be executed. A unit that failed stays loaded, for its
 * result to be read, until the next start resets it. systemd's own stop timeout is set beyond ours: evidence
 * comes before the kill.
 *
 * Tests: tests/integration/test_manager_systemd.c.
 */
#include "act/manager_systemd.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_TIMEOUT_MIN (90 * USEC_PER_SEC)

/* Escaped as systemd does it: what may not be in a unit's name becomes \\xNN. */
char *manager_embedded_unit(const char *service)
{
        char *unit = NULL, *escaped = malloc(4 * strlen(service) + 1), *o = escaped;

        if (!escaped)
                return NULL;
        for (const unsigned char *s = (const unsigned char *)service; *s; s++) {
                if (isalnum(*s) || strchr("_.-:", *s))
                        *o++ = (char)*s;
                else
                        o += snprintf(o, 5, "\\x%02x", *s);
        }
        *o = '\0';
        if (asprintf(&unit, "unjam-%s.service", escaped) < 0)
                unit = NULL;
        free(escaped);
        return unit;
}

/* ExecStart, a(sasb): program, arguments, whether a failure is ignored. */
static int append_command(sd_bus_message *call, char *const *command)
{
        int r = sd_bus_message_open_container(call, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(call, "s", "ExecStart");
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'v', "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", command[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(call, (char **)command);
        if (r >= 0)
                r = sd_bus_message_append(call, "b", 0);
        for (int i = 0; r >= 0 && i < 4; i++)
                r = sd_bus_message_close_container(call);
        return r < 0 ? err_origin(r) : 0;
}

static int append_environment(sd_bus_message *call, char *const *environment)
{
        int r = sd_bus_message_open_container(call, 'r', "sv");

        if (r >= 0)
                r = sd_bus_message_append(call, "s", "Environment");
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(call, (char **)environment);
        for (int i = 0; r >= 0 && i < 2; i++)
                r = sd_bus_message_close_container(call);
        return r < 0 ? err_origin(r) : 0;
}

static int append_properties(sd_bus_message *call, const ServiceSettings *s)
{
        _cleanup_(freep) char *description = NULL;
        usec_t stop = usec_add(s->stop_timeout, s->stop_timeout);

        if (asprintf(&description, "%s, run by unjamd", s->name) < 0)
                return err_origin(-ENOMEM);
        int r = sd_bus_message_append(call, "(sv)(sv)(sv)(sv)", "Description", "s", description, "Type", "s",
                                      "exec", "TimeoutStopUSec", "t",
                                      stop > STOP_TIMEOUT_MIN ? stop : STOP_TIMEOUT_MIN, "WorkingDirectory",
                                      "s", s->directory ? s->directory : "/");
        if (r >= 0 && s->user)
                r = sd_bus_message_append(call, "(sv)", "User", "s", s->user);
        if (r < 0)
                return err_origin(r);
        if (s->environment) {
                r = append_environment(call, s->environment);
                if (r < 0)
                        return err_trace(r);
        }
        return err_trace(append_command(call, s->command));
}

static int transient_call(SystemdManager *m, sd_bus_message **ret)
{
        sd_bus_message *call = NULL;

        int r = sd_bus_message_new_method_call(m->bus.bus, &call, m->bus.destination, SYSTEMD_PATH,
                                               SYSTEMD_MANAGER, "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(call, "ss", m->units[0].name, "replace");
        if (r >= 0)
                r = sd_bus_message_open_container(call, 'a', "(sv)");
        if (r >= 0)
                r = append_properties(call, m->base.service);
        if (r >= 0)
                r = sd_bus_message_close_container(call);
        if (r >= 0)
                r = sd_bus_message_append(call, "a(sa(sv))", 0);
        if (r < 0) {
                sd_bus_message_unref(call);
                return err_origin(r);
        }
        *ret = call;
        return 0;
}

int manager_transient_new(Manager **ret, const ManagerContext *c)
{
        static const ManagerOps ops = {
                .guard = manager_base_guard_marker,
                .start = systemd_start,
                .stop = systemd_stop,
                .kill = systemd_kill,
                .processes = manager_base_processes,
                .free = systemd_free,
        };
        SystemdManager *m;

        if (strv_length(c->service->command) == 0)
                return err_origin(-EINVAL);
        _cleanup_(freep) char *unit = manager_embedded_unit(c->service->name);
        if (!unit)
                return err_origin(-ENOMEM);
        int r = systemd_new(&m, c, (char *[]){ unit, NULL }, &ops);
        if (r < 0)
                return err_trace(r);
        m->start_call = transient_call;
        m->guarded = false;
        *ret = &m->base.manager;
        return 0;
}
