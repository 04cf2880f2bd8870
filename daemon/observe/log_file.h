#pragma once

/*
 * LogFile: one file of a log, and how far it has been read. For workers: everything here may wait for a disk.
 *
 * A position is more than an offset: the file's inode, its first bytes, and the bytes before the offset. So a
 * file that was truncated, or another one that was given the same inode, is told apart, and a copy of it (as
 * logrotate's copytruncate makes them) is recognised and read from the same place on.
 */

#include "base/clock.h"
#include "base/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define LOG_HEAD 256
#define LOG_TAIL 4096

typedef enum LogFileRole {
        LOG_FILE_READ,    /* it is read */
        LOG_FILE_UNKNOWN, /* found, but not placed yet */
        LOG_FILE_COPY,    /* holds the same as another file that is read: left alone while that one lives */
        LOG_FILE_GHOST,   /* what was read is gone from its inode: a copy may have what is left of it */
} LogFileRole;

typedef struct LogFile {
        LogFileRole role;
        char *name; /* in the log's directory; NULL: none any more */
        dev_t dev;
        ino_t inode;
        bool base;              /* bears the log's own name, or did when it was seen last */
        uint64_t offset;        /* what is before it has been judged; 0: nothing yet */
        uint64_t hole;          /* so many NULs stand at its beginning: a writer without O_APPEND left them */
        bool middle;            /* @offset is inside of a line whose beginning has been judged */
        uint8_t head[LOG_HEAD]; /* its first bytes behind @hole, as far as they were judged */
        uint8_t digest[SHA256_SIZE]; /* of the min(@offset, LOG_TAIL) bytes before @offset; see @tail */
        uint64_t size;               /* when it was looked at last */
        int64_t mtime, ctime;        /* ns; likewise */
        /* While it is open. */
        int fd;
        uint8_t *tail; /* the bytes that @digest is of, newer than @digest; NULL: not read yet */
        int wd;        /* of inotify, -1: none */
        usec_t grown;  /* monotonic: when it was seen to have grown last */
        bool found;    /* in the present listing */
        bool trusted;  /* what is known of it was checked since unjamd began */
} LogFile;

/* @name is copied. Return: 0 or -ENOMEM. */
int log_file_new(LogFile **ret, const char *name);
LogFile *log_file_free(LogFile *f);
void log_file_close(LogFile *f);

#define LOG_FILE_E_NONE 1

/*
 * Opens @name for @f, neither following a link nor waiting for anybody. Return: 0, LOG_FILE_E_NONE if it is
 * gone, no regular file or must not be read, or a negated errno.
 */
int log_file_open(LogFile *f, int dirfd, const char *name);
/* Takes size and times from @st. Return: did they change? */
bool log_file_look(LogFile *f, const struct stat *st);

#define LOG_FILE_E_OTHER 2
/*
 * Is what was read of @f still there, at the same place? To be asked after reading: then what was read is of
 * the same file, too. Return: 0, LOG_FILE_E_OTHER, or a negated errno.
 */
int log_file_check(LogFile *f);
/* The same of another, open file: does it hold what was read of @f? */
int log_file_check_copy(const LogFile *f, const LogFile *copy);
/* How many bytes of @head are known. */
size_t log_file_head_len(const LogFile *f);
/* Does @other (open) begin as what was read of @f? An empty one, or one that is shorter than the
 * hole, may. */
bool log_file_begins_alike(const LogFile *f, const LogFile *other);
/* Of a file of which nothing was judged: where does its text begin? @room bytes of @buffer serve to
 * read it. */
int log_file_find_hole(LogFile *f, void *buffer, size_t room);
/* Where the next byte is to be read. */
static inline uint64_t log_file_place(const LogFile *f)
{
        return f->offset > 0 ? f->offset : f->hole;
}
/* The @len bytes of @data, which stand at log_file_place(), have been judged. Return: 0 or -ENOMEM. */
int log_file_advance(LogFile *f, const void *data, size_t len);
/* All that it holds now counts as judged. Return: as log_file_check(). */
int log_file_skip_to_end(LogFile *f);
/* Goes on in @f where reading of @from ended. Return: 0 or -ENOMEM. */
int log_file_adopt(LogFile *f, const LogFile *from);
/* Brings f->digest up to date. */
void log_file_seal(LogFile *f);
