#pragma once

/* Settings laid over settings: pure work on libconfig's trees. For this directory only. */

#include "config/where.h"

/*
 * A copy of @from below @parent, with file and line of the original. Each "${name}" in a string is replaced
 * by what @where has for it; with @where NULL strings stay as they are. A name that is unknown is a fault at
 * the string.
 */
void merge_copy(Loader *l, config_setting_t *parent, const config_setting_t *from, const Where *where);

/*
 * Lays the members of group @over, one by one, over those of group @base. A group is gone into; in a list of
 * groups with names (stores, events) an element goes over the one of the same name, or behind all of them;
 * an empty list, and everything else, takes the place of what was there.
 */
void merge_over(Loader *l, config_setting_t *base, const config_setting_t *over);
