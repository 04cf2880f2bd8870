#pragma once

/*
 * Account: a story put in order: how long each state took, which trial came to what, which causes were
 * found and which were ruled out, where the culprits are now. It is what `unjamctl --json report` prints,
 * and what a report for people is made of.
 */

#include "ctl/ctl.h"
#include "ctl/story.h"

/*
 * The summary and what incident.closed says; besides: host, symptoms, causes, ruled_out, not_checked,
 * evidence, states, trial_list, actions, operator, alerts, stores_held, cleared, and in each culprit
 * "now". @s has its records. Settings, where there are any, say where quarantines are. NULL on ENOMEM.
 */
json_t *account_new(const Ctl *c, const Story *s);
