#pragma once

/*
 * Where things are on this host: names with alternatives, of which the first that is there is taken. For this
 * directory only.
 *
 *     where = { unit = [ "exim4.service", "exim.service" ];
 *               spool = [ "/var/spool/exim4", "/var/spool/exim" ]; };
 *
 * An alternative is a path, a unit (a name with a dot), a user, or one of these and " if " with another
 * that must be there as well. If nothing is there, the first counts: faults and advice then name what is
 * usual.
 */

#include "config/schema.h"

typedef struct Place {
        char *name, *value;
        bool found;
} Place;

typedef struct Where {
        Place *places;
        size_t n;
        const char *root; /* "" but in tests: where paths begin */
} Where;

void where_deinit(Where *w);
/*
 * Reads the group @s; names that @w has already stay as they are, so what an administrator wrote is read
 * first. With @known, a name that is not in that group is a fault.
 */
void where_read(Loader *l, const config_setting_t *s, const config_setting_t *known, Where *w);
/* NULL: there is no such name. */
const char *where_get(const Where *w, const char *name, size_t len);
/* Is @what, one alternative, there? */
bool where_there(const char *root, const char *what);
