#pragma once

/*
 * Which process a pidfile names. May wait for a disk: for a worker.
 */

#include "base/proc.h"

#define PIDFILE_E_NONE 1

/*
 * Return: 0, PIDFILE_E_NONE if there is no such file, or it names no living process, or one that is younger
 * than the file (so its number was used again), or a negated errno.
 */
int pidfile_identify(int procfd, const char *path, ProcId *ret);

/* Pure, for tests: is the file stale? Ages in microseconds; @volatile_fs: the file system does not outlive a
 * boot. */
bool pidfile_is_stale(usec_t file_age, usec_t process_age, usec_t uptime, bool volatile_fs);
