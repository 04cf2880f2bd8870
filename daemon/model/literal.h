#pragma once

/*
 * Literal: what a text must contain for a pattern to match it at all, so that most text is passed by without
 * asking PCRE2.
 */

#include "model/literal_set.h"

#define LITERAL_E_NONE 1

/*
 * What every match of @pattern (PATTERN_TEXT) contains: at least one sequence of *@ret, of classes in @table,
 * which grows. LITERAL_E_NONE if nothing useful is known: then the pattern must be asked about every line.
 */
int literal_of(const char *pattern, ClassTable *table, LiteralSet *ret);
