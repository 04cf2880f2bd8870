#pragma once

/* Adding to a list of faults; the list itself is in config/config.h. For this directory only. */

#include "config/config.h"

/* Copies; bytes that are no UTF-8 and control characters are replaced. Return: 0 or -ENOMEM. */
int config_faults_add(ConfigFaults *f, const char *file, unsigned line, const char *what);
/* By file and line, so that a person can go through them from top to bottom. Return: 0 or -ENOMEM. */
int config_faults_sort(ConfigFaults *f);
