/*
 * verb_preset - unjamctl preset list, show, and setup
 *
 * They read files only, and so work while the daemon is down. setup writes one file that was not there, in
 * observe mode: what unjamd would do can be read before it may do anything. Nothing is ever written over.
 *
 * Test: tests/unit/test_verb_preset.c
 */
#include "ctl/ctl.h"
#include "ctl/print.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "model/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_MAX (1u << 20)

/* All presets of this host. */
typedef struct List {
        PresetInfo *infos;
        size_t n;
} List;

static void list_deinit(List *list)
{
        for (size_t i = 0; i < list->n; i++)
                preset_info_deinit(&list->infos[i]);
        free(list->infos);
}

/* One preset; its faults are told. Return: a code of config_preset(). */
static int info_get(const Ctl *c, const char *name, PresetInfo *ret)
{
        ConfigFaults faults = {};
        int r = config_preset(c->config_path, name, ret, &faults);

        for (size_t i = 0; i < faults.n; i++) {
                _cleanup_(freep) char *text = config_fault_format(&faults.list[i]);

                ctl_error("%s", text ? text : "out of memory");
        }
        config_faults_deinit(&faults);
        return r;
}

/* Return: an exit code. */
static int list_read(const Ctl *c, List *list)
{
        _cleanup_(strv_freep) char **names = NULL;
        int r = config_preset_names(c->config_path, &names);

        if (r == 0)
                list->infos = calloc(strv_length(names) + 1, sizeof(*list->infos));
        if (r < 0 || !list->infos) {
                ctl_error("out of memory");
                return CTL_REFUSED;
        }
        for (char **name = names; name && *name; name++) {
                r = info_get(c, *name, &list->infos[list->n]);
                if (r == 0 || r == CONFIG_E_FAULTS)
                        list->n++;
        }
        return CTL_DONE;
}

static json_t *info_json(const PresetInfo *info)
{
        json_t *where = json_object();

        for (size_t i = 0; info->where && info->where[i]; i += 2)
                (void)json_set(where, info->where[i], json_from_text(info->where[i + 1]));
        return json_pack("{s:s, s:o?, s:o, s:b, s:o}", "name", info->name, "description",
                         info->description ? json_from_text(info->description) : NULL, "path",
                         json_from_text(info->path), "present", info->present, "where", where);
}

static int print_list(const Ctl *c, const List *list)
{
        static const Column columns[] = { { .title = "NAME" }, { .title = "HERE" }, { .title = "WHAT" } };
        _cleanup_(table_freep) Table *t = table_new(columns, ELEMENTSOF(columns));

        for (size_t i = 0; i < list->n; i++)
                if (!t || table_add(t, (const char *const[]){ list->infos[i].name,
                                                              list->infos[i].present ? "yes" : "no",
                                                              list->infos[i].description }) < 0) {
                        ctl_error("out of memory");
                        return CTL_REFUSED;
                }
        if (list->n == 0) {
                fputs("No presets are installed.\n", c->out);
                return CTL_REFUSED;
        }
        table_print(t, c->out, c->colour);
        return CTL_DONE;
}

int verb_preset_list(Ctl *c, char **argv)
{
        List list = {};
        int r = list_read(c, &list);

        (void)argv;
        if (r == CTL_DONE && c->json) {
                json_t *all = json_array();

                for (size_t i = 0; i < list.n; i++)
                        (void)json_array_append_new(all, info_json(&list.infos[i]));
                r = ctl_print_json(c, all);
                json_decref(all);
        } else if (r == CTL_DONE)
                r = print_list(c, &list);
        list_deinit(&list);
        return r;
}

/* The head for people, then the file as it is: its comments are the explanation. */
static int print_preset(const Ctl *c, const PresetInfo *info, const char *text)
{
        fprintf(c->out, "# %s: %s\n# %s\n", info->name, info->description ? info->description : "a preset",
                info->path);
        for (size_t i = 0; info->where && info->where[i]; i += 2)
                fprintf(c->out, "# on this host, ${%s} is %s\n", info->where[i], info->where[i + 1]);
        fprintf(c->out, "\n%s", text);
        return CTL_DONE;
}

int verb_preset_show(Ctl *c, char **argv)
{
        _cleanup_(freep) char *text = NULL;
        PresetInfo info = {};
        int r = info_get(c, argv[0], &info);

        if (r == CONFIG_E_NO_PRESET)
                ctl_error("there is no preset \"%s\"; see `unjamctl preset list`", argv[0]);
        else if (r < 0)
                ctl_error("%s: %s", argv[0], strerror(-r));
        else if (r == CONFIG_E_FAULTS)
                r = CTL_REFUSED;
        else {
                r = file_read(AT_FDCWD, info.path, TEXT_MAX, &text, NULL);
                if (r < 0)
                        ctl_error("%s: %s", info.path, strerror(-r));
                else if (c->json) {
                        json_t *j = info_json(&info);

                        (void)json_set(j, "text", json_from_text(text));
                        r = ctl_print_json(c, j);
                        json_decref(j);
                } else
                        r = print_preset(c, &info, text);
        }
        preset_info_deinit(&info);
        return r == 0 ? CTL_DONE : CTL_REFUSED;
}

/* Setup */

/* The services to write: what is here and has none of its name yet. NULL if there is none, or on ENOMEM. */
static char *setup_text(const Ctl *c, const List *list, bool main_file, size_t *ret_n)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        *ret_n = 0;
        if (!f)
                return NULL;
        fputs("# Written by `unjamctl setup`: the mail servers that were found on this host. They are only "
              "watched\n"
              "# until mode is \"act\". Keys written here go over those of the preset: see unjamd.conf(5), "
              "and\n"
              "# `unjamctl preset show NAME`.\n\n",
              f);
        if (main_file)
                fputs("mode = \"observe\";\n\n", f);
        fputs("services = (", f);
        for (size_t i = 0; i < list->n; i++) {
                const char *name = list->infos[i].name;

                if (!list->infos[i].present || settings_find(c->settings, name))
                        continue;
                fprintf(f, "%s\n  { name = \"%s\"; preset = \"%s\"; mode = \"observe\"; }", *ret_n ? "," : "",
                        name, name);
                (*ret_n)++;
        }
        fputs("\n);\n", f);
        if (fclose(f) != 0 || *ret_n == 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* Makes @path, which must not be there. Return: 0 or a negated errno. */
static int file_make(const char *path, const char *text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        size_t len = strlen(text);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, text, len);
        if (n == (ssize_t)len && fsync(fd) == 0)
                return 0;
        n = n < 0 || errno ? -errno : -ENOSPC;
        /* Half a configuration would keep unjamd from starting. */
        (void)unlink(path);
        return (int)n;
}

/* Where to write: the main file if there is none, else a file of its own beside it. NULL on ENOMEM. */
static char *setup_path(const Ctl *c, bool *ret_main)
{
        const char *slash = strrchr(c->config_path, '/');
        _cleanup_(freep) char *dir = NULL;
        char *path;

        *ret_main = access(c->config_path, F_OK) < 0;
        if (*ret_main)
                return strdup(c->config_path);
        if (asprintf(&dir, "%.*sconf.d", slash ? (int)(slash - c->config_path) + 1 : 0, c->config_path) < 0) {
                dir = NULL;
                return NULL;
        }
        (void)mkdir(dir, 0755);
        return asprintf(&path, "%s/setup.conf", dir) < 0 ? NULL : path;
}

static int setup_told(const Ctl *c, const List *list, const char *path)
{
        json_t *j;
        int r;

        if (!c->json) {
                fprintf(c->out, "Wrote %s. Next:\n  unjamd --check-config\n  systemctl enable --now unjamd\n",
                        path);
                return CTL_DONE;
        }
        j = json_pack("{s:o, s:[]}", "path", json_from_text(path), "services");
        for (size_t i = 0; i < list->n; i++)
                if (list->infos[i].present && !settings_find(c->settings, list->infos[i].name))
                        (void)json_array_append_new(json_object_get(j, "services"),
                                                    json_string(list->infos[i].name));
        r = ctl_print_json(c, j);
        json_decref(j);
        return r;
}

int verb_setup(Ctl *c, char **argv)
{
        _cleanup_(freep) char *text = NULL, *path = NULL;
        List list = {};
        bool main_file;
        size_t n = 0;
        int r = list_read(c, &list);

        (void)argv;
        if (r == CTL_DONE) {
                path = setup_path(c, &main_file);
                text = path ? setup_text(c, &list, main_file, &n) : NULL;
                if (n == 0) {
                        ctl_error("no mail server was found here that is not configured yet; see `unjamctl "
                                  "preset list`");
                        r = CTL_REFUSED;
                } else if (!text) {
                        ctl_error("out of memory");
                        r = CTL_REFUSED;
                }
        }
        if (r == CTL_DONE) {
                r = file_make(path, text);
                if (r < 0)
                        ctl_error("%s: %s; nothing was written", path,
                                  r == -EEXIST ? "is there already" : strerror(-r));
                r = r < 0 ? CTL_REFUSED : setup_told(c, &list, path);
        }
        list_deinit(&list);
        return r;
}
