/*
 * service - one group of `services`
 *
 * Called by config.c for each. The table below is the list of what a service can have; which keys belong to
 * which manager is checked after it. Mode is resolved when all files are read: a service without one has the
 * global mode.
 *
 * Ranges are wide: they keep out what cannot work (a timeout of 0) and typing errors, not tastes.
 * Test: tests/unit/test_config_service.c.
 */
#include "config/parts.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIDENCE_MIN 0.5
#define CONFIDENCE_MAX 0.9999

DEFINE_WORDS(mode, Mode)
DEFINE_WORDS(manager_kind, ManagerKind)

/* A unit's name as systemd writes it: "postfix@-" becomes "postfix@-.service". NULL after a fault. */
static char *unit_name(Loader *l, const config_setting_t *s, const char *text)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
        static const char *const others[] = { ".socket", ".target", ".timer", ".path",   ".mount",
                                              ".slice",  ".scope",  ".swap",  ".device", ".automount" };
        const char *dot = strrchr(text, '.');
        const char *at = strchr(text, '@');
        char *name = NULL;

        for (size_t i = 0; dot && i < ELEMENTSOF(others); i++)
                if (strcmp(dot, others[i]) == 0) {
                        loader_fault(
                                l, s,
                                "unit: \"%s\" is no service; write the .service unit that runs the server",
                                text);
                        return NULL;
                }
        if (text[strspn(text, allowed)] != '\0' || text[0] == '.' || text[0] == '@' || strlen(text) > 240) {
                loader_fault(l, s,
                             "unit: \"%s\" is no unit name; write it as `systemctl list-units` shows it",
                             text);
                return NULL;
        }
        if (at && (at[1] == '\0' || strcmp(at + 1, ".service") == 0)) {
                loader_fault(l, s,
                             "unit: \"%s\" is a template; write an instance of it such as \"%.*s@-.service\"",
                             text, (int)(at - text), text);
                return NULL;
        }
        if (asprintf(&name, "%s%s", text, dot && strcmp(dot, ".service") == 0 ? "" : ".service") < 0) {
                loader_fail(l, -ENOMEM);
                return NULL;
        }
        return name;
}

static void units_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;
        _cleanup_(strv_freep) char **words = words_read(l, s);

        if (service->units) {
                loader_fault(l, s,
                             "%s: does not go with unit beside it; write units = [ ... ] with all of them",
                             config_setting_name(s));
                return;
        }
        for (size_t i = 0; words && words[i]; i++) {
                const config_setting_t *at =
                        config_setting_is_aggregate(s) ? config_setting_get_elem(s, (unsigned)i) : s;
                _cleanup_(freep) char *name = words[i][0] ? unit_name(l, at, words[i]) : NULL;

                /* Keeps its place, so that the checks find the line. */
                loader_fail(l, strv_append(&service->units, name ? name : ""));
        }
}

/* Bytes after the first "=" are the value, and may be none. */
static void environment_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        if (config_setting_type(s) == CONFIG_TYPE_STRING) {
                loader_fault(l, s, "environment: is a string; write a list such as [ \"NAME=value\" ]");
                return;
        }
        service->environment = words_read(l, s);
        for (size_t i = 0; service->environment && service->environment[i]; i++) {
                const char *text = service->environment[i];
                const char *equals = strchr(text, '=');

                if (text[0] != '\0' && (!equals || equals == text))
                        loader_fault(l, config_setting_get_elem(s, (unsigned)i),
                                     "environment: \"%s\" is no assignment; write \"NAME=value\"", text);
        }
}

const Key stall_keys[] = {
        PLAIN("enabled", KEY_BOOL, StallSettings, enabled),
        RANGE("after", KEY_TIME, StallSettings, after, 100 * USEC_PER_MSEC, 30 * USEC_PER_DAY),
        PLAIN("ignore", KEY_STRINGS, StallSettings, ignore),
        {},
};

/* The group alone turns it on; `enabled` can turn it off again. */
static void stall_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        service->stall.enabled = true;
        keys_read(l, s, stall_keys, &service->stall);
}

const Key limits_keys[] = {
        RANGE("cpu", KEY_COUNT, LimitSettings, cpu, 1, 100000),
        RANGE("memory", KEY_SIZE, LimitSettings, memory, 1 << 20, UINT64_C(1) << 50),
        RANGE("descriptors", KEY_COUNT, LimitSettings, descriptors, 8, 100000000),
        RANGE("for", KEY_TIME, LimitSettings, lasting, USEC_PER_SEC, USEC_PER_DAY),
        {},
};

static void limits_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;
        LimitSettings *limits = &service->limits;

        keys_read(l, s, limits_keys, limits);
        if (config_setting_is_group(s) && limits->cpu == 0 && limits->memory == 0 && limits->descriptors == 0)
                loader_fault(l, s,
                             "limits: has no limit in it; write cpu, memory or descriptors, or remove it");
}

/* At even odds nothing is decided, and nothing is ever certain. */
static void confidence_read(Loader *l, const config_setting_t *s, void *target)
{
        RecoverySettings *recovery = target;
        double value = config_setting_get_float(s);

        if (config_setting_type(s) != CONFIG_TYPE_FLOAT)
                loader_fault(l, s, "confidence: is no fraction; write a number such as 0.99");
        else if (!(value >= CONFIDENCE_MIN && value <= CONFIDENCE_MAX))
                loader_fault(l, s, "confidence: %g is out of range; write a number from %g to %g", value,
                             CONFIDENCE_MIN, CONFIDENCE_MAX);
        else
                recovery->confidence = value;
}

const Key arrival_keys[] = {
        PLAIN("enabled", KEY_BOOL, RecoverySettings, arrival),
        RANGE("per_day", KEY_COUNT, RecoverySettings, arrival_per_day, 1, 10000),
        {},
};

static void arrival_read(Loader *l, const config_setting_t *s, void *target)
{
        keys_read(l, s, arrival_keys, target);
}

const Key recovery_keys[] = {
        RANGE("restarts", KEY_COUNT, RecoverySettings, restarts, 0, 100),
        RANGE("max_per_hour", KEY_COUNT, RecoverySettings, max_per_hour, 1, 1000),
        RANGE("max_trials", KEY_COUNT, RecoverySettings, max_trials, 1, 100000),
        RANGE("max_time", KEY_TIME, RecoverySettings, max_time, USEC_PER_SEC, 30 * USEC_PER_DAY),
        RANGE("settle", KEY_TIME, RecoverySettings, settle, 10 * USEC_PER_MSEC, USEC_PER_HOUR),
        RANGE("verify", KEY_TIME, RecoverySettings, verify, 10 * USEC_PER_MSEC, USEC_PER_DAY),
        CUSTOM("confidence", confidence_read),
        CUSTOM("arrival_quarantine", arrival_read),
        {},
};

static void recovery_read(Loader *l, const config_setting_t *s, void *target)
{
        ServiceSettings *service = target;

        keys_read(l, s, recovery_keys, &service->recovery);
}

/* preset.c has merged it before the service is read. */
static void merged_read(Loader *l, const config_setting_t *s, void *target)
{
        (void)l;
        (void)s;
        (void)target;
}

static void where_of_preset_read(Loader *l, const config_setting_t *s, void *target)
{
        (void)target;
        if (!config_setting_get_member(config_setting_parent(s), "preset"))
                loader_fault(l, s,
                             "where: is for the places of a preset; write preset = \"NAME\", or remove it");
}

const Key service_keys[] = {
        PLAIN("name", KEY_NAME, ServiceSettings, name),
        CUSTOM("preset", merged_read),
        CUSTOM("where", where_of_preset_read),
        WORD("mode", ServiceSettings, mode, mode_words),
        WORD("manager", ServiceSettings, manager, manager_kind_words),
        CUSTOM("unit", units_read),
        CUSTOM("units", units_read),
        PLAIN("command", KEY_ARGV, ServiceSettings, command),
        PLAIN("user", KEY_STRING, ServiceSettings, user),
        PLAIN("directory", KEY_PATH, ServiceSettings, directory),
        CUSTOM("environment", environment_read),
        PLAIN("start", KEY_ARGV, ServiceSettings, start),
        PLAIN("stop", KEY_ARGV, ServiceSettings, stop),
        PLAIN("status", KEY_ARGV, ServiceSettings, status),
        PLAIN("pidfile", KEY_PATH, ServiceSettings, pidfile),
        PLAIN("sole_supervisor", KEY_BOOL, ServiceSettings, sole_supervisor),
        PLAIN("depends_on", KEY_STRINGS, ServiceSettings, depends_on),
        RANGE("start_timeout", KEY_TIME, ServiceSettings, start_timeout, 10 * USEC_PER_MSEC, USEC_PER_DAY),
        RANGE("stop_timeout", KEY_TIME, ServiceSettings, stop_timeout, 10 * USEC_PER_MSEC, USEC_PER_DAY),
        RANGE("kill_timeout", KEY_TIME, ServiceSettings, kill_timeout, 10 * USEC_PER_MSEC, USEC_PER_DAY),
        PLAIN("core", KEY_BOOL, ServiceSettings, core),
        CUSTOM("leftovers", leftovers_read),
        CUSTOM("probes", probes_read),
        CUSTOM("stall", stall_read),
        CUSTOM("crash_windows", crash_windows_read),
        CUSTOM("limits", limits_read),
        CUSTOM("events", events_read),
        CUSTOM("causes", causes_read),
        CUSTOM("stores", stores_read),
        CUSTOM("recovery", recovery_read),
        {},
};

static void forbid_all(Loader *l, const config_setting_t *group, const char *const *keys, const char *why)
{
        for (; *keys; keys++)
                loader_forbid(l, group, *keys, why);
}

/* Each manager needs keys of its own, and those of the others would be ignored: that is refused, not done. */
static void manager_check(Loader *l, const config_setting_t *group, const ServiceSettings *service)
{
        static const char *const systemd[] = { "unit", "units", NULL };
        static const char *const embedded[] = { "command", "user", "directory", "environment", NULL };
        static const char *const command[] = { "start", "stop", "status", "pidfile", NULL };

        switch (service->manager) {
        case MANAGER_SYSTEMD:
                if (!config_setting_get_member(group, "units"))
                        loader_require(l, group, "unit", "unit = \"NAME.service\", or another manager");
                break;
        case MANAGER_EMBEDDED:
                loader_require(l, group, "command",
                               "command = [ \"/path/of/program\" ] that stays in the foreground");
                break;
        case MANAGER_COMMAND:
                loader_require(l, group, "start", "start = [ \"/path/of/program\", \"start\" ]");
                loader_require(l, group, "stop", "stop = [ \"/path/of/program\", \"stop\" ]");
                loader_require(l, group, "status",
                               "status = [ \"/path/of/program\", \"status\" ], exit 0 while it runs");
                break;
        case _MANAGER_KIND_MAX:
        case _MANAGER_KIND_INVALID:
                return;
        }
        if (service->manager != MANAGER_SYSTEMD)
                forbid_all(l, group, systemd, "is for manager = \"systemd\" only");
        if (service->manager != MANAGER_EMBEDDED)
                forbid_all(l, group, embedded, "is for manager = \"embedded\" only");
        if (service->manager != MANAGER_COMMAND)
                forbid_all(l, group, command, "is for manager = \"command\" only");
}

/* Several windows at once: a slow crash loop evades one short window. */
static void crash_windows_default(Loader *l, ServiceSettings *service)
{
        static const CrashWindow windows[] = {
                { 3, 2 * USEC_PER_MIN },
                { 5, 30 * USEC_PER_MIN },
                { 8, 24 * USEC_PER_HOUR },
        };

        service->crash_windows = malloc(sizeof(windows));
        if (!service->crash_windows) {
                loader_fail(l, -ENOMEM);
                return;
        }
        memcpy(service->crash_windows, windows, sizeof(windows));
        service->n_crash_windows = ELEMENTSOF(windows);
}

static bool has_native(const ServiceSettings *service)
{
        for (size_t i = 0; i < service->n_stores; i++)
                if (service->stores[i].quarantine_native)
                        return true;
        return false;
}

/* Defaults first, then what is written, then what the whole must have. */
void service_read(Loader *l, const config_setting_t *group, void *item)
{
        ServiceSettings *service = item;

        *service = (ServiceSettings){
                .mode = _MODE_INVALID,
                .manager = MANAGER_SYSTEMD,
                .start_timeout = 30 * USEC_PER_SEC,
                .stop_timeout = 20 * USEC_PER_SEC,
                .kill_timeout = 10 * USEC_PER_SEC,
                .stall = { .after = 10 * USEC_PER_MIN },
                .limits = { .lasting = 5 * USEC_PER_MIN },
                .recovery = {
                        .restarts = 1,
                        .max_per_hour = 3,
                        .max_trials = 128,
                        .max_time = 30 * USEC_PER_MIN,
                        .settle = 5 * USEC_PER_SEC,
                        .verify = 60 * USEC_PER_SEC,
                        .confidence = 0.99,
                        .arrival_per_day = 10,
                },
                .observe_only = REASON_NONE,
        };
        keys_read(l, group, service_keys, service);
        if (!config_setting_is_group(group))
                return;
        /* An empty list says that loops are not looked for. */
        if (!config_setting_get_member(group, "crash_windows"))
                crash_windows_default(l, service);
        loader_require(l, group, "name", "name = \"...\"");
        manager_check(l, group, service);
        if (service->recovery.arrival && !has_native(service))
                loader_fault(
                        l, setting_member(setting_member(group, "recovery"), "arrival_quarantine"),
                        "arrival_quarantine: needs the server's own hold; write quarantine = \"native\" in a "
                        "store, or enabled = false");
        /* Without a store there is no mail to be seen waiting. */
        if (!config_setting_get_member(group, "stall"))
                service->stall.enabled = service->n_stores > 0;
        else if (service->stall.enabled && service->n_stores == 0)
                loader_fault(l, setting_member(group, "stall"),
                             "stall: there is no store to watch; write stores = ( ... ), or remove it");
}
