#pragma once

/*
 * Native hold: the commands with which a server's own hold is worked, as the configuration has them. "%i" in
 * an argument is the id of the one message that is meant. No shell reads them.
 */

#include <stdbool.h>

/* Is there a "%i" in an argument, and none in the program's name? */
bool native_is_template(char *const *argv);

/*
 * May this id stand on a command line? Letters, digits, and what cannot be an option, a path or a pattern: no
 * sender may name his message "-d" or "../x".
 */
bool native_id_is_safe(const char *id);

/* @argv with the id in it; the caller frees it. Return: 0, -EINVAL for an id that is not safe, -ENOMEM. */
int native_command(char *const *argv, const char *id, char ***ret);
