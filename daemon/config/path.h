#pragma once

/* Paths as text: nothing here looks at a disk. For this directory only. */

#include <stdbool.h>

/*
 * "//var/./spool/x/" -> "/var/spool/x". Return: 0 and *@ret (the caller frees); -EINVAL if @path is empty,
 * relative or has a ".." in it (what that means depends on symbolic links); -ENOMEM.
 */
int path_normalise(const char *path, char **ret);
/* Both normalised: is @path @dir itself, or below it? */
bool path_inside(const char *path, const char *dir);
/* Of a normalised path; "/" has itself. NULL on ENOMEM. */
char *path_parent(const char *path);
