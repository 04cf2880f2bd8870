#pragma once

/*
 * The record of an embedded service: RUN_DIR/embedded/NAME.json. It is how unjamd finds the service again
 * after its own restart, and how observe/child learns what to watch. One object:
 *
 *         boot        boot id; a record of another boot means nothing
 *         pid, start  the main process (start time in clock ticks, as in /proc/PID/stat)
 *         cgroup      path of its own control group, absent if it has none
 *         unit        the transient unit it runs in (it tells how it ended), absent if unjamd forked it
 *         invocation  128 bits in hex, new with each start
 *         started     wall clock, microseconds
 *         stopping    true once unjamd has asked it to end: an end after that is no failure
 */

#include "base/proc.h"

typedef struct EmbeddedRecord {
        ProcId main;
        char *cgroup;
        char *invocation;
        usec_t started;
        bool stopping;
} EmbeddedRecord;

void embedded_record_deinit(EmbeddedRecord *r);
int embedded_record_copy(EmbeddedRecord *dst, const EmbeddedRecord *src);

#define EMBEDDED_RECORD_E_NONE 1

/* Return: 0, EMBEDDED_RECORD_E_NONE if there is none of this boot, or a negated errno
 * (-EBADMSG: unreadable). */
int embedded_record_read(const char *run_dir, const char *service, EmbeddedRecord *ret);
/* Replaces it whole. */
int embedded_record_write(const char *run_dir, const char *service, const EmbeddedRecord *r);
