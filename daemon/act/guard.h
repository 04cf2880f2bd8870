#pragma once

/*
 * Guard: the files that keep everybody else from starting a service while an incident is open.
 *
 *         STATE_DIR/guard/SERVICE                        the marker, durable: {"incident","triggers","units"}
 *         UNIT_DIR/UNIT.d/zz-unjamd-guard.conf           persistent drop-in: no start while the marker is
 *         RUN_DIR/permit/SERVICE                         there, unless this is: unjamd's own start goes on
 *         RUNTIME_UNIT_DIR/UNIT.d/zz-unjamd-restart.conf runtime drop-in: Restart=no
 *
 * After a reboot the permit is gone (/run is empty) and the marker is not, so the service waits for unjamd.
 * Without a marker the condition holds: a drop-in that could not be removed does no harm.
 *
 * All but guard_permit() may wait for a disk and is called from a worker thread.
 */

#include "base/disk.h"

#include <stdbool.h>

/* Last of all drop-ins by name, so that none overrides them; of different names, or the one in /etc hides the
 * other. */
#define GUARD_DROPIN         "zz-unjamd-guard.conf"
#define GUARD_RESTART_DROPIN "zz-unjamd-restart.conf"

/* Where the files are. It owns its strings: work that was abandoned may outlive the manager that asked for
 * it. */
typedef struct GuardPaths {
        Disk *disk;
        char *service; /* name; -EINVAL from all functions if it is no file name */
        char *state_dir, *run_dir, *unit_dir, *runtime_unit_dir;
} GuardPaths;

void guard_paths_deinit(GuardPaths *p);

typedef struct GuardMarker {
        char *incident;
        char **units;    /* that have drop-ins, triggers included */
        char **triggers; /* were active and are to be started again */
} GuardMarker;

void guard_marker_deinit(GuardMarker *m);

#define GUARD_E_NONE 1

/* Return: 0, GUARD_E_NONE if there is no marker, or a negated errno (-EBADMSG: it is there,
 * but unreadable). */
int guard_marker_read(const GuardPaths *p, GuardMarker *ret);
/* Is there one? A single look that may wait for a disk: for the start of the daemon. */
bool guard_marker_exists(const GuardPaths *p);
/* Durable. */
int guard_marker_write(const GuardPaths *p, const GuardMarker *m);
/* Durable. No marker is fine. */
int guard_marker_remove(const GuardPaths *p);

typedef enum GuardKind {
        GUARD_CONDITION, /* a start by others is skipped */
        GUARD_ASSERT, /* it fails instead: for a unit whose own conditions would outvote ours (see guard.c) */
} GuardKind;

/* Writes both drop-ins of @unit. *@ret_changed is set to true if that changed anything, else left alone. */
int guard_dropins_write(const GuardPaths *p, const char *unit, const char *incident, GuardKind kind,
                        bool *ret_changed);
/* Removes both, and their directories where they are empty then. Same report. */
int guard_dropins_remove(const GuardPaths *p, const char *unit, bool *ret_changed);

/* Lets the service start (@on), or no more. No worker needed: run_dir is no disk. */
int guard_permit(const GuardPaths *p, bool on);
