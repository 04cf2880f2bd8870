/*
 * state - the lists `rebuild`, `recreate` and `locks` of a store
 *
 * Called by the reader of stores: what a server keeps besides its messages, and how it is put right. Users
 * and groups are looked up once, now; when the configuration is only read for its paths, they need not be
 * there. Test: tests/unit/test_config_state.c.
 */
#include "config/parts.h"

#include "base/cleanup.h"
#include "model/pattern.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

const Key rebuild_keys[] = {
        PLAIN("path", KEY_PATH, RebuildSettings, path),
        PLAIN("command", KEY_ARGV, RebuildSettings, command),
        {},
};

static void rebuild_one_read(Loader *l, const config_setting_t *group, void *item)
{
        keys_read(l, group, rebuild_keys, item);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "path", "path = \"/path/of/file\"");
        loader_require(l, group, "command", "command = [ \"/path/of/program\" ]");
}

void rebuild_read(Loader *l, const config_setting_t *s, void *target)
{
        StoreSettings *store = target;

        store->rebuild = groups_read(l, s, sizeof(RebuildSettings), &store->n_rebuild, rebuild_one_read);
}

static void kind_read(Loader *l, const config_setting_t *s, void *target)
{
        RecreateSettings *r = target;
        const char *text = config_setting_get_string(s);
        FileType kind = text ? file_type_from_string(text) : _FILE_TYPE_INVALID;

        if (kind == FILE_FIFO || kind == FILE_DIRECTORY || kind == FILE_REGULAR)
                r->kind = kind;
        else
                loader_fault(l, s, "kind: is unknown; write \"fifo\", \"directory\" or \"file\"");
}

/* In octal, as chmod(1) takes it: libconfig has no octal numbers. */
static void mode_read(Loader *l, const config_setting_t *s, void *target)
{
        RecreateSettings *r = target;
        const char *text = config_setting_get_string(s);
        size_t digits = text ? strspn(text, "01234567") : 0;

        if (!text || digits < 3 || digits > 5 || text[digits] != '\0' || strtoul(text, NULL, 8) > 07777)
                loader_fault(l, s, "mode: is no mode; write it in octal and in quotes such as \"0622\"");
        else
                r->mode = (mode_t)strtoul(text, NULL, 8);
}

static void owner_read(Loader *l, const config_setting_t *s, void *target)
{
        RecreateSettings *r = target;
        const char *name = config_setting_get_string(s);
        char buffer[16 * 1024];
        struct passwd pw, *found = NULL;

        if (config_setting_type(s) == CONFIG_TYPE_INT && config_setting_get_int(s) >= 0)
                r->uid = (uid_t)config_setting_get_int(s);
        else if (name && getpwnam_r(name, &pw, buffer, sizeof(buffer), &found) == 0 && found)
                r->uid = found->pw_uid;
        else if (!name || !(l->flags & CONFIG_READ_ONLY))
                loader_fault(
                        l, s,
                        "owner: there is no user \"%s\"; write a number, or the name of a user of this host",
                        name ? name : "");
}

static void group_read(Loader *l, const config_setting_t *s, void *target)
{
        RecreateSettings *r = target;
        const char *name = config_setting_get_string(s);
        char buffer[64 * 1024];
        struct group gr, *found = NULL;

        if (config_setting_type(s) == CONFIG_TYPE_INT && config_setting_get_int(s) >= 0)
                r->gid = (gid_t)config_setting_get_int(s);
        else if (name && getgrnam_r(name, &gr, buffer, sizeof(buffer), &found) == 0 && found)
                r->gid = found->gr_gid;
        else if (!name || !(l->flags & CONFIG_READ_ONLY))
                loader_fault(l, s,
                             "group: there is no group \"%s\"; write a number, or the name of a group of "
                             "this host",
                             name ? name : "");
}

const Key recreate_keys[] = {
        PLAIN("path", KEY_PATH, RecreateSettings, path),
        CUSTOM("kind", kind_read),
        CUSTOM("mode", mode_read),
        CUSTOM("owner", owner_read),
        CUSTOM("group", group_read),
        {},
};

/* What the server finds must be what it had: nothing of it is guessed. */
static void recreate_one_read(Loader *l, const config_setting_t *group, void *item)
{
        RecreateSettings *r = item;

        *r = (RecreateSettings){ .kind = _FILE_TYPE_INVALID, .mode = 0600 };
        keys_read(l, group, recreate_keys, r);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "path", "path = \"/path/of/file\"");
        loader_require(l, group, "kind", "kind = \"fifo\", \"directory\" or \"file\"");
        loader_require(l, group, "mode", "mode = \"0622\"");
        loader_require(l, group, "owner", "owner = \"USER\"");
        loader_require(l, group, "group", "group = \"GROUP\"");
        if (r->path && strcmp(r->path, "/") == 0)
                loader_fault(l, setting_member(group, "path"), "path: is /; write the path of a file");
}

void recreate_read(Loader *l, const config_setting_t *s, void *target)
{
        StoreSettings *store = target;

        store->recreate = groups_read(l, s, sizeof(RecreateSettings), &store->n_recreate, recreate_one_read);
}

const Key lock_keys[] = {
        PLAIN("path", KEY_PATH, LockSettings, path),
        PLAIN("pid", KEY_TEXT_PATTERN, LockSettings, pid),
        {},
};

static void lock_read(Loader *l, const config_setting_t *group, void *item)
{
        LockSettings *lock = item;
        _cleanup_(pattern_freep) Pattern *pattern = NULL;

        keys_read(l, group, lock_keys, lock);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "path", "path = \"/path/of/lock\"");
        if (lock->pid && pattern_new(&pattern, lock->pid, PATTERN_TEXT, NULL) == 0 &&
            pattern_count_groups(pattern, "pid") == 0)
                loader_fault(l, setting_member(group, "pid"),
                             "pid: no group is named \"pid\"; write (?<pid>\\\\d+) where the number stands");
}

void locks_read(Loader *l, const config_setting_t *s, void *target)
{
        StoreSettings *store = target;

        store->locks = groups_read(l, s, sizeof(LockSettings), &store->n_locks, lock_read);
}
