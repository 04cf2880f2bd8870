#pragma once

/* A secret of this host: random bytes in a file that only root reads, made when they are first asked for. */

#include "base/disk.h"

#include <stdint.h>

/* Reads @name in @dir, or makes it, durably. Blocking. Return: 0, -EBADMSG for another
 * length, or a negated errno. */
int key_file_load(Disk *d, const char *dir, const char *name, uint8_t *ret, size_t len);
