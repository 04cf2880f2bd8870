/*
 * store - the list `stores` of a service
 *
 * Called by the reader of services. Whether directories are there, and who shares which, is looked at in
 * places.c when all stores are known.
 * Test: tests/unit/test_config_store.c.
 */
#include "config/parts.h"

#include "base/cleanup.h"
#include "model/layout.h"
#include "model/native.h"

#include <stdlib.h>
#include <string.h>

static void kind_read(Loader *l, const config_setting_t *s, void *target)
{
        LayoutSettings *layout = target;
        const char *text = config_setting_get_string(s);

        if (text && strcmp(text, "directory") == 0)
                layout->directory = true;
        else if (!text || strcmp(text, "file") != 0)
                loader_fault(l, s,
                             "kind: is unknown; write \"directory\" where a message is a directory, else "
                             "\"file\"");
}

const Key layout_keys[] = {
        PLAIN("match", KEY_NAME_PATTERN, LayoutSettings, match),
        PLAIN("last", KEY_NAME_PATTERN, LayoutSettings, last),
        PLAIN("live_return", KEY_BOOL, LayoutSettings, live_return),
        CUSTOM("kind", kind_read),
        {},
};

/* The patterns can be read by themselves; do they make a layout? */
static void layout_check(Loader *l, const config_setting_t *s, const LayoutSettings *settings)
{
        _cleanup_(layout_freep) Layout *layout = NULL;
        _cleanup_(freep) char *error = NULL;
        int r;

        r = layout_new(&layout, settings, &error);
        if (r == -EINVAL)
                loader_fault(l, s, "layout: %s", error ? error : "cannot be used; write \"flat\"");
        else
                loader_fail(l, r);
}

/* Without a pattern every file is a message, whether "flat" is written or a group with other keys. */
static void layout_read(Loader *l, const config_setting_t *s, void *target)
{
        StoreSettings *store = target;
        const char *text = config_setting_get_string(s);

        if (config_setting_is_group(s)) {
                keys_read(l, s, layout_keys, &store->layout);
                store->layout.flat = !config_setting_get_member(s, "match") && !store->layout.directory;
                if (store->layout.match)
                        layout_check(l, setting_member(s, "match"), &store->layout);
        } else if (!text || strcmp(text, "flat") != 0)
                loader_fault(l, s,
                             "layout: is unknown; write \"flat\", or a group such as { match = "
                             "\"^(?<id>[^/]+)-[HD]$\"; }");
}

static void quarantine_read(Loader *l, const config_setting_t *s, void *target)
{
        StoreSettings *store = target;
        const char *text = config_setting_get_string(s);

        store->quarantine_native = text && strcmp(text, "native") == 0;
        if (!text || (!store->quarantine_native && strcmp(text, "store") != 0))
                loader_fault(
                        l, s,
                        "quarantine: is unknown; write \"store\", or \"native\" for the server's own hold");
}

const Key native_keys[] = {
        PLAIN("hold", KEY_ARGV, NativeSettings, hold),
        PLAIN("release", KEY_ARGV, NativeSettings, release),
        PLAIN("delete", KEY_ARGV, NativeSettings, remove),
        PLAIN("dirs", KEY_PATHS, NativeSettings, dirs),
        RANGE("timeout", KEY_TIME, NativeSettings, timeout, USEC_PER_SEC, 10 * USEC_PER_MIN),
        {},
};

/* A command that names no message would be one for all of them. */
static void native_command_check(Loader *l, const config_setting_t *group, const char *key, char *const *argv)
{
        if (argv && !native_is_template(argv))
                loader_fault(l, setting_member(group, key),
                             "%s: names no message; write \"%%i\" in the argument that is the message's id",
                             key);
}

static void native_read(Loader *l, const config_setting_t *s, void *target)
{
        NativeSettings *native = &((StoreSettings *)target)->native;

        keys_read(l, s, native_keys, native);
        if (!config_setting_is_group(s))
                return;
        loader_require(l, s, "hold", "hold = [ \"/path/of/program\", \"%i\" ]");
        loader_require(l, s, "release", "release = [ \"/path/of/program\", \"%i\" ]");
        loader_require(l, s, "delete", "delete = [ \"/path/of/program\", \"%i\" ]");
        if (loader_require(l, s, "dirs", "dirs = [ \"/path/of/the/server's/hold\" ]") && !native->dirs)
                loader_fault(l, setting_member(s, "dirs"),
                             "dirs: holds no directory; write where the server keeps what it holds");
        native_command_check(l, s, "hold", native->hold);
        native_command_check(l, s, "release", native->release);
        native_command_check(l, s, "delete", native->remove);
}

const Key store_keys[] = {
        PLAIN("name", KEY_NAME, StoreSettings, name),
        PLAIN("dirs", KEY_PATHS, StoreSettings, dirs),
        PLAIN("exclude", KEY_STRINGS, StoreSettings, exclude),
        CUSTOM("layout", layout_read),
        PLAIN("hold", KEY_PATH, StoreSettings, hold),
        PLAIN("rebuildable", KEY_PATHS, StoreSettings, rebuildable),
        CUSTOM("rebuild", rebuild_read),
        CUSTOM("recreate", recreate_read),
        CUSTOM("locks", locks_read),
        PLAIN("after_release", KEY_ARGV, StoreSettings, after_release),
        RANGE("queue_lifetime", KEY_TIME, StoreSettings, queue_lifetime, USEC_PER_SEC, 365 * USEC_PER_DAY),
        CUSTOM("quarantine", quarantine_read),
        CUSTOM("native", native_read),
        {},
};

static bool has_state(const StoreSettings *s)
{
        return s->rebuildable || s->n_rebuild > 0 || s->n_recreate > 0 || s->n_locks > 0;
}

static void store_read(Loader *l, const config_setting_t *group, void *item)
{
        StoreSettings *store = item;

        store->layout.flat = true;
        store->queue_lifetime = 5 * USEC_PER_DAY;
        store->native.timeout = 30 * USEC_PER_SEC;
        keys_read(l, group, store_keys, store);
        if (!config_setting_is_group(group))
                return;
        loader_require(l, group, "name", "name = \"...\"");
        /* A server without a queue has state all the same. */
        if (loader_require(l, group, "dirs", "dirs = [ \"/path/of/directory\" ]") && !store->dirs &&
            !has_state(store))
                loader_fault(l, setting_member(group, "dirs"),
                             "dirs: holds no directory; write dirs = [ \"/path/of/directory\" ]");
        if (store->quarantine_native && !config_setting_get_member(group, "native"))
                loader_fault(
                        l, setting_member(group, "quarantine"),
                        "quarantine: \"native\" needs to know the server's own hold; write native = { hold, "
                        "release, delete, dirs }, or \"store\"");
        /* Whoever goes through them need not ask whether there are any. */
        if (!store->dirs)
                store->dirs = calloc(1, sizeof(*store->dirs));
        if (!store->dirs)
                loader_fail(l, -ENOMEM);
}

/* The table of an incident's messages has one byte for the store (model/message.h). */
#define STORES_MAX 255

void stores_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->stores = groups_read(l, s, sizeof(StoreSettings), &service->n_stores, store_read);
        if (service->n_stores > STORES_MAX)
                loader_fault(l, s, "stores: are %zu; write at most %d, with several directories each",
                             service->n_stores, STORES_MAX);
}
