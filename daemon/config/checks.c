/*
 * checks - names and units across all services
 *
 * Called by config.c when every file is read. Points at the second of two, and names the place of the first.
 * Names are compared pairwise: a configuration has tens of them. Test: tests/unit/test_config_checks.c.
 */
#include "config/parts.h"
#include "config/path.h"

#include <string.h>

const config_setting_t *store_group(const Loader *l, size_t k, size_t i)
{
        return setting_element(l->services[k], "stores", i);
}

const config_setting_t *loader_global(const Loader *l, const char *key)
{
        for (size_t i = 0; i < l->n_roots; i++) {
                const config_setting_t *s = config_setting_get_member(l->roots[i], key);

                if (s)
                        return s;
        }
        return l->roots[0];
}

/* @at repeats what @first has. */
static void repeated(Loader *l, const config_setting_t *at, const config_setting_t *first, const char *text)
{
        loader_fault(l, at, "%s: \"%s\" is already at %s:%u; write another, or remove one of the two",
                     config_setting_name(at) ? config_setting_name(at) : "units", text, setting_file(first),
                     setting_line(first));
}

/* The name is the key of snapshots, markers and the command line. */
static void check_service_names(Loader *l)
{
        const Settings *s = l->settings;

        for (size_t i = 1; i < s->n_services; i++)
                for (size_t k = 0; s->services[i].name && k < i; k++)
                        if (s->services[k].name && strcmp(s->services[k].name, s->services[i].name) == 0) {
                                repeated(l, setting_member(l->services[i], "name"),
                                         setting_member(l->services[k], "name"), s->services[i].name);
                                break;
                        }
}

/* Two services may each have a store of one name; hold and record keep them apart. */
static void check_store_names(Loader *l, size_t service)
{
        const ServiceSettings *s = &l->settings->services[service];

        for (size_t i = 1; i < s->n_stores; i++)
                for (size_t k = 0; s->stores[i].name && k < i; k++)
                        if (s->stores[k].name && strcmp(s->stores[k].name, s->stores[i].name) == 0) {
                                repeated(l, setting_member(store_group(l, service, i), "name"),
                                         setting_member(store_group(l, service, k), "name"),
                                         s->stores[i].name);
                                break;
                        }
}

/* The record names the rule that spoke. */
static void check_event_names(Loader *l, size_t service)
{
        const ServiceSettings *s = &l->settings->services[service];
        const config_setting_t *group = l->services[service];

        for (size_t i = 1; i < s->n_rules; i++)
                for (size_t k = 0; s->rules[i].name && k < i; k++)
                        if (s->rules[k].name && strcmp(s->rules[k].name, s->rules[i].name) == 0) {
                                repeated(l, setting_member(setting_element(group, "events", i), "name"),
                                         setting_member(setting_element(group, "events", k), "name"),
                                         s->rules[i].name);
                                break;
                        }
}

static bool mailbox_in_store(const ServiceSettings *s, const char *path)
{
        for (size_t i = 0; i < s->n_stores; i++)
                for (size_t k = 0; s->stores[i].dirs && s->stores[i].dirs[k]; k++)
                        if (path_inside(path, s->stores[i].dirs[k]))
                                return true;
        return false;
}

/* Two canaries of one mailbox would take out each other's; mail in a store is not ours to take. */
static void check_mailbox(Loader *l, size_t service, size_t probe)
{
        const char *path = l->settings->services[service].probes[probe].arrives;
        const config_setting_t *at =
                setting_member(setting_element(l->services[service], "probes", probe), "arrives");

        for (size_t i = 0; path && i < l->settings->n_services; i++) {
                const ServiceSettings *s = &l->settings->services[i];

                if (mailbox_in_store(s, path))
                        loader_fault(l, at,
                                     "arrives: \"%s\" is in a store; write where the message is delivered to",
                                     path);
                for (size_t k = 0; k < s->n_probes && (i < service || (i == service && k < probe)); k++)
                        if (s->probes[k].arrives && strcmp(s->probes[k].arrives, path) == 0)
                                repeated(l, at,
                                         setting_member(setting_element(l->services[i], "probes", k),
                                                        "arrives"),
                                         path);
        }
}

void checks_names(Loader *l)
{
        check_service_names(l);
        for (size_t i = 0; i < l->settings->n_services; i++) {
                check_store_names(l, i);
                check_event_names(l, i);
                for (size_t k = 0; k < l->settings->services[i].n_probes; k++)
                        check_mailbox(l, i, k);
        }
}

/* Where unit @i of service @service stands. */
static const config_setting_t *unit_at(const Loader *l, size_t service, size_t i)
{
        const config_setting_t *group = l->services[service];

        return setting_element(group, config_setting_get_member(group, "unit") ? "unit" : "units", i);
}

/* Two recoveries of one unit would undo each other: is unit @i of service @service in an earlier place? */
static void check_unit_is_new(Loader *l, size_t service, size_t i)
{
        const char *unit = l->settings->services[service].units[i];

        for (size_t s = 0; s <= service; s++) {
                char **units = l->settings->services[s].units;

                for (size_t k = 0; units && units[k] && (s < service || k < i); k++)
                        if (strcmp(units[k], unit) == 0) {
                                repeated(l, unit_at(l, service, i), unit_at(l, s, k), unit);
                                return;
                        }
        }
}

static const ServiceSettings *service_find(const Loader *l, const char *name)
{
        for (size_t i = 0; i < l->settings->n_services; i++)
                if (l->settings->services[i].name && strcmp(l->settings->services[i].name, name) == 0)
                        return &l->settings->services[i];
        return NULL;
}

/* Does @from depend on @to, over others? @depth ends a circle that does not lead there. */
static bool depends(const Loader *l, const ServiceSettings *from, const ServiceSettings *to, size_t depth)
{
        for (size_t i = 0; depth > 0 && from->depends_on && from->depends_on[i]; i++) {
                const ServiceSettings *next = service_find(l, from->depends_on[i]);

                if (next && (next == to || depends(l, next, to, depth - 1)))
                        return true;
        }
        return false;
}

/* Each is a service here, or else a unit. */
static void check_dependencies(Loader *l, size_t service, bool ask)
{
        const ServiceSettings *s = &l->settings->services[service];

        for (size_t i = 0; s->depends_on && s->depends_on[i]; i++) {
                const char *name = s->depends_on[i];
                const ServiceSettings *other = service_find(l, name);
                const config_setting_t *at = setting_element(l->services[service], "depends_on", i);

                if (other == s)
                        loader_fault(l, at, "depends_on: \"%s\" is this service itself; remove it", name);
                else if (other && depends(l, other, s, l->settings->n_services))
                        loader_fault(l, at,
                                     "depends_on: \"%s\" depends on this service; remove one of the two",
                                     name);
                else if (!other && *name && (!strrchr(name, '.') || strchr(name, '/')))
                        loader_fault(l, at,
                                     "depends_on: there is no service \"%s\" here; write the name of one, or "
                                     "a unit "
                                     "such as \"%s.service\"",
                                     name, name);
                else if (!other && *name && ask && !l->checks->unit_exists(l->checks->userdata, name))
                        loader_fault(l, at,
                                     "depends_on: there is no unit \"%s\"; write the name that `systemctl "
                                     "list-units` shows",
                                     name);
        }
}

void checks_units(Loader *l)
{
        bool ask = l->checks->unit_exists && !(l->flags & CONFIG_READ_ONLY);

        for (size_t i = 0; i < l->settings->n_services; i++) {
                const ServiceSettings *s = &l->settings->services[i];

                check_dependencies(l, i, ask);
                for (size_t k = 0; s->units && s->units[k]; k++) {
                        if (s->units[k][0] == '\0')
                                continue;
                        check_unit_is_new(l, i, k);
                        if (ask && s->manager == MANAGER_SYSTEMD &&
                            !l->checks->unit_exists(l->checks->userdata, s->units[k]))
                                loader_fault(l, unit_at(l, i, k),
                                             "unit: there is no unit \"%s\"; write the name that `systemctl "
                                             "list-units` shows",
                                             s->units[k]);
                }
        }
}
