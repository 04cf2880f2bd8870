#pragma once

/* The readers of the parts of a configuration, and the checks across them. For this directory only. */

#include "config/schema.h"

/* service.c: one group of `services`; @item is a zeroed ServiceSettings. */
void service_read(Loader *l, const config_setting_t *group, void *item);
/* store.c: the list `stores`; @target is a ServiceSettings. */
void stores_read(Loader *l, const config_setting_t *s, void *target);
/* state.c: the lists `rebuild`, `recreate` and `locks`; @target is a StoreSettings. */
void rebuild_read(Loader *l, const config_setting_t *s, void *target);
void recreate_read(Loader *l, const config_setting_t *s, void *target);
void locks_read(Loader *l, const config_setting_t *s, void *target);
/* probe.c: the list `probes`; rule.c: the lists `events`, `causes`, `crash_windows`, `leftovers`; @target is
 * a ServiceSettings. */
void probes_read(Loader *l, const config_setting_t *s, void *target);
void events_read(Loader *l, const config_setting_t *s, void *target);
void causes_read(Loader *l, const config_setting_t *s, void *target);
void crash_windows_read(Loader *l, const config_setting_t *s, void *target);
void leftovers_read(Loader *l, const config_setting_t *s, void *target);

/* checks.c: what only shows when everything is read; @l->settings is complete but for holds. Fills
 * those in. */
void checks_names(Loader *l);
void checks_units(Loader *l);
/* places.c: directories of stores, holds and unjamd's own; sets observe_only. */
void places_check(Loader *l);

/* The group of store @i of service @k in its file. */
const config_setting_t *store_group(const Loader *l, size_t k, size_t i);

/* The member @key of the top level, in whichever file it stands; the main file if it is in none. */
const config_setting_t *loader_global(const Loader *l, const char *key);

/* The tables of keys, for the readers, and for the test that conf/unjamd.conf shows every key. */
extern const Key global_keys[], audit_keys[], control_keys[], service_keys[], stall_keys[], recovery_keys[],
        limits_keys[];
extern const Key probe_keys[], event_keys[], cause_keys[], crash_window_keys[], leftover_keys[];
extern const Key store_keys[], layout_keys[], native_keys[], arrival_keys[], rebuild_keys[], recreate_keys[],
        lock_keys[], preset_keys[];
