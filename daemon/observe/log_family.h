#pragma once

/*
 * LogFamily: the files of one log: the one that bears its name, and those that were rotated away from it. For
 * workers.
 */

#include "observe/log_file.h"

typedef struct LogFamily {
        char *directory, *base; /* of the log's path */
        int dirfd;              /* -1: not there (yet) */
        LogFile **files;
        size_t n;
        bool begun; /* false: what is there now is history */
        bool odd;   /* the log's own name is no regular file (a link, a FIFO ...) */
} LogFamily;

/* @path: absolute. Return: 0 or -ENOMEM. */
int log_family_init(LogFamily *y, const char *path);
void log_family_deinit(LogFamily *y);
/* Adds a file that is known from before. Consumes @f. Return: 0 or -ENOMEM. */
int log_family_add(LogFamily *y, LogFile *f);

/* Is @name one of the log called @base: "mail.log", "mail.log.1", "mail.log-20261128.gz", "mail-2026.log"? */
bool log_family_has(const char *base, const char *name);

#define LOG_FAMILY_E_NONE  1 /* its directory is not there */
#define LOG_FAMILY_E_AGAIN 2 /* it was renamed meanwhile: look again soon */
/*
 * Looks who is there now. Files that are new are read from their beginning, copies of what was read are not.
 * What is left as LOG_FILE_GHOST has not been found anywhere: log_family_lay() tells whether anything of it
 * is missing. Return: 0, one of the above, or a negated errno.
 */
int log_family_look(LogFamily *y);

/* @f (open) does not hold any more what was read of it: its past becomes a ghost, and @f a new file. Return:
 * 0 or -ENOMEM. */
int log_family_truncated(LogFamily *y, LogFile *f);

/* Removes file @i, a ghost whose rest was not found. Yields whether what was written to it after its offset
 * may have been lost; if not, a compressed copy that ends there proves it. */
bool log_family_lay(LogFamily *y, size_t i);
void log_family_remove(LogFamily *y, size_t i);
