#pragma once

/*
 * Host look: what of this host's files and locks explains a fault of a service. Waits for disks: for a
 * worker.
 */

#include "model/observation.h"

/* Conditions with their strings. All zero is an empty list. */
typedef struct ConditionList {
        Condition *list;
        size_t n;
} ConditionList;

/* @id and @text are copied. Return: 0 or -ENOMEM. */
int condition_add(ConditionList *l, Reason reason, const char *id, const char *text);
void condition_list_clear(ConditionList *l);

/* Where to look; everything is copied paths, so that the configuration may go meanwhile. NULL: none. */
typedef struct HostLook {
        char **dirs;    /* must have room: stores, holds, state_dir, the audit trail */
        char **locks;   /* files that a package manager locks while it works */
        char **units;   /* whose drop-ins an operator may be editing */
        char *unit_dir; /* "/etc/systemd/system" */
        char *pressure; /* "/proc/pressure/memory" */
} HostLook;

void host_look_deinit(HostLook *h);
/* What cannot be looked at is no condition. @wall is now. Return: 0 or -ENOMEM. */
int host_look(const HostLook *h, usec_t wall, ConditionList *ret);
