#pragma once

/* What report.c and report_parts.c share; nobody else's. */

#include "ctl/ctl.h"
#include "ctl/story.h"

/* A string member, "" if it has none; an integer member, 0 if it has none. */
const char *report_word(const json_t *j, const char *name);
json_int_t report_number(const json_t *j, const char *name);
/* An empty line and a heading. */
void report_title(const Ctl *c, const char *title);
/* @text, cleaned, between the other two; nothing at all if it is empty. */
void report_text(const Ctl *c, const char *before, const char *text, const char *after);

/* Processes with state and open files, last log lines, causes. */
void report_evidence(const Ctl *c, const Story *s);
void report_trials(const Ctl *c, const Story *s);
void report_timeline(const Ctl *c, const Story *s);
