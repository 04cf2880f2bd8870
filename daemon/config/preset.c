/*
 * preset - what is known of one mail server, so that an administrator only names it
 *
 * Called by config.c for each list of services, and by unjamctl. A preset is a file presets/NAME.conf: in the
 * directory `presets` beside the configuration, else in the one that was installed. It has
 *
 *     description = "...";                    one line for people
 *     present = [ "/usr/sbin/x" ];            any of these there: this server is installed here
 *     where = { spool = [ "/a", "/b" ]; };    places by name, for "${spool}" in the strings below
 *     service = { ... };                      the keys of a service
 *
 * The service's own keys go over it (merge.c has the rules). Two more rules are here because they are about
 * what keys mean: `unit` and `units` are one key, and naming another manager drops what belongs to the old
 * one.
 *
 * Each file is read once in a load. Test: tests/unit/test_config_preset.c.
 */
#include "config/preset.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "config/document.h"
#include "config/faults.h"
#include "config/merge.h"
#include "config/parts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY UNJAM_DATADIR "/presets"

typedef struct Preset {
        struct Preset *next;
        char *name;
        Document document;
        char *description;
        char **present;
        const config_setting_t *where, *service; /* NULL: it has none */
        bool parsed;
} Preset;

/* A list that was merged. */
typedef struct Merged {
        struct Merged *next;
        config_t config;
} Merged;

struct Presets {
        Preset *presets;
        Merged *merged;
};

static Preset *preset_free(Preset *p)
{
        if (!p)
                return NULL;
        document_deinit(&p->document);
        free(p->name);
        free(p->description);
        strv_free(p->present);
        free(p);
        return NULL;
}

static void preset_freep(Preset **p)
{
        preset_free(*p);
}

void presets_free(Presets *p)
{
        if (!p)
                return;
        for (Preset *i = p->presets, *next; i; i = next) {
                next = i->next;
                preset_free(i);
        }
        for (Merged *i = p->merged, *next; i; i = next) {
                next = i->next;
                config_destroy(&i->config);
                free(i);
        }
        free(p);
}

/* Reading one */

static void where_group_read(Loader *l, const config_setting_t *s, void *target)
{
        (void)l;
        ((Preset *)target)->where = s;
}

static void service_group_read(Loader *l, const config_setting_t *s, void *target)
{
        if (config_setting_is_group(s))
                ((Preset *)target)->service = s;
        else
                loader_fault(l, s, "service: is no group; write service = { unit = \"...\"; }");
}

const Key preset_keys[] = {
        PLAIN("description", KEY_STRING, Preset, description),
        PLAIN("present", KEY_STRINGS, Preset, present),
        CUSTOM("where", where_group_read),
        CUSTOM("service", service_group_read),
        {},
};

/* The directory of the administrator's own presets, which are read first. NULL on ENOMEM. */
static char *own_directory(const char *config_path)
{
        const char *slash = strrchr(config_path, '/');
        char *dir;

        if (asprintf(&dir, "%.*spresets", slash ? (int)(slash - config_path) + 1 : 0, config_path) < 0)
                return NULL;
        return dir;
}

/* The file of preset @name. Return: 0, -ENOENT or -ENOMEM. */
static int find_file(const char *config_path, const char *name, char **ret)
{
        _cleanup_(freep) char *own = own_directory(config_path), *path = NULL;
        const char *const dirs[] = { own, DIRECTORY };

        if (!own)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                free(path);
                if (asprintf(&path, "%s/%s.conf", dirs[i], name) < 0) {
                        path = NULL;
                        return err_origin(-ENOMEM);
                }
                if (access(path, F_OK) == 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

/* Reads @path. Return: 0 and *@ret, whatever faults there were; or a negated errno. */
static int preset_new(Preset **ret, Loader *l, const char *name, const char *path)
{
        _cleanup_(preset_freep) Preset *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return err_origin(-ENOMEM);
        p->name = strdup(name);
        if (!p->name)
                return err_origin(-ENOMEM);
        r = document_init(&p->document, path);
        if (r < 0)
                return err_trace(r);
        p->parsed = document_parse(&p->document, l);
        if (p->parsed) {
                keys_read(l, config_root_setting(&p->document.config), preset_keys, p);
                (void)loader_require(l, config_root_setting(&p->document.config), "service",
                                     "service = { ... } with the keys of a service");
        }
        *ret = TAKE_PTR(p);
        return 0;
}

/* Merging */

/* The preset that @at names, read once. NULL after a fault. */
static Preset *preset_get(Loader *l, const config_setting_t *at, const char *name)
{
        _cleanup_(freep) char *path = NULL;
        Preset *p;
        int r;

        for (p = l->presets->presets; p; p = p->next)
                if (strcmp(p->name, name) == 0)
                        return p;
        r = find_file(l->settings->path, name, &path);
        if (r == -ENOENT) {
                loader_fault(l, at,
                             "preset: there is none of the name \"%s\"; write one that `unjamctl preset "
                             "list` shows",
                             name);
                return NULL;
        }
        if (r == 0)
                r = preset_new(&p, l, name, path);
        if (r < 0) {
                loader_fail(l, r);
                return NULL;
        }
        p->next = l->presets->presets;
        l->presets->presets = p;
        return p;
}

/* The name of a preset in @group; NULL if there is none, or after a fault. */
static const char *preset_name(Loader *l, const config_setting_t *group)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        const config_setting_t *s =
                config_setting_is_group(group) ? config_setting_get_member(group, "preset") : NULL;
        const char *name = s ? config_setting_get_string(s) : NULL;

        if (!s)
                return NULL;
        if (!name || !*name || name[strspn(name, allowed)] != '\0' || name[0] == '.' || strlen(name) > 63) {
                loader_fault(l, s, "preset: is no name; write one that `unjamctl preset list` shows");
                return NULL;
        }
        return name;
}

static void drop(config_setting_t *base, const char *const *keys)
{
        for (; *keys; keys++)
                (void)config_setting_remove(base, *keys);
}

/* What the service says in other words must not stay beside it. */
static void drop_replaced(config_setting_t *base, const config_setting_t *over)
{
        static const char *const units[] = { "unit", "units", NULL };
        static const char *const managers[] = { "unit",      "units",       "command", "user",
                                                "directory", "start",       "stop",    "status",
                                                "pidfile",   "environment", NULL };
        const char *was = "systemd", *is = NULL;

        if (config_setting_get_member(over, "unit") || config_setting_get_member(over, "units"))
                drop(base, units);
        (void)config_setting_lookup_string(base, "manager", &was);
        if (config_setting_lookup_string(over, "manager", &is) && strcmp(is, was) != 0)
                drop(base, managers);
}

/* Appends to @list what becomes of @group, which names @p. */
static void merge_service(Loader *l, config_setting_t *list, const Preset *p, const config_setting_t *group)
{
        const config_setting_t *own = config_setting_get_member(group, "where");
        config_setting_t *base;
        Where where = { .root = "" };

        if (own)
                where_read(l, own, p->where, &where);
        if (p->where)
                where_read(l, p->where, NULL, &where);
        merge_copy(l, list, p->service, &where);
        base = config_setting_get_elem(list, (unsigned)config_setting_length(list) - 1);
        if (base) {
                drop_replaced(base, group);
                merge_over(l, base, group);
        }
        where_deinit(&where);
}

/* An empty list for the result, of @l->presets. NULL on ENOMEM. */
static config_setting_t *merged_new(Loader *l)
{
        Merged *m = calloc(1, sizeof(*m));

        if (!l->presets)
                l->presets = calloc(1, sizeof(*l->presets));
        if (!m || !l->presets) {
                free(m);
                return NULL;
        }
        config_init(&m->config);
        m->next = l->presets->merged;
        l->presets->merged = m;
        return config_setting_add(config_root_setting(&m->config), "services", CONFIG_TYPE_LIST);
}

static bool names_a_preset(const config_setting_t *services)
{
        for (int i = 0; config_setting_is_list(services) && i < config_setting_length(services); i++) {
                const config_setting_t *group = config_setting_get_elem(services, (unsigned)i);

                if (config_setting_is_group(group) && config_setting_get_member(group, "preset"))
                        return true;
        }
        return false;
}

const config_setting_t *presets_merge(Loader *l, const config_setting_t *services)
{
        config_setting_t *list;

        if (!names_a_preset(services))
                return services;
        list = merged_new(l);
        if (!list) {
                loader_fail(l, -ENOMEM);
                return services;
        }
        for (int i = 0; i < config_setting_length(services); i++) {
                const config_setting_t *group = config_setting_get_elem(services, (unsigned)i);
                const char *name = preset_name(l, group);
                const Preset *p =
                        name ? preset_get(l, config_setting_get_member(group, "preset"), name) : NULL;

                if (p && p->service)
                        merge_service(l, list, p, group);
                else
                        merge_copy(l, list, group, NULL);
        }
        list->line = setting_line(services);
        list->file = setting_file(services);
        return list;
}

/* For unjamctl */

void preset_info_deinit(PresetInfo *i)
{
        free(i->name);
        free(i->path);
        free(i->description);
        strv_free(i->where);
        *i = (PresetInfo){};
}

/* What is to be told of @p; takes its strings. */
static int info_fill(PresetInfo *ret, Loader *l, Preset *p)
{
        Where where = { .root = "" };
        int r = 0;

        ret->name = TAKE_PTR(p->name);
        ret->description = TAKE_PTR(p->description);
        ret->path = strdup(p->document.path);
        for (char **f = p->present; f && *f && !ret->present; f++)
                ret->present = where_there("", *f);
        if (p->where)
                where_read(l, p->where, NULL, &where);
        for (size_t i = 0; r == 0 && i < where.n; i++) {
                r = strv_append(&ret->where, where.places[i].name);
                if (r == 0)
                        r = strv_append(&ret->where, where.places[i].value);
        }
        where_deinit(&where);
        return ret->path ? r : err_origin(-ENOMEM);
}

int config_preset(const char *config_path, const char *name, PresetInfo *ret, ConfigFaults *faults)
{
        static const ConfigChecks none = {};
        Loader l = { .flags = CONFIG_READ_ONLY, .checks = &none, .faults = faults };
        _cleanup_(preset_freep) Preset *p = NULL;
        _cleanup_(freep) char *path = NULL;
        size_t before = faults->n;
        int r;

        if (strchr(name, '/') || name[0] == '.')
                return CONFIG_E_NO_PRESET;
        r = find_file(config_path, name, &path);
        if (r == -ENOENT)
                return CONFIG_E_NO_PRESET;
        if (r == 0)
                r = preset_new(&p, &l, name, path);
        if (r == 0)
                r = info_fill(ret, &l, p);
        if (r == 0)
                r = l.error;
        if (r < 0)
                preset_info_deinit(ret);
        return r < 0 ? r : faults->n > before ? CONFIG_E_FAULTS : 0;
}

static int is_preset(const struct dirent *e)
{
        size_t len = strlen(e->d_name);

        return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

/* Adds the names of the presets in @dir; one that cannot be read has none. */
static int names_add(char ***names, const char *dir)
{
        struct dirent **entries = NULL;
        int n = scandir(dir, &entries, is_preset, alphasort), r = 0;

        for (int i = 0; i < n; i++) {
                char *name = entries[i]->d_name;

                name[strlen(name) - 5] = '\0';
                if (r == 0 && !strv_contains(*names, name))
                        r = strv_append(names, name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

int config_preset_names(const char *config_path, char ***ret)
{
        _cleanup_(freep) char *own = own_directory(config_path);
        _cleanup_(strv_freep) char **names = NULL;
        int r;

        if (!own)
                return err_origin(-ENOMEM);
        r = names_add(&names, own);
        if (r == 0)
                r = names_add(&names, DIRECTORY);
        if (r < 0)
                return err_trace(r);
        if (names)
                qsort(names, strv_length(names), sizeof(*names), by_name);
        *ret = TAKE_PTR(names);
        return 0;
}
