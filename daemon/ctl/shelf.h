#pragma once

/*
 * Shelf: what lies in the quarantines of all stores, read from HOLD/quarantine/ID/message.json. Works while
 * the daemon is down.
 */

#include "model/settings.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * An array of message records as CONTRACT has them, oldest first, with "quarantine" (the ID for `unjamctl
 * quarantine`), "quarantined_at", "incident", "service", "store" and "path" (the directory). Of @service only
 * (NULL: all). A folder without a readable message.json is left out. Return: 0, or the negated errno of a
 * quarantine that cannot be read, with
 * *@ret_path saying which (caller frees).
 */
int shelf_read(const Settings *settings, const char *service, json_t **ret, char **ret_path);

/* The one with that ID, or the only one of a message of that id. Borrowed from @list. NULL: none,
 * or several. */
json_t *shelf_find(const json_t *list, const char *id, bool *ret_several);

/*
 * When the server would have given it up at the latest: the store's queue_lifetime after it was quarantined.
 * (The times of its files prove nothing: a spool that was copied has old ones, and what is expired may be
 * deleted.) 0: not known.
 */
usec_t shelf_expires(const Settings *settings, const json_t *message);
