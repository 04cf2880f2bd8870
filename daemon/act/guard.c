/*
 * guard - the files that keep everybody else from starting a service
 *
 * Called by manager_systemd (all of it) and by the other managers (the marker), from a worker thread.
 *
 * The persistent drop-in has two *triggering* conditions (with '|'), of which one must hold:
 *
 *         ConditionPathExists=|!MARKER      no incident is open, or
 *         ConditionPathExists=|PERMIT       unjamd itself is starting the service now
 *
 * systemd lumps the triggering conditions of a unit together, so a unit that has some of its own would be
 * started if one of those held. Such a unit gets AssertPathExists= instead, which is a list of its own; a
 * refused start then shows as failed rather than as skipped, which is why conditions come first.
 *
 * Only services are ordered after unjamd.service: a socket or timer that was would close a cycle through
 * basic.target.
 *
 * Guarantees: each function can be repeated, and a crash between any two leaves what the marker alone can
 * undo, if the marker is written first and removed last. Diagnostics: negated errnos. Tests:
 * tests/unit/test_guard.c.
 */
#include "act/guard.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "model/json.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MARKER_MAX (1024 * 1024)
#define DROPIN_MAX (64 * 1024)

void guard_paths_deinit(GuardPaths *p)
{
        free(p->service);
        free(p->state_dir);
        free(p->run_dir);
        free(p->unit_dir);
        free(p->runtime_unit_dir);
        *p = (GuardPaths){ 0 };
}

void guard_marker_deinit(GuardMarker *m)
{
        free(m->incident);
        m->units = strv_free(m->units);
        m->triggers = strv_free(m->triggers);
        *m = (GuardMarker){ 0 };
}

/* Names become file names; 32 bytes are room for suffixes and temporary names. */
static bool name_is_valid(const char *name)
{
        return name && name[0] != '\0' && name[0] != '.' && !strchr(name, '/') &&
               strlen(name) < NAME_MAX - 32;
}

static int join(char **ret, const char *dir, const char *sub)
{
        return asprintf(ret, "%s/%s", dir, sub) < 0 ? err_origin(-ENOMEM) : 0;
}

/* Opens STATE_DIR/guard, made if @make. Return: descriptor, -ENOENT, or another errno. */
static int guard_dir(const GuardPaths *p, bool make)
{
        _cleanup_(freep) char *path = NULL;

        if (!name_is_valid(p->service))
                return err_origin(-EINVAL);
        int r = join(&path, p->state_dir, "guard");
        if (r < 0)
                return err_trace(r);
        if (make)
                return err_trace(dir_ensure(p->disk, path, 0700));
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int strings_from_json(const json_t *array, char ***ret)
{
        _cleanup_(strv_freep) char **v = NULL;
        size_t i;
        json_t *one;

        if (array && !json_is_array(array))
                return err_origin(-EBADMSG);
        json_array_foreach(array, i, one)
        {
                if (!json_is_string(one))
                        return err_origin(-EBADMSG);
                int r = strv_append(&v, json_string_value(one));
                if (r < 0)
                        return err_trace(r);
        }
        *ret = TAKE_PTR(v);
        return 0;
}

static json_t *strings_to_json(char *const *v)
{
        json_t *array = json_array();

        for (; array && v && *v; v++)
                if (json_array_append_new(array, json_string(*v)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

int guard_marker_read(const GuardPaths *p, GuardMarker *ret)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int dir = -1;
        GuardMarker m = { 0 };
        size_t len;

        dir = guard_dir(p, false);
        if (dir == -ENOENT)
                return GUARD_E_NONE;
        if (dir < 0)
                return err_trace(dir);
        int r = file_read(dir, p->service, MARKER_MAX, &text, &len);
        if (r == -ENOENT)
                return GUARD_E_NONE;
        if (r < 0)
                return err_trace(r);

        json_t *j = json_parse(text, len);
        if (!j && errno == ENOMEM)
                return err_origin(-ENOMEM);
        const char *incident = json_string_value(json_object_get(j, "incident"));
        r = incident ? 0 : err_origin(-EBADMSG);
        if (r == 0)
                r = strings_from_json(json_object_get(j, "units"), &m.units);
        if (r == 0)
                r = strings_from_json(json_object_get(j, "triggers"), &m.triggers);
        if (r == 0 && !(m.incident = strdup(incident)))
                r = err_origin(-ENOMEM);
        json_decref(j);
        if (r < 0) {
                guard_marker_deinit(&m);
                return r;
        }
        *ret = m;
        return 0;
}

bool guard_marker_exists(const GuardPaths *p)
{
        _cleanup_(closep) int dir = guard_dir(p, false);

        return dir >= 0 && faccessat(dir, p->service, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int guard_marker_write(const GuardPaths *p, const GuardMarker *m)
{
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int dir = -1;

        json_t *j = json_pack("{s:s, s:o, s:o}", "incident", m->incident, "triggers",
                              strings_to_json(m->triggers), "units", strings_to_json(m->units));
        text = j ? json_text(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(j);
        if (!text)
                return err_origin(-ENOMEM);

        dir = guard_dir(p, true);
        if (dir < 0)
                return err_trace(dir);
        return err_trace(file_replace(p->disk, dir, p->service, text, strlen(text), 0600));
}

/* Removes @name in @dir and makes that durable. Return: 1 if it was there, 0, or a negated errno. */
static int remove_durably(const GuardPaths *p, int dir, const char *name)
{
        int r = disk_remove(p->disk, dir, name, 0);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return err_trace(r);
        r = disk_sync(p->disk, dir);
        return r < 0 ? err_trace(r) : 1;
}

int guard_marker_remove(const GuardPaths *p)
{
        _cleanup_(closep) int dir = guard_dir(p, false);
        if (dir == -ENOENT)
                return 0;
        if (dir < 0)
                return err_trace(dir);

        int r = remove_durably(p, dir, p->service);
        return r < 0 ? err_trace(r) : 0;
}

/* In a unit file '%' begins a specifier. */
static char *unit_escape(const char *s)
{
        char *out = malloc(2 * strlen(s) + 1), *o = out;

        for (; out && *s; s++) {
                if (*s == '%')
                        *o++ = '%';
                *o++ = *s;
        }
        if (out)
                *o = '\0';
        return out;
}

static bool is_service(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        return dot && strcmp(dot, ".service") == 0;
}

/* The persistent drop-in; see the head of this file. */
static int dropin_text(const GuardPaths *p, const char *unit, const char *incident, GuardKind kind,
                       char **ret)
{
        static const char *const words[] = { [GUARD_CONDITION] = "Condition", [GUARD_ASSERT] = "Assert" };
        _cleanup_(freep) char *state = unit_escape(p->state_dir), *run = unit_escape(p->run_dir);
        _cleanup_(freep) char *service = unit_escape(p->service);

        if (!state || !run || !service)
                return err_origin(-ENOMEM);
        int n = asprintf(
                ret,
                "# Made by unjamd for incident %s; it goes when the incident closes.\n"
                "# Until then only unjamd starts this unit: see unjamd(8), \"unjamctl explain %s\".\n"
                "[Unit]\n"
                "%s"
                "%sPathExists=|!%s/guard/%s\n"
                "%sPathExists=|%s/permit/%s\n",
                incident, p->service, is_service(unit) ? "After=unjamd.service\n" : "", words[kind], state,
                service, words[kind], run, service);
        return n < 0 ? err_origin(-ENOMEM) : 0;
}

/* Writes @text as @name in the drop-in directory of @unit below @base, unless exactly that is there. */
static int dropin_write(const GuardPaths *p, const char *base, const char *unit, const char *name,
                        const char *text)
{
        _cleanup_(freep) char *path = NULL, *old = NULL;
        _cleanup_(closep) int dir = -1;
        size_t len;

        if (asprintf(&path, "%s/%s.d", base, unit) < 0)
                return err_origin(-ENOMEM);
        dir = dir_ensure(p->disk, path, 0755);
        if (dir < 0)
                return err_trace(dir);
        if (file_read(dir, name, DROPIN_MAX, &old, &len) == 0 && len == strlen(text) &&
            memcmp(old, text, len) == 0)
                return 0;
        int r = file_replace(p->disk, dir, name, text, strlen(text), 0644);
        return r < 0 ? err_trace(r) : 1;
}

/* Return: 1 if it was there, 0, or a negated errno. */
static int dropin_remove(const GuardPaths *p, const char *base, const char *unit, const char *name)
{
        _cleanup_(freep) char *folder = NULL;
        _cleanup_(closep) int parent = -1, dir = -1;

        if (asprintf(&folder, "%s.d", unit) < 0)
                return err_origin(-ENOMEM);
        parent = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);
        dir = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
                return errno == ENOENT ? 0 : err_origin(-errno);

        int r = remove_durably(p, dir, name);
        /* An empty directory may be ours or the administrator's: it says nothing either way, so it goes. */
        if (r > 0)
                (void)disk_remove(p->disk, parent, folder, AT_REMOVEDIR);
        return r;
}

int guard_dropins_write(const GuardPaths *p, const char *unit, const char *incident, GuardKind kind,
                        bool *ret_changed)
{
        static const char restart[] = "# Made by unjamd; see " GUARD_DROPIN ".\n[Service]\nRestart=no\n";
        _cleanup_(freep) char *text = NULL;

        if (!name_is_valid(unit) || !name_is_valid(p->service))
                return err_origin(-EINVAL);
        int r = dropin_text(p, unit, incident, kind, &text);
        if (r < 0)
                return err_trace(r);

        r = dropin_write(p, p->unit_dir, unit, GUARD_DROPIN, text);
        if (r < 0)
                return err_trace(r);
        *ret_changed |= r > 0;
        if (!is_service(unit))
                return 0;
        r = dropin_write(p, p->runtime_unit_dir, unit, GUARD_RESTART_DROPIN, restart);
        if (r < 0)
                return err_trace(r);
        *ret_changed |= r > 0;
        return 0;
}

int guard_dropins_remove(const GuardPaths *p, const char *unit, bool *ret_changed)
{
        if (!name_is_valid(unit))
                return err_origin(-EINVAL);

        int r = dropin_remove(p, p->unit_dir, unit, GUARD_DROPIN);
        if (r < 0)
                return err_trace(r);
        *ret_changed |= r > 0;
        r = dropin_remove(p, p->runtime_unit_dir, unit, GUARD_RESTART_DROPIN);
        if (r < 0)
                return err_trace(r);
        *ret_changed |= r > 0;
        return 0;
}

int guard_permit(const GuardPaths *p, bool on)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int dir = -1;

        if (!name_is_valid(p->service))
                return err_origin(-EINVAL);
        int r = join(&path, p->run_dir, "permit");
        if (r < 0)
                return err_trace(r);

        if (!on) {
                dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (dir < 0)
                        return errno == ENOENT ? 0 : err_origin(-errno);
                r = disk_remove(p->disk, dir, p->service, 0);
                return r == -ENOENT ? 0 : err_trace(r);
        }
        dir = dir_ensure(p->disk, path, 0755);
        if (dir < 0)
                return err_trace(dir);
        _cleanup_(closep) int fd = disk_create(p->disk, dir, p->service, O_WRONLY | O_CREAT, 0644);
        return fd < 0 ? err_trace(fd) : 0;
}
