/*
 * places - the directories of a configuration: stores, holds, rebuildable files, unjamd's own
 *
 * Called by config.c last, when all services are known. Guarantees of Settings that pass, where nothing is
 * missing:
 *
 *   - every directory of a store is there, is no symbolic link, and is written as /proc/PID/fd shows it;
 *   - no directory belongs to two stores, and none lies in another;
 *   - nothing of unjamd's own (hold, state_dir, run_dir, audit trail) lies in a directory that is scanned;
 *   - purging a rebuildable file can take no message with it, and one that lies among messages is excluded
 *     there;
 *   - for services that act, a real rename between each directory and its hold was tried
 *     (ConfigChecks.probe_rename). Observe mode tries none: there, a hold that was given is compared by its
 *     mount.
 *
 * A store on a network file system is no fault: the service is then observed only.
 * Test: tests/unit/test_config_places.c.
 */
#include "config/parts.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "config/filesystem.h"
#include "config/path.h"
#include "model/layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A store, and where it stands. */
typedef struct StoreRef {
        ServiceSettings *service;
        StoreSettings *store;
        const config_setting_t *group;
        bool hold_given;
} StoreRef;

typedef struct Places {
        Loader *l;
        StoreRef *refs;
        size_t n;
} Places;

/* Elements that had a fault stay in their vectors as empty strings. */
static bool is_real(const char *path)
{
        return path && path[0] == '/';
}

/* Is @dir usable as a directory of messages? Faults say why not. */
static bool dir_is_there(Loader *l, const config_setting_t *at, const char *dir)
{
        struct stat st;

        if (lstat(dir, &st) < 0) {
                if (l->flags & CONFIG_READ_ONLY)
                        return false;
                if (errno == ENOENT)
                        loader_fault(l, at,
                                     "dirs: there is no directory \"%s\"; make it, or write the one that the "
                                     "server "
                                     "uses",
                                     dir);
                else
                        loader_fault(l, at,
                                     "dirs: \"%s\" cannot be reached (%m); make it accessible for unjamd",
                                     dir);
                return false;
        }
        if (S_ISDIR(st.st_mode))
                return true;
        if (S_ISLNK(st.st_mode)) {
                _cleanup_(freep) char *real = realpath(dir, NULL);

                loader_fault(l, at, "dirs: \"%s\" is a symbolic link; write \"%s\"", dir,
                             real ? real : "the directory that it should lead to");
        } else
                loader_fault(l, at,
                             "dirs: \"%s\" is no directory; write the directory that holds the messages",
                             dir);
        return false;
}

/* Leaves the paths as the kernel shows them: what is open is found in a store by its path. */
static void dirs_check(Loader *l, const StoreRef *ref)
{
        for (size_t i = 0; ref->store->dirs && ref->store->dirs[i]; i++) {
                const config_setting_t *at = setting_element(ref->group, "dirs", i);
                char **dir = &ref->store->dirs[i];
                char *real;

                if (!is_real(*dir) || !dir_is_there(l, at, *dir))
                        continue;
                real = realpath(*dir, NULL);
                if (real) {
                        free(*dir);
                        *dir = real;
                } else if (errno == ENOMEM)
                        loader_fail(l, -ENOMEM);
                if (filesystem_is_network(*dir) > 0)
                        ref->service->observe_only = REASON_NETWORK_FILESYSTEM;
        }
}

/* Directory @i of store @a against directory @k of store @b, which comes first in the files. */
static void overlap_check(Loader *l, const StoreRef *a, size_t i, const StoreRef *b, size_t k)
{
        const config_setting_t *at = setting_element(a->group, "dirs", i);
        const config_setting_t *first = setting_element(b->group, "dirs", k);
        const char *x = a->store->dirs[i], *y = b->store->dirs[k];

        if (!is_real(x) || !is_real(y))
                return;
        if (strcmp(x, y) == 0)
                loader_fault(l, at, "dirs: \"%s\" is already at %s:%u; write it in one store only", x,
                             setting_file(first), setting_line(first));
        else if (path_inside(x, y) || path_inside(y, x))
                loader_fault(l, at,
                             "dirs: \"%s\" %s \"%s\" of %s:%u; write directories that lie side by side", x,
                             path_inside(x, y) ? "lies inside" : "holds", y, setting_file(first),
                             setting_line(first));
}

/* Every pair once. A configuration has tens of directories. */
static void overlaps_check(const Places *p)
{
        for (size_t a = 0; a < p->n; a++)
                for (size_t i = 0; p->refs[a].store->dirs && p->refs[a].store->dirs[i]; i++)
                        for (size_t b = 0; b <= a; b++)
                                for (size_t k = 0; p->refs[b].store->dirs && p->refs[b].store->dirs[k]; k++)
                                        if (b < a || k < i)
                                                overlap_check(p->l, &p->refs[a], i, &p->refs[b], k);
}

/* The directory of a store that @path lies in; or, with @around, that lies in @path. NULL: none. */
static const char *scanned_dir(const Places *p, const char *path, bool around, const StoreRef **ret)
{
        for (size_t i = 0; i < p->n; i++)
                for (char **dir = p->refs[i].store->dirs; dir && *dir; dir++) {
                        if (!is_real(*dir))
                                continue;
                        if (around ? path_inside(*dir, path) : path_inside(path, *dir)) {
                                if (ret)
                                        *ret = &p->refs[i];
                                return *dir;
                        }
                }
        return NULL;
}

/* What unjamd writes would be taken for mail there. */
static void own_check(const Places *p, const char *key, const config_setting_t *at, const char *path)
{
        _cleanup_(freep) char *resolved = NULL;
        const char *dir;

        if (!path)
                return;
        (void)path_resolve(path, &resolved);
        dir = scanned_dir(p, resolved ? resolved : path, false, NULL);
        if (dir)
                loader_fault(
                        p->l, at,
                        "%s: \"%s\" lies inside \"%s\", where every file is a message; write a place outside",
                        key, path, dir);
}

/* Can unjamd move files between @a and @b as far as mounts go? What cannot be found out does not refuse. */
static bool same_mount(const char *a, const char *b)
{
        uint64_t x, y;

        return mount_find(a, &x) < 0 || mount_find(b, &y) < 0 || x == 0 || y == 0 || x == y;
}

/* Only where messages will be moved is it worth the probe files. */
static bool service_acts(const Loader *l, const ServiceSettings *service)
{
        return !(l->flags & CONFIG_READ_ONLY) && service->mode == MODE_ACT &&
               service->observe_only == REASON_NONE;
}

/* Tries a rename between @dir and the hold. Return: 0, the negated errno of the refusal, or -ENOMEM. */
static int rename_try(Loader *l, const char *dir, const char *hold)
{
        int r = -ENOSPC;

        if (l->checks->probe_rename)
                r = l->checks->probe_rename(l->checks->userdata, dir, hold);
        /* No probe, or a full disk, which is no matter of the configuration: the mounts tell. */
        if (r == -ENOSPC || r == -EDQUOT)
                r = same_mount(dir, hold) ? 0 : -EXDEV;
        return r;
}

/* A hold that was given is at fault itself; the default one is written nowhere, so the directory is named. */
static void hold_refused(Loader *l, const StoreRef *ref, size_t i, int r)
{
        const char *dir = ref->store->dirs[i], *hold = ref->store->hold;
        const char *where = r == -EROFS || r == -EACCES || r == -EPERM
                                    ? ", and writable for unjamd (ReadWritePaths= of its unit)"
                                    : "";
        _cleanup_(freep) char *parent = path_parent(dir);

        if (r == -ENOMEM || !parent)
                loader_fail(l, -ENOMEM);
        else if (!same_mount(dir, parent))
                loader_fault(l, setting_element(ref->group, "dirs", i),
                             "hold: no directory beside \"%s\" is on its mount, because it is a mount point "
                             "itself; "
                             "let the server use a directory below it, and write that one",
                             dir);
        else if (ref->hold_given)
                loader_fault(
                        l, setting_member(ref->group, "hold"),
                        "hold: files cannot be renamed between \"%s\" and \"%s\" (%s); write a directory on "
                        "the same mount%s, such as \"%s/.unjam\"",
                        dir, hold, strerrordesc_np(-r), where, parent);
        else
                loader_fault(
                        l, setting_element(ref->group, "dirs", i),
                        "hold: must be given, files cannot be renamed between \"%s\" and \"%s\" (%s); write "
                        "hold on the same mount as the store%s, such as hold = \"%s/.unjam\"",
                        dir, hold, strerrordesc_np(-r), where, parent);
}

/* Each directory of a store by itself: they may be on several mounts. */
static void hold_reach_check(const Places *p, const StoreRef *ref)
{
        bool acts = service_acts(p->l, ref->service);

        if (p->l->flags & CONFIG_READ_ONLY)
                return;
        for (size_t i = 0; ref->store->dirs && ref->store->dirs[i]; i++) {
                const char *dir = ref->store->dirs[i];
                struct stat st;
                int r = 0;

                if (!is_real(dir) || stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
                        continue; /* was a fault already */
                if (acts)
                        r = rename_try(p->l, dir, ref->store->hold);
                else if (ref->hold_given && ref->service->observe_only == REASON_NONE)
                        r = same_mount(dir, ref->store->hold) ? 0 : -EXDEV;
                if (r < 0)
                        hold_refused(p->l, ref, i, r);
        }
}

/* Sets the hold of a store that has none; NULL stays where a fault left no name to build it from. */
static void hold_default(Loader *l, const StoreRef *ref)
{
        if (!ref->service->name || !ref->store->name || !l->settings->state_dir)
                return;
        if (asprintf(&ref->store->hold, "%s/hold/%s/%s", l->settings->state_dir, ref->service->name,
                     ref->store->name) < 0) {
                ref->store->hold = NULL;
                loader_fail(l, -ENOMEM);
        }
}

/* One fault for each hold: what follows from the first is not worth reading. */
static void hold_check(const Places *p, StoreRef *ref)
{
        const config_setting_t *at = setting_member(ref->group, "hold");
        char *resolved = NULL;
        const char *dir;
        struct stat st;
        int r;

        /* One that was written but could not be read had its fault. */
        ref->hold_given =
                config_setting_is_group(ref->group) && config_setting_get_member(ref->group, "hold");
        if (!ref->hold_given)
                hold_default(p->l, ref);
        if (!ref->store->hold)
                return;
        r = path_resolve(ref->store->hold, &resolved);
        if (r == -ENOMEM)
                loader_fail(p->l, r);
        if (r == 0) {
                free(ref->store->hold);
                ref->store->hold = resolved;
        }

        dir = scanned_dir(p, ref->store->hold, false, NULL);
        if (dir) {
                loader_fault(p->l, at,
                             "hold: \"%s\" lies inside \"%s\", where every file is a message; write a place "
                             "outside",
                             ref->store->hold, dir);
                return;
        }
        dir = scanned_dir(p, ref->store->hold, true, NULL);
        if (dir) {
                loader_fault(p->l, at,
                             "hold: \"%s\" holds the store's directory \"%s\"; write a directory for it "
                             "alone, such "
                             "as \"%s/.unjam\"",
                             ref->store->hold, dir, ref->store->hold);
                return;
        }
        if (stat(ref->store->hold, &st) == 0 && !S_ISDIR(st.st_mode)) {
                loader_fault(p->l, at, "hold: \"%s\" is no directory; write a directory", ref->store->hold);
                return;
        }
        hold_reach_check(p, ref);
}

/* @path as a pattern of fnmatch that matches nothing else. NULL on ENOMEM. */
static char *pattern_escape(const char *path)
{
        char *out = malloc(2 * strlen(path) + 1), *o = out;

        for (; out && *path; path++) {
                if (strchr("*?[\\", *path))
                        *o++ = '\\';
                *o++ = *path;
        }
        if (out)
                *o = '\0';
        return out;
}

/*
 * A rebuildable file among messages is none: it is excluded there, so that nobody sees it wait or moves it.
 * @below is its path below the directory of @owner.
 */
static void exclude_add(Loader *l, const StoreRef *owner, const char *below)
{
        _cleanup_(freep) char *pattern = NULL;

        if (path_is_ignored(owner->store->exclude, below))
                return;
        pattern = pattern_escape(below);
        loader_fail(l, pattern ? strv_append(&owner->store->exclude, pattern) : -ENOMEM);
}

/* A file that will be purged must not be or hold messages, and has to fit into the hold. */
static void purge_check(const Places *p, const StoreRef *ref, const char *key, const config_setting_t *at,
                        const char *path)
{
        bool compare =
                service_acts(p->l, ref->service) || (ref->hold_given && !(p->l->flags & CONFIG_READ_ONLY));
        const StoreRef *owner = NULL;
        const char *dir;

        if (!is_real(path))
                return;
        dir = scanned_dir(p, path, true, NULL);
        if (dir) {
                loader_fault(p->l, at,
                             "%s: \"%s\" holds the store's directory \"%s\"; write a path without messages",
                             key, path, dir);
                return;
        }
        dir = scanned_dir(p, path, false, &owner);
        if (dir)
                exclude_add(p->l, owner, path + strlen(dir) + 1);
        if (!ref->store->hold || ref->service->observe_only != REASON_NONE)
                return;
        if (path_inside(ref->store->hold, path))
                loader_fault(p->l, at, "%s: \"%s\" holds the hold \"%s\"; write a path beside it", key, path,
                             ref->store->hold);
        else if (compare && !same_mount(path, ref->store->hold))
                loader_fault(p->l, at,
                             "%s: \"%s\" is on another mount than hold \"%s\"; write a hold on the mount of "
                             "both, or "
                             "remove it",
                             key, path, ref->store->hold);
}

static void purges_check(const Places *p, const StoreRef *ref)
{
        const config_setting_t *list = setting_member(ref->group, "rebuild");

        for (size_t i = 0; ref->store->rebuildable && ref->store->rebuildable[i]; i++)
                purge_check(p, ref, "rebuildable", setting_element(ref->group, "rebuildable", i),
                            ref->store->rebuildable[i]);
        for (size_t i = 0; i < ref->store->n_rebuild; i++)
                purge_check(p, ref, "path",
                            setting_member(config_setting_get_elem(list, (unsigned)i), "path"),
                            ref->store->rebuild[i].path);
}

/* The server's own hold, where it is used: what is in it is proof that the server has taken a message. */
static void native_check(Loader *l, const StoreRef *ref)
{
        const config_setting_t *group = setting_member(ref->group, "native");
        char **dirs = ref->store->native.dirs;

        if (!ref->store->quarantine_native || l->flags & CONFIG_READ_ONLY)
                return;
        for (size_t i = 0; dirs && dirs[i]; i++) {
                char *real = is_real(dirs[i]) ? realpath(dirs[i], NULL) : NULL;
                struct stat st;

                if (real && stat(real, &st) == 0 && S_ISDIR(st.st_mode)) {
                        free(dirs[i]);
                        dirs[i] = TAKE_PTR(real);
                } else if (is_real(dirs[i])) {
                        loader_fault(
                                l, setting_element(group, "dirs", i),
                                "dirs: there is no directory \"%s\"; write where the server keeps what it "
                                "holds",
                                dirs[i]);
                }
                free(real);
        }
}

/* All stores in the order of the files. */
static int refs_make(Loader *l, Places *ret)
{
        Settings *s = l->settings;
        size_t n = 0;

        for (size_t k = 0; k < s->n_services; k++)
                n += s->services[k].n_stores;
        ret->refs = calloc(n + 1, sizeof(*ret->refs));
        if (!ret->refs)
                return -ENOMEM;
        ret->l = l;
        for (size_t k = 0; k < s->n_services; k++)
                for (size_t i = 0; i < s->services[k].n_stores; i++)
                        ret->refs[ret->n++] = (StoreRef){
                                .service = &s->services[k],
                                .store = &s->services[k].stores[i],
                                .group = store_group(l, k, i),
                        };
        return 0;
}

/* The path of a unix socket takes 107 bytes, and run_dir/control is one. */
static void run_dir_check(Loader *l)
{
        const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof("/control");

        if (l->settings->run_dir && strlen(l->settings->run_dir) > max)
                loader_fault(l, loader_global(l, "run_dir"),
                             "run_dir: is longer than %zu bytes, and a socket in it could not be made; write "
                             "a shorter path",
                             max);
}

/* Where embedded services run. */
static void working_directories_check(Loader *l)
{
        for (size_t i = 0; i < l->settings->n_services; i++) {
                const char *dir = l->settings->services[i].directory;
                struct stat st;

                if (dir && !(l->flags & CONFIG_READ_ONLY) && (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)))
                        loader_fault(l, setting_member(l->services[i], "directory"),
                                     "directory: there is no directory \"%s\"; make it, or write another",
                                     dir);
        }
}

void places_check(Loader *l)
{
        const Settings *s = l->settings;
        Places p = {};

        if (refs_make(l, &p) < 0) {
                loader_fail(l, -ENOMEM);
                return;
        }
        for (size_t i = 0; i < p.n; i++)
                dirs_check(l, &p.refs[i]);
        run_dir_check(l);
        working_directories_check(l);
        overlaps_check(&p);
        own_check(&p, "state_dir", loader_global(l, "state_dir"), s->state_dir);
        own_check(&p, "run_dir", loader_global(l, "run_dir"), s->run_dir);
        own_check(&p, "audit", loader_global(l, "audit"), s->audit_path);
        for (size_t i = 0; i < p.n; i++)
                hold_check(&p, &p.refs[i]);
        for (size_t i = 0; i < p.n; i++)
                purges_check(&p, &p.refs[i]);
        for (size_t i = 0; i < p.n; i++)
                native_check(l, &p.refs[i]);
        free(p.refs);
}
