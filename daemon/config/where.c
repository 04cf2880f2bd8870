/*
 * where - which of several usual places is the one of this host
 *
 * Called by preset.c: distributions agree on what a mail server needs and not on what it is called. Units are
 * looked up as files and not asked of the service manager, so that the daemon and unjamctl, which may be
 * used while neither runs, come to the same answer.
 *
 * Looks at the disk and the user database, changes nothing. Test: tests/unit/test_config_where.c.
 */
#include "config/where.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where systemd finds units; the generators' directories have those of init scripts and of instances. */
static const char *const unit_dirs[] = {
        "/etc/systemd/system",         "/run/systemd/system",           "/run/systemd/generator",
        "/run/systemd/generator.late", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
        "/lib/systemd/system",
};

static const char separator[] = " if ";

void where_deinit(Where *w)
{
        for (size_t i = 0; i < w->n; i++) {
                free(w->places[i].name);
                free(w->places[i].value);
        }
        free(w->places);
        w->places = NULL;
        w->n = 0;
}

static bool file_there(const char *root, const char *dir, const char *name)
{
        _cleanup_(freep) char *path = NULL;

        if (asprintf(&path, "%s%s%s%s", root, dir, *dir ? "/" : "", name) < 0)
                return false;
        return access(path, F_OK) == 0;
}

/* "x@i.service" is there where "x@.service" is. */
static bool unit_there(const char *root, const char *unit)
{
        const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');
        _cleanup_(freep) char *template = NULL;

        if (at && dot > at && asprintf(&template, "%.*s%s", (int)(at + 1 - unit), unit, dot) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(unit_dirs); i++)
                if (file_there(root, unit_dirs[i], unit) ||
                    (template && file_there(root, unit_dirs[i], template)))
                        return true;
        return false;
}

static bool user_there(const char *name)
{
        char buffer[16 * 1024];
        struct passwd pw, *found = NULL;

        return getpwnam_r(name, &pw, buffer, sizeof(buffer), &found) == 0 && found;
}

static bool one_there(const char *root, const char *what)
{
        if (what[0] == '/')
                return file_there(root, "", what);
        return strchr(what, '.') ? unit_there(root, what) : user_there(what);
}

bool where_there(const char *root, const char *what)
{
        const char *sep = strstr(what, separator);
        _cleanup_(freep) char *first = sep ? strndup(what, (size_t)(sep - what)) : NULL;

        if (!sep)
                return one_there(root, what);
        return first && one_there(root, first) && one_there(root, sep + strlen(separator));
}

const char *where_get(const Where *w, const char *name, size_t len)
{
        for (size_t i = 0; i < w->n; i++)
                if (strlen(w->places[i].name) == len && strncmp(w->places[i].name, name, len) == 0)
                        return w->places[i].value;
        return NULL;
}

/* The first of @words that is there, else the first; without its condition. NULL on ENOMEM. */
static char *choose(const Where *w, char *const *words, bool *ret_found)
{
        const char *root = w->root ? w->root : "", *chosen = words[0], *sep;

        *ret_found = false;
        for (char *const *word = words; *word && !*ret_found; word++)
                if (**word && where_there(root, *word)) {
                        chosen = *word;
                        *ret_found = true;
                }
        sep = strstr(chosen, separator);
        return sep ? strndup(chosen, (size_t)(sep - chosen)) : strdup(chosen);
}

static void place_add(Loader *l, Where *w, const char *name, char *const *words)
{
        Place *places = reallocarray(w->places, w->n + 1, sizeof(*places));
        Place p = {};

        if (places)
                w->places = places;
        p.name = strdup(name);
        p.value = choose(w, words, &p.found);
        if (!places || !p.name || !p.value) {
                free(p.name);
                free(p.value);
                loader_fail(l, -ENOMEM);
                return;
        }
        w->places[w->n++] = p;
}

void where_read(Loader *l, const config_setting_t *s, const config_setting_t *known, Where *w)
{
        if (!config_setting_is_group(s)) {
                loader_fault(l, s, "where: is no group; write where = { spool = \"/path\"; }");
                return;
        }
        for (int i = 0; i < config_setting_length(s); i++) {
                const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
                const char *name = config_setting_name(e);
                _cleanup_(strv_freep) char **words = NULL;

                if (where_get(w, name, strlen(name)))
                        continue;
                if (known && !config_setting_get_member(known, name)) {
                        loader_fault(l, e, "%s: the preset has no such place; see `unjamctl preset show`",
                                     name);
                        continue;
                }
                words = words_read(l, e);
                if (words && words[0][0])
                        place_add(l, w, name, words);
        }
}
