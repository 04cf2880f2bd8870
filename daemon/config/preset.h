#pragma once

/* Presets: what is known of one mail server, merged below a service that names it. For this directory only;
 * what unjamctl may ask of them is in config/config.h. */

#include "config/schema.h"

typedef struct Presets Presets;

/*
 * The list @services, with each group that names a preset replaced by that preset's keys and its own over
 * them. @services itself if none does, or if it is no list. Faults of a preset are noted with its file and
 * line. What is returned lives as long as @l->presets.
 */
const config_setting_t *presets_merge(Loader *l, const config_setting_t *services);

/* NULL is fine. */
void presets_free(Presets *p);
