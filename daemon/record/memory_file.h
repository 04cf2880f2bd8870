#pragma once

/*
 * Memory files: state_dir/services/NAME.memory-G, blocks one behind the other, a file for each generation.
 *
 * The snapshot of the service says which generation counts, and how many bytes of it. What lies behind them
 * is of a commit that did not come to its end: nobody has acted on it, and the next write cuts it off. What
 * lies before must be whole, or the file is damaged.
 */

#include "record/recorder.h"

#include "base/disk.h"

/* Cuts the file of @w off at its offset, appends the block, and syncs. The old bytes are as they were also on
 * error. */
int memory_file_write(Disk *d, int dirfd, const char *service, const MemoryWrite *w);
/* Removes all memory files of @service but that of @generation (0: every one). */
int memory_file_sweep(Disk *d, int dirfd, const char *service, uint64_t generation);
/* Visits the first @length bytes, block by block. Return: 0, -EBADMSG if they are not there or not whole, or
 * what @visit yields below 0. */
int memory_file_read(int dirfd, const char *service, uint64_t generation, uint64_t length,
                     MemoryVisitor visit, void *userdata);
