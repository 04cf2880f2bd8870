#pragma once

/*
 * What runners share: which program a name means, what it finds in its environment, and whether a RunSpec is
 * sound.
 */

#include "base/runner.h"

#include <sys/types.h>

/* Where programs are looked for, as in PATH. */
#define PROGRAM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * The absolute path of @name, which is absolute already or has no slash. Return: 0, -EINVAL for an empty or
 * relative one, -ENOENT if there is no such program, -EACCES if it is no file that can be executed.
 */
int program_find(const char *name, char **ret);

/* Checks a specification and finds its program. Return: 0, -EINVAL, or what program_find() says. */
int run_spec_check(const RunSpec *spec, char **ret_path);

/* The environment that @spec asks for, or the one that programs get without asking: PATH and LANG. */
char *const *run_spec_environment(const RunSpec *spec);

/* A file in memory that holds @input, at its start; /dev/null if @input is NULL. Return: descriptor
 * or errno. */
int program_input(const char *input);
