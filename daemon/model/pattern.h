#pragma once

/*
 * Pattern: a PCRE2 pattern from the configuration, matched against what others wrote: file names, log lines,
 * output of checks. Each match is limited in steps, depth and memory, so nobody can stall the daemon with a
 * clever line.
 *
 * A Pattern may be matched by several threads at the same time.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct Pattern Pattern;

typedef enum PatternKind {
        PATTERN_NAME, /* on bytes of a path: "." matches a newline too, "$" only the very end */
        PATTERN_TEXT, /* on text that may hold bytes that are no UTF-8: those match nothing */
} PatternKind;

/* Compiles. On -EINVAL, *@ret_error (if not NULL) says what is wrong and where (caller frees). */
int pattern_new(Pattern **ret, const char *text, PatternKind kind, char **ret_error);
Pattern *pattern_free(Pattern *p);
static inline void pattern_freep(Pattern **p)
{
        pattern_free(*p);
}

/* How many groups bear the name @group? Alternatives may give one name to several. */
size_t pattern_count_groups(const Pattern *p, const char *group);

#define PATTERN_E_NONE  1 /* no match */
#define PATTERN_E_LIMIT 2 /* a limit was hit: count it as no match */

/* Return: 0 if it matches, PATTERN_E_NONE, PATTERN_E_LIMIT, or a negated errno. */
int pattern_match(const Pattern *p, const void *data, size_t len);

typedef struct PatternSpan {
        size_t start, len;
} PatternSpan;

/*
 * The same, and where the first group called @group that took part lies. A match in which none did, or only
 * an empty one, is PATTERN_E_NONE.
 */
int pattern_match_group(const Pattern *p, const void *data, size_t len, const char *group, PatternSpan *ret);
