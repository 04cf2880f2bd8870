#pragma once

/* What report.c and report_parts.c share; nobody else's. */

#include "ctl/page.h"
#include "ctl/story.h"

/* A string member, "" if it has none; an integer member, 0 if it has none. */
const char *report_word(const json_t *j, const char *name);
json_int_t report_number(const json_t *j, const char *name);
/* What goes before @text: nothing if that is empty. */
const char *report_before(const char *before, const char *text);
/* A reason's sentence; the word itself if this version does not know it. */
const char *report_reason(const char *word);

/* "WHAT: word word", unless there is none. */
void report_words(Page *p, PageLine kind, const char *what, const json_t *list);

/* Processes with state and open files, last log lines; of the first look, or of all of them. */
void report_evidence(Page *p, const json_t *account, bool all);
/* Those that were found; with @all, those that were ruled out or could not be checked too. */
void report_causes(Page *p, const json_t *account, bool all);
void report_states(Page *p, const json_t *account);
void report_trials(Page *p, const json_t *account);
void report_timeline(Page *p, const Story *s);
