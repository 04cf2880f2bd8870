#pragma once

/*
 * State files: what a server needs to find in place (a FIFO, a directory), and the locks that it leaves
 * behind when it dies. From a worker thread: looking may wait for a disk.
 */

#include "base/disk.h"
#include "model/evidence.h"
#include "model/settings.h"

#define STATE_E_FOUND 1 /* the fault is there, and *@ret_why says so (caller frees) */

/* Is what must be at r->path missing, or of another kind? Return: 0, STATE_E_FOUND, or a negated errno. */
int state_wrong(const RecreateSettings *r, char **ret_why);
/*
 * Makes it, where nothing is. Owner and mode are right before it has its name, so that a crash leaves
 * nothing half-made in its place. Return: 0, or a negated errno.
 */
int state_make(Disk *disk, const RecreateSettings *r);

/*
 * Did the lock at @path outlive its holder? Proof is asked for: nobody has it open, the kernel knows of no
 * lock on it, and the process that it names has gone (or has begun after it was written); a lock that names
 * none is one of before the last boot. @procfd is an open /proc. Return: 0 (there is none, it is held, or
 * it cannot be told), STATE_E_FOUND, or a negated errno.
 */
int lock_stale(int procfd, const char *path, const LockSettings *lock, char **ret_why);
/*
 * The paths that lock->path means now: its last component may be a pattern (fnmatch). *@ret is the
 * caller's, NULL for none.
 */
int lock_paths(const LockSettings *lock, char ***ret);

/*
 * Which of the service's rebuildable files is to blame, by what was seen: a line of its log that names the
 * file and a trouble with it, or a process that spins with the file open and no message. *@ret_paths are
 * those as configured (strv), *@ret_why the first of them with the proof. Pure. Return: 0, STATE_E_FOUND,
 * or -ENOMEM.
 */
int state_suspect(const ServiceSettings *service, const Evidence *evidence, char ***ret_paths,
                  char **ret_why);
