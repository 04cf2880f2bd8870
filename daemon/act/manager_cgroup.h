#pragma once

/*
 * A control group of its own for each run of an embedded service. All calls are quick, yet take a lock of the
 * kernel that a busy host may hold for long: for a worker.
 */

/*
 * Makes @name beside unjamd's own group, or else below it. If @old (may be NULL) still has members, it is
 * taken again instead, so that they stay in sight; else it is removed. *@ret is the path, the caller's, or
 * NULL where no group can be made (none mounted, or read-only as in most containers). Return: 0 or -ENOMEM.
 */
int own_cgroup_make(const char *old, const char *name, char **ret);

/* Removes it if it is empty. */
void own_cgroup_remove(const char *path);
