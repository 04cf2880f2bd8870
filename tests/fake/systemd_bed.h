#pragma once

/* A manager bed with a fake systemd under it, and a program that can be a process of the service. */

#include "fake/fake_systemd.h"
#include "fake/manager_bed.h"

#include <sys/types.h>

typedef struct SystemdBed {
        ManagerBed bed;
        FakeSystemd *systemd;
        FakeUnit *unit;            /* imc.service */
        LeftoverSettings leftover; /* matches @program */
        char program[128];
        pid_t children[4];
        size_t n_children;
} SystemdBed;

/* cmocka set-up and tear-down: *state is a SystemdBed with the manager of one unit, imc.service. */
int systemd_bed_setup(void **state);
int systemd_bed_teardown(void **state);
/* Makes the manager anew, for these units (NULL-terminated). As after a restart of unjamd. */
void systemd_bed_units(SystemdBed *b, char **units);
/* Starts a process that belongs to the service by its `leftovers`; @deaf: to SIGTERM. Yields its pid. */
pid_t systemd_bed_process(SystemdBed *b, bool deaf);
/* Calls @fn once, after @msec of the loop. */
void systemd_bed_later(SystemdBed *b, unsigned msec, void (*fn)(SystemdBed *b));
/* The text of DIR/UNIT.d/NAME, or NULL. The caller's. */
char *systemd_bed_dropin(const char *dir, const char *unit, const char *name);
/* Does RUN_DIR/permit/imc exist? STATE_DIR/guard/imc? */
bool systemd_bed_permit(const SystemdBed *b);
bool systemd_bed_marker(const SystemdBed *b);
