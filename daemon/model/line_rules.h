#pragma once

/*
 * LineRules: those rules of a service that look at one log file, made fit for whole blocks of lines.
 */

#include "model/rules.h"

typedef struct LineRules LineRules;

/* @rules must outlive it; @path is copied. Return: 0 or -ENOMEM. */
int line_rules_new(LineRules **ret, Rules *rules, const char *path);
LineRules *line_rules_free(LineRules *l);
static inline void line_rules_freep(LineRules **l)
{
        line_rules_free(*l);
}

typedef struct LineHit {
        size_t rule;       /* index in the service's settings */
        bool cancels;      /* its `unless` matches, not its match */
        size_t start, len; /* of the line in the block, without its newline */
} LineHit;

#define LINE_RULES_E_END 1

/*
 * Begins to look at @block: whole lines, the last one with or without its newline. Of each line, the first
 * @line_max bytes are matched. @block must stay until the end.
 */
void line_rules_begin(LineRules *l, const void *block, size_t len, size_t line_max);
/*
 * The next match, by lines, and within a line by rules; a line that cancels a rule is no match of it. Return:
 * 0, LINE_RULES_E_END, or -ENOMEM.
 */
int line_rules_next(LineRules *l, LineHit *ret);
