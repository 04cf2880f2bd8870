#pragma once

/*
 * Configuration: files in libconfig syntax -> validated immutable Settings (model/settings.h).
 *
 * Reading happens at start and at a reload, never in between: libconfig has no way to report that memory ran
 * out. A reload makes new Settings; the old ones stay as they are until the caller swaps.
 *
 * config_load() looks at file systems and at the user database and so may block; it touches nothing but its
 * arguments and may run in a worker thread.
 */

#include "model/settings.h"

#include <stdbool.h>
#include <stddef.h>

/* One thing that is wrong. @what ends with what to write instead: "stop_timout: unknown key; write
 * stop_timeout". */
typedef struct ConfigFault {
        char *file;
        unsigned line;
        char *what; /* valid UTF-8, one line */
} ConfigFault;

/* All zero is an empty list. */
typedef struct ConfigFaults {
        ConfigFault *list;
        size_t n;
} ConfigFaults;

/* May be called twice. */
void config_faults_deinit(ConfigFaults *f);
/* "FILE:LINE: what; what to write instead". NULL on ENOMEM; the caller frees. */
char *config_fault_format(const ConfigFault *f);

/* What configuration cannot find out by itself, because it lives in other rooms. Each may be NULL: not
 * checked. */
typedef struct ConfigChecks {
        void *userdata;
        /* Does the service manager know @unit? */
        bool (*unit_exists)(void *userdata, const char *unit);
        /* spool_probe_rename(): makes @hold if it is missing. Return: 0, or the negated errno of
         * the refusal. */
        int (*probe_rename)(void *userdata, const char *dir, const char *hold);
} ConfigChecks;

enum {
        CONFIG_READ_ONLY =
                1 << 0, /* for unjamctl: nothing is made or probed, a missing directory is no fault */
        CONFIG_DRY_RUN = 1 << 1, /* every service in mode "observe", whatever the files say */
};

/* All of the files and the services together: some are to be had without a fault. */
#define CONFIG_E_FAULTS 1

/*
 * Reads @path, then conf.d/(name).conf beside it in the order of their names. @checks may be NULL.
 *
 * Return: 0 and *@ret (the caller's reference); CONFIG_E_FAULTS and at least one fault added to @faults, in
 * the order of files and lines; or a negated errno (out of memory). *@ret is untouched unless 0 is returned.
 */
int config_load(const char *path, unsigned flags, const ConfigChecks *checks, Settings **ret,
                ConfigFaults *faults);

/* What is to be told of a preset. All zero is empty. */
typedef struct PresetInfo {
        char *name, *path, *description; /* @description may be NULL */
        char **where;                    /* name, what it is on this host, name, ... */
        bool present;                    /* the server is installed here */
} PresetInfo;

/* May be called twice. */
void preset_info_deinit(PresetInfo *i);

#define CONFIG_E_NO_PRESET 2

/*
 * The preset @name as a configuration at @config_path would find it.
 *
 * Return: 0 and *@ret; CONFIG_E_FAULTS, likewise, and what is wrong with it added to @faults;
 * CONFIG_E_NO_PRESET; or a negated errno.
 */
int config_preset(const char *config_path, const char *name, PresetInfo *ret, ConfigFaults *faults);
/* The names of all presets, sorted; the caller frees *@ret. Return: 0 or -ENOMEM. */
int config_preset_names(const char *config_path, char ***ret);
