#pragma once

/*
 * Report: one incident as an engineer who was woken up wants to read it: what was wrong, what was done and
 * why, where the mail is, what to do next.
 */

#include "ctl/account.h"
#include "ctl/page.h"
#include "ctl/story.h"

/*
 * Writes all of a page. @account is the story's. With @whole everything that is on record of the states,
 * causes and looks at the service; else what explains the incident. @account NULL: there was no memory for
 * it. Return: 0, -ENOMEM if something is missing, -EIO if it could not be written.
 */
int report_write(Page *p, const Story *s, const json_t *account, bool whole);
