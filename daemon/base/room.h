#pragma once

/* Room: is a file system too full for a mail server? Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/statvfs.h>

/*
 * Less than 1 MiB and than one part in twenty (so that a tiny file system is not short for ever), or less
 * than one percent where that is below a gigabyte, or nothing at all; the same with 16 inodes, one percent
 * and 10,000. What only root may use does not count.
 */
bool space_is_short(const struct statvfs *fs);
bool inodes_are_short(const struct statvfs *fs);
/* Either of them; @what then says how much is left. */
bool room_is_short(const struct statvfs *fs, char *what, size_t size);
