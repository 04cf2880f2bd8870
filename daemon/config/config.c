/*
 * config - reads the configuration's files and makes Settings of them
 *
 * Called by main at start and at a reload, and by unjamctl (CONFIG_READ_ONLY). Order: read and parse every
 * file (a fault of syntax ends the load here, since libconfig keeps nothing of such a file), read keys by
 * their tables, then the checks across services and the look at directories. Everything that is wrong is
 * reported at once.
 *
 * Test: tests/unit/test_config.c.
 */
#include "config/config.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "config/document.h"
#include "config/faults.h"
#include "config/parts.h"
#include "config/preset.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a configuration; settings point into them, so they live until the load is done. */
typedef struct Files {
        Document *list;
        size_t n;
} Files;

static void files_deinit(Files *f)
{
        for (size_t i = 0; i < f->n; i++)
                document_deinit(&f->list[i]);
        free(f->list);
        *f = (Files){};
}

static int files_add(Files *f, const char *path)
{
        Document *list = reallocarray(f->list, f->n + 1, sizeof(*list));
        int r;

        if (!list)
                return err_origin(-ENOMEM);
        f->list = list;
        r = document_init(&list[f->n], path);
        if (r == 0)
                f->n++;
        return err_trace(r);
}

static int is_drop_in(const struct dirent *e)
{
        size_t len = strlen(e->d_name);

        return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

/* By bytes, not by the locale of whoever starts the daemon. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

/* The files of conf.d beside @path. */
static int drop_ins_add(Loader *l, Files *files, const char *path)
{
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *dir = NULL;
        struct dirent **entries = NULL;
        int n, r = 0;

        if (asprintf(&dir, "%.*sconf.d", slash ? (int)(slash - path) + 1 : 0, path) < 0) {
                dir = NULL;
                return err_origin(-ENOMEM);
        }
        n = scandir(dir, &entries, is_drop_in, by_name);
        if (n < 0 && errno == ENOMEM)
                return err_origin(-ENOMEM);
        if (n < 0 && errno != ENOENT && errno != ENOTDIR)
                loader_fail(l, config_faults_add(l->faults, dir, 1,
                                                 "conf.d: cannot be read; make it readable for unjamd"));
        for (int i = 0; i < n; i++) {
                _cleanup_(freep) char *file = NULL;

                if (r == 0 && asprintf(&file, "%s/%s", dir, entries[i]->d_name) < 0) {
                        file = NULL;
                        r = err_origin(-ENOMEM);
                }
                if (r == 0)
                        r = files_add(files, file);
                free(entries[i]);
        }
        free(entries);
        return r;
}

DEFINE_WORDS(mode, Mode)

const Key audit_keys[] = {
        PLAIN("path", KEY_PATH, Settings, audit_path),
        RANGE("max_size", KEY_SIZE, Settings, audit_max_size, 4096, UINT64_C(1) << 40),
        RANGE("keep", KEY_COUNT, Settings, audit_keep, 1, 100000),
        PLAIN("journal", KEY_BOOL, Settings, audit_journal),
        {},
};

/* audit = { ... }: its members lie in Settings itself. */
static void audit_read(Loader *l, const config_setting_t *s, void *target)
{
        keys_read(l, s, audit_keys, target);
}

const Key control_keys[] = {
        PLAIN("group", KEY_STRING, Settings, control_group),
        {},
};

static void control_read(Loader *l, const config_setting_t *s, void *target)
{
        Settings *settings = target;
        const config_setting_t *at =
                config_setting_is_group(s) ? config_setting_get_member(s, "group") : NULL;
        struct group group, *found = NULL;
        char buffer[64 * 1024];

        keys_read(l, s, control_keys, settings);
        /* The default may be missing on a small host: then only root may do anything. One that is written
         * must be right. */
        if (!at || !settings->control_group || l->flags & CONFIG_READ_ONLY)
                return;
        if (getgrnam_r(settings->control_group, &group, buffer, sizeof(buffer), &found) != 0 || !found)
                loader_fault(l, at, "group: there is no group \"%s\"; write the name of a group of this host",
                             settings->control_group);
}

/* Makes room for @n more services, before any is read: what cannot be kept is not made. */
static int services_reserve(Loader *l, size_t n)
{
        size_t all = l->settings->n_services + n;
        const config_setting_t **groups;
        ServiceSettings *services;

        services = reallocarray(l->settings->services, all, sizeof(*services));
        if (!services)
                return err_origin(-ENOMEM);
        l->settings->services = services;
        groups = reallocarray(l->services, all, sizeof(*groups));
        if (!groups)
                return err_origin(-ENOMEM);
        l->services = groups;
        return 0;
}

static void services_read(Loader *l, const config_setting_t *s, void *target)
{
        _cleanup_(freep) ServiceSettings *more = NULL;
        Settings *settings = target;
        size_t n;

        s = presets_merge(l, s);
        if (config_setting_is_list(s) && config_setting_length(s) > 0 &&
            services_reserve(l, (size_t)config_setting_length(s)) < 0) {
                loader_fail(l, -ENOMEM);
                return;
        }
        more = groups_read(l, s, sizeof(ServiceSettings), &n, service_read);
        if (!more)
                return;
        memcpy(settings->services + settings->n_services, more, n * sizeof(*more));
        for (size_t i = 0; i < n; i++)
                l->services[settings->n_services + i] = config_setting_get_elem(s, (unsigned)i);
        settings->n_services += n;
}

const Key global_keys[] = {
        WORD("mode", Settings, mode, mode_words),
        PLAIN("state_dir", KEY_PATH, Settings, state_dir),
        PLAIN("run_dir", KEY_PATH, Settings, run_dir),
        CUSTOM("audit", audit_read),
        CUSTOM("control", control_read),
        LATER("alerts"),
        RANGE("log_line_max", KEY_SIZE, Settings, log_line_max, 1024, 64 << 20),
        CUSTOM("services", services_read),
        {},
};

/* Settings with every default; conf/unjamd.conf shows the same, and a test compares the two. */
static int settings_new(Settings **ret, const char *path)
{
        _cleanup_(settings_unrefp) Settings *s = calloc(1, sizeof(*s));

        if (!s)
                return err_origin(-ENOMEM);
        *s = (Settings){
                .n_ref = 1,
                .mode = MODE_OBSERVE,
                .path = strdup(path),
                .state_dir = strdup("/var/lib/unjamd"),
                .run_dir = strdup("/run/unjamd"),
                .audit_path = strdup("/var/log/unjamd/audit.jsonl"),
                .audit_max_size = UINT64_C(64) << 20,
                .audit_keep = 16,
                .audit_journal = true,
                .log_line_max = 1 << 20,
                .control_group = strdup("adm"),
        };
        if (!s->path || !s->state_dir || !s->run_dir || !s->audit_path || !s->control_group)
                return err_origin(-ENOMEM);
        *ret = TAKE_PTR(s);
        return 0;
}

/* Each file may add services; any other key stands once in all of them, so that no order of files decides. */
static void check_repeated_globals(Loader *l, size_t file)
{
        const config_setting_t *root = l->roots[file];

        for (int i = 0; i < config_setting_length(root); i++) {
                const config_setting_t *s = config_setting_get_elem(root, (unsigned)i);
                const char *name = config_setting_name(s);

                for (size_t k = 0; k < file && strcmp(name, "services") != 0; k++) {
                        const config_setting_t *first = config_setting_get_member(l->roots[k], name);

                        if (first)
                                loader_fault(l, s, "%s: is already at %s:%u; remove one of the two", name,
                                             setting_file(first), setting_line(first));
                }
        }
}

/* The global mode may stand in a later file than a service that follows it. */
static void modes_resolve(Loader *l)
{
        Settings *s = l->settings;

        if (l->flags & CONFIG_DRY_RUN)
                s->mode = MODE_OBSERVE;
        for (size_t i = 0; i < s->n_services; i++)
                if (s->services[i].mode < 0 || l->flags & CONFIG_DRY_RUN)
                        s->services[i].mode = s->mode;
}

/* All files are parsed: their settings into l->settings. */
static int files_read(Loader *l, const Files *files)
{
        l->roots = calloc(files->n, sizeof(*l->roots));
        if (!l->roots)
                return err_origin(-ENOMEM);
        for (size_t i = 0; i < files->n; i++)
                l->roots[l->n_roots++] = config_root_setting(&files->list[i].config);
        for (size_t i = 0; i < files->n; i++) {
                check_repeated_globals(l, i);
                keys_read(l, l->roots[i], global_keys, l->settings);
        }
        modes_resolve(l);
        checks_names(l);
        checks_units(l);
        places_check(l);
        return l->error;
}

/* Everything up to the list of faults. Return: 0, or a negated errno. */
static int load(Loader *l, Files *files, const char *path)
{
        int r;

        r = settings_new(&l->settings, path);
        if (r < 0)
                return err_trace(r);
        r = files_add(files, path);
        if (r < 0)
                return err_trace(r);
        r = drop_ins_add(l, files, path);
        if (r < 0)
                return err_trace(r);
        for (size_t i = 0; i < files->n; i++)
                (void)document_parse(&files->list[i], l);
        if (l->error < 0 || l->faults->n > 0)
                return l->error;
        return files_read(l, files);
}

int config_load(const char *path, unsigned flags, const ConfigChecks *checks, Settings **ret,
                ConfigFaults *faults)
{
        static const ConfigChecks none = {};
        ConfigFaults found = {};
        Loader l = { .flags = flags, .checks = checks ? checks : &none, .faults = &found };
        Files files = {};
        int r;

        r = load(&l, &files, path);
        if (r == 0)
                r = config_faults_sort(&found);
        for (size_t i = 0; r == 0 && i < found.n; i++)
                r = config_faults_add(faults, found.list[i].file, found.list[i].line, found.list[i].what);
        if (r == 0 && found.n > 0)
                r = CONFIG_E_FAULTS;
        if (r == 0)
                *ret = TAKE_PTR(l.settings);
        settings_unref(l.settings);
        config_faults_deinit(&found);
        presets_free(l.presets);
        files_deinit(&files);
        free(l.services);
        free(l.roots);
        return r;
}
