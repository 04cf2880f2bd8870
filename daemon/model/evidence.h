#pragma once

/*
 * Evidence: what was seen of a service's processes, taken before anything is killed.
 */

#include "base/clock.h"
#include "base/proc.h"
#include "model/words.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct OpenFile {
        int fd;
        char *path; /* as /proc/PID/fd shows it, bytes; without " (deleted)" */
        bool deleted;
        bool write;
        uint64_t dev, inode;
} OpenFile;

typedef struct ProcessEvidence {
        ProcId id;
        pid_t parent;
        uid_t uid;
        char state;    /* R S D T Z ... */
        char *name;    /* comm */
        char *command; /* NULs as spaces */
        char *exe;
        char *wchan;       /* NULL if not to be had */
        char *syscall;     /* first word of /proc/PID/syscall, NULL likewise */
        usec_t cpu;        /* user + system, whole life */
        uint64_t io_bytes; /* rchar + wchar */
        uint64_t switches; /* voluntary and involuntary */
        bool outside;      /* not in the service's control group: a leftover or a stranger */
        bool stranger;     /* holds a file of a store, but is not of the service */
        OpenFile *files;   /* regular files, directories and FIFOs only */
        size_t n_files;
        unsigned n_sockets;
        unsigned zombies;       /* children that have ended and that it has not collected */
        ProcessVerdict verdict; /* what is known of it over time */
        char *why;              /* the same with figures, UTF-8; NULL: nothing is known */
        bool remote;            /* holds a connected socket to another host */
} ProcessEvidence;

typedef struct LogLine {
        usec_t wall;
        pid_t pid;
        int priority;
        char *text; /* valid UTF-8 */
} LogLine;

typedef struct Evidence {
        usec_t wall;
        ProcessEvidence *processes;
        size_t n_processes;
        LogLine *lines;
        size_t n_lines;
        bool incomplete; /* something could not be read: @note says what */
        char *note;
} Evidence;

void process_evidence_deinit(ProcessEvidence *p);
void evidence_deinit(Evidence *e);
json_t *evidence_to_json(const Evidence *e);

/* A cause check that was run. */
typedef struct CauseResult {
        size_t check; /* index in ServiceSettings.causes, or SIZE_MAX for one of unjamd's own (disk full ...)
                       */
        int kind;     /* CauseKind */
        int effect;   /* CauseEffect */
        bool found;   /* the fault is there */
        bool known;   /* it could be checked at all */
        char *detail; /* output or error, UTF-8 */
        char *advice;
} CauseResult;

void cause_result_deinit(CauseResult *c);
json_t *cause_result_to_json(const CauseResult *c);
