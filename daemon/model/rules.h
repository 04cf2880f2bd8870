#pragma once

/*
 * Rules: a service's event rules, compiled. Which of them does a log entry match? Counting within a time is
 * for diagnose; here is only the look at one entry.
 */

#include "model/settings.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Rules Rules;

/*
 * Compiles all @n. @settings must outlive it. On -EINVAL, *@ret_error (if not NULL; caller frees) says what
 * is wrong, with the rule's name.
 */
int rules_new(Rules **ret, const RuleSettings *settings, size_t n, char **ret_error);
Rules *rules_free(Rules *r);
static inline void rules_freep(Rules **r)
{
        rules_free(*r);
}

/* One log entry, as its source can give it. */
typedef struct RuleEntry {
        RuleSource source;
        const char *path; /* RULE_SOURCE_FILE: the file that it is a line of */
        /*
         * The value of a field ("MESSAGE" is the text of any entry): bytes that live until rules_match()
         * returns. Return: 0, a positive code if the entry has no such field, or a negated errno.
         */
        int (*get_field)(void *userdata, const char *field, const void **ret, size_t *ret_len);
        void *userdata;
} RuleEntry;

#define RULES_E_NONE 1

/*
 * The first rule from index @from on that @entry matches; go on with *@ret + 1 for the others. At most 64 KiB
 * of a value are matched. Return: 0, RULES_E_NONE, or a negated errno (get_field's, -ENOMEM).
 */
int rules_match(Rules *r, const RuleEntry *entry, size_t from, size_t *ret);
/* The same for a rule whose `unless` the text of @entry matches: what the rule said before is cancelled. */
int rules_cancel(Rules *r, const RuleEntry *entry, size_t from, size_t *ret);

/* What the named groups of a rule's match say. */
typedef struct RuleCapture {
        char *id;  /* bytes, none of them NUL; NULL: none. The caller frees it. */
        pid_t pid; /* 0: none */
} RuleCapture;

/* Of the text that rule @i matched: what its `captures` ask for. Return: 0 or -ENOMEM. */
int rules_capture(Rules *r, size_t i, const void *text, size_t len, RuleCapture *ret);

/* Does a line of a file match rule @i's `match`, or its `unless`? Return: 0, RULES_E_NONE, or -ENOMEM. */
int rules_match_line(Rules *r, size_t i, bool unless, const void *line, size_t len);
size_t rules_count(const Rules *r);
const RuleSettings *rules_settings(const Rules *r, size_t i);
/* How many matches ran into a limit, and so counted as none. */
uint64_t rules_limited(const Rules *r);
/* Does any rule look at this source (and, for files, @path)? */
bool rules_want(const Rules *r, RuleSource source, const char *path);
