#pragma once

/*
 * Layout: how a path below a store's directory maps to a message id. Pure; compiled once per store.
 */

#include "model/settings.h"

typedef struct Layout Layout;

/* Compiles. On -EINVAL, *@ret_error (if not NULL) says what is wrong with the pattern (caller frees). */
int layout_new(Layout **ret, const LayoutSettings *settings, char **ret_error);
Layout *layout_free(Layout *l);
static inline void layout_freep(Layout **l)
{
        layout_free(*l);
}

#define LAYOUT_E_NONE 1 /* the path is no part of any message */

/*
 * The id in @path (relative to a store's directory, any bytes). *@ret_id points into @path. Return: 0,
 * LAYOUT_E_NONE, or a negated errno.
 */
int layout_match(const Layout *l, const char *path, size_t len, const char **ret_id, size_t *ret_id_len);
/* Is this the file that leaves first and comes back last? */
bool layout_is_last(const Layout *l, const char *path, size_t len);
/* Does one of the fnmatch patterns cover @path? NULL patterns cover nothing. */
bool path_is_ignored(char *const *patterns, const char *path);
/* The same of @path below @dir, where a pattern that begins with "/" means the whole path. */
bool path_is_ignored_in(char *const *patterns, const char *dir, const char *path);
