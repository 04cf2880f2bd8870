#pragma once

/* What lies below a path: which mount, what kind of file system. For this directory only. */

#include <stdbool.h>
#include <stdint.h>

/*
 * The mount that holds @path, or its nearest ancestor that exists. Two paths with unequal numbers cannot be
 * renamed into one another, whatever st_dev says. *@ret is 0 on a kernel that does not tell (before 5.8).
 * Return: 0 or a negated errno.
 */
int mount_find(const char *path, uint64_t *ret);

/*
 * @path with the symbolic links of what exists of it resolved, as /proc/PID/fd would show a file there.
 * Return: 0 and
 * *@ret (the caller frees), or a negated errno.
 */
int path_resolve(const char *path, char **ret);

/*
 * Is @path on a network or cluster file system, where a rename by another host may come in between? Return: >
 * 0 yes, 0 no, or a negated errno.
 */
int filesystem_is_network(const char *path);
/* The same by the name that mountinfo shows, such as "nfs4", "fuse.sshfs". Pure. */
bool filesystem_type_is_network(const char *type);
/* The file system's name of mount @id in the text of a mountinfo file. NULL: not there, or ENOMEM. The caller
 * frees. */
char *mountinfo_type(const char *mountinfo, uint64_t id);
