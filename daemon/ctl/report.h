#pragma once

/*
 * Report: one incident as an engineer who was woken up wants to read it: what was wrong, what was done and
 * why, where the mail is, what to do next.
 */

#include "ctl/ctl.h"
#include "ctl/story.h"

/* Yields an exit code. @s has its records. */
int report_print(const Ctl *c, const Story *s);
