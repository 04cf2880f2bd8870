#pragma once

/*
 * CoreDump: processes of a service that dumped core, with the files that they had open, from the journal
 * entries of systemd-coredump. Evidence where nothing watched the opens.
 */

#include "act/collect.h"

/*
 * Adds the last dumps of the units since @spec's time, each as a process in state X. A journal that cannot
 * be read has none. Return: 0 or -ENOMEM.
 */
int evidence_core_dumps(Evidence *e, const LogSpec *spec);

/* Pure: the text of COREDUMP_OPEN_FDS. Adds to @p's files. Return: 0 or -ENOMEM. */
int core_dump_files(ProcessEvidence *p, const char *text);
